"""Centre lines of long polygons: the medial axis without its short branches."""

from __future__ import annotations

import heapq
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geoiseg.errors import GeoreferenceError
from geoiseg.outline.coverage.frame import Frame

Lines = NDArray[Any]

POINTS = 60_000
"""Most points on an outline: more would not show."""
PER_WIDTH = 6.0
"""Points of the outline along a mean width of the polygon."""
PRUNE = 2.0
"""A branch shorter than so many widths where it leaves is a bump of the bank."""


def centre_lines(
    polygon: Any, *, spacing: float | None = None, main: bool = False, crs: Any = None
) -> Lines:
    """Return ``(n,)`` LineStrings along the middle of a polygon, longest first.

    Edges of the Voronoi diagram of points on the outline that lie inside approximate the
    medial axis (Brandt and Algazi, 1992); branches that are short for the width are taken
    off. Around an island the line goes both ways.

    Args:
        polygon: Polygon or MultiPolygon.
        spacing: Metres between points on the outline; a sixth of the mean width by default.
        main: Only the one longest way through each part.
        crs: Of the polygon; without one lengths are in the units of the coordinates.

    Raises:
        GeoreferenceError: No polygon, or the spacing is not positive.
    """
    if not isinstance(polygon, shapely.Polygon | shapely.MultiPolygon):
        name = getattr(polygon, "geom_type", type(polygon).__name__)
        raise GeoreferenceError(f"a centre line is that of a polygon, got a {name}")
    if spacing is not None and not spacing > 0:
        raise GeoreferenceError(f"the spacing is a length in metres, got {spacing}")
    alone = np.array([polygon], dtype=object)
    frame = Frame.of(alone, crs, 0.0)
    found: list[Any] = []
    for part in shapely.get_parts(frame.into(alone)):
        if part.is_empty:
            continue
        step = spacing or 2 * part.area / part.length / PER_WIDTH
        branches = _pruned(_axis(part, max(step, part.length / POINTS)), part)
        found.extend(_longest_way(branches) if main else branches)
    lines = np.array(found, dtype=object)
    lines = lines[np.argsort(-shapely.length(lines), kind="stable")]
    back: Lines = shapely.transform(lines, frame.back)
    return back


def _axis(part: Any, step: float) -> Lines:
    """Return ``(e,)`` the Voronoi edges inside a polygon."""
    outline = shapely.segmentize(shapely.boundary(part), step)
    points = shapely.multipoints(np.unique(shapely.get_coordinates(outline), axis=0))
    edges = shapely.get_parts(shapely.voronoi_polygons(points, only_edges=True))
    xy, edge = shapely.get_coordinates(edges, return_index=True)
    first = np.flatnonzero(edge[1:] == edge[:-1])
    segments = np.unique(np.stack([xy[first], xy[first + 1]], axis=1), axis=0)
    lines = shapely.linestrings(segments)
    shapely.prepare(part)
    inside: Lines = lines[shapely.contains_properly(part, lines)]
    return inside


def _pruned(lines: Lines, part: Any) -> Lines:
    """Return branches between junctions, those that end soon taken off, shortest first."""
    rim = shapely.boundary(part)
    branches = _branches(lines)
    while len(branches) > 1:
        ends = np.stack([shapely.get_coordinates(shapely.get_point(branches, k)) for k in (0, -1)],
                        axis=1)  # fmt: skip
        _, node, count = np.unique(
            ends.reshape(-1, 2), axis=0, return_inverse=True, return_counts=True
        )
        free = (count[node.ravel()] == 1).reshape(-1, 2)
        inner = np.where(free[:, :1], ends[:, 1], ends[:, 0])
        width = 2 * shapely.distance(shapely.points(inner), rim)
        length = shapely.length(branches)
        short = (free.sum(axis=1) == 1) & (length < PRUNE * width)
        if not short.any():
            break
        # The shortest at each junction goes first: what is left there may then be long.
        at = np.where(free[:, 0], node.reshape(-1, 2)[:, 1], node.reshape(-1, 2)[:, 0])
        order = np.lexsort((length, at))
        order = order[short[order]]
        goes = order[np.diff(at[order], prepend=-1) != 0]
        branches = _branches(np.delete(branches, goes))
    return branches


def _branches(lines: Lines) -> Lines:
    if not len(lines):
        return lines
    merged: Lines = shapely.get_parts(shapely.line_merge(shapely.multilinestrings(lines)))
    return merged


def _longest_way(branches: Lines) -> Lines:
    """Return the longest of the shortest ways between ends, as one line."""
    if not len(branches):
        return branches
    ends = np.stack([shapely.get_coordinates(shapely.get_point(branches, k)) for k in (0, -1)],
                    axis=1)  # fmt: skip
    _, node = np.unique(ends.reshape(-1, 2), axis=0, return_inverse=True)
    one, other = node.ravel().reshape(-1, 2).T
    length = shapely.length(branches)
    count = int(node.max()) + 1
    order = np.argsort(-length)  # of two ways between nodes the shorter one counts
    weight: dict[tuple[int, int], int] = {}
    for k in order:
        weight[min(one[k], other[k]), max(one[k], other[k])] = int(k)
    beside: list[list[tuple[int, float]]] = [[] for _ in range(count)]
    for (first, second), k in weight.items():
        beside[first].append((second, float(length[k])))
        beside[second].append((first, float(length[k])))
    start = 0
    for _ in range(2):
        distance, before = _ways_from(start, beside)
        begin, start = start, max(distance, key=lambda node: (distance[node], -node))
    way, here = [], start
    while here != begin:
        way.append(weight[min(here, before[here]), max(here, before[here])])
        here = before[here]
    return _branches(branches[way]) if way else branches[np.argmax(length)][None]


def _ways_from(
    start: int, beside: list[list[tuple[int, float]]]
) -> tuple[dict[int, float], dict[int, int]]:
    """Return how far each node is that can be reached, and the node before it on the way.

    Args:
        start: A node.
        beside: Of each node, its neighbours and how far they are.
    """
    distance, before, known = {start: 0.0}, {start: start}, set()
    queue = [(0.0, start)]
    while queue:
        here = heapq.heappop(queue)[1]
        if here in known:
            continue
        known.add(here)
        for node, length in beside[here]:
            far = distance[here] + length
            if far < distance.get(node, np.inf):
                distance[node], before[node] = far, here
                heapq.heappush(queue, (far, node))
    return distance, before
