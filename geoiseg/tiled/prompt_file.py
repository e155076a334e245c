"""Prompts from any vector file: one object per ``object`` value, or one per row.

Points are clicks (column ``positive``, 1 by default), polygons are boxes or outlines to
refine (column ``kind``: ``box`` or ``region``), lines are scribbles. A ``label`` column and
all others are carried over. The ``prompts`` layer of a project file is such a file too, and
is replayed step by step.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from geoiseg.errors import GeoreferenceError, PromptError, VectorError
from geoiseg.features import Kinds, free_names, kinds_of_columns, plain_value, renamed_in_words
from geoiseg.features.kinds import kind_of_column
from geoiseg.files import read_frame, there
from geoiseg.files.keeping import PROMPTS
from geoiseg.files.vectors.geopackage import with_shapes
from geoiseg.prompting import Box, Point, Prompt, Region, Scribble, localise
from geoiseg.raster import joined, turn_of, unrolled
from geoiseg.segment import Step
from geoiseg.session import is_project
from geoiseg.session.prompt_rows import step_of

log = logging.getLogger(__name__)

OWN_COLUMNS = ("object", "step", "label", "kind", "positive", "gsd", "spectral", "definition")
"""Columns with a meaning; all others are the user's."""
OBJECT = "object"
SHAPE = "geoiseg shape"
"""What the column of shapes is called while rows are read: as no column of a user's is."""
BOXES = {"", "box", "polygon", "bbox"}
"""Kinds of a polygon that is a box."""
KINDS = {"region", "point", "scribble", "text", "line", "grow", "sharpen", "choose", *BOXES}
"""What a column ``kind`` says."""
FALSE_WORDS = {"0", "false", "no", "n", "f", "negative", "-", "-1"}
TRUE_WORDS = {"1", "true", "yes", "y", "t", "positive", "+"}
XY_COLUMNS = (("x", "y"), ("lon", "lat"), ("longitude", "latitude"), ("easting", "northing"))
"""Pairs of columns that place the rows of a table without geometry."""
SHOWN_ROWS = 5
"""Rows of an object that a message lists."""


@dataclass(frozen=True, slots=True)
class PromptedObject:
    """What a file says about one object."""

    name: str
    """Value of the ``object`` column, or the row's number."""
    steps: tuple[Step, ...]
    """Prompts in the raster's CRS."""
    label: str = ""
    attributes: dict[str, Any] = field(default_factory=dict)
    """The user's own columns, of the first row; None where it has nothing in one."""
    kinds: Kinds = field(default_factory=dict)
    """Their types, by column, the same in all objects of a file."""
    origins: tuple[tuple[int, ...], ...] = ()
    """Of each prompt of each step, its row in the file, from 1."""
    rows: tuple[int, ...] = ()
    """All its rows in the file, from 1."""
    faults: tuple[str, ...] = ()
    """A line for each row that can not be used; the others are."""
    recorded: bool = False
    """Whether the steps are those of a project, and to be done as they say, no more."""

    @property
    def title(self) -> str:
        """What to call it in messages: its name, and its rows where they are not the name."""
        if not self.rows or self.rows == tuple(map(_number_in, [self.name])):
            return f"object {self.name}"
        shown = ", ".join(map(str, self.rows[:SHOWN_ROWS]))
        more = ", ..." if len(self.rows) > SHOWN_ROWS else ""
        return f"object {self.name} (row{'s' * (len(self.rows) > 1)} {shown}{more})"


def _number_in(name: str) -> int | None:
    return int(name) if name.isdecimal() else None


