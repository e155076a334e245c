"""Rows of a layer that can not be used, by number: nothing is left out in silence."""

from __future__ import annotations

import logging
from collections.abc import Iterable

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray

log = logging.getLogger(__name__)

POLYGONS = (3, 6)
"""Shapely's numbers of the types."""


def blank_rows(frame: gpd.GeoDataFrame) -> NDArray[np.intp]:
    """Return the places, from 0, of rows without geometry or with an empty one."""
    shapes = np.asarray(frame.geometry.array, dtype=object)
    found: NDArray[np.intp] = np.flatnonzero(shapely.is_missing(shapes) | shapely.is_empty(shapes))
    return found


def rows_said(places: Iterable[int], what: str) -> list[str]:
    """Return a line that names rows, ``rows 2, 5 and 9 have no geometry``; none without any.

    Args:
        places: Of the rows, from 0.
        what: Follows ``have``.
    """
    numbers = [str(int(place) + 1) for place in places]
    match numbers:
        case []:
            return []
        case [only]:
            return [f"row {only} has {what}"]
        case _:
            return [f"rows {', '.join(numbers[:-1])} and {numbers[-1]} have {what}"]


def left_out(path_name: str, places: Iterable[int], what: str) -> None:
    """Log which rows of a file are left out; ``what`` as in ``rows_said``."""
    for line in rows_said(places, what):
        log.warning("%s: %s: left out", path_name, line)


def polygons_of(frame: gpd.GeoDataFrame, name: str) -> shapely.Geometry | None:
    """Return all polygons of a layer as one geometry, None without any; other rows are logged.

    Args:
        frame: Of the layer.
        name: What to call it.
    """
    shapes = np.asarray(frame.geometry.array, dtype=object)
    are_polygons = np.isin(shapely.get_type_id(shapes), POLYGONS) & ~shapely.is_empty(shapes)
    left_out(name, np.flatnonzero(~are_polygons), "no polygon")
    if not are_polygons.any():
        return None
    return shapely.union_all(shapely.make_valid(shapes[are_polygons], method="structure"))


def polygon_rows(frame: gpd.GeoDataFrame) -> tuple[gpd.GeoDataFrame, list[str]]:
    """Return the rows with a polygon, and lines that name the others."""
    shapes = np.asarray(frame.geometry.array, dtype=object)
    blank = shapely.is_missing(shapes) | shapely.is_empty(shapes)
    other = ~blank & ~np.isin(shapely.get_type_id(shapes), POLYGONS)
    told = rows_said(np.flatnonzero(blank), "no geometry")
    told += rows_said(np.flatnonzero(other), "no polygon")
    return frame[~(blank | other)], told
