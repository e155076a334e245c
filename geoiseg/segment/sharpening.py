"""Borders at native resolution of objects that were seen from further away.

An object larger than a chip is found on a coarse level of the pyramid. Its border alone is then
gone along on finer levels: chips of the fixed lattice where the border runs, each told by
the coarse answer where the object surely is and where it surely is not, and given that answer as
the mask to refine. A chip decides for its middle alone, and for a band along the coarse
border; all else stays. So the cost follows the length of the border, not the area.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from geoiseg.errors import CancelledError
from geoiseg.prompting import Frame, PixelPrompts, Prompts
from geoiseg.raster import BoolArray, Grid, Window
from geoiseg.segment.growing import (
    NEGATIVES,
    POSITIVES,
    Canvas,
    Lattice,
    deep_points,
    said_within,
    slices,
)

FloatArray = NDArray[np.float32]
Refine = Callable[[Frame, PixelPrompts, FloatArray], tuple[BoolArray, BoolArray]]
"""Answers prompts on a chip, given ``(y, x)`` logits of what is thought there: ``(y, x)`` the
mask, and where there is data."""
BAND = 3.0
"""Coarse pixels on either side of the coarse border within which a finer look decides."""
LEAP = 2
"""Levels that are gone down at once."""
SLOPE, SUREST = 1.5, 4.0
"""Logits per coarse pixel of distance from the coarse border, and the greatest."""
AGREEMENT = 0.9
"""Least share of what is sure on a chip that its answer has to get right."""
SPECK = 16
"""Pixels below which a part or a hole is noise."""


@dataclass(frozen=True, slots=True)
class SharpenOptions:
    """How far to go."""

    level: int = 0
    """Level of the pyramid at which the border is wanted."""
    chips: int = 1000
    """Chips looked at at most."""
    pixels: int = 64_000_000
    """Pixels of the box around the object at most: levels at which it has more are left out."""


@dataclass(frozen=True, slots=True)
class Sharpened:
    """An object on a finer level."""

    frame: Frame
    canvas: Canvas


def sharpen(
    frame: Frame,
    mask: BoolArray,
    said: Prompts,
    grid: Grid,
    refine: Refine,
    chip_size: int,
    options: SharpenOptions | None = None,
) -> Sharpened:
    """Return an object with its border as fine as the raster, or the limits, allow.

    Stopped in the middle it is as far as it came, as with so many chips allowed; before the
    first chip was looked at, that it was stopped is passed on.

    Args:
        frame: Where the object was seen.
        mask: ``(y, x)`` the object there.
        said: All that the user said of it.
        grid: The raster's full-resolution grid.
        refine: Answers prompts on a chip.
        chip_size: Side of a chip in pixels.
        options: How far to go.

    Raises:
        CancelledError: The user asked to stop before anything was done.
    """
    options = options or SharpenOptions()
    look = _Looking(said, grid, refine, chip_size, options.chips)
    canvas = Canvas.of(frame.window, mask)
    level = frame.level
    while level > options.level and not canvas.full:
        finer = max(options.level, level - LEAP)
        coarse = _Coarse(canvas.window, canvas.mask, grid.level(level).shape)
        target = coarse.window_on(grid.level(finer).shape)
        if not canvas.mask.any() or target.height * target.width > options.pixels:
            break
        canvas = look.closer(coarse, Frame(finer, target), canvas)
        level = finer
    return Sharpened(Frame(level, canvas.window), canvas)


@dataclass(frozen=True, slots=True)
class _Looking:
    """How borders are looked at."""

    said: Prompts
    grid: Grid
    refine: Refine
    chip_size: int
    chips: int
    """Most chips."""

    def closer(self, coarse: _Coarse, frame: Frame, before: Canvas) -> Canvas:
        """Return the object on a finer level, its border looked at chip by chip."""
        shape = self.grid.level(frame.level).shape
        canvas = Canvas.of(frame.window, coarse.nearest(frame.window, shape))
        canvas.chips, canvas.lost = before.chips, before.lost
        lattice = Lattice(shape, self.chip_size)
        for cell in self._in_order(_along(coarse, frame.window, shape, lattice), lattice, frame):
            window = lattice.chip(*cell)
            owned = lattice.owned(*cell).intersection(frame.window)
            if canvas.chips >= self.chips:
                canvas.full = True
                break
            depth = coarse.depth_in(window, shape)
            try:
                answer = self._refined(depth, Frame(frame.level, window))
            except CancelledError:
                if not canvas.chips:
                    raise
                canvas.full = True
                break
            canvas.chips += 1
            if answer is None:
                canvas.lost += 1
                answer = depth > 0
            canvas.mask[slices(owned, frame.window)] = answer[slices(owned, window)]
        _without_specks(canvas, coarse.nearest(frame.window, shape))
        return canvas

    def _in_order(
        self, cells: Iterator[tuple[int, int]], lattice: Lattice, frame: Frame
    ) -> list[tuple[int, int]]:
        """Return cells by how far they are from what was said first."""
        vertices = self.said.outline_pixels(self.grid)
        if not len(vertices):
            return list(cells)
        x, y = (vertices[0] / (1 << frame.level)).tolist()
        return sorted(cells, key=lambda cell: math.dist((y, x), _middle(lattice.owned(*cell))))

    def _refined(self, depth: FloatArray, frame: Frame) -> BoolArray | None:
        """Return ``(y, x)`` the object on a chip, or None where the answer is not believed."""
        prior, band = depth > 0, np.abs(depth) <= BAND
        on, off = prior & ~band, ~prior & ~band
        own = said_within(self.said, frame, self.grid)
        places = [deep_points(on if on.any() else prior, POSITIVES), deep_points(off, NEGATIVES)]
        if not len(places[0]) and not own.positive.any():
            return None
        points = np.concatenate([*places, own.points])
        signs = [np.ones(len(places[0]), bool), np.zeros(len(places[1]), bool), own.positive]
        prompts = PixelPrompts(points, np.concatenate(signs), scribbles=own.scribbles)
        answer, valid = self.refine(frame, prompts, np.clip(depth * SLOPE, -SUREST, SUREST))
        sure = valid & ~band
        if np.count_nonzero(answer[sure] == prior[sure]) < AGREEMENT * np.count_nonzero(sure):
            return None
        return np.asarray(np.where(band, answer & valid, prior & valid))


class _Coarse:
    """What is known of an object from further away, to be asked on finer levels.

    Args:
        window: Of the coarse level.
        mask: ``(y, x)`` the object in it.
        shape: Of the coarse level.
    """

    def __init__(self, window: Window, mask: BoolArray, shape: tuple[int, int]) -> None:
        self.window, self.mask, self.shape = window, mask, shape
        inside, outside = (
            np.asarray(cv2.distanceTransform(one.astype(np.uint8), cv2.DIST_L2, 5))
            if not one.all()
            else np.full(mask.shape, 2 * BAND, np.float32)
            for one in (mask, ~mask)
        )
        # Half a pixel off: what is told from pixel to pixel lies at their middles.
        self.depth = np.where(mask, inside - 0.5, 0.5 - outside).astype(np.float32)

    def window_on(self, shape: tuple[int, int]) -> Window:
        """Return the window of a finer level, of a shape, that holds the object and a margin.

        It does not reach beyond what is known: there the object may go on.
        """
        rows, cols = np.flatnonzero(self.mask.any(1)), np.flatnonzero(self.mask.any(0))
        if not len(rows):
            return Window(0, 0, 0, 0)
        spans, margin = [], math.ceil(BAND) + 1
        for axis, (found, start) in enumerate(((rows, self.window.row), (cols, self.window.col))):
            times = shape[axis] / self.shape[axis]
            known = self.mask.shape[axis]
            low, high = max(0, int(found[0]) - margin), min(known, int(found[-1]) + 1 + margin)
            first = max(0, math.floor((start + low) * times))
            last = min(shape[axis], math.ceil((start + high) * times))
            spans.append((first, last - first))
        (top, height), (left, width) = spans
        return Window(top, left, height, width)

    def depth_in(self, window: Window, shape: tuple[int, int]) -> FloatArray:
        """Return ``(y, x)`` how many coarse pixels deep in the object a finer window's pixels lie.

        Args:
            window: Of the finer level.
            shape: Of the finer level.
        """
        y = self._places(window.row, window.height, 0, shape) - self.window.row
        x = self._places(window.col, window.width, 1, shape) - self.window.col
        across, down = (each.astype(np.float32) for each in np.meshgrid(x, y))
        edge = cv2.BORDER_REPLICATE
        found = cv2.remap(self.depth, across, down, cv2.INTER_LINEAR, borderMode=edge)
        return np.asarray(found, np.float32)

    def nearest(self, window: Window, shape: tuple[int, int]) -> BoolArray:
        """Return ``(y, x)`` the object as it is known, on a finer window."""
        result = np.zeros((window.height, window.width), bool)
        rows = np.rint(self._places(window.row, window.height, 0, shape)).astype(int)
        cols = np.rint(self._places(window.col, window.width, 1, shape)).astype(int)
        rows, cols = rows - self.window.row, cols - self.window.col
        here = (rows >= 0) & (rows < self.mask.shape[0]), (cols >= 0) & (cols < self.mask.shape[1])
        result[np.ix_(*here)] = self.mask[np.ix_(rows[here[0]], cols[here[1]])]
        return result

    def _places(
        self, start: int, count: int, axis: int, shape: tuple[int, int]
    ) -> NDArray[np.float64]:
        """Return the coarse rows or columns, whole at pixels' middles, of finer ones."""
        middles = np.arange(start, start + count, dtype=np.float64) + 0.5
        return np.asarray(middles * (self.shape[axis] / shape[axis]) - 0.5)


