"""Many prompts on one chip, each answered on as small a piece of the chip as will do.

The decoder's work grows with the area that it looks at, and nearly all objects are much
smaller than a chip. The features are those of the whole chip; only they are cut.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from geoiseg.errors import PromptError
from geoiseg.models.classic.seeds import check_prompts
from geoiseg.models.protocol import Candidates, Embedding
from geoiseg.models.tiny.inputs import features_in, validity
from geoiseg.models.tiny.outputs import LIMIT
from geoiseg.models.tiny.pieces import Features, cut, span
from geoiseg.prompting import PixelPrompts
from geoiseg.raster import BoolArray, Window

FloatArray = NDArray[np.float32]
Cut = Callable[[Window], Features]
"""From a window of the chip to the features of that piece."""
Answer = Callable[[Features, BoolArray, PixelPrompts, FloatArray | None], tuple[FloatArray, float]]
"""From features and validity of a piece, prompts in its frame and the last mask's logits, to
logits and a score."""

SMALLEST = 256
"""Side in pixels of the first piece; about what training showed the network."""
LEAST, STEP = 192, 64
"""Least sides of the first piece for an object whose size is known, and what they are
multiples of."""
ROOM = 24
"""Pixels around a known object that its piece should show."""
OUTLINE_SHARE = 0.5
"""The prompts of an object spread over at most this share of its piece's side."""
OPEN_SHARE = 0.02
"""A mask on more than this share of a piece's inner borders is decoded on a larger one."""
SCALE = 2
"""Chip pixels per pixel of the answers: the resolution of the network's last layer but one."""


