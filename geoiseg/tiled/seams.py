"""Objects that go on in the next window, found by what both windows see around their border."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoiseg.outline import parts_of

MIN_SHARE = 0.5
"""Two parts are of one object if they share at least this much of the smaller of them."""

Labels = NDArray[np.integer[Any]]


def matches(first: Labels, second: Labels) -> list[tuple[int, int]]:
    """Return the pairs of labels that stand for one object, ascending.

    Compared are connected parts, not whole labels: a river that turns back within one window
    meets the border twice, and is matched at both places. A part is matched only with the
    one that it shares most with, and only if that holds the other way round, too: fields
    that one window sees apart and the other as one stay apart, but for the largest.

    Args:
        first: ``(y, x)`` labels of one window in the band around the border, 0 = background.
        second: ``(y, x)`` labels of its neighbour in the same band.
    """
    both = (first > 0) & (second > 0)
    if not both.any():
        return []
    parts = [parts_of(labels) for labels in (first, second)]
    sizes = [np.bincount(part.ravel()) for part in parts]
    one, other = parts[0][both].astype(np.int64), parts[1][both].astype(np.int64)
    keys, shared = np.unique(one * len(sizes[1]) + other, return_counts=True)
    one, other = np.divmod(keys, len(sizes[1]))
    enough = shared >= MIN_SHARE * np.minimum(sizes[0][one], sizes[1][other])
    mutual = _best(one, shared) & _best(other, shared)
    chosen = np.flatnonzero(enough & mutual)
    names = [_names(part, labels, size) for part, labels, size in
             zip(parts, (first, second), sizes, strict=True)]  # fmt: skip
    return sorted({(int(names[0][one[k]]), int(names[1][other[k]])) for k in chosen})


def _best(part: NDArray[np.int64], shared: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which rows have the greatest number of shared pixels of their part, one each."""
    order = np.lexsort((np.arange(len(part)), -shared, part))
    first = np.zeros(len(part), bool)
    _, starts = np.unique(part[order], return_index=True)
    first[order[starts]] = True
    return first


def _names(part: Labels, labels: Labels, size: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the label of each part."""
    names = np.zeros(len(size), np.int64)
    names[part.ravel()] = labels.ravel()
    return names


class Groups:
    """Sets of pieces that were found to be one object: union-find over whole numbers.

    Only pieces that were united with another take memory.
    """

    def __init__(self) -> None:
        self._parent: dict[int, int] = {}

    def find(self, piece: int) -> int:
        """Return the least piece of the set that holds ``piece``."""
        parent = self._parent
        root = piece
        while (above := parent.get(root, root)) != root:
            root = above
        while piece != root:
            parent[piece], piece = root, parent.get(piece, piece)
        return root

    def unite(self, pairs: Iterable[tuple[int, int]]) -> None:
        """Say of each pair that both are of one object."""
        for one, other in pairs:
            low, high = sorted((self.find(one), self.find(other)))
            self._parent.setdefault(low, low)
            self._parent[high] = low

    def __contains__(self, piece: int) -> bool:
        return piece in self._parent

    def members(self) -> Iterator[int]:
        """Yield all pieces that were united with another."""
        return iter(sorted(self._parent))
