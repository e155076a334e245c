"""Where the pixels of an upright piece of the map lie in a raster, quickly.

Most tiles are so small that their pixels are an even lattice in the raster. Elsewhere
PROJ is asked for a coarse grid of places and the rest is interpolated; where the two
differ by more than ``TOLERANCE``, the grid is made finer, and where even that does not
do, as at the rim of the Earth, PROJ is asked for every pixel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoiseg.raster import Grid
from geoiseg.widget.tiling.places import Array, Bent, Box, Places, Straight, corners
from geoiseg.widget.tiling.projection import Projection, to_lonlat

CELLS = (16, 64)
"""Cells of the coarse grid along each side, and of the finer one; even."""
TOLERANCE = 0.25
"""Largest error of interpolated places, in pixels of the map."""
STRAIGHT = 1 / 16
"""Largest error of places taken for an even lattice, in pixels of the map."""
LEVER = np.linspace(-0.5, 0.5, 5)
"""Where, across and down a piece, it is seen whether they are one."""


@dataclass(frozen=True, slots=True)
class Piece:
    """An upright piece of the map, cut into pixels."""

    left: float
    """Least x in ``xy_mercator``."""
    top: float
    """Greatest y."""
    pixel: tuple[float, float]
    """Width and height of a pixel in metres of ``xy_mercator``."""
    shape: tuple[int, int]
    """Rows and columns."""


def find_places(piece: Piece, grid: Grid, projection: Projection) -> Places | None:
    """Return where a piece's pixel centres lie in a grid; None where none is in it."""
    straight = _straight(piece, grid, projection)
    if straight is not None:
        return straight
    rows, cols = piece.shape
    for cells in CELLS:
        steps = np.arange(cells + 1, dtype=np.float64) / cells
        x, y = np.meshgrid(steps * cols, steps * rows)
        nodes = _ask(x, y, piece, grid, projection)
        known: NDArray[Any] = np.isfinite(nodes[0])
        if not known.any():
            return None
        scale = _scale(nodes, (cols / cells, rows / cells), grid)
        rough = _error(nodes) > TOLERANCE * scale
        rough |= _joined(~known) & _joined(known)
        if not rough.any():
            break
    left, top = (float(np.floor(np.median(plane[known]))) for plane in nodes)
    origin = np.array([left, top])
    places = _interpolated(nodes - origin[:, None, None], piece.shape, cells)
    if rough.any():
        (row, _), (col, _) = (_cells(length, cells) for length in piece.shape)
        pixels = rough[np.ix_(row // 2, col // 2)]
        down, across = np.nonzero(pixels)
        x, y = across.astype(np.float64) + 0.5, down.astype(np.float64) + 0.5
        exact = _ask(x, y, piece, grid, projection)
        places[:, pixels] = exact - origin[:, None]
    return Bent(places[0], places[1], (left, top), scale, _box(nodes, grid, rough))


def _straight(piece: Piece, grid: Grid, projection: Projection) -> Straight | None:
    """Return the lattice that fits the places of a piece best; None where none fits."""
    rows, cols = piece.shape
    x, y = np.meshgrid((LEVER + 0.5) * cols, (LEVER + 0.5) * rows)
    nodes = _ask(x, y, piece, grid, projection)
    middle = nodes.mean(axis=(1, 2))
    # least squares, which on a lattice is one sum along each axis
    power = LEVER.size * float(LEVER @ LEVER)
    across = (nodes * LEVER).sum(axis=(1, 2)) / power
    down = (nodes * LEVER[:, None]).sum(axis=(1, 2)) / power
    off = nodes - middle[:, None, None] - across[:, None, None] * LEVER
    off -= down[:, None, None] * LEVER[:, None]
    scale = math.sqrt(abs(float(across[0] * down[1] - across[1] * down[0])) / (rows * cols))
    if not np.abs(off).max() <= STRAIGHT * scale or not scale:  # NaN is not straight either
        return None
    start = middle + across * (0.5 / cols - 0.5) + down * (0.5 / rows - 0.5)
    matrix = np.column_stack([across / cols, down / rows, start])
    return Straight(matrix, piece.shape, scale, _within(corners(matrix, piece.shape), grid))


def _box(nodes: Array, grid: Grid, rough: NDArray[np.bool_]) -> Box | None:
    if rough.any():
        return None
    (x0, y0), (x1, y1) = nodes.min(axis=(1, 2)).tolist(), nodes.max(axis=(1, 2)).tolist()
    return _within((x0, y0, x1, y1), grid)


def _within(box: Box, grid: Grid) -> Box | None:
    x0, y0, x1, y1 = box
    inside = x0 >= 0 and y0 >= 0 and x1 <= grid.width and y1 <= grid.height
    return box if inside else None


def _ask(x: Array, y: Array, piece: Piece, grid: Grid, projection: Projection) -> Array:
    """Return ``(2, ...)`` exact ``xy_pixel`` of places in the frame of the piece's pixels."""
    mercator = np.column_stack(
        [piece.left + x.ravel() * piece.pixel[0], piece.top - y.ravel() * piece.pixel[1]]
    )
    xy = grid.to_pixel(projection.to_crs(to_lonlat(mercator)))
    found: Array = xy.T.reshape(2, *x.shape)
    return found


def _error(nodes: Array) -> Array:
    """Return how far interpolation is off, in ``xy_pixel``, in each block of 2 x 2 cells.

    Measured with every other node alone: with all of them the error is a quarter of that,
    for it grows with the square of a cell's side.
    """
    coarse = nodes[:, ::2, ::2]
    mid_x = (coarse[:, :, 1:] + coarse[:, :, :-1]) / 2 - nodes[:, ::2, 1::2]
    mid_y = (coarse[:, 1:] + coarse[:, :-1]) / 2 - nodes[:, 1::2, ::2]
    ends = coarse[:, 1:, 1:] + coarse[:, :-1, 1:] + coarse[:, 1:, :-1] + coarse[:, :-1, :-1]
    middle = ends / 4 - nodes[:, 1::2, 1::2]
    edges_x, edges_y = (np.abs(part).max(axis=0) for part in (mid_x, mid_y))
    sides = np.maximum(edges_x[1:], edges_x[:-1]), np.maximum(edges_y[:, 1:], edges_y[:, :-1])
    worst: Array = np.fmax(np.abs(middle).max(axis=0), np.fmax(*sides)) / 4
    return worst


def _joined(nodes: NDArray[Any]) -> NDArray[Any]:
    """Return whether any of the nine nodes of each block of 2 x 2 cells is set."""
    rows = nodes[:-2:2] | nodes[1::2] | nodes[2::2]
    joined: NDArray[Any] = rows[:, :-2:2] | rows[:, 1::2] | rows[:, 2::2]
    return joined


def _scale(nodes: Array, cell: tuple[float, float], grid: Grid) -> float:
    """Return pixels of the raster per pixel of the piece, at the nodes near the raster."""
    along = (nodes[:, :-1, 1:] - nodes[:, :-1, :-1]) / cell[0]
    aside = (nodes[:, 1:, :-1] - nodes[:, :-1, :-1]) / cell[1]
    area = np.abs(along[0] * aside[1] - along[1] * aside[0])
    corner = nodes[:, :-1, :-1]
    margin = np.array(grid.shape[::-1])[:, None, None]
    near = ((corner > -margin) & (corner < 2 * margin)).all(axis=0) & np.isfinite(area)
    counted = area[near] if near.any() else area[np.isfinite(area)]
    return math.sqrt(float(np.median(counted))) if counted.size else 1.0


def _interpolated(nodes: Array, shape: tuple[int, int], cells: int) -> NDArray[np.float32]:
    """Return ``(2, y, x)`` values at pixel centres of ``(2, y, x)`` values at the nodes.

    Not as a product of matrices: BLAS starts threads for one, and tiles are drawn in
    threads of their own.
    """
    (row, down), (col, across) = (_cells(length, cells) for length in shape)
    values = nodes.astype(np.float32)
    lines = values[:, row] + (values[:, row + 1] - values[:, row]) * down[:, None]
    steps = lines[:, :, 1:] - lines[:, :, :-1]
    places: NDArray[np.float32]
    if shape[1] % cells == 0:  # the same, without a gather
        share = across[: shape[1] // cells]
        places = (lines[:, :, :-1, None] + steps[..., None] * share).reshape(2, *shape)
        return places
    places = np.take(steps, col, axis=2)
    places *= across
    places += np.take(lines, col, axis=2)
    return places


@lru_cache(maxsize=256)
def _cells(length: int, cells: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the cell that each pixel centre in a row lies in, and how far, 0..1."""
    at = (np.arange(length, dtype=np.float64) + 0.5) * (cells / length)
    cell = np.minimum(at.astype(np.int64), cells - 1)
    return cell, (at - cell).astype(np.float32)