def _along(
    coarse: _Coarse, window: Window, shape: tuple[int, int], lattice: Lattice
) -> Iterator[tuple[int, int]]:
    """Yield the cells of a lattice whose own window the coarse border passes."""
    near = np.abs(coarse.depth) <= BAND
    rows, cols = np.nonzero(near)
    times = [fine / far for fine, far in zip(shape, coarse.shape, strict=True)]
    found: dict[tuple[int, int], None] = {}
    for down in (0.0, 1.0):
        for across in (0.0, 1.0):
            y = ((rows + coarse.window.row + down) * times[0]).astype(np.intp)
            x = ((cols + coarse.window.col + across) * times[1]).astype(np.intp)
            inside = (y >= window.row) & (y < window.stop[0])
            inside &= (x >= window.col) & (x < window.stop[1])
            pairs = np.stack([lattice.cell(y[inside], 0), lattice.cell(x[inside], 1)], 1)
            found.update(dict.fromkeys(map(tuple, np.unique(pairs, axis=0).tolist())))
    yield from sorted(found)


def _without_specks(canvas: Canvas, known: BoolArray) -> None:
    """Drop parts that do not hang together with the coarse object, and fill pinholes.

    Args:
        canvas: The object.
        known: ``(y, x)`` the coarse object there.
    """
    _, parts, stats, _ = cv2.connectedComponentsWithStats(
        canvas.mask.view(np.uint8), connectivity=4
    )
    held = np.zeros(len(stats), bool)
    held[np.unique(parts[known & canvas.mask])] = True
    held &= stats[:, cv2.CC_STAT_AREA] >= SPECK
    held[0] = False
    canvas.mask &= held[parts]
    _, parts, stats, _ = cv2.connectedComponentsWithStats(
        (~canvas.mask).view(np.uint8), connectivity=8
    )
    pinhole = stats[:, cv2.CC_STAT_AREA] < SPECK
    pinhole[0] = False
    at_rim = np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]])
    pinhole[at_rim] = False
    canvas.mask |= pinhole[parts]


def _middle(window: Window) -> tuple[float, float]:
    return window.row + window.height / 2, window.col + window.width / 2
