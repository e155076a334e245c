"""Values of any band, index or formula of a raster, by name or number."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import rasterio

import geoiseg
from geoiseg.errors import RasterError
from tests.conftest import write_raster

xarray = pytest.importorskip("xarray")

NAMES = ("B02", "B03", "B04", "B08", "B11", "B12")
ROLES = ("blue", "green", "red", "nir", "swir16", "swir22")


@pytest.fixture
def pixels() -> np.ndarray:
    rng = np.random.default_rng(3)
    return rng.integers(200, 6000, (6, 64, 96)).astype(np.uint16)


@pytest.fixture
def scene(tmp_path: Path, pixels: np.ndarray) -> Path:
    path = write_raster(tmp_path / "scene.tif", pixels)
    with rasterio.open(path, "r+") as target:
        target.descriptions = NAMES
        target.scales, target.offsets = (1e-4,) * 6, (-0.1,) * 6
    return path


def reflectance(pixels: np.ndarray) -> np.ndarray:
    return pixels.astype(np.float64) * 1e-4 - 0.1


@pytest.mark.parametrize("kind", ["file", "array"])
def test_any_bands_are_read_by_any_of_their_names(
    kind: str, scene: Path, pixels: np.ndarray
) -> None:
    source = scene
    if kind == "array":
        source = xarray.DataArray(
            pixels, dims=("band", "y", "x"), coords={"band": list(NAMES)},
            attrs={"scale_factor": 1e-4, "add_offset": -0.1},
        )  # fmt: skip
    raster = geoiseg.open_raster(source)
    assert raster.bands == (3, 2, 1)
    assert dict(raster.roles) == dict(zip(ROLES, range(1, 7), strict=True))
    assert raster.all_bands == ROLES
    window = geoiseg.raster.Window(8, 16, 40, 48)
    values, valid = raster.read_bands(window, 0, ["nir", 2, "B12", "band1", "Red"])
    assert values.dtype == np.float32
    assert values.shape == (5, 40, 48)
    assert valid.all()
    wanted = reflectance(pixels)[[3, 1, 5, 0, 2], 8:48, 16:64]
    np.testing.assert_allclose(values, wanted, atol=1e-6)


def test_indices_and_formulas_are_computed_from_reflectances(
    scene: Path, pixels: np.ndarray
) -> None:
    raster = geoiseg.open_raster(scene)
    whole = raster.grid.whole
    asked = ["ndwi", "(green-nir)/(green+nir)", "mndwi", "aweinsh", "evi", "max(ndvi, 0) + nir**2"]
    values, valid = raster.read_bands(whole, 0, asked)
    lit = np.maximum(reflectance(pixels), 0)
    blue, green, red, nir, swir16, swir22 = lit
    with np.errstate(invalid="ignore"):
        ndwi = np.where(green + nir == 0, 0, (green - nir) / (green + nir))
        ndvi = np.where(red + nir == 0, 0, (nir - red) / (nir + red))
        mndwi = np.where(green + swir16 == 0, 0, (green - swir16) / (green + swir16))
    evi = 2.5 * (nir - red) / (nir + 6 * red - 7.5 * blue + 1)
    aweinsh = 4 * (green - swir16) - (0.25 * nir + 2.75 * swir22)
    assert valid.all()
    for got, wanted in zip(
        values, [ndwi, ndwi, mndwi, aweinsh, evi, np.maximum(ndvi, 0) + nir**2], strict=True
    ):
        near = np.abs(wanted) < 10  # evi has a pole, near which float32 is coarse
        assert near.mean() > 0.9
        np.testing.assert_allclose(got[near], wanted[near], rtol=2e-3, atol=2e-5)


def test_what_has_no_value_is_not_valid(tmp_path: Path) -> None:
    pixels = np.full((2, 16, 16), 50, np.uint8)
    pixels[1, 3, 4] = 0
    pixels[:, 5, 6] = 0
    raster = geoiseg.open_raster(write_raster(tmp_path / "two.tif", pixels))
    values, valid = raster.read_bands(raster.grid.whole, 0, ["band1/band2"])
    assert not valid[3, 4]
    assert values[0, 3, 4] == 0
    assert valid[5, 6]  # 0 / 0 is no difference
    assert values[0, 5, 6] == 0
    assert valid.sum() == 255


def test_any_thread_and_any_process_reads_the_same(scene: Path) -> None:
    raster = geoiseg.open_raster(scene)
    windows = [
        geoiseg.raster.Window(row, col, 16, 16) for row in (0, 24, 48) for col in (0, 40, 80)
    ]
    one_by_one = [raster.read_bands(window, 0, ["nir", "ndwi"])[0] for window in windows]
    with ThreadPoolExecutor(4) as pool:
        at_once = list(pool.map(lambda w: raster.read_bands(w, 0, ["nir", "ndwi"])[0], windows * 4))
    for number, values in enumerate(at_once):
        np.testing.assert_array_equal(values, one_by_one[number % len(windows)])
    other = pickle.loads(pickle.dumps(raster))
    np.testing.assert_array_equal(
        other.read_bands(windows[4], 0, ["nir", "ndwi"])[0], one_by_one[4]
    )
    assert dict(other.roles) == dict(raster.roles)
    assert raster.bands == (3, 2, 1)


def test_nodata_and_overviews_are_those_of_the_bands_that_are_read(tmp_path: Path) -> None:
    pixels = np.full((4, 64, 64), 100, np.uint16)
    pixels[:, :32, :32] = 0
    pixels[3, :32, 32:] = 300
    raster = geoiseg.open_raster(write_raster(tmp_path / "hole.tif", pixels, nodata=0))
    values, valid = raster.read_bands(raster.grid.level(2).whole, 2, [4, 1])
    assert values.shape == (2, 16, 16)
    assert not valid[:8, :8].any()
    assert valid[:8, 8:].all()
    assert valid[8:].all()
    assert (values[0, :8, 8:] == 300).all()
    assert (values[:, :8, :8] == 0).all()


def test_alpha_is_no_band_of_data(tmp_path: Path) -> None:
    pixels = np.full((4, 32, 32), 90, np.uint8)
    path = write_raster(tmp_path / "rgba.tif", pixels, photometric="RGB", alpha="yes")
    assert geoiseg.open_raster(path).all_bands == ("red", "green", "blue")


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (["pan"], "pan is not known in"),
        (["nbr3"], "'nbr3' is no band, role or index"),
        ([9], "bands 1 to 6"),
        (["band9"], "bands 1 to 6"),
        (["ndre"], "ndre needs rededge1, which is not known"),
        (["(green-depth)/green"], "'depth' is no band, role or index"),
        (["__import__('os').getcwd()"], "nothing that a formula can do"),
        (["nir.shape"], "no band, role or index"),
        (["(lambda: nir)()"], "nothing that a formula can do"),
        (["nir**99"], "a power in the formula"),
        (["nir**nir"], "a power in the formula"),
        (["nir*(1"], "is no formula"),
        (["2*3"], "has no band in it"),
        (["-" * 60 + "nir"], "nested too deeply"),
        (["nir+" * 200 + "nir"], "at most 500 characters"),
        (["nir if red else green"], "no band, role or index"),
        (["nir*[1][0]"], "nothing that a formula can do"),
        (["min(nir)"], "min takes 2 values"),
    ],
)  # fmt: skip
def test_what_can_not_be_read_is_said_in_one_line(
    asked: list[object], says: str, scene: Path
) -> None:
    raster = geoiseg.open_raster(scene)
    with pytest.raises(RasterError) as error:
        raster.read_bands(raster.grid.whole, 0, asked)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_constants_for_reflectances_are_not_used_on_bare_numbers(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "raw.tif", np.full((4, 16, 16), 700, np.uint16))
    roles = {"blue": 1, "green": 2, "red": 3, "nir": 4}
    raw = geoiseg.open_raster(path, roles)
    with pytest.raises(RasterError, match="evi needs reflectances"):
        raw.read_bands(raw.grid.whole, 0, ["evi"])
    raw.read_bands(raw.grid.whole, 0, ["ndvi"])
