"""What is water by its look is water by its colour: a guess that a scene's own colours sharpen.

The head was fitted to other places, whose waters have other colours. Where most of what has a
colour here is taken for water, the rest of that colour mostly is; and what the head sees in
cells of four pixels, colours see pixel by pixel.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from geoiseg.raster import BoolArray

FloatArray = NDArray[np.float32]

CLUSTERS = 16
"""Colours that a chip is thought to have."""
SPREAD = 6.0
"""Standard deviation within which colours are alike, in CIELAB as 8-bit numbers."""
WEIGHT = 2.0
"""Of the log-odds of colours beside those of the head; chosen on held-out places."""
SURE = 1e-3
"""No colour is surer than this."""
STEP = 8
"""Colours this near are one."""
SAMPLE = 4000
"""Pixels that clusters are sought in."""


def told_by_colour(likely: FloatArray, rgb: NDArray[np.uint8], valid: BoolArray) -> FloatArray:
    """Return how likely each pixel is of a class, by the head and by the colours of the chip.

    Args:
        likely: ``(y, x)`` by the head alone, 0..1.
        rgb: ``(y, x, 3)``.
        valid: ``(y, x)`` True where there is data.
    """
    if not valid.any():
        return likely
    levels = (cv2.blur(rgb, (3, 3)) // STEP).astype(np.int32)
    side = 256 // STEP
    place = (levels[..., 0] * side + levels[..., 1]) * side + levels[..., 2]
    places, index = np.unique(place[valid], return_inverse=True)
    # Next to what has no data the blurred colours are none of the scene's.
    inner = cv2.erode(valid.view(np.uint8), np.ones((3, 3), np.uint8))[valid]
    weights = inner.astype(float) if inner.any() else np.ones(len(index))
    counts = np.bincount(index, weights).astype(np.float32)
    sums = np.bincount(index, weights * likely[valid]).astype(np.float32)
    colours = np.stack([places // side**2, places // side % side, places % side], 1)
    lab = _lab(colours)
    odds = _odds_of_colours(lab, counts, sums)
    known = np.clip(likely[valid], SURE, 1 - SURE)
    joined = np.log(known / (1 - known)) + WEIGHT * odds[index]
    told = likely.copy()
    told[valid] = 1 / (1 + np.exp(-joined))
    return told


def _lab(colours: NDArray[np.int64]) -> FloatArray:
    """Return ``(n, 3)`` CIELAB as 8-bit numbers of colours counted in steps."""
    middle = (colours * STEP + STEP // 2).astype(np.uint8)[None]
    return np.asarray(cv2.cvtColor(middle, cv2.COLOR_RGB2LAB)[0], np.float32)


def _odds_of_colours(lab: FloatArray, counts: FloatArray, sums: FloatArray) -> FloatArray:
    """Return ``(n,)`` log-odds of colours, smoothed over those like them.

    Args:
        lab: ``(n, 3)``.
        counts: ``(n,)`` pixels of each.
        sums: ``(n,)`` sums of how likely these are.
    """
    drawn = np.repeat(lab, np.ceil(counts * SAMPLE / counts.sum()).astype(int), axis=0)
    cv2.setRNGSeed(0)
    until = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 15, 0.5)
    wanted, start = min(CLUSTERS, len(np.unique(lab, axis=0))), np.empty(0, np.int32)
    _, _, centres = cv2.kmeans(drawn, wanted, start, until, 1, cv2.KMEANS_PP_CENTERS)
    apart = ((lab[:, None] - centres[None]) ** 2).sum(2)
    alike = np.exp((apart.min(1, keepdims=True) - apart) / (2 * SPREAD**2))
    alike /= alike.sum(1, keepdims=True)
    mean = (alike.T @ sums) / np.maximum(alike.T @ counts, 1e-6)
    mean = np.clip(mean, SURE, 1 - SURE)
    return np.asarray(alike @ np.log(mean / (1 - mean)), np.float32)
