"""A chip through geoiseg beside the same window through plain rasterio.

Run: ``python -m pytest benchmarks/bench_read.py --benchmark-only``. Compare the medians of a group.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import rasterio
from rasterio.enums import Resampling
from rasterio.windows import Window as RioWindow

import geoiseg
from geoiseg.raster.grid import Window

CHIP = 1024


def places(level: int) -> Any:
    """Cycle over aligned windows, so that GDAL's block cache does not answer."""
    side = 8192 >> level
    starts = range(0, side - min(CHIP, side) + 1, 512)
    return itertools.cycle((row, col) for row in starts for col in starts)


@pytest.mark.parametrize("level", [0, 2])
def test_chip_with_rasterio(benchmark: Any, large_raster: Path, level: int) -> None:
    benchmark.group = f"read a chip of {CHIP} px at level {level}"
    where = places(level)
    with rasterio.open(large_raster) as dataset:

        def read() -> Any:
            row, col = next(where)
            window = RioWindow(col << level, row << level, CHIP << level, CHIP << level)
            shape = (3, CHIP, CHIP)
            return dataset.read(window=window, out_shape=shape, resampling=Resampling.average)

        assert benchmark(read).shape == (3, CHIP, CHIP)


@pytest.mark.parametrize("level", [0, 2])
def test_chip_with_geoiseg(benchmark: Any, large_raster: Path, level: int) -> None:
    benchmark.group = f"read a chip of {CHIP} px at level {level}"
    where = places(level)
    raster = geoiseg.open_raster(large_raster)
    assert raster.stretch

    def read() -> Any:
        row, col = next(where)
        return raster.chip(Window(row, col, CHIP, CHIP), level)

    assert benchmark(read).rgb.shape == (CHIP, CHIP, 3)
