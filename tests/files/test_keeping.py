"""What is there already stays: other layers, projects, and whatever is read."""

from __future__ import annotations

import zipfile
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyogrio
import pytest
import rasterio
import shapely

import geoiseg
from geoiseg.errors import ExportError
from geoiseg.files import export_features, export_qgis_project
from tests.cli.test_cli import run
from tests.conftest import Disk

BOX = shapely.box(500_000, 4_499_000, 500_010, 4_499_010)


def roads(path: Path) -> Path:
    """Make a GeoPackage of somebody's: lines, polygons, a table and tiles' worth of a raster."""
    one = gpd.GeoDataFrame({"n": [1]}, geometry=[BOX], crs=32631)
    one.assign(geometry=one.boundary).to_file(path, layer="roads")
    one.to_file(path, layer="fields")
    pyogrio.write_dataframe(one.drop(columns="geometry"), path, layer="notes")
    with rasterio.open(path, "w", driver="GPKG", count=1, height=8, width=8, dtype="uint8",
                       crs=32631, transform=rasterio.transform.from_origin(5e5, 45e5, 1, 1),
                       RASTER_TABLE="picture", APPEND_SUBDATASET="YES") as made:  # fmt: skip
        made.write(np.full((1, 8, 8), 7, np.uint8))
    return path


def untouched(path: Path) -> None:
    assert gpd.read_file(path, layer="roads").length.tolist() == [40]
    assert gpd.read_file(path, layer="fields")["n"].tolist() == [1]
    assert pyogrio.read_dataframe(path, layer="notes")["n"].tolist() == [1]
    with rasterio.open(f"GPKG:{path}:picture") as picture:
        assert picture.read(1)[:8, :8].max() == 7


@pytest.fixture
def clicks(disk: Disk, tmp_path: Path) -> Path:
    path = tmp_path / "p.geojson"
    shape = gpd.GeoSeries([shapely.Point(disk.centre).buffer(60)], crs=32631)
    gpd.GeoDataFrame({"label": ["x"]}, geometry=shape).to_file(path)
    return path


@pytest.mark.parametrize(
    "command",
    [
        lambda scene, clicks, out: ["segment", scene, clicks, out],
        lambda scene, clicks, out: ["map", scene, out],
        lambda scene, clicks, out: ["map", scene, out, "--prompts", clicks],
        lambda scene, clicks, out: ["clean", out, out, "--layer", "fields"],
        lambda scene, clicks, out: ["check", out, out, "--layer", "fields"],
        lambda scene, clicks, out: ["shoreline", out, out, "--layer", "fields"],
    ],
)
@pytest.mark.parametrize("by_gdal", [True, False])
def test_other_layers_stay(capsys, monkeypatch, disk, clicks, tmp_path, command, by_gdal) -> None:
    out = roads(tmp_path / "m.gpkg")
    arguments = command(disk.path, clicks, out)
    if not by_gdal:
        if "map" in arguments or "segment" in arguments:
            pytest.skip("prompts here are no GeoPackage")
        monkeypatch.setattr("geoiseg.files.vectors._gdal", lambda: None)
    for _ in range(2):  # onto its own layer, too
        assert run(capsys, *arguments)[0] == 0
        monkeypatch.undo()
        untouched(out)
        assert len(gpd.read_file(out, layer="features")) >= 1


def test_a_layer_by_name_goes_beside_a_project(disk: Disk, tmp_path: Path) -> None:
    session = geoiseg.Session(disk.path, "grabcut", project=tmp_path / "p.gpkg")
    session.add_point(*disk.centre)
    session.accept("x")
    for name in ("features", "Features", "prompts", "geoiseg"):
        with pytest.raises(ExportError, match="is a project of geoiseg"):
            session.export(tmp_path / "p.gpkg", layer=name)
    session.export(tmp_path / "p.gpkg", layer="for_print")
    session.relabel(1, "y")
    assert geoiseg.Session.load(tmp_path / "p.gpkg").features["label"].tolist() == ["y"]
    assert gpd.read_file(tmp_path / "p.gpkg", layer="for_print")["label"].tolist() == ["x"]


def test_what_is_no_geopackage_is_left(tmp_path: Path) -> None:
    path = tmp_path / "a.gpkg"
    path.write_text("my notes")
    frame = gpd.GeoDataFrame({"n": [1]}, geometry=[BOX], crs=32631)
    with pytest.raises(ExportError, match="is no GeoPackage that can be read"):
        export_features(frame, path)
    assert path.read_text() == "my notes"
    path.write_bytes(b"")  # as a temporary file is made
    export_features(frame, path)
    assert len(gpd.read_file(path, layer="features")) == 1


def test_what_is_read_is_not_written_over(capsys, disk: Disk, clicks: Path, tmp_path: Path) -> None:
    picture = tmp_path / "scene.tif"
    picture.write_bytes(disk.path.read_bytes())
    before, said = picture.read_bytes(), clicks.read_bytes()
    shores = tmp_path / "s.geojson"
    shores.write_bytes(said)
    for command in (
        ["segment", picture, clicks, picture],
        ["segment", picture, clicks, clicks],
        ["segment", picture, clicks, tmp_path / "o.gpkg", "--qgis", picture],
        ["map", picture, picture],
        ["map", picture, clicks, "--prompts", clicks],
        ["map", picture, tmp_path / "o.gpkg", "--quicklook", picture],
        ["shoreline", shores, shores],
        ["shoreline", shores, tmp_path / "o.gpkg", "--spacing", 10, "--table", shores],
    ):
        code, _, err = run(capsys, *command)
        assert code == 1, command
        assert len(err.strip().splitlines()) == 1
        assert picture.read_bytes() == before
        assert clicks.read_bytes() == shores.read_bytes() == said
    session = geoiseg.Session(picture, "grabcut")
    session.add_point(*disk.centre)
    session.accept("x")
    with pytest.raises(ExportError, match="is read here"):
        session.export(picture)
    assert picture.read_bytes() == before


def test_clicks_in_the_file_that_is_written_stay(
    capsys, disk: Disk, clicks, tmp_path: Path
) -> None:
    both = tmp_path / "both.gpkg"
    gpd.read_file(clicks).to_file(both, layer="clicks")
    assert run(capsys, "segment", disk.path, both, both, "--layer", "clicks")[0] == 0
    assert gpd.read_file(both, layer="clicks")["label"].tolist() == ["x"]
    assert gpd.read_file(both, layer="features")["label"].tolist() == ["x"]


def test_a_qgis_project_of_somebodys_stays(disk: Disk, tmp_path: Path) -> None:
    session = geoiseg.Session(disk.path, "grabcut")
    session.add_point(*disk.centre)
    session.accept("x")
    for name in ("a.qgz", "a.qgs"):
        place = tmp_path / name
        export_qgis_project(place, raster=disk.path)
        export_qgis_project(place, raster=disk.path)  # ours
        text = "<qgis version='3.22'><title>mine</title></qgis>"
        if name.endswith("z"):
            with zipfile.ZipFile(place, "w") as archive:
                archive.writestr("a.qgs", text)
        else:
            place.write_text(text)
        before = place.read_bytes()
        with pytest.raises(ExportError, match="somebody's own"):
            session.export(tmp_path / "o.gpkg", project=place)
        assert place.read_bytes() == before
        assert not (tmp_path / "o.gpkg").exists()
