"""What a map shows and how: its place and scale, its rasters, their bands and contrast."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import ipyleaflet
import numpy as np

from geoiseg.errors import SessionError
from geoiseg.raster import Stretch, chosen_bands, open_raster
from geoiseg.segment import Watch
from geoiseg.widget.contrast import contrast_of_raster, contrast_of_view
from geoiseg.widget.drawing.scene import Scene
from geoiseg.widget.editor import Editor
from geoiseg.widget.frame import MapFrame
from geoiseg.widget.lookout import Lookout
from geoiseg.widget.rasters import MAX_ZOOM, RasterLayer, RasterLayers
from geoiseg.widget.tiling.paint import Paint

SIZE = (900.0, 560.0)
"""Screen pixels across and down that a view is taken to have before it is shown."""


class Looks(Editor):
    """An editor with a map."""

    map: ipyleaflet.Map
    """An ordinary ipyleaflet Map."""
    rasters: RasterLayers
    scene: Scene
    lookout: Lookout
    _fixed_gsd: float | None = None
    _fitted: tuple[float, ...] = (0.0, 0.0, 0.0)

    @property
    def frame(self) -> MapFrame:
        """Between the map and the raster that is segmented."""
        return MapFrame(self.session.raster.grid, self.rasters.first.renderer)

    def scale_at(self, at: tuple[float, float], zoom: float) -> float | None:
        """Return the ground size of a screen pixel at a place: what is seen is segmented."""
        return self._fixed_gsd or self.frame.gsd(at, zoom)

    def _scale(self) -> float | None:
        return self.scale_at(tuple(self.map.center), self.map.zoom)

    def fit(self, which: str | int = 0) -> None:
        """Show the whole of a raster."""
        self.show_bounds(*self.rasters.find(which).renderer.bounds_lonlat)
        self._fitted = (*self.map.center, self.map.zoom)

    def show_bounds(
        self, west: float, south: float, east: float, north: float, most: float = MAX_ZOOM
    ) -> None:
        """Show a part of the map, as near as it fits but at zoom ``most`` at most."""
        width, height = self._view_size()
        top, bottom = (
            math.asinh(math.tan(math.radians(y))) for y in (min(north, 85), max(south, -85))
        )
        across = max(1e-12, (east - west) / 360 * 256)
        down = max(1e-12, (top - bottom) / (2 * math.pi) * 256)
        zoom = math.floor(math.log2(min(width / across, height / down)))
        middle = math.degrees(math.atan(math.sinh((top + bottom) / 2)))
        with self.map.hold_sync():
            self.map.center = (middle, (west + east) / 2)
            self.map.zoom = max(0, min(MAX_ZOOM, math.floor(most), zoom))

    @property
    def untouched(self) -> bool:
        """Whether the map still shows what ``fit`` made it show."""
        return bool(np.allclose((*self.map.center, self.map.zoom), self._fitted, atol=1e-4))

    def _view_size(self) -> tuple[float, float]:
        view = self.lookout.view if hasattr(self, "lookout") else None
        if view is None or view.east <= view.west or max(abs(view.south), abs(view.north)) > 85:
            return SIZE
        scale = 256 * 2**view.zoom
        top, bottom = (math.asinh(math.tan(math.radians(y))) for y in (view.north, view.south))
        return (view.east - view.west) / 360 * scale, (top - bottom) / (2 * math.pi) * scale

    def add_raster(self, raster: Any, name: str | None = None) -> RasterLayer:
        """Show one more raster above the others; ``m.rasters`` has them all."""
        layer = self.rasters.add(open_raster(raster), name)
        self.refresh()
        return layer

    def show_as(
        self, which: str | int = 0, bands: str | Iterable[int | str] | None = None,
        stretch: Stretch | tuple[float, float] | None = None, *, wait: bool = True,
    ) -> None:  # fmt: skip
        """Show a raster with other bands or contrast; the first is segmented so, too.

        Unless ``segment_as_seen`` is off: then the model goes on with what it saw.

        Args:
            which: Place, name or id of the raster's layer.
            bands: One or three bands: numbers from 1, roles, indices, formulas; or the name of a
                composite, ``infrared``.
            stretch: Values that become black and white, for all bands or per band.
            wait: Whether to return only when it is done.

        Raises:
            RasterError: There are no such bands, or the limits make no sense.
        """
        layer = self.rasters.find(which)
        chosen = None if bands is None else chosen_bands(layer.raster, bands)
        count = len(chosen or layer.raster.bands)
        if isinstance(stretch, tuple):
            stretch = Stretch((float(stretch[0]),) * count, (float(stretch[1]),) * count)

        def change(_: Watch) -> None:
            self._seen(self.rasters.look(which, chosen, stretch))

        self._ask(change, wait=wait)

    def _seen(self, layer: RasterLayer) -> None:
        """Have the model see what is seen of the first raster, where that is wanted."""
        if layer is self.rasters.first and layer.linked:
            self.session.raster = layer.raster

    def auto_contrast(
        self, which: str | int = 0, of: str = "raster", percent: float = 2.0, *, wait: bool = True
    ) -> None:
        """Find the contrast of a raster anew.

        Args:
            which: Place, name or id of the raster's layer.
            of: ``view`` for what the map shows of it, or the whole ``raster``.
            percent: Share that becomes black, and white, at most.
            wait: Whether to return only when it is done.

        Raises:
            RasterError: The view shows nothing of it, or the share is none.
        """
        if of not in ("view", "raster"):
            raise SessionError(f"contrast is that of the view or the raster, got {of!r}")

        def change(_: Watch) -> None:
            layer = self.rasters.find(which)
            view = self.lookout.view
            if of == "raster" or view is None:
                stretch = contrast_of_raster(layer.raster, percent)
            else:
                frame = MapFrame(layer.raster.grid, layer.renderer)
                stretch = contrast_of_view(layer.raster, frame, view, percent)
            self._seen(self.rasters.look(which, None, stretch))

        self._ask(change, wait=wait)

    def paint_as(
        self, which: str | int = 0, gamma: float | None = None, ramp: str | None = None,
        *, wait: bool = True,
    ) -> None:  # fmt: skip
        """Show a raster brighter or darker, or a single band in colours; the model sees neither.

        Raises:
            RasterError: There is no such ramp, or gamma is out of range.
        """
        old = self.rasters.find(which).paint
        Paint(old.gamma if gamma is None else gamma, ramp or old.ramp)  # refuses what can not be

        def change(_: Watch) -> None:
            # After what was asked before: other bands make the layer anew.
            now = self.rasters.find(which).paint
            paint = Paint(now.gamma if gamma is None else gamma, ramp or now.ramp)
            self.rasters.painted(which, paint)

        self._ask(change, wait=wait)

    def segment_as_seen(self, wanted: bool = True, *, wait: bool = True) -> None:
        """Say whether the model sees what is shown of the first raster, or what it saw so far."""

        def change(_: Watch) -> None:
            self.rasters.first.linked = wanted
            self._seen(self.rasters.first)

        self._ask(change, wait=wait)

    @property
    def simplify(self) -> float:
        """How far, in pixels of the mask, outlines may move to lose vertices."""
        return self.session.options.simplify

    @simplify.setter
    def simplify(self, pixels: float) -> None:
        old = self.session.options
        options = replace(old, simplify=pixels)
        self.use_outline(options, wait=False)

    @property
    def preview(self) -> bool:
        """Whether there is a preview under the cursor."""
        return self.lookout.preview

    @preview.setter
    def preview(self, wanted: bool) -> None:
        self.lookout.wish = bool(wanted)
        if not wanted:
            self.lookout.clear_preview()
        self.refresh()
