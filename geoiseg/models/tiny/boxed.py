"""A second opinion on what a box means: its object looks unlike what lies around the box.

A box drawn around a winding river holds more land than water, and the network takes the
land. The colours of a ring around the box tell which of the two goes on outside.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from geoiseg.raster import BoolArray

FloatArray = NDArray[np.float32]

BINS = 8
"""Steps of each band, over four deviations, in which colours are counted."""
RING, NARROWEST = 0.12, 3
"""Width of the ring as a share of the box's longer side, and at least, at half resolution."""
FEWEST = 16
"""Pixels at half resolution of a ring or a part that tell something."""
ENOUGH, CLEAR = 0.3, 0.15
"""Contrast of a mask from which on nothing else is tried, and by how much another mask's must be
better."""
UNLIKE = 0.35
"""Likeness to the ring below which a pixel may be the object's."""


@dataclass(frozen=True, slots=True, eq=False)
class Surroundings:
    """What lies within a box, and how much it looks like what lies around it."""

    inside: BoolArray
    """``(y / 2, x / 2)`` valid pixels within the box."""
    likeness: FloatArray
    """``(y / 2, x / 2)`` share of the ring in each pixel's colour, 0..1."""

    def contrast(self, logits: FloatArray) -> float:
        """Return how much more the ring is like the rest of the box than like the mask, -1..1.

        Args:
            logits: ``(y, x)`` of the chip.
        """
        rows, columns = self.inside.shape
        mask = (cv2.resize(logits, (columns, rows), interpolation=cv2.INTER_AREA) > 0) & self.inside
        rest = self.inside & ~mask
        if np.count_nonzero(mask) < FEWEST:
            return -1.0
        outer = self.likeness[rest].mean() if np.count_nonzero(rest) >= FEWEST else 0.5
        return float(outer - self.likeness[mask].mean())

    def odd_part(self) -> BoolArray | None:
        """Return the largest part of the box that is unlike the ring, at full resolution."""
        odd = (self.likeness < UNLIKE) & self.inside
        dense = cv2.blur(odd.astype(np.float32), (3, 3)) > 0.6
        _, parts, stats, _ = cv2.connectedComponentsWithStats((odd & dense).astype(np.uint8))
        areas = stats[1:, cv2.CC_STAT_AREA]
        if areas.max(initial=0) < FEWEST:
            return None
        largest = parts == 1 + int(areas.argmax())
        return np.asarray(largest.repeat(2, axis=0).repeat(2, axis=1))


def surroundings(
    colour: NDArray[np.floating[Any]], box: tuple[float, float, float, float], valid: BoolArray
) -> Surroundings | None:
    """Return what a box says by what lies around it; None where it fills the chip.

    Args:
        colour: ``(1, 3, >= y / 2, >= x / 2)`` colours with contrast evened out.
        box: ``x0, y0, x1, y1`` in pixels of the chip.
        valid: ``(y, x)`` True where there is data.
    """
    seen = valid[::2, ::2]
    rows, columns = seen.shape
    x0, y0, x1, y1 = (round(side / 2) for side in box)
    width = max(NARROWEST, round(RING * max(x1 - x0, y1 - y0)))
    inside, around = np.zeros_like(seen), np.zeros_like(seen)
    inside[max(0, y0) : y1, max(0, x0) : x1] = True
    around[max(0, y0 - width) : y1 + width, max(0, x0 - width) : x1 + width] = True
    ring, inside = around & ~inside & seen, inside & seen
    if min(np.count_nonzero(ring), np.count_nonzero(inside)) < FEWEST:
        return None
    codes = _codes(
        np.asarray(colour[0, :, :rows, :columns], np.float32).transpose(1, 2, 0), ring | inside
    )
    outer, inner = _histogram(codes[ring]), _histogram(codes[inside])
    likeness = (outer / (outer + inner + 1e-6)).astype(np.float32)[codes]
    return Surroundings(inside, likeness)


def _codes(colour: NDArray[np.float32], counted: BoolArray) -> NDArray[np.intp]:
    """Return ``(y, x)`` the bin of each pixel's colour among those of the counted pixels."""
    chosen = colour[counted]
    mean, spread = chosen.mean(0), chosen.std(0) + 0.02
    steps = np.clip(((colour - mean) / spread + 2) / 4 * BINS, 0, BINS - 1).astype(np.intp)
    return np.asarray((steps[..., 0] * BINS + steps[..., 1]) * BINS + steps[..., 2])


def _histogram(codes: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return ``(BINS ** 3,)`` the share of each colour, evened out over its neighbours."""
    counts = np.bincount(codes, minlength=BINS**3).reshape(BINS, BINS, BINS)
    padded = np.pad(counts.astype(np.float64), 1)
    for axis in range(3):
        padded = padded + np.roll(padded, 1, axis) + np.roll(padded, -1, axis)
    smooth = padded[1:-1, 1:-1, 1:-1].ravel()
    return np.asarray(smooth / max(smooth.sum(), 1.0))
