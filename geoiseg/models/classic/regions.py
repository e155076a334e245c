"""Engines ``region-merging``, ``watershed``, ``seeded-growing``: regions that meet at outlines."""

from __future__ import annotations

import heapq
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from geoiseg.models.classic.appearance import examples
from geoiseg.models.classic.evidence import growth
from geoiseg.models.classic.grabcut import soften
from geoiseg.models.classic.graph_engine import Chip, GraphEngine, NodeArray, NodeSeeds
from geoiseg.models.classic.seeds import Seeds
from geoiseg.models.classic.superpixels import SuperpixelGraph
from geoiseg.models.protocol import ModelInfo
from geoiseg.raster import BoolArray

SURE, UNSURE = 0.9, 0.1
"""Probability of a superpixel that was, and that was not, joined to the object."""
MARK = 0.75
"""Share of the way to the outline that growth found, within which a pixel is a marker."""


def sides(graph: SuperpixelGraph, nodes: NodeSeeds) -> tuple[BoolArray, BoolArray]:
    """Return ``(n,)`` which superpixels are surely the object, and which surely are not.

    Where nobody said what is not, what cheap paths from the object do not reach by far.
    """
    front, back = examples(graph, nodes)
    back = back | ((nodes.inside < 0.5) & ~front)
    if not back.any():
        back = (growth(graph, front, back) < 0.25) & ~front
    return front, back


class RegionMerging(GraphEngine):
    """Superpixels merged two by two by colour, the most alike first, never across markers.

    Source: Ning et al., Interactive image segmentation by maximal similarity based region
    merging, Pattern Recognition 2010; here with mean colours on a region adjacency graph.
    """

    info: ClassVar[ModelInfo] = ModelInfo(
        name="region-merging",
        family="classic",
        licence="Apache-2.0",
        description="merges superpixels that look alike until each hangs on a marker",
        weights_hash="1",
    )

    def solve(self, chip: Chip, nodes: NodeSeeds) -> NodeArray:
        """Return which superpixels end up in one region with the object's markers."""
        front, back = sides(chip.graph, nodes)
        merged = _Merging(chip.graph, front, back).run()
        return np.where(merged > 0, SURE, UNSURE)


class _Merging:
    """Regions of superpixels: their mean colour, size, neighbours and sign."""

    def __init__(self, graph: SuperpixelGraph, front: BoolArray, back: BoolArray) -> None:
        self.sign = np.where(front, 1, np.where(back, -1, 0)).astype(np.int8)
        self.size = graph.sizes.astype(np.float64)
        self.colour = graph.features.astype(np.float64)
        self.owner = np.arange(graph.count)
        self.version = np.zeros(graph.count, np.int64)
        self.neighbours: list[dict[int, tuple[float, float]]] = [{} for _ in range(graph.count)]
        for (a, b), contrast, border in zip(
            graph.edges.tolist(), graph.contrast.tolist(), graph.border.tolist(), strict=True
        ):
            self.neighbours[a][b] = self.neighbours[b][a] = (contrast * border, border)
        self.queue: list[tuple[float, int, int, int, int]] = []

    def run(self) -> NDArray[np.int8]:
        """Return the ``(n,)`` sign of the region that each superpixel ended up in."""
        for a, around in enumerate(self.neighbours):
            for b in around:
                if a < b:
                    self._offer(a, b)
        while self.queue:
            _, a, b, seen_a, seen_b = heapq.heappop(self.queue)
            if seen_a == self.version[a] and seen_b == self.version[b]:
                self._join(a, b)
        roots = np.array([self._root(node) for node in range(len(self.owner))], np.intp)
        return self.sign[roots] if len(roots) else self.sign

    def _offer(self, a: int, b: int) -> None:
        """Queue a merge unless it would join the two sides."""
        if self.sign[a] * self.sign[b] < 0:
            return
        total, border = self.neighbours[a][b]
        step = float(np.linalg.norm(self.colour[a] - self.colour[b]))
        cost = 0.5 * step + 0.5 * total / max(border, 1e-9)
        heapq.heappush(self.queue, (cost, a, b, int(self.version[a]), int(self.version[b])))

    def _join(self, a: int, b: int) -> None:
        if len(self.neighbours[a]) < len(self.neighbours[b]):
            a, b = b, a
        share = self.size[b] / (self.size[a] + self.size[b])
        self.colour[a] += share * (self.colour[b] - self.colour[a])
        self.size[a] += self.size[b]
        self.sign[a] = self.sign[a] or self.sign[b]
        self.owner[b] = a
        self.version[[a, b]] += 1
        del self.neighbours[a][b], self.neighbours[b][a]
        for other, (total, border) in self.neighbours[b].items():
            del self.neighbours[other][b]
            before = self.neighbours[a].get(other, (0.0, 0.0))
            both = (before[0] + total, before[1] + border)
            self.neighbours[a][other] = self.neighbours[other][a] = both
        self.neighbours[b] = {}
        for other in self.neighbours[a]:
            self._offer(a, other)

    def _root(self, node: int) -> int:
        while self.owner[node] != node:
            self.owner[node] = self.owner[self.owner[node]]
            node = int(self.owner[node])
        return node


