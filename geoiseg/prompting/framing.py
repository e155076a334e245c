"""Where to look for the prompts at hand: a pyramid level and a chip of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoiseg.errors import PromptError
from geoiseg.prompting.prompts import Box, Prompt, Prompts, Region, Text
from geoiseg.raster import ChipPlan, Grid, Window

OUTLINE_SHARE = 0.4
"""A box or an outline takes up at most this share of a chip's side."""
POINTS_SHARE = 0.5
"""Points and scribbles spread over at most this share; half-overlap holds no more."""
SMALLEST_SIDE = 32
"""Pixels of a raster's longer side at the coarsest level that can be asked for."""
OBLONG_STEP, OBLONG_AREA, OBLONG_LEAST = 64, 1.25, 128
"""Pixels in which the sides of a chip grow that is no square; its pixels at most, for each of a
square one; and what a side counts as at least: chips are padded."""
DIGITS = 6
"""To which steps are rounded before they are counted, lest the last ones decide."""
MARGIN = 4.0
"""Pixels that prompts keep from the border of the chip in use before it is changed."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A chip: a window of a pyramid level."""

    level: int
    window: Window

    def grid(self, raster_grid: Grid) -> Grid:
        """Return the grid of the chip's pixels."""
        return raster_grid.level(self.level).window(self.window)

    def open_sides(self, raster_grid: Grid) -> tuple[bool, bool, bool, bool]:
        """Return whether the raster goes on at the top, right, bottom and left."""
        rows, cols = raster_grid.level(self.level).shape
        stop_row, stop_col = self.window.stop
        return self.window.row > 0, stop_col < cols, stop_row < rows, self.window.col > 0


def check_inside(prompt: Prompt, grid: Grid, name: str) -> None:
    """Make sure that a prompt lies on the raster; boxes and outlines may stick out.

    Raises:
        PromptError: It does not.
    """
    if isinstance(prompt, Text):
        return
    vertices = Prompts((prompt,)).outline_pixels(grid)
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    if isinstance(prompt, (Box, Region)):
        outside = (high <= 0).any() or (low >= grid.shape[::-1]).any()
    else:
        outside = not grid.whole.contains(vertices).any()
    if outside:
        bounds = ", ".join(f"{value:.6g}" for value in grid.bounds)
        place = ", ".join(f"{value:.6g}" for value in prompt.geometry(grid.crs).bounds[:2])
        raise PromptError(
            f"the {prompt.kind} at ({place}) is outside {name}, whose bounds are ({bounds});"
            " is its CRS right?"
        )


def level_for_gsd(grid: Grid, gsd: float | None) -> int:
    """Return the pyramid level whose pixels are nearest to ``gsd`` metres; 0 for None.

    Where the raster's CRS is not of the Earth, ``gsd`` is in units of the transform.

    Raises:
        PromptError: ``gsd`` is not a positive number.
    """
    if gsd is None:
        return 0
    if not (math.isfinite(gsd) and gsd > 0):
        raise PromptError(f"gsd is a positive number of metres per pixel, got {gsd!r}")
    metres = grid.pixel_size_metres() or math.sqrt(math.prod(grid.pixel_size))
    return max(0, min(coarsest_level(grid), round(math.log2(gsd / metres))))


def coarsest_level(grid: Grid) -> int:
    """Return the coarsest level that any click can be asked to work at."""
    return max(0, math.ceil(math.log2(max(grid.shape) / SMALLEST_SIDE)))


def place(
    grid: Grid,
    prompts: Prompts,
    chip_size: int,
    lowest: int = 0,
    *,
    any_shape: bool = False,
) -> Frame:
    """Return the finest chip, no finer than level ``lowest``, that holds all prompts well.

    Args:
        grid: The raster's full-resolution grid.
        prompts: At least one with a place; those outside the raster are clipped to it.
        chip_size: Side of the model's chips in pixels.
        lowest: The finest level allowed.
        any_shape: Whether a chip around points and strokes may be :func:`oblong`, on which what is
            long is seen closely.

    Raises:
        PromptError: No prompt has a place.
    """
    vertices = prompts.outline_pixels(grid)
    if not len(vertices):
        raise PromptError("words alone do not say where to look; add a box or a point")
    vertices = np.clip(vertices, 0, grid.shape[::-1])
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    outlined = any(isinstance(item, (Box, Region)) for item in prompts.items)
    share = OUTLINE_SHARE if outlined else POINTS_SHARE
    box = (*low.tolist(), *high.tolist())
    long = any_shape and not outlined  # all that an outline needs is in it: it is seen as a whole
    level = lowest
    while level < grid.top_level and (high - low).max() / (1 << level) > share * chip_size:
        frame = oblong(grid, level, chip_size, box, share) if long else None
        if frame is not None:
            return frame
        level += 1
    return around(grid, level, chip_size, box)


