"""Engine ``graphcut``: a minimum cut on superpixels (Boykov and Jolly, ICCV 2001)."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from geoiseg.models.classic.appearance import examples, likeness
from geoiseg.models.classic.evidence import growth
from geoiseg.models.classic.graph_engine import Chip, GraphEngine, NodeArray, NodeSeeds
from geoiseg.models.classic.superpixels import SuperpixelGraph
from geoiseg.models.protocol import ModelInfo
from geoiseg.raster import BoolArray

SCALE = 1000
"""Capacities are integers: this many steps to 1."""
SMOOTHNESS = 2.0
"""Weight of the cut border, per superpixel side, against the terminals'."""


class GraphCut(GraphEngine):
    """The mask whose outline runs along contrast and whose inside looks like the prompts."""

    info: ClassVar[ModelInfo] = ModelInfo(
        name="graphcut",
        family="classic",
        licence="Apache-2.0",
        description="minimum cut on superpixels; crisp outlines, decides once and for all",
        weights_hash="1",
    )

    def solve(self, chip: Chip, nodes: NodeSeeds) -> NodeArray:
        """Return 0.5 on the cut's border, more the surer each superpixel's side is."""
        graph = chip.graph
        front, back = examples(graph, nodes)
        like = likeness(graph, front, back, without_back=4.0)
        believed = np.clip(0.5 * (like + growth(graph, front, back)), 0.02, 0.98)
        inside = minimum_cut(graph, believed, front, back | (nodes.inside < 0.5) & ~front)
        decided = np.where(inside, np.maximum(believed, 0.55), np.minimum(believed, 0.45))
        return np.asarray(decided)


def minimum_cut(
    graph: SuperpixelGraph, believed: NodeArray, front: BoolArray, back: BoolArray
) -> BoolArray:
    """Return the ``(n,)`` object side of the minimum cut.

    Args:
        graph: The superpixels; a border costs its length times the likeness across it.
        believed: ``(n,)`` probability of each superpixel by itself.
        front: ``(n,)`` certainly the object.
        back: ``(n,)`` certainly not.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import breadth_first_order, maximum_flow

    count = graph.count
    source, sink = count, count + 1
    every = np.arange(count)
    side = max(float(np.median(graph.border)) if len(graph.border) else 1.0, 1.0)
    ease = SMOOTHNESS * np.exp(-(graph.contrast.astype(float) ** 2) / 2) * graph.border / side
    sure = 10.0 + 2 * float(ease.sum())
    to_front = np.where(front, sure, np.where(back, 0.0, -np.log(1 - believed)))
    to_back = np.where(back & ~front, sure, np.where(front, 0.0, -np.log(believed)))
    low, high = graph.edges.astype(np.int64).T
    rows = np.concatenate([low, high, np.full(count, source), every])
    columns = np.concatenate([high, low, every, np.full(count, sink)])
    values = np.concatenate([ease, ease, to_front, to_back])
    capacity = np.round(np.minimum(values, 1e6) * SCALE).astype(np.int32)
    network = coo_array((capacity, (rows, columns)), shape=(count + 2, count + 2)).tocsr()
    rest = network - maximum_flow(network, source, sink).flow
    rest.data = np.maximum(rest.data, 0)
    rest.eliminate_zeros()
    reached = breadth_first_order(rest, source, return_predecessors=False)
    inside = np.zeros(count + 2, bool)
    inside[reached] = True
    return inside[:count]
