"""Rasters to measure on."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.enums import Resampling

os.environ["GDAL_CACHEMAX"] = "1"  # megabytes: decode blocks anew, for both sides


@pytest.fixture(scope="session")
def large_raster(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiled, compressed raster of 8192 x 8192 pixels with overviews."""
    path = tmp_path_factory.mktemp("large") / "large.tif"
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 255, (3, 256, 256), dtype=np.uint8)
    pixels = coarse.repeat(32, axis=1).repeat(32, axis=2)
    pixels += rng.integers(0, 8, pixels.shape, dtype=np.uint8)
    profile = {
        "driver": "GTiff",
        "width": 8192,
        "height": 8192,
        "count": 3,
        "dtype": "uint8",
        "crs": "EPSG:32631",
        "transform": Affine(1, 0, 500_000, 0, -1, 4_500_000),
        "tiled": True,
        "blockxsize": 512,
        "blockysize": 512,
        "compress": "deflate",
        "interleave": "pixel",
    }
    with rasterio.open(path, "w", **profile) as target:
        target.write(pixels)
        target.build_overviews([2, 4, 8, 16], Resampling.average)
    return path
