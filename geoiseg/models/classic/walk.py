"""Engine ``superpixel-walk``: a random walk on superpixels that knows what to expect."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from geoiseg.models.classic.band import refine
from geoiseg.models.classic.graph_engine import Chip, GraphEngine, NodeArray, NodeSeeds
from geoiseg.models.classic.merge_tree import MergeRule, build_tree, tree_arrays, tree_from
from geoiseg.models.classic.prior import Situation, expect, situation
from geoiseg.models.classic.seeds import Seeds
from geoiseg.models.classic.superpixels import SuperpixelGraph
from geoiseg.models.protocol import ModelInfo

RULES = {"fine": MergeRule(size=0.15, edge=1.0), "coarse": MergeRule(size=0.5, edge=0.7)}
"""Merge rules whose regions, together, held most of the training objects."""
EASE = 0.7
"""Fall of the walk's ease with the squared contrast of an edge."""
PULL = 0.1
"""Weight of the prior against edges of weight 1."""
CORE_EASE = 1.5
"""The same for the walk from the middle of a box."""
CORE_PULL = 0.01
"""Weight of the expectation that a box is filled, in that walk."""
FILLED = 0.7
"""Probability of the object within a box, when nothing else is known."""
BAND = 4
"""Pixels by which the cut may move the outline to either side."""
KEPT = 0.85
"""Probability that a pixel of an outline to refine is right."""


def solve_walk(
    graph: SuperpixelGraph,
    ease: NDArray[np.floating[Any]],
    prior: NodeArray,
    pull: float,
    fixed: NodeArray,
) -> NodeArray:
    """Return the ``(n,)`` probabilities of a random walk with a prior (Grady, CVPR 2005).

    Args:
        graph: The superpixels.
        ease: ``(m,)`` weight of each edge.
        prior: ``(n,)`` what to expect of each superpixel by itself.
        pull: Weight of the prior against edges of weight 1; above 0.
        fixed: ``(n,)`` 1 and 0 on prompted superpixels, nan elsewhere.
    """
    from scipy.sparse import diags_array
    from scipy.sparse.linalg import splu

    known = ~np.isnan(fixed)
    answer = np.where(known, fixed, prior)
    if known.all():
        return answer
    matrix = graph.matrix(ease)
    degree = np.asarray(matrix.sum(axis=1)).ravel() + pull
    free = ~known
    system = (diags_array(degree) - matrix).tocsr()[free]
    right = pull * prior[free] - system[:, known] @ fixed[known]
    solver = splu(
        system[:, free].tocsc(), permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True}
    )
    answer[free] = solver.solve(right)
    return np.clip(answer, 0, 1)


class SuperpixelWalk(GraphEngine):
    """Superpixels and regions made of them, a fitted prior, a random walk, a narrow cut."""

    info: ClassVar[ModelInfo] = ModelInfo(
        name="superpixel-walk",
        family="classic",
        licence="Apache-2.0",
        description="random walk on superpixels with a fitted prior; best without a network",
        weights_hash="3",
        parameters=115,
        exact_embedding=True,
    )
    superpixels: ClassVar[int] = 3000

    def prepare(self, graph: SuperpixelGraph) -> dict[str, NDArray[Any]]:
        """Return the trees of nested regions as arrays."""
        parts = (graph.features, graph.sizes, graph.edges, graph.contrast, graph.border)
        arrays: dict[str, NDArray[Any]] = {}
        for name, rule in RULES.items():
            arrays |= tree_arrays(build_tree(*parts, rule), name)
        return arrays

    def solve(self, chip: Chip, nodes: NodeSeeds) -> NodeArray:
        """Return the probability of each superpixel, 0.5 where the mask should end."""
        graph = chip.graph
        trees = [tree_from(chip.arrays, name) for name in RULES]

        def alone(known: Situation) -> NodeArray:
            return expect(graph, trees, known)

        if nodes.outlined is None:
            prior = alone(situation(graph, nodes.positive, nodes.negative, nodes.box))
        else:
            prior = np.where(nodes.outlined > 0.5, KEPT, 1 - KEPT)
            front, back = nodes.positive, nodes.negative & (nodes.inside > 0)
            extra, excess = front & (nodes.outlined < 0.5), back & (nodes.outlined > 0.5)
            if extra.any():
                prior = 1 - (1 - prior) * (1 - alone(situation(graph, extra, back, None)))
            if excess.any():
                prior = prior * (1 - alone(situation(graph, excess, front, None)))
        prior = np.where(nodes.inside < 0.5, np.minimum(prior, 0.02), prior)
        fixed = np.full(graph.count, np.nan)
        fixed[nodes.negative] = 0.0
        fixed[nodes.positive] = 1.0
        found = solve_walk(graph, _ease(graph, EASE), prior, PULL, fixed)
        if nodes.box is not None and nodes.outlined is None and not nodes.positive.any():
            found = (found + self._from_core(graph, nodes, fixed)) / 2
        return centred(found, graph.sizes)

    @staticmethod
    def _from_core(graph: SuperpixelGraph, nodes: NodeSeeds, fixed: NodeArray) -> NodeArray:
        """Return the walk from the middle of a box against all that lies outside it."""
        within = nodes.inside >= 0.5
        core = situation(graph, nodes.positive, nodes.negative, nodes.box).front
        held = np.where(within, fixed, 0.0)
        held[core & within & ~nodes.negative] = 1.0
        prior = np.where(within, FILLED, 0.02)
        return solve_walk(graph, _ease(graph, CORE_EASE), prior, CORE_PULL, held)

    def refine(
        self, chip: Chip, probability: NDArray[np.float32], seeds: Seeds
    ) -> NDArray[np.float32]:
        """Return the probability with the outline moved to where colours change."""
        before = probability > 0.5
        after = refine(chip.graph.image, before, seeds, chip.graph.valid, BAND)
        moved = np.where(after, np.maximum(probability, 0.55), np.minimum(probability, 0.45))
        return np.where(after == before, probability, moved).astype(np.float32)


def _ease(graph: SuperpixelGraph, fall: float) -> NodeArray:
    return np.asarray(np.exp(-fall * graph.contrast.astype(float) ** 2) + 1e-4)


def centred(probability: NodeArray, sizes: NDArray[np.float32]) -> NodeArray:
    """Return the probabilities with 0.5 moved to where the expected IoU is greatest.

    An unsure object is better drawn too large than not at all: the best threshold on
    probabilities is half of the Dice coefficient it brings, so never above a half
    (Lipton et al., 2014). It is not followed below 0.2.
    """
    if not len(probability):
        return probability
    order = np.argsort(-probability, kind="stable")
    area = sizes[order].astype(float)
    shared = np.cumsum(probability[order] * area)
    union = np.cumsum(area) + shared[-1] - shared
    best = float(probability[order][np.argmax(shared / union)])
    odds = np.clip(best - 1e-9, 0.2, 0.5)
    p = np.clip(probability, 1e-6, 1 - 1e-6)
    return np.asarray(p * (1 - odds) / (p * (1 - odds) + (1 - p) * odds))
