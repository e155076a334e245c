"""Outlines of buildings: walls in two directions at right angles."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geoiseg.outline.vectorize.generalize import (
    Outline,
    check_length,
    check_share,
    is_blank,
    keeps_area,
    simplify,
)
from geoiseg.outline.vectorize.rows import rows_of
from geoiseg.outline.vectorize.walls import XY, Walls

Traced = tuple[XY, NDArray[np.intp]]
"""``(n, 2)`` a ring and ``(k,)`` the vertices between which it is nearly straight."""

NOISE = 1.5
"""How far a pixel outline strays from a straight wall, in its shortest edges (pixels)."""
SHORTEST_WALLS = (2.0, 4.0, 8.0)
"""Lengths below which walls are dropped that are tried, in tolerances."""
MOST_WALLS = 400
"""An outline of more walls is no building's."""
CORNER = 3.0
"""What a corner must bring: an outline that is better by so many squared tolerances."""


def regularize(
    geometry: Any,
    max_area_change: float = 0.05,
    tolerance: float | None = None,
    direction: float | None = None,
) -> Any:
    """Return the Polygon or MultiPolygon with walls in two directions at right angles.

    The directions are found for each part by itself. Each wall is laid where it leaves as
    much area on either side, and walls shorter than a few tolerances are dropped. A part
    that is no such building (its area would change by more than ``max_area_change``, or
    the outline would have to move by more than its own noise and that share) is simplified
    instead, and so is the whole geometry where squared parts would meet. To know which,
    look at the angles of what comes back.

    Args:
        geometry: Valid; None and empty geometries are returned as they are. In a frame in
            which a right angle is one, so not in degrees.
        max_area_change: Share of the area, 0..1, that may be added or taken.
        tolerance: How far the outline strays from the true walls, in the geometry's units.
            By default one and a half times the shortest edge: a pixel and a half.
        direction: Of the row that it stands in, in radians, which its walls take exactly where
            its own noise and the share of the area allow.

    Raises:
        GeoreferenceError: No polygon, or a number out of range.
    """
    check_share(max_area_change)
    if is_blank(geometry):
        return geometry
    if tolerance is None:
        tolerance = _noise(geometry)
    check_length("tolerance", tolerance)
    parts = [
        _in_row(part, tolerance, max_area_change, direction)
        or _reshaped(part, tolerance, max_area_change)
        for part in shapely.get_parts(geometry)
    ]
    whole = parts[0] if isinstance(geometry, shapely.Polygon) else shapely.multipolygons(parts)
    return whole if whole.is_valid else simplify(geometry, tolerance, max_area_change)


def _noise(geometry: Any) -> float:
    """Return a pixel and a half, told by the shortest edge; less where the shape is thin."""
    outline = Outline.of(geometry)
    edges = np.hypot(*(outline.xy[outline.following] - outline.xy).T)
    width = 2 * geometry.area / geometry.length
    return float(min(NOISE * edges.min(), width / 2))


def _reshaped(polygon: Any, tolerance: float, max_area_change: float) -> Any:
    """Return the best right-angled version of a polygon, or the simplified polygon.

    The exterior decides by itself, so that a shape that is no building costs little.
    """
    simple = simplify(polygon, tolerance, 1.0)  # along stairs at 45 degrees the area jumps
    traced = _traced(polygon, simple)
    shell = shapely.Polygon(polygon.exterior)
    best, least = None, math.inf
    for angle, factor in product(_directions(polygon, simple), SHORTEST_WALLS):
        candidate = _built(traced[:1], angle, factor * tolerance)
        cost = _moved(candidate, shell, tolerance, max_area_change)
        if cost < math.inf:
            cost += CORNER * tolerance**2 * shapely.get_num_coordinates(candidate)
        if cost < least:
            best, least = (angle, factor), cost
    if best is not None:
        squared = _built(traced, best[0], best[1] * tolerance)
        if _moved(squared, polygon, tolerance, max_area_change) < math.inf:
            return squared
    if keeps_area(simple, polygon, max_area_change):
        return simple
    return simplify(polygon, tolerance, max_area_change)


def regularize_together(geometries: Sequence[Any], max_area_change: float = 0.05) -> list[Any]:
    """Return outlines of buildings squared, those of a row in one direction.

    Args:
        geometries: As :func:`regularize` takes them, in one frame.
        max_area_change: Share of the area, 0..1, that may be added or taken.
    """
    return [
        regularize(one, max_area_change, direction=direction)
        for one, direction in zip(geometries, rows_of(geometries), strict=True)
    ]


