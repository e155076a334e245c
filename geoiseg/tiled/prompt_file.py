"""Prompts from any vector file: one object per ``object`` value, or one per row.

Points are clicks (column ``positive``, 1 by default), polygons are boxes or outlines to
refine (column ``kind``: ``box`` or ``region``), lines are scribbles. A ``label`` column and
all others are carried over. The ``prompts`` layer of a project file is such a file too, and
is replayed step by step.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import shapely

from geoiseg.errors import PromptError, VectorError
from geoiseg.features import free_name, plain_value
from geoiseg.files import read_frame, there
from geoiseg.prompting import Box, Point, Prompt, Region, Scribble, localise
from geoiseg.raster import joined, turn_of, unrolled
from geoiseg.segment import Step
from geoiseg.session import is_project
from geoiseg.session.project import PROMPTS, step_of

OWN_COLUMNS = ("object", "step", "label", "kind", "positive", "gsd", "definition")
"""Columns with a meaning; all others are the user's."""
FALSE_WORDS = {"0", "false", "no", "n", "f", "negative", "-", "-1"}
TRUE_WORDS = {"1", "true", "yes", "y", "t", "positive", "+"}
XY_COLUMNS = (("x", "y"), ("lon", "lat"), ("longitude", "latitude"), ("easting", "northing"))
"""Pairs of columns that place the rows of a table without geometry."""


@dataclass(frozen=True, slots=True)
class PromptedObject:
    """What a file says about one object."""

    name: str
    """Value of the ``object`` column, or the row's number."""
    steps: tuple[Step, ...]
    """Prompts in the raster's CRS."""
    label: str = ""
    attributes: dict[str, Any] = field(default_factory=dict)


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

    Raises:
        PromptError: The file is missing, unreadable, empty or has no geometry.
        GeoreferenceError: A prompt has no place in the raster's CRS.
    """
    if not there(path):
        raise PromptError(f"{path} does not exist")
    frame = _read(path, layer or (PROMPTS if is_project(path) else None))
    if "object" not in frame:
        frame["object"] = [str(number) for number in range(1, len(frame) + 1)]
    frame["object"] = frame["object"].map(_object_name)
    groups = frame.groupby("object", sort=False, dropna=False)
    return [_object(str(name), rows, frame.crs, crs, gsd) for name, rows in groups]


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
    if isinstance(frame, gpd.GeoDataFrame) and frame.geometry.notna().any():
        return _whole(frame.reset_index(drop=True))
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
    table = table.drop(columns="geometry", errors="ignore")
    names = {str(name).lower(): name for name in table.columns}
    for x, y in XY_COLUMNS:
        if x in names and y in names:
            numbers = [pd.to_numeric(table[names[axis]], errors="coerce") for axis in (x, y)]
            if any(column.isna().any() for column in numbers):
                raise PromptError(f"{path}: a row has no number in its {x} or {y} column")
            crs = "EPSG:4326" if x.startswith("lon") else None
            rest = table.drop(columns=[names[x], names[y]])
            return gpd.GeoDataFrame(rest, geometry=shapely.points(*numbers), crs=crs)
    raise PromptError(
        f"{path} has no geometry: give a vector layer, or a table with columns x and y"
        " (in the raster's CRS) or lon and lat"
    )


def _object(
    name: str, rows: gpd.GeoDataFrame, source: Any, target: Any, gsd: float | None
) -> PromptedObject:
    steps = []
    order = rows["step"] if "step" in rows else pd.Series(0, index=rows.index)
    for _, group in rows.groupby(order, sort=True):
        read = [_step(row) for _, row in group.iterrows()]
        prompts = tuple(prompt for step in read for prompt in step.prompts)
        known = source if getattr(target, "crs", target) is not None else None
        moved = tuple(localise(prompt, known, target) for prompt in prompts) if target else prompts
        own_gsd = plain_value(group["gsd"].iloc[0]) if "gsd" in group else None
        scale = float(own_gsd) if own_gsd is not None else gsd
        steps.append(Step(moved, scale, max(step.grow for step in read)))
    first = rows.iloc[0]
    label = plain_value(first.get("label"))
    own = (*OWN_COLUMNS, rows.geometry.name)
    attributes = {
        free_name(str(column)): value
        for column in rows.columns
        if column not in own and (value := plain_value(first[column])) is not None
    }
    if "object" in rows:
        attributes.setdefault("object", name)
    return PromptedObject(name, tuple(steps), "" if label is None else str(label), attributes)


def _step(row: pd.Series) -> Step:
    """Return what a row says, as a step of its own."""
    definition = plain_value(row.get("definition"))
    if isinstance(definition, str) and definition.startswith("{"):
        return step_of([json.loads(definition)], None)
    return Step(tuple(_prompts(row)))


def _prompts(row: pd.Series) -> Iterator[Prompt]:
    geometry = row[row.index[-1]] if "geometry" not in row else row["geometry"]
    if geometry is None or geometry.is_empty:
        raise PromptError(f"object {row['object']}: a row has no geometry")
    positive = _sign(row.get("positive"))
    kind = str(plain_value(row.get("kind")) or "").strip().lower()
    flat = shapely.force_2d(geometry)
    for part in shapely.get_parts(flat) if kind != "region" else [flat]:
        yield _prompt(part, kind, positive)


def _prompt(geometry: Any, kind: str, positive: bool) -> Prompt:
    match geometry.geom_type:
        case "Point":
            return Point(geometry.x, geometry.y, positive)
        case "LineString" | "LinearRing":
            xy = shapely.get_coordinates(geometry)
            return Scribble(tuple((float(x), float(y)) for x, y in xy), positive)
        case "Polygon" | "MultiPolygon" if kind == "region":
            return Region(geometry)
        case "Polygon" if kind in {"", "box", "polygon", "bbox"}:
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
