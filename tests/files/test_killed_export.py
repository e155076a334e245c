"""Killed in the middle of an export: what was there stays, and it is simply done again."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely

import geoiseg
from tests.conftest import write_raster

EXPORT = """
import os, signal, sys
from pathlib import Path
import geoiseg
from geoiseg import atomic

def kill(*_):
    os.kill(os.getpid(), signal.SIGKILL)

session = geoiseg.Session.load(sys.argv[1])
if sys.argv[2] == "written":  # all is made, nothing is in place
    atomic._move = kill
else:  # the last file is about to be put in place
    Path.replace = kill
session.export(sys.argv[3])
"""
TRAINING = """
import os, signal, sys
import cv2, geoiseg

real, seen = cv2.imencode, []

def kill(*given, **how):
    seen.append(given)
    if len(seen) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*given, **how)

cv2.imencode = kill
geoiseg.Session.load(sys.argv[1]).export_training(sys.argv[2], kind="masks", size=32)
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("killed")
    data = np.random.default_rng(0).integers(1, 255, (3, 96, 96), dtype=np.uint8)
    raster = write_raster(folder / "scene.tif", data)
    session = geoiseg.Session(raster, "grabcut", project=folder / "p.gpkg")
    boxes = [shapely.box(500_000 + x, 4_499_820, 500_030 + x, 4_499_990) for x in (10, 70, 130)]
    session.add_features(gpd.GeoDataFrame({"label": ["a"] * 3}, geometry=boxes, crs=32631))
    return folder / "p.gpkg"


def killed(code: str, *arguments: object) -> None:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL


@pytest.mark.parametrize("when", ["written", "moved"])
@pytest.mark.parametrize("suffix", ["gpkg", "geojson"])
def test_an_older_file_stays_and_the_export_is_done_again(
    project: Path, tmp_path: Path, when: str, suffix: str
) -> None:
    out = tmp_path / f"out.{suffix}"
    old = gpd.GeoDataFrame({"n": [7]}, geometry=[shapely.box(0, 0, 1, 1)], crs=32631)
    old.to_file(out, layer="out")
    before, was = out.read_bytes(), project.read_bytes()
    killed(EXPORT, project, when, out)
    assert out.read_bytes() == before
    assert project.read_bytes() == was
    geoiseg.Session.load(project).export(out)
    assert len(gpd.read_file(out, layer="features" if suffix == "gpkg" else None)) == 3


def test_a_data_set_that_was_begun_is_made_whole(project: Path, tmp_path: Path) -> None:
    out, whole = tmp_path / "set", tmp_path / "whole"
    killed(TRAINING, project, out)
    session = geoiseg.Session.load(project)
    assert session.export_training(out, kind="masks", size=32).chips
    session.export_training(whole, kind="masks", size=32)
    names = sorted(path.relative_to(whole) for path in whole.rglob("*") if path.is_file())
    assert sorted(path.relative_to(out) for path in out.rglob("*") if path.is_file()) == names
    for name in names:
        if name.suffix == ".png":
            assert (out / name).read_bytes() == (whole / name).read_bytes()
