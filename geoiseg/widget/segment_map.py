"""``SegmentMap``: an ipyleaflet map on which objects are segmented."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import ipyleaflet
import ipywidgets

from geoiseg.errors import CancelledError, GeoisegError
from geoiseg.models import Model
from geoiseg.segment import EmbeddingCache, Watch
from geoiseg.session import Session
from geoiseg.widget.base_map import BaseMap
from geoiseg.widget.by_hand import HandTools
from geoiseg.widget.channel.bridge import Bridge
from geoiseg.widget.channel.hand import Hand
from geoiseg.widget.channel.review import Review
from geoiseg.widget.channel.toolbar import Toolbar
from geoiseg.widget.channel.wire import WireBar
from geoiseg.widget.controller import Controller
from geoiseg.widget.drawing.labels import Labels
from geoiseg.widget.drawing.scene import Scene
from geoiseg.widget.lookout import Lookout
from geoiseg.widget.project import open_session
from geoiseg.widget.rasters import MAX_ZOOM, RasterLayers
from geoiseg.widget.wire import WireTool

HEIGHT = "min(640px, 72vh)"
"""Height of a map in a notebook, never more than the window shows: ``m.map.layout.height``."""


NOT_REPLAYED = (
    "the object in progress is not replayed; it stays in the project until another is begun, and"
    " m.replay() brings it back"
)


class SegmentMap(BaseMap):
    """A map on which clicks, boxes and strokes become polygons.

    ``m.map`` is an ordinary ipyleaflet Map. Everything the mouse can do is a method, and
    ``m.session`` is the session behind it all; call ``m.refresh()`` after changing that
    directly.
    """

    def __init__(
        self,
        raster: Any = None,
        model: str | Model | None = None,
        session: Session | None = None,
        basemap: Any = None,
        *,
        project: str | Path | bool | None = True,
        classes: Iterable[str] | Mapping[str, str] = (),
        cache: EmbeddingCache | None = None,
    ) -> None:
        """Make a map; put it last in a cell, or ``display`` it.

        Args:
            raster: What ``open_raster`` takes; not needed with ``session``.
            model: Name of a model, or a Model; by default the project's or the default.
            session: A session to show instead of a new one.
            basemap: An ipyleaflet layer, or one of ``ipyleaflet.basemaps``, to lie below;
                none by default, so that nothing is fetched from anywhere.
            project: The GeoPackage that every accept is saved to, and from which the map
                resumes where it exists; True names it after the raster in the working
                folder, False saves nothing.
            classes: Names of the classes, or names with colours ``#rrggbb``. Those that
                the project was saved with follow; their colours hold where none is given.
            cache: Where embeddings are kept; as in ``Session``, which brings its own.

        Raises:
            GeoisegError: The raster or an existing project can not be opened.
        """
        note = ""
        if session is None:
            session, note = open_session(raster, model, project, cache)
        elif model is not None:
            session.model = model
        self._begin(session)
        self._fixed_gsd = session.gsd if note == "" and raster is None else None
        self._take_labels(Labels.of(classes, session.classes))
        self._lock = threading.RLock()
        self._error, self._note = "", note
        self._models = {}
        self._own_files = set()
        self.folder = Path.cwd()
        self._build(basemap)
        self._note = note or self.rasters.first.renderer.note or ""
        ipywidgets.VBox.__init__(self, children=[self.map])
        self._learn_labels()
        self.label = next(iter(self._labels))
        self.model = session.model
        self.refresh()
        if session.unreplayed:
            with contextlib.suppress(GeoisegError):  # said already; it stays in the project
                self.replay(wait=not session.replays_long)

    def replay(self, *, wait: bool = True) -> None:
        """Bring back the object in progress of the project, as a map does by itself when it opens.

        Stopped, it stays in the project until another object is begun.
        """
        note = self._note.removesuffix(NOT_REPLAYED).removesuffix("; ")

        def change(watch: Watch) -> None:
            try:
                self.session.replay(watch=watch)
            except CancelledError:
                self._say("; ".join(filter(None, (note, NOT_REPLAYED))))
                raise
            self._say(note)

        self._ask(change, wait=wait, stoppable=True)

    def _build(self, basemap: Any) -> None:
        layers = () if basemap is None else (as_layer(basemap),)
        self.map = ipyleaflet.Map(
            layers=layers, zoom_control=False, scroll_wheel_zoom=True, double_click_zoom=False,
            max_zoom=MAX_ZOOM, min_zoom=0,
            layout=ipywidgets.Layout(height=HEIGHT, width="auto", margin="0"),
        )  # fmt: skip
        self.bridge = Bridge(map_id=self.map.model_id)
        self.toolbar, self.hand, self.review_bar = Toolbar(), Hand(), Review()
        self.hand_tools = HandTools(self)
        self.wire_bar = WireBar()
        self.wire = WireTool(self, self.wire_bar)
        self.scene = Scene(self.map, self.bridge)
        self.rasters = RasterLayers(self.map, self.bridge)
        self.rasters.add(self.session.raster)
        for widget in (
            self.bridge, self.toolbar, self.hand, self.review_bar, self.wire_bar,
        ):  # fmt: skip
            control = ipyleaflet.WidgetControl(
                widget=widget, position="topleft", transparent_bg=True
            )
            self.map.add(control)
        if self.session.raster.grid.crs is not None:
            self.map.add(ipyleaflet.ScaleControl(position="bottomleft", imperial=False))
        self.lookout = Lookout(self)
        controller = Controller(self)
        self.bridge.heard = self.toolbar.heard = self.hand.heard = controller
        self.review_bar.heard = self.wire_bar.heard = controller
        self.bridge.tiles.failed = lambda error: self.show_error(str(error))
        self.fit()

    def close(self) -> None:
        """Stop all work for this map and remove it."""
        if hasattr(self, "lookout"):  # else it was never built: its raster could not be opened
            self.stop()
            self.lookout.close()
            self.wire.close()
            self.bridge.close()
        super().close()


def as_layer(basemap: Any) -> ipyleaflet.Layer:
    """Return an ipyleaflet layer of a layer, or of an entry of ``ipyleaflet.basemaps``."""
    if isinstance(basemap, ipyleaflet.Layer):
        return basemap
    return ipyleaflet.basemap_to_tiles(basemap)
