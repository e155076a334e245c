"""The companion's long jobs that judge a model, and that draw and measure shorelines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from geoiseg.companion.fields import Fields
from geoiseg.companion.jobs import map_raster
from geoiseg.companion.scoring import evaluate
from geoiseg.companion.shorelines import shoreline
from geoiseg.errors import CancelledError, ExportError, GeoisegError
from geoiseg.segment import Watch
from tests.conftest import Disk
from tests.outline.test_waterline import EAST, NORTH
from tests.outline.test_waterline import disk as island


def told_to(told: list[tuple[Any, str]]) -> Any:
    return lambda share, text: told.append((share, text))


def silent(*_: Any) -> None:
    """Tell nobody."""


@pytest.fixture
def labels(disk: Disk, tmp_path: Path) -> Path:
    """Return a GeoPackage of the disk as it is, and of a row that is off the raster."""
    true = shapely.Point(disk.centre).buffer(np.sqrt(disk.truth.sum() * 4 / np.pi))
    far = shapely.affinity.translate(true, 1e5, 0)
    frame = gpd.GeoDataFrame({"family": ["pond", "pond"]}, geometry=[true, far], crs="EPSG:32631")
    frame.to_crs(4326).to_file(tmp_path / "labels.gpkg")
    return tmp_path / "labels.gpkg"


def test_a_model_is_judged_by_clicks_on_labels(disk: Disk, labels: Path, tmp_path: Path) -> None:
    told: list[tuple[Any, str]] = []
    asked = {"raster": str(disk.path), "labels": str(labels), "out": str(tmp_path / "o.gpkg"),
             "report": str(tmp_path / "r.html"), "clicks": 3}  # fmt: skip
    said = evaluate(Fields(asked), Watch(), told_to(told))
    assert (said["objects"], said["noc85"]) == (1, 1)
    assert said["iou1"] > 0.95
    assert "NoC@85" in said["said"][0]
    assert "no ground on the raster" in said["problems"][0]
    assert [share for share, _ in told] == [0.0, 1.0]
    [row] = gpd.read_file(tmp_path / "o.gpkg", layer=0).to_dict("records")
    assert (row["label"], row["noc85"], bool(row["drawn"])) == ("pond", 1, True)
    assert row["iou1"] == pytest.approx(said["iou1"])
    assert row["geometry"].area == pytest.approx(disk.truth.sum() * 4, rel=0.05)
    assert "<html" in (tmp_path / "r.html").read_text()


def test_judging_can_be_stopped(disk: Disk, labels: Path, tmp_path: Path) -> None:
    asked = {"raster": str(disk.path), "labels": str(labels), "out": str(tmp_path / "o.gpkg")}
    with pytest.raises(CancelledError):
        evaluate(Fields(asked), Watch(cancelled=lambda: True), silent)
    assert not (tmp_path / "o.gpkg").exists()


def test_what_is_read_is_not_written_over(disk: Disk, labels: Path, tmp_path: Path) -> None:
    drawn = tmp_path / "drawn.geojson"
    gpd.read_file(labels).to_file(drawn)
    before = drawn.read_bytes()
    asked = {"raster": str(disk.path), "labels": str(drawn), "out": str(drawn)}
    with pytest.raises(ExportError, match="is read here"):
        evaluate(Fields(asked), Watch(), silent)
    asked = {"input": str(drawn), "spacing": 50, "out": str(tmp_path / "o.gpkg")}
    for more in ({"table": str(drawn)}, {"out": str(drawn), "input": str(labels)}):
        with pytest.raises(ExportError, match="is read here"):
            shoreline(Fields({**asked, "baseline": str(drawn), **more}), Watch(), silent)
    assert drawn.read_bytes() == before


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"clicks": 0}, "1 at least"),
        ({"user": "nobody"}, "the user is"),
        ({"labels": "no.gpkg"}, "does not exist"),
        ({"out": "o.tif"}, "written as vectors"),
        ({"colour": "blue"}, "'colour'"),
    ],
)
def test_what_is_wrong_about_judging_is_one_line(
    disk: Disk, labels: Path, tmp_path: Path, more: dict[str, Any], words: str
) -> None:
    asked = {"raster": str(disk.path), "labels": str(labels), "out": str(tmp_path / "o.gpkg")}
    with pytest.raises(GeoisegError, match=words) as caught:
        evaluate(Fields({**asked, **more}), Watch(), silent)
    assert "\n" not in str(caught.value)


def test_lines_of_rasters_are_collected_and_measured(tmp_path: Path) -> None:
    out = tmp_path / "shore.gpkg"
    for when, radius in (("2023-06-01", 80.0), ("2024-06-01", 83.5)):
        asked = {"raster": str(island(tmp_path / f"{when}.tif", 300, radius)), "out": str(out),
                 "index": "ndwi", "bands": ["green=1,nir=2"], "on": when, "append": True}  # fmt: skip
        said = shoreline(Fields(asked), Watch(), silent)
        assert said["threshold"] == pytest.approx(0, abs=0.1)
    assert said["lines"] == 2
    middle = (EAST + 1500, NORTH - 1500)
    ways = [shapely.LineString([middle, (middle[0] + 1400, middle[1])])]
    frame = gpd.GeoDataFrame({"name": ["east"]}, geometry=ways, crs="EPSG:32631")
    frame.to_file(tmp_path / "ways.gpkg")
    tides = tmp_path / "tides.csv"
    tides.write_text("date,tide\n2023-06-01,1\n2024-06-01,2\n")
    asked = {"input": str(out), "transects": str(tmp_path / "ways.gpkg"), "out": str(tmp_path / "c.gpkg"),
             "table": str(tmp_path / "d.csv"), "tides": str(tides), "slope": 0.1}  # fmt: skip
    said = shoreline(Fields(asked), Watch(), silent)
    assert (said["transects"], said["measured"]) == (1, 1)
    table = pd.read_csv(tmp_path / "d.csv", index_col="dates")
    assert table["east"].tolist() == pytest.approx(
        [810, 855], abs=1.5
    )  # the tide hides 10 m and 20


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({}, "one of both"),
        ({"input": "a.gpkg", "raster": "a.tif"}, "one of both"),
        ({"input": "a.gpkg", "slope": 0.1}, "takes both"),
        ({"input": "a.gpkg", "spacing": 5, "transects": "t.gpkg"}, "not both"),
        ({"input": "a.gpkg", "table": "t.csv"}, "need transects"),
        ({"raster": "a.tif", "method": "guess"}, "a threshold is found by"),
        ({"raster": "a.tif", "centre": True}, "'centre'"),
    ],
)
def test_what_is_wrong_about_shorelines_is_one_line(
    tmp_path: Path, more: dict[str, Any], words: str
) -> None:
    with pytest.raises(GeoisegError, match=words) as caught:
        shoreline(Fields({"out": str(tmp_path / "o.gpkg"), **more}), Watch(), silent)
    assert "\n" not in str(caught.value)


def test_a_map_is_a_coverage_and_is_judged_by_labels(
    disk: Disk, labels: Path, tmp_path: Path
) -> None:
    asked = {"raster": str(disk.path), "out": str(tmp_path / "m.gpkg"), "coverage": True,
             "simplify": 1.0, "labels": str(labels)}  # fmt: skip
    said = map_raster(Fields(asked), Watch(), silent)
    assert said["objects"] > 0
    assert any("precision" in line for line in said["said"])
    found = gpd.read_file(tmp_path / "m.gpkg", layer=0)
    assert shapely.coverage_is_valid(shapely.get_parts(found.geometry.to_numpy()))
