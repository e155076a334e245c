"""What is known of an object from further away, to be asked on finer levels."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from geoiseg.raster import BoolArray, Window
from geoiseg.segment.canvas import Canvas
from geoiseg.segment.growing import Lattice
from geoiseg.segment.tiles import Tiles

FloatArray = NDArray[np.float32]
BAND = 3.0
"""Coarse pixels on either side of the coarse border within which a finer look decides."""
MARGIN = 16
"""Coarse pixels around a window of tiles that tell how deep its own lie: more than make a
difference."""


class Coarse:
    """An object on a level of the pyramid, in one piece or in tiles.

    Args:
        known: The object there.
        shape: Of the level.
    """

    def __init__(self, known: Canvas | Tiles, shape: tuple[int, int]) -> None:
        self.known, self.window, self.shape = known, known.window, shape
        self._depth = None if isinstance(known, Tiles) else _depth(known.mask)

    def window_on(self, shape: tuple[int, int]) -> Window:
        """Return the window of a finer level, of a shape, that holds the object and a margin.

        It does not reach beyond what is known: there the object may go on.
        """
        found = self._bounds()
        if not found.height:
            return found
        spans, margin, whole = [], math.ceil(BAND) + 1, self.window
        for axis, (low, high, start, stop) in enumerate((
            (found.row, found.stop[0], whole.row, whole.stop[0]),
            (found.col, found.stop[1], whole.col, whole.stop[1]),
        )):  # fmt: skip
            times = shape[axis] / self.shape[axis]
            first = max(0, math.floor(max(start, low - margin) * times))
            last = min(shape[axis], math.ceil(min(stop, high + margin) * times))
            spans.append((first, last - first))
        (top, height), (left, width) = spans
        return Window(top, left, height, width)

    def depth_in(self, window: Window, shape: tuple[int, int]) -> FloatArray:
        """Return ``(y, x)`` how many coarse pixels deep in the object a finer window's pixels lie.

        Args:
            window: Of the finer level.
            shape: Of the finer level.
        """
        rows = self._places(window.row, window.height, 0, shape)
        cols = self._places(window.col, window.width, 1, shape)
        here, depth = self._around(rows, cols)
        across, down = (
            each.astype(np.float32) for each in np.meshgrid(cols - here.col, rows - here.row)
        )
        edge = cv2.BORDER_REPLICATE
        found = cv2.remap(depth, across, down, cv2.INTER_LINEAR, borderMode=edge)
        return np.asarray(found, np.float32)

    def nearest(self, window: Window, shape: tuple[int, int]) -> BoolArray:
        """Return ``(y, x)`` the object as it is known, on a finer window."""
        rows = np.rint(self._places(window.row, window.height, 0, shape)).astype(int)
        cols = np.rint(self._places(window.col, window.width, 1, shape)).astype(int)
        if isinstance(self.known, Tiles):
            return self.known.picked(rows, cols)
        result = np.zeros((window.height, window.width), bool)
        rows, cols = rows - self.window.row, cols - self.window.col
        here = (rows >= 0) & (rows < self.window.height), (cols >= 0) & (cols < self.window.width)
        result[np.ix_(*here)] = self.known.mask[np.ix_(rows[here[0]], cols[here[1]])]
        return result

    def amended(self, window: Window, mask: BoolArray, shape: tuple[int, int]) -> Coarse:
        """Return the object as it is known, but for what was said of it on a finer level.

        Args:
            window: Of the finer level.
            mask: ``(y, x)`` the object there.
            shape: Of the finer level.
        """
        spans, picked = [], []
        for axis, (start, count) in enumerate(
            ((window.row, window.height), (window.col, window.width))
        ):
            times = shape[axis] / self.shape[axis]
            first, stop = math.ceil(start / times), math.floor((start + count) / times)
            middles = np.floor((np.arange(first, stop) + 0.5) * times).astype(np.intp)
            spans.append((first, max(0, stop - first)))
            picked.append(middles - start)
        (top, height), (left, width) = spans
        here, known = Window(top, left, height, width), self.known.copy()
        if height and width:
            seen = mask[np.ix_(*picked)]
            known.put(here, seen)
            known.set(here, seen)
        return Coarse(known, self.shape)

    def _places(
        self, start: int, count: int, axis: int, shape: tuple[int, int]
    ) -> NDArray[np.float64]:
        """Return the coarse rows or columns, whole at pixels' middles, of finer ones."""
        middles = np.arange(start, start + count, dtype=np.float64) + 0.5
        return np.asarray(middles * (self.shape[axis] / shape[axis]) - 0.5)

    def _bounds(self) -> Window:
        """Return the smallest window that holds the object; an empty one where there is none."""
        if isinstance(self.known, Tiles):
            return self.known.bounds()
        mask, window = self.known.mask, self.window
        rows, cols = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        if not len(rows):
            return Window(0, 0, 0, 0)
        top, left = window.row + int(rows[0]), window.col + int(cols[0])
        return Window(top, left, int(rows[-1] - rows[0]) + 1, int(cols[-1] - cols[0]) + 1)

    def _around(
        self, rows: NDArray[np.float64], cols: NDArray[np.float64]
    ) -> tuple[Window, FloatArray]:
        """Return a window around places, and ``(y, x)`` how deep its pixels lie in the object."""
        if self._depth is not None or not isinstance(self.known, Tiles):
            return self.window, np.asarray(self._depth)
        top, left = int(rows[0]) - MARGIN, int(cols[0]) - MARGIN
        bottom, right = int(rows[-1]) + MARGIN, int(cols[-1]) + MARGIN
        window = Window(max(0, top), max(0, left), bottom - max(0, top), right - max(0, left))
        here = window.intersection(self.window)
        return here, _depth(self.known.within(here))

    def spread(self, window: Window, shape: tuple[int, int]) -> Tiles:
        """Return the object as it is known, on a finer window, in tiles."""
        tiles = Tiles(window)
        for cell in tiles.cells():
            place = tiles.place(cell)
            state = self._uniform(place, shape)
            if state:
                tiles.fill(cell)
            elif state is None:
                tiles.set(place, self.nearest(place, shape))
        return tiles

    def _uniform(self, window: Window, shape: tuple[int, int]) -> bool | None:
        """Return whether the object is all of a finer window or none of it, or None."""
        rows = np.rint(self._places(window.row, window.height, 0, shape)[[0, -1]]).astype(int)
        cols = np.rint(self._places(window.col, window.width, 1, shape)[[0, -1]]).astype(int)
        low, high = (rows[0], cols[0]), (rows[1] + 1, cols[1] + 1)
        there = Window(max(0, int(low[0])), max(0, int(low[1])), int(high[0] - max(0, low[0])),
                       int(high[1] - max(0, low[1])))  # fmt: skip
        if isinstance(self.known, Tiles):
            return self.known.uniform(there)
        inside = there.intersection(self.window)
        top, left = inside.row - self.window.row, inside.col - self.window.col
        part = self.known.mask[top : top + inside.height, left : left + inside.width]
        if not part.any():
            return False
        return True if inside == there and bool(part.all()) else None

    def along(
        self, window: Window, shape: tuple[int, int], lattice: Lattice
    ) -> Iterator[tuple[int, int]]:
        """Yield the cells of a lattice whose own window the object's border passes.

        Args:
            window: Of a finer level.
            shape: Of the finer level.
            lattice: Of the finer level.
        """
        times = [fine / far for fine, far in zip(shape, self.shape, strict=True)]
        found: dict[tuple[int, int], None] = {}
        for rows, cols in self._near():
            for down in (0.0, 1.0):
                for across in (0.0, 1.0):
                    y = ((rows + down) * times[0]).astype(np.intp)
                    x = ((cols + across) * times[1]).astype(np.intp)
                    inside = (y >= window.row) & (y < window.stop[0])
                    inside &= (x >= window.col) & (x < window.stop[1])
                    pairs = np.stack([lattice.cell(y[inside], 0), lattice.cell(x[inside], 1)], 1)
                    found.update(dict.fromkeys(map(tuple, np.unique(pairs, axis=0).tolist())))
        yield from sorted(found)

    def _near(self) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
        """Yield rows and columns of the level within a band along the object's border."""
        if self._depth is not None or not isinstance(self.known, Tiles):
            rows, cols = np.nonzero(np.abs(np.asarray(self._depth)) <= BAND)
            yield rows + self.window.row, cols + self.window.col
            return
        for cell in self.known.border_cells():
            place = self.known.place(cell)
            edges = np.array([place.row, place.stop[0]]), np.array([place.col, place.stop[1]])
            here, depth = self._around(*(edge.astype(np.float64) for edge in edges))
            top, left = place.row - here.row, place.col - here.col
            part = depth[top : top + place.height, left : left + place.width]
            rows, cols = np.nonzero(np.abs(part) <= BAND)
            yield rows + place.row, cols + place.col


def _depth(mask: BoolArray) -> FloatArray:
    """Return ``(y, x)`` how deep in an object pixels lie, below 0 outside it."""
    inside, outside = (
        np.asarray(cv2.distanceTransform(one.astype(np.uint8), cv2.DIST_L2, 5))
        if not one.all()
        else np.full(mask.shape, 2 * BAND, np.float32)
        for one in (mask, ~mask)
    )
    # Half a pixel off: what is told from pixel to pixel lies at their middles.
    return np.where(mask, inside - 0.5, 0.5 - outside).astype(np.float32)
