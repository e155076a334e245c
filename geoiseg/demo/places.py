"""Where to click on a raster nobody has told us anything about."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from geoiseg.raster import BoolArray

SMOOTH_SHARE = 0.45
"""Share of the pixels that count as smooth."""


def smooth_places(
    rgb: NDArray[np.uint8], valid: BoolArray, count: int
) -> list[tuple[float, float]]:
    """Return up to ``count`` ``xy_pixel`` in the middle of large smooth areas, far apart.

    Smooth is where the brightness changes least; the middle is where the distance to
    anything rough, to the border and to the places found so far is greatest.

    Args:
        rgb: ``(y, x, 3)`` uint8.
        valid: ``(y, x)`` True = data.
        count: How many at most.
    """
    grey = cv2.GaussianBlur(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), (0, 0), 1.5)
    slope = np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1))
    rough = cv2.GaussianBlur(slope, (0, 0), 2.0)
    if not valid.any():
        return []
    limit = np.quantile(rough[valid], SMOOTH_SHARE)
    free = np.pad(((rough <= limit) & valid).astype(np.uint8), 1)
    places: list[tuple[float, float]] = []
    for _ in range(count):
        distance = cv2.distanceTransform(free, cv2.DIST_L2, 5)
        row, col = np.unravel_index(int(distance.argmax()), distance.shape)
        radius = float(distance[row, col])
        if radius < 2:
            break
        places.append((float(col) - 0.5, float(row) - 0.5))
        apart = int(max(2.5 * radius, min(rgb.shape[:2]) / 8))
        cv2.circle(free, (int(col), int(row)), apart, 0, -1)
    return places
