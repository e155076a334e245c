"""Between Web Mercator, which maps are drawn in, and a raster's own coordinates.

Three frames: ``lonlat`` in degrees; ``xy_mercator`` in metres of EPSG:3857, which goes on
beyond 180 degrees on either side where a raster crosses the antimeridian; ``xy_crs``.
"""

from __future__ import annotations

import logging
import math
from abc import ABC, abstractmethod
from functools import cached_property
from typing import Any

import numpy as np
import pyproj
from numpy.typing import ArrayLike, NDArray

from geoiseg.raster import XY, Grid

log = logging.getLogger(__name__)

RADIUS = 6378137.0
"""Metres; EPSG:3857 is a sphere of this radius."""
WORLD = 2 * math.pi * RADIUS
"""Metres around the world, and from the top of the map to its bottom."""
MAX_LATITUDE = math.degrees(math.atan(math.sinh(math.pi)))
"""Where the map ends: it is square."""
SAMPLES = 65
"""Places looked at along each side of a raster to find where it lies."""
WHOLE_WORLD_GAP = 15.0
"""Degrees: a raster that leaves no wider gap between its longitudes goes all around."""
FLAT_PIXEL = WORLD / 256 / 2**18
"""Metres that a pixel of a raster without a place on Earth takes: one screen pixel at zoom 18."""


def to_lonlat(xy_mercator: ArrayLike) -> XY:
    """Return ``(n, 2)`` ``lonlat`` of ``(n, 2)`` ``xy_mercator``."""
    x, y = np.asarray(xy_mercator, dtype=np.float64).reshape(-1, 2).T
    return np.column_stack([np.degrees(x / RADIUS), np.degrees(np.arctan(np.sinh(y / RADIUS)))])


def to_mercator(lonlat: ArrayLike) -> XY:
    """Return ``(n, 2)`` ``xy_mercator`` of ``(n, 2)`` ``lonlat``; latitudes end with the map."""
    lon, lat = np.asarray(lonlat, dtype=np.float64).reshape(-1, 2).T
    inside = np.clip(lat, -MAX_LATITUDE, MAX_LATITUDE)
    y = np.arcsinh(np.tan(np.radians(inside))) * RADIUS
    return np.column_stack([np.radians(lon) * RADIUS, y])


class Projection(ABC):
    """Where the coordinates of a grid lie on the map. Safe to share between threads."""

    flat: bool
    """Whether the raster has no place on Earth and lies near (0, 0) on the map."""
    bounds: tuple[float, float, float, float]
    """West, south, east, north in degrees; the longitudes may go beyond 180."""

    @abstractmethod
    def to_crs(self, lonlat: XY) -> XY:
        """Return ``(n, 2)`` ``xy_crs``, not finite where a place has none."""

    @abstractmethod
    def from_crs(self, xy_crs: XY) -> XY:
        """Return ``(n, 2)`` ``lonlat`` within 180 degrees of the raster's middle."""

    @cached_property
    def extent(self) -> tuple[float, float, float, float]:
        """``bounds`` as ``xmin, ymin, xmax, ymax`` in ``xy_mercator``."""
        west, south, east, north = self.bounds
        (xmin, ymin), (xmax, ymax) = to_mercator([(west, south), (east, north)])
        return float(xmin), float(ymin), float(xmax), float(ymax)


