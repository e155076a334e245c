"""Rasters as layers of the map: how each is shown, and the tiles that show it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ipyleaflet

from geoiseg.errors import SessionError
from geoiseg.raster import Raster, Stretch, composite_of, composites_of, with_bands
from geoiseg.widget.channel.bridge import Bridge
from geoiseg.widget.drawing.scene import BLANK
from geoiseg.widget.tiling.paint import Paint
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
        self.paint = Paint()
        self.linked = True
        """Whether the model sees the bands and the contrast that are shown."""
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

    def describe(self, segmented: Raster | None = None) -> dict[str, Any]:
        """Return what the page shows of the layer.

        Args:
            segmented: The raster as the model sees it, where it is this one.
        """
        stretch, raster = self.raster.stretch, self.raster
        return {
            "id": self.id,
            "name": self.name,
            "visible": bool(self.layer.visible),
            "opacity": float(self.layer.opacity),
            "count": self.raster.count,
            "bands": list(raster.bands),
            "band_names": list(band_names(raster)),
            "composites": list(composites_of(raster.roles)),
            "composite": composite_of(raster.bands, raster.roles),
            "gamma": self.paint.gamma,
            "ramp": self.paint.ramp,
            "linked": self.linked,
            "segmented": None if segmented is None else seen_as(segmented),
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
        self, which: str | int, bands: tuple[int | str, ...] | None, stretch: Stretch | None
    ) -> RasterLayer:
        """Show a raster with other bands or another stretch.

        Raises:
            SessionError: There is no such layer.
            RasterError: The raster has no such bands, or they do not fit the stretch.
        """
        layer = self.find(which)
        raster = with_bands(layer.raster, bands or layer.raster.bands, stretch)
        self._show(layer, raster, layer.paint)
        return layer

    def painted(self, which: str | int, paint: Paint) -> RasterLayer:
        """Show a raster with other colours.

        Raises:
            SessionError: There is no such layer.
        """
        layer = self.find(which)
        self._show(layer, layer.raster, paint)
        return layer

    def _show(self, layer: RasterLayer, raster: Raster, paint: Paint) -> None:
        renderer = TileRenderer(raster, TILE, paint=paint)
        layer.raster, layer.renderer, layer.paint = raster, renderer, paint
        layer.version += 1
        self._publish()
        self.relooked(layer)

    def _publish(self) -> None:
        self._bridge.rasters = [{"id": one.id, "version": one.version} for one in self]


def band_names(raster: Raster) -> tuple[str, ...]:
    """Return what to call each band of a raster on the map: its role, its name, its number."""
    known = {one.number: one.name for one in raster.facts}
    return tuple(
        raster.roles.role_of(number) or known.get(number) or str(number)
        for number in range(1, raster.count + 1)
    )


def seen_as(raster: Raster) -> str:
    """Return which bands a model sees, in words."""
    names = band_names(raster)
    bands = [names[one - 1] if isinstance(one, int) else one for one in raster.bands]
    composite = composite_of(raster.bands, raster.roles)
    listed = ", ".join(f"band {one}" if one.isdigit() else one for one in bands)
    return listed if composite is None else f"{listed} ({composite})"