def read_prompts(
    path: Path, crs: Any = None, gsd: float | None = None, layer: str | None = None
) -> list[PromptedObject]:
    """Return the objects that a vector file describes.

    Args:
        path: Any file that GDAL's vector drivers read.
        crs: The raster's grid, or its CRS, to which the prompts are moved; None leaves them.
            With the grid they are written as its coordinates are.
        gsd: Ground size of a pixel to work at, where the file has no ``gsd`` column.
        layer: Layer to read; by default ``prompts`` of a project file, else the first.

    Returns:
        A row that can not be used (no geometry, a box of no width, no place in the raster's
        CRS) is told by the object's ``faults``.

    Raises:
        PromptError: The file is missing, unreadable, or no row of it can be used.
    """
    if not there(path):
        raise PromptError(f"{path} does not exist")
    ours = layer in (None, PROMPTS) and is_project(path)
    frame = _read(path, layer or (PROMPTS if ours else None))
    ours = ours or (set(OWN_COLUMNS) <= set(frame.columns) and _definitions(frame["definition"]))
    meant, own = _meanings(frame, ours=ours)
    kinds = kinds_of_columns(frame, own)
    rows = frame.rename(columns={frame.geometry.name: SHAPE})
    rows = gpd.GeoDataFrame(rows, geometry=SHAPE, crs=frame.crs)
    names = _names(rows, ours=ours) if OBJECT in meant else _numbered(rows)
    table = _Table(meant, own, kinds, frame.crs, recorded=ours)
    objects = [
        _object(str(name), group, table, crs, gsd)
        for name, group in rows.groupby(names, sort=False, dropna=False)
    ]
    if not any(item.steps for item in objects):
        faults = [fault for item in objects for fault in item.faults]
        raise PromptError(f"{path} has no row that can be used: {faults[0]}")
    return objects


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """What a file's columns are."""

    meant: frozenset[str]
    """Those of ``OWN_COLUMNS`` that are there and say what they say of prompts."""
    own: Mapping[str, str]
    """Names in the features by the names of the user's own columns, in order."""
    kinds: Kinds
    crs: Any
    recorded: bool = False
    """Whether they are a project's."""


def _numbered(rows: pd.DataFrame) -> pd.Series:
    return pd.Series([str(number) for number in range(1, len(rows) + 1)], rows.index, object)


def _names(rows: pd.DataFrame, *, ours: bool) -> pd.Series:
    """Return the object of each row; one without is an object of its own.

    In a project those are of the object in progress.
    """
    names = rows[OBJECT].map(_object_name).astype(object)
    if not ours:
        alone = rows[OBJECT].isna()
        names[alone] = [f"row {row + 1}" for row in rows.index[alone]]
    return names


def _meanings(frame: gpd.GeoDataFrame, *, ours: bool) -> tuple[frozenset[str], dict[str, str]]:
    """Return which columns say something of prompts, and the names of those to carry over.

    All are carried over that the user has made, whatever they say besides; a label only where it
    is no text, for features have texts.

    Args:
        frame: The file's rows.
        ours: Whether a project of geoiseg made it: then columns of ours are nobody's else.
    """
    there = [str(name) for name in frame.columns if name != frame.geometry.name]
    meant = frozenset(name for name in OWN_COLUMNS if name in there and (
        ours or _SENSE[name](frame[name])))  # fmt: skip
    theirs = [name for name in OWN_COLUMNS if name in there and name not in meant]
    if theirs:
        log.warning("nothing about prompts is in %s: taken as columns of yours", ", ".join(theirs))
    left = (
        {"label"}
        if "label" in there and kind_of_column(frame["label"]) in ("text", None)
        else set()
    )
    carried = [name for name in there if not (name in OWN_COLUMNS if ours else name in left)]
    names = free_names(carried)
    if said := renamed_in_words(names):
        log.warning("%s", said)
    return meant, names


def _object_name(value: Any) -> str:
    plain = plain_value(value)
    return str(int(plain)) if isinstance(plain, float) and plain.is_integer() else str(plain)


