"""Prompts and outlines come from whatever OGR reads, and Shapefiles keep their characters."""

from __future__ import annotations

import logging
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyogrio
import pytest
import shapely

import geoiseg
from geoiseg.errors import ExportError
from geoiseg.files.export import export_features
from geoiseg.files.vector_file import read_layer
from geoiseg.prompting.prompts import Box, Point, Region, Scribble
from geoiseg.tiled.prompt_file import read_prompts
from tests.conftest import UTM, Disk

WRITTEN = {
    "gpkg": "GPKG", "geojson": "GeoJSON", "shp": "ESRI Shapefile", "fgb": "FlatGeobuf",
    "kml": "KML", "gml": "GML", "sqlite": "SQLite", "gpx": "GPX", "jsonl": "GeoJSONSeq",
}  # fmt: skip
LONLAT = {"kml", "gpx", "jsonl"}


def write(frame: gpd.GeoDataFrame, path: Path) -> Path:
    """Write a layer with GDAL's own driver, or skip where this build has none."""
    driver = WRITTEN[path.suffix[1:]]
    if "w" not in pyogrio.list_drivers().get(driver, ""):
        pytest.skip(f"GDAL is built without {driver}")
    moved = frame.to_crs("EPSG:4326") if path.suffix[1:] in LONLAT else frame
    pyogrio.write_dataframe(moved, path, driver=driver)
    return path


@pytest.mark.parametrize(
    "suffix", ["gpkg", "geojson", "shp", "fgb", "kml", "gml", "sqlite", "jsonl"]
)
def test_points_from_any_source(disk: Disk, tmp_path: Path, suffix: str) -> None:
    places = [disk.centre, disk.outside]
    frame = gpd.GeoDataFrame(
        {"object": ["a", "a"], "positive": [1, 0], "label": ["lake", "lake"], "crew": ["Łódź", "Ü"]},
        geometry=[shapely.Point(*xy) for xy in places], crs=UTM,
    )  # fmt: skip
    path = write(frame, tmp_path / f"clicks.{suffix}")
    found = read_prompts(path, UTM)
    assert len(found) == 1
    prompts = [prompt for step in found[0].steps for prompt in step.prompts]
    assert [type(prompt) for prompt in prompts] == [Point, Point]
    np.testing.assert_allclose([(p.x, p.y) for p in prompts], places, atol=0.05)
    assert [p.positive for p in prompts] == [True, False]
    assert found[0].label == "lake"
    assert found[0].attributes["crew"] == "Łódź"


@pytest.mark.parametrize("suffix", ["gpkg", "geojson", "shp", "fgb", "kml", "gml", "sqlite"])
def test_outlines_from_any_source(disk: Disk, tmp_path: Path, suffix: str) -> None:
    x, y = disk.centre
    shape = shapely.Polygon(
        [(x - 60, y - 60), (x + 60, y - 60), (x + 60, y + 60), (x - 60, y + 60)],
        [[(x - 9, y - 9), (x - 9, y + 9), (x + 9, y + 9), (x + 9, y - 9)]],
    )
    frame = gpd.GeoDataFrame({"label": ["yard"]}, geometry=[shape], crs=UTM)
    path = write(frame, tmp_path / f"outlines.{suffix}")
    session = geoiseg.Session(disk.path, "grabcut")
    assert session.add_features(read_layer(path)) == [1]
    assert session.accepted[0].label == "yard"
    assert session.accepted[0].geometry.symmetric_difference(shape).area < 0.01 * shape.area
    for kind, wanted in (("box", Box), ("region", Region)):
        told = write(frame.assign(kind=kind), tmp_path / f"{kind}.{suffix}")
        assert isinstance(read_prompts(told, UTM)[0].steps[0].prompts[0], wanted)


