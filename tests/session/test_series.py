"""A folder of rasters with one project: classes and schema go along, nothing is lost."""

from __future__ import annotations

import json
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely

from geoiseg.errors import ProjectError, SessionError
from geoiseg.session import Series, Session
from tests.conftest import write_raster

CLASSES = (("roof", "#ff0000"), ("pond", "#0000ff"))


def disc(x: float, radius: float = 24.0) -> shapely.Polygon:
    return shapely.Point(500_000 + 2 * x, 4_499_900).buffer(2 * radius)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three dates of a disc that goes east by 4 pixels a year."""
    place = tmp_path / "dates"
    place.mkdir()
    y, x = np.mgrid[:100, :120] + 0.5
    for number, year in enumerate((2001, 2002, 2003)):
        image = np.where(np.hypot(x - 50 - 4 * number, y - 50) < 24, 200, 60)
        noise = np.random.default_rng(number).normal(0, 3, (3, 100, 120))
        write_raster(place / f"pond_{year}.tif", (image + noise).clip(1, 255).astype(np.uint8))
    (place / "notes.txt").write_text("no raster")
    return place


def add(session: Session, label: str, x: float = 50) -> None:
    session.add_features(gpd.GeoDataFrame({"label": [label]}, geometry=[disc(x)], crs=32631))


def test_classes_and_schema_go_along_and_everything_comes_back(folder: Path) -> None:
    series = Series(folder, model="grabcut")
    assert [one.name for one in series.rasters] == [f"pond_200{n}.tif" for n in (1, 2, 3)]
    assert (series.has_previous, series.has_next) == (False, True)
    series.session.classes = CLASSES
    series.session.schema = {"pond": [{"name": "depth", "kind": "real", "required": True}]}
    add(series.session, "roof")
    session = series.next()
    assert session.raster.name.endswith("pond_2002.tif")
    assert session.classes == CLASSES
    assert session.schema.faults("pond", {})
    add(session, "pond", 70)
    session.add_box(500_004, 4_499_852, 500_148, 4_499_948)
    series.go("pond_2003.tif")
    assert series.counts() == (1, 1, 0)
    with pytest.raises(SessionError, match="no raster 3"):
        series.next()
    again = Series(folder)
    assert again.at == 2
    assert again.session.model.info.name == "grabcut"
    assert again.previous().geometry is not None  # what was in progress
    assert list(again.features["raster"]) == ["pond_2001.tif", "pond_2002.tif"]
    assert list(again.features["label"]) == ["roof", "pond"]
    assert Session.load(folder.with_name("dates.series") / "pond_2001.tif.gpkg").classes == CLASSES


def test_the_features_of_all_become_one_layer_without_the_rejected(folder: Path) -> None:
    series = Series(folder, folder.parent / "work", "grabcut")
    for number in range(3):
        add(series.go(number), "pond", 50 + 4 * number)
    series.session.review(1, "rejected")
    out = series.export(folder.parent / "all.gpkg")
    assert list(gpd.read_file(out)["raster"]) == ["pond_2001.tif", "pond_2002.tif"]
    assert len(gpd.read_file(series.export(out, rejected=True))) == 3


def test_objects_are_carried_from_raster_to_raster(folder: Path) -> None:
    series = Series(folder, model="grabcut")
    add(series.session, "pond")
    for number in (1, 2):
        series.carry()
        assert series.at == number
        [pond] = series.session.accepted
        moved = disc(50 + 4 * number)
        assert pond.geometry.intersection(moved).area > 0.9 * moved.area
    assert series.counts() == (1, 1, 1)
    series.go(0)
    with pytest.raises(SessionError, match="are on pond_2002"):
        series.carry()
    assert series.at == 0


def test_what_is_no_series_is_told(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(SessionError, match="no folder of rasters"):
        Series(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SessionError, match="holds no raster"):
        Series(tmp_path / "empty")
    one = folder / "pond_2001.tif"
    with pytest.raises(SessionError, match="project='FOLDER'"):
        Series([one])
    with pytest.raises(SessionError, match="have one name"):
        Series([one, one], tmp_path / "p")
    series = Series([one], tmp_path / "p", "grabcut")
    series.save()
    kept = tmp_path / "p" / "series.json"
    shared = json.loads(kept.read_text())
    for damage in ({"classes": 5}, {"classes": [["a", None]]}, {"classes": [["a"]]},
                   {"schema": {"a": 1}}, {"model": ["grabcut"]}, {"format": "x"}):  # fmt: skip
        kept.write_text(json.dumps(shared | damage))
        with pytest.raises(ProjectError, match=r"series\.json is damaged"):
            Series([one], tmp_path / "p")
    kept.write_text("[]")
    with pytest.raises(ProjectError, match="damaged"):
        Series([one], tmp_path / "p")
