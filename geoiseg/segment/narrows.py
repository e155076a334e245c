"""Water that is narrower than a pixel of a chip seen from further away.

The mean of a pixel that a river fills to a third says land, and there the river ends. One level
finer it may still be there: where the wettest part of a pixel is a ridge, with land on both sides,
the pixel counts as wet as that part. Along banks there is no ridge, so that water does not spread.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geoiseg.prompting import Frame
from geoiseg.raster import BoolArray, Raster, Window
from geoiseg.segment.physics import odds_of

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
    wettest = _largest(odds, water.shape)
    return np.where(ridges(wettest), np.maximum(wettest, water), water)


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


def _largest(finer: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """Return ``(y, x)`` the largest of each two by two values."""
    rows, cols = shape
    whole = np.full((2 * rows, 2 * cols), finer.min(), np.float32)
    part = finer[: 2 * rows, : 2 * cols]
    whole[: part.shape[0], : part.shape[1]] = part
    parts = [whole[k::2, j::2] for k in (0, 1) for j in (0, 1)]
    return np.asarray(np.maximum.reduce(parts), np.float32)
