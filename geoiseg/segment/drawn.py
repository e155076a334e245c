"""Labels of cells become labels of pixels, with outlines where the colours change."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from geoiseg.segment.flood import IntArray

REACH = 5
"""Pixels to either side of an outline within which it may move: a cell and a little."""
BLUR = 1.0
"""Standard deviation in pixels by which noise is evened out before."""


def drawn(cells: IntArray, scale: int, rgb: NDArray[np.uint8]) -> IntArray:
    """Return ``(y, x)`` labels of the pixels of a chip.

    Around the outlines of the cells every pixel goes to the label from which it is reached
    over the least changes of colour (OpenCV's watershed); what is too small to have any
    pixel elsewhere stays as it is.

    Args:
        cells: ``(v, u)`` labels, 0 = background.
        scale: Pixels per cell.
        rgb: ``(y, x, 3)`` the chip.
    """
    rows, columns = rgb.shape[:2]
    large = np.repeat(np.repeat(cells, scale, axis=0), scale, axis=1)[:rows, :columns]
    labels = np.ascontiguousarray(large, np.int32)
    kernel = np.ones((2 * REACH + 1,) * 2, np.uint8)
    values = labels.astype(np.float32)  # exact below 2^24 labels
    band = cv2.dilate(values, kernel) != cv2.erode(values, kernel)
    sure = np.bincount(labels[~band], minlength=int(labels.max(initial=0)) + 1) > 0
    kept = cv2.dilate((~sure)[labels].view(np.uint8), kernel) > 0
    markers = np.where(band & ~kept, 0, labels + 1).astype(np.int32)
    even = np.asarray(cv2.GaussianBlur(rgb, (0, 0), BLUR), np.uint8)
    # It leaves the outermost pixels out.
    padded = np.pad(even, ((1, 1), (1, 1), (0, 0)), mode="edge")
    found = cv2.watershed(padded, np.pad(markers, 1, mode="edge"))[1:-1, 1:-1]
    return np.where(found > 0, found - 1, labels).astype(np.int32)