def around(grid: Grid, level: int, chip_size: int, box: tuple[float, float, float, float]) -> Frame:
    """Return the chip of a level that lies nearest around a box in full-resolution pixels.

    A box that no chip of the lattice holds gets a window of its own, once.
    """
    shape = grid.level(level).shape
    sx, sy = shape[1] / grid.width, shape[0] / grid.height
    # The raster's far border may come to lie beyond the level's by rounding.
    x0, x1 = (min(x * sx, shape[1]) for x in (box[0], box[2]))
    y0, y1 = (min(y * sy, shape[0]) for y in (box[1], box[3]))
    window = ChipPlan(shape, chip_size).around(x0, y0, x1, y1)
    if window.contains([(x0, y0), (x1, y1)]).all():
        return Frame(level, window)
    top, left = max(0, math.floor(y0)), max(0, math.floor(x0))
    height, width = math.ceil(y1) - top, math.ceil(x1) - left
    return Frame(level, Window(top, left, height, width).intersection(grid.level(level).whole))


def oblong(
    grid: Grid,
    level: int,
    chip_size: int,
    box: tuple[float, float, float, float],
    share: float,
) -> Frame | None:
    """Return a chip of a level that is no square, but has hardly more pixels than one.

    Its sides are at least half of a square one's, or the raster's own.

    Args:
        grid: The raster's full-resolution grid.
        level: Of the pyramid.
        chip_size: Side of the model's square chips in pixels.
        box: ``x0, y0, x1, y1`` in full-resolution pixels, on the raster.
        share: How much of the chip's sides it takes up at most, but where they are the raster's.

    Returns:
        None where there is no such chip.
    """
    shape = np.array(grid.level(level).shape)
    scale = shape / grid.shape
    low, high = np.array(box[1::-1]) * scale, np.array(box[:1:-1]) * scale
    needed = np.maximum((high - low) / share, chip_size // 2)
    steps = np.ceil(np.round(needed / OBLONG_STEP, DIGITS)).astype(int)
    sides = np.minimum(OBLONG_STEP * steps, shape)
    pixels = int(OBLONG_AREA * chip_size**2)
    if _area(sides) > pixels:
        return None
    grown: NDArray[np.int64] | None = sides
    while grown is not None:
        sides, grown = grown, _longer(grown, shape, pixels)
    begins = ((low + high) / 2 - sides / 2) / OBLONG_STEP + 0.5
    steps = np.floor(np.round(begins, DIGITS)).astype(int)
    row, col = np.clip(OBLONG_STEP * steps, 0, shape - sides).tolist()
    return Frame(level, Window(row, col, int(sides[0]), int(sides[1])))


def _longer(
    sides: NDArray[np.int64], most: NDArray[np.int64], pixels: int
) -> NDArray[np.int64] | None:
    """Return the sides of a chip one step longer, the shorter one if it can be; else None."""
    for axis in np.argsort(sides, kind="stable").tolist():
        grown = sides.copy()
        grown[axis] = min(grown[axis] + OBLONG_STEP, most[axis])
        if grown[axis] > sides[axis] and _area(grown) <= pixels:
            return grown
    return None


def _area(sides: NDArray[np.int64]) -> int:
    """Return the pixels of a chip as they count."""
    return int(np.maximum(sides, OBLONG_LEAST).prod())


def holds(frame: Frame, grid: Grid, prompts: Prompts) -> bool:
    """Return whether a chip holds all prompts with a margin where the raster goes on."""
    vertices = prompts.outline_pixels(frame.grid(grid))
    top, right, bottom, left = frame.open_sides(grid)
    low = np.array([MARGIN if left else -np.inf, MARGIN if top else -np.inf])
    high = np.array(
        [
            frame.window.width - MARGIN if right else np.inf,
            frame.window.height - MARGIN if bottom else np.inf,
        ]
    )
    return bool(((vertices >= low) & (vertices <= high)).all())
