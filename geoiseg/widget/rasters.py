"""Rasters as layers of the map: how each is shown, and the tiles that show it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ipyleaflet

from geoiseg.errors import SessionError
from geoiseg.raster import Raster, Stretch
from geoiseg.widget.channel.bridge import Bridge
from geoiseg.widget.drawing.scene import BLANK
from geoiseg.widget.tiling.tiles import TileRenderer

TILE = 256
"""Side of a tile in screen pixels."""
MAX_ZOOM = 30
"""Deepest zoom of the map; beyond a raster's own pixels its tiles are enlarged."""


class RasterLayer:
    """One raster on the map."""

    def __init__(self, raster: Raster, name: str) -> None:
        self.raster = raster
        self.name = name
        self.renderer = TileRenderer(raster, TILE)
        self.version = 0
        west, south, east, north = self.renderer.bounds_lonlat
        self.layer = ipyleaflet.TileLayer(
            url=BLANK,
            name=name,
            tile_size=TILE,
            min_zoom=0,
            max_zoom=MAX_ZOOM,
            max_native_zoom=min(MAX_ZOOM, self.renderer.max_zoom),
            bounds=[(south, west), (north, east)],
        )

    @property
    def id(self) -> str:
        """Name of the layer between kernel and page."""
        return str(self.layer.model_id)

    def render(self, z: int, x: int, y: int) -> tuple[bytes | None, str]:
        """Return a tile as the renderer of the moment gives it."""
        return self.renderer.render(z, x, y)

    def describe(self) -> dict[str, Any]:
        """Return what the page shows of the layer."""
        stretch = self.raster.stretch
        return {
            "id": self.id,
            "name": self.name,
            "visible": bool(self.layer.visible),
            "opacity": float(self.layer.opacity),
            "count": self.raster.count,
            "bands": list(self.raster.bands),
            "stretch": [float(f"{min(stretch.low):.6g}"), float(f"{max(stretch.high):.6g}")],
        }


class RasterLayers:
    """All rasters of a map, the first being the one that is segmented."""

    def __init__(self, map_: ipyleaflet.Map, bridge: Bridge) -> None:
        self._map = map_
        self._bridge = bridge
        self._layers: dict[str, RasterLayer] = {}
        self.relooked: Callable[[RasterLayer], None] = lambda _: None
        """Told when a raster is shown in another way."""

    def __iter__(self) -> Iterator[RasterLayer]:
        return iter(self._layers.values())

    @property
    def first(self) -> RasterLayer:
        """The raster that is segmented."""
        return next(iter(self._layers.values()))

    def add(self, raster: Raster, name: str | None = None) -> RasterLayer:
        """Add a raster above the others, and return its layer."""
        layer = RasterLayer(raster, name or Path(raster.name).name or "raster")
        self._layers[layer.id] = layer
        self._bridge.tiles.serve(layer.id, layer.render)
        rasters = [one.layer for one in self]
        below = [one for one in self._map.layers if one not in rasters]
        place = sum(isinstance(one, ipyleaflet.TileLayer) for one in below)
        self._map.layers = (*below[:place], *rasters, *below[place:])
        self._publish()
        return layer

    def find(self, which: str | int) -> RasterLayer:
        """Return a layer by its id, its name or its place.

        Raises:
            SessionError: There is no such layer.
        """
        for place, layer in enumerate(self):
            if which in (layer.id, layer.name) or (which == place and which is not True):
                return layer
        names = ", ".join(layer.name for layer in self)
        raise SessionError(f"there is no layer {which!r}; there are: {names}")

    def look(
        self, which: str | int, bands: tuple[int, ...] | None, stretch: Stretch | None
    ) -> RasterLayer:
        """Show a raster with other bands or another stretch.

        Raises:
            SessionError: There is no such layer.
            RasterError: The raster has no such bands, or they do not fit the stretch.
        """
        layer = self.find(which)
        raster = layer.raster.restyled(bands, stretch)
        renderer = TileRenderer(raster, TILE)
        layer.raster, layer.renderer = raster, renderer
        layer.version += 1
        self._publish()
        self.relooked(layer)
        return layer

    def _publish(self) -> None:
        self._bridge.rasters = [{"id": one.id, "version": one.version} for one in self]
