"""Seven rasters of which every object is known, and a server for the page."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine

from tests.conftest import write_raster

SHAPES = {
    "yellow disc": (90, 80, 36, (200, 180, 90)),
    "blue disc": (230, 210, 52, (40, 60, 150)),
    "small roof": (240, 60, 9, (200, 90, 70)),
}
"""Column, row, radius and colour."""


def paint(rows: int = 288, cols: int = 320) -> np.ndarray:
    """Return ``(3, y, x)`` uint8: discs on green with noise, of which 255 is never reached."""
    image = np.zeros((3, rows, cols), np.float32)
    image += np.array([60, 110, 50], np.float32)[:, None, None]
    y, x = np.mgrid[:rows, :cols]
    for col, row, radius, colour in SHAPES.values():
        inside = (x - col) ** 2 + (y - row) ** 2 < radius**2
        image[:, inside] = np.array(colour, np.float32)[:, None]
    image += np.random.default_rng(1).normal(0, 5, image.shape)
    return np.clip(image, 1, 250).astype(np.uint8)


@dataclass(frozen=True)
class Scene:
    path: Path
    prompts: tuple[tuple[Any, ...], ...]
    """Each of one object: clicks as ``(x, y, positive)`` and boxes as ``(x0, y0, x1, y1)``."""


PROMPTS = (
    ((90.5, 80.5, True),),
    ((230.5, 200.5, True), (232.5, 150.5, False)),
    ((240.5, 60.5, True),),
    ((170.0, 150.0, 292.0, 270.0),),
    ((230.5, 200.5, True), (262.5, 222.5, True), (200.5, 236.5, True), (150.5, 200.5, False)),
    ((240.5, 60.5, True), (237.5, 63.5, True), (250.5, 70.5, False)),
)
"""A disc, a correction, a small object that is enlarged, a box, and clicks enough to be seen from
other sides, too, of a disc and of what is small."""


def scenes(folder: Path) -> dict[str, Scene]:
    image = paint()
    wide = np.stack([band.astype(np.uint16) * 40 + 300 for band in image])
    holed = image.copy()
    holed[:, 100:130, 60:200] = 0
    holed[:, :, :12] = 0
    large = np.concatenate([image] * 3, axis=2)
    large = np.concatenate([large] * 3, axis=1)
    turned = Affine.translation(500_000, 5_200_000) @ Affine.rotation(30) @ Affine.scale(0.5, -0.5)
    degrees = Affine(6e-6, 0, 15.0, 0, -6e-6, 46.95)
    at = {"crs": "EPSG:32633", "transform": Affine(0.5, 0, 500_000, 0, -0.5, 5_200_000)}
    long = np.repeat(image[:, :, :1], 720, axis=2)
    long += np.random.default_rng(2).integers(0, 9, long.shape, np.uint8)
    long[:, 130:160] = np.array((40, 60, 150), np.uint8)[:, None, None] + long[:, 130:160] % 8
    along = (((200.5, 145.5, True), (520.5, 145.5, True)), ((300.5, 145.5, True),))
    river = np.tile(np.tile(long, (1, 2, 1))[:, :420], (1, 1, 3))[:, :, :1500]
    river[:, 220:] = river[:, 219:220]  # one river alone
    beyond = (((700.5, 145.5, True),), ((400.5, 145.5, True), (700.5, 150.5, True)),
              ((500.5, 144.0, True), (900.5, 144.0, True), (702.5, 230.5, False)))  # fmt: skip
    across = (((90.5, 80.5, True),), ((560.5, 500.5, True),), ((30.0, 30.0, 420.0, 380.0),))
    return {
        "utm, seen from further away": Scene(
            write_raster(folder / "utm.tif", large, **at, tiled=True, blockxsize=256,
                         blockysize=256, compress="deflate"), (*across, PROMPTS[2])),
        "long": Scene(write_raster(folder / "long.tif", long, **at), along),
        "beyond": Scene(write_raster(folder / "beyond.tif", river, **at), beyond),
        "geographic": Scene(
            write_raster(folder / "degrees.tif", image, crs="EPSG:4326", transform=degrees),
            PROMPTS),
        "rotated": Scene(
            write_raster(folder / "turned.tif", image, crs="EPSG:32633", transform=turned),
            PROMPTS),
        "16 bits": Scene(
            write_raster(folder / "wide.tif", wide, **at, compress="lzw", predictor=2), PROMPTS),
        "nodata": Scene(write_raster(folder / "holed.tif", holed, **at, nodata=0), PROMPTS),
    }  # fmt: skip


class Quiet(http.server.SimpleHTTPRequestHandler):
    """What ``python -m http.server`` is, without its log."""

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve a folder as any static server does, and give its address."""
    handler = functools.partial(Quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
