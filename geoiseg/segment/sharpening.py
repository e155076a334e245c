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
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from geoiseg.errors import CancelledError
from geoiseg.prompting import Frame, PixelPrompts, Prompts
from geoiseg.raster import BoolArray, Grid, Window
from geoiseg.segment.canvas import Answer, Canvas, outside, slices, sure_of
from geoiseg.segment.coarse import BAND, Coarse
from geoiseg.segment.growing import NEGATIVES, POSITIVES, Lattice, deep_points, said_within
from geoiseg.segment.tiles import Tiles
from geoiseg.segment.watch import Watch

FloatArray = NDArray[np.float32]
Refine = Callable[[Frame, PixelPrompts, FloatArray], tuple[Answer, BoolArray]]
"""Answers prompts on a chip, given ``(y, x)`` logits of what is thought there: ``(y, x)`` the
mask or its logits, and where there is data."""
LEAP = 2
"""Levels that are gone down at once."""
SLOPE, SUREST = 1.5, 4.0
"""Logits per coarse pixel of distance from the coarse border, and the greatest."""
AGREEMENT = 0.9
"""Least share of what is sure on a chip that its answer has to get right."""
SPECK = 16
"""Pixels below which a part or a hole is noise."""


@dataclass(frozen=True, slots=True, eq=False)
class Unfinished:
    """Where sharpening was stopped."""

    coarse: Coarse
    """The object on the level from which it was gone down last."""
    frame: Frame
    """Where to."""
    canvas: Canvas | Tiles
    """The object there as far as it came."""
    done: frozenset[tuple[int, int]] = frozenset()
    """The cells of the lattice whose chips were looked at there."""
    kept: tuple[Window, ...] = ()
    """Where more was said meanwhile, and the object is as it was answered then."""

    def amended(self, canvas: Canvas | Tiles, window: Window, grid: Grid) -> Unfinished:
        """Return how to go on after more was said of the object.

        Args:
            canvas: The object after that.
            window: What was decided by it.
            grid: The raster's full-resolution grid.
        """
        shape = grid.level(self.frame.level).shape
        coarse = self.coarse.amended(window, canvas.part(window)[0], shape)
        frame = Frame(self.frame.level, canvas.window)
        return Unfinished(coarse, frame, canvas, self.done, (*self.kept, window))


@dataclass(frozen=True, slots=True)
class SharpenOptions:
    """How far to go."""

    level: int = 0
    """Level of the pyramid at which the border is wanted."""
    chips: int = 1000
    """Chips looked at at most."""
    pixels: int = 16_000_000
    """Pixels of the box around the object beyond which it is kept in tiles."""
    middle: tuple[float, float] | None = None
    """``x, y`` in full-resolution pixels from which it goes outwards; None for the first prompt."""
    watch: Watch = field(default_factory=Watch)
    """To follow or stop the work, and shown the object as it becomes sharp."""
    resume: Unfinished | None = None
    """What was stopped before, to be gone on with."""


@dataclass(frozen=True, slots=True)
class Sharpened:
    """An object on a finer level."""

    frame: Frame
    canvas: Canvas | Tiles
    unfinished: Unfinished | None = None
    """How to go on, where it was stopped or a limit was met."""


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
    look = _Looking(said, grid, refine, chip_size, options)
    canvas: Canvas | Tiles = Canvas.of(frame.window, mask)
    level, found = frame.level, Sharpened(frame, canvas)
    if options.resume is not None:
        found = look.closer(options.resume)
        level, canvas = found.frame.level, found.canvas
    while level > options.level and not canvas.full:
        finer = max(options.level, level - LEAP)
        coarse = Coarse(canvas, grid.level(level).shape)
        target = coarse.window_on(grid.level(finer).shape)
        if not target.height:
            break
        found = look.closer(look.begun(coarse, Frame(finer, target), canvas))
        level, canvas = finer, found.canvas
    return found


