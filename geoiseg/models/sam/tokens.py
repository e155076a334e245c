"""Prompts as the network takes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from geoiseg.errors import PromptError
from geoiseg.models.sam.engine import SEVERAL, SINGLE, FloatArray, Tokens
from geoiseg.models.sam.frames import Frame
from geoiseg.prompting import PixelPrompts, points_along

STROKE_STEP = 48.0
"""Pixels of the network's image between the points that stand for a scribble."""
STROKE_POINTS = 8
"""Points at most that stand for a scribble: SAM was trained with few."""
OUTLINE_LOGIT = 8.0
"""Of the pixels in an outline to be refined; minus that of those outside."""
LIMIT = 32.0
"""Greatest magnitude of a logit handed in: what SAM was trained with."""
PAD = -1
"""Label of the token that stands where no box is."""


def tokens_of(
    prompts: PixelPrompts, frame: Frame, previous: NDArray[np.float32] | None = None
) -> Tokens:
    """Return the prompts of one object.

    An outline that comes alone is given with the box around it: SAM has never seen a mask
    without anything else. A single point may mean several things; then three masks are asked
    for, else one.

    Args:
        prompts: In the continuous pixel frame of the chip.
        frame: Of the chip in the network's image.
        previous: ``(y, x)`` logits of the last mask, to be refined.

    Raises:
        PromptError: Nothing was said, or an outline of another shape or without pixels.
    """
    points, labels = _clicks(prompts, frame)
    mask, box = _mask(prompts, frame, previous), prompts.box
    if box is None and not labels and mask is not None:
        box = _around(prompts.mask if prompts.mask is not None else np.asarray(previous) > 0)
    vague = labels == [1] and box is None and mask is None
    if box is not None:
        corners = np.array(box).reshape(2, 2)
        points, labels = [*points, *frame.to_network(corners)], [*labels, 2, 3]
    elif labels:
        points, labels = [*points, np.zeros(2, np.float32)], [*labels, PAD]
    else:
        raise PromptError("there is no prompt: say where the object is by a point, box or stroke")
    return Tokens(
        np.asarray(points, np.float32)[None],
        np.asarray(labels, np.int32)[None],
        None if mask is None else mask[None],
        SEVERAL if vague else SINGLE,
    )


def group(tokens: Sequence[Tokens]) -> Iterator[tuple[NDArray[np.intp], Tokens]]:
    """Yield prompts that can be answered together, and which they were.

    More points than were given, even void ones, would change a mask: only prompts with as
    many points go together.
    """
    kinds: dict[tuple[bytes, bool, tuple[int, ...]], list[int]] = {}
    for number, one in enumerate(tokens):
        corners = (one.labels > 1).tobytes() + (one.labels < 0).tobytes()
        key = (corners, one.masks is None, one.which)
        kinds.setdefault(key, []).append(number)
    for (_, unmasked, which), numbers in kinds.items():
        some = [tokens[number] for number in numbers]
        masks = None
        if not unmasked:
            masks = np.concatenate([one.masks for one in some if one.masks is not None])
        xy = np.concatenate([one.xy for one in some]).astype(np.float32)
        labels = np.concatenate([one.labels for one in some]).astype(np.int32)
        yield np.array(numbers, np.intp), Tokens(xy, labels, masks, which)


def _clicks(prompts: PixelPrompts, frame: Frame) -> tuple[list[FloatArray], list[int]]:
    points = list(frame.to_network(prompts.points))
    labels = [int(sign) for sign in prompts.positive]
    for stroke, sign in prompts.scribbles:
        placed = points_along(frame.to_network(stroke), STROKE_STEP, STROKE_POINTS)
        along = placed.astype(np.float32)
        points.extend(along)
        labels.extend([int(sign)] * len(along))
    return points, labels


def _mask(
    prompts: PixelPrompts, frame: Frame, previous: NDArray[np.float32] | None
) -> FloatArray | None:
    if previous is not None:
        logits = np.clip(previous, -LIMIT, LIMIT)
    elif prompts.mask is not None:
        logits = np.where(prompts.mask, OUTLINE_LOGIT, -OUTLINE_LOGIT)
    else:
        return None
    if logits.shape != frame.shape:
        raise PromptError(f"the chip is {frame.shape}, the mask to refine {logits.shape}")
    return frame.mask_input(logits, outside=-OUTLINE_LOGIT, sharp=previous is None)


def _around(mask: NDArray[np.bool_]) -> tuple[float, float, float, float]:
    """Return the box around a mask's pixels as ``x0, y0, x1, y1``."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        raise PromptError("the outline to refine has no pixel on the chip")
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)
