"""A sea over a raster of 100,000 x 100,000 pixels: one click, sharpened, stopped, resumed.

    $ python benchmarks/huge_sea.py
    $ python benchmarks/huge_sea.py --stop 400
    $ python benchmarks/huge_sea.py --stop 400 --side 50000 --folder /tmp/sea --wholly

The raster is made on the spot: a VRT over sparse tiled files, one for each level of its pyramid,
on which land alone takes up space. One click in the sea; its border is sharpened until ``--stop``
chips were looked at, the project is saved, loaded by another process and gone on with; with
``--wholly`` a third one does it all without a stop, for comparison. Tells seconds (``cpu`` those
of the processor), chips looked at by this process and in all, the peak of memory, what the tiles
take up, a hash of their pixels, and how far the border lies from the true one at a sample of its
places, in pixels.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.windows import Window

import geoiseg
from geoiseg.segment import Outcome, Watch
from geoiseg.segment.embeddings import EmbeddingCache

BLOCK, SMALLEST = 512, 256
TRANSFORM = Affine(1, 0, 400_000, 0, -1, 5_000_000)
ISLANDS = ((0.3, 0.2, 0.012), (0.55, 0.4, 0.02), (0.8, 0.75, 0.015), (0.4, 0.85, 0.01))
"""Column, row and radius, as shares of the side."""
MEMORY = 64 << 20
"""Bytes of embeddings that are kept in memory."""


def inland(x: NDArray[np.float64], y: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """Return how far inland places are, in about pixels of the finest level; below 0 the sea."""
    coast = side * (0.015 + 0.008 * np.sin(y / side * 12)) + 300 * np.sin(y / 700)
    depth = coast - x
    for col, row, radius in ISLANDS:
        shore = side * radius * (1 + 0.1 * np.sin(7 * np.arctan2(y - side * row, x - side * col)))
        depth = np.maximum(depth, shore - np.hypot(x - side * col, y - side * row))
    return depth


def write_level(path: Path, side: int, level: int) -> tuple[int, int]:
    """Write the land of a level of the pyramid, block by block, and return its shape."""
    size, texture = -(-side // 2**level), np.random.default_rng(1).normal(0, 6, (BLOCK, BLOCK))
    profile = {"driver": "GTiff", "width": size, "height": size, "count": 3, "dtype": "uint8",
               "crs": "EPSG:32631", "transform": TRANSFORM @ Affine.scale(side / size),
               "tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK, "sparse_ok": True,
               "compress": "deflate", "zlevel": 1, "interleave": "pixel"}  # fmt: skip
    with rasterio.open(path, "w", **profile) as target:
        for row in range(0, size, BLOCK):
            for col in range(0, size, BLOCK):
                high, wide = min(BLOCK, size - row), min(BLOCK, size - col)
                times = side / size
                few = np.meshgrid(np.arange(col, col + BLOCK + 1, 64.0),
                                  np.arange(row, row + BLOCK + 1, 64.0))  # fmt: skip
                if inland(few[0] * times, few[1] * times, side).max() < -100 * times - 400:
                    continue
                x, y = ((one + 0.5) * times for one in np.meshgrid(
                    np.arange(col, col + wide), np.arange(row, row + high)))  # fmt: skip
                land = inland(x, y, side) > 0
                if land.any():
                    grey = np.where(land, 110 + texture[:high, :wide], 0)
                    pixels = np.stack([grey * 0.8, grey, grey * 0.6]).clip(0, 255)
                    target.write(pixels.astype(np.uint8), window=Window(col, row, wide, high))
    return size, size


def write_sea(folder: Path, side: int) -> Path:
    """Return a raster of that many pixels a side with overviews, nearly all of it holes."""
    levels = [0]
    while side >> (levels[-1] + 1) >= SMALLEST:
        levels.append(levels[-1] + 1)
    for level in levels:
        write_level(folder / f"level{level}.tif", side, level)
    bands = "".join(
        f'<VRTRasterBand dataType="Byte" band="{band}"><ColorInterp>{colour}</ColorInterp>'
        f'<SimpleSource><SourceFilename relativeToVRT="1">level0.tif</SourceFilename>'
        f"<SourceBand>{band}</SourceBand></SimpleSource>"
        + "".join(
            f'<Overview><SourceFilename relativeToVRT="1">level{level}.tif</SourceFilename>'
            f"<SourceBand>{band}</SourceBand></Overview>"
            for level in levels[1:]
        )
        + "</VRTRasterBand>"
        for band, colour in ((1, "Red"), (2, "Green"), (3, "Blue"))
    )
    transform = ", ".join(map(str, TRANSFORM.to_gdal()))
    path = folder / "sea.vrt"
    path.write_text(f'<VRTDataset rasterXSize="{side}" rasterYSize="{side}"><SRS>EPSG:32631</SRS>'
                    f"<GeoTransform>{transform}</GeoTransform>{bands}</VRTDataset>")  # fmt: skip
    return path


def peak() -> float:
    """Return the most memory that this process ever took up, in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def pixels(outcome: Outcome) -> str:
    """Return a hash of the pixels that an object has."""
    found = hashlib.sha256(np.packbits(outcome.mask.array).data)
    if outcome.fine is not None:
        tiles = outcome.fine.array
        found.update(repr((tiles.window, sorted(tiles.whole))).encode())
        for cell in sorted(tiles.packed):
            found.update(repr(cell).encode())
            found.update(tiles.packed[cell].data)
    return found.hexdigest()[:16]


