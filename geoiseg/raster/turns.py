"""The world is round: after a turn, x is where it was.

Of longitudes in degrees and grads, and of all cylindrical projections. Lines and rings whose
vertices are written on either side of the antimeridian are rolled out here, so that none of
their edges goes around the world.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
import pyproj
import shapely
from numpy.typing import ArrayLike, NDArray

from geoiseg.errors import GeoreferenceError
from geoiseg.raster.crs import XY, as_crs, moved_xy, plane_of

SAME = 1e-9
"""Share of a turn that is rounding."""


def turn_of(crs: Any) -> float | None:
    """Return after how many units x is at the same place again; None where it never is.

    360 of degrees, 400 of grads, 40 075 017 of Web Mercator, and so of all cylinders.
    """
    known = as_crs(crs)
    return None if known is None else _turn(plane_of(known))


@lru_cache(maxsize=64)
def _turn(crs: pyproj.CRS) -> float | None:
    if crs.is_geographic:
        return round(math.tau / crs.axis_info[0].unit_conversion_factor, 9)
    if not crs.is_projected or crs.geodetic_crs is None:
        return None
    base = crs.geodetic_crs
    degree = math.radians(1) / base.axis_info[0].unit_conversion_factor
    lon = np.arange(-180.0, 180.0, 36.0) + 17.0
    try:
        low, high = (
            moved_xy(np.column_stack([lon, np.full_like(lon, lat)]) * degree, base, crs)
            for lat in (10.0, 50.0)
        )
    except GeoreferenceError:
        return None
    steps = np.sort(np.diff(np.append(low[:, 0], low[0, 0])))
    flat = np.ptp(low[:, 1]) + np.ptp(high[:, 1]) + np.abs(low[:, 0] - high[:, 0]).max()
    span = np.abs(steps).sum() / 2
    if not np.isfinite(span) or flat > span * SAME:
        return None
    even = steps[1:] if abs(steps[0]) > abs(steps[-1]) else steps[:-1]
    return float(abs(even.mean()) * 10) if np.ptp(even) <= span * SAME else None


def nearest(x: ArrayLike, middle: float, turn: float) -> NDArray[np.float64]:
    """Return x moved by whole turns to within half a turn of a middle."""
    given = np.asarray(x, dtype=np.float64)
    off = (middle - given) / turn
    whole = np.where(np.abs(off) <= 0.5 + SAME, 0.0, np.round(off))
    return np.asarray(given + turn * whole)


def eastward(xmin: float, xmax: float, crs: Any) -> float:
    """Return ``xmax``, one turn on where a box from west to east goes across the antimeridian."""
    turn = turn_of(crs)
    return xmax + turn if turn is not None and xmax < xmin <= xmax + turn else xmax


def shifted(geometry: Any, by: float) -> Any:
    """Return a geometry, or an array of them, moved along x; itself for 0."""
    return shapely.transform(geometry, lambda xy: xy + np.array([by, 0.0])) if by else geometry


def unrolled_x(x: NDArray[np.float64], turn: float, *, seam: bool = False) -> NDArray[np.float64]:
    """Return the x of a line's vertices without jumps of more than half a turn.

    An edge of exactly one turn goes all around, unless it is the ``seam`` of what was moved.
    """
    jump = np.diff(x) / turn
    around = np.round(jump)
    if not seam:
        around[np.abs(np.abs(jump) - 1) <= SAME] = 0.0
    if not around.any():
        return x
    return np.asarray(x - turn * np.concatenate([[0.0], np.cumsum(around)]))


def jumps(geometry: Any, turn: float) -> bool:
    """Return whether an edge is longer than half a turn."""
    if geometry.is_empty or np.ptp(shapely.bounds(geometry)[[0, 2]]) <= turn / 2:
        return False
    xy, line = shapely.get_coordinates(_lines(geometry), return_index=True)
    edge = np.diff(line) == 0
    return bool((np.abs(np.diff(xy[:, 0]))[edge] > turn / 2).any())


def _lines(geometry: Any) -> Any:
    parts = shapely.get_parts(geometry)
    rings = shapely.get_rings(parts)
    return rings if len(rings) else parts


def unrolled(geometry: Any, crs: Any, *, seam: bool = False) -> Any:
    """Return a geometry whose edges all go the short way round; itself where they do.

    A ring around a pole is closed along it. A polygon that would have no area, such as the
    whole world, is left as it is.

    Args:
        geometry: Lines or polygons.
        crs: Theirs.
        seam: Whether edges of exactly one turn are of no length, not all around.
    """
    turn = turn_of(crs)
    if geometry is None or turn is None or not jumps(geometry, turn):
        return geometry
    parts = [_unrolled_part(part, turn, seam, crs) for part in shapely.get_parts(geometry)]
    return collected(parts, geometry)


def _unrolled_part(part: Any, turn: float, seam: bool, crs: Any) -> Any:
    if part.geom_type == "Point":
        return part
    if part.geom_type != "Polygon":
        xy = shapely.get_coordinates(part)
        return shapely.LineString(
            np.column_stack([unrolled_x(xy[:, 0], turn, seam=seam), xy[:, 1]])
        )
    rings: list[XY] = []
    for number, line in enumerate(shapely.get_rings(part)):
        xy = shapely.get_coordinates(line)
        x = unrolled_x(xy[:, 0], turn, seam=seam)
        if number:
            x = x + turn * round(float(rings[0][:, 0].mean() - x.mean()) / turn)
        ring = np.column_stack([x, xy[:, 1]])
        if abs(x[-1] - x[0]) > turn / 2:
            ring = _closed_at_pole(ring, crs)
        rings.append(ring)
    shape = shapely.make_valid(
        shapely.Polygon(rings[0], rings[1:]), method="structure", keep_collapsed=False
    )
    return part if shape.is_empty else shape


def _closed_at_pole(ring: XY, crs: Any) -> XY:
    """Return a ring that runs all around, closed along the pole that is nearer to it."""
    known = as_crs(crs)
    y = ring[:, 1]
    if known is not None and plane_of(known).is_geographic:
        rim = math.copysign(turn_of(known) / 4, y.mean())  # type: ignore[operator]
    else:  # a cylinder has no pole: its side that lies farther from the equator
        rim = float(y.max() if y.mean() > 0 else y.min())
    return np.vstack([ring, [ring[-1, 0], rim], [ring[0, 0], rim], ring[0]])


def collected(parts: list[Any], like: Any) -> Any:
    """Return parts as one geometry, those of polygons that now meet united."""
    flat = shapely.get_parts(parts)
    if like.geom_type in {"Polygon", "MultiPolygon"}:
        return flat[0] if len(flat) == 1 else shapely.union_all(flat)
    if like.geom_type in {"LineString", "LinearRing"}:
        return flat[0]
    return {"MultiLineString": shapely.multilinestrings, "MultiPoint": shapely.multipoints}.get(
        like.geom_type, shapely.geometrycollections
    )(flat)