class Earth(Projection):
    """A grid whose CRS is of the Earth."""

    flat = False

    def __init__(self, grid: Grid) -> None:
        """Find where the raster lies.

        Raises:
            pyproj.exceptions.ProjError: The CRS is not of the Earth.
        """
        self._transformer = pyproj.Transformer.from_crs("EPSG:4326", grid.crs, always_xy=True)
        self._in_degrees = grid.is_geographic
        lonlat = self._sample(grid)
        if not len(lonlat):
            raise pyproj.exceptions.ProjError("no part of the raster has a place on Earth")
        west, east = self._west_east(lonlat[:, 0])
        south, north = np.clip(
            [lonlat[:, 1].min(), lonlat[:, 1].max()], -MAX_LATITUDE, MAX_LATITUDE
        )
        self.bounds = (west, float(south), east, float(north))
        self._middle = (west + east) / 2

    def _sample(self, grid: Grid) -> XY:
        """Return ``lonlat`` of places all over the grid, its extremes among them."""
        step = np.linspace(0.0, 1.0, SAMPLES)
        across, down = np.meshgrid(step * grid.width, step * grid.height)
        xy = grid.to_crs(np.column_stack([across.ravel(), down.ravel()]))
        lonlat = self._inverse(xy)
        known: NDArray[Any] = np.isfinite(lonlat[:, 0])
        found = [lonlat[known]]
        # the pole, or the rim of the Earth, lies between the samples
        lattice = np.array([(0.0, 90.0), (0.0, -90.0)])
        if not known.all():
            lon, lat = np.meshgrid(np.arange(-180.0, 180.0), np.arange(-90.0, 91.0))
            lattice = np.column_stack([lon.ravel(), lat.ravel()])
        if not self._in_degrees:
            there = grid.to_pixel(self.to_crs(lattice))
            found.append(lattice[(grid.whole.contains(there)) & np.isfinite(there[:, 0])])
        return np.concatenate(found)

    def _west_east(self, lon: NDArray[np.float64]) -> tuple[float, float]:
        known = np.sort(lon)
        if self._in_degrees:
            return float(known[0]), float(min(known[-1], known[0] + 360))
        turn = np.append(known, known[0] + 360)
        gaps = np.diff(turn)
        widest = int(np.argmax(gaps))
        if gaps[widest] < WHOLE_WORLD_GAP:
            return -180.0, 180.0
        west, east = float(turn[widest + 1]), float(turn[widest] + 360)
        turns = 360 * round((west + east) / 2 / 360)
        return west - turns, east - turns

    def _inverse(self, xy_crs: XY) -> XY:
        """Return ``lonlat``; of a geographic CRS on the same turn around the world."""
        lon, lat = self._transformer.transform(xy_crs[:, 0], xy_crs[:, 1], direction="INVERSE")
        lonlat = np.column_stack([lon, lat])
        lonlat[~np.isfinite(lonlat).all(axis=1)] = np.nan
        if self._in_degrees:
            lonlat[:, 0] += 360 * np.round((xy_crs[:, 0] - lonlat[:, 0]) / 360)
        return lonlat

    def to_crs(self, lonlat: XY) -> XY:
        """Return ``(n, 2)`` ``xy_crs``, not finite where a place has none."""
        x, y = self._transformer.transform(lonlat[:, 0], lonlat[:, 1])
        xy = np.column_stack([x, y])
        xy[~np.isfinite(xy).all(axis=1)] = np.nan
        if self._in_degrees:
            xy[:, 0] += 360 * np.round((lonlat[:, 0] - xy[:, 0]) / 360)
        return xy

    def from_crs(self, xy_crs: XY) -> XY:
        """Return ``(n, 2)`` ``lonlat`` within 180 degrees of the raster's middle."""
        lonlat = self._inverse(xy_crs)
        if not self._in_degrees:
            lonlat[:, 0] += 360 * np.round((self._middle - lonlat[:, 0]) / 360)
        return lonlat


class Flat(Projection):
    """A grid without a place on Earth, laid near (0, 0) so that its pixels keep their shape.

    Its coordinates are scaled to ``xy_mercator``, the first pixel at the upper left: one
    pixel of the raster is one pixel of the screen at zoom 18.
    """

    flat = True

    def __init__(self, grid: Grid) -> None:
        """Lay the middle of the raster, rounded to a pixel's corner, on (0, 0)."""
        largest = WORLD / 4 / max(grid.shape)
        pixel = math.sqrt(math.prod(grid.pixel_size))
        scale = min(FLAT_PIXEL, largest) / pixel
        down = grid.transform.determinant > 0  # y grows with rows, as in plain pictures
        self._scale = np.array([scale, -scale if down else scale])
        self._middle = grid.to_crs([(grid.width // 2, grid.height // 2)])[0]
        low, high = self.from_crs(grid.corners).min(axis=0), self.from_crs(grid.corners).max(axis=0)
        self.bounds = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))

    def to_crs(self, lonlat: XY) -> XY:
        """Return ``(n, 2)`` ``xy_crs``."""
        xy: XY = to_mercator(lonlat) / self._scale + self._middle
        return xy

    def from_crs(self, xy_crs: XY) -> XY:
        """Return ``(n, 2)`` ``lonlat``."""
        return to_lonlat((xy_crs - self._middle) * self._scale)


def projection(grid: Grid) -> Projection:
    """Return where a grid lies on the map; near (0, 0) where it is not of the Earth."""
    if grid.crs is None:
        return Flat(grid)
    try:
        return Earth(grid)
    except pyproj.exceptions.ProjError as error:
        log.warning("shown without a place on Earth: %s: %s", grid.crs.name, error)
        return Flat(grid)


def wrap(lon: Any, middle: Any) -> Any:
    """Return longitudes moved by whole turns to within 180 degrees of a middle."""
    return lon + 360 * np.round((middle - lon) / 360)
