"""Coarse views of rasters without overviews, at a bounded cost.

Zoomed far out, one tile of such a raster would mean reading all of it. Up to
``THUMBNAIL_PIXELS`` it is read once, in strips, and kept at a reduced size. A larger one
is shown as a blurred picture of samples: blocks on a lattice, one colour each, kept for
later tiles. Zooming in shows the true pixels.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict

import cv2
import numpy as np

from geoiseg.raster import Raster, Stretch, Window
from geoiseg.widget.tiling.picture import Picture

READ_PIXELS = 1 << 23
"""Most pixels decoded for one tile; beyond that a sketch stands in."""
THUMBNAIL_PIXELS = 1 << 27
"""Largest raster that is read whole, once: a few seconds."""
THUMBNAIL_LEVEL = 3
"""Level at which it is kept: that of the first tiles that cost more than ``READ_PIXELS``."""
STRIP_PIXELS = 1 << 22
"""Pixels of the raster read at a time for the thumbnail."""
SAMPLE = 64
"""Side of a sample."""
SIDE = 16
"""Most samples along a side of a tile."""
KEPT = 1 << 16
"""Samples kept; a few bytes each."""

Sample = tuple[float, float, float, float]
"""Mean red, green and blue of what is data, and the share that is."""


class Sketch:
    """What a raster looks like from afar. Safe to share between threads."""

    def __init__(self, raster: Raster, stretch: Stretch) -> None:
        self._raster = raster
        self._stretch = stretch
        self.base = int(math.log2(max(1, raster.overview_factor)))
        """The coarsest level that can be read at its own cost."""
        grid = raster.grid.level(self.base)
        self._shape = grid.shape
        rows, cols = raster.block_shape
        self._unit = (max(min(rows, grid.height), SAMPLE), max(min(cols, grid.width), SAMPLE))
        if cols >= raster.grid.width:  # strips: another sample of one costs nothing
            self._unit = (self._unit[0], SAMPLE)
        self._cost = rows * cols / (cols / SAMPLE if cols >= raster.grid.width else 1)
        self._samples: OrderedDict[tuple[int, int], Sample] = OrderedDict()
        self._thumbnail: Picture | None = None
        self._lock = threading.Lock()
        self._reading = threading.Lock()

    @property
    def whole(self) -> bool:
        """Whether the raster is small enough to be read once and for all."""
        return math.prod(self._shape) <= THUMBNAIL_PIXELS

    def too_dear(self, window: Window, level: int) -> bool:
        """Return whether a window of a level should be drawn from here instead of read."""
        reduction = 1 << max(0, level - self.base)
        return window.height * window.width * reduction**2 > READ_PIXELS

    def view(self, window: Window, level: int) -> Picture:
        """Return a window of a level, drawn from samples.

        Raises:
            RasterError: The raster can not be read.
        """
        if self.whole:
            return self._reduced(level)
        return self._blurred(window, level)

    # -- the whole raster, once --------------------------------------------------------

    def _reduced(self, level: int) -> Picture:
        with self._reading:
            if self._thumbnail is None:
                self._thumbnail = self._read_whole(self.base + THUMBNAIL_LEVEL)
        shape = self._raster.grid.level(level).shape
        return self._thumbnail.shrunk(shape, self._raster.grid.shape)

    def _read_whole(self, level: int) -> Picture:
        grid = self._raster.grid.level(level)
        rgb = np.zeros((*grid.shape, 3), dtype=np.uint8)
        valid = np.zeros(grid.shape, dtype=bool)
        step = max(1, STRIP_PIXELS // (grid.width << (2 * THUMBNAIL_LEVEL)))
        for row in range(0, grid.height, step):
            strip = Window(row, 0, min(step, grid.height - row), grid.width)
            data, known = self._raster.read(strip, level)
            rgb[strip.slices] = self._stretch.apply(data, known)
            valid[strip.slices] = known
        return Picture.of_level(rgb, valid, Window(0, 0, *grid.shape), self._raster.grid, level)

    # -- samples -----------------------------------------------------------------------

    def _blurred(self, window: Window, level: int) -> Picture:
        reduction = 1 << (level - self.base)
        top, left = window.row * reduction, window.col * reduction
        bottom, right = window.stop[0] * reduction, window.stop[1] * reduction
        step = self._step(bottom - top, right - left)
        stride = (self._unit[0] * step, self._unit[1] * step)
        last = [(self._shape[axis] - 1) // stride[axis] for axis in (0, 1)]
        rows = range(max(0, top // stride[0] - 1), min(last[0], bottom // stride[0] + 1) + 1)
        cols = range(max(0, left // stride[1] - 1), min(last[1], right // stride[1] + 1) + 1)
        drawn = np.array(
            [[self._sample(row * step, col * step) for col in cols] for row in rows],
            dtype=np.float32,
        )
        fine = self._raster.grid.shape
        scale = [self._shape[axis] / fine[axis] / stride[axis] for axis in (1, 0)]
        middle = [self._unit[axis] / 2 / stride[axis] - 0.5 for axis in (1, 0)]
        return Picture(
            np.rint(drawn[..., :3]).astype(np.uint8),
            drawn[..., 3] > 0,
            (scale[0], scale[1]),
            (cols.start + middle[0], rows.start + middle[1]),
        )

    def _step(self, height: int, width: int) -> int:
        """Return the least step between samples, a power of two, that keeps the cost bounded.

        Samples of a coarse lattice belong to every finer one: zooming in uses them again.
        """
        step = 1
        while True:
            down = height / (self._unit[0] * step)
            across = width / (self._unit[1] * step)
            if max(down, across) <= SIDE and down * across * self._cost <= READ_PIXELS:
                return step
            step *= 2

    def _sample(self, row: int, col: int) -> Sample:
        """Return the colour of the middle of a block, from memory if it was read before."""
        with self._lock:
            known = self._samples.get((row, col))
            if known is not None:
                self._samples.move_to_end((row, col))
                return known
        found = self._read_sample(row, col)
        with self._lock:
            self._samples[row, col] = found
            while len(self._samples) > KEPT:
                self._samples.popitem(last=False)
        return found

    def _read_sample(self, row: int, col: int) -> Sample:
        starts, sizes = [], []
        for axis, index in ((0, row), (1, col)):
            middle = index * self._unit[axis] + self._unit[axis] // 2
            start = max(0, min(middle - SAMPLE // 2, self._shape[axis] - SAMPLE))
            starts.append(start)
            sizes.append(min(SAMPLE, self._shape[axis] - start))
        data, valid = self._raster.read(Window(*starts, *sizes), self.base)
        share = float(valid.mean())
        if not share:
            return 0.0, 0.0, 0.0, 0.0
        rgb = self._stretch.apply(data, valid)
        red, green, blue, _ = cv2.mean(rgb, mask=valid.view(np.uint8))
        return red, green, blue, share
