"""The world is round: places are the same whichever way round they are written.

Longitudes go from -180 to 180 or from 0 to 360, a raster across the antimeridian goes on
beyond either, and the x of cylindrical projections comes round just so. What is brought to a
raster is written as the raster is; what is written to GeoJSON is cut at 180 degrees. The
package ``antimeridian`` cuts at 180 degrees alone and knows neither of the rest.
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
from geoiseg.raster.crs import XY, as_crs, moved_xy, plane_of, reproject_geometry

SAME = 1e-9
"""Share of a turn that is rounding."""
AREAS = (3, 6)
"""GEOS' numbers of Polygon and MultiPolygon."""


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


def _rings(part: Any) -> list[XY]:
    return [shapely.get_coordinates(ring) for ring in shapely.get_rings(part)]


def _jumps(geometry: Any, turn: float) -> bool:
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
    if geometry is None or turn is None or not _jumps(geometry, turn):
        return geometry
    parts = [_unrolled_part(part, turn, seam, crs) for part in shapely.get_parts(geometry)]
    return _collected(parts, geometry)


def _unrolled_part(part: Any, turn: float, seam: bool, crs: Any) -> Any:
    if part.geom_type == "Point":
        return part
    if part.geom_type != "Polygon":
        xy = shapely.get_coordinates(part)
        return shapely.LineString(
            np.column_stack([unrolled_x(xy[:, 0], turn, seam=seam), xy[:, 1]])
        )
    rings = []
    for number, xy in enumerate(_rings(part)):
        x = unrolled_x(xy[:, 0], turn, seam=seam)
        if number:
            x = x + turn * np.round((rings[0][:, 0].mean() - x.mean()) / turn)
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


def _collected(parts: list[Any], like: Any) -> Any:
    """Return parts as one geometry, those of polygons that now meet united."""
    flat = shapely.get_parts(parts)
    if like.geom_type in {"Polygon", "MultiPolygon"}:
        return flat[0] if len(flat) == 1 else shapely.union_all(flat)
    if like.geom_type in {"LineString", "LinearRing"}:
        return flat[0]
    return {"MultiLineString": shapely.multilinestrings, "MultiPoint": shapely.multipoints}.get(
        like.geom_type, shapely.geometrycollections
    )(flat)


def joined(geometry: Any, crs: Any) -> Any:
    """Return a geometry whose parts meet that were cut apart at the edge of a map.

    RFC 7946 cuts at the antimeridian what crosses it. Its parts then touch both edges of the
    map; those that touch each other once one is moved by a turn become one.
    """
    turn = turn_of(crs)
    if geometry is None or turn is None or shapely.get_num_geometries(geometry) < 2:
        return geometry
    left, _, right, _ = shapely.bounds(geometry)
    if not right - left >= turn * (1 - SAME) or geometry.geom_type != "MultiPolygon":
        return geometry
    parts = shapely.get_parts(geometry)
    boxes = shapely.bounds(parts)
    west = np.abs(boxes[:, 0] - left) <= turn * SAME
    east = np.abs(boxes[:, 2] - (left + turn)) <= turn * SAME
    if not (west.any() and east.any()) or (west & east).any():
        return geometry
    moved = shapely.transform(parts[west], lambda xy: xy + (turn, 0.0))
    meets = np.array([bool(shapely.intersects(part, parts[east]).any()) for part in moved])
    if not meets.any():
        return geometry
    new = parts.copy()
    new[np.flatnonzero(west)[meets]] = moved[meets]
    return shapely.union_all(new)


def brought(geometry: Any, source: Any, target: Any, outline: XY) -> Any:
    """Return a geometry moved to another CRS and written as what lies there is.

    Edges that are longer than half way round go the short way, if that meets what lies
    there and the way as written does not, or it is narrower than half the world.

    Args:
        geometry: Shapely geometry.
        source: Its CRS; None for the target's.
        target: The CRS to move to, or None.
        outline: ``(n, 2)`` closed, fine outline of what lies there, in the target CRS.

    Raises:
        GeoreferenceError: A vertex has no place in the target CRS.
    """
    to = as_crs(target)
    if geometry is None or geometry.is_empty or to is None:
        return geometry
    start = as_crs(source) or to
    turn = turn_of(start)
    if turn is not None:
        geometry = joined(geometry, start)
        if _jumps(geometry, turn):
            geometry = _short_way(geometry, start, turn, _reach(outline, to, start, turn))
    if start != to:
        geometry = unrolled(reproject_geometry(geometry, start, to), to, seam=True)
    around = turn_of(to)
    return geometry if around is None else _near(geometry, around, outline)


def _reach(outline: XY, to: pyproj.CRS, start: pyproj.CRS, turn: float) -> tuple[float, float]:
    """Return the least and greatest x of an outline in another CRS, without a jump."""
    x = outline[:, 0] if to == start else moved_xy(outline, to, start)[:, 0]
    known = unrolled_x(x[np.isfinite(x)], turn, seam=True)
    if not len(known):
        return -math.inf, math.inf
    if abs(known[-1] - known[0]) > turn / 2:  # around a pole
        return float(known[0] - turn / 2), float(known[0] + turn / 2)
    return float(known.min()), float(known.max())