def decode_many(
    embedding: Embedding, prompts: Sequence[PixelPrompts], answer: Answer
) -> Candidates:
    """Return one mask for each of the prompts, at half of the chip's resolution.

    Args:
        embedding: Features by name, and ``valid``.
        prompts: In the continuous pixel frame of the chip.
        answer: Decodes one piece.

    Raises:
        PromptError: A prompt is empty or outside the chip.
    """
    valid = validity(embedding)
    features = features_in(embedding)
    shape = (valid.shape[0], valid.shape[1])
    logits = np.full((len(prompts), *(-(-side // SCALE) for side in shape)), -LIMIT, np.float32)
    scores = np.zeros(len(prompts), np.float32)
    for number, asked in enumerate(prompts):
        check_prompts(asked, shape)
        if _says_nothing(asked):
            continue
        window, piece, scores[number] = decode_closely(
            partial(cut, features), valid, asked, None, answer
        )
        small = _shrunk(piece)
        row, col = window.row // SCALE, window.col // SCALE
        logits[number, row : row + small.shape[0], col : col + small.shape[1]] = small
    return Candidates(logits, scores, np.arange(len(prompts)), float(SCALE))


def _says_nothing(prompts: PixelPrompts) -> bool:
    """Return whether there is nothing but an empty outline."""
    others = len(prompts.points) or prompts.scribbles or prompts.box is not None
    return not others and prompts.mask is not None and not prompts.mask.any()


def decode_closely(
    cut_features: Cut,
    valid: BoolArray,
    prompts: PixelPrompts,
    previous: FloatArray | None,
    answer: Answer,
    known: BoolArray | None = None,
    least: int = LEAST,
) -> tuple[Window, FloatArray, float]:
    """Return the smallest piece of the chip that holds the object, its logits and the score.

    Args:
        cut_features: From a window of the chip to its features.
        valid: ``(y, x)`` True where there is data.
        prompts: In the pixel frame of the chip.
        previous: ``(y, x)`` logits of the last mask, if any.
        answer: Decodes one piece.
        known: ``(y, x)`` about where the object is, if that is known.
        least: Least sides of the first piece then.
    """
    shape = (valid.shape[0], valid.shape[1])
    for window in pieces(prompts, shape, known, least):
        part, before = valid[window.slices], None if previous is None else previous[window.slices]
        piece, score = answer(cut_features(window), part, moved(prompts, window), before)
        if not goes_on(piece > 0, window, shape):
            break
    return window, piece, score


def pieces(
    prompts: PixelPrompts,
    shape: tuple[int, int],
    known: BoolArray | None = None,
    least: int = LEAST,
) -> Iterator[Window]:
    """Yield windows around the prompts, each larger than the last, and then all.

    Args:
        prompts: In the pixel frame of the chip.
        shape: Rows and columns of the chip.
        known: ``(y, x)`` about where the object is: the first window shows all of it.
        least: Least sides of the first window then.

    Raises:
        PromptError: There is no prompt.
    """
    low, high = extent(prompts)
    where = None if known is None else bounds(known)
    if where is None:
        side = SMALLEST
        while side < float((high - low).max()) / OUTLINE_SHARE:
            side *= 2
        sides = np.full(2, side)
    else:
        low, high = np.minimum(low, where[0]), np.maximum(high, where[1])
        steps = np.ceil((high - low + 2 * ROOM) / STEP)
        sides = np.maximum(steps.astype(int) * STEP, least)
    middle = (low + high) / 2
    while (sides < (shape[1], shape[0])).any():
        rows = span(middle[1], int(sides[1]), shape[0])
        cols = span(middle[0], int(sides[0]), shape[1])
        yield Window(rows[0], cols[0], rows[1], cols[1])
        sides *= 2
    yield Window(0, 0, *shape)


def bounds(mask: BoolArray) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Return the least and greatest ``x, y`` of a mask's pixels; None where it is empty."""
    rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    low, high = (cols[0], rows[0]), (cols[-1] + 1, rows[-1] + 1)
    return np.array(low, np.float64), np.array(high, np.float64)


def extent(prompts: PixelPrompts) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the least and greatest ``x, y`` of all that was said."""
    parts = [prompts.points, *(stroke for stroke, _ in prompts.scribbles)]
    if prompts.box is not None:
        parts.append(np.reshape(prompts.box, (2, 2)))
    if prompts.mask is not None and prompts.mask.any():
        y, x = np.nonzero(prompts.mask)
        parts.append(np.array([(x.min(), y.min()), (x.max() + 1, y.max() + 1)], np.float64))
    xy = np.concatenate(parts)
    if not len(xy):
        raise PromptError("no prompt: give a point, a box, a scribble or an outline")
    return xy.min(axis=0), xy.max(axis=0)


def moved(prompts: PixelPrompts, window: Window) -> PixelPrompts:
    """Return the prompts in the pixel frame of a window that holds them."""
    offset = np.array([window.col, window.row], np.float64)
    box = prompts.box
    if box is not None:
        box = (box[0] - offset[0], box[1] - offset[1], box[2] - offset[0], box[3] - offset[1])
    return replace(
        prompts,
        points=prompts.points - offset,
        box=box,
        scribbles=tuple((stroke - offset, sign) for stroke, sign in prompts.scribbles),
        mask=None if prompts.mask is None else prompts.mask[window.slices],
    )


def goes_on(mask: BoolArray, window: Window, shape: tuple[int, int]) -> bool:
    """Return whether a mask touches a border of its window beyond which the chip goes on."""
    bottom, right = window.stop
    sides = [
        side
        for side, inner in (
            (mask[0], window.row > 0),
            (mask[-1], bottom < shape[0]),
            (mask[:, 0], window.col > 0),
            (mask[:, -1], right < shape[1]),
        )
        if inner
    ]
    total = sum(side.size for side in sides)
    return bool(total) and sum(int(side.sum()) for side in sides) > OPEN_SHARE * total


def _shrunk(logits: FloatArray) -> FloatArray:
    """Return the means of 2 x 2 pixels; an odd last row or column is repeated."""
    rows, columns = logits.shape
    even = np.pad(logits, ((0, rows % SCALE), (0, columns % SCALE)), mode="edge")
    size = (even.shape[1] // SCALE, even.shape[0] // SCALE)
    return np.asarray(cv2.resize(even, size, interpolation=cv2.INTER_AREA), np.float32)
