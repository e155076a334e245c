"""A chip's embedding from the disk cache beside reading and encoding it again.

    python benchmarks/bench_cache.py [RASTER] [--model tiny] [--chips 12]

Alternating, chip by chip, in one run; medians of wall milliseconds. Without RASTER a noisy
one of 4096 pixels is made. The files are read back through the system's page cache, as after
a recent session; ``--cold`` asks the system to forget each of them first (Linux).
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine

from geoiseg.models.registry import get_model
from geoiseg.raster.readers import open_raster
from geoiseg.segment.embeddings import DiskStore, EmbeddingCache
from geoiseg.segment.segmenter import Segmenter
from geoiseg.tiled.encode import EmbedOptions, chips_to_encode


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("raster", nargs="?")
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--chips", type=int, default=12)
    parser.add_argument("--cold", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure(asked, Path(folder))


def measure(asked: argparse.Namespace, folder: Path) -> None:
    raster = open_raster(asked.raster or made(folder / "made.tif"))
    store = DiskStore(folder / "cache")
    segmenter = Segmenter(raster, get_model(asked.model), EmbeddingCache(disk=store))
    grid, size = raster.grid, segmenter.model.info.chip_size
    frames = chips_to_encode(grid, segmenter.model.info, EmbedOptions(levels=(0,)))
    frames = frames[:: max(1, len(frames) // (asked.chips + 1))][: asked.chips + 1]
    spent: dict[str, list[float]] = {"read": [], "encode": [], "write": [], "load": []}
    nbytes = 0
    for frame in frames:
        key = segmenter.key(frame)
        times = [time.perf_counter()]
        chip = raster.chip(frame.window, frame.level)
        times.append(time.perf_counter())
        embedding = segmenter.encode(chip)
        times.append(time.perf_counter())
        store.save(key, embedding)
        times.append(time.perf_counter())
        if asked.cold:
            forget(store.folder / key.folder / f"{key.digest}.npz")
        begun = time.perf_counter()
        assert store.load(key) is not None
        loaded = time.perf_counter() - begun
        for name, seconds in zip(spent, (*np.diff(times), loaded), strict=True):
            spent[name].append(seconds * 1e3)
        nbytes = embedding.nbytes
    medians = {name: statistics.median(values[1:]) for name, values in spent.items()}
    print(f"{asked.model}, {len(frames) - 1} chips of {size} px, {nbytes / 2**20:.1f} MiB each")
    for name, value in medians.items():
        print(f"  {name:<7} {value:8.1f} ms")
    again = medians["read"] + medians["encode"]
    print(f"  from the cache {again / medians['load']:.0f} times faster than again")


def forget(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)


def made(path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 255, (3, 4096, 4096), np.uint8)
    profile = {"driver": "GTiff", "width": 4096, "height": 4096, "count": 3, "dtype": "uint8",
               "crs": "EPSG:32631", "transform": Affine(1, 0, 5e5, 0, -1, 4.5e6), "tiled": True,
               "compress": "deflate"}  # fmt: skip
    with rasterio.open(path, "w", **profile) as target:
        target.write(pixels)
    return path


if __name__ == "__main__":
    main()
