"""Where words are looked for: chips of one level that cover an area."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import shapely
from numpy.typing import NDArray

from geoiseg.errors import PromptError
from geoiseg.models import Embedding
from geoiseg.models.tiny.afar import TIMES
from geoiseg.prompting import Frame, coarsest_level, level_for_gsd
from geoiseg.raster import BoolArray, Grid, Window

SIDE = 1024
"""Pixels of an area's longer side up to which it is looked at as finely as the raster allows;
a larger area is looked at from further away unless a gsd is given."""
SURROUNDINGS = 64
"""Pixels around a chip that are looked at besides, where an area takes several."""
STRIDE = 32
"""Chips begin on cells of the coarsest features."""
MOST_PIXELS = 1 << 24
"""Pixels of an area that are looked at in one go; more is work for ``geoiseg map --text``."""

SMALL, ENLARGED = 720, 2
COARSE = 10.0
"""A level of pixels of at least :data:`COARSE` metres whose longer side has at most
:data:`SMALL` of them is shown enlarged: the rivers and roads of satellite images are thinner
than a cell of the network, which was trained on aerial ones."""

FROM_AFAR = 1 / TIMES
"""Size of a chip that is looked at from twice as far, as a share of its own."""

Bounds = tuple[float, float, float, float]
Odds = Callable[[str], NDArray[np.float32] | None]
"""Gives ``(y, x)`` log-odds by physics that pixels are of a kind, None without its bands."""


@dataclass(frozen=True, slots=True)
class Area:
    """Part of a level, in chips."""

    level: int
    window: Window
    """Of the level."""

    @property
    def cores(self) -> tuple[Window, ...]:
        """The parts that the chips decide; together they cover the window once."""
        top, left = self.window.row, self.window.col
        bottom, right = self.window.stop
        return tuple(
            Window(row, col, min(SIDE, bottom - row), min(SIDE, right - col))
            for row in range(top, bottom, SIDE)
            for col in range(left, right, SIDE)
        )

    def frame(self, core: Window, grid: Grid) -> Frame:
        """Return the chip around a core."""
        whole = grid.level(self.level).whole
        around = 0 if len(self.cores) == 1 else SURROUNDINGS
        top, left = (max(0, start - around) // STRIDE * STRIDE for start in (core.row, core.col))
        bottom, right = (stop + around for stop in core.stop)
        near = Window(top, left, bottom - top, right - left).intersection(whole)
        return Frame(self.level, near)

    def grid(self, raster_grid: Grid) -> Grid:
        """Return the grid of the area's pixels."""
        return raster_grid.level(self.level).window(self.window)


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A chip as an engine sees it."""

    frame: Frame
    rgb: NDArray[np.uint8]
    """``(y, x, 3)``."""
    valid: BoolArray
    key: str
    """Names the pixels: the same for the same chip of the same raster and stretch; empty
    where nothing of the chip is to be kept."""
    factor: int
    """How many times as large it is shown to the network."""
    embed: Callable[[float], Embedding] = field(repr=False)
    """Gives the embedding of ``tiny`` of the chip shown so many times as large, or at half its
    size, its own size from the cache where it is."""
    odds: Odds = field(default=lambda _: None, repr=False)
    """What the indices of known bands say of a kind."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.frame.window.shape


def find_area(grid: Grid, within: Bounds | None, gsd: float | None) -> Area:
    """Return the area of a box, at the level to look at it.

    Args:
        grid: The raster's.
        within: ``xmin, ymin, xmax, ymax`` in the raster's CRS; None is the whole raster.
        gsd: Metres per pixel to work at; None takes the finest at which the area is at most
            :data:`SIDE` pixels wide.

    Raises:
        PromptError: The box does not meet the raster, or holds too many pixels.
    """
    x0, y0, x1, y1 = _pixel_box(grid, within)
    if gsd is None:
        level = 0
        while max(x1 - x0, y1 - y0) / (1 << level) > SIDE and level < coarsest_level(grid):
            level += 1
    else:
        level = level_for_gsd(grid, gsd)
    at = grid.level(level)
    sx, sy = at.width / grid.width, at.height / grid.height
    top, left = math.floor(y0 * sy), math.floor(x0 * sx)
    height, width = math.ceil(y1 * sy) - top, math.ceil(x1 * sx) - left
    window = Window(top, left, max(1, height), max(1, width)).intersection(at.whole)
    if window.height * window.width > MOST_PIXELS:
        raise PromptError(
            f"{window.width} x {window.height} pixels are too many to look through at once; give"
            " a box, a coarser gsd, or take geoiseg map --text"
        )
    return Area(level, window)


def factor_for(grid: Grid, level: int) -> int:
    """Return how many times as large chips of a level are shown to the network."""
    at = grid.level(level)
    coarse = (at.pixel_size_metres() or 0.0) >= COARSE
    return ENLARGED if coarse and max(at.shape) <= SMALL else 1


def gsd_of(grid: Grid, level: int) -> float:
    """Return the gsd that ``level_for_gsd`` turns into a level."""
    return (grid.pixel_size_metres() or math.sqrt(math.prod(grid.pixel_size))) * 2.0**level


def _pixel_box(grid: Grid, within: Bounds | None) -> Bounds:
    if within is None:
        return 0.0, 0.0, float(grid.width), float(grid.height)
    xmin, ymin, xmax, ymax = within
    if not (all(map(math.isfinite, within)) and xmin < xmax and ymin < ymax):
        raise PromptError(f"a box needs xmin < xmax and ymin < ymax, got {within}")
    x0, y0, x1, y1 = grid.box_to_pixel(within)
    box = shapely.box(x0, y0, x1, y1).intersection(shapely.box(0, 0, grid.width, grid.height))
    if box.area <= 0:
        bounds = ", ".join(f"{value:.6g}" for value in grid.bounds)
        raise PromptError(f"the box {within} does not meet the raster, whose bounds are ({bounds})")
    left, top, right, bottom = box.bounds
    return float(left), float(top), float(right), float(bottom)
