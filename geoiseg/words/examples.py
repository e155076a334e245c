"""Examples on a raster as vectors: the cells under outlines, and around places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.features import rasterize

from geoiseg.errors import PromptError
from geoiseg.raster import Window
from geoiseg.words.like import REACH, FloatArray, cells_in, meaning_of
from geoiseg.words.search import Searcher
from geoiseg.words.view import SIDE, Area

LARGEST = 2048
"""Pixels across an example, at most, that are looked at."""
AROUND = 96
"""Pixels around an example that the network sees besides."""


def under_outlines(searcher: Searcher, shapes: Sequence[Any], level: int) -> list[FloatArray]:
    """Return ``(n, h)`` cells under each outline.

    Args:
        searcher: Of the raster.
        shapes: Shapely polygons in the raster's CRS.
        level: Of the pyramid.
    """
    found = []
    for shape in shapes:
        area = _around(searcher, shape.bounds, level)
        for core in area.cores[: (LARGEST // SIDE) ** 2]:
            view = searcher.view(area.frame(core, searcher.raster.grid))
            grid = view.frame.grid(searcher.raster.grid)
            burned = rasterize([shape], out_shape=view.shape, transform=grid.transform)
            mask = (burned > 0) & view.valid
            if mask.any():
                found.append(cells_in(meaning_of(view), mask))
    return found


def around_places(searcher: Searcher, xy: NDArray[np.float64], level: int) -> list[FloatArray]:
    """Return ``(n, h)`` cells around each place, those with data; none where it has none itself.

    Places near each other are looked at together.

    Args:
        searcher: Of the raster.
        xy: ``(n, 2)`` in the raster's CRS.
        level: Of the pyramid.

    Raises:
        PromptError: A place is outside the raster.
    """
    grid = searcher.raster.grid
    at = grid.level(level)
    pixels = at.to_pixel(xy)
    outside = ~at.whole.contains(pixels)
    if outside.any():
        x, y = xy[outside][0].tolist()
        raise PromptError(f"the place ({x:g}, {y:g}) is outside {searcher.raster.name}")
    found: dict[int, FloatArray] = {}
    open_ones = list(range(len(pixels)))
    while open_ones:
        first = pixels[open_ones[0]]
        near = [k for k in open_ones if np.abs(pixels[k] - first).max() <= SIDE / 2 - AROUND]
        box = shapely.multipoints(xy[near]).bounds
        area = _around(searcher, box, level)
        view = searcher.view(area.frame(area.window, grid))
        meaning = meaning_of(view)
        own = view.frame.grid(grid)
        size = view.shape[0] / meaning.shape[0]
        known = cv2.resize(view.valid.astype(np.float32), meaning.shape[1::-1],
                           interpolation=cv2.INTER_AREA) > 0  # fmt: skip
        for k in near:
            place = own.to_pixel(xy[k : k + 1])[0]
            col, row = np.clip(np.floor(place).astype(int), 0, np.array(view.shape[1::-1]) - 1)
            own_cells = np.zeros_like(known)
            if view.valid[row, col]:
                col, row = np.floor(place / size).astype(int)
                rows = slice(max(0, row - REACH), row + REACH + 1)
                own_cells[rows, max(0, col - REACH) : col + REACH + 1] = True
            found[k] = np.asarray(meaning[own_cells & known], np.float32)
        open_ones = [k for k in open_ones if k not in near]
    return [found[k] for k in range(len(pixels))]


def _around(searcher: Searcher, bounds: tuple[float, ...], level: int) -> Area:
    """Return the area of a level around bounds, with a margin."""
    grid = searcher.raster.grid
    at = grid.level(level)
    xmin, ymin, xmax, ymax = bounds
    corners = at.to_pixel([(xmin, ymin), (xmax, ymax), (xmin, ymax), (xmax, ymin)])
    low = np.clip(corners.min(axis=0) - AROUND, 0, at.shape[::-1])
    high = np.clip(corners.max(axis=0) + AROUND, 0, at.shape[::-1])
    top, left = int(low[1]), int(low[0])
    height, width = int(np.ceil(high[1])) - top, int(np.ceil(high[0])) - left
    return Area(level, Window(top, left, max(1, height), max(1, width)).intersection(at.whole))
