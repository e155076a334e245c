"""Where two kinds of pixels part, from those near the border between them.

Pixels near a border hold both kinds in like numbers, however little of the scene one of them is,
so that Otsu's method (1979) finds the threshold between them, as in shoreline work (Vos et al.,
2019, https://doi.org/10.1016/j.envsoft.2019.104528). Which border to look at is not always plain:
built-up ground and plants may differ by an index of water, too. Where several are tried, the one
counts along which the two kinds are farthest apart and most compact; Donchyts et al. (2016,
https://doi.org/10.3390/rs8050386) look for strong edges for the same reason.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from geoiseg.raster import BoolArray

FloatArray = NDArray[np.float32]

NEAR = 9
"""Side in pixels of the square around a border whose pixels are looked at."""


@dataclass(frozen=True, slots=True)
class Parting:
    """Where a sample parts into two kinds."""

    value: float
    half: float
    """Half the distance between the means of the two kinds."""
    worth: float
    """``half`` times the share of the variance that lies between the kinds."""


def near_border(values: FloatArray, valid: BoolArray, threshold: float) -> FloatArray:
    """Return ``(n,)`` the values near the borders that a threshold draws.

    Args:
        values: ``(y, x)``.
        valid: ``(y, x)`` True where there is data.
        threshold: Where to look first.
    """
    square = np.ones((NEAR, NEAR), np.uint8)
    on = cv2.dilate(((values > threshold) & valid).astype(np.uint8), square)
    off = cv2.dilate(((values <= threshold) & valid).astype(np.uint8), square)
    near: FloatArray = values[(on > 0) & (off > 0) & valid]
    return near


def parting_of(values: FloatArray, within: tuple[float, float] | None = None) -> Parting | None:
    """Return where a sample parts by Otsu's method; None where all of it lies on one side.

    Args:
        values: ``(n,)`` finite, at least one.
        within: Between which values it may part.
    """
    cut = otsu(values)
    if within is not None:
        cut = float(np.clip(cut, *within))
    above = values > cut
    share = float(above.mean())
    if not 0 < share < 1:
        return None
    half = float(values[above].mean() - values[~above].mean()) / 2
    spread = share * (1 - share) * (2 * half) ** 2
    return Parting(cut, half, half * spread / max(float(values.var()), 1e-12))


def otsu(values: FloatArray, bins: int = 256) -> float:
    """Return the value that parts a sample into the two most compact halves (Otsu, 1979).

    Args:
        values: ``(n,)`` finite, at least one.
        bins: Of the histogram between the 0.5th and 99.5th percentile.
    """
    low, high = np.percentile(values, (0.5, 99.5)).tolist()
    if not low < high:
        return float(low)
    count, edges = np.histogram(np.clip(values, low, high), bins, (low, high))
    middle = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(count)[:-1].astype(np.float64)
    above = below[-1] + count[-1] - below
    sums = np.cumsum(count * middle)
    apart = sums[:-1] / np.maximum(below, 1) - (sums[-1] - sums[:-1]) / np.maximum(above, 1)
    spread = below * above * apart**2
    best = np.flatnonzero(spread == spread.max())  # flat where nothing lies between
    return float(edges[1 + best[len(best) // 2]])
