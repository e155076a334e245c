"""Map tiles of any raster, straight from its overviews through its one stretch.

A tile's place is worked out backwards, from its pixels to the raster's, so that rotated
grids and any CRS cost no more than others: one windowed read, one resampling by OpenCV.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geoiseg.errors import GeoreferenceError, RasterError
from geoiseg.raster import BoolArray, Raster, Stretch, Window
from geoiseg.segment import Mask
from geoiseg.widget.drawing.outlines import to_map
from geoiseg.widget.drawing.overlay import Bounds, draw_mask
from geoiseg.widget.tiling.paint import Paint
from geoiseg.widget.tiling.picture import Picture
from geoiseg.widget.tiling.places import Places
from geoiseg.widget.tiling.projection import WORLD, Projection, projection, wrap
from geoiseg.widget.tiling.sketch import READ_PIXELS, Sketch
from geoiseg.widget.tiling.tile_file import encode
from geoiseg.widget.tiling.warp import Piece, find_places

log = logging.getLogger(__name__)

MAX_ZOOM = 30
PLAIN = Paint()
EMPTY: tuple[None, str] = (None, "")
SPARE = 2
"""Pixels read around a tile, for the resampling at its edges."""


@dataclass(frozen=True, slots=True)
class _Part:
    """Which pixels of a tile a raster may touch, and where they lie."""

    row: int
    col: int
    piece: Piece


class TileRenderer:
    """Tiles, overlays and coordinates of one raster on a Web Mercator map.

    Safe to share between threads. A raster without a CRS lies near (0, 0), its pixels
    square and the right way up.
    """

    def __init__(
        self, raster: Raster, size: int = 256, stretch: Stretch | None = None,
        paint: Paint = PLAIN,
    ) -> None:  # fmt: skip
        """Find where the raster lies; no pixel is read.

        Args:
            raster: Any open raster.
            size: Side of a tile in pixels.
            stretch: Contrast limits in place of the raster's own.
            paint: Colours for the eye.

        Raises:
            RasterError: The size is not between 16 and 2048.
        """
        if not 16 <= size <= 2048:
            raise RasterError(f"a tile has a side of 16 to 2048 pixels, got {size}")
        self.raster = raster
        self.size = size
        self._given = stretch
        self._paint = paint
        self._projection: Projection = projection(raster.grid)
        self._sketch_lock = threading.Lock()
        self._sketch: Sketch | None = None
        self._said = False

    # -- where it is -------------------------------------------------------------------

    @property
    def flat(self) -> bool:
        """Whether the raster has no place on Earth: the map's coordinates are made up."""
        return self._projection.flat

    @property
    def bounds_lonlat(self) -> tuple[float, float, float, float]:
        """West, south, east, north; longitudes go on beyond 180 across the antimeridian."""
        return self._projection.bounds

    @cached_property
    def max_zoom(self) -> int:
        """The zoom at which a pixel of the raster takes a pixel of the screen or more."""
        xmin, ymin, xmax, ymax = self._projection.extent
        middle = ((xmin + xmax) / 2, (ymin + ymax) / 2)
        half = (xmax - xmin) / 2, (ymax - ymin) / 2
        scales = []
        for down, right in ((0.0, 0.0), (0.5, 0.5), (0.5, -0.5), (-0.5, 0.5), (-0.5, -0.5)):
            at = (middle[0] + right * half[0], middle[1] + down * half[1])
            pixel = max(half) / 1e4
            piece = Piece(at[0] - 8 * pixel, at[1] + 8 * pixel, (pixel, pixel), (16, 16))
            places = find_places(piece, self.raster.grid, self._projection)
            if places is not None:
                scales.append(places.scale / pixel)
        if not scales:
            return 0
        zoom = math.log2(WORLD / self.size * max(scales)) - 0.01
        return max(0, min(MAX_ZOOM, math.ceil(zoom)))

    @cached_property
    def min_zoom(self) -> int:
        """The last zoom, coming from afar, at which the raster fits into one tile."""
        xmin, ymin, xmax, ymax = self._projection.extent
        longest = max(xmax - xmin, ymax - ymin, 1e-9)
        return max(0, min(self.max_zoom, math.floor(math.log2(WORLD / longest) + 1e-9)))

    def map_to_raster(self, lon: ArrayLike, lat: ArrayLike) -> tuple[Any, Any]:
        """Return x and y in the raster's CRS of places on the map, floats or arrays alike.

        Raises:
            GeoreferenceError: A place has none in the raster's CRS.
        """
        west, _, east, _ = self.bounds_lonlat
        lons, lats = np.broadcast_arrays(np.asarray(lon, float), np.asarray(lat, float))
        if not (np.isfinite(lons).all() and np.isfinite(lats).all()):
            raise GeoreferenceError(
                f"a place on the map has finite coordinates, got {lon!r}, {lat!r}"
            )
        lonlat = np.column_stack([wrap(lons.ravel(), (west + east) / 2), lats.ravel()])
        xy = self._projection.to_crs(lonlat)
        lost = ~np.isfinite(xy).all(axis=1)
        if lost.any():
            bad = lonlat[lost][0]
            raise GeoreferenceError(
                f"longitude {bad[0]:g}, latitude {bad[1]:g} has no place in the CRS of"
                f" {self.raster.name}"
            )
        if lons.ndim == 0:
            return float(xy[0, 0]), float(xy[0, 1])
        return xy[:, 0].reshape(lons.shape), xy[:, 1].reshape(lons.shape)

    def raster_to_map(self, geometry: Any) -> Any:
        """Return a shapely geometry in the raster's CRS as ``(longitude, latitude)`` on the map.

        Vertices are added where straight edges become curves. What has no place on the
        map is left out.
        """
        return to_map(geometry, self.raster.grid, self._projection)

    # -- pictures ----------------------------------------------------------------------

    def overlay(self, mask: Mask, color: str) -> tuple[bytes, Bounds]:
        """Return a mask as a transparent PNG, and its ``(south, west), (north, east)``.

        Raises:
            GeoreferenceError: The mask has no place on the map, or the colour is none.
        """
        return draw_mask(mask, color, self._projection)

    @property
    def stretch(self) -> Stretch:
        """The contrast limits of every tile."""
        return self._given or self.raster.stretch

    @property
    def note(self) -> str | None:
        """What the user should know about how the raster is shown, or None."""
        grid = self.raster.grid
        if self._coarse.whole or not self._coarse.too_dear(grid.whole, 0):
            return None
        return (
            "no overviews: zoomed out, a coarse sample of the raster is shown; build them"
            f" with: gdaladdo -r average {self.raster.name}"
        )

    def _say_note(self) -> None:
        if not self._said and self.note is not None:
            self._said = True
            log.warning("%s", self.note)

    @property
    def _coarse(self) -> Sketch:
        with self._sketch_lock:
            if self._sketch is None:
                self._sketch = Sketch(self.raster, self.stretch)
            return self._sketch

    def render(self, z: int, x: int, y: int) -> tuple[bytes | None, str]:
        """Return an encoded tile and its media type; None where it shows nothing.

        JPEG where every pixel is data, else WebP with transparency.

        Args:
            z: Zoom, 0 to 30.
            x: Column from the antimeridian; any number of turns around the world.
            y: Row from the north.

        Raises:
            GeoreferenceError: There is no such zoom.
            RasterError: The raster can not be read.
        """
        if not 0 <= z <= MAX_ZOOM:
            raise GeoreferenceError(f"a zoom is a number from 0 to {MAX_ZOOM}, got {z}")
        if not 0 <= y < 1 << z:
            return EMPTY
        drawn = [
            (part, *picture)
            for part in self._parts(z, x % (1 << z), y)
            if (picture := self._draw(part.piece)) is not None
        ]
        if len(drawn) == 1 and drawn[0][1].shape[:2] == (self.size, self.size):
            return encode(*drawn[0][1:]) if drawn[0][2].any() else EMPTY
        rgb = np.zeros((self.size, self.size, 3), dtype=np.uint8)
        data = np.zeros((self.size, self.size), dtype=bool)
        for part, colours, new in drawn:
            rows, cols = part.piece.shape
            where = slice(part.row, part.row + rows), slice(part.col, part.col + cols)
            rgb[where] = np.where(new[..., None], colours, rgb[where]) if data.any() else colours
            data[where] |= new
        return encode(rgb, data) if data.any() else EMPTY

    def _parts(self, z: int, x: int, y: int) -> Iterator[_Part]:
        """Yield what of a tile the raster's bounds touch, once for each turn of the world."""
        pixel = WORLD / self.size / (1 << z)
        xmin, ymin, xmax, ymax = self._projection.extent
        top = WORLD / 2 - y * self.size * pixel
        first, stop = self._span((top - ymax) / pixel, (top - ymin) / pixel)
        if first >= stop:
            return
        tile_left = x * self.size * pixel - WORLD / 2
        span = self.size * pixel
        low = math.ceil((xmin - tile_left - span) / WORLD - 1e-12)
        high = math.floor((xmax - tile_left) / WORLD + 1e-12)
        for turn in range(low, high + 1):
            left = tile_left + turn * WORLD
            start, end = self._span((xmin - left) / pixel, (xmax - left) / pixel)
            if start < end:
                corner = (left + start * pixel, top - first * pixel)
                shape = (stop - first, end - start)
                yield _Part(first, start, Piece(*corner, (pixel, pixel), shape))

    def _span(self, low: float, high: float) -> tuple[int, int]:
        """Return first and end of the whole pixels of a tile that an interval touches."""
        first = max(0, math.floor(low - 1)) if low < self.size else self.size
        end = min(self.size, math.ceil(high + 1)) if high > 0 else 0
        return first, end

    def _draw(self, piece: Piece) -> tuple[NDArray[np.uint8], BoolArray] | None:
        places = find_places(piece, self.raster.grid, self._projection)
        if places is None:
            return None
        picture = self._picture(places)
        if picture is None:
            return None
        rgb, valid = picture.sampled(places, self.raster.grid.shape)
        return self._paint.apply(rgb, len(self.raster.bands) == 1), valid

    def _picture(self, places: Places) -> Picture | None:
        """Return the pixels that the places need, at the level of their scale."""
        grid = self.raster.grid
        level = max(0, min(grid.top_level + 8, round(math.log2(max(places.scale, 1e-9)))))
        window = _window(places, grid.shape, grid.level(level).shape)
        while window is not None and window.height * window.width > 8 * self.size**2:
            level += 1  # the scale varies within the tile, as near a pole
            window = _window(places, grid.shape, grid.level(level).shape)
        if window is None:
            return None
        if window.height * window.width << 2 * level > READ_PIXELS:
            coarse = self._coarse
            if coarse.too_dear(window, level):
                self._say_note()
                return coarse.view(window, level)
        data, valid = self.raster.read(window, level)
        rgb = self.stretch.apply(data, valid)
        return Picture.of_level(rgb, valid, window, grid, level)


def _window(places: Places, full: tuple[int, int], shape: tuple[int, int]) -> Window | None:
    """Return the window of a level of ``shape`` that holds the places inside the raster."""
    box = places.reach(full)
    if box is None:
        return None
    across, down = shape[1] / full[1], shape[0] / full[0]
    row = max(0, math.floor(box[1] * down) - SPARE)
    col = max(0, math.floor(box[0] * across) - SPARE)
    rows = min(shape[0], math.ceil(box[3] * down) + SPARE) - row
    return Window(row, col, rows, min(shape[1], math.ceil(box[2] * across) + SPARE) - col)
