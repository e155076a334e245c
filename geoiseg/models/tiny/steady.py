"""A correction changes what it is about, and nearly leaves the rest as it was."""

from __future__ import annotations

import cv2
import numpy as np

from geoiseg.models.classic.seeds import Seeds
from geoiseg.models.tiny.outputs import FloatArray, held, passed_over
from geoiseg.raster import BoolArray

TOUCHES = 2
"""Pixels within which a change lies at a prompt."""


def steadied(logits: FloatArray, before: FloatArray, seeds: Seeds, valid: BoolArray) -> FloatArray:
    """Return logits of a correction: elsewhere the mean of what they and the last mask say.

    The network looks at all prompts anew, and may lose far from a correction what it had
    right. Both answers are about as good there, and their mean is better than either.

    Args:
        logits: ``(y, x)`` of the answer to all prompts.
        before: ``(y, x)`` of the last mask, to which some prompts were no answer yet.
        seeds: The prompts, drawn.
        valid: ``(y, x)`` True where there is data.

    Returns:
        ``logits`` as they are where no prompt says that the last mask was wrong.
    """
    corrections = passed_over(before, seeds)
    if not corrections.any():
        return logits
    changed = (logits > 0) != (before > 0)
    count, parts = cv2.connectedComponents(changed.view(np.uint8), connectivity=8)
    side = 2 * TOUCHES + 1
    near = cv2.dilate(corrections.view(np.uint8), np.ones((side, side), np.uint8))
    meant = np.zeros(count, bool)
    meant[parts[(near > 0) & changed]] = True
    mean = np.where(meant[parts], logits, (logits + before) / 2)
    return held(mean.astype(np.float32), seeds, valid)
