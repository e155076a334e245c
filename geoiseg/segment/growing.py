"""Masks that go on beyond their chip: followed from chip to chip until the object ends.

Chips lie on the fixed lattice of their level, each overlapping its neighbours by a half.
A chip decides for its middle alone, a quarter of a side away from its borders, so that
no seam shows. What is known of the object in the overlap says where it is in the next
chip; where the answer there contradicts it, the object is taken to end.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from geoiseg.errors import CancelledError
from geoiseg.prompting import Frame, PixelPrompts, Point, Prompts, Scribble
from geoiseg.raster import BoolArray, ChipPlan, Grid, Window
from geoiseg.segment.canvas import Answer, Canvas, FloatArray, around, slices, sure_of
from geoiseg.segment.tiles import Tiles
from geoiseg.segment.watch import Watch

Known = TypeVar("Known", Canvas, Tiles)
Look = Callable[[Frame, PixelPrompts], tuple[Answer, BoolArray]]
"""Answers prompts on a chip: ``(y, x)`` the mask or its logits, and where there is data."""
POSITIVES, NEGATIVES = 6, 4
"""Most points taken from what is known to be the object, and not to be it."""
MOST_CHIPS = 100_000
"""Chips that can be asked for."""
APART = 16.0
"""Least distance in pixels between such points."""
AGREEMENT = 0.5
"""Least IoU of an answer with what is known in the overlap."""


@dataclass(frozen=True, slots=True)
class GrowOptions:
    """How far an object is followed."""

    chips: int = 300
    """Chips looked at at most."""
    pixels: int = 200_000_000
    """Pixels of the box around the object at most; beyond, a coarser scale serves better."""
    partly: bool = False
    """Whether one that is stopped is as far as it came; else that it was stopped is passed on."""
    logits: FloatArray | None = None
    """``(y, x)`` of the object on its chip, for an outline without stairs."""
    watch: Watch = field(default_factory=Watch)
    """Shown the object as it grows."""


def grow(
    frame: Frame,
    mask: BoolArray,
    said: Prompts,
    grid: Grid,
    look: Look,
    chip_size: int,
    options: GrowOptions | None = None,
) -> Canvas:
    """Return the object of a chip with all that goes on beyond its borders.

    Args:
        frame: The chip.
        mask: ``(y, x)`` the object on it.
        said: All that the user said of it.
        grid: The raster's full-resolution grid.
        look: Answers prompts on a chip.
        chip_size: Side of a chip in pixels.
        options: How far to go.

    Raises:
        CancelledError: The user asked to stop, before the first chip unless ``partly`` is off.
    """
    options = options or GrowOptions()
    level = grid.level(frame.level)
    lattice = Lattice(level.shape, chip_size)
    core = _core(frame, grid, chip_size)
    own = mask[slices(core, frame.window)]
    told = None if options.logits is None else options.logits[slices(core, frame.window)]
    canvas = Canvas.of(core, own, told)
    waiting = deque(dict.fromkeys(lattice.beyond(canvas, core)))
    seen = set(waiting)
    while waiting:
        window, owned = lattice.chip(*waiting[0]), lattice.owned(*waiting[0])
        whole = around(canvas.window, owned)
        if canvas.chips >= options.chips or whole.height * whole.width > options.pixels:
            canvas.full = True
            break
        try:
            answer = _follow(canvas, Frame(frame.level, window), said, grid, look)
        except CancelledError:
            if not (options.partly and canvas.chips):
                raise
            canvas.full = True
            break
        waiting.popleft()
        canvas.chips += 1
        if answer is None:
            canvas.lost += 1
            continue
        held, told = answer
        here = slices(owned, window)
        canvas.put(owned, held[here], None if told is None else told[here])
        for cell in lattice.beyond(canvas, owned):
            if cell not in seen:
                seen.add(cell)
                waiting.append(cell)
        options.watch.show(Frame(frame.level, canvas.window), canvas.mask)
    _keep_joined(canvas, core, own)
    return canvas


def amend(canvas: Known, frame: Frame, said: Prompts, grid: Grid, look: Look, *, rim: int) -> Known:
    """Return a grown object with one chip decided anew, after the user said more there.

    Args:
        canvas: The object.
        frame: The chip that holds what was said last.
        said: All that the user said.
        grid: The raster's full-resolution grid.
        look: Answers prompts on a chip.
        rim: Pixels along the chip's open sides that stay as they are, and say where the
            object is.
    """
    mask, known = canvas.part(frame.window)
    ring = np.ones(mask.shape, bool)
    ring[slices(decided(frame, grid, rim), frame.window)] = False
    found, valid = look(frame, _prompts(mask, known & ring, frame, said, grid))
    mask = np.where(ring & known, mask, (found > 0) & valid)
    changed = canvas.copy()
    changed.put(frame.window, mask, sure_of(found))
    changed.set(frame.window, mask, sure_of(found))
    return changed


def decided(frame: Frame, grid: Grid, rim: int) -> Window:
    """Return what of a chip is decided anew where more is said: not the rim on its open sides."""
    top, right, bottom, left = (rim * side for side in frame.open_sides(grid))
    window = frame.window
    height, width = window.height - top - bottom, window.width - left - right
    return Window(window.row + top, window.col + left, height, width)


@dataclass(frozen=True, slots=True)
class Lattice:
    """The chips of a level, each with the window that it alone decides."""

    shape: tuple[int, int]
    """Rows and columns of the level."""
    size: int
    """Side of a chip."""

    def chip(self, row: int, col: int) -> Window:
        """Return the window of a chip."""
        return ChipPlan(self.shape, self.size).chip(row, col)

    def owned(self, row: int, col: int) -> Window:
        """Return the window that a chip decides; together they cover the level once."""
        counts = ChipPlan(self.shape, self.size).count
        spans = []
        for index, count, length in zip((row, col), counts, self.shape, strict=True):
            start = 0 if index == 0 else self._bound(index)
            stop = length if index == count - 1 else self._bound(index + 1)
            spans.append((start, stop - start))
        (top, height), (left, width) = spans
        return Window(top, left, height, width)

    def _bound(self, index: int) -> int:
        return index * (self.size // 2) + self.size // 4

    def cell(self, places: NDArray[np.intp], axis: int) -> NDArray[np.intp]:
        """Return the rows or columns of the chips that decide on rows or columns of pixels."""
        count = ChipPlan(self.shape, self.size).count[axis]
        return np.clip((places - self.size // 4) // (self.size // 2), 0, count - 1)

    def beyond(self, canvas: Canvas, window: Window) -> Iterator[tuple[int, int]]:
        """Yield the chips that decide on what lies beside the object at a window's border."""
        bottom, right = window.stop
        rows, cols = np.arange(window.row, bottom), np.arange(window.col, right)
        for inner, outer in ((window.row, window.row - 1), (bottom - 1, bottom)):
            yield from self._open(canvas, np.full_like(cols, inner), cols, outer - inner, 0)
        for inner, outer in ((window.col, window.col - 1), (right - 1, right)):
            yield from self._open(canvas, rows, np.full_like(rows, inner), 0, outer - inner)

    def _open(
        self, canvas: Canvas, rows: NDArray[np.intp], cols: NDArray[np.intp], down: int, across: int
    ) -> Iterator[tuple[int, int]]:
        y, x = rows + down, cols + across
        inside = (y >= 0) & (y < self.shape[0]) & (x >= 0) & (x < self.shape[1])
        top, left = canvas.window.row, canvas.window.col
        on = inside & canvas.mask[rows - top, cols - left]
        held = on & (y >= top) & (y < canvas.window.stop[0])
        held &= (x >= left) & (x < canvas.window.stop[1])
        on[held] &= ~canvas.known[y[held] - top, x[held] - left]
        cells = zip(self.cell(y[on], 0).tolist(), self.cell(x[on], 1).tolist(), strict=True)
        yield from dict.fromkeys(cells)


