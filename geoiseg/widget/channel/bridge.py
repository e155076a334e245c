"""The hidden companion of the map: tiles over the widget comm, rich input, the mask."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import traitlets

from geoiseg.widget.channel.actions import DRAGGED, HAND_DRAGGED, HAND_TOOLS, POINT, TOOLS, hotkeys
from geoiseg.widget.channel.listener import Listener
from geoiseg.widget.channel.messages import Message, MessageError, TileCancel, TileRequest

log = logging.getLogger(__name__)

TILE_THREADS = 3
"""Tiles rendered at the same time."""
MAX_WAITING = 600
"""Requests for tiles that may wait; more is no view of a map but a flood."""
Render = Callable[[int, int, int], tuple[bytes | None, str]]
"""``(z, x, y)`` to the bytes of an image (None where it is empty) and its media type."""


class TileService:
    """Answers requests for tiles from a small pool of threads, the latest first."""

    def __init__(self, send: Callable[[dict[str, Any], list[bytes]], None]) -> None:
        self._send = send
        self._sources: dict[str, Render] = {}
        self._waiting: OrderedDict[str, TileRequest] = OrderedDict()
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(TILE_THREADS, "geoiseg-tile")
        self.failed: Callable[[Exception], None] = lambda _: None
        """Told of tiles that could not be rendered."""

    def serve(self, layer: str, render: Render) -> None:
        """Render the tiles of a layer with ``render`` from now on."""
        self._sources[layer] = render

    def request(self, tile: TileRequest) -> None:
        """Take a request; it is answered unless it is cancelled first.

        Raises:
            MessageError: There is no such layer, or too much waits already.
        """
        if tile.layer not in self._sources:
            raise MessageError(f"there is no layer {tile.layer!r}")
        with self._lock:
            if len(self._waiting) >= MAX_WAITING:
                raise MessageError(f"{MAX_WAITING} tiles wait already")
            self._waiting[tile.id] = tile
        self._pool.submit(self._answer_next)

    def cancel(self, request_id: str) -> None:
        """Forget a request that has not been begun."""
        with self._lock:
            self._waiting.pop(request_id, None)

    def _answer_next(self) -> None:
        with self._lock:
            if not self._waiting:
                return  # its request was cancelled
            _, tile = self._waiting.popitem()
        try:
            data, mime = self._sources[tile.layer](tile.z, tile.x, tile.y)
            self._send({"kind": "tile", "id": tile.id, "mime": mime}, [data] if data else [])
        except Exception as error:
            log.exception("tile %d/%d/%d can not be rendered", tile.z, tile.x, tile.y)
            self._send({"kind": "tile", "id": tile.id, "failed": True}, [])
            self.failed(error)

    def close(self) -> None:
        """Stop answering."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class Bridge(Listener):
    """Mouse, keys and tiles of a map. The page's messages are checked before any use."""

    _esm = Path(__file__).with_name("bridge.js")
    _css = Path(__file__).with_name("bridge.css")

    map_id = traitlets.Unicode().tag(sync=True)
    rasters: Any = traitlets.List().tag(sync=True)
    """``{id, version}`` of each layer served here; a new version is drawn anew."""
    overlays = traitlets.Dict().tag(sync=True)
    """Ids of the image overlays ``mask`` and ``preview``."""
    mask = traitlets.Dict().tag(sync=True)
    """``png`` bytes, ``bounds`` ((south, west), (north, east)) and ``seq``; or empty."""
    preview = traitlets.Dict().tag(sync=True)
    """Likewise."""
    answered = traitlets.Int().tag(sync=True)
    """Counts answers: what the page drew while it waited is not needed any more."""
    tool = traitlets.Unicode(POINT).tag(sync=True)
    prompting = traitlets.Bool(default_value=True).tag(sync=True)
    """Whether a click with the tool makes a prompt."""
    tools = traitlets.List([tool.name for tool in (*TOOLS, *HAND_TOOLS)]).tag(sync=True)
    dragged = traitlets.List([*DRAGGED, *HAND_DRAGGED]).tag(sync=True)
    hotkeys = traitlets.Dict(hotkeys()).tag(sync=True)
    hover_ms = traitlets.Int(0).tag(sync=True)
    """Least time between two reports of the cursor; 0 for none."""

    def __init__(self, **traits: Any) -> None:
        super().__init__(**traits)
        self.tiles = TileService(self.send)

    def take(self, message: Message) -> None:
        """Answer what is about tiles; pass everything else on to ``heard``.

        Raises:
            MessageError: There is no such layer, or too much waits already.
        """
        match message:
            case TileRequest():
                self.tiles.request(message)
            case TileCancel():
                self.tiles.cancel(message.id)
            case _:
                super().take(message)

    def close(self) -> None:
        """Stop the tiles and close the widget."""
        self.tiles.close()
        super().close()
