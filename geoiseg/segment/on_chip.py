"""Prompts on one chip: clipped to it, and held against where it has data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from rasterio.features import rasterize

from geoiseg.errors import NoDataError, PromptError
from geoiseg.prompting import PixelPrompts, Point, Prompt, Prompts, Region, Scribble
from geoiseg.raster import BoolArray, Grid
from geoiseg.segment.masks import prompted_pixels
from geoiseg.segment.outcome import no_data


def check_data_under(pixel: PixelPrompts, valid: BoolArray, prompts: Prompts, name: str) -> None:
    """Make sure that not all that is said to be the object lies where a chip has no data.

    Args:
        pixel: The prompts in the chip's pixels.
        valid: ``(y, x)`` True where it has data.
        prompts: The same prompts as they were given.
        name: Of the raster.

    Raises:
        NoDataError: All of it does.
    """
    marks = prompted_pixels(valid.shape, pixel, positive=True)
    if marks.any() and not valid[marks].any():
        raise NoDataError(no_data(name), tuple(one for one in prompts.items if one.positive))


def without_data(prompts: Prompts, grid: Grid, valid: BoolArray) -> Iterator[Prompt]:
    """Yield the points and strokes on the object that have no data under them."""
    for item in prompts.items:
        if isinstance(item, (Point, Scribble)) and item.positive:
            pixel = inside(Prompts((item,)).to_pixel(grid), grid)
            on = prompted_pixels(valid.shape, pixel, positive=True)
            if on.any() and not valid[on].any():
                yield item


def touched(region: Region, grid: Grid) -> BoolArray:
    """Return ``(y, x)`` the pixels that an outline meets anywhere, not only at their centres."""
    shapes = [(region.polygon, 1)]
    burned = rasterize(shapes, grid.shape, transform=grid.transform, all_touched=True,
                       dtype="uint8")  # fmt: skip
    return np.asarray(burned.astype(bool))


def inside(prompts: PixelPrompts, grid: Grid) -> PixelPrompts:
    """Return the prompts clipped to a chip: what sticks out can not be said to a model."""
    far = np.array(grid.shape[::-1], dtype=np.float64)
    last = np.nextafter(far, 0)
    strokes = []
    for stroke, sign in prompts.scribbles:
        if ((stroke >= 0) & (stroke <= far)).all(axis=1).any():
            strokes.append((np.clip(stroke, 0, last), sign))
    box = prompts.box
    if box is not None:
        x0, y0 = np.clip(box[:2], 0, far).tolist()
        x1, y1 = np.clip(box[2:], 0, far).tolist()
        if x0 >= x1 or y0 >= y1:
            raise PromptError(f"the box {box} is not on the chip")
        box = (x0, y0, x1, y1)
    return replace(
        prompts, points=np.clip(prompts.points, 0, last), scribbles=tuple(strokes), box=box
    )
