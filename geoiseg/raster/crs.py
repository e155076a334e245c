"""Coordinate reference systems, and coordinates moved from one to another."""

from __future__ import annotations

import threading
from functools import lru_cache
from typing import Any

import numpy as np
import pyproj
import shapely
from numpy.typing import ArrayLike, NDArray

from geoiseg.errors import GeoreferenceError

XY = NDArray[np.float64]
"""``(n, 2)`` float64 coordinates, x before y."""


def as_crs(crs: Any) -> pyproj.CRS | None:
    """Return ``crs`` (anything pyproj or rasterio understands, or None) as a pyproj CRS.

    Raises:
        GeoreferenceError: The value is no CRS.
    """
    if crs is None or isinstance(crs, pyproj.CRS):
        return crs
    try:
        return pyproj.CRS.from_user_input(crs)
    except pyproj.exceptions.CRSError as error:
        raise GeoreferenceError(f"{crs!r} is not a CRS; use e.g. 'EPSG:4326'") from error


@lru_cache(maxsize=64)
def without_heights(crs: pyproj.CRS) -> pyproj.CRS:
    """Return a CRS without its vertical part; one with a shift to WGS 84 keeps that."""
    if crs.is_compound:
        return without_heights(crs.sub_crs_list[0])
    if not crs.is_geocentric and not crs.is_bound and len(crs.axis_info) == 3:
        return crs.to_2d()
    return crs


@lru_cache(maxsize=64)
def plane_of(crs: pyproj.CRS) -> pyproj.CRS:
    """Return the CRS that x and y are of: neither heights nor a shift to WGS 84."""
    flat = without_heights(crs)
    return plane_of(flat.source_crs) if flat.is_bound and flat.source_crs is not None else flat


@lru_cache(maxsize=64)
def _transformer(source: pyproj.CRS, target: pyproj.CRS, _thread: int) -> pyproj.Transformer:
    """Return a transformer of this thread's own: PROJ contexts are not to be shared."""
    try:
        return pyproj.Transformer.from_crs(
            without_heights(source), without_heights(target), always_xy=True
        )
    except pyproj.exceptions.ProjError as error:
        raise GeoreferenceError(
            f"there is no way from {source.name} to {target.name}; is the CRS right?"
        ) from error


def has_way(source: pyproj.CRS, target: pyproj.CRS) -> bool:
    """Return whether places can be moved from one CRS to another: PROJ may not know the method."""
    try:
        _transformer(source, target, threading.get_ident())
    except GeoreferenceError:
        return False
    return True


def moved_xy(xy: ArrayLike, source: pyproj.CRS, target: pyproj.CRS) -> XY:
    """Return ``(n, 2)`` coordinates moved to another CRS, NaN where a place has none there.

    Raises:
        GeoreferenceError: There is no way between the two.
    """
    points = np.atleast_2d(np.asarray(xy, dtype=np.float64))
    transformer = _transformer(source, target, threading.get_ident())
    moved = np.column_stack(transformer.transform(points[:, 0], points[:, 1]))
    moved[~np.isfinite(moved).all(axis=1)] = np.nan
    return moved


def reproject_xy(xy: ArrayLike, source: Any, target: Any) -> XY:
    """Return ``(n, 2)`` coordinates moved from one CRS to another, x (or longitude) first.

    Either CRS may be None: then nothing is moved, and both must be None or the given
    coordinates are taken as they are.

    Raises:
        GeoreferenceError: A coordinate has no image in the target CRS.
    """
    points = np.atleast_2d(np.asarray(xy, dtype=np.float64))
    source, target = as_crs(source), as_crs(target)
    if source is None or target is None or source == target:
        return points.copy()
    moved = moved_xy(points, source, target)
    lost = np.isnan(moved).any(axis=1)
    if lost.any():
        bad = points[lost][0]
        raise GeoreferenceError(
            f"({bad[0]:g}, {bad[1]:g}) in {source.name} has no place in {target.name};"
            " is the CRS of the coordinates right?"
        )
    return moved


def reproject_geometry(geometry: Any, source: Any, target: Any) -> Any:
    """Return a shapely geometry moved from one CRS to another, vertex by vertex."""
    source, target = as_crs(source), as_crs(target)
    if source is None or target is None or source == target:
        return geometry
    return shapely.transform(geometry, lambda xy: reproject_xy(xy, source, target))
