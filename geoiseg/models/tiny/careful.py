"""Several clicks are answered with care: refined once more, then seen from the other side, too.

A mask is decoded on a piece of the chip that fits the mask before it. Where clicks have changed
it, once more with what came of them is better (cascade-forward refinement, Sun et al. 2023).
Who has clicked a third time is not content: then the chip is looked at turned by half, too, and
the mean of both answers errs less than either, as overhead pictures have no top.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from geoiseg.models.protocol import Embedding, Masks
from geoiseg.prompting import PixelPrompts

LEAST = 1e-3
"""Pixels that a turned prompt keeps from the far borders, which are beyond the chip."""
REFINED, TURNED = 2, 3
"""Clicks from which on an answer is refined once more, and is the mean of both ways to look."""
SURE = 8.0
"""Logits beyond which neither answer has more to say in the mean."""


class Turning(Protocol):
    """A model that looks at a chip either way."""

    def decode(
        self,
        embedding: Embedding,
        prompts: PixelPrompts,
        previous: NDArray[np.float32] | None = None,
    ) -> Masks:
        """Return candidate masks, best first."""
        ...

    def turned(self, embedding: Embedding) -> Embedding:
        """Return the embedding of a chip turned by half."""
        ...


def decoded_with_care(
    model: Turning,
    embedding: Embedding,
    prompts: PixelPrompts,
    previous: NDArray[np.float32] | None,
) -> Masks:
    """Return candidate masks, best first.

    Args:
        model: Answers.
        embedding: Of the chip.
        prompts: All prompts so far, in the chip's pixel frame.
        previous: ``(y, x)`` logits of the last mask, to be refined.
    """
    masks = model.decode(embedding, prompts, previous)
    clicks = 0 if prompts.box is not None else len(prompts.points)
    if clicks < REFINED or not (masks.logits[0] > 0).any():
        return masks
    masks = model.decode(embedding, prompts, masks.logits[0])
    logits = masks.logits[0]
    if clicks < TURNED or not (logits > 0).any():
        return masks
    other = model.decode(
        model.turned(embedding), turned_prompts(prompts, embedding.shape), turned(logits)
    )
    both = [np.clip(one, -SURE, SURE) for one in (logits, turned(other.logits[0]))]
    all_logits = masks.logits.copy()
    all_logits[0] = (both[0] + both[1]) / 2
    return replace(masks, logits=all_logits)


def turned(values: NDArray[Any]) -> NDArray[Any]:
    """Return a ``(y, x, ...)`` array turned by half."""
    return np.ascontiguousarray(values[::-1, ::-1])


def turned_prompts(prompts: PixelPrompts, shape: tuple[int, int]) -> PixelPrompts:
    """Return prompts as they lie on a chip that is turned by half.

    Args:
        prompts: Without a box.
        shape: Rows and columns of the chip.
    """
    far = np.array([shape[1], shape[0]], np.float64)

    def moved(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.minimum(far - xy, far - LEAST)

    strokes = tuple((moved(xy), sign) for xy, sign in prompts.scribbles)
    mask = None if prompts.mask is None else turned(prompts.mask)
    return replace(prompts, points=moved(prompts.points), scribbles=strokes, mask=mask)
