"""What the pages of one job each say is run, and what comes of it is held against the truth."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import geopandas as gpd
import pytest
import rasterio
import shapely

from geoiseg.demo.scene import Scene

DOCS = Path(__file__).parents[2] / "docs"


def _loaded() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_jobs", DOCS / "pictures" / "jobs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


jobs = _loaded()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("jobs")


@pytest.fixture(scope="module")
def scene(folder: Path) -> Scene:
    return jobs.prepare(folder, 2048)


def iou(one: Any, other: Any) -> float:
    return float(one.intersection(other).area / one.union(other).area)


def best(shapes: Any, truth: Any) -> float:
    """Return the IoU of the shape that fits a truth best."""
    return max(iou(shape, truth) for shape in shapes)


def test_coast(folder: Path, scene: Scene) -> None:
    jobs.run("coast", folder)
    sea = gpd.read_file(folder / "sea.gpkg")
    truth = scene.truth_of("sea")
    assert iou(sea.geometry[0], truth) > 0.95
    shore = gpd.read_file(folder / "shore.gpkg")
    frame = shapely.box(*truth.bounds).boundary
    true_shore = truth.boundary.difference(frame.buffer(20))
    assert 0.7 < shore.length.sum() / true_shore.length < 1.3


def test_fields(folder: Path, scene: Scene) -> None:
    left = jobs.run("fields", folder)
    found = gpd.read_file(folder / "fields-export.gpkg")
    assert len(found) == len(left["boxes"]) == 6
    truths = [row.geometry for row in scene.truth if row.name.startswith("field-")]
    assert sum(best(truths, shape) > 0.8 for shape in found.geometry) >= 5
    with rasterio.open(folder / "fields-mask.tif") as mask:
        assert mask.crs.to_epsg() == 32631
        assert set(range(1, 7)) <= set(mask.read(1).ravel().tolist())
    clean = gpd.read_file(folder / "coverage.gpkg")
    assert clean.area.sum() == pytest.approx(clean.union_all().area, rel=1e-6)


def test_buildings(folder: Path, scene: Scene) -> None:
    left = jobs.run("buildings", folder)
    found = gpd.read_file(folder / "buildings.geojson").to_crs(scene.crs)
    assert len(found) == len(left["roofs"])
    for shape, box in zip(found.geometry, left["roofs"], strict=True):
        assert 0.3 < shape.area / shapely.box(*box).area < 1.6
        assert shape.within(shapely.box(*box).buffer(6))


def test_lakes(folder: Path, scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    jobs.run("lakes", folder)
    assert " ha, score " in capsys.readouterr().out
    lake = gpd.read_file(folder / "lakes.geojson")
    assert lake.crs.to_epsg() == 4326
    assert iou(lake.to_crs(scene.crs).geometry[0], scene.truth_of("lake")) > 0.9
    assert "flags" in gpd.read_file(folder / "checked.gpkg").columns


def test_script(folder: Path, scene: Scene) -> None:
    left = jobs.run("script", folder)
    assert list(left["refused"]) == ["elsewhere"]
    assert "\n" not in left["refused"]["elsewhere"]
    accepted = left["session"].accepted
    assert len(left["again"].accepted) == len(accepted) >= 2
    replayed = gpd.read_file(folder / "replayed.gpkg")
    for feature in accepted:
        assert best(replayed.geometry, feature.geometry) > 0.95  # sharpened where borders run


def test_words(folder: Path, scene: Scene) -> None:
    left = jobs.run("words", folder)
    woods = gpd.read_file(folder / "woods.gpkg")
    assert len(woods) == len(left["session"].accepted) >= 8
    assert set(woods.label) == {"wood"}
    known = shapely.union_all([row.geometry for row in scene.truth])  # sea, lake and fields
    assert woods.union_all().intersection(known).area < 0.1 * woods.area.sum()
    assert woods.area.sum() > 600_000


def test_next_year(folder: Path, scene: Scene) -> None:
    left = jobs.run("next-year", folder)
    rows = left["carried"].features
    lake = rows[(rows.label == "lake")].iloc[-1]
    shrunk = scene.truth_of("lake").buffer(-jobs.SHRUNK)
    assert iou(lake.geometry, shrunk) > 0.85
    assert lake.area_change < -0.1
    assert lake.object in left["carried"].queue
    dates = gpd.read_file(folder / "dates.gpkg")
    assert sorted(set(dates.date.astype(str).str[:10])) == ["2024-07-01", "2025-07-01"]


def test_others(folder: Path, scene: Scene) -> None:
    left = jobs.run("others", folder)
    drawn, mended = gpd.read_file(folder / "drawn.gpkg"), left["mended"]
    assert mended.owner.tolist() == drawn.owner.tolist()
    truths = [scene.truth_of(name) for name in drawn.owner]
    before = [iou(*pair) for pair in zip(drawn.geometry, truths, strict=True)]
    after = [iou(*pair) for pair in zip(mended.geometry, truths, strict=True)]
    assert sum(after) > sum(before)
    assert len(left["session"].accepted) == len(drawn)


def test_every_page_has_its_picture_and_a_place() -> None:
    menu = (DOCS.parent / "mkdocs.yml").read_text()
    assert sorted(path.stem for path in (DOCS / "jobs").glob("*.md")) == sorted(jobs.NAMES)
    gallery = (DOCS / "gallery.md").read_text()
    for name in jobs.NAMES:
        text = (DOCS / "jobs" / f"{name}.md").read_text()
        assert f"../pictures/jobs/{name}.jpg" in text
        assert (DOCS / "pictures" / "jobs" / f"{name}.jpg").stat().st_size < 200_000
        assert f"jobs/{name}.md" in menu
        assert f"jobs/{name}.md" in gallery
