"""Corners of an object that is kept in tiles, found tile by tile along its border."""

from __future__ import annotations

import numpy as np

from geoiseg.outline.vectorize.corners import Corners, find_corners
from geoiseg.raster import Window
from geoiseg.segment.tiles import TILE, Tiles


def corners_of_tiles(tiles: Tiles) -> Corners:
    """Return what ``find_corners`` would return of the object in one array.

    Each tile is looked at with one pixel around it; what lies beyond the window is background.
    """
    x, y, around = [], [], []
    top, left = tiles.window.row, tiles.window.col
    bottom, right = tiles.window.stop
    for cell in tiles.border_cells():
        row, col = cell[0] * TILE, cell[1] * TILE
        # Corners at the far sides of the window belong to its last tiles.
        height = TILE + (row + TILE >= bottom)
        width = TILE + (col + TILE >= right)
        found = find_corners(_with_rim(tiles, Window(row, col, height, width)))
        own = (found.x >= 1) & (found.x < 1 + width) & (found.y >= 1) & (found.y < 1 + height)
        x.append(found.x[own] + np.int32(col - 1 - left))
        y.append(found.y[own] + np.int32(row - 1 - top))
        around.append(found.around[own])
    if not x:
        none = np.zeros(0, np.int32)
        return Corners(none, none, np.zeros((0, 4), bool))
    across, down, near = (np.concatenate(each) for each in (x, y, around))
    order = np.lexsort((across, down))
    return Corners(across[order], down[order], near[order])


def _with_rim(tiles: Tiles, window: Window) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Return ``(y, x)`` the object in a window and one pixel around it, also beyond the level."""
    rows, cols = max(0, window.row - 1), max(0, window.col - 1)
    bottom, right = window.stop[0] + 1, window.stop[1] + 1
    inside = Window(rows, cols, bottom - rows, right - cols).intersection(tiles.window)
    rim = np.zeros((window.height + 2, window.width + 2), bool)
    down, across = inside.row - (window.row - 1), inside.col - (window.col - 1)
    rim[down : down + inside.height, across : across + inside.width] = tiles.within(inside)
    return rim
