"""A small server of map tiles, z/x/y, for the tests: one bright disk on dark ground."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
from PIL import Image

HALF = 20037508.342789244
"""Half of the side of the map of the Earth in EPSG:3857, in metres."""
SIDE = 256


@dataclass
class Tiles:
    """A disk, in EPSG:3857, and where it is served."""

    x: float = 250_000.0
    y: float = 6_250_000.0
    radius: float = 150.0
    url: str = ""
    asked: list[str] = field(default_factory=list)
    """Paths of the tiles that were served."""
    broken: bool = False
    """Whether the service says that it is out of order."""

    def tile(self, zoom: int, column: int, row: int) -> bytes:
        """Return a tile as PNG."""
        step = 2 * HALF / 2**zoom / SIDE
        x = -HALF + (column * SIDE + np.arange(SIDE) + 0.5) * step
        y = HALF - (row * SIDE + np.arange(SIDE) + 0.5) * step
        on = np.hypot(x[None, :] - self.x, y[:, None] - self.y) < self.radius
        noise = np.random.default_rng(column * 7919 + row).normal(0, 6, (SIDE, SIDE, 3))
        colours = np.where(on[..., None], (170, 150, 90), (70, 90, 60)) + noise
        out = io.BytesIO()
        Image.fromarray(np.clip(colours, 0, 255).astype(np.uint8)).save(out, "PNG")
        return out.getvalue()


@contextmanager
def serving(tiles: Tiles) -> Iterator[Tiles]:
    """Serve tiles on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = self.path.removesuffix(".png").strip("/").split("/")
            if tiles.broken or len(parts) != 3:
                self.send_error(503)
                return
            tiles.asked.append(self.path)
            data = tiles.tile(*map(int, parts))
            self.send_response(200)
            self.send_header("Content-Type", "image/png")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    tiles.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield tiles
    finally:
        server.shutdown()
        server.server_close()
