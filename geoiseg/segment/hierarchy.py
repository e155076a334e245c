"""Objects of a whole chip at once, from what dense heads say of it: a cut of a tree of regions.

A watershed of the depth between borders leaves small basins; pairs of them merge, the weakest
border first, until one region is left. Of all regions of that tree those are objects that
look most like one: what is around them is a border, and what is within is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from geoiseg.models import DenseMaps
from geoiseg.segment.flood import IntArray, flooded
from geoiseg.segment.region_tree import RegionTree, region_tree

FloatArray = NDArray[np.float32]

STRONG = 0.5
"""Probability of a border from which on a cell bounds basins."""
STEPS = 3.0
"""Depths per doubling that the watershed tells apart: the deeper, the coarser."""
NECK = 0.8
"""Strength of a passage that is a point; of one as wide as the regions beside it, none."""
WEIGHTS = (-6.11, 1.3, -1.1, 2.66, 0.22, 1.75)
"""Log-odds of a score, fitted to the IoU of regions with what is drawn there:
a constant, then of each of the :func:`looks`. ``python -m geoiseg.training.cuts`` fits them."""
LARGE = 10.0
"""Binary logarithm of the cells from which on a region gains nothing by being larger."""
SHARE = 0.85
"""Exponent of a region's area in what a cut is worth."""
TREE = 2
"""Version of the order in which equally weak borders go: a map is made by one of them."""


@dataclass(frozen=True, slots=True)
class CutOptions:
    """Which regions of the tree are objects."""

    likely: float = 0.5
    """Least mean probability of the ground that an object is made of."""
    min_score: float = 0.35
    """Least score, 0..1."""
    trim: bool = True
    """Whether cells of a region that are none of the ground are left out of it."""
    weights: tuple[float, ...] = WEIGHTS
    """Log-odds of a region's score."""


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """The objects of a chip, in cells."""

    labels: IntArray
    """``(v, u)`` from 1 on, 0 where there is none."""
    scores: NDArray[np.float64]
    """``(n,)`` how much each looks like an object, 0..1."""


@dataclass(frozen=True, slots=True, eq=False)
class Regions:
    """All that may be an object of a chip, nested."""

    basins: IntArray
    """``(v, u)`` numbers from 1 on of the smallest."""
    tree: RegionTree
    likely: NDArray[np.float64]
    """``(k,)`` mean probability of each region's ground."""


def cut_objects(maps: DenseMaps, ground: FloatArray, options: CutOptions | None = None) -> Cut:
    """Return the objects of a chip.

    Args:
        maps: What the dense heads say of its cells.
        ground: ``(v, u)`` how likely each cell is what objects are made of, 0..1; 0 where
            there is no data.
        options: What passes for an object.
    """
    options = options or CutOptions()
    found = regions(maps, ground)
    if found is None:
        return Cut(np.zeros(maps.border.shape, np.int32), np.zeros(0))
    return cut_of(found, maps, ground, options)


def cut_of(found: Regions, maps: DenseMaps, ground: FloatArray, options: CutOptions) -> Cut:
    """Return the objects among the regions of a chip, as :func:`cut_objects` does."""
    chosen, scores = _chosen(found, options)
    number = np.concatenate([[0], chosen]).astype(np.int32)
    labels = number[found.basins]
    if options.trim:
        labels[(ground < options.likely) & (maps.border < STRONG)] = 0
    return Cut(labels, scores)


def regions(maps: DenseMaps, ground: FloatArray) -> Regions | None:
    """Return all regions that a chip's objects are chosen from; None where there is none.

    Args:
        maps: What the dense heads say of its cells.
        ground: ``(v, u)`` how likely each cell is what objects are made of, 0..1.
    """
    basins, depth = _basins(maps.border)
    count = int(basins.max(initial=0))
    if not count:
        return None
    flat = basins.ravel()
    sizes = np.bincount(flat, minlength=count + 1)[1:].astype(np.float32)
    inner = np.where(maps.border < STRONG, 1.0, 0.1)
    weight = np.bincount(flat, inner.ravel(), minlength=count + 1)[1:]
    made = np.bincount(flat, (inner * ground).ravel(), minlength=count + 1)[1:]
    tree = region_tree(sizes, *_borders(basins, maps.border, depth))
    whole, all_made = (summed(tree, leaf.astype(np.float64)) for leaf in (weight, made))
    return Regions(basins, tree, all_made / np.maximum(whole, 1e-6))


def summed(tree: RegionTree, leaves: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``(k, ...)`` of each region the sum over its basins.

    Args:
        tree: Of ``k`` regions over ``n`` basins.
        leaves: ``(n, ...)`` of each basin.
    """
    whole = np.zeros((len(tree.parent), *leaves.shape[1:]))
    whole[: len(leaves)] = leaves
    if leaves.ndim == 1:  # plain numbers are much faster one by one
        values = whole.tolist()
        for node, up in enumerate(tree.parent.tolist()):
            if up >= 0:
                values[up] += values[node]
        return np.asarray(values)
    for node, up in enumerate(tree.parent.tolist()):
        if up >= 0:
            whole[up] += whole[node]
    return whole


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


def _chosen(found: Regions, options: CutOptions) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Return ``(n,)`` the object of each basin, 0 for none, and the objects' scores.

    The cut is the one whose regions have the greatest score, weighted by area.
    """
    tree = found.tree
    parent, count = tree.parent.tolist(), len(tree.parent)
    score = expected_iou(looks(found), options.weights) * (found.likely >= options.likely)
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
    return number[: int(found.basins.max())], np.array(scores, np.float64)


def looks(found: Regions) -> NDArray[np.float64]:
    """Return ``(k, 5)`` what a region's score goes by.

    These are the mean strength of the border around it, the strongest border within, its
    ground, its size, and the border that is next to go.
    """
    tree = found.tree
    after = np.where(tree.parent >= 0, tree.height[np.maximum(tree.parent, 0)], 1)
    size = np.minimum(np.log2(1 + tree.area), LARGE)
    return np.stack([tree.edge, tree.height, found.likely, size, after], axis=1).astype(np.float64)


def expected_iou(
    look: NDArray[np.float64], weights: Sequence[float] = WEIGHTS
) -> NDArray[np.float64]:
    """Return ``(k,)`` the IoU that each region is expected to have with an object.

    Args:
        look: ``(k, 5)`` what :func:`looks` says of the regions.
        weights: Log-odds, a constant first.
    """
    odds = weights[0] + look @ np.asarray(weights[1:])
    return np.asarray(1 / (1 + np.exp(-odds)), np.float64)