@contextmanager
def timed(what: str, session: geoiseg.Session, side: int) -> Iterator[dict[str, Any]]:
    """Print what a part of the work took, and what there is to say of the object after it."""
    facts: dict[str, Any] = {}
    wall, cpu = time.perf_counter(), time.process_time()
    yield facts
    took = {"seconds": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    print(what, json.dumps({**took, **facts, **told(session, side)}), flush=True)


def told(session: geoiseg.Session, side: int) -> dict[str, Any]:
    """Return what there is to say of the object in progress."""
    outcome, shape = session.outcome, session.geometry
    if outcome is None or shape is None:
        raise SystemExit("nothing was found")
    xy = shapely.get_coordinates(shapely.segmentize(shape.boundary, side / 50))
    x, y = xy[:, 0] - TRANSFORM.c, TRANSFORM.f - xy[:, 1]
    inner = (np.minimum(x, y) > 5) & (np.maximum(x, y) < side - 5)
    off = np.abs(inland(x[inner], y[inner], side))
    return {"level": outcome.level, "chips": outcome.grown.chips if outcome.grown else 0,
            "lost": outcome.grown.lost if outcome.grown else 0, "vertices": len(xy),
            "tiles_mb": 0 if outcome.fine is None else outcome.fine.array.nbytes / 1e6,
            "pixels": pixels(outcome),
            "median_px": float(np.median(off)), "p90_px": float(np.percentile(off, 90)),
            "peak_mb": peak()}  # fmt: skip


def sharpened(what: str, session: geoiseg.Session, side: int, stop: int) -> None:
    """Sharpen the border, as far as that many chips; 0 for all of them."""
    count = 0

    def tell(phase: str) -> None:
        nonlocal count
        count += phase.startswith("sharpening")

    with timed(what, session, side) as facts:
        ended = session.sharpen(100_000, watch=Watch(tell, lambda: 0 < stop <= count))
        facts |= {"looked_at": count, "ended": ended}


def first(path: Path, side: int, model: str, stop: int, home: Path) -> None:
    """Click, sharpen as far as that many chips, and save."""
    cache = EmbeddingCache(MEMORY, geoiseg.segment.default_store())
    session = geoiseg.Session(path, model, cache=cache)
    session.follow = False
    with timed("seen", session, side):
        session.add_point(*(TRANSFORM @ (side * 0.6, side * 0.6)))
    sharpened("sharpened", session, side, stop)
    if stop:
        with timed("saved", session, side) as facts:
            facts["megabytes"] = session.save(home / "sea.gpkg").stat().st_size / 1e6


def second(path: Path, side: int, home: Path) -> None:
    """Load the project and go on to the end."""
    cache = EmbeddingCache(MEMORY, geoiseg.segment.default_store())
    wall, cpu, looks = time.perf_counter(), time.process_time(), list[str]()
    session = geoiseg.Session.load(home / "sea.gpkg", path, cache=cache, watch=Watch(looks.append))
    took = {"seconds": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    print("loaded", json.dumps({**took, "looks": len(looks), **told(session, side)}), flush=True)
    sharpened("resumed", session, side, 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--side", type=int, default=100_000)
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--stop", type=int, default=0, help="Chips after which it is stopped.")
    parser.add_argument("--wholly", action="store_true", help="Also without a stop.")
    parser.add_argument("--folder", type=Path, help="Where the raster is kept.")
    parser.add_argument("--part", choices=["first", "second", "whole"])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "sea.vrt"
        if not path.exists():
            began = time.perf_counter()
            write_sea(folder, given.side)
            print(f"made in {time.perf_counter() - began:.0f} s", flush=True)
        if given.part == "second":
            second(path, given.side, folder)
        elif given.part:
            stop = given.stop if given.part == "first" else 0
            first(path, given.side, given.model, stop, folder)
        else:
            again = [sys.executable, __file__, "--side", str(given.side), "--model", given.model,
                     "--stop", str(given.stop), "--folder", str(folder), "--part"]  # fmt: skip
            parts = ["first", "second"] if given.stop else []
            for part in [*parts, "whole"] if given.wholly or not parts else parts:
                subprocess.run([*again, part], check=True)


if __name__ == "__main__":
    main()
