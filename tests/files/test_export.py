"""Exports: every format read back with GDAL has the same CRS, count, area and attributes."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from affine import Affine
from rasterio.features import rasterize

import geoiseg
from geoiseg.errors import ExportError
from geoiseg.features.feature import Feature, to_frame
from geoiseg.files.export import export_features, short_names
from geoiseg.files.label_raster import write_labels
from geoiseg.raster.grid import Grid
from tests.conftest import Disk, disk_pixels, write_raster


@pytest.fixture(scope="module")
def session(disk: Disk) -> geoiseg.Session:
    made = geoiseg.Session(disk.path, "grabcut")
    made.add_point(*disk.centre)
    made.accept("disk", owner="Ana", trees=3, a_very_long_attribute="Łódź – 東京", sown=True)
    made.add_features(
        to_frame(
            [
                Feature(1, shapely.box(500_010, 4_499_700, 500_050, 4_499_760), "yard"),
                Feature(2, shapely.MultiPolygon([shapely.box(500_300, 4_499_700, 500_350, 4_499_760),
                                                 shapely.box(500_360, 4_499_700, 500_380, 4_499_760)]),
                        "two parts"),
            ],
            "EPSG:32631",
        )[["label", "geometry"]]
    )  # fmt: skip
    return made


@pytest.mark.parametrize("suffix", ["gpkg", "shp", "fgb", "parquet"])
def test_a_layer_comes_back_as_it_was(session, tmp_path: Path, suffix: str) -> None:
    path = session.export(tmp_path / f"a.{suffix}")
    if suffix == "parquet":
        import geopandas as gpd

        back = gpd.read_parquet(path)
    else:
        back = pyogrio.read_dataframe(path)
    wanted = session.features
    assert back.crs == wanted.crs
    assert len(back) == 3
    assert back.is_valid.all()
    back = back.sort_values("id").reset_index(drop=True)  # FlatGeobuf sorts by place
    np.testing.assert_allclose(back.area, wanted.area, rtol=1e-12)
    assert list(back["label"]) == ["disk", "yard", "two parts"]
    long_name = "a_very_lon" if suffix == "shp" else "a_very_long_attribute"
    assert back.loc[0, long_name] == "Łódź – 東京"
    assert back.loc[0, "trees"] == 3
    assert not {file.name for file in tmp_path.iterdir() if ".tmp" in file.name}


def test_geojson_is_rfc_7946(session, tmp_path: Path) -> None:
    path = session.export(tmp_path / "a.geojson")
    document = json.loads(path.read_text())
    assert "crs" not in document
    lon, lat = document["features"][0]["geometry"]["coordinates"][0][0][:2]
    assert 2.9 < lon < 3.1
    assert 40.5 < lat < 40.7
    ring = shapely.LinearRing(document["features"][0]["geometry"]["coordinates"][0])
    assert ring.is_ccw
    back = pyogrio.read_dataframe(path).to_crs("EPSG:32631")
    np.testing.assert_allclose(back.area, session.features.area, rtol=1e-6)


def test_shapefile_names_are_shortened_once_and_said(session, tmp_path: Path, caplog) -> None:
    with caplog.at_level(logging.WARNING, "geoiseg"):
        session.export(tmp_path / "a.shp")
    said = [record.message for record in caplog.records]
    assert len(said) == 1
    assert "a_very_long_attribute -> a_very_lon" in said[0]
    assert (tmp_path / "a.cpg").read_text() == "UTF-8"
    assert {file.suffix for file in tmp_path.iterdir()} >= {".shp", ".shx", ".dbf", ".prj", ".cpg"}


def test_short_names_are_distinct() -> None:
    names = ["population_1990", "population_2000", "POPULATION", "größenklasse", "a"]
    short = short_names(names)
    assert len({name.lower() for name in short.values()}) == len(names)
    assert all(len(name.encode()) <= 10 for name in short.values())
    assert short["a"] == "a"


def test_long_texts_are_cut_at_a_character_and_said(tmp_path: Path, caplog) -> None:
    frame = to_frame(
        [Feature(1, shapely.box(0, 0, 1, 1), attributes={"t": "é" * 200})], "EPSG:32631"
    )
    from geoiseg.files.export import export_features

    with caplog.at_level(logging.WARNING, "geoiseg"):
        export_features(frame, tmp_path / "a.shp")
    assert any("254 bytes" in record.message for record in caplog.records)
    assert pyogrio.read_dataframe(tmp_path / "a.shp").loc[0, "t"] == "é" * 127


@pytest.mark.parametrize("suffix", ["gpkg", "shp", "geojson", "fgb", "parquet", "tif"])
def test_nothing_accepted_makes_an_empty_layer(disk: Disk, tmp_path: Path, suffix: str) -> None:
    path = geoiseg.Session(disk.path, "grabcut").export(tmp_path / f"a.{suffix}")
    if suffix == "tif":
        with rasterio.open(path) as mask:
            assert not mask.read().any()
    elif suffix != "parquet":
        assert pyogrio.read_info(path, force_feature_count=True)["features"] == 0


def test_the_mask_is_a_cog_on_the_rasters_pixels(session, disk: Disk, tmp_path: Path) -> None:
    path = session.export(tmp_path / "a.tif")
    with rasterio.open(path) as mask, rasterio.open(disk.path) as raster:
        assert mask.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert (mask.transform, mask.crs, mask.shape) == (
            raster.transform,
            raster.crs,
            raster.shape,
        )
        labels = mask.read(1)
    frame = session.features
    expected = rasterize(
        zip(frame.geometry, frame["id"], strict=True),
        out_shape=labels.shape,
        transform=disk.transform,
    )
    np.testing.assert_array_equal(labels, expected)
    assert {1, 2, 3} <= set(np.unique(labels))
    assert {file.name for file in tmp_path.iterdir()} == {"a.tif"}


def test_a_mask_of_the_features_alone(session, disk: Disk, tmp_path: Path) -> None:
    session.export(tmp_path / "a.tif", extent="features", values="mask")
    with rasterio.open(tmp_path / "a.tif") as mask:
        labels = mask.read(1)
        offset = ~disk.transform @ (mask.transform.c, mask.transform.f)
        assert mask.shape != disk.truth.shape
    assert set(np.unique(labels)) == {0, 1}
    np.testing.assert_allclose(offset, np.round(offset), atol=1e-9)
    with pytest.raises(ExportError, match="extent is raster or features"):
        session.export(tmp_path / "b.tif", extent="world")


def test_a_large_mask_is_burned_in_windows(tmp_path: Path) -> None:
    grid = Grid("EPSG:32631", Affine(1, 0, 0, 0, -1, 0), (5000, 6000))
    shapes = [shapely.Point(x, -y).buffer(700) for x, y in ((2048, 2048), (5900, 4900))]
    frame = to_frame([Feature(n, shape) for n, shape in enumerate(shapes, 300)], grid.crs)
    write_labels(frame, grid, tmp_path / "a.tif")
    with rasterio.open(tmp_path / "a.tif") as mask:
        assert mask.dtypes[0] == "uint16"
        labels = mask.read(1)
        assert mask.overviews(1)
    expected = rasterize(zip(shapes, (300, 301), strict=True), out_shape=grid.shape,
                         transform=grid.transform, dtype="uint16")  # fmt: skip
    np.testing.assert_array_equal(labels, expected)


def test_without_a_crs_geojson_is_refused_and_the_rest_works(tmp_path: Path) -> None:
    pixels, _ = disk_pixels()
    path = write_raster(tmp_path / "r.tif", pixels, crs=None, transform=Affine.identity())
    session = geoiseg.Session(path, "grabcut")
    session.add_point(100, 90)
    session.accept()
    with pytest.raises(ExportError, match="no CRS"):
        session.export(tmp_path / "a.geojson")
    for suffix in ("gpkg", "shp", "fgb", "tif"):
        session.export(tmp_path / f"a.{suffix}")
    back = pyogrio.read_dataframe(tmp_path / "a.gpkg")
    assert back.area[0] == session.features.area[0]


@pytest.mark.parametrize(
    ("name", "says"),
    [("a.xyz", "no known format"), ("none/a.gpkg", "does not exist"), ("folder.gpkg", "a folder")],
)
def test_unwritable_outputs(session, tmp_path: Path, name: str, says: str) -> None:
    (tmp_path / "folder.gpkg").mkdir()
    with pytest.raises(ExportError, match=says) as caught:
        session.export(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_nothing_of_an_old_shapefile_tells_of_a_new_one(tmp_path: Path) -> None:
    """An index would hide its rows; a CRS that it has not would move them."""
    path = tmp_path / "a.shp"
    boxes = np.array([shapely.box(n, 0, n + 1, 1) for n in range(400)])
    old = gpd.GeoDataFrame({"n": range(400)}, geometry=boxes, crs="EPSG:32631")
    pyogrio.write_dataframe(old, path, driver="ESRI Shapefile", SPATIAL_INDEX="YES")
    assert path.with_suffix(".qix").exists()
    new = gpd.GeoDataFrame(
        {"n": range(400)}, geometry=shapely.transform(boxes, lambda xy: xy + 300)
    )
    export_features(new, path)
    found = pyogrio.read_dataframe(path, bbox=(310.5, 299, 312.5, 302))
    assert found["n"].tolist() == [10, 11, 12]
    assert found.crs is None


def test_an_export_replaces_the_old_file(session, tmp_path: Path) -> None:
    for suffix in ("gpkg", "geojson", "shp"):
        path = tmp_path / f"a.{suffix}"
        session.export(path)
        session.export(path)
        assert pyogrio.read_info(path, force_feature_count=True)["features"] == 3
