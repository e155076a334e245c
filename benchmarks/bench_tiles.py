"""Map tiles beside rio-tiler's, in one run on one thread: CPU time per tile of 256 pixels.

    python benchmarks/bench_tiles.py [RASTER] [--tiles 40] [--rounds 5]

Both draw the same tiles of the same raster at the same zooms and encode them; rounds
alternate. Reported are medians of CPU milliseconds and their ratio. Without RASTER one
is made: 8192 pixels, UTM, deflate, with overviews.
"""

from __future__ import annotations

import argparse
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import rasterio
from rasterio.enums import Resampling

import geoiseg
from geoiseg.widget.tiling.tiles import TileRenderer

Tile = tuple[int, int, int]
Draw = Callable[[int, int, int], bytes | None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("raster", nargs="?")
    parser.add_argument("--tiles", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder, rasterio.Env(GDAL_NUM_THREADS=1):
        path = options.raster or make_raster(Path(folder) / "scene.tif")
        renderer = TileRenderer(geoiseg.open_raster(path))
        _ = renderer.stretch
        for zoom in sorted({renderer.max_zoom, renderer.max_zoom - 2, renderer.min_zoom + 1}):
            tiles = list(tiles_at(renderer, zoom, options.tiles))
            compare(path, renderer, zoom, tiles, options.rounds)


def make_raster(path: Path, size: int = 8192) -> str:
    """Write a large picture with shapes at all scales."""
    rng = np.random.default_rng(0)
    image = np.zeros((size, size, 3), dtype=np.float32)
    for side in (8, 64, 512, 4096):
        noise = rng.normal(0, 30, (side, side, 3)).astype(np.float32)
        image += cv2.resize(noise, (size, size), interpolation=cv2.INTER_CUBIC)
    pixels = np.clip(image + 120, 1, 255).astype(np.uint8)
    with rasterio.open(
        path, "w", driver="GTiff", width=size, height=size, count=3, dtype="uint8", tiled=True,
        blockxsize=512, blockysize=512, compress="deflate", interleave="pixel", crs="EPSG:32631",
        transform=(0.5, 0, 500_000, 0, -0.5, 4_500_000),
    ) as dataset:  # fmt: skip
        dataset.write(np.moveaxis(pixels, -1, 0))
        dataset.build_overviews([2, 4, 8, 16, 32], Resampling.average)
    return str(path)


def tiles_at(renderer: TileRenderer, zoom: int, most: int) -> Iterator[Tile]:
    """Yield tiles spread evenly over the raster."""
    west, south, east, north = renderer.bounds_lonlat
    (left, top), (right, bottom) = (
        ((lon + 180) / 360 * 2**zoom, row(lat) * 2**zoom)
        for lon, lat in ((west, north), (east, south))
    )
    side = math.ceil(math.sqrt(most))
    seen = set()
    for v in (np.arange(side) + 0.5) / side:
        for u in (np.arange(side) + 0.5) / side:
            seen.add((zoom, int(left + u * (right - left)), int(top + v * (bottom - top))))
    yield from sorted(seen)[:most]


def row(lat: float) -> float:
    return (1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2


def compare(path: str, renderer: TileRenderer, zoom: int, tiles: list[Tile], rounds: int) -> None:
    """Print the CPU time per tile of each way of drawing."""
    ways: dict[str, Draw] = {"geoiseg": lambda z, x, y: renderer.render(z, x, y)[0]}
    try:
        ways |= rio_tiler(path, renderer)
    except ImportError:
        print("rio-tiler is not installed: nothing to compare with")
    spent: dict[str, list[float]] = {name: [] for name in ways}
    sizes = {}
    for turn in range(rounds + 1):
        for name, draw in ways.items():
            start = time.process_time()
            drawn = [draw(*tile) for tile in tiles]
            if turn:  # the first warms caches
                spent[name].append((time.process_time() - start) / len(tiles) * 1e3)
            sizes[name] = statistics.mean(len(tile or b"") for tile in drawn) / 1024
    print(f"zoom {zoom}, {len(tiles)} tiles, median of {rounds} rounds")
    for name, times in spent.items():
        ratio = statistics.median(a / b for a, b in zip(times, spent["geoiseg"], strict=True))
        print(
            f"  {name:<16} {statistics.median(times):7.2f} CPU-ms a tile"
            f"  {sizes[name]:6.1f} KiB  {ratio:5.1f} x"
        )


def rio_tiler(path: str, renderer: TileRenderer) -> dict[str, Draw]:
    """Return rio-tiler's own rendering, as its documentation shows it, in three formats."""
    from rio_tiler.errors import TileOutsideBounds
    from rio_tiler.io import Reader

    reader = Reader(path)
    limits = tuple(zip(renderer.stretch.low, renderer.stretch.high, strict=True))

    def draw(kind: str, mask: bool) -> Draw:
        def one(z: int, x: int, y: int) -> bytes | None:
            try:
                image = reader.tile(x, y, z, tilesize=256, indexes=renderer.raster.bands)
            except TileOutsideBounds:
                return None
            if renderer.raster.dtype != "uint8":
                image.rescale(limits)
            return bytes(image.render(img_format=kind, add_mask=mask))

        return one

    return {
        "rio-tiler JPEG": draw("JPEG", mask=False),
        "rio-tiler WebP": draw("WEBP", mask=True),
        "rio-tiler PNG": draw("PNG", mask=True),
    }


if __name__ == "__main__":
    main()