def _in_row(
    polygon: Any, tolerance: float, max_area_change: float, direction: float | None
) -> Any | None:
    """Return a polygon with walls in exactly that direction and across; None where it has none."""
    if direction is None:
        return None
    traced = _traced(polygon, simplify(polygon, tolerance, 1.0))
    best, least = None, math.inf
    for factor in SHORTEST_WALLS:
        candidate = _built(traced, direction, factor * tolerance, fixed=True)
        cost = _moved(candidate, polygon, tolerance, max_area_change)
        if cost < math.inf:
            cost += CORNER * tolerance**2 * shapely.get_num_coordinates(candidate)
        if cost < least:
            best, least = candidate, cost
    return best


def _moved(candidate: Any, polygon: Any, tolerance: float, max_area_change: float) -> float:
    """Return the area by which a candidate is off; inf where noise does not explain it."""
    if candidate is None or not keeps_area(candidate, polygon, max_area_change):
        return math.inf
    # Pixel stairs make an outline longer than its walls; the walls' length is what counts.
    noise = tolerance * candidate.length / 4
    moved = float(shapely.symmetric_difference(candidate, polygon).area)
    return moved if moved <= max_area_change * polygon.area + noise else math.inf


def _directions(polygon: Any, simple: Any) -> Iterator[float]:
    """Yield directions, in radians, that the walls may have."""
    corners = shapely.get_coordinates(shapely.minimum_rotated_rectangle(polygon))
    edge = corners[1] - corners[0]
    yield float(np.arctan2(edge[1], edge[0]))
    outline = Outline.of(simple)
    edges = outline.xy[outline.following] - outline.xy
    turns = 4 * np.arctan2(edges[:, 1], edges[:, 0])  # right angles make full turns
    weight = (edges**2).sum(axis=1)
    yield float(np.arctan2(weight @ np.sin(turns), weight @ np.cos(turns)) / 4)


def _traced(polygon: Any, simple: Any) -> list[Traced]:
    """Return each ring of a polygon with the places of its vertices in the simpler one."""
    fine, coarse = Outline.of(polygon).rings(), Outline.of(simple).rings()
    return [(ring, _places(ring, some)) for ring, some in zip(fine, coarse, strict=True)]


def _places(ring: XY, some: XY) -> NDArray[np.intp]:
    """Return ``(k,)`` where in a ring some of its vertices are, ascending."""
    key = ring[:, 0] + 1j * ring[:, 1]
    order = np.argsort(key)
    return np.sort(order[np.searchsorted(key, some[:, 0] + 1j * some[:, 1], sorter=order)])


def _built(traced: list[Traced], angle: float, shortest: float, *, fixed: bool = False) -> Any:
    """Return the polygon with walls along about that angle, or exactly that, and across.

    Returns:
        None where there are far too many walls, or walls meet that should not.
    """
    middle = traced[0][0].mean(axis=0)  # far from the origin, integrals would lose digits
    about = [(ring - middle, vertices) for ring, vertices in traced]
    walls = [Walls.cut(ring @ _turn(angle), vertices) for ring, vertices in about]
    if len(walls[0].start) > MOST_WALLS:
        return None
    slants = [wall.without_short(shortest).slant() for wall in walls]
    rise, run = np.sum(slants, axis=0)
    turn = _turn(angle if fixed else angle + float(np.arctan2(rise, run)))
    exterior, *holes = (
        _squared(ring @ turn, vertices, shortest) @ turn.T + middle for ring, vertices in about
    )
    built = shapely.Polygon(exterior, holes)
    return built if built.is_valid else None


def _squared(ring: XY, vertices: NDArray[np.intp], shortest: float) -> XY:
    """Return ``(m, 2)`` the corners of a ring's walls; its shrunk bounding box without any."""
    walls = Walls.cut(ring, vertices).without_short(shortest)
    if len(walls.start):
        return walls.corners()
    low, high = ring.min(axis=0), ring.max(axis=0)
    share = np.sqrt(shapely.Polygon(ring).area / np.prod(high - low))
    half = (high - low) / 2 * share
    box: XY = (low + high) / 2 + half * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    return box


def _turn(angle: float) -> XY:
    """Return the matrix that turns rows of xy so that ``angle`` comes to lie along x."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s], [s, c]])
