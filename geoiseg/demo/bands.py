"""The demo's coast as a satellite would see it: in five bands, named as Sentinel-2's."""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio.features import rasterize

from geoiseg.atomic import written
from geoiseg.demo.scene import CRS, Scene, make_scene, scene_transform

BANDS = ("B02", "B03", "B04", "B08", "B11")
SCALE, OFFSET = 1e-4, -0.1
"""How numbers become reflectances: as in products of Sentinel-2 since baseline 04.00."""
FINER = 4
"""Parts of a pixel's side by which shares of water are counted."""


def make_bands(path: str | os.PathLike[str], size: int = 1024, seed: int = 0) -> Scene:
    """Return the demo's scene, written with near and short-wave infrared as 16-bit numbers.

    Water is dark in both, plants are bright in the near infrared; a pixel on the shore mixes
    both by what it covers of each.

    Args:
        path: The GeoTIFF to write; an existing file is replaced.
        size: Pixels on a side, 128 to 8192.
        seed: As ``make_scene`` takes.

    Raises:
        GeoreferenceError: The size or the seed is out of range.
        ExportError: The file can not be written.
    """
    with tempfile.TemporaryDirectory(prefix="geoiseg-bands-") as folder:
        scene = make_scene(Path(folder) / "scene.tif", size, seed)
        with rasterio.open(scene.path) as source:
            rgb = source.read()
    water = [row.geometry for row in scene.truth if row.label in ("sea", "lake")]
    bands = _reflectances(rgb, _share(water, size), np.random.default_rng([seed, 3]))
    numbers = np.clip(np.rint((bands - OFFSET) / SCALE), 1, 65535).astype(np.uint16)
    with written(Path(path)) as target, rasterio.open(
        target, "w", driver="GTiff", width=size, height=size, count=len(BANDS), dtype="uint16",
        crs=CRS, transform=scene_transform(size), tiled=True, blockxsize=256, blockysize=256,
        compress="deflate", predictor=2, nodata=0,
    ) as dataset:  # fmt: skip
        dataset.write(numbers)
        dataset.descriptions = BANDS
        dataset.scales, dataset.offsets = (SCALE,) * len(BANDS), (OFFSET,) * len(BANDS)
    return replace(scene, path=Path(path))


def _share(water: list[shapely.Geometry], size: int) -> NDArray[np.float32]:
    """Return ``(y, x)`` shares of water in each pixel."""
    fine = size * FINER
    mask = rasterize(water, (fine, fine), transform=scene_transform(fine), dtype="uint8")
    shares: NDArray[np.float32] = cv2.resize(
        mask.astype(np.float32), (size, size), interpolation=cv2.INTER_AREA
    )
    return shares


def _reflectances(
    rgb: NDArray[np.uint8], water: NDArray[np.float32], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return ``(band, y, x)`` reflectances of blue, green, red, near and short-wave infrared."""
    red, green, blue = rgb.astype(np.float64) / 255 * 0.3
    plants = np.clip((green - red) * 4 + 0.3, 0, 1)
    near = np.clip(0.18 + 0.25 * plants + 0.4 * red, 0, 0.6) * (1 - water) + 0.02 * water
    short = np.clip(0.28 - 0.14 * plants + 0.5 * red, 0, 0.6) * (1 - water) + 0.008 * water
    bands = np.stack([blue, green, red, near, short])
    return bands + rng.normal(0, 0.003, bands.shape)
