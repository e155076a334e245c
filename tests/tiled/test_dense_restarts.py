"""Maps by dense heads after an accident and on several workers: the same features."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest

import geoiseg
from geoiseg.tiled import MapOptions, ledger_path
from tests.mosaic import Mosaic, write_mosaic
from tests.tiled.test_dense import FEW, DenseFlood

RUN = """
import sys
from pathlib import Path
import geoiseg
from geoiseg.tiled import MapOptions
from tests.tiled.test_dense import FEW, DenseFlood
raster, out, log = sys.argv[1:]
geoiseg.segment_raster(raster, out, model=DenseFlood(pause=0.1, log=Path(log)),
                       options=MapOptions(tile=128, **FEW))
"""


@pytest.fixture
def fields(tmp_path) -> Mosaic:
    """Sixteen windows with fields side by side, and one field across a row of them."""
    row, col = np.mgrid[:400, :400]
    truth = (1 + row // 50 * 8 + col // 50).astype(np.int32)
    truth[(row % 50 > 44) | (col % 50 > 44)] = 0
    truth[100:140] = 99
    return write_mosaic(tmp_path / "fields.tif", truth)


def same(one: Path, other: Path) -> bool:
    first, second = gpd.read_file(one), gpd.read_file(other)
    alike = first.drop(columns="geometry").equals(second.drop(columns="geometry"))
    return alike and bool(first.geometry.geom_equals_exact(second.geometry, 0).all())


@pytest.fixture
def mapped(fields, tmp_path) -> Path:
    out = tmp_path / "whole.gpkg"
    told = geoiseg.segment_raster(
        fields.path, out, model=DenseFlood(), options=MapOptions(tile=128, **FEW)
    )
    assert told.windows == 16
    assert gpd.read_file(out)["pieces"].max() >= 4
    return out


def test_after_kill_9_a_map_is_gone_on_with(fields, mapped, tmp_path):
    out, log = tmp_path / "out.gpkg", tmp_path / "log"
    command = [sys.executable, "-c", RUN, str(fields.path), str(out), str(log)]
    process = subprocess.Popen(command, cwd=Path(__file__).parents[2])
    while process.poll() is None and not (log.exists() and log.stat().st_size > 12):
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert ledger_path(out).exists()
    assert not out.exists()
    again = tmp_path / "again"
    report = geoiseg.segment_raster(
        fields.path, out, model=DenseFlood(log=again), options=MapOptions(tile=128, **FEW),
        resume=True,
    )  # fmt: skip
    assert report.complete
    assert 0 < again.stat().st_size < 3 * 16  # three reductions of each window that was left
    assert same(out, mapped)


def test_dask_workers_find_the_same(fields, mapped, tmp_path):
    pytest.importorskip("distributed")
    out = tmp_path / "out.gpkg"
    report = geoiseg.segment_raster(
        fields.path, out, model=DenseFlood(), options=MapOptions(tile=128, **FEW),
        scheduler="dask", workers=2,
    )  # fmt: skip
    assert report.complete
    assert same(out, mapped)
