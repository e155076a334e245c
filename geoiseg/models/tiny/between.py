"""A chip seen from a third further away: of each four pixels, across and down, three are left.

What a network makes of a thing hangs on how large it appears. At another size it errs elsewhere,
so that what both say is likelier, and the mean of both outlines better than either.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from geoiseg.prompting import PixelPrompts
from geoiseg.raster import BoolArray

FloatArray = NDArray[np.float32]

FOUR, THREE = 4, 3
"""Pixels of the chip, across or down, and of the view, that show the same."""
TIMES = FOUR / THREE
"""Pixels of the chip, across and down, for each of the view."""
PARTS = FOUR**2
"""Of a pixel of the view: a quarter of a pixel of the chip across, and one down."""


def reduced(pixels: NDArray[np.uint8], valid: BoolArray) -> tuple[NDArray[np.uint8], BoolArray]:
    """Return a chip as it is seen from a third further away, and where there is data.

    Args:
        pixels: ``(y, x, 3)``, zero where there is no data.
        valid: ``(y, x)``.
    """
    counts = _sums(valid.astype(np.int32)[..., None])
    sums = _sums(pixels.astype(np.int32))
    means = (2 * sums + counts) // np.maximum(2 * counts, 1)
    return means.astype(np.uint8), counts[..., 0] > 0


def seen(prompts: PixelPrompts) -> PixelPrompts:
    """Return points and strokes of the chip in the pixel frame of the view."""
    strokes = tuple((xy / TIMES, sign) for xy, sign in prompts.scribbles)
    return replace(prompts, points=prompts.points / TIMES, scribbles=strokes)


def reduced_logits(logits: FloatArray) -> FloatArray:
    """Return ``(y, x)`` logits of the chip as ``(v, u)`` ones of the view."""
    return np.asarray(_sums(logits[..., None], "edge")[..., 0] / PARTS, np.float32)


def enlarged_logits(logits: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """Return ``(v, u)`` logits of the view as ``(y, x)`` ones of the chip.

    Args:
        logits: Of the view.
        shape: Rows and columns of the chip.
    """
    groups = [-(-side // FOUR) for side in shape]
    around = [(0, THREE * many - side) for many, side in zip(groups, logits.shape, strict=True)]
    size = (FOUR * groups[1], FOUR * groups[0])
    whole = cv2.resize(np.pad(logits, around, mode="edge"), size, interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(whole[: shape[0], : shape[1]], np.float32)


def _sums(values: NDArray[Any], mode: Literal["constant", "edge"] = "constant") -> NDArray[Any]:
    """Return ``(v, u, n)`` of the view, in parts, of ``(y, x, n)`` of the chip.

    Args:
        values: Of the chip.
        mode: How rows and columns are filled up to whole groups of four.
    """
    shape = values.shape[:2]
    odd = [(0, -side % FOUR) for side in shape]
    rows = _of_three(np.pad(values, (*odd, (0, 0)), mode=mode))
    whole = _of_three(rows.swapaxes(0, 1)).swapaxes(0, 1)
    height, width = (-(-THREE * side // FOUR) for side in shape)
    return np.ascontiguousarray(whole[:height, :width])


def _of_three(values: NDArray[Any]) -> NDArray[Any]:
    """Return three rows for each four, each the sum of four quarters."""
    a, b, c, d = (values[start::FOUR] for start in range(FOUR))
    three = np.stack([3 * a + b, 2 * (b + c), c + 3 * d], axis=1)
    return three.reshape(-1, *values.shape[1:])