class SeededGrowing(GraphEngine):
    """The superpixel most like the region it touches joins it, again and again.

    Each marked superpixel is a region of its own, as background is of many colours.

    Source: Adams and Bischof, Seeded Region Growing, PAMI 1994, on superpixels.
    """

    info: ClassVar[ModelInfo] = ModelInfo(
        name="seeded-growing",
        family="classic",
        licence="Apache-2.0",
        description="regions grow from markers on both sides, the most alike superpixel first",
        weights_hash="1",
    )

    def solve(self, chip: Chip, nodes: NodeSeeds) -> NodeArray:
        """Return which superpixels joined the object's regions."""
        graph = chip.graph
        front, back = sides(graph, nodes)
        sign = np.where(front, 1, np.where(back, -1, 0)).astype(np.int8)
        matrix = graph.matrix(graph.contrast)
        region = np.where(sign != 0, np.arange(graph.count), -1)
        sums = graph.features.astype(np.float64) * graph.sizes[:, None]
        areas = graph.sizes.astype(np.float64)
        queue: list[tuple[float, int, int]] = []

        def offer(node: int, home: int) -> None:
            mean = sums[home] / max(areas[home], 1e-9)
            for other in matrix.indices[matrix.indptr[node] : matrix.indptr[node + 1]]:
                if region[other] < 0:
                    step = float(np.linalg.norm(graph.features[other] - mean))
                    heapq.heappush(queue, (step, int(other), home))

        for marker in np.flatnonzero(sign):
            offer(int(marker), int(marker))
        while queue:
            _, joined, home = heapq.heappop(queue)
            if region[joined] >= 0:
                continue
            region[joined] = home
            sums[home] += graph.features[joined] * float(graph.sizes[joined])
            areas[home] += float(graph.sizes[joined])
            offer(joined, home)
        held = region >= 0
        return np.where(held & (sign[np.maximum(region, 0)] > 0), SURE, UNSURE)


class Watershed(GraphEngine):
    """Markers on both sides flood the gradient, pixel by pixel, and meet on its crests.

    Source: Vincent and Soille, PAMI 1991; markers after Meyer and Beucher, 1990.
    """

    info: ClassVar[ModelInfo] = ModelInfo(
        name="watershed",
        family="classic",
        licence="Apache-2.0",
        description="markers flood the gradient and meet on its crests; wants both sides marked",
        weights_hash="1",
    )

    def solve(self, chip: Chip, nodes: NodeSeeds) -> NodeArray:
        """Return 1 on markers of the object, 0 on those of the background, 0.5 elsewhere."""
        graph = chip.graph
        front, back = sides(graph, nodes)
        reached = growth(graph, front, back)
        front = front | ((reached > MARK) & ~back & (nodes.inside >= 0.5))
        return np.where(front, 1.0, np.where(back, 0.0, 0.5))

    def refine(
        self, chip: Chip, probability: NDArray[np.float32], seeds: Seeds
    ) -> NDArray[np.float32]:
        """Return the probability after the flood."""
        import cv2

        graph, valid = chip.graph, chip.graph.valid
        markers: NDArray[Any] = np.zeros(valid.shape, np.int32)
        markers[valid & (probability < 0.25)] = 1
        markers[valid & (probability > 0.75)] = 2
        markers[seeds.negative | ~valid] = 1
        if seeds.box is not None:
            markers[~seeds.box] = 1
        markers[seeds.positive] = 2
        if not (markers == 2).any():
            return probability
        smooth = cv2.GaussianBlur(graph.image, (0, 0), 1.0)
        padded = cv2.copyMakeBorder(smooth, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
        flooded = cv2.watershed(padded, np.pad(markers, 1, mode="edge"))[1:-1, 1:-1]
        return soften(np.asarray(flooded == 2) | seeds.positive)
