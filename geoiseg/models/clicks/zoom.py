"""Where a click network looks: at an object and some room around it.

Windows are ``y0, y1, x0, x1`` in whole pixels of the chip, without the last row and column.
Sources: RITM's zoom-in (after Sofiiuk et al., f-BRS, CVPR 2020) and FocalClick's focus crop.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from geoiseg.raster import BoolArray

ROOM = 1.4
"""A window's side as a multiple of what it is of."""
APART = 0.5
"""Overlap of windows under which another look is worth it."""
FEW = 10
"""A mask of fewer pixels says nothing of where the object is."""
THIN, NEAR = 3, 0.2
"""A change less than an object's ``1 / THIN`` is looked at in a square of twice ``NEAR`` times the
object's side instead."""

Window = tuple[int, int, int, int]


def around(
    bounds: tuple[float, float, float, float], shape: tuple[int, int], smallest: int
) -> Window:
    """Return the window of some bounds with room on all sides, within the chip.

    Args:
        bounds: ``y0, y1, x0, x1`` in pixels, without the last row and column.
        shape: Rows and columns of the chip.
        smallest: Pixels along a side of the smallest window.
    """
    sides = []
    for start, end, length in ((*bounds[:2], shape[0]), (*bounds[2:], shape[1])):
        middle, half = (start + end - 1) / 2, max(ROOM * (end - start), smallest) / 2
        first, last = max(0, round(middle - half)), min(length - 1, round(middle + half))
        sides += [first, last + 1]
    return sides[0], sides[1], sides[2], sides[3]


def of_object(
    mask: BoolArray, clicks: Sequence[tuple[float, float]], smallest: int
) -> Window | None:
    """Return the window of a mask and all clicks on the object; None where the mask is empty.

    Args:
        mask: ``(y, x)``.
        clicks: Row and column of each, counted from the centre of the first pixel.
        smallest: Pixels along a side of the smallest window.
    """
    if not mask.any():
        return None
    y0, y1, x0, x1 = bounds_of(mask)
    rows, columns = [round(row) for row, _ in clicks], [round(column) for _, column in clicks]
    bounds = (min([y0, *rows]), max([y1, *(row + 1 for row in rows)]),
              min([x0, *columns]), max([x1, *(column + 1 for column in columns)]))  # fmt: skip
    return around(bounds, (mask.shape[0], mask.shape[1]), smallest)


def bounds_of(mask: BoolArray) -> Window:
    """Return the smallest window that holds all of a mask that is not empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def overlap(first: Window, second: Window) -> float:
    """Return the intersection over union of two windows."""
    rows = min(first[1], second[1]) - max(first[0], second[0])
    columns = min(first[3], second[3]) - max(first[2], second[2])
    both = max(0, rows) * max(0, columns)
    areas = [(w[1] - w[0]) * (w[3] - w[2]) for w in (first, second)]
    return both / (sum(areas) - both)


def focus(now: BoolArray, before: BoolArray, click: tuple[float, float], within: Window) -> Window:
    """Return where the last click changed something, with room around it.

    Args:
        now: ``(y, x)`` the mask after the click.
        before: ``(y, x)`` the mask before; empty at the first click.
        click: Row and column of the last click.
        within: What the coarse network looked at.
    """
    whole = (0, now.shape[0], 0, now.shape[1])
    object_bounds = bounds_of(now) if np.count_nonzero(now) >= FEW else whole
    bounds: tuple[float, float, float, float] = object_bounds
    if before.any():
        bounds = _changed(now ^ before, object_bounds, click)
    window = around(bounds, (now.shape[0], now.shape[1]), 0)
    y0, y1 = max(window[0], within[0]), min(window[1], within[1])
    x0, x1 = max(window[2], within[2]), min(window[3], within[3])
    return (y0, y1, x0, x1) if y1 - y0 > 1 and x1 - x0 > 1 else within


def _changed(
    change: BoolArray, of: Window, click: tuple[float, float]
) -> tuple[float, float, float, float]:
    """Return the bounds of the part of a change that a click lies in, or near the click."""
    import cv2

    row, column = (int(np.clip(round(at), 0, length - 1))
                   for at, length in zip(click, change.shape, strict=True))  # fmt: skip
    _, parts = cv2.connectedComponents(change.astype(np.uint8))
    part: NDArray[np.bool_] = np.asarray(parts == parts[row, column])
    whole = (0, change.shape[0], 0, change.shape[1])
    found = bounds_of(part) if np.count_nonzero(part) >= FEW else whole
    rows, columns = of[1] - of[0], of[3] - of[2]
    if found[1] - found[0] >= rows / THIN and found[3] - found[2] >= columns / THIN:
        return found
    reach = NEAR * max(rows, columns)
    return row - reach, row + reach + 1, column - reach, column + reach + 1
