"""Objects found by colour alone, within one another: material that nobody had to label.

What a map legend names is as often of one colour as what a user clicks on, and it has parts
and is part of something. So the pixels of a scene are merged step by step into ever larger
regions, and those regions are kept that differ most from what is around them: a pond in a meadow in
a wood. They keep the network from believing that only fields and houses are objects.
"""

from __future__ import annotations

import hashlib
import heapq
import os
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from geoiseg.training.scene import Ids, Scene

SMALLEST, LARGEST = 60, 0.35
"""Least pixels of a region at half resolution, and its greatest share of the scene."""
STANDS_OUT, EVEN = 1.4, 4.0
"""How many times its own spread of colour, plus some bytes, a region must differ from what is
most like it next to it."""
ALIKE = 0.75
"""Two regions with a greater intersection over union count as one."""
LAYERS, MOST = 3, 1500
"""Layers of regions that lie within one another, and the most regions of each."""
BASE = 40.0
"""Coarseness of the first regions."""
VERSION = 1
"""Of what is kept; another number makes all regions anew."""


@dataclass(slots=True)
class _Tree:
    """Regions, the first ones and all that came of merging them."""

    sizes: list[float]
    sums: list[NDArray[np.float64]]
    near: list[set[int]]
    spreads: list[float]
    """Sum of squares within each region."""
    parents: dict[int, int] = field(default_factory=dict)

    def cost(self, a: int, b: int) -> float:
        """Return by how much the sum of squares within regions grows if two become one.

        Source: Ward, 1963.
        """
        apart = self.sums[a] / self.sizes[a] - self.sums[b] / self.sizes[b]
        return (
            float(apart @ apart) * self.sizes[a] * self.sizes[b] / (self.sizes[a] + self.sizes[b])
        )

    def merge_all(self) -> None:
        """Merge neighbours, the most alike first, until nothing is left to merge."""
        first = [
            (self.cost(a, b), a, b) for a in range(len(self.sizes)) for b in self.near[a] if a < b
        ]
        heapq.heapify(first)
        while first:
            cost, a, b = heapq.heappop(first)
            if a in self.parents or b in self.parents:
                continue
            new = len(self.sizes)
            around = (self.near[a] | self.near[b]) - {a, b}
            self.parents[a] = self.parents[b] = new
            self.sizes.append(self.sizes[a] + self.sizes[b])
            self.sums.append(self.sums[a] + self.sums[b])
            self.spreads.append(self.spreads[a] + self.spreads[b] + cost)
            self.near.append(around)
            for other in around:
                self.near[other] -= {a, b}
                self.near[other].add(new)
                heapq.heappush(first, (self.cost(other, new), other, new))


