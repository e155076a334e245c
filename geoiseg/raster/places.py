"""A place is a place, whichever way round the world it is written.

Longitudes go from -180 to 180 or from 0 to 360, and a raster across the antimeridian goes on
beyond either. What is brought to a raster is written as the raster is; what goes to GeoJSON is
cut at 180 degrees. The package ``antimeridian`` does the last alone, of degrees alone.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyproj
import shapely
from numpy.typing import ArrayLike, NDArray

from geoiseg.raster.crs import XY, as_crs, moved_xy, reproject_geometry
from geoiseg.raster.turns import (
    SAME,
    collected,
    jumps,
    nearest,
    shifted,
    turn_of,
    unrolled,
    unrolled_x,
)

POLYGONS = 2
"""Dimensions of polygons."""
BOX_EDGE_STEPS = 32
"""Segments a box edge is cut into before it is reprojected."""


def box_outline(xmin: float, ymin: float, xmax: float, ymax: float) -> XY:
    """Return the closed, densified outline of a box, so that its edges may bend."""
    t = np.linspace(0.0, 1.0, BOX_EDGE_STEPS + 1)[:-1]
    x = np.concatenate([xmin + t * (xmax - xmin), np.full_like(t, xmax)])
    x = np.concatenate([x, xmax - t * (xmax - xmin), np.full_like(t, xmin), [xmin]])
    y = np.concatenate([np.full_like(t, ymin), ymin + t * (ymax - ymin), np.full_like(t, ymax)])
    y = np.concatenate([y, ymax - t * (ymax - ymin), [ymin]])
    return np.column_stack([x, y])


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
    moved = shifted(parts[west], turn)
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
        if jumps(geometry, turn):
            geometry = _short_way(geometry, start, turn, _reach(outline, to, start, turn))
    if start != to:
        geometry = unrolled(reproject_geometry(geometry, start, to), to, seam=True)
        if geometry.geom_type in {"Polygon", "MultiPolygon"} and not geometry.is_valid:
            # around a pole, both sides of the cut are the same line
            geometry = shapely.make_valid(geometry, method="structure", keep_collapsed=False)
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
    parts = shapely.get_parts(geometry)
    moved: list[Any] = []
    for part, (west, _, east, _) in zip(parts, shapely.bounds(parts), strict=True):
        here = float(nearest((west + east) / 2, middle, turn) - (west + east) / 2)
        shifts = {here}
        if geometry.geom_type in {"Polygon", "MultiPolygon"}:
            first = math.ceil((low - east - here) / turn + SAME)
            last = math.floor((high - west - here) / turn - SAME)
            shifts |= {here + turn * k for k in range(first, last + 1)}
        moved.extend(shifted(part, by) for by in sorted(shifts))
    if len(moved) == len(parts) == 1:
        return moved[0]
    return collected(moved, geometry)


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
        pieces.append(shifted(piece, -k * turn))
    return _of_kind(pieces, whole)


def _of_kind(pieces: list[Any], like: Any) -> Any:
    """Return pieces of as many dimensions as what they were cut from as one geometry."""
    parts = shapely.get_parts(shapely.get_parts(pieces))
    wanted = shapely.get_dimensions(like)
    kept = parts[(shapely.get_dimensions(parts) == wanted) & ~shapely.is_empty(parts)]
    if len(kept) == 1:
        return kept[0]
    if wanted == POLYGONS:
        return shapely.union_all(kept)  # what was closed along a pole meets itself again
    return (shapely.multipoints, shapely.multilinestrings)[wanted](kept)


def gathered(shapes: ArrayLike, crs: Any) -> NDArray[Any]:
    """Return ``(n,)`` geometries of a layer, so that what meets on the ground meets in x and y.

    Those beyond the widest gap between all of them are moved by a turn. A layer that goes
    around the world and has nothing at the edges of the map stays as it is.
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
    boxes = shapely.bounds(whole[there])[:, [0, 2]]
    first, width = _widest_gap(boxes, turn)
    if (turn - width > turn / 2 and right - left < turn * (1 - SAME)) or width <= 0:
        return given
    middle = first + (turn - width) / 2
    middle -= turn * round((middle - (left + right) / 2) / turn)
    centres = boxes.mean(axis=1)
    by = nearest(centres, middle, turn) - centres
    for number, shift in zip(np.flatnonzero(there), by.tolist(), strict=True):
        whole[number] = shifted(whole[number], shift)
    return whole


def _widest_gap(boxes: NDArray[np.float64], turn: float) -> tuple[float, float]:
    """Return where the widest gap between ``(n, 2)`` intervals of a circle ends, and its width."""
    starts = boxes[:, 0] % turn
    order = np.argsort(starts, kind="stable")
    starts = starts[order]
    ends = starts + np.diff(boxes, axis=1)[order, 0]
    reach = np.maximum(np.maximum.accumulate(ends), ends.max() - turn)
    gaps = np.append(starts[1:], starts[0] + turn) - reach
    widest = int(np.argmax(gaps))
    return float(np.append(starts[1:], starts[0])[widest]), float(gaps[widest])


def alongside(shapes: ArrayLike, source: Any, others: ArrayLike, target: Any) -> NDArray[Any]:
    """Return ``(n,)`` geometries moved to the CRS of others, and written as those are.

    Raises:
        GeoreferenceError: A vertex has no place in the CRS.
    """
    given = np.asarray(shapes, dtype=object).reshape(-1)
    bounds = shapely.total_bounds(np.asarray(others, dtype=object))
    if as_crs(source) is None or as_crs(target) is None or not np.isfinite(bounds).all():
        return given
    outline = box_outline(*bounds.tolist())
    moved = given.copy()
    moved[:] = [brought(one, source, target, outline) for one in given]
    return moved


def apart(shapes: ArrayLike, crs: Any, before: ArrayLike) -> NDArray[Any]:
    """Return ``(n,)`` geometries written as they were before they were gathered.

    Cut at the edge of the map again, where all of them lay on one turn around zero.
    """
    given = np.asarray(shapes, dtype=object).reshape(-1)
    turn = turn_of(crs)
    left, _, right, _ = shapely.total_bounds(np.asarray(before, dtype=object))
    if turn is None or not (-turn / 2 * (1 + SAME) <= left and right <= turn / 2 * (1 + SAME)):
        return given
    split = given.copy()
    split[:] = [cut(one, crs) for one in given]
    return split
