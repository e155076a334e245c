"""Superpixels merged two by two until one region is left: objects of every size, nested.

Built once per chip. A click then asks which regions hold it, how strongly each stands out
from its surroundings, and how dear the merge is that would bring another superpixel in.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoiseg.raster import BoolArray

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class MergeTree:
    """A forest over ``n`` superpixels: leaves 0..n-1, then each region made of two others."""

    parent: NDArray[np.int32]
    """``(k,)`` region made of this one, -1 at a root; always a later index."""
    height: FloatArray
    """``(k,)`` cost of the merge that made the region, never below its parts'; 0 for leaves."""
    area: FloatArray
    """``(k,)`` pixels."""
    edge: FloatArray
    """``(k,)`` mean contrast along the region's outline; 0 where it has no neighbour."""


@dataclass(frozen=True, slots=True, eq=False)
class Relation:
    """How each superpixel is related to the prompted ones; arrays are ``(n,)`` float64."""

    height: NDArray[np.float64]
    """Cost of the merge that joins it to a prompted superpixel."""
    area: NDArray[np.float64]
    """Pixels of the smallest region that holds it and a prompted superpixel."""
    between: NDArray[np.float64]
    """Contrast of the strongest outline of a region that holds a prompt and not it."""
    around: NDArray[np.float64]
    """Contrast of the strongest outline of a region that holds both."""
    own: NDArray[np.float64]
    """Contrast of the strongest outline of a region that holds it and no prompt."""


@dataclass(frozen=True, slots=True)
class MergeRule:
    """What makes two neighbouring regions alike."""

    size: float
    """Exponent of the harmonic size: above 0, small regions merge first."""
    edge: float
    """Weight of the border's contrast against the difference of the means, 0..1."""


def build_tree(
    features: FloatArray,
    sizes: FloatArray,
    edges: NDArray[np.int32],
    contrast: FloatArray,
    border: FloatArray,
    rule: MergeRule,
) -> MergeTree:
    """Return the tree made by merging the cheapest pair of neighbours again and again.

    Args:
        features: ``(n, f)`` mean appearance.
        sizes: ``(n,)`` pixels.
        edges: ``(m, 2)`` neighbours.
        contrast: ``(m,)`` contrast of their border.
        border: ``(m,)`` its length in pixels.
        rule: The cost of a merge.
    """
    merger = _Merger(features, sizes, edges, contrast, border, rule)
    merger.run()
    return MergeTree(
        np.array(merger.parent, np.int32),
        np.array(merger.height, np.float32),
        np.array(merger.area, np.float32),
        np.array(merger.edge, np.float32),
    )


class _Merger:
    """The state of the merging: plain lists, for the loop is short and its steps are tiny."""

    def __init__(
        self,
        features: FloatArray,
        sizes: FloatArray,
        edges: NDArray[np.int32],
        contrast: FloatArray,
        border: FloatArray,
        rule: MergeRule,
    ) -> None:
        self.rule = rule
        self.mean: list[list[float]] = features.astype(float).tolist()
        self.area: list[float] = sizes.astype(float).tolist()
        self.parent: list[int] = [-1] * len(self.area)
        self.height: list[float] = [0.0] * len(self.area)
        self.around: list[dict[int, tuple[float, float]]] = [{} for _ in self.area]
        for (a, b), c, length in zip(
            edges.tolist(), contrast.tolist(), border.tolist(), strict=True
        ):
            self.around[a][b] = self.around[b][a] = (length, c * length)
        self.edge: list[float] = [_mean_edge(around) for around in self.around]

    def run(self) -> None:
        heap = [
            (self.cost(a, b), a, b) for a, around in enumerate(self.around) for b in around if a < b
        ]
        heapq.heapify(heap)
        while heap:
            cost, a, b = heapq.heappop(heap)
            if self.parent[a] < 0 and self.parent[b] < 0:
                new = self.merge(a, b, cost)
                for other in self.around[new]:
                    heapq.heappush(heap, (self.cost(other, new), other, new))

    def cost(self, a: int, b: int) -> float:
        p, q = self.mean[a], self.mean[b]
        gap = sum((x - y) ** 2 for x, y in zip(p, q, strict=True)) ** 0.5
        length, total = self.around[a][b]
        size = self.area[a] * self.area[b] / (self.area[a] + self.area[b])
        mixed = gap * (1 - self.rule.edge) + self.rule.edge * total / length
        return float(mixed * size**self.rule.size)

    def merge(self, a: int, b: int, cost: float) -> int:
        new = len(self.area)
        self.parent[a] = self.parent[b] = new
        self.parent.append(-1)
        self.height.append(max(cost, self.height[a], self.height[b]))
        p, q = self.area[a], self.area[b]
        self.area.append(p + q)
        pairs = zip(self.mean[a], self.mean[b], strict=True)
        self.mean.append([(x * p + y * q) / (p + q) for x, y in pairs])
        around: dict[int, tuple[float, float]] = {}
        for part in (a, b):
            for other, (length, total) in self.around[part].items():
                if other not in (a, b):
                    known = around.get(other, (0.0, 0.0))
                    around[other] = (known[0] + length, known[1] + total)
        for other, border in around.items():
            beside = self.around[other]
            beside.pop(a, None)
            beside.pop(b, None)
            beside[new] = border
        self.around[a] = self.around[b] = {}
        self.around.append(around)
        self.edge.append(_mean_edge(around))
        return new


def _mean_edge(around: dict[int, tuple[float, float]]) -> float:
    length = sum(border[0] for border in around.values())
    return sum(border[1] for border in around.values()) / length if length else 0.0


def relate(tree: MergeTree, prompted: BoolArray) -> Relation:
    """Return how each superpixel is related to the prompted ones.

    Without a prompt in a superpixel's part of the forest, it is joined at the greatest
    height of the tree and the whole area.

    Args:
        tree: Of the chip.
        prompted: ``(n,)`` True on superpixels that hold a prompt.
    """
    count = len(prompted)
    parent, edge = tree.parent.tolist(), tree.edge.tolist()
    holds = prompted.tolist() + [False] * (len(parent) - count)
    below = [0.0] * len(parent)
    for node, up in enumerate(parent):
        if up >= 0 and holds[node]:
            holds[up] = True
            below[up] = max(below[up], below[node], edge[node])
    join = list(range(len(parent)))
    around, own = edge[:], [0.0] * len(parent)
    for node in range(len(parent) - 1, -1, -1):
        up = parent[node]
        if holds[node]:
            if up >= 0:
                around[node] = max(edge[node], around[up])
        elif up >= 0:
            join[node] = join[up]
            around[node] = around[up]
            own[node] = max(own[up], edge[node])
    met = np.array(join[:count], int)
    apart = ~np.array(holds, bool)[met] if count else np.zeros(0, bool)
    return Relation(
        height=np.where(apart, tree.height.max(initial=0), tree.height[met]).astype(float),
        area=np.where(apart, tree.area[:count].sum(), tree.area[met]).astype(float),
        between=np.array(below, float)[met],
        around=np.where(apart, 0, np.array(around, float)[met]),
        own=np.array(own[:count], float),
    )


def tree_arrays(tree: MergeTree, name: str) -> dict[str, NDArray[Any]]:
    """Return the tree as arrays whose names begin with ``name``, for an ``Embedding``."""
    return {f"{name}_{field}": getattr(tree, field) for field in MergeTree.__slots__}


def tree_from(arrays: Any, name: str) -> MergeTree:
    """Return the tree that :func:`tree_arrays` took apart."""
    return MergeTree(**{field: arrays[f"{name}_{field}"] for field in MergeTree.__slots__})
