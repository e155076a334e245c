"""What the decoder's graph says, made to obey the prompts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoiseg.models.classic.band import refine
from geoiseg.models.classic.seeds import Seeds, draw_seeds
from geoiseg.prompting import PixelPrompts
from geoiseg.raster import BoolArray

FloatArray = NDArray[np.float32]

LIMIT = 12.0
"""Greatest magnitude of a logit; that of invalid pixels."""
FAINT = 0.1
"""Least magnitude of the logit of a prompted pixel, on the side that was said."""
BAND = 3
"""Pixels by which the outline may be moved to where colours change."""
SOLID = 0.6
"""Share of a mask deeper inside than the band from which its outline is moved: of a thin or
ragged object hardly anything would be certain."""
ALIKE = 0.8
"""IoU of the masks before and after below which the move is not believed."""
GIVE_WAY = 2.5
"""Most by which all logits are moved for the sake of a prompt that was not followed."""
MODEST = (0.35, 0.2)
"""By how much the logits of the answer to a user's first click are lowered, and to two: of so
little the network draws too much on places that it does not know. Chosen on those held out."""
LARGE = 0.5
"""A part that no prompt holds stays if it is this large, relative to all that are held."""


def obedient(logits: FloatArray, seeds: Seeds, valid: BoolArray) -> FloatArray:
    """Return the logits with prompted pixels on the side that was said, invalid ones out.

    A prompt that the network did not follow says more than where it lies: that the whole
    outline is too wide or too narrow, if only prompts of one sign were passed over. Parts
    of the mask that hang together with no positive prompt are put aside, unless they are
    large: an object is one piece more often than not, and a user who wants a second piece
    clicks it.

    Args:
        logits: ``(y, x)`` of the chip.
        seeds: The prompts, drawn.
        valid: ``(y, x)`` True where there is data.
    """
    moved = logits + _give_way(logits[seeds.positive], logits[seeds.negative])
    result: FloatArray = np.clip(moved, -LIMIT, LIMIT)
    result[seeds.positive] = np.maximum(result[seeds.positive], FAINT)
    result[seeds.negative] = np.minimum(result[seeds.negative], -FAINT)
    result[~valid] = -LIMIT
    result[_stray(result > 0, seeds)] = -FAINT
    return result


def less_of(prompts: PixelPrompts) -> float:
    """Return by how much logits that answer clicks are to be lowered; 0 of anything more."""
    more = prompts.box is not None or prompts.scribbles or prompts.mask is not None
    clicks = len(prompts.points)
    if more or clicks > len(MODEST) or not prompts.positive.any():
        return 0.0
    return MODEST[clicks - 1]


def _give_way(positive: FloatArray, negative: FloatArray) -> np.float32:
    """Return by how much to move all logits so that the prompts passed over are followed.

    Zero when all were followed, or some of either sign were not. The object's own prompts
    keep a fifth of their logit.

    Args:
        positive: ``(n,)`` logits where the object was said to be.
        negative: ``(m,)`` logits where it was said not to be.
    """
    missed, wrong = positive[positive <= 0], negative[negative > 0]
    if wrong.size and not missed.size:
        room = GIVE_WAY if not positive.size else min(GIVE_WAY, 0.8 * float(np.median(positive)))
        return np.float32(-min(float(wrong.max()) + FAINT, room))
    if missed.size and not wrong.size:
        return np.float32(min(FAINT - float(missed.min()), GIVE_WAY))
    return np.float32(0)


def sharpened(
    logits: FloatArray, image: NDArray[np.uint8], prompts: PixelPrompts, valid: BoolArray
) -> FloatArray:
    """Return the logits with the mask's outline moved to where colours change.

    A cut in a narrow band around the outline; the network itself ends at half resolution.

    Args:
        logits: ``(y, x)`` of the chip.
        image: ``(y, x, 3)`` uint8 the chip.
        prompts: In the pixel frame of the chip.
        valid: ``(y, x)`` True where there is data.
    """
    before = logits > 0
    if _core_share(before) < SOLID:
        return logits
    after = refine(image, before, draw_seeds(prompts, valid), valid, BAND, sampled=True)
    if np.count_nonzero(before & after) < ALIKE * np.count_nonzero(before | after):
        return logits
    moved = np.where(after, np.maximum(logits, FAINT), np.minimum(logits, -FAINT))
    return np.where(after == before, logits, moved).astype(np.float32)


def _core_share(mask: BoolArray) -> float:
    """Return the share of a mask that lies deeper inside than the band; 0 for an empty one."""
    import cv2

    area = np.count_nonzero(mask)
    kernel = np.ones((2 * BAND + 1, 2 * BAND + 1), np.uint8)
    core = cv2.erode(mask.view(np.uint8), kernel, borderType=cv2.BORDER_REPLICATE)
    return np.count_nonzero(core) / area if area else 0.0


def _stray(mask: BoolArray, seeds: Seeds) -> BoolArray:
    """Return the pixels of the mask in small parts that no positive prompt holds."""
    import cv2

    count, parts, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=4)
    areas: NDArray[Any] = stats[:, cv2.CC_STAT_AREA].astype(np.float64)
    areas[0] = 0
    held = np.zeros(count, bool)
    held[parts[seeds.positive]] = True
    if (areas[held] > 0).any():
        stray = ~(held | (areas >= LARGE * areas[held].sum()))
    else:
        stray = areas < 0.1 * areas.max()
    stray[0] = False
    return np.asarray(stray[parts] if stray.any() else np.zeros_like(mask))
