"""Prompts drawn into pixels: what is certainly the object, what certainly is not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoiseg.errors import PromptError
from geoiseg.prompting import PixelPrompts
from geoiseg.raster import BoolArray


@dataclass(frozen=True, slots=True, eq=False)
class Seeds:
    """All prompts of one object as masks of the chip; no invalid pixel is in any of them."""

    positive: BoolArray
    """``(y, x)`` pixels said to be the object."""
    negative: BoolArray
    """``(y, x)`` pixels said not to be."""
    box: BoolArray | None
    """``(y, x)`` True within the box; nothing outside it is the object."""
    outline: BoolArray | None
    """``(y, x)`` the outline to refine: the mask prompt, or the last mask where no other
    prompt says where the object is."""
    logits: NDArray[np.float32] | None
    """``(y, x)`` logits of the last mask, a hint only."""

    @property
    def last(self) -> NDArray[np.float32] | None:
        """``(y, x)`` probability of the last mask, made anew each time."""
        return None if self.logits is None else _probability(self.logits)

    @property
    def empty(self) -> bool:
        """Whether nothing says where the object is, so that the answer is an empty mask."""
        outlined = self.outline is not None and self.outline.any()
        boxed = self.box is not None and self.box.any()
        return not (self.positive.any() or outlined or boxed)


def draw_seeds(
    prompts: PixelPrompts, valid: BoolArray, previous: NDArray[np.float32] | None = None
) -> Seeds:
    """Return the prompts as masks of the chip.

    Scribbles are drawn first and points over them, later over earlier, so that the last
    word on a pixel counts and a point beats a stroke. Prompts on invalid pixels say nothing.

    Args:
        prompts: In the continuous pixel frame of the chip.
        valid: ``(y, x)`` True where there is data.
        previous: ``(y, x)`` logits of the last mask.

    Raises:
        PromptError: There is no prompt, one lies outside the chip, or an array has another
            shape than the chip.
    """
    shape = (valid.shape[0], valid.shape[1])
    check_prompts(prompts, shape)
    signs = np.zeros(shape, np.int8)
    for stroke, positive in prompts.scribbles:
        _draw_stroke(signs, stroke, 1 if positive else -1)
    _draw_points(signs, prompts)
    signs[~valid] = 0
    box = None if prompts.box is None else _draw_box(prompts.box, shape) & valid
    logits = None if previous is None else _of_shape(previous, shape, "previous logits")
    outline = None
    if prompts.mask is not None:
        outline = prompts.mask.astype(bool) & valid
    elif logits is not None and box is None and not (signs > 0).any():
        outline = (logits > 0) & valid
    return Seeds(signs > 0, signs < 0, box, outline, logits)


def check_prompts(prompts: PixelPrompts, shape: tuple[int, int]) -> None:
    """Raise where prompts can not be drawn on a chip of so many rows and columns.

    Raises:
        PromptError: There is no prompt, one lies outside the chip, or the outline has another
            shape than the chip.
    """
    if not prompts:
        raise PromptError("no prompt: give a point, a box, a scribble or an outline")
    rows, columns = shape
    for x, y in prompts.points:
        if not (0 <= x <= columns and 0 <= y <= rows):
            raise PromptError(
                f"point ({x:g}, {y:g}) lies outside the chip of {columns} x {rows} pixels"
            )
    for stroke, _ in prompts.scribbles:
        _check_stroke(stroke, shape)
    if prompts.box is not None:
        x0, y0, x1, y1 = prompts.box
        if not np.isfinite(prompts.box).all() or x0 >= columns or y0 >= rows or x1 <= 0 or y1 <= 0:
            raise PromptError(
                f"box {tuple(map(float, prompts.box))} lies outside the chip"
                f" of {columns} x {rows} pixels"
            )
    if prompts.mask is not None:
        _of_shape(prompts.mask, shape, "mask")


def _check_stroke(stroke: NDArray[np.float64], shape: tuple[int, int]) -> None:
    if stroke.ndim != 2 or stroke.shape[1:] != (2,) or not len(stroke):
        raise PromptError(f"a scribble is (k, 2) vertices, got an array of {stroke.shape}")
    if not np.isfinite(stroke).all() or np.abs(stroke).max() > 1e6:
        raise PromptError("a scribble has vertices that are not finite pixel positions")
    if not _inside(stroke, shape).any():
        rows, columns = shape
        raise PromptError(f"a scribble has no vertex inside the chip of {columns} x {rows} pixels")


def _draw_points(signs: NDArray[np.int8], prompts: PixelPrompts) -> None:
    rows, columns = signs.shape
    for (x, y), positive in zip(prompts.points, prompts.positive, strict=True):
        signs[min(int(y), rows - 1), min(int(x), columns - 1)] = 1 if positive else -1


def _inside(stroke: NDArray[np.float64], shape: tuple[int, int]) -> BoolArray:
    return np.asarray(((stroke >= 0) & (stroke <= shape[::-1])).all(1))


def _draw_stroke(signs: NDArray[np.int8], stroke: NDArray[np.float64], sign: int) -> None:
    import cv2

    rows, columns = signs.shape
    inside = _inside(stroke, (rows, columns))
    pixels = np.floor(stroke).astype(np.int32)
    pixels[inside] = np.minimum(pixels[inside], (columns - 1, rows - 1))
    canvas = np.zeros(signs.shape, np.uint8)
    cv2.polylines(canvas, [pixels.reshape(-1, 1, 2)], isClosed=False, color=1)
    signs[canvas > 0] = sign


def _draw_box(box: tuple[float, float, float, float], shape: tuple[int, int]) -> BoolArray:
    """Return True on pixels whose centre lies in the box, at least one row and column."""
    rows, columns = shape
    x0, y0, x1, y1 = box
    inside = np.zeros(shape, bool)
    inside[_span(y0, y1, rows), _span(x0, x1, columns)] = True
    return inside


def _span(low: float, high: float, size: int) -> slice:
    first = min(max(round(low), 0), size - 1)
    return slice(first, max(min(round(high), size), first + 1))


def _of_shape(array: NDArray[Any], shape: tuple[int, int], name: str) -> NDArray[Any]:
    if array.shape != shape:
        raise PromptError(f"{name} must have the chip's shape {shape}, got {array.shape}")
    return array


def _probability(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    clipped = np.clip(np.nan_to_num(logits, nan=-30.0), -30.0, 30.0)
    return np.asarray(1 / (1 + np.exp(-clipped)), dtype=np.float32)
