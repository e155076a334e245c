"""Contrast found anew: of the whole raster, or of what a view of the map shows."""

from __future__ import annotations

import numpy as np

from geoiseg.errors import GeoreferenceError, RasterError
from geoiseg.raster import Raster, Stretch, Window
from geoiseg.widget.channel.messages import MOST_CUT, View
from geoiseg.widget.frame import MapFrame

LOOKED_AT = 512
"""Most rows and columns that are read of a view."""
PLACES = np.linspace(0, 1, 9)


def contrast_of_view(raster: Raster, frame: MapFrame, view: View, cut: float) -> Stretch:
    """Return the contrast that shows what a view has of a raster well.

    Raises:
        RasterError: The view shows nothing of it, or the cut is none.
    """
    window, level = _window(raster, frame, view)
    data, valid = raster.read(window, level)
    return _between(data[:, valid], cut, raster.name)


def contrast_of_raster(raster: Raster, cut: float) -> Stretch:
    """Return the contrast that shows a whole raster well, from its overviews or spread samples.

    Raises:
        RasterError: The cut is none, or there is no data.
    """
    return _between(raster.sample(), cut, raster.name)


def _between(values: np.ndarray, cut: float, name: str) -> Stretch:
    if not 0 <= cut <= MOST_CUT:
        raise RasterError(f"0 to {MOST_CUT:g} percent may saturate at each end, got {cut:g}")
    if not values.size:
        raise RasterError(f"nothing of {name} is in view; zoom to it, or take the whole raster's")
    low, high = np.percentile(values.astype(np.float64), (cut, 100 - cut), axis=1)
    margin = np.where(high > low, 0.0, np.maximum(1.0, np.abs(low)))
    return Stretch(tuple((low - margin).tolist()), tuple((high + margin).tolist()))


def _window(raster: Raster, frame: MapFrame, view: View) -> tuple[Window, int]:
    """Return the window that a view shows, at a level at which it has few pixels."""
    found = []
    for down in PLACES:
        for across in PLACES:
            at = (view.south + down * (view.north - view.south),
                  view.west + across * (view.east - view.west))  # fmt: skip
            try:
                found.append(frame.pixel(at)[0])
            except GeoreferenceError:  # beyond what the raster's CRS knows
                continue
    xy = np.array(found).reshape(-1, 2)
    xy = xy[np.isfinite(xy).all(axis=1)]
    rows, cols = raster.grid.shape
    if not len(xy):
        raise RasterError(f"nothing of {raster.name} is in view; zoom to it")
    (left, top), (right, bottom) = xy.min(axis=0), xy.max(axis=0)
    left, right = np.clip((left, right), 0, cols)
    top, bottom = np.clip((top, bottom), 0, rows)
    if right - left < 1 or bottom - top < 1:
        raise RasterError(f"nothing of {raster.name} is in view; zoom to it")
    level = 0
    while max(right - left, bottom - top) / 2**level > LOOKED_AT:
        level += 1
    grid = raster.grid.level(level)
    down, across = grid.height / rows, grid.width / cols
    row, col = int(top * down), int(left * across)
    end = (
        min(grid.height, int(np.ceil(bottom * down))),
        min(grid.width, int(np.ceil(right * across))),
    )
    return Window(row, col, max(1, end[0] - row), max(1, end[1] - col)), level
