"""Objects of a whole chip at once, from what dense heads say of it: a cut of a tree of regions.

A watershed of the depth between borders leaves small basins; pairs of them merge, the weakest
border first, until one region is left. Of all regions of that tree those are objects that
look most like one: what is around them is a border, and what is within is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from geoiseg.models import DenseMaps
from geoiseg.models.classic.merge_tree import MergeRule, MergeTree, build_tree
from geoiseg.segment.flood import IntArray, flooded

FloatArray = NDArray[np.float32]

STRONG = 0.5
"""Probability of a border from which on a cell bounds basins."""
STEPS = 3.0
"""Depths per doubling that the watershed tells apart: the deeper, the coarser."""
NECK = 0.8
"""Strength of a passage that is a point; of one as wide as the regions beside it, none."""
RULE = MergeRule(size=0.0, edge=1.0)
"""The border that is weakest on average goes first."""
WEIGHTS = (-8.6, 2.0, -1.7, 2.25, 0.57, 0.9)
"""Log-odds of a score, fitted to the IoU of regions of held-out places with what is drawn there:
a constant, then of each :func:`_looks`."""
LARGE = 10.0
"""Binary logarithm of the cells from which on a region gains nothing by being larger."""
SHARE = 0.85
"""Exponent of a region's area in what a cut is worth."""


@dataclass(frozen=True, slots=True)
class CutOptions:
    """Which regions of the tree are objects."""

    likely: float = 0.5
    """Least mean probability of the ground that an object is made of."""
    min_score: float = 0.35
    """Least score, 0..1."""
    trim: bool = True
    """Whether cells of a region that are none of the ground are left out of it."""


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """The objects of a chip, in cells."""

    labels: IntArray
    """``(v, u)`` from 1 on, 0 where there is none."""
    scores: NDArray[np.float64]
    """``(n,)`` how much each looks like an object, 0..1."""


def cut_objects(maps: DenseMaps, ground: FloatArray, options: CutOptions | None = None) -> Cut:
    """Return the objects of a chip.

    Args:
        maps: What the dense heads say of its cells.
        ground: ``(v, u)`` how likely each cell is what objects are made of, 0..1; 0 where
            there is no data.
        options: What passes for an object.
    """
    options = options or CutOptions()
    basins, depth = _basins(maps.border)
    count = int(basins.max(initial=0))
    if not count:
        return Cut(basins, np.zeros(0))
    flat = basins.ravel()
    sizes = np.bincount(flat, minlength=count + 1)[1:].astype(np.float32)
    inner = np.where(maps.border < STRONG, 1.0, 0.1)
    weight = np.bincount(flat, inner.ravel(), minlength=count + 1)[1:]
    made = np.bincount(flat, (inner * ground).ravel(), minlength=count + 1)[1:]
    edges, strength, length = _borders(basins, maps.border, depth)
    tree = build_tree(np.zeros((count, 1), np.float32), sizes, edges, strength, length, RULE)
    chosen, scores = _chosen(tree, (made, weight), options)
    number = np.concatenate([[0], chosen]).astype(np.int32)
    labels = number[basins]
    if options.trim:
        labels[(ground < options.likely) & (maps.border < STRONG)] = 0
    return Cut(labels, scores)


def _basins(border: FloatArray) -> tuple[IntArray, FloatArray]:
    """Return ``(v, u)`` numbers of the basins between borders, and the depth in cells."""
    free = (border < STRONG).astype(np.uint8)
    depth = np.asarray(cv2.distanceTransform(np.pad(free, 1), cv2.DIST_L2, 5), np.float32)
    depth = depth[1:-1, 1:-1]
    level = np.round(np.log2(1 + depth) * STEPS).astype(np.int32)
    seeds = np.zeros(border.shape, np.int32)
    for height in range(int(level.max(initial=0)), 0, -1):
        count, parts = cv2.connectedComponents((level >= height).view(np.uint8), connectivity=4)
        sown = np.zeros(count, bool)
        sown[parts[seeds > 0]] = True
        sown[0] = True
        number = np.zeros(count, np.int32)
        number[~sown] = np.arange(1, np.count_nonzero(~sown) + 1) + int(seeds.max())
        np.copyto(seeds, number[parts], where=~sown[parts])
    # Where a border is thick, its weakest cells are reached first.
    spread = np.where(level > 0, level, -np.floor(border * 16)).astype(np.float32)
    whole = np.ones(border.shape, np.int32)
    return flooded(spread, seeds, whole), depth


