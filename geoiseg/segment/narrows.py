"""Water that is narrower than a pixel of a chip seen from further away.

The mean of a pixel that a river fills to a third says land, and there the river ends. One level
finer it may still be there: where the wettest part of a pixel is a ridge, with land on both sides,
the pixel counts as wet as that part. Along banks there is no ridge, so that water does not spread.
What is one pixel wide meets itself at corners where it runs aslant, and an object holds together
by sides: there one of the two pixels beside the corner is water, if water goes on one level finer.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geoiseg.prompting import Frame
from geoiseg.raster import BoolArray, Raster, Window
from geoiseg.segment.physics import odds_of
from geoiseg.segment.wetness import HELD

FloatArray = NDArray[np.float32]

DROP = 2.0
"""Log-odds by which both banks, two pixels away, are less water than what lies between them."""
WAYS = ((0, 1), (1, 0), (1, 1), (1, -1))
"""Rows and columns of a step across."""


def with_narrows(raster: Raster, frame: Frame, water: FloatArray, version: int) -> FloatArray:
    """Return ``(y, x)`` log-odds of water of a chip in which narrow water goes on.

    Args:
        raster: Of the chip.
        frame: Where the chip is, not at full resolution.
        water: ``(y, x)`` by the means of its pixels.
        version: See ``spectral.VERSION``.

    Raises:
        RasterError: The pixels can not be read.
    """
    own, level = frame.window, frame.level - 1
    finer = Window(2 * own.row, 2 * own.col, 2 * own.height, 2 * own.width)
    odds = odds_of(raster, "water", finer.intersection(raster.grid.level(level).whole), level,
                   version)  # fmt: skip
    if odds is None:
        return water
    whole = _whole(odds, water.shape)
    wettest = _largest(whole)
    found = np.where(ridges(wettest), np.maximum(wettest, water), water)
    return found if version < 4 else around_corners(found, whole)


def around_corners(water: FloatArray, finer: FloatArray) -> FloatArray:
    """Return ``(y, x)`` log-odds of water that holds together by sides where it met at corners.

    Args:
        water: ``(y, x)``.
        finer: ``(2 y, 2 x)`` the same one level finer.
    """
    found, wettest = water.copy(), _largest(finer)
    near, far = slice(None, -1), slice(1, None)
    inner, outer = slice(1, -1, 2), slice(2, None, 2)  # the quarters next to the same corners
    for down in ((near, far), (far, near)):
        ends = [(down[0], near), (down[1], far)]
        beside = [(down[0], far), (down[1], near)]
        own = [tuple(inner if one == near else outer for one in end) for end in ends]
        meet = np.minimum(water[ends[0]], water[ends[1]])
        on = np.minimum(finer[own[0]], finer[own[1]]) > 0
        on |= np.maximum(wettest[beside[0]], wettest[beside[1]]) > 0
        gap = on & (meet > HELD) & (np.maximum(water[beside[0]], water[beside[1]]) <= HELD)
        first = wettest[beside[0]] >= wettest[beside[1]]
        for at, here in zip(beside, (gap & first, gap & ~first), strict=True):
            found[at][here] = meet[here]
    return found


def ridges(water: FloatArray) -> BoolArray:
    """Return ``(y, x)`` where water is at most some pixels wide, with land on both sides.

    Args:
        water: ``(y, x)`` log-odds.
    """
    rows, cols = water.shape
    padded = np.pad(water, 2, mode="edge")
    found = np.zeros(water.shape, bool)
    for down, across in WAYS:
        near, far = (
            [padded[2 + k * down :, 2 + k * across :][:rows, :cols] for k in (-step, step)]
            for step in (1, 2)
        )
        higher = (water >= near[0]) & (water >= near[1])
        found |= higher & (np.maximum(*far) < water - np.float32(DROP))
    return found & (water > 0)


def _whole(finer: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """Return ``(2 y, 2 x)`` values one level finer, those past the raster's end the least."""
    rows, cols = shape
    whole = np.full((2 * rows, 2 * cols), finer.min(), np.float32)
    part = finer[: 2 * rows, : 2 * cols]
    whole[: part.shape[0], : part.shape[1]] = part
    return whole


def _largest(whole: FloatArray) -> FloatArray:
    """Return ``(y, x)`` the largest of each two by two values."""
    parts = [whole[k::2, j::2] for k in (0, 1) for j in (0, 1)]
    return np.asarray(np.maximum.reduce(parts), np.float32)