def _follow(
    canvas: Canvas, frame: Frame, said: Prompts, grid: Grid, look: Look
) -> tuple[BoolArray, FloatArray | None] | None:
    """Return ``(y, x)`` the object on the next chip and its logits, or None where it is lost."""
    mask, known = canvas.part(frame.window)
    found, valid = look(frame, _prompts(mask, known, frame, said, grid))
    answer = (found > 0) & valid
    both = np.count_nonzero(answer & mask)
    either = np.count_nonzero((answer & known) | mask)
    if both < AGREEMENT * either:
        return None
    _, parts = cv2.connectedComponents((answer | mask).astype(np.uint8), connectivity=4)
    held = np.zeros(int(parts.max()) + 1, bool)
    held[np.unique(parts[mask])] = True
    held[0] = False
    return np.asarray(answer & held[parts]), sure_of(found)


def _prompts(
    mask: BoolArray, known: BoolArray, frame: Frame, said: Prompts, grid: Grid
) -> PixelPrompts:
    """Return points on what is known, with what the user said within the chip."""
    on = deep_points(mask & known, POSITIVES)
    off = deep_points(~mask & known, NEGATIVES)
    own = said_within(said, frame, grid)
    points = np.concatenate([on, off, own.points])
    signs = np.concatenate([np.ones(len(on), bool), np.zeros(len(off), bool), own.positive])
    return PixelPrompts(points, signs, scribbles=own.scribbles)