def _short_way(geometry: Any, crs: Any, turn: float, reach: tuple[float, float]) -> Any:
    short = unrolled(geometry, crs)

    def meets(shape: Any) -> bool:
        left, _, right, _ = shapely.bounds(shape)
        return bool(math.floor((reach[1] - left) / turn) >= math.ceil((reach[0] - right) / turn))

    if meets(geometry) and (not meets(short) or reach[1] - reach[0] > turn / 2):
        return geometry
    return short


def _near(geometry: Any, turn: float, outline: XY) -> Any:
    """Return the copies of a geometry's parts that lie nearest to an outline, or on it."""
    low, high = float(outline[:, 0].min()), float(outline[:, 0].max())
    left, _, right, _ = shapely.bounds(geometry)
    middle = (low + high) / 2
    if low - SAME * turn <= left and right <= high + SAME * turn:
        return geometry
    parts, moved = shapely.get_parts(geometry), []
    for part, (west, _, east, _) in zip(parts, shapely.bounds(parts), strict=True):
        here = float(nearest((west + east) / 2, middle, turn) - (west + east) / 2)
        shifts = {here}
        if geometry.geom_type in {"Polygon", "MultiPolygon"}:
            first = math.ceil((low - east - here) / turn + SAME)
            last = math.floor((high - west - here) / turn - SAME)
            shifts |= {here + turn * k for k in range(first, last + 1)}
        moved.extend(
            part if not by else shapely.transform(part, lambda xy, by=by: xy + (by, 0.0))
            for by in sorted(shifts)
        )
    if len(moved) == len(parts) == 1:
        return moved[0]
    return _collected(moved, geometry)


def brought_xy(xy: ArrayLike, source: Any, target: Any, outline: XY) -> XY:
    """Return ``(n, 2)`` places of one stroke moved to another CRS, written as what lies there is.

    Raises:
        GeoreferenceError: A place has none in the target CRS.
    """
    points = np.atleast_2d(np.asarray(xy, dtype=np.float64))
    if len(points) == 1:
        moved = brought(shapely.Point(points[0]), source, target, outline)
    else:
        moved = brought(shapely.LineString(points), source, target, outline)
    return np.asarray(shapely.get_coordinates(moved))


def cut(geometry: Any, crs: Any) -> Any:
    """Return a geometry in longitude and latitude within -180..180, cut at the antimeridian.

    As RFC 7946 wants it (clause 3.1.9). Rings around a pole are closed along it.

    Args:
        geometry: In ``crs``.
        crs: Of degrees.
    """
    turn = turn_of(crs)
    if geometry is None or geometry.is_empty or turn is None:
        return geometry
    whole = unrolled(geometry, crs, seam=True)
    left, _, right, _ = shapely.bounds(whole)
    half = turn / 2
    if -half <= left and right <= half:
        return whole
    pieces = []
    for k in range(math.floor((left + half) / turn), math.ceil((right - half) / turn) + 1):
        strip = shapely.box(k * turn - half, -turn, k * turn + half, turn)
        piece = shapely.intersection(whole, strip)
        pieces.append(shapely.transform(piece, lambda xy, k=k: xy - (k * turn, 0.0)))
    return _of_kind(pieces, whole)


def _of_kind(pieces: list[Any], like: Any) -> Any:
    """Return pieces of as many dimensions as what they were cut from as one geometry."""
    parts = shapely.get_parts(shapely.get_parts(pieces))
    wanted = shapely.get_dimensions(like)
    kept = parts[(shapely.get_dimensions(parts) == wanted) & ~shapely.is_empty(parts)]
    if len(kept) == 1:
        return kept[0]
    return (shapely.multipoints, shapely.multilinestrings, shapely.multipolygons)[wanted](kept)


def gathered(shapes: ArrayLike, crs: Any) -> NDArray[Any]:
    """Return ``(n,)`` geometries of a layer, written without a gap at the edge of the map.

    Those beyond the widest gap between all of them are moved by a turn, so that what meets on
    the ground meets in x and y. The same array where nothing is to do.
    """
    given = np.asarray(shapes, dtype=object).reshape(-1)
    turn = turn_of(crs)
    there = ~(shapely.is_missing(given) | shapely.is_empty(given))
    if turn is None or not there.any():
        return given
    left, _, right, _ = shapely.total_bounds(given[there])
    if not right - left > turn / 2:
        return given
    whole = given.copy()
    whole[there] = [unrolled(joined(one, crs), crs) for one in given[there]]
    boxes = shapely.bounds(whole[there])
    west, span = boxes[:, 0] % turn, boxes[:, 2] - boxes[:, 0]
    order = np.argsort(west)
    ends = np.maximum.accumulate((west + span)[order])
    starts = np.append(west[order][1:], west[order][0] + turn)
    gap = int(np.argmax(starts - ends))
    if starts[gap] - ends[gap] <= 0:
        return whole
    first = float(starts[gap] % turn)
    middle = first + (float(ends[gap]) + (turn if gap < len(order) - 1 else 0.0) - first) / 2
    middle -= turn * round((middle - (left + right) / 2) / turn)
    centres = (boxes[:, 0] + boxes[:, 2]) / 2
    by = nearest(centres, middle, turn) - centres
    for number, shift in zip(np.flatnonzero(there), by, strict=True):
        if shift:
            whole[number] = shapely.transform(
                whole[number], lambda xy, shift=shift: xy + (shift, 0.0)
            )
    return whole
