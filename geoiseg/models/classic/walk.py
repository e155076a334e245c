"""Engine ``superpixel-walk``: a random walk on superpixels that knows what to expect."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from geoiseg.models.classic.band import refine
from geoiseg.models.classic.graph_engine import GraphEngine, NodeArray, NodeSeeds
from geoiseg.models.classic.seeds import Seeds
from geoiseg.models.classic.superpixels import SuperpixelGraph
from geoiseg.models.protocol import BoolArray, ModelInfo


def geodesic(graph: SuperpixelGraph, sources: BoolArray, length: NDArray[np.float32]) -> NodeArray:
    """Return the ``(n,)`` length of the shortest path from any source; inf where there is none."""
    from scipy.sparse.csgraph import dijkstra

    starts = np.flatnonzero(sources)
    if not len(starts):
        return np.full(graph.count, np.inf)
    matrix = graph.matrix(np.maximum(length, 1e-6))
    return np.asarray(dijkstra(matrix, directed=False, indices=starts, min_only=True))


def walk(
    graph: SuperpixelGraph,
    weights: NDArray[np.floating],
    prior: NodeArray,
    strength: NodeArray | float,
    fixed: NodeArray,
) -> NodeArray:
    """Return the ``(n,)`` probabilities of a random walk with a prior (Grady, CVPR 2005).

    Args:
        graph: The superpixels.
        weights: ``(m,)`` ease of each edge.
        prior: ``(n,)`` what to expect of each superpixel by itself.
        strength: How much the prior counts, against edges of weight 1.
        fixed: ``(n,)`` 1 and 0 on prompted superpixels, nan elsewhere.
    """
    from scipy.sparse import diags_array
    from scipy.sparse.linalg import splu

    known = ~np.isnan(fixed)
    answer = np.where(known, fixed, prior)
    if known.all():
        return answer
    matrix = graph.matrix(weights)
    pull = np.broadcast_to(np.asarray(strength, np.float64), prior.shape)
    degree = np.asarray(matrix.sum(axis=1)).ravel() + pull
    free = ~known
    system = (diags_array(degree) - matrix).tocsr()[free]
    right = pull[free] * prior[free] - system[:, known] @ fixed[known]
    solver = splu(
        system[:, free].tocsc(), permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True}
    )
    answer[free] = solver.solve(right)
    return np.clip(answer, 0, 1)


class SuperpixelWalk(GraphEngine):
    """Superpixels, a prior from likeness and geodesic distance, a random walk, a narrow cut."""

    info: ClassVar[ModelInfo] = ModelInfo(
        name="superpixel-walk",
        family="classic",
        licence="Apache-2.0",
        description="random walk on superpixels with an appearance prior; fast, no weights",
        weights_hash="1",
    )

    def solve(self, graph: SuperpixelGraph, nodes: NodeSeeds) -> NodeArray:
        """Return the probability of each superpixel."""
        front = self._evidence(graph, self._sources(nodes))
        back = self._evidence(graph, nodes.negative) if nodes.negative.any() else 0.0
        back = np.maximum(back, 0.12)
        prior = front / (front + back + 1e-9)
        prior = np.where(nodes.inside < 0.5, 0.02, prior)
        if nodes.outlined is not None:
            prior = 0.3 * prior + 0.7 * nodes.outlined
        fixed = np.full(graph.count, np.nan)
        fixed[nodes.negative] = 0.0
        fixed[nodes.positive] = 1.0
        weights = np.exp(-0.7 * graph.contrast**2) + 1e-4
        return walk(graph, weights, prior, 0.05, fixed)

    @staticmethod
    def _sources(nodes: NodeSeeds) -> BoolArray:
        if nodes.positive.any():
            return nodes.positive
        region = nodes.inside if nodes.outlined is None else nodes.outlined
        return region >= min(0.9, float(region.max(initial=0)))

    @staticmethod
    def _evidence(graph: SuperpixelGraph, sources: BoolArray) -> NodeArray:
        near = geodesic(graph, sources, graph.contrast)
        alike = graph.features[sources]
        gap = ((graph.features[:, None] - alike[None]) ** 2).sum(2).min(1)
        return np.asarray(np.exp(-gap / (2 * 3.0**2)) * np.exp(-near / 12.0))

    def refine(
        self, graph: SuperpixelGraph, probability: NDArray[np.float32], seeds: Seeds
    ) -> NDArray[np.float32]:
        """Return the probability with the outline moved to where colours change."""
        before = probability > 0.5
        after = refine(graph.image, before, seeds, graph.valid, 4)
        moved = np.where(after, np.maximum(probability, 0.55), np.minimum(probability, 0.45))
        return np.where(after == before, probability, moved).astype(np.float32)
