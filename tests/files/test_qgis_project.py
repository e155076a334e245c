"""Projects for QGIS of rasters whose bands are many, computed, or in many files."""

from __future__ import annotations

import logging
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
import rasterio

import geoiseg
from geoiseg.files.qgis_project import export_qgis_project
from tests.conftest import write_raster
from tests.raster.products import s2_safe

NAMES = ("blue", "green", "red", "nir", "swir16")


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(3).integers(300, 4000, (5, 64, 64)).astype(np.uint16)
    path = write_raster(tmp_path / "scene.tif", pixels)
    with rasterio.open(path, "r+") as target:
        target.descriptions = NAMES
    return path


def raster_layer(project: Path) -> tuple[str, ET.Element]:
    """Return source and renderer of the raster of a project."""
    layer = ET.parse(project).getroot().find(".//maplayer[@type='raster']")
    assert layer is not None
    renderer = layer.find("pipe/rasterrenderer")
    assert renderer is not None
    return layer.findtext("datasource", ""), renderer


def bands_of(renderer: ET.Element) -> list[int]:
    return [int(renderer.get(f"{one}Band", "0")) for one in ("red", "green", "blue")]


def test_a_composite_is_drawn_in_its_bands_and_contrast(scene: Path) -> None:
    raster = geoiseg.open_raster(scene, "infrared")
    project = export_qgis_project(scene.with_name("p.qgs"), raster=raster)
    source, renderer = raster_layer(project)
    assert source == "./scene.tif"
    assert bands_of(renderer) == [4, 3, 2]
    limits = [float(renderer.findtext(f"redContrastEnhancement/{end}Value", "nan"))
              for end in ("min", "max")]  # fmt: skip
    assert limits == [raster.stretch.low[0], raster.stretch.high[0]]


@pytest.mark.parametrize("bands", [("ndwi",), ("swir16", "nir", "ndwi")])
def test_computed_bands_give_way_to_a_picture_of_the_file(
    bands: tuple[str, ...], scene: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        project = export_qgis_project(
            scene.with_name("p.qgs"), raster=geoiseg.open_raster(scene, bands)
        )
    assert bands_of(raster_layer(project)[1]) == [3, 2, 1]  # natural
    assert "which are computed" in caplog.text


def test_without_roles_computed_bands_give_way_to_the_first(tmp_path: Path) -> None:
    pixels = np.random.default_rng(3).integers(300, 4000, (4, 64, 64)).astype(np.uint16)
    raster = geoiseg.open_raster(write_raster(tmp_path / "a.tif", pixels), ["band_1/(band_2+1)"])
    renderer = raster_layer(export_qgis_project(tmp_path / "p.qgs", raster=raster))[1]
    assert bands_of(renderer) == [1, 2, 3]


def test_one_band_is_drawn_in_grey(scene: Path) -> None:
    raster = geoiseg.open_raster(scene, ["nir"])
    renderer = raster_layer(export_qgis_project(scene.with_name("p.qgs"), raster=raster))[1]
    assert renderer.get("type") == "singlebandgray"
    assert renderer.get("grayBand") == "4"


def test_a_folder_has_a_virtual_raster_beside_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    safe = s2_safe(here / "data", 240.0)
    monkeypatch.chdir(here)
    raster = geoiseg.open_raster(safe.relative_to(here), "short-wave")
    wanted = raster.read_bands(raster.grid.whole, 0, ["blue", "swir16"])[0]
    project = export_qgis_project(Path("coast.qgs"), raster=raster)
    monkeypatch.chdir("/")
    there = tmp_path / "there"
    here.rename(there)  # all of it moves, and nobody stands in its folder
    source, renderer = raster_layer(there / project)
    assert source == "./coast-bands.vrt"
    assert bands_of(renderer) == [12, 8, 4]
    with rasterio.open(there / source) as opened:
        assert opened.descriptions[7] == "B08"
        read = opened.read([2, 11]).astype(float) * opened.scales[1] + opened.offsets[1]
    np.testing.assert_allclose(read, wanted, atol=1e-6)
