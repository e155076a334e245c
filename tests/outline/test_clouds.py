"""Clouds and their shadows by the codes that Sentinel-2, Landsat and HLS give them."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely

import geoiseg
from geoiseg.outline.shoreline import WaterlineOptions, waterline
from geoiseg.outline.shoreline.clouds import clouds_of, hides_of
from geoiseg.raster import Raster, Window
from tests.conftest import write_raster
from tests.raster.products import hls_folder, landsat_folder, s2_safe, write

SCL = {0: True, 1: True, 2: False, 3: True, 4: False, 5: False, 6: False, 7: False, 8: True,
       9: True, 10: True, 11: False}  # fmt: skip
"""Whether each scene class hides the ground: dark (2), unclassified (7) and snow (11) do not."""
QA_PIXEL = {
    21824: False,  # clear land, as USGS' table of values has it
    21952: False,  # clear water
    30048: False,  # snow
    21826: True,  # dilated cloud
    22280: True,  # cloud of high confidence
    54596: True,  # cirrus
    23888: True,  # shadow over land
    24082: True,  # shadow, dilated cloud, over water
    24344: True,  # shadow and cloud
}
FMASK = {
    0b01_000000: False,  # clear, moderate aerosol
    0b11_100000: False,  # water under high aerosol
    0b01_010000: False,  # snow
    0b01_000001: True,  # cirrus
    0b01_000010: True,  # cloud
    0b01_000100: True,  # next to cloud or shadow
    0b01_001000: True,  # shadow
    0b01_100010: True,  # cloud over water
}


def hidden(raster: Raster, window: Window | None = None, around: int = 0) -> np.ndarray:
    hides = hides_of(raster)
    assert hides is not None
    return clouds_of(raster, window or raster.grid.whole, hides, around)


def flags_beside_green(path: Path, flags: np.ndarray, nodata: float | None) -> Path:
    """Write green, near infrared and a band of flags in one file."""
    data = np.stack([np.full_like(flags, 40), np.full_like(flags, 20), flags])
    return write_raster(path, data, nodata=nodata)


@pytest.mark.parametrize(
    ("names", "codes", "dtype", "nodata"),
    [
        (("B3", "B8", "SCL"), SCL, "uint8", None),
        (("SR_B3", "SR_B5", "QA_PIXEL"), QA_PIXEL, "uint16", 1),
        (("B03", "B8A", "Fmask"), FMASK, "uint8", 255),
    ],
    ids=["SCL", "QA_PIXEL", "Fmask"],
)
def test_each_code_hides_the_ground_or_does_not(names, codes, dtype, nodata, tmp_path) -> None:
    flags = np.array([list(codes)], dtype).repeat(2, axis=0)
    path = flags_beside_green(tmp_path / "scene.tif", flags, nodata)
    raster = _named(path, names)
    assert raster.roles["quality"] == 3
    assert hidden(raster).tolist() == [list(codes.values())] * 2


def _named(path: Path, names: tuple[str, ...]) -> Raster:
    with rasterio.open(path, "r+") as target:
        target.descriptions = names
    return geoiseg.open_raster(path)


@pytest.mark.parametrize("product", ["Sentinel-2", "Landsat 8", "HLS"])
def test_products_are_decoded_by_the_names_of_their_files(product: str, tmp_path: Path) -> None:
    if product == "Sentinel-2":
        folder = s2_safe(tmp_path, 240.0)
        flags, clear, cloud = next(folder.rglob("*_SCL_20m.jp2")), 6, 9
        data = np.full((12, 12), clear, np.uint8)
        data[:6, :3] = cloud
        write(flags, data, 20, driver="JP2OpenJPEG")
        size, where = (24, 24), np.s_[:12, :6]  # on the grid of 10 m, not interpolated
    elif product == "Landsat 8":
        folder = landsat_folder(tmp_path, 360.0)
        flags = next(folder.glob("*_QA_PIXEL.TIF"))
        data = np.full((12, 12), 21952, np.uint16)
        data[:6, :3] = 22280
        write(flags, data, 30, nodata=1)
        size, where = (12, 12), np.s_[:6, :3]
    else:
        folder = hls_folder(tmp_path, "S30", 360.0)
        flags = next(folder.glob("*Fmask.tif"))
        data = np.full((12, 12), 0b01_100000, np.uint8)
        data[:6, :3] = 0b01_000010
        write(flags, data, 30, nodata=255)
        size, where = (12, 12), np.s_[:6, :3]
    wanted = np.zeros(size, bool)
    wanted[where] = True
    np.testing.assert_array_equal(hidden(geoiseg.open_raster(folder)), wanted)


def test_pixels_around_clouds_are_hidden_across_windows(tmp_path: Path) -> None:
    flags = np.full((20, 20), 6, np.uint8)
    flags[9, 9] = 9
    raster = _named(flags_beside_green(tmp_path / "a.tif", flags, None), ("B3", "B8", "SCL"))
    y, x = np.mgrid[:20, :20]
    wanted = (abs(y - 9) <= 2) & (abs(x - 9) <= 2)
    np.testing.assert_array_equal(hidden(raster, around=2), wanted)
    window = Window(10, 0, 10, 20)  # the cloud lies just above it
    np.testing.assert_array_equal(hidden(raster, window, 2), wanted[10:])


def test_flags_of_another_kind_are_not_guessed_at(tmp_path: Path, caplog) -> None:
    flags = np.full((4, 4), 8, np.uint8)  # a cloud, were it SCL
    path = flags_beside_green(tmp_path / "a.tif", flags, None)
    assert hides_of(geoiseg.open_raster(path, {"green": 1, "nir": 2})) is None
    with caplog.at_level(logging.WARNING):
        named = _named(path, ("green", "nir", "udm"))
        assert hides_of(geoiseg.open_raster(path, {"quality": 3})) is None
    assert named.roles.get("quality") is None
    assert "band 3 is of quality, but is called 'udm'" in caplog.text


def test_the_line_ends_at_a_cloud(tmp_path: Path) -> None:
    y = np.mgrid[:200, :200][0] + 0.5
    water = np.clip((y - 100) + 0.5, 0, 1)
    green, nir = (800 + 400 * water), (3000 - 2800 * water)
    flags = np.full((200, 200), 5.0)
    flags[80:120, 60:90] = 9
    path = write_raster(tmp_path / "a.tif", np.stack([green, nir, flags]).astype(np.uint16))
    found = waterline(_named(path, ("B3", "B8", "SCL")), WaterlineOptions("ndwi", clouds=3))
    x = (shapely.get_coordinates(found.lines)[:, 0] - 500_000) / 2
    assert len(found.lines) == 2
    assert not ((x > 57) & (x < 93)).any()  # three pixels on either side of columns 60 to 89
    assert ((x >= 55) & (x <= 57)).any()