def test_a_table_of_wkt_is_a_source_too(tmp_path: Path) -> None:
    path = tmp_path / "prompts.csv"
    path.write_text('object,label,positive,WKT\n1,lake,1,"POINT (3 40.6)"\n'
                    '2,road,1,"LINESTRING (3 40.6, 3.001 40.601)"\n')  # fmt: skip
    found = read_prompts(path, "EPSG:4326")
    kinds = [type(one.steps[0].prompts[0]) for one in found]
    assert kinds == [Point, Scribble]
    assert [one.label for one in found] == ["lake", "road"]
    assert found[0].steps[0].prompts[0] == Point(3.0, 40.6)


@pytest.mark.parametrize("encoding", ["UTF-8", "CP1252", "CP1250", "CP932"])
def test_shapefiles_of_old_encodings_are_read(tmp_path: Path, encoding: str) -> None:
    text = {"CP932": "田んぼ", "CP1250": "łąka", "CP1252": "prés"}.get(encoding, "łąka 田")
    frame = gpd.GeoDataFrame({"label": [text]}, geometry=[shapely.box(0, 0, 5, 5)], crs=UTM)
    path = export_features(frame, tmp_path / "a.shp", encoding=encoding)
    assert read_layer(path)["label"][0] == text
    assert read_layer(path).columns[0] == "label"


def test_what_an_encoding_lacks_is_refused(tmp_path: Path) -> None:
    frame = gpd.GeoDataFrame({"label": ["田"]}, geometry=[shapely.box(0, 0, 5, 5)], crs=UTM)
    with pytest.raises(ExportError, match="CP1252 has no '田', as in label; use UTF-8"):
        export_features(frame, tmp_path / "a.shp", encoding="CP1252")
    with pytest.raises(ExportError, match="'klingon' is no encoding"):
        export_features(frame, tmp_path / "a.shp", encoding="klingon")
    assert not list(tmp_path.iterdir())


def test_long_names_come_back_as_aliases(tmp_path: Path, caplog) -> None:
    names = ["population_2010", "population_2020", "größenklasse_neu"]
    frame = gpd.GeoDataFrame(
        {"label": ["a"], **{name: [number] for number, name in enumerate(names)}},
        geometry=[shapely.box(0, 0, 5, 5)], crs=UTM,
    )  # fmt: skip
    with caplog.at_level(logging.WARNING, "geoiseg"):
        export_features(frame, tmp_path / "a.shp")
    short = list(pyogrio.read_info(tmp_path / "a.shp")["fields"])
    assert len(set(short)) == 4
    assert all(len(name.encode()) <= 10 for name in short)
    style = (tmp_path / "a.qml").read_text(encoding="utf-8")
    for name in names:
        assert f'name="{name}"' in style


def test_lines_of_both_kinds_make_one_type(tmp_path: Path) -> None:
    one = shapely.LineString([(0, 0), (9, 9)])
    both = [one, shapely.MultiLineString([one, shapely.LineString([(9, 0), (5, 5)])])]
    frame = gpd.GeoDataFrame({"label": ["shore", "bank"]}, geometry=both, crs=UTM)
    for suffix in ("gpkg", "fgb", "shp"):
        path = export_features(frame, tmp_path / f"a.{suffix}")
        named = {"layer": "features"} if suffix == "gpkg" else {}
        assert "Line" in pyogrio.read_info(path, **named)["geometry_type"]
        assert pyogrio.read_dataframe(path, **named).length.sum() == pytest.approx(
            frame.length.sum()
        )


def test_somebody_elses_style_stays(tmp_path: Path) -> None:
    (tmp_path / "a.qml").write_text("<qgis>mine</qgis>")
    frame = gpd.GeoDataFrame({"label": ["a"]}, geometry=[shapely.box(0, 0, 5, 5)], crs=UTM)
    export_features(frame, tmp_path / "a.fgb")
    assert (tmp_path / "a.qml").read_text() == "<qgis>mine</qgis>"
    export_features(frame, tmp_path / "b.fgb")
    first = (tmp_path / "b.qml").read_text()
    export_features(frame.assign(label="b"), tmp_path / "b.fgb")
    assert (tmp_path / "b.qml").read_text() != first
    export_features(frame, tmp_path / "c.fgb", style=False)
    assert not (tmp_path / "c.qml").exists()
