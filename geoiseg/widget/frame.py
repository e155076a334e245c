"""Between the map and the raster: places, outlines, and the size of a screen pixel."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from geoiseg.raster import XY, Grid

if TYPE_CHECKING:
    from geoiseg.widget.tiling.tiles import TileRenderer

MERCATOR_METRES = 2 * math.pi * 6378137.0 / 256
"""Metres on the equator of a screen pixel at zoom 0."""


@dataclass(frozen=True, slots=True)
class MapFrame:
    """Where a raster is on the map; one without a place on Earth lies in a frame of its own."""

    grid: Grid
    renderer: TileRenderer

    @property
    def crs(self) -> str | None:
        """CRS of what ``xy`` returns, as prompts take it; None for the raster's own."""
        return None if self.renderer.flat else "EPSG:4326"

    def xy(self, at: tuple[float, float]) -> tuple[float, float]:
        """Return a place on the map, ``(latitude, longitude)``, as prompts take it.

        On a map that was dragged around the world, the copy nearest to the raster counts.
        """
        west, _, east, _ = self.renderer.bounds_lonlat
        longitude = at[1] - 360 * round((at[1] - (west + east) / 2) / 360)
        if not self.renderer.flat:
            return longitude, at[0]
        x, y = self.renderer.map_to_raster(longitude, at[0])
        return float(x), float(y)

    def pixel(self, at: tuple[float, float]) -> XY:
        """Return ``(1, 2)`` ``xy_pixel`` of a place on the map.

        Raises:
            GeoreferenceError: It has no place in the raster's CRS.
        """
        return self.grid.to_pixel([self.xy(at)], self.crs)

    def on_map(self, geometry: Any) -> Any:
        """Return a geometry in the raster's CRS as ``(longitude, latitude)`` on the map."""
        return self.renderer.raster_to_map(geometry)

    def gsd(self, at: tuple[float, float], zoom: float) -> float:
        """Return the ground size of a screen pixel: metres, or raster units without a CRS."""
        latitude = max(-85.0, min(85.0, at[0]))
        if not self.renderer.flat:
            return MERCATOR_METRES * math.cos(math.radians(latitude)) / 2**zoom
        step = 360 / 256 / 2**zoom
        here, there = self.xy((latitude, at[1])), self.xy((latitude, at[1] + step))
        units = float(np.hypot(there[0] - here[0], there[1] - here[1])) or 1.0
        metres = self.grid.pixel_size_metres()  # known on other planets too
        return (
            units if metres is None else units * metres / math.sqrt(math.prod(self.grid.pixel_size))
        )
