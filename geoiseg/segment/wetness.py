"""What clicks say of water, and what the log-odds of water then add to the network's.

Clicks on water mean water, others do not. One that contradicts the rest on narrow water, or on a
strip of land, is about that channel, that fringe or that pier: there the network is listened to,
and what hangs on it falls away by itself. A click on what is dry, as flats at low tide, is heard no
farther. One against wide water says that the water is to be parted, of which no index knows.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from geoiseg.prompting import PixelPrompts
from geoiseg.raster import BoolArray
from geoiseg.segment.masks import prompted_pixels

FloatArray = NDArray[np.float32]

HELD = 1.0
"""Log-odds that the network and the model keep at most where clicks mean water: less than the
index gives, so that a river is followed as far as it goes and a bright shoal is left out."""
WET = 1.0
"""Log-odds from which a clicked pixel is water by physics, or below minus which it is not."""
HEARD = 5.0
"""Log-odds that the network keeps at most around a click that contradicts the rest: more than the
index gives."""
NARROW = 16
"""Pixels from the nearest bank up to which a contradicting click is about what is narrow there."""
REACH, LEAST_REACH = 3.0, 8
"""Pixels around such a click in which the network is heard, for each from the bank, and at least:
enough to cut what is narrow across."""


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    """What clicks say of water."""

    added: FloatArray
    """``(y, x)`` log-odds to add to the network's."""
    water: bool
    """Whether the object is water, rather than what is not."""
    heard: NDArray[np.int8] | None = None
    """``(y, x)`` 1 or -1 around clicks that contradict the rest, as they say; None where none
    does."""


def said_of_water(
    mask: BoolArray, prompts: PixelPrompts, water: FloatArray, version: int
) -> Said | None:
    """Return what clicks, or the mask where there are none, say of water; None if unclear.

    Where the object is water, water is on it and the rest is not; else water is not on it, and
    nothing is said of the rest.

    Args:
        mask: ``(y, x)`` the object by the network.
        prompts: In the pixel frame of the chip.
        water: ``(y, x)`` log-odds of water.
        version: See ``spectral.VERSION``; before 3 any contradiction makes it unclear.
    """
    on = prompted_pixels(mask.shape, prompts, positive=True)
    off = prompted_pixels(mask.shape, prompts, positive=False)
    said = water[on if on.any() else mask]
    if not len(said):
        return None
    middle = float(np.median(said))
    if middle >= WET or (version > 2 and _began_with_water(prompts, water, said)):
        heard = None
        if (water[off] >= WET).any() or (on.any() and (said <= -WET).any()):
            against = (off & (water >= WET)) | (on & (water <= -WET))
            heard = _around(against, water) if version > 2 else None
            if heard is None:
                return None
        elif (said <= -WET).any():  # no click: the network's own mask is of both
            return None
        return Said(water, water=True, heard=heard)
    if middle <= -WET and not (said >= WET).any():
        return Said(np.minimum(-water, np.float32(0)), water=False)
    return None


def _began_with_water(prompts: PixelPrompts, water: FloatArray, said: FloatArray) -> bool:
    """Return whether the first point on the object is on water, and half of all said is."""
    points = prompts.points[prompts.positive]
    if not len(points) or (said >= WET).mean() < 0.5:
        return False
    limit = np.array(water.shape[::-1]) - 1
    col, row = np.clip(np.floor(points[0]).astype(int), 0, limit)
    return bool(water[row, col] >= WET)


def with_water(total: FloatArray, prompts: PixelPrompts, said: Said, version: int) -> FloatArray:
    """Return ``(y, x)`` log-odds with what is said of water added.

    Args:
        total: ``(y, x)`` of the network and the model.
        prompts: In the pixel frame of the chip; a box or an outline bounds the object itself.
        said: Of water.
        version: See ``spectral.VERSION``; before 2 the network is never held back.
    """
    if version > 1 and said.water and prompts.box is None and prompts.mask is None:
        held = np.clip(total, np.float32(-HELD), np.float32(HELD))
        if said.heard is not None:
            own = np.clip(total, np.float32(-HEARD), np.float32(HEARD))
            held = np.where(said.heard > 0, np.maximum(held, own), held)
            held = np.where(said.heard < 0, np.minimum(held, own), held)
        held += said.added
        return held
    return total + said.added


def _around(against: BoolArray, water: FloatArray) -> NDArray[np.int8] | None:
    """Return ``(y, x)`` what lies around contradicting pixels; None where one is amid water."""
    heard = np.zeros(against.shape, np.int8)
    for row, col in np.argwhere(against):
        depth, wet = _depth(water, int(row), int(col)), bool(water[row, col] > 0)
        if depth > NARROW and wet:
            return None
        reach = max(LEAST_REACH, int(REACH * min(depth, NARROW)))
        cv2.circle(heard, (int(col), int(row)), reach, -1 if wet else 1, -1)
    return heard


def _depth(water: FloatArray, row: int, col: int) -> float:
    """Return how far in pixels a pixel is from the other kind, as far as it matters."""
    top, left = max(0, row - NARROW - 1), max(0, col - NARROW - 1)
    around = water[top : row + NARROW + 2, left : col + NARROW + 2] > 0
    same = (around == around[row - top, col - left]).astype(np.uint8)
    if same.all():
        return float(NARROW + 1)
    return float(cv2.distanceTransform(same, cv2.DIST_L2, 5)[row - top, col - left])
