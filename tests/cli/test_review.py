"""``geoiseg review``: the queue of a project on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely

import geoiseg
from geoiseg.session.reviewing import state_of
from tests.cli.test_cli import run
from tests.conftest import write_raster

BOXES = [shapely.box(500_000 + x, 4_499_900, 500_040 + x, 4_499_940) for x in (20, 80, 140)]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    data = np.random.default_rng(0).integers(1, 255, (3, 100, 120), dtype=np.uint8)
    raster = write_raster(tmp_path / "scene.tif", data)
    session = geoiseg.Session(raster, "grabcut", project=tmp_path / "p.gpkg")
    columns = {"label": ["roof", "pond", "roof"], "score": [0.9, 0.3, 0.6],
               "flags": ["", "", "moved"]}  # fmt: skip
    session.add_features(gpd.GeoDataFrame(columns, geometry=BOXES, crs=32631))
    return tmp_path / "p.gpkg"


def test_the_doubtful_are_listed_first_and_can_be_chosen(capsys, project: Path) -> None:
    code, text, _ = run(capsys, "review", project, "--json")
    assert code == 0
    found = json.loads(text)
    assert [one["id"] for one in found["features"]] == [3, 2, 1]
    assert found["features"][0]["flags"] == ["moved"]
    assert found["counts"] == {"to check": 3, "checked": 0, "rejected": 0}
    code, text, _ = run(capsys, "review", project, "--label", "roof", "--max-score", 0.7)
    assert [line.split()[0] for line in text.splitlines()[:-1]] == ["3"]
    assert text.splitlines()[-1] == "3 to check, 0 checked, 0 rejected"


def test_what_was_found_is_kept_and_rejected_ones_are_left_out(capsys, project: Path) -> None:
    code, text, _ = run(capsys, "review", project, 2, "--set", "rejected", "--by", "Ann")
    assert code == 0
    assert "rejected by Ann" in text
    code, _, _ = run(capsys, "review", project, "--set", "checked", "--all", "--flag", "moved")
    assert code == 0
    session = geoiseg.Session.load(project)
    assert [state_of(one) for one in session.accepted] == ["to check", "rejected", "checked"]
    out = project.with_name("out.geojson")
    assert list(gpd.read_file(session.export(out))["id"]) == [1, 3]
    assert list(gpd.read_file(session.export(out, rejected=True))["id"]) == [1, 2, 3]
    written = session.export_training(project.with_name("set"), splits=(1.0, 0.0, 0.0), size=128)
    assert written.classes == ("roof",)


def test_odd_requests_are_told(capsys, project: Path) -> None:
    for given, code, said in (
        ([1], 2, "--set"),
        (["--set", "checked"], 2, "--all"),
        ([1, "--all", "--set", "checked"], 2, "--all"),
        ([9, "--set", "checked"], 1, "no feature 9"),
    ):
        found, _, err = run(capsys, "review", project, *given)
        assert (found, said in err) == (code, True), err
