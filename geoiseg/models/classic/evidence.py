"""What speaks for and against each superpixel: the inputs of the walk's prior."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from geoiseg.models.classic.merge_tree import MergeTree, relate
from geoiseg.models.classic.superpixels import SuperpixelGraph
from geoiseg.models.protocol import BoolArray

NodeArray = NDArray[np.float64]
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
    place = np.minimum(_nearest(graph.centres, sources) / side, 1.0)
    columns = [
        np.log1p(np.minimum(geodesic(graph, sources), FAR)),
        np.log1p(np.minimum(geodesic(graph, sources, 2.0), FAR * 4)),
        place,
        np.log(place + 0.02),
        np.log1p(np.minimum(_nearest(graph.features, sources), FAR)),
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


def _nearest(values: NDArray[np.float32], sources: BoolArray) -> NodeArray:
    """Return each row's distance to the nearest row of a source; inf without sources."""
    from scipy.spatial import cKDTree

    if not sources.any():
        return np.full(len(values), np.inf)
    return np.asarray(cKDTree(values[sources]).query(values)[0])
