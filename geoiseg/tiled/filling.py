"""Ground without gaps: what no object has goes to the object beside it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geoiseg.outline import parts_of
from geoiseg.raster import BoolArray
from geoiseg.segment import IntArray, flooded


def filled(
    found: tuple[IntArray, NDArray[np.float64]], ground: BoolArray, min_area: int
) -> tuple[IntArray, NDArray[np.float64]]:
    """Return labels and scores of objects that have all of the ground among them.

    A part of the ground with objects is divided among these, every pixel to the one that is
    reached first; a part without any is an object of its own, with a score of 0, if it is
    large enough or reaches the rim, where it may go on.

    Args:
        found: ``(y, x)`` labels from 1 on, 0 where there is no object, and each label's score.
        ground: ``(y, x)`` True where no gap may be.
        min_area: Pixels of the smallest object.
    """
    labels, scores = found
    whole = ground | (labels > 0)
    parts = parts_of(whole.astype(np.int32)).astype(np.int32)
    grown = flooded(np.zeros(labels.shape, np.float32), labels, parts)
    left = np.where(whole & (grown == 0), parts, 0)
    area = np.bincount(left.ravel())
    kept = area >= min_area
    for rim in (left[0], left[-1], left[:, 0], left[:, -1]):
        kept[rim] = True
    kept[0] = False
    number = np.where(kept, np.cumsum(kept) + len(scores), 0).astype(np.int32)
    labels = np.where(grown > 0, grown, number[left]).astype(np.int32)
    return labels, np.concatenate([scores, np.zeros(int(kept.sum()))])