def _borders(
    basins: IntArray, border: FloatArray, depth: FloatArray
) -> tuple[NDArray[np.int32], FloatArray, FloatArray]:
    """Return ``(m, 2)`` neighbours counted from 0, and how strong and long each border is."""
    pairs, strengths = [], []
    for axis in (0, 1):
        one, other = (np.take(basins, range(*part), axis) for part in
                      ((0, basins.shape[axis] - 1), (1, basins.shape[axis])))  # fmt: skip
        low, high = (np.take(border, range(*part), axis) for part in
                     ((0, basins.shape[axis] - 1), (1, basins.shape[axis])))  # fmt: skip
        apart = one != other
        pairs.append(np.stack([one[apart], other[apart]], axis=1))
        strengths.append(np.maximum(low, high)[apart])
    pair = np.sort(np.concatenate(pairs), axis=1).astype(np.int64) - 1
    count = int(basins.max())
    keys, which = np.unique(pair[:, 0] * count + pair[:, 1], return_inverse=True)
    length = np.bincount(which, minlength=len(keys)).astype(np.float32)
    strength = np.bincount(which, np.concatenate(strengths), minlength=len(keys)) / length
    edges = np.stack(np.divmod(keys, count), axis=1).astype(np.int32)
    deepest = np.zeros(count + 1, np.float32)
    np.maximum.at(deepest, basins.ravel(), depth.ravel())
    across = 2 * deepest[1:][edges].min(axis=1)
    neck = NECK * np.clip(1 - length / np.maximum(across, 1), 0, 1)
    return edges, np.maximum(strength, neck).astype(np.float32), length


def _chosen(
    tree: MergeTree,
    ground: tuple[NDArray[Any], NDArray[Any]],
    options: CutOptions,
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Return ``(n,)`` the object of each basin, 0 for none, and the objects' scores.

    The cut is the one whose regions have the greatest score, weighted by area.
    """
    parent, count = tree.parent.tolist(), len(tree.parent)
    made, weight = (np.concatenate([part, np.zeros(count - len(part))]) for part in ground)
    for node, up in enumerate(parent):
        if up >= 0:
            made[up] += made[node]
            weight[up] += weight[node]
    likely = made / np.maximum(weight, 1e-6)
    score = _score(tree, likely) * (likely >= options.likely)
    value = (score * tree.area**SHARE).tolist()
    best, below = [0.0] * count, [0.0] * count
    for node, up in enumerate(parent):
        best[node] = max(value[node], below[node])
        if up >= 0:
            below[up] += best[node]
    number = np.zeros(count, np.int32)
    scores: list[float] = []
    for node in range(count - 1, -1, -1):
        up = parent[node]
        if up >= 0 and number[up]:
            number[node] = number[up]
        elif value[node] >= below[node] and score[node] >= options.min_score:
            scores.append(float(score[node]))
            number[node] = len(scores)
    return number[: len(ground[0])], np.array(scores, np.float64)


def _score(tree: MergeTree, likely: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``(k,)`` the IoU that each region is expected to have with an object."""
    parent = tree.parent
    after = np.where(parent >= 0, tree.height[np.maximum(parent, 0)], 1)
    size = np.minimum(np.log2(1 + tree.area), LARGE)
    looks = (tree.edge, tree.height, likely, size, after)
    odds = WEIGHTS[0] + np.asarray(WEIGHTS[1:]) @ np.stack(looks)
    return np.asarray(1 / (1 + np.exp(-odds)), np.float64)