def _read(path: Path, layer: str | None) -> gpd.GeoDataFrame:
    try:
        frame = read_frame(path, layer)
    except (VectorError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise PromptError(f"can not read prompts from {path}: {reason}") from error
    if not len(frame):
        raise PromptError(f"{path} has no rows: draw at least one point, box or line")
    if isinstance(frame, gpd.GeoDataFrame) and not shapely.is_missing(frame.geometry.array).all():
        return _whole(frame.reset_index(drop=True))
    if isinstance(frame, gpd.GeoDataFrame):
        frame = frame.drop(columns=frame.geometry.name)
    return _from_columns(pd.DataFrame(frame), path)


def _whole(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Return rows of which none goes around the world: what was cut at 180 degrees is one."""
    turn = turn_of(frame.crs)
    west, _, east, _ = frame.total_bounds
    if turn is None or not east - west > turn / 2:
        return frame
    return frame.set_geometry(
        [unrolled(joined(shape, frame.crs), frame.crs) for shape in frame.geometry],
        crs=frame.crs,
    )


def _from_columns(table: pd.DataFrame, path: Path) -> gpd.GeoDataFrame:
    """Return a table with x and y columns as points; degrees are of WGS 84."""
    names = {str(name).lower(): name for name in table.columns}
    for x, y in XY_COLUMNS:
        if x in names and y in names:
            numbers = [pd.to_numeric(table[names[axis]], errors="coerce") for axis in (x, y)]
            places = np.column_stack([column.to_numpy(np.float64) for column in numbers])
            there = np.isfinite(places).all(axis=1)
            if not there.any():
                raise PromptError(f"{path}: no row has numbers in its {x} and {y} columns")
            points = np.full(len(table), None, dtype=object)
            points[there] = shapely.points(places[there])
            crs = "EPSG:4326" if x.startswith("lon") else None
            return with_shapes(table, points, crs)
    raise PromptError(
        f"{path} has no geometry: give a vector layer, or a table with columns x and y"
        " (in the raster's CRS) or lon and lat"
    )


def _object(
    name: str, rows: gpd.GeoDataFrame, table: _Table, target: Any, gsd: float | None
) -> PromptedObject:
    steps, origins, faults = [], [], []
    meant = table.meant
    order = rows["step"] if "step" in meant else pd.Series(0, index=rows.index)
    known = table.crs if getattr(target, "crs", target) is not None else None
    for _, group in rows.groupby(order, sort=True, dropna=False):
        said: list[tuple[Prompt, int]] = []
        scale, grow, spectral, sharp = gsd, 0, 0, 0
        choice: int | None = None
        middle: tuple[float, float] | None = None
        onward = closer = False
        for number, row in zip((group.index + 1).tolist(), _rows_of(group), strict=True):
            try:
                own_gsd = _gsd(row.get("gsd")) if "gsd" in meant else None
                step = _step(row, meant)
                moved = [localise(one, known, target) if target else one for one in step.prompts]
            except (PromptError, GeoreferenceError) as error:
                faults.append(f"row {number}: {error}")
                continue
            if not said and own_gsd is not None:
                scale = own_gsd
            said += [(prompt, number) for prompt in moved]
            grow, sharp = max(grow, step.grow), max(sharp, step.sharpen)
            spectral = max(spectral, step.spectral)
            choice = step.choice if choice is None else choice
            middle, onward = step.middle or middle, step.onward or onward
            closer = step.closer or closer
        if said or grow or sharp or choice is not None:
            prompts = tuple(prompt for prompt, _ in said)
            done = grow, spectral, sharp, choice, middle, onward, closer
            steps.append(Step(prompts, scale, *done))
            origins.append(tuple(number for _, number in said))
    first = rows.iloc[0]
    label = plain_value(first.get("label"))
    attributes = {new: plain_value(first[old]) for old, new in table.own.items()}
    attributes.setdefault(OBJECT, name)
    return PromptedObject(
        name, tuple(steps), "" if label is None else str(label), attributes, table.kinds,
        tuple(origins), tuple((rows.index + 1).tolist()), tuple(faults), table.recorded,
    )  # fmt: skip


def _rows_of(group: gpd.GeoDataFrame) -> Iterator[dict[str, Any]]:
    """Yield the rows of a table by column, the shape as :data:`SHAPE`."""
    shapes = np.asarray(group.geometry.array, dtype=object)
    for row, shape in zip(group.to_dict("records"), shapes, strict=True):
        yield {**row, SHAPE: shape}


def _gsd(value: Any) -> float | None:
    plain = plain_value(value)
    try:
        return None if plain is None else float(plain)
    except (TypeError, ValueError):
        raise PromptError(f"gsd is a number of metres, got {plain!r:.40}") from None


def _step(row: dict[str, Any], meant: frozenset[str]) -> Step:
    """Return what a row says, as a step of its own.

    Raises:
        PromptError: It says nothing that makes sense.
    """
    definition = plain_value(row.get("definition")) if "definition" in meant else None
    if isinstance(definition, str) and definition.startswith("{"):
        try:
            return step_of([json.loads(definition)], None, plain_value(row.get("spectral")))
        except (json.JSONDecodeError, RecursionError) as error:
            raise PromptError(f"its definition can not be read: {error}") from error
    return Step(tuple(_prompts(row, meant)))


def _prompts(row: dict[str, Any], meant: frozenset[str]) -> Iterator[Prompt]:
    geometry = row[SHAPE]
    if geometry is None or geometry.is_empty:
        raise PromptError("there is no geometry")
    positive = _sign(row.get("positive")) if "positive" in meant else True
    kind = _word(row.get("kind")) if "kind" in meant else ""
    flat = shapely.force_2d(geometry)
    for part in shapely.get_parts(flat) if kind != "region" else [flat]:
        yield _prompt(part, kind, positive)


def _word(value: Any) -> str:
    plain = plain_value(value)
    return "" if plain is None else str(plain).strip().lower()


def _prompt(geometry: Any, kind: str, positive: bool) -> Prompt:
    match geometry.geom_type:
        case "Point" if not geometry.is_empty:
            return Point(geometry.x, geometry.y, positive)
        case "LineString" | "LinearRing":
            xy = shapely.get_coordinates(geometry)
            return Scribble(tuple((float(x), float(y)) for x, y in xy), positive)
        case "Polygon" | "MultiPolygon" if kind == "region":
            return Region(geometry)
        case "Polygon" if kind in BOXES:
            return Box(*geometry.bounds)
        case "Polygon" | "MultiPolygon":
            raise PromptError(f"the kind of a polygon is box or region, got {kind!r}")
        case other:
            raise PromptError(f"a {other} can not be a prompt; use points, polygons or lines")


def _sign(value: Any) -> bool:
    plain = plain_value(value)
    if plain is None:
        return True
    if isinstance(plain, (bool, int, float)):
        return plain > 0
    word = str(plain).strip().lower()
    if word in FALSE_WORDS | TRUE_WORDS:
        return word in TRUE_WORDS
    raise PromptError(f"positive is 1 or 0, got {plain!r}")


def _any_word(column: pd.Series, words: set[str]) -> bool:
    """Return whether a column says one of some words, or nothing at all."""
    said = {_word(value) for value in column} - {""}
    return not said or bool(said & words)


def _numbers(column: pd.Series) -> bool:
    found = pd.to_numeric(column, errors="coerce")
    return bool((found.notna() | column.isna()).all())


def _some_numbers(column: pd.Series) -> bool:
    found = pd.to_numeric(column, errors="coerce")
    return bool(found.notna().any() or column.isna().all())


def _signs(column: pd.Series) -> bool:
    return _numbers(column) or _any_word(column, TRUE_WORDS | FALSE_WORDS)


def _definitions(column: pd.Series) -> bool:
    """Return whether a column has nothing but prompts as a project stores them."""
    return all(_is_definition(value) for value in column.dropna())


def _some_definitions(column: pd.Series) -> bool:
    """Return whether a column has such prompts, or nothing at all."""
    said = column.dropna()
    return not len(said) or any(_is_definition(value) for value in said)


def _is_definition(value: Any) -> bool:
    try:
        step_of([json.loads(value)], None)
    except (TypeError, ValueError, KeyError, RecursionError):
        return False
    return True


_SENSE: dict[str, Callable[[pd.Series], bool]] = {
    OBJECT: lambda _: True,
    "label": lambda _: True,
    "step": _numbers,
    "kind": lambda column: _any_word(column, KINDS),
    "positive": _signs,
    "gsd": _some_numbers,
    "definition": _some_definitions,
}
"""Whether a column of one of our names says of prompts what it is to say; else it is the user's."""
