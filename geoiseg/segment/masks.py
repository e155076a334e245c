"""Masks as values, and what is done to them between the model and the outline. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from geoiseg.errors import GeoreferenceError
from geoiseg.models import Masks
from geoiseg.prompting import PixelPrompts
from geoiseg.raster import BoolArray, Grid

LARGE, STEP = 768, 4
"""Chips of more pixels a side are cleaned roughly in steps of so many pixels."""


@dataclass(frozen=True, slots=True, eq=False)
class Mask:
    """Which pixels belong to the object, and where they lie."""

    array: BoolArray
    """``(y, x)`` True = object."""
    grid: Grid
    """Georeference of the array."""
    score: float = 0.0
    """The model's own estimate of the mask's IoU, 0..1."""

    def __post_init__(self) -> None:
        if self.array.dtype != np.bool_ or self.array.shape != self.grid.shape:
            raise GeoreferenceError(
                f"a mask is bool of the grid's shape {self.grid.shape},"
                f" got {self.array.dtype} {self.array.shape}"
            )

    @property
    def is_empty(self) -> bool:
        """Whether no pixel belongs to the object."""
        return not self.array.any()


@dataclass(frozen=True, slots=True)
class CleanOptions:
    """What counts as noise in a mask."""

    min_hole: int = 16
    """Holes of fewer pixels are filled, unless a negative prompt lies in them."""
    min_part: int = 16
    """Parts of fewer pixels are dropped, unless a positive prompt lies on them."""
    only_prompted: bool = True
    """Whether parts that no positive prompt touches are dropped altogether."""


def choose(masks: Masks) -> tuple[NDArray[np.float32], float]:
    """Return ``(y, x)`` logits and the score of the candidate with the best score."""
    best = int(np.argmax(masks.scores))
    return masks.logits[best], float(np.clip(masks.scores[best], 0.0, 1.0))


def clean(
    mask: BoolArray, valid: BoolArray, prompts: PixelPrompts, options: CleanOptions
) -> BoolArray:
    """Return ``(y, x)`` the mask without specks and pinholes.

    With points or scribbles on the object, only the parts that they touch stay; with a
    box or an outline alone, only the parts that reach into it. Pixels without data are
    never part of a mask.

    Args:
        mask: ``(y, x)`` True = object.
        valid: ``(y, x)`` True = data.
        prompts: In the pixel frame of the mask.
        options: What counts as noise.
    """
    kept = _keep_parts(mask & valid, prompts, options)
    return _fill_holes(kept, valid, prompts, options.min_hole)


def roughly_clean(
    mask: BoolArray, valid: BoolArray, prompts: PixelPrompts, options: CleanOptions
) -> BoolArray:
    """Return ``(y, x)`` about what ``clean`` does, of large chips in a fraction of the time.

    Every fourth pixel of every fourth row stands for those after it; where nothing is left so, and
    of chips up to :data:`LARGE` pixels, it is exact. Arguments as ``clean`` takes them.
    """
    if max(mask.shape) <= LARGE:
        return clean(mask, valid, prompts, options)
    few = mask[::STEP, ::STEP]
    box = None
    if prompts.box is not None:
        x0, y0, x1, y1 = prompts.box
        box = (x0 / STEP, y0 / STEP, x1 / STEP, y1 / STEP)
    coarse = replace(
        prompts,
        points=prompts.points / STEP,
        scribbles=tuple((stroke / STEP, sign) for stroke, sign in prompts.scribbles),
        box=box,
        mask=None if prompts.mask is None else prompts.mask[::STEP, ::STEP],
    )
    least = replace(options, min_hole=0, min_part=1)
    kept = clean(np.ascontiguousarray(few), valid[::STEP, ::STEP], coarse, least)
    if not kept.any():
        return clean(mask, valid, prompts, options)
    rows, cols = mask.shape
    size = (kept.shape[1] * STEP, kept.shape[0] * STEP)
    large = cv2.resize(kept.view(np.uint8), size, interpolation=cv2.INTER_NEAREST).view(bool)
    return np.asarray(large[:rows, :cols] & mask)


def prompted_pixels(shape: tuple[int, int], prompts: PixelPrompts, positive: bool) -> BoolArray:
    """Return ``(y, x)`` the pixels that points and scribbles of one sign lie on."""
    canvas = np.zeros(shape, dtype=np.uint8)
    if not canvas.size:
        return canvas.astype(bool)
    limit = np.array(shape[::-1]) - 1
    for xy in prompts.points[prompts.positive == positive]:
        col, row = np.clip(np.floor(xy).astype(int), 0, limit)
        canvas[row, col] = 1
    for stroke, sign in prompts.scribbles:
        if sign == positive:
            vertices = np.clip(np.floor(stroke).astype(np.int32), 0, limit.astype(np.int32))
            cv2.polylines(canvas, [vertices.reshape(-1, 1, 2)], isClosed=False, color=1)
            canvas[vertices[:, 1], vertices[:, 0]] = 1
    return canvas.astype(bool)


def _keep_parts(mask: BoolArray, prompts: PixelPrompts, options: CleanOptions) -> BoolArray:
    if not mask.any():
        return mask
    count, parts, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=4)
    keep = stats[:, cv2.CC_STAT_AREA] >= options.min_part
    touched = np.zeros(count, dtype=bool)
    touched[np.unique(parts[prompted_pixels(mask.shape, prompts, positive=True)])] = True
    touched[0] = False
    if options.only_prompted:
        region = touched if touched.any() else _reached(parts, prompts, count)
        if region.any():
            keep &= region
    keep |= touched
    keep[0] = False
    if not keep.any():  # every part is smaller than a speck: the largest is the object
        keep[1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))] = True
    kept: BoolArray = keep[parts]
    return kept


def _reached(parts: NDArray[Any], prompts: PixelPrompts, count: int) -> BoolArray:
    """Return ``(count,)`` which parts reach into the box or the outline."""
    inside = np.zeros(count, dtype=bool)
    if prompts.box is not None:
        x0, y0, x1, y1 = prompts.box
        rows = slice(max(0, int(y0)), max(0, int(np.ceil(y1))))
        cols = slice(max(0, int(x0)), max(0, int(np.ceil(x1))))
        inside[np.unique(parts[rows, cols])] = True
    elif prompts.mask is not None:
        inside[np.unique(parts[prompts.mask])] = True
    inside[0] = False
    return inside


def _fill_holes(
    mask: BoolArray, valid: BoolArray, prompts: PixelPrompts, min_hole: int
) -> BoolArray:
    if min_hole <= 1 or not mask.any():
        return mask
    count, parts, stats, _ = cv2.connectedComponentsWithStats(
        (~mask).view(np.uint8), connectivity=8
    )
    fill = stats[:, cv2.CC_STAT_AREA] < min_hole
    for edge in (parts[0], parts[-1], parts[:, 0], parts[:, -1]):
        fill[edge] = False  # open to the outside: not a hole
    fill[np.unique(parts[prompted_pixels(mask.shape, prompts, positive=False)])] = False
    fill[0] = False
    filled: BoolArray = (mask | (fill[parts] & (count > 1))) & valid
    return filled


def touched_border(mask: BoolArray, open_sides: tuple[bool, bool, bool, bool]) -> float:
    """Return the share, 0..1, of the open borders' pixels that belong to the object.

    Args:
        mask: ``(y, x)`` True = object.
        open_sides: Whether the raster goes on at the top, right, bottom and left.
    """
    sides = (mask[0], mask[:, -1], mask[-1], mask[:, 0])
    open_pixels = [side for side, is_open in zip(sides, open_sides, strict=True) if is_open]
    total = sum(side.size for side in open_pixels)
    return sum(int(side.sum()) for side in open_pixels) / total if total else 0.0
