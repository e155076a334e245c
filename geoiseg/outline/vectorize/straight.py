"""Outlines of few long edges at any angle: parcels are straight, but not right-angled.

Each edge is a line fitted to the part of the outline that it stands for (least squares across it),
and corners lie where two such lines meet. So an edge lies amid its noise, where a simplified
outline runs from one stray vertex to the next.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geoiseg.outline.vectorize.generalize import (
    check_length,
    check_share,
    is_blank,
    keeps_area,
    keeps_shape,
    simplify,
)

XY = NDArray[np.float64]
Spans = list[tuple[int, int]]
"""First and last vertex of each edge's part of a line."""

TRIES = 4
"""Halvings of the tolerance before an outline is simplified instead."""
CORNER = 0.2
"""Share of an edge's part, at either end, that may be rounded and does not count for its fit."""
SLANT = 0.17
"""Least sine of the angle at which two fitted edges meet in a corner: 10 degrees."""
APART = 2.0
"""How far, in tolerances, a corner may lie from where the outline turned."""
SHORT = 3.0
"""Tolerances below which an edge may be a corner cut off."""


def straighten(geometry: Any, tolerance: float, max_area_change: float = 0.02) -> Any:
    """Return the Polygon or MultiPolygon with few straight edges: same parts and holes, valid.

    Args:
        geometry: Valid; None and empty geometries are returned as they are.
        tolerance: How far the outline strays from its true edges, in the geometry's units; corners
            may move by twice as much.
        max_area_change: Share of the area, 0..1, that may be added or taken in total.

    Returns:
        The geometry simplified where no straight edges keep the bounds.

    Raises:
        GeoreferenceError: No polygon, or a number out of range.
    """
    check_length("tolerance", tolerance)
    check_share(max_area_change)
    if is_blank(geometry) or tolerance == 0:
        return geometry
    limit = tolerance
    for _ in range(TRIES):
        found = _straightened(geometry, limit)
        if (
            found is not None
            and keeps_area(found, geometry, max_area_change)
            and keeps_shape(found, geometry)
            and shapely.hausdorff_distance(found, geometry) <= APART * tolerance
        ):
            return found
        limit /= 2
    return simplify(geometry, tolerance, max_area_change)


def straight_lines(lines: NDArray[Any], limit: NDArray[np.float64]) -> NDArray[Any]:
    """Return lines of few straight edges; ends of open ones stay, closed ones stay closed.

    Args:
        lines: ``(a,)`` LineStrings.
        limit: ``(a,)`` how far each strays from its true edges; 0 leaves it as it is.
    """
    found = np.empty(len(lines), object)
    for number, (line, reach) in enumerate(zip(lines, limit.tolist(), strict=True)):
        found[number] = line
        if reach > 0:
            closed = bool(shapely.is_closed(line))
            xy = straight_line(shapely.get_coordinates(line), reach, closed=closed)
            if xy is not None:
                found[number] = shapely.linestrings(xy)
    return found


def _straightened(geometry: Any, limit: float) -> Any:
    """Return a geometry with straight edges; None where a ring has less than three of them."""
    parts = []
    for part in shapely.get_parts(geometry):
        rings = []
        for ring in (part.exterior, *part.interiors):
            xy = straight_line(shapely.get_coordinates(ring), limit, closed=True)
            if xy is None:
                return None
            rings.append(xy)
        parts.append(shapely.Polygon(rings[0], rings[1:]))
    whole = parts[0] if isinstance(geometry, shapely.Polygon) else shapely.multipolygons(parts)
    return whole if whole.is_valid else None


