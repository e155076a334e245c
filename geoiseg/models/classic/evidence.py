"""What speaks for and against each superpixel: the inputs of the walk's prior."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from geoiseg.models.classic.merge_tree import MergeTree, relate
from geoiseg.models.classic.superpixels import SuperpixelGraph
from geoiseg.raster import BoolArray

NodeArray = NDArray[np.float64]
POWER = 1.0
"""Exponent of contrast with which regions grow."""
SMALLEST, LARGEST = 0.004, 0.2
"""Shares of the chip between which growth without background prompts may stop."""
UNREACHED = 1e9
"""Stands for the length of a path that does not exist."""
FAR = 60.0
"""Greatest geodesic distance told apart, in median contrasts."""


def geodesic(graph: SuperpixelGraph, sources: BoolArray, power: float = 1.0) -> NodeArray:
    """Return the ``(n,)`` length of the easiest path from any source; inf where there is none.

    Args:
        graph: The superpixels.
        sources: ``(n,)`` where paths begin.
        power: Exponent of the contrast that a step costs; above 1, one sharp edge costs
            more than many faint ones.
    """
    from scipy.sparse.csgraph import dijkstra

    starts = np.flatnonzero(sources)
    if not len(starts):
        return np.full(graph.count, np.inf)
    matrix = graph.matrix(np.maximum(graph.contrast, 1e-3) ** power)
    return np.asarray(dijkstra(matrix, directed=False, indices=starts, min_only=True))


def relation_features(
    graph: SuperpixelGraph, trees: Sequence[MergeTree], sources: BoolArray
) -> NodeArray:
    """Return ``(n, f)`` how near and alike each superpixel is to the sources.

    Logarithms of geodesic distances, distance in place as a share of the chip, difference
    in appearance, and for each tree the merge that joins it to a source. Without sources,
    everything is far and different.
    """
    side = float(np.sqrt(max(graph.sizes.sum(), 1.0)))
    place = np.minimum(nearest(graph.centres, sources) / side, 1.0)
    columns = [
        np.log1p(np.minimum(geodesic(graph, sources), FAR)),
        np.log1p(np.minimum(geodesic(graph, sources, 2.0), FAR * 4)),
        place,
        np.log(place + 0.02),
        np.log1p(np.minimum(nearest(graph.features, sources), FAR)),
    ]
    for tree in trees:
        joined = relate(tree, sources)
        columns += [
            np.log1p(joined.height),
            np.log(joined.area / side**2 + 1e-4),
            np.log1p(joined.between),
            np.log1p(joined.around),
            np.log1p(joined.own),
        ]
    return np.stack(columns, axis=1)


def nearest(values: NDArray[np.float32], sources: BoolArray) -> NodeArray:
    """Return each row's distance to the nearest row of a source; inf without sources."""
    from scipy.spatial import cKDTree

    if not sources.any():
        return np.full(len(values), np.inf)
    return np.asarray(cKDTree(values[sources]).query(values)[0])


def growth(graph: SuperpixelGraph, front: BoolArray, back: BoolArray) -> NodeArray:
    """Return ``(n,)`` 0.5 where growth from the object stops, more the nearer to it.

    Growth stops halfway to the background, in geodesic distance; without examples of
    background, at the sharpest outline.
    """
    near = geodesic(graph, front, POWER)
    rival = geodesic(graph, back, POWER) if back.any() else sharpest_stop(graph, near)
    near, rival = np.minimum(near, UNREACHED), np.minimum(rival, 2 * UNREACHED)
    return np.asarray((rival + 1e-6) / (near + rival + 2e-6))


def sharpest_stop(graph: SuperpixelGraph, near: NodeArray) -> NodeArray:
    """Return, for all superpixels, the distance at which growth has the sharpest outline.

    Of all regions that growth passes through, the one whose outline has the greatest mean
    contrast.
    """
    order = np.argsort(near, kind="stable")
    rank = np.empty(graph.count, int)
    rank[order] = np.arange(graph.count)
    first, last = np.sort(rank[graph.edges], axis=1).T
    length = _between(first, last, graph.border, graph.count)
    total = _between(first, last, graph.border * graph.contrast, graph.count)
    area = np.cumsum(graph.sizes[order])
    share = area / max(float(area[-1]), 1.0)
    worth = np.where(length > 0, total / np.maximum(length, 1e-9), 0.0)
    worth[(share < SMALLEST) | (share > LARGEST) | ~np.isfinite(near[order])] = -1.0
    best = int(np.argmax(worth))
    stop = float(near[order[best]])
    after = near[order[best + 1 :]]
    beyond = after[np.isfinite(after) & (after > stop)]
    return np.full(graph.count, (stop + float(beyond[0])) / 2 if len(beyond) else np.inf)


def _between(
    first: NDArray[np.int64], last: NDArray[np.int64], values: NDArray[np.float32], count: int
) -> NodeArray:
    """Return for each region of the first k superpixels the sum over the edges it cuts."""
    step = np.bincount(first, values, count) - np.bincount(last, values, count)
    return np.cumsum(step)
