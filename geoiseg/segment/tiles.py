"""Masks of any size in little memory: only tiles that the border passes hold pixels.

A tile that lies wholly inside the object is one entry, one wholly outside none; any other is
its pixels, packed into bits. So memory follows the length of the border, not the area.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from geoiseg.raster import BoolArray, Grid, Window
from geoiseg.segment.canvas import around, slices

TILE = 512
"""Side of a tile in pixels."""
HALO = 64
"""Pixels around a tile within which a part or a hole has to end to be noise."""
Cell = tuple[int, int]


class Tiles:
    """An object on a level of the pyramid; arrays of windows come and go, it stays in tiles.

    It has the shape, type and picked pixels of the array ``(y, x)`` of its window, so that
    its border can be traced.

    Args:
        window: The part of the level that is known.
        of: What it begins as; its pixels are shared until they change.
    """

    ndim, dtype = 2, np.dtype(bool)

    def __init__(self, window: Window, of: Tiles | None = None) -> None:
        self.window = window
        self.chips, self.lost, self.full = 0, 0, False
        self.whole: set[Cell] = set() if of is None else set(of.whole)
        self.packed: dict[Cell, NDArray[np.uint8]] = {} if of is None else dict(of.packed)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the window."""
        return self.window.shape

    @property
    def nbytes(self) -> int:
        """Bytes that pixels take up."""
        return sum(bits.nbytes for bits in self.packed.values())

    def any(self) -> bool:
        """Return whether the object has a pixel."""
        return bool(self.whole or self.packed)

    def copy(self) -> Self:
        """Return the same again, to be changed; pixels are shared until they are."""
        return type(self)(self.window, self)

    # -- windows ---------------------------------------------------------------------

    def part(self, window: Window) -> tuple[BoolArray, BoolArray]:
        """Return the ``(y, x)`` object in a window of the level, and what of it is known."""
        known = np.zeros(window.shape, bool)
        inside = window.intersection(self.window)
        known[slices(inside, window)] = inside.height > 0 and inside.width > 0
        return self.within(window), known

    def within(self, window: Window) -> BoolArray:
        """Return the ``(y, x)`` object in a window of the level."""
        mask = np.zeros(window.shape, bool)
        for cell, share in _meeting(window):
            if cell in self.whole:
                mask[slices(share, window)] = True
            elif cell in self.packed:
                mask[slices(share, window)] = self._tile(cell)[slices(share, _place(cell))]
        return mask

    def put(self, window: Window, mask: BoolArray, logits: Any = None) -> None:  # noqa: ARG002
        """Decide for all pixels of a window that are not known yet."""
        before, known = self.part(window)
        if not known.all():
            self.window = around(self.window, window)
            self.set(window, np.where(known, before, mask))

    def set(self, window: Window, mask: BoolArray, logits: Any = None) -> None:  # noqa: ARG002
        """Decide for all pixels of a window."""
        for cell, share in _meeting(window):
            whole = share.shape == (TILE, TILE)
            tile = np.empty((TILE, TILE), bool) if whole else self._tile(cell)
            tile[slices(share, _place(cell))] = mask[slices(share, window)]
            self._keep(cell, tile)

    def fill(self, cell: Cell) -> None:
        """Say that a tile lies wholly inside the object, as far as the window goes."""
        share = _place(cell).intersection(self.window)
        if share.shape == (TILE, TILE):
            self.whole.add(cell)
        else:
            self.set(share, np.ones(share.shape, bool))

    def _tile(self, cell: Cell) -> BoolArray:
        bits = self.packed.get(cell)
        if bits is None:
            return np.full((TILE, TILE), cell in self.whole)
        return np.unpackbits(bits, axis=1).view(bool)

    def _keep(self, cell: Cell, tile: BoolArray) -> None:
        self.whole.discard(cell)
        self.packed.pop(cell, None)
        if tile.all():
            self.whole.add(cell)
        elif tile.any():
            self.packed[cell] = np.packbits(tile, axis=1)

    def uniform(self, window: Window) -> bool | None:
        """Return whether the object is all of a window, or none of it; None where neither."""
        cells = [cell for cell, _ in _meeting(window)]
        if not any(cell in self.packed for cell in cells):
            full = sum(cell in self.whole for cell in cells)
            if full in (0, len(cells)):
                return full > 0
        mask = self.within(window)
        return bool(mask.all()) if mask.all() or not mask.any() else None

    # -- all of it -------------------------------------------------------------------

    def cells(self) -> Iterator[Cell]:
        """Yield all tiles that the window meets, row by row."""
        for cell, _ in _meeting(self.window):
            yield cell

    def place(self, cell: Cell) -> Window:
        """Return the window of a tile, as far as the object's own goes."""
        return _place(cell).intersection(self.window)

    def border_cells(self) -> Iterator[Cell]:
        """Yield the tiles in or beside which the object begins or ends, row by row."""
        near: set[Cell] = set()
        for row, col in self.packed:
            near |= {(row + down, col + across) for down in (-1, 0, 1) for across in (-1, 0, 1)}
        for row, col in self.whole:
            beside = [(row + down, col + across) for down in (-1, 0, 1) for across in (-1, 0, 1)]
            if not all(cell in self.whole for cell in beside):
                near.update(beside)
        yield from sorted(cell for cell in near if 0 not in self.place(cell).shape)

    def bounds(self) -> Window:
        """Return the smallest window that holds the object; an empty one where there is none."""
        found = [_place(cell).intersection(self.window) for cell in self.whole]
        for cell in self.packed:
            col, row, width, height = cv2.boundingRect(self._tile(cell).view(np.uint8))
            found.append(Window(_place(cell).row + row, _place(cell).col + col, height, width))
        if not found:
            return Window(0, 0, 0, 0)
        top, left = min(one.row for one in found), min(one.col for one in found)
        bottom, right = max(one.stop[0] for one in found), max(one.stop[1] for one in found)
        return Window(top, left, bottom - top, right - left)

    def picked(self, rows: NDArray[np.integer[Any]], cols: NDArray[np.integer[Any]]) -> BoolArray:
        """Return the ``(y, x)`` object where ascending rows and columns of the level cross."""
        mask = np.zeros((len(rows), len(cols)), bool)
        for cell in [*self.whole, *self.packed]:
            top, left = _place(cell).row, _place(cell).col
            y = slice(*np.searchsorted(rows, (top, top + TILE)))
            x = slice(*np.searchsorted(cols, (left, left + TILE)))
            if cell in self.whole:
                mask[y, x] = True
            elif y.start < y.stop and x.start < x.stop:
                mask[y, x] = self._tile(cell)[np.ix_(rows[y] - top, cols[x] - left)]
        return mask

    def __getitem__(self, at: tuple[NDArray[Any], NDArray[Any]]) -> BoolArray:
        """Return the pixels at rows and columns of the window."""
        y, x = np.broadcast_arrays(at[0] + self.window.row, at[1] + self.window.col)
        rows, cols = y.ravel() // TILE, x.ravel() // TILE
        number = rows * (self.window.stop[1] // TILE + 1) + cols
        found = np.zeros(y.size, bool)
        order = np.argsort(number, kind="stable")
        for group in np.split(order, np.flatnonzero(np.diff(number[order])) + 1):
            cell = (int(rows[group[0]]), int(cols[group[0]]))
            if cell in self.whole:
                found[group] = True
            elif cell in self.packed:
                place, ys, xs = _place(cell), y.ravel()[group], x.ravel()[group]
                found[group] = self._tile(cell)[ys - place.row, xs - place.col]
        return found.reshape(y.shape)

    def without_specks(self, known: Tiles, least: int) -> None:
        """Drop small parts that do not hang together with what was known, and fill pinholes.

        What does not end within some pixels of a tile is no speck.

        Args:
            known: The object as it was known from further away, on the same level.
            least: Pixels below which a part or a hole is noise.
        """
        before = self.copy()
        for cell in before.border_cells():
            place = self.place(cell)
            halo = Window(
                max(self.window.row, place.row - HALO), max(self.window.col, place.col - HALO), 0, 0
            )
            stop = np.minimum(np.add(place.stop, HALO), self.window.stop).tolist()
            halo = Window(halo.row, halo.col, stop[0] - halo.row, stop[1] - halo.col)
            mask = before.within(halo)
            cleaned = _cleaned(mask, known.within(halo), least)
            self.set(place, cleaned[slices(place, halo)])


@dataclass(frozen=True, slots=True, eq=False)
class FineMask:
    """Which pixels of a level belong to an object, in tiles, and where they lie."""

    array: Tiles
    """``(y, x)`` the object."""
    grid: Grid
    """Georeference of the array."""
    level: int
    """Of the pyramid."""

    @property
    def is_empty(self) -> bool:
        """Whether no pixel belongs to the object."""
        return not self.array.any()

    def seen_from(self, level: int, grid: Grid) -> tuple[Window, BoolArray]:
        """Return the window of a coarser level that holds it, and the ``(y, x)`` object there.

        Args:
            level: Of the pyramid.
            grid: The raster's full-resolution grid.
        """
        fine, far = grid.level(self.level).shape, grid.level(level).shape
        whole, spans, picked = self.array.window, [], []
        for axis, (start, stop) in enumerate(
            ((whole.row, whole.stop[0]), (whole.col, whole.stop[1]))
        ):
            times = fine[axis] / far[axis]
            first = math.floor(start / times)
            last = min(far[axis], math.ceil(stop / times))
            middles = np.rint((np.arange(first, last) + 0.5) * times - 0.5).astype(np.intp)
            spans.append((first, last - first))
            picked.append(middles)
        (top, height), (left, width) = spans
        return Window(top, left, height, width), self.array.picked(picked[0], picked[1])


def _cleaned(mask: BoolArray, known: BoolArray, least: int) -> BoolArray:
    _, parts, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=4)
    held = np.zeros(len(stats), bool)
    held[np.unique(parts[known & mask])] = True
    held &= stats[:, cv2.CC_STAT_AREA] >= least
    held[_rim(parts)] = True
    held[0] = False
    mask = held[parts]
    _, parts, stats, _ = cv2.connectedComponentsWithStats((~mask).view(np.uint8), connectivity=8)
    pinhole = stats[:, cv2.CC_STAT_AREA] < least
    pinhole[0] = False
    pinhole[_rim(parts)] = False
    return np.asarray(mask | pinhole[parts])


def _rim(parts: NDArray[Any]) -> NDArray[Any]:
    return np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]])


def _place(cell: Cell) -> Window:
    return Window(cell[0] * TILE, cell[1] * TILE, TILE, TILE)


def _meeting(window: Window) -> Iterator[tuple[Cell, Window]]:
    """Yield the tiles that meet a window, and the part that they share."""
    if not (window.height and window.width):
        return
    bottom, right = window.stop
    for row in range(window.row // TILE, (bottom - 1) // TILE + 1):
        for col in range(window.col // TILE, (right - 1) // TILE + 1):
            yield (row, col), _place((row, col)).intersection(window)
