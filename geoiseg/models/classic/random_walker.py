"""Engine ``random-walker``: Grady's random walker (PAMI 2006) on superpixels."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from geoiseg.models.classic.appearance import examples
from geoiseg.models.classic.evidence import POWER, geodesic, sharpest_stop
from geoiseg.models.classic.graph_engine import Chip, GraphEngine, NodeArray, NodeSeeds
from geoiseg.models.classic.walk import solve_walk
from geoiseg.models.protocol import ModelInfo

EASE = 1.5
"""Fall of the walk's ease with the squared contrast of an edge."""
MARGIN = 1.5
"""Without other examples, background begins so many times as far as growth would stop."""


class RandomWalker(GraphEngine):
    """The chance that a walker who shuns contrast meets the object's prompts first."""

    info: ClassVar[ModelInfo] = ModelInfo(
        name="random-walker",
        family="classic",
        licence="Apache-2.0",
        description="random walker on superpixels; wants prompts on both sides of an outline",
        weights_hash="1",
    )

    def solve(self, chip: Chip, nodes: NodeSeeds) -> NodeArray:
        """Return the probability that a walk from each superpixel ends on the object."""
        graph = chip.graph
        front, back = examples(graph, nodes)
        back = back | ((nodes.inside < 0.5) & ~front)
        if not back.any():
            near = geodesic(graph, front, POWER)
            back = near > MARGIN * sharpest_stop(graph, near)
        fixed = np.full(graph.count, np.nan)
        fixed[back] = 0.0
        fixed[front] = 1.0
        ease = np.exp(-EASE * graph.contrast.astype(float) ** 2) + 1e-4
        return solve_walk(graph, ease, np.full(graph.count, 0.5), 1e-6, fixed)