def said_on(said: Prompts, frame: Frame, grid: Grid) -> Prompts:
    """Return the points and strokes that lie on a chip."""
    chip = frame.grid(grid)
    whole = chip.whole
    kept = tuple(
        item
        for item in said.items
        if isinstance(item, (Point, Scribble))
        and bool(whole.contains(Prompts((item,)).outline_pixels(chip)).all())
    )
    return Prompts(kept)


def said_within(said: Prompts, frame: Frame, grid: Grid) -> PixelPrompts:
    """Return the points and strokes that lie on a chip, in its pixels."""
    return said_on(said, frame, grid).to_pixel(frame.grid(grid))


def deep_points(region: BoolArray, most: int) -> NDArray[np.float64]:
    """Return ``(n, 2)`` the deepest places of a region, apart from each other."""
    padded = np.pad(region.astype(np.uint8), 1)
    depth = np.asarray(cv2.distanceTransform(padded, cv2.DIST_L2, 3))[1:-1, 1:-1].copy()
    found: list[tuple[float, float]] = []
    while len(found) < most:
        y, x = np.unravel_index(int(depth.argmax()), depth.shape)
        if depth[y, x] < 1:
            break
        found.append((float(x) + 0.5, float(y) + 0.5))
        reach = int(max(APART, depth[y, x]))
        cv2.circle(depth, (int(x), int(y)), reach, 0.0, -1)
    return np.array(found, np.float64).reshape(-1, 2)


def _core(frame: Frame, grid: Grid, chip_size: int) -> Window:
    """Return the part of the first chip that it may decide: away from its open sides."""
    top, right, bottom, left = frame.open_sides(grid)
    edge = min(chip_size, *frame.grid(grid).shape) // 4
    first_row, first_col = frame.window.row + edge * top, frame.window.col + edge * left
    last_row, last_col = frame.window.stop[0] - edge * bottom, frame.window.stop[1] - edge * right
    return Window(first_row, first_col, last_row - first_row, last_col - first_col)


def _keep_joined(canvas: Canvas, core: Window, own: BoolArray) -> None:
    """Drop what does not hang together with the object on the first chip."""
    if not own.any():
        return
    _, parts = cv2.connectedComponents(canvas.mask.astype(np.uint8), connectivity=4)
    held = np.zeros(int(parts.max()) + 1, bool)
    held[np.unique(parts[slices(core, canvas.window)][own])] = True
    held[0] = False
    canvas.mask &= held[parts]
