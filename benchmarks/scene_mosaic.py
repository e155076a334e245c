"""One large raster made of the labelled scenes, mirrored where there are too few."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import rasterio
import shapely
from affine import Affine
from numpy.typing import NDArray

CELL = 1024
"""Side of a scene's place in pixels; larger scenes are cut."""


def scenes(folder: Path) -> Iterator[tuple[NDArray[np.uint8], Any]]:
    """Yield ``(3, y, x)`` and labels in pixels of the scenes that fill a place, by name."""
    for path in sorted(folder.iterdir()):
        if not (path / "labels.geojson").exists():
            continue
        with rasterio.open(path / "image.tif") as source:
            if min(source.shape) < CELL or source.count < 3:
                continue
            labels = gpd.read_file(path / "labels.geojson").to_crs(source.crs).geometry
            shapes = shapely.make_valid(moved(labels.to_numpy(), ~source.transform))
            for row in range(0, source.height - CELL + 1, CELL):
                for col in range(0, source.width - CELL + 1, CELL):
                    window = rasterio.windows.Window(col, row, CELL, CELL)
                    here = moved(shapes, Affine.translation(-col, -row))
                    inside = shapely.clip_by_rect(here, 0, 0, CELL, CELL)
                    whole = shapely.area(inside) > 0.5 * shapely.area(here)
                    yield source.read([1, 2, 3], window=window), inside[whole]


def moved(shapes: NDArray[Any], how: Affine) -> NDArray[Any]:
    """Return geometries with an affine transform applied."""
    done: NDArray[Any] = shapely.transform(shapes, lambda xy: np.column_stack(how @ xy.T))
    return done


def make_mosaic(folder: Path, path: Path, size: int) -> NDArray[Any]:
    """Write a raster of a pixel of one metre, and return its labels in its CRS.

    Args:
        folder: Of the scenes.
        path: Where to write.
        size: Side in pixels; the last places are cut where it is no multiple of ``CELL``.
    """
    found, labels = list(scenes(folder)), []
    transform = Affine(1, 0, 400_000, 0, -1, 5_900_000)
    profile = {
        "driver": "GTiff", "width": size, "height": size, "count": 3, "dtype": "uint8",
        "tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate",
        "interleave": "pixel", "crs": "EPSG:32631", "transform": transform,
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as target:
        places = -(-size // CELL)
        for number, (row, col) in enumerate(np.ndindex(places, places)):
            pixels, shapes = found[number % len(found)]
            if number // len(found) % 2:  # a second round shows them in a mirror
                pixels = pixels[:, :, ::-1]
                shapes = moved(shapes, Affine(-1, 0, CELL, 0, 1, 0))
            top, left = row * CELL, col * CELL
            height, width = min(CELL, size - top), min(CELL, size - left)
            there = rasterio.windows.Window(left, top, width, height)
            target.write(pixels[:, :height, :width], window=there)
            inside = shapely.clip_by_rect(shapes, 0, 0, width, height)
            whole = shapely.area(inside) > 0.5 * shapely.area(shapes)
            labels.append(moved(inside[whole], transform @ Affine.translation(left, top)))
    return np.concatenate(labels)
