"""What the map shows of a raster's bands, and what the model sees of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio

import geoiseg
from geoiseg.errors import GeoisegError
from geoiseg.widget.channel.messages import LookChange, MessageError, View, parse
from geoiseg.widget.tiling.paint import Paint
from tests.conftest import write_raster
from tests.widget.test_widget_map import settle

NAMES = ("blue", "green", "red", "nir", "swir16")


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    rng = np.random.default_rng(2)
    pixels = rng.integers(300, 900, (5, 256, 256)).astype(np.uint16)
    pixels[:, :, 128:] += 4000  # the east is bright
    path = write_raster(tmp_path / "scene.tif", pixels)
    with rasterio.open(path, "r+") as target:
        target.descriptions = NAMES
    return path


def heard(m: geoiseg.SegmentMap, **content: object) -> None:
    m.bridge.heard(parse({"kind": "look", "layer": m.rasters.first.id, **content}))
    settle(m)


def test_composites_and_indices_are_chosen_on_the_map(scene: Path) -> None:
    m = geoiseg.SegmentMap(scene, project=None)
    about = m.toolbar.state["layers"][0]
    assert about["band_names"] == list(NAMES)
    assert about["composites"] == ["natural", "infrared", "agriculture", "short-wave"]
    assert about["composite"] == "natural"
    assert about["segmented"] == "red, green, blue (natural)"
    heard(m, composite="infrared")
    assert m.rasters.first.raster.bands == m.session.raster.bands == (4, 3, 2)
    heard(m, bands="swir16, nir, (green-nir)/(green+nir)")
    about = m.toolbar.state["layers"][0]
    assert about["bands"] == [5, 4, "(green-nir)/(green+nir)"]
    assert about["segmented"] == "swir16, nir, (green-nir)/(green+nir)"
    m.close()


def test_what_is_seen_can_differ_from_what_is_segmented(scene: Path) -> None:
    m = geoiseg.SegmentMap(scene, project=None)
    heard(m, linked=False)
    heard(m, bands="ndwi", ramp="viridis", gamma=1.5)
    layer = m.rasters.first
    assert layer.raster.bands == ("ndwi",)
    assert m.session.raster.bands == (3, 2, 1)
    assert m.toolbar.state["layers"][0]["segmented"] == "red, green, blue (natural)"
    assert layer.paint == Paint(1.5, "viridis")
    heard(m, linked=True)
    assert m.session.raster.bands == ("ndwi",)
    m.close()


def test_contrast_is_found_of_the_view_or_of_the_raster(scene: Path) -> None:
    m = geoiseg.SegmentMap(scene, project=None)
    west, south, east, north = m.rasters.first.renderer.bounds_lonlat
    middle = (west + east) / 2
    m.lookout.view = View(south, west, north, middle - (east - west) * 0.05, 12.0)
    heard(m, auto="view", percent=1)
    dark = m.session.raster.stretch
    assert max(dark.high) < 1000
    heard(m, auto="raster", percent=1)
    whole = m.session.raster.stretch
    assert min(whole.high) > 4500
    assert max(whole.low) < 400
    with rasterio.open(scene) as source:
        wanted = np.percentile(source.read([3, 2, 1]), (1, 99), axis=(1, 2))
    np.testing.assert_allclose([whole.low, whole.high], wanted, atol=2)
    m.lookout.view = View(south - 5, west - 9, north - 5, west - 8, 12.0)
    heard(m, auto="view")
    assert m.session.raster.stretch == whole
    assert "nothing of" in m.toolbar.status["error"]
    m.close()


def test_paint_is_for_the_eye() -> None:
    grey = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    brighter = Paint(2.0).apply(grey, grey=False)
    np.testing.assert_array_equal(
        brighter[0, :, 0], np.rint(255 * np.sqrt(np.arange(256) / 255)).astype(np.uint8)
    )
    assert Paint().apply(grey, grey=True) is grey
    ramp = Paint(ramp="viridis").apply(grey, grey=True)
    assert ramp[0, 0].tolist() == [68, 1, 84]  # viridis begins violet and ends yellow
    assert ramp[0, -1].tolist() == [253, 231, 37]
    np.testing.assert_array_equal(Paint(ramp="viridis").apply(grey, grey=False), grey)
    with pytest.raises(GeoisegError, match=r"gamma is 0\.2 to 5"):
        Paint(0.0)


@pytest.mark.parametrize(
    "wrong",
    [{"composite": "x"}, {"gamma": 0}, {"ramp": "jet"}, {"auto": "all"}, {"linked": 1},
     {"bands": "x" * 501}, {"percent": 40}, {"gamma": float("nan")}],
)  # fmt: skip
def test_the_page_is_not_believed(wrong: dict[str, object]) -> None:
    with pytest.raises(MessageError):
        parse({"kind": "look", "layer": "abc", **wrong})
    assert parse({"kind": "look", "layer": "abc"}) == LookChange("abc")