def segment_scene(scene: Scene) -> list[Scene]:
    """Return the same image with layers of regions, at half its resolution.

    The first layer holds the regions that stand out most; the next ones what lies within or
    around them.
    """
    halved = cv2.resize(scene.image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    small = np.asarray(halved, np.uint8)
    seen = cv2.resize(scene.valid.astype(np.uint8), (small.shape[1], small.shape[0])) > 0
    tree, parts = _first_regions(small, seen)
    count = len(tree.sizes)
    tree.merge_all()
    return _scenes(scene, _layers(tree, count, parts))


def segment_once(scene: Scene, cache: Path | None) -> list[Scene]:
    """Return what :func:`segment_scene` does, kept in a folder for the next time.

    Args:
        scene: The scene.
        cache: Folder; None keeps nothing.
    """
    if cache is None:
        return segment_scene(scene)
    seen = hashlib.blake2b(scene.image.tobytes(), digest_size=12)
    seen.update(f"{VERSION} {scene.image.shape}".encode())
    path = cache / f"{seen.hexdigest()}.npz"
    if path.exists():
        with np.load(path, allow_pickle=False) as kept:
            return _scenes(scene, list(kept["layers"]))
    found = segment_scene(scene)
    cache.mkdir(parents=True, exist_ok=True)
    layers = np.array([one.ids for one in found], np.int16)
    part = path.with_suffix(f".{os.getpid()}.part")
    with part.open("wb") as file:
        np.savez_compressed(file, layers=layers)
    part.replace(path)
    return found


def _scenes(scene: Scene, layers: list[Ids]) -> list[Scene]:
    found = []
    for ids in layers:
        kinds = dict.fromkeys(range(1, int(ids.max()) + 1), "segment")
        found.append(replace(scene, ids=ids, kinds=kinds, family="segment"))
    return found


def _first_regions(
    small: NDArray[np.uint8], seen: NDArray[np.bool_]
) -> tuple[_Tree, NDArray[np.intp]]:
    """Return small regions of one colour as a tree without merges, and ``(y, x)`` their numbers.

    Source: graph-based segmentation of Felzenszwalb and Huttenlocher, 2004.
    """
    from skimage.segmentation import felzenszwalb

    smooth = cv2.bilateralFilter(small, 5, 25, 3)
    parts = np.asarray(felzenszwalb(smooth, scale=BASE, sigma=0.5, min_size=20), np.intp)
    parts = np.where(seen, parts + 1, 0)
    _, parts = np.unique(parts, return_inverse=True)
    parts = parts.reshape(seen.shape)
    lab = cv2.cvtColor(smooth, cv2.COLOR_RGB2LAB).astype(np.float32)
    light = lab[..., 0]
    mean = cv2.blur(light, (7, 7))
    rough = np.sqrt(np.maximum(cv2.blur(light * light, (7, 7)) - mean * mean, 0))
    described = np.dstack([lab, 1.5 * rough]).reshape(-1, 4).astype(np.float64)
    flat = parts.ravel()
    sizes = np.bincount(flat).astype(float)
    sums = np.stack([np.bincount(flat, described[:, k]) for k in range(4)], axis=1)
    near: list[set[int]] = [set() for _ in sizes]
    for a, b in ((parts[:, :-1], parts[:, 1:]), (parts[:-1], parts[1:])):
        apart = a != b
        for i, j in np.unique(np.stack([a[apart], b[apart]], 1), axis=0).tolist():
            if not ((i == 0 or j == 0) and not seen.all()):
                near[i].add(j)
                near[j].add(i)
    squares = np.bincount(flat, (described**2).sum(1))
    spreads = np.maximum(squares - (sums**2).sum(1) / sizes, 0)
    return _Tree(sizes.tolist(), list(sums), near, spreads.tolist()), parts


def _layers(tree: _Tree, count: int, parts: NDArray[np.intp]) -> list[Ids]:
    """Return layers of object numbers: regions that stand out most, none over another."""
    lasting = []
    siblings: dict[int, list[int]] = {}
    for node, parent in tree.parents.items():
        siblings.setdefault(parent, []).append(node)
    for pair in siblings.values():
        for node, other in (pair, pair[::-1]):
            size = tree.sizes[node]
            if SMALLEST <= size <= LARGEST * parts.size:
                apart = tree.sums[node] / size - tree.sums[other] / tree.sizes[other]
                spread = np.sqrt(tree.spreads[node] / size) + EVEN
                stands_out = float(np.sqrt(apart @ apart)) / spread
                if stands_out >= STANDS_OUT:
                    lasting.append((stands_out * size**0.25, node))
    lasting.sort(reverse=True)
    within = _members(tree, count)
    sizes = np.array(tree.sizes[:count])
    taken = [np.zeros(count, np.int16) for _ in range(LAYERS)]
    for _, node in lasting:
        own = within[node]
        if any(_much_alike(numbers, own, sizes) for numbers in taken):
            continue
        for numbers in taken:
            if not numbers[own].any() and numbers.max() < MOST:
                numbers[own] = numbers.max() + 1
                break
    return [np.asarray(numbers[parts], np.int16) for numbers in taken if numbers.any()]


def _much_alike(numbers: Ids, own: list[int], sizes: NDArray[np.float64]) -> bool:
    """Return whether some region of a layer covers nearly the same ground."""
    area = sizes[own].sum()
    for number in np.unique(numbers[own][numbers[own] > 0]):
        covered = sizes[own][numbers[own] == number].sum()
        if covered / (area + sizes[numbers == number].sum() - covered) > ALIKE:
            return True
    return False


def _members(tree: _Tree, count: int) -> dict[int, list[int]]:
    """Return the first regions that each region is made of."""
    within: dict[int, list[int]] = {node: [node] for node in range(count)}
    for node, parent in sorted(tree.parents.items(), key=lambda pair: pair[1]):
        within.setdefault(parent, []).extend(within[node])
    return within