@dataclass(frozen=True, slots=True)
class _Looking:
    """How borders are looked at."""

    said: Prompts
    grid: Grid
    refine: Refine
    chip_size: int
    options: SharpenOptions

    def begun(self, coarse: Coarse, frame: Frame, before: Canvas | Tiles) -> Unfinished:
        """Return an object on a finer level, with no chip looked at yet."""
        shape = self.grid.level(frame.level).shape
        canvas: Canvas | Tiles
        if frame.window.height * frame.window.width > self.options.pixels:
            canvas = coarse.spread(frame.window, shape)
        else:
            canvas = Canvas.of(frame.window, coarse.nearest(frame.window, shape))
        canvas.chips, canvas.lost = before.chips, before.lost
        return Unfinished(coarse, frame, canvas)

    def closer(self, begun: Unfinished) -> Sharpened:
        """Return an object on a finer level, its border looked at chip by chip."""
        coarse, frame, canvas, done = begun.coarse, begun.frame, begun.canvas, set(begun.done)
        shape, chips = self.grid.level(frame.level).shape, self.options.chips
        chips_before, lost_before = canvas.chips, canvas.lost
        canvas = canvas.copy()
        canvas.chips, canvas.lost = chips_before, lost_before
        lattice = Lattice(shape, self.chip_size)
        cells = self._in_order(coarse.along(frame.window, shape, lattice), lattice, frame)
        ahead = [cell for cell in cells if cell not in done]
        most = min(chips, canvas.chips + len(ahead))
        for cell in ahead:
            if canvas.chips >= chips:
                canvas.full = True
                break
            try:
                self.options.watch.phase(f"sharpening, chip {canvas.chips + 1} of {most}")
                self._look(begun, canvas, lattice, cell)
            except CancelledError:
                if not canvas.chips:
                    raise
                canvas.full = True
                break
            done.add(cell)
            if isinstance(canvas, Canvas):
                self.options.watch.show(frame, canvas.mask)
        left = None
        if canvas.full:
            as_it_is = canvas.copy()
            as_it_is.chips, as_it_is.lost = canvas.chips, canvas.lost
            left = Unfinished(coarse, frame, as_it_is, frozenset(done), begun.kept)
        _tidy(begun, canvas, shape)
        return Sharpened(Frame(frame.level, canvas.window), canvas, left)

    def _look(
        self, begun: Unfinished, canvas: Canvas | Tiles, lattice: Lattice, cell: tuple[int, int]
    ) -> None:
        """Have one chip decide along the border in the middle of it."""
        window = lattice.chip(*cell)
        owned = lattice.owned(*cell).intersection(begun.frame.window)
        depth = begun.coarse.depth_in(window, lattice.shape)
        answer = self._refined(depth, Frame(begun.frame.level, window))
        canvas.chips += 1
        if answer is None:
            canvas.lost += 1
            answer = depth > 0, None
        for part in outside(owned, begun.kept):
            here = slices(part, window)
            canvas.set(part, answer[0][here], None if answer[1] is None else answer[1][here])

    def _in_order(
        self, cells: Iterator[tuple[int, int]], lattice: Lattice, frame: Frame
    ) -> list[tuple[int, int]]:
        """Return cells by how far they are from the middle, or from what was said first."""
        vertices = self.said.outline_pixels(self.grid)
        middle = self.options.middle
        if middle is None and not len(vertices):
            return list(cells)
        x, y = (np.asarray(middle or vertices[0], np.float64) / (1 << frame.level)).tolist()
        return sorted(cells, key=lambda cell: math.dist((y, x), _middle(lattice.owned(*cell))))

    def _refined(
        self, depth: FloatArray, frame: Frame
    ) -> tuple[BoolArray, NDArray[Any] | None] | None:
        """Return ``(y, x)`` the object on a chip and its logits along the border.

        None where the answer is not believed.
        """
        prior, band = depth > 0, np.abs(depth) <= BAND
        on, off = prior & ~band, ~prior & ~band
        own = said_within(self.said, frame, self.grid)
        places = [deep_points(on if on.any() else prior, POSITIVES), deep_points(off, NEGATIVES)]
        if not len(places[0]) and not own.positive.any():
            return None
        points = np.concatenate([*places, own.points])
        signs = [np.ones(len(places[0]), bool), np.zeros(len(places[1]), bool), own.positive]
        prompts = PixelPrompts(points, np.concatenate(signs), scribbles=own.scribbles)
        found, valid = self.refine(frame, prompts, np.clip(depth * SLOPE, -SUREST, SUREST))
        answer, sure = found > 0, valid & ~band
        if np.count_nonzero(answer[sure] == prior[sure]) < AGREEMENT * np.count_nonzero(sure):
            return None
        told = sure_of(found)
        return np.where(band, answer & valid, prior & valid), (
            None if told is None else np.where(band, told, 0)
        )


def _tidy(begun: Unfinished, canvas: Canvas | Tiles, shape: tuple[int, int]) -> None:
    """Drop specks of an object, and fill pinholes; what was known of it or said of it stays."""
    coarse, window = begun.coarse, begun.frame.window
    if isinstance(canvas, Tiles):
        spread = coarse.spread(window, shape)
        for kept in begun.kept:
            spread.set(kept, canvas.within(kept))
        canvas.without_specks(spread, SPECK)
        return
    known = coarse.nearest(window, shape)
    for kept in begun.kept:
        known[slices(kept, window)] = canvas.part(kept)[0]
    _without_specks(canvas, known)


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
