"""Neighbouring regions merged two by two, the weakest border first, until one is left.

What :func:`geoiseg.models.classic.merge_tree.build_tree` makes of borders alone, in a third of
its time: whole rasters are cut by it.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
Border = tuple[float, float]
"""Length of a border, and the sum of its strength along it."""


@dataclass(frozen=True, slots=True, eq=False)
class RegionTree:
    """A forest over ``n`` basins: leaves 0..n-1, then each region made of two others."""

    parent: NDArray[np.int32]
    """``(k,)`` region made of this one, -1 at a root; always a later index."""
    height: FloatArray
    """``(k,)`` mean strength of the strongest border within."""
    area: FloatArray
    """``(k,)`` cells."""
    edge: FloatArray
    """``(k,)`` mean strength of the border around; 0 where there is no neighbour."""
    outline: FloatArray
    """``(k,)`` length of the border with neighbours, in sides of cells."""


def region_tree(
    sizes: FloatArray, edges: NDArray[np.int32], strength: FloatArray, length: FloatArray
) -> RegionTree:
    """Return the tree made by merging the pair with the weakest border again and again.

    Args:
        sizes: ``(n,)`` cells of the basins.
        edges: ``(m, 2)`` neighbours.
        strength: ``(m,)`` mean strength of their borders.
        length: ``(m,)`` sides of cells along these.
    """
    around = _neighbours(len(sizes), edges, strength, length)
    area: list[float] = sizes.astype(float).tolist()
    parent, height = [-1] * len(area), [0.0] * len(area)
    sums = [_whole(beside) for beside in around]
    # Borders with regions that were there before, the weakest last. Each region has only its
    # weakest in the heap, and the next one once that is gone.
    left = [_weakest_last(beside, number) for number, beside in enumerate(around)]
    heap = [(*below[-1], number) for number, below in enumerate(left) if below]
    heapq.heapify(heap)
    while heap:
        cost, a, b = heap[0]
        if parent[b] >= 0 or parent[a] >= 0:
            below = left[b] if parent[b] < 0 else []
            while below and parent[below[-1][1]] >= 0:
                below.pop()
            if below:
                heapq.heapreplace(heap, (*below[-1], b))
            else:
                heapq.heappop(heap)
            continue
        new = len(area)
        parent[a] = parent[b] = new
        parent.append(-1)
        height.append(max(cost, height[a], height[b]))
        area.append(area[a] + area[b])
        joined = _joined(around, a, b, new)
        around.append(joined)
        sums.append(_whole(joined))
        left.append(_weakest_last(joined, new))
        if left[new]:
            heapq.heapreplace(heap, (*left[new][-1], new))
        else:
            heapq.heappop(heap)
    edge = [total / long if long else 0.0 for long, total in sums]
    outline = [long for long, _ in sums]
    return RegionTree(
        np.array(parent, np.int32),
        np.array(height, np.float32),
        np.array(area, np.float32),
        np.array(edge, np.float32),
        np.array(outline, np.float32),
    )


def _neighbours(
    count: int, edges: NDArray[np.int32], strength: FloatArray, length: FloatArray
) -> list[dict[int, Border]]:
    around: list[dict[int, Border]] = [{} for _ in range(count)]
    rows = zip(edges.tolist(), strength.tolist(), length.tolist(), strict=True)
    for (a, b), mean, long in rows:
        around[a][b] = around[b][a] = (long, mean * long)
    return around


def _weakest_last(beside: dict[int, Border], number: int) -> list[tuple[float, int]]:
    """Return mean strength and neighbour of a region's borders with those of lower numbers."""
    found = [(total / long, other) for other, (long, total) in beside.items() if other < number]
    found.sort(reverse=True)
    return found


def _joined(around: list[dict[int, Border]], a: int, b: int, new: int) -> dict[int, Border]:
    """Return the borders of two regions made one, and tell their neighbours of it."""
    small, large = sorted((around[a], around[b]), key=len)
    small.pop(a, None)
    small.pop(b, None)
    large.pop(a, None)
    large.pop(b, None)
    for other, (long, total) in small.items():
        known = large.get(other)
        large[other] = (long, total) if known is None else (long + known[0], total + known[1])
    for other, border in large.items():
        beside = around[other]
        beside.pop(a, None)
        beside.pop(b, None)
        beside[new] = border
    around[a] = around[b] = {}
    return large


def _whole(around: dict[int, Border]) -> Border:
    """Return length and sum of strength of all borders of a region together."""
    long = total = 0.0
    for one, sums in around.values():
        long += one
        total += sums
    return long, total
