"""``geoiseg carry``, as a user runs it, and what ``geoiseg shoreline`` makes of it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
from affine import Affine
from rasterio.features import rasterize

import geoiseg
from tests.cli.test_cli import run
from tests.conftest import write_raster

EAST, NORTH, SIZE = 500_000.0, 4_500_000.0, 160
GRID = Affine(10, 0, EAST, 0, -10, NORTH)
YEARS = (2000, 2005, 2010)
RETREAT = 6.0
"""Metres a year by which the sea moves landwards, to the east."""


def sea(year: int) -> shapely.Polygon:
    """Return the sea in the west, as wide as it is in a year, with a wavy coast."""
    y = np.linspace(0, SIZE * 10, 200)
    x = 600 + RETREAT * (year - YEARS[0]) + 60 * np.sin(y / 250)
    coast = [(EAST + a, NORTH - b) for a, b in zip(x, y, strict=True)]
    return shapely.Polygon([(EAST, NORTH), *coast, (EAST, NORTH - SIZE * 10)])


@pytest.fixture
def coasts(tmp_path: Path) -> list[Path]:
    paths = []
    y, x = np.mgrid[:SIZE, :SIZE]
    for seed, year in enumerate(YEARS):
        wet = rasterize([sea(year)], out_shape=(SIZE, SIZE), transform=GRID).astype(bool)
        land = np.stack([110 + 10 * np.sin(x / 9 + k) + 8 * np.cos(y / 7) for k in range(3)])
        data = np.where(wet, np.array([30, 45, 60.0])[:, None, None], land)
        data = data * (1 - 0.1 * seed) + 8 * seed
        data += np.random.default_rng(seed).normal(0, 3, data.shape)
        path = tmp_path / f"coast_{year}.tif"
        paths.append(write_raster(path, np.clip(data, 1, 255).astype(np.uint8), transform=GRID))
    return paths


@pytest.fixture
def project(coasts: list[Path], tmp_path: Path) -> Path:
    session = geoiseg.Session(coasts[0], "grabcut", project=tmp_path / "p.gpkg")
    session.add_features(gpd.GeoDataFrame({"label": ["sea"]}, geometry=[sea(2000)], crs=32631))
    return tmp_path / "p.gpkg"


def test_a_coast_that_moves_is_followed_to_its_rate(
    capsys, coasts: list[Path], project: Path, tmp_path: Path
) -> None:
    out, lines = tmp_path / "dates.gpkg", tmp_path / "rates.gpkg"
    code, text, err = run(capsys, "carry", project, *coasts[1:], out, "--json")
    assert (code, err) == (0, "")
    facts = json.loads(text)
    assert [one["date"] for one in facts["dates"]] == ["2005", "2010"]
    assert [one["objects"][0]["change"] for one in facts["dates"]] == ["kept", "kept"]
    layer = gpd.read_file(out)
    assert layer["date"].tolist() == ["2000", "2005", "2010"]
    assert layer["change"].tolist() == ["first", "kept", "kept"]
    assert layer["object"].tolist() == [1, 1, 1]
    assert layer["label"].tolist() == ["sea"] * 3
    for shape, year in zip(layer.geometry, YEARS, strict=True):
        assert shape.intersection(sea(year)).area / shape.union(sea(year)).area > 0.98
    extent = tmp_path / "extent.gpkg"
    ground = shapely.box(EAST, NORTH - SIZE * 10, EAST + SIZE * 10, NORTH)
    gpd.GeoDataFrame(geometry=[ground], crs=32631).to_file(extent)
    code, text, _ = run(capsys, "shoreline", out, lines, "--spacing", 100, "--length", 400,
                        "--extent", extent, "--margin", 15, "--deviation", 10, "--json")  # fmt: skip
    assert code == 0
    assert abs(json.loads(text)["median_lrr"]) == pytest.approx(RETREAT, abs=0.8)


def test_projects_are_kept_to_look_at(
    capsys, coasts: list[Path], project: Path, tmp_path: Path
) -> None:
    out = tmp_path / "dates.gpkg"
    arguments = ["carry", project, *coasts[1:], out, "--projects", tmp_path / "kept"]
    code, text, _ = run(
        capsys, *arguments, "--dates", "1.1.,2005-06-01,2010-06-01", "--moved", 0.99
    )
    assert code == 0
    assert "2005-06-01: 1 drifted; look at 1" in text
    assert text.splitlines()[-1] == f"1 objects on 3 dates written to {out}"
    session = geoiseg.Session.load(tmp_path / "kept" / "coast_2010.gpkg")
    [one] = session.accepted
    assert one.attributes["flags"] == "moved"
    assert one.attributes["date"] == "2010-06-01"
    code, _, err = run(capsys, *arguments)
    assert code == 1
    assert "is there already; choose another folder" in err


def test_what_is_wrong_is_said_in_a_line(
    capsys, coasts: list[Path], project: Path, tmp_path: Path
) -> None:
    out = tmp_path / "dates.gpkg"
    code, _, err = run(capsys, "carry", project, coasts[1], out, "--dates", "2000")
    assert code == 2
    assert "--dates takes 2" in err
    nameless = coasts[1].rename(tmp_path / "coast.tif")
    code, _, err = run(capsys, "carry", project, nameless, out)
    assert code == 2
    assert "coast.tif says no date; give --dates" in err
    code, _, err = run(capsys, "carry", project, coasts[2], tmp_path / "dates.tif")
    assert code == 1
    assert "written as vectors" in err
    code, _, err = run(capsys, "carry", project, coasts[2], out, "--projects", project)
    assert (code, err.count("\n")) == (1, 1)
    assert "can be no folder for projects" in err
    given = (project, coasts[2], coasts[2], out, "--projects", tmp_path / "kept")
    code, _, err = run(capsys, "carry", *given)
    assert code == 1
    assert "two rasters have one name" in err
    assert not out.exists()


def test_killed_in_the_middle_it_leaves_all_as_it_was(
    coasts: list[Path], project: Path, tmp_path: Path
) -> None:
    """Nothing is written before everything is known, so that it is simply begun again."""
    out, before = tmp_path / "dates.gpkg", project.read_bytes()
    code = (
        "import os, signal, sys; from geoiseg.cli import main; from geoiseg.session import pairing;"
        "real = pairing.Pair.carried; seen = []\n"
        "def carried(*all):\n"
        "    seen.append(all)\n"
        "    if len(seen) == 2: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return real(*all)\n"
        "pairing.Pair.carried = carried; main(sys.argv[1:])"
    )
    arguments = ["carry", *map(str, (project, *coasts[1:], out))]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, check=False
    )
    assert done.returncode == -signal.SIGKILL
    assert not out.exists()
    assert project.read_bytes() == before
    again = subprocess.run([sys.executable, "-m", "geoiseg", *arguments], check=False)
    assert again.returncode == 0
    assert len(gpd.read_file(out)) == 3


def test_what_appears_has_numbers_of_its_own(capsys, tmp_path: Path) -> None:
    """Also where numbers of objects are missing, and on several dates."""
    y, x = np.mgrid[:SIZE, :SIZE]
    paths = []
    for year in YEARS:
        wet = np.hypot(y - 40, x - 40) < 15
        wet |= (np.hypot(y - 63, x - 63) < 9) & (year > YEARS[0])
        noise = np.random.default_rng(year).normal(0, 3, (3, SIZE, SIZE))
        data = np.clip(np.where(wet, 30, 110) + noise, 1, 255).astype(np.uint8)
        paths.append(write_raster(tmp_path / f"l_{year}.tif", data, transform=GRID))
    session = geoiseg.Session(paths[0], "grabcut", project=tmp_path / "p.gpkg")
    lake = shapely.Point(EAST + 405, NORTH - 405).buffer(150)
    frame = gpd.GeoDataFrame({"label": ["x", "lake"]}, geometry=[lake, lake], crs=32631)
    session.add_features(frame)
    session.delete(1)
    out = tmp_path / "dates.gpkg"
    arguments = ("--how", "colours", "--appeared")
    code, _, err = run(capsys, "carry", session.project, *paths[1:], out, *arguments)
    assert (code, err) == (0, "")
    layer = gpd.read_file(out)
    new = layer[layer["change"] == "appeared"]["object"].tolist()
    assert new == list(range(3, 3 + len(new)))
    assert len(new) >= 2