def straight_line(xy: XY, limit: float, *, closed: bool) -> XY | None:
    """Return ``(k, 2)`` the corners of a line of straight edges; None where there are too few.

    Args:
        xy: ``(n, 2)`` its vertices; the last of a closed line is its first.
        limit: How far it strays from its true edges.
        closed: Whether it is a ring.
    """
    if closed:
        middle = xy[:-1].mean(axis=0)
        xy = np.roll(xy[:-1], -int(np.hypot(*(xy[:-1] - middle).T).argmax()), axis=0)
        xy = np.concatenate([xy, xy[:1]])
    dense = shapely.get_coordinates(shapely.segmentize(shapely.linestrings(xy), limit / 2))
    spans = _merged(dense, _spans(dense, limit), limit, closed=closed)
    spans = _without_cut_corners(dense, spans, limit, closed=closed)
    if closed and len(spans) < 3:
        return None
    lines = [_fitted(dense, *span) for span in spans]
    turns = [dense[last] for _, last in spans[:-1]]
    met = zip(pairwise(lines), turns, strict=True)
    corners = [_corner(one, other, turn, limit) for (one, other), turn in met]
    if closed:
        first = _corner(lines[-1], lines[0], dense[spans[0][0]], limit)
        return np.array([first, *corners, first])
    return np.array([dense[0], *corners, dense[-1]])


def _spans(dense: XY, limit: float) -> Spans:
    """Return the parts between the vertices that a simplified line keeps."""
    simple = shapely.get_coordinates(shapely.simplify(shapely.linestrings(dense), limit))
    kept, at = [0], 0
    for corner in simple[1:-1]:  # a subset, in order
        at += int(np.flatnonzero((dense[at:] == corner).all(axis=1))[0])
        kept.append(at)
    kept.append(len(dense) - 1)
    return [(a, b) for a, b in pairwise(kept) if b > a]


def _merged(dense: XY, spans: Spans, limit: float, *, closed: bool) -> Spans:
    """Return the spans with neighbours joined that one edge fits as well."""
    least = 3 if closed else 1
    while len(spans) > least:
        joined = [(a[0], b[1]) for a, b in pairwise(spans)]
        off = [_strays(dense, *span) for span in joined]
        best = int(np.argmin(off))
        if off[best] > limit:
            break
        spans = [*spans[:best], joined[best], *spans[best + 2 :]]
    return spans


def _without_cut_corners(dense: XY, spans: Spans, limit: float, *, closed: bool) -> Spans:
    """Return the spans without short ones at which two long edges meet in a corner anyway."""
    number = 1
    while number < len(spans) - 1 and len(spans) > (4 if closed else 2):
        before, (a, b), after = spans[number - 1 : number + 2]
        if np.hypot(*(dense[b] - dense[a])) < SHORT * limit:
            met = _meeting(_fitted(dense, *before), _fitted(dense, *after))
            if met is not None and max(np.hypot(*(met - dense[[a, b]]).T)) <= APART * limit:
                middle = (a + b) // 2
                spans = [*spans[: number - 1], (before[0], middle), (middle, after[1]),
                         *spans[number + 2 :]]  # fmt: skip
                continue
        number += 1
    return spans


def _fitted(dense: XY, first: int, last: int) -> tuple[XY, XY]:
    """Return a place on the line that fits vertices best, and its direction."""
    cut = int((last - first) * CORNER)
    some = dense[first + cut : last + 1 - cut]
    if len(some) < 2:
        some = dense[first : last + 1]
    middle = some.mean(axis=0)
    off = some - middle
    spread = off.T @ off
    _, axes = np.linalg.eigh(spread)
    return middle, axes[:, 1]


def _strays(dense: XY, first: int, last: int) -> float:
    """Return how far vertices lie from the line that fits them best, at most."""
    middle, along = _fitted(dense, first, last)
    off = dense[first : last + 1] - middle
    return float(np.abs(off[:, 0] * along[1] - off[:, 1] * along[0]).max())


def _meeting(one: tuple[XY, XY], other: tuple[XY, XY]) -> XY | None:
    """Return where two lines meet; None where they are nearly parallel."""
    (a, u), (b, v) = one, other
    sine = float(u[0] * v[1] - u[1] * v[0])
    if abs(sine) < SLANT:
        return None
    gap = b - a
    met: XY = a + u * float(gap[0] * v[1] - gap[1] * v[0]) / sine
    return met


def _corner(one: tuple[XY, XY], other: tuple[XY, XY], turn: XY, limit: float) -> XY:
    """Return the corner between two edges: where they meet, or as near as may be."""
    met = _meeting(one, other)
    if met is not None and np.hypot(*(met - turn)) <= APART * limit:
        return met
    near = [middle + along * float((turn - middle) @ along) for middle, along in (one, other)]
    between: XY = (near[0] + near[1]) / 2
    return between
