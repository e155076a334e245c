"""Algorithms and options that came later: evaluate, lines in rasters, coverages; all by JSON."""

from __future__ import annotations

import json
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely

from tests.conftest import Disk
from tests.outline.test_waterline import disk as island
from tests.qgis.qgis_app import Qgis

pytestmark = [pytest.mark.qgis, pytest.mark.slow]


@pytest.fixture(scope="module")
def qgis(tmp_path_factory: pytest.TempPathFactory) -> Qgis:
    return Qgis.made(tmp_path_factory.mktemp("qgis"))


def test_a_model_is_evaluated_on_a_layer(qgis: Qgis, disk: Disk, tmp_path: Path) -> None:
    true = shapely.Point(disk.centre).buffer(np.sqrt(disk.truth.sum() * 4 / np.pi))
    frame = gpd.GeoDataFrame({"family": ["pond"]}, geometry=[true], crs="EPSG:32631")
    frame.to_file(tmp_path / "labels.shp")
    done = qgis.process(
        "--json", "run", "geoiseg:evaluate", f"--RASTER={disk.path}", "--AUGMENT=flip",
        f"--LABELS={tmp_path / 'labels.shp'}", "--CLICKS=2", f"--REPORT={tmp_path / 'r.html'}",
        f"--OUTPUT={tmp_path / 'o.geojson'}",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout[done.stdout.index("{") :])
    assert told["algorithm_details"]["id"] == "geoiseg:evaluate"
    assert told["inputs"]["CLICKS"] == "2"
    results = told["results"]
    assert (results["OBJECTS"], results["NOC85"]) == (1, 1)
    assert results["IOU1"] > 0.95
    assert "NoC@85" in json.dumps(told["log"])
    assert "tiny+flip" in (tmp_path / "r.html").read_text()
    [row] = gpd.read_file(tmp_path / "o.geojson").to_dict("records")
    assert row["iou1"] == pytest.approx(results["IOU1"])


def test_a_shoreline_is_drawn_in_a_raster(qgis: Qgis, tmp_path: Path) -> None:
    raster = island(tmp_path / "a.tif", 300, 80.0)
    results = qgis.run(
        "geoiseg:shoreline", RASTER=str(raster), INDEX="ndwi", BAND_NAMES="green=1,nir=2",
        ON="2024-06-01", METHOD="half", OUTPUT=str(tmp_path / "o.fgb"),
    )  # fmt: skip
    assert results["LENGTH_M"] == pytest.approx(2 * np.pi * 800, rel=0.01)
    [row] = gpd.read_file(tmp_path / "o.fgb").to_dict("records")
    assert (row["index"], str(row["date"])[:10]) == ("ndwi", "2024-06-01")
    assert results["THRESHOLD_FOUND"] == pytest.approx(row["threshold"])
    done = qgis.process("run", "geoiseg:shoreline", f"--OUTPUT={tmp_path / 'never.gpkg'}")
    assert done.returncode != 0
    assert "one of both" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
