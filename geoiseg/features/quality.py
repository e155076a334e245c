"""Quality checks of features: what is doubtful is flagged, nothing is changed or deleted."""

from __future__ import annotations

import itertools
import logging
import math
from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray

from geoiseg.errors import GeoreferenceError
from geoiseg.features.feature import compactness, has_our_measures, renamed_in_words
from geoiseg.features.schema import Schema
from geoiseg.outline.coverage.frame import Frame
from geoiseg.raster import measure_all

log = logging.getLogger(__name__)

CHECKED = ("compactness", "irregularity", "parts", "flags")
"""Columns that ``checked`` writes."""
Shares = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class QualityOptions:
    """What is doubtful. Zero leaves a check out."""

    min_area: float = 0.0
    """Square metres; smaller ones are ``small``."""
    max_parts: int = 1
    """More detached parts are ``parts``."""
    max_irregularity: float = 0.0
    """Length of the outline over that of the parts' convex hulls; more is ``irregular``. A
    straight-sided field has 1 to 1.1, one traced along pixel edges askew up to 1.3, a
    frayed one 2 and more."""
    min_compactness: float = 0.0
    """``4 pi area / perimeter²``, 1 for a disk; less is ``thin``."""

    def __post_init__(self) -> None:
        for name in ("min_area", "max_parts", "max_irregularity", "min_compactness"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise GeoreferenceError(f"{name} is a limit of 0 or more, got {value}")


def checked(
    frame: gpd.GeoDataFrame,
    options: QualityOptions | None = None,
    schema: Schema | None = None,
    label_column: str = "label",
) -> gpd.GeoDataFrame:
    """Return the table with ``compactness``, ``irregularity``, ``parts`` and ``flags``.

    Flags are words joined by spaces, empty where nothing is wrong: ``empty``, ``invalid``,
    ``small``, ``parts``, ``irregular``, ``thin``; ``missing:name`` and ``value:name`` where a
    field of the schema has no value, or one that it may not have.

    Args:
        frame: Polygons and MultiPolygons.
        options: The limits.
        schema: What each class is to say.
        label_column: Column of the class.
    """
    limits = options or QualityOptions()
    shapes = np.asarray(frame.geometry.array, dtype=object)
    sizes = measure_all(shapes, frame.crs)
    sizes = np.where(np.isfinite(sizes), sizes, _plain(shapes)) if frame.crs is None else sizes
    compact = np.array([compactness(*size) for size in sizes])
    ragged = irregularity(shapes, frame.crs)
    parts = shapely.get_num_geometries(shapes)
    blank = shapely.is_missing(shapes) | shapely.is_empty(shapes)
    sound = ~blank & shapely.is_valid(shapes)  # what is not has no measures
    wrong = {
        "empty": blank,
        "invalid": ~blank & ~sound,
        "small": sound & (sizes[:, 0] < limits.min_area),
        "parts": sound & (parts > (limits.max_parts or np.inf)),
        "irregular": sound & (ragged > (limits.max_irregularity or np.inf)),
        "thin": sound & (compact < limits.min_compactness),
    }
    words: list[list[str]] = [[] for _ in shapes]
    for name, rows in wrong.items():
        for row in np.flatnonzero(rows):
            words[row].append(name)
    if schema:
        for said, row in zip(words, frame.to_dict("records"), strict=True):
            said.extend(schema.faults(str(row.get(label_column) or ""), row))
    kept = _without_checks(frame)
    texts = [" ".join(said) for said in words]
    found: gpd.GeoDataFrame = kept.assign(
        compactness=compact, irregularity=ragged, parts=parts.astype(np.int64), flags=texts
    )
    return found


def _without_checks(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Return a table without the columns of an older check; a user's own get other names."""
    there = [name for name in CHECKED if name in frame]
    ours = set(there) if len(there) == len(CHECKED) else set()
    if has_our_measures(frame):
        ours.add("compactness")
    theirs = [name for name in there if name not in ours]
    names = _free(theirs, {*map(str, frame.columns), *CHECKED})
    if names:
        log.warning("%s", renamed_in_words(names))
    kept: gpd.GeoDataFrame = frame.drop(columns=[name for name in there if name in ours])
    return kept.rename(columns=names)


def _free(names: list[str], taken: set[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in names:
        numbered = (f"{name}_{number}" for number in itertools.count(1))
        found[name] = next(one for one in numbered if one not in taken)
    return found


def irregularity(shapes: NDArray[Any], crs: Any = None) -> Shares:
    """Return ``(n,)`` the length of each outline over that of its parts' convex hulls.

    1 for convex shapes; NaN for empty ones, and those with a coordinate that is no finite
    number. Holes count as outline.
    """
    coordinates, owner = shapely.get_coordinates(shapes, return_index=True)
    endless = np.zeros(len(shapes), bool)
    endless[owner[~np.isfinite(coordinates).all(1)]] = True
    alone = np.where(shapely.is_missing(shapes) | endless, shapely.Polygon(), shapes)
    framed = Frame.of(alone, crs, 0.0).into(alone)
    parts, owner = shapely.get_parts(framed, return_index=True)
    around = np.bincount(owner, shapely.length(shapely.convex_hull(parts)), len(shapes))
    length: Shares = shapely.length(framed)
    share: Shares = np.full(len(shapes), np.nan)
    np.divide(length, around, out=share, where=around > 0)
    return share


def _plain(shapes: NDArray[Any]) -> Shares:
    """Return ``(n, 2)`` areas and lengths in the units of the coordinates."""
    return np.column_stack([shapely.area(shapes), shapely.length(shapes)])


def summary(frame: gpd.GeoDataFrame) -> dict[str, int]:
    """Return how many features have each flag, the most frequent first."""
    words = [word for text in frame["flags"] for word in str(text).split()]
    counts = {word: words.count(word) for word in dict.fromkeys(words)}
    return dict(sorted(counts.items(), key=lambda item: -item[1]))
