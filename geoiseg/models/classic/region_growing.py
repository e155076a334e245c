"""Engine ``region-growing``: what is nearer to the object's prompts along easy paths."""

from __future__ import annotations

from typing import ClassVar

from geoiseg.models.classic.appearance import examples
from geoiseg.models.classic.evidence import growth
from geoiseg.models.classic.graph_engine import Chip, GraphEngine, NodeArray, NodeSeeds
from geoiseg.models.protocol import ModelInfo


class RegionGrowing(GraphEngine):
    """Growth by geodesic distance, up to where it meets background or the sharpest outline."""

    info: ClassVar[ModelInfo] = ModelInfo(
        name="region-growing",
        family="classic",
        licence="Apache-2.0",
        description="grows along paths of least contrast; the fastest, for uniform objects",
        weights_hash="1",
    )

    def solve(self, chip: Chip, nodes: NodeSeeds) -> NodeArray:
        """Return 0.5 where growth stops, more the nearer to the object's prompts."""
        graph = chip.graph
        front, back = examples(graph, nodes)
        back = back | ((nodes.inside < 0.5) & ~front)
        return growth(graph, front, back)
