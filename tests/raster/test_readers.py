"""Reading: every kind of raster against rasterio itself, at every level, from any thread."""

from __future__ import annotations

import logging
import pickle
import subprocess
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp, Resampling
from rasterio.io import MemoryFile
from rasterio.vrt import WarpedVRT

import geoiseg
from geoiseg.errors import GeoreferenceError, RasterError
from geoiseg.raster.grid import Window
from geoiseg.raster.image import Stretch
from geoiseg.raster.readers.bands import choose_bands
from geoiseg.raster.readers.blocks import sample_blocks
from tests.conftest import UTM, needed, write_raster

RNG = np.random.default_rng(1)


def random_raster(path: Path, shape=(3, 300, 410), dtype="uint8", **profile: object) -> np.ndarray:
    top = 255 if dtype == "uint8" else 4000
    data = (RNG.random(shape) * top).astype(dtype)
    write_raster(path, data, **profile)
    return data


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "float64", "complex64"])
def test_pixels_are_those_of_the_file(tmp_path: Path, dtype: str) -> None:
    data = random_raster(tmp_path / "a.tif", dtype=dtype)
    raster = geoiseg.open_raster(tmp_path / "a.tif")
    window = Window(37, 101, 120, 90)
    got, valid = raster.read(window)
    expected = np.abs(data) if dtype == "complex64" else data
    np.testing.assert_array_equal(got, expected[:, 37:157, 101:191])
    assert valid.all()
    assert raster.dtype == dtype


@pytest.mark.parametrize("overviews", [False, True])
@pytest.mark.parametrize("level", [1, 2, 3])
def test_a_level_is_the_mean_of_its_pixels(tmp_path: Path, level: int, overviews: bool) -> None:
    path = tmp_path / "a.tif"
    data = random_raster(path, (3, 512, 768), tiled=True, blockxsize=128, blockysize=128)
    if overviews:
        with rasterio.open(path, "r+") as target:
            target.build_overviews([2, 4, 8], Resampling.average)
    f = 2**level
    means = data.reshape(3, 512 // f, f, 768 // f, f).mean(axis=(2, 4))
    raster = geoiseg.open_raster(path)
    window = Window(16, 24, 40, 60)
    got, _ = raster.read(window, level)
    expected = means[(slice(None), *window.slices)]
    assert np.abs(got.astype(float) - expected).max() <= (0.51 if not overviews else 1.6)


def test_windows_tile_a_level_without_seams(tmp_path: Path) -> None:
    random_raster(tmp_path / "a.tif", (3, 333, 517))
    raster = geoiseg.open_raster(tmp_path / "a.tif")
    grid = raster.grid.level(1)
    whole, _ = raster.read(grid.whole, 1)
    left, _ = raster.read(Window(0, 0, grid.height, 100), 1)
    right, _ = raster.read(Window(0, 100, grid.height, grid.width - 100), 1)
    glued = np.concatenate([left, right], axis=2).astype(int)
    assert np.abs(glued - whole.astype(int)).max() <= 1


def test_windows_outside_are_refused(tmp_path: Path) -> None:
    random_raster(tmp_path / "a.tif")
    raster = geoiseg.open_raster(tmp_path / "a.tif")
    for window in (Window(290, 0, 20, 5), Window(-1, 0, 5, 5), Window(0, 0, 0, 5)):
        with pytest.raises(GeoreferenceError, match="not inside level 0"):
            raster.read(window)


def test_nodata_is_not_valid_and_not_averaged(tmp_path: Path) -> None:
    data = np.full((1, 64, 64), 100, "int16")
    data[:, :, 33:] = -9999
    raster = geoiseg.open_raster(write_raster(tmp_path / "a.tif", data, nodata=-9999))
    _, valid = raster.read(raster.grid.whole)
    np.testing.assert_array_equal(valid, data[0] != -9999)
    coarse, valid = raster.read(raster.grid.level(2).whole, 2)
    assert set(np.unique(coarse[0][valid])) == {100}, "no mean of data and nodata"


def test_a_colour_with_one_band_at_nodata_is_data(tmp_path: Path) -> None:
    data = np.full((3, 8, 8), 9, "uint8")
    data[0, 0, 0] = 0
    data[:, 1, 1] = 0
    raster = geoiseg.open_raster(write_raster(tmp_path / "a.tif", data, nodata=0))
    _, valid = raster.read(raster.grid.whole)
    assert valid[0, 0]
    assert not valid[1, 1]


@pytest.mark.parametrize("nodata", [None, float("nan")])
def test_nan_and_infinity_are_not_valid(tmp_path: Path, nodata: float | None) -> None:
    data = RNG.random((1, 20, 20)).astype("float32")
    data[0, 3, 4], data[0, 5, 6] = np.nan, np.inf
    raster = geoiseg.open_raster(write_raster(tmp_path / "a.tif", data, nodata=nodata))
    chip = raster.chip(raster.grid.whole)
    expected = np.isfinite(data[0])
    np.testing.assert_array_equal(chip.valid, expected)
    assert (chip.rgb[~expected] == 0).all()


def test_alpha_is_validity_not_colour(tmp_path: Path) -> None:
    data = RNG.integers(1, 255, (4, 30, 30)).astype("uint8")
    data[3] = 255
    data[3, :10] = 0
    path = write_raster(tmp_path / "a.tif", data, photometric="rgb", alpha="yes")
    raster = geoiseg.open_raster(path)
    assert raster.bands == (1, 2, 3)
    _, valid = raster.read(raster.grid.whole)
    np.testing.assert_array_equal(valid, data[3] > 0)


@pytest.mark.parametrize("internal", [True, False])
def test_internal_and_external_masks(tmp_path: Path, internal: bool) -> None:
    path = tmp_path / "a.tif"
    random_raster(path, (3, 40, 50))
    mask = np.zeros((40, 50), bool)
    mask[5:20, 10:30] = True
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=internal), rasterio.open(path, "r+") as target:
        target.write_mask(mask)
    assert (tmp_path / "a.tif.msk").exists() is not internal
    raster = geoiseg.open_raster(path)
    _, valid = raster.read(raster.grid.whole)
    np.testing.assert_array_equal(valid, mask)


def test_a_colour_table_becomes_colours(tmp_path: Path) -> None:
    data = RNG.integers(0, 3, (1, 20, 20)).astype("uint8")
    path = write_raster(tmp_path / "a.tif", data, nodata=0)
    with rasterio.open(path, "r+") as target:
        target.write_colormap(1, {0: (9, 9, 9, 255), 1: (200, 10, 20, 255), 2: (5, 180, 60, 255)})
    raster = geoiseg.open_raster(path, stretch=Stretch((0.0,) * 3, (255.0,) * 3))
    chip = raster.chip(raster.grid.whole)
    assert (chip.rgb[data[0] == 1] == (200, 10, 20)).all()
    assert (chip.rgb[data[0] == 2] == (5, 180, 60)).all()
    np.testing.assert_array_equal(chip.valid, data[0] > 0)


def test_ground_control_points_are_warped(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    data = np.zeros((1, 100, 100), "uint8")
    data[0, 40:60, 20:40] = 200
    corners = [(0, 0), (0, 100), (100, 0), (100, 100)]
    points = [
        GroundControlPoint(row, col, 10 + col * 0.01, 50 - row * 0.01) for row, col in corners
    ]
    with rasterio.open(
        path, "w", driver="GTiff", count=1, height=100, width=100, dtype="uint8",
        gcps=points, crs="EPSG:4326",
    ) as target:  # fmt: skip
        target.write(data)
    raster = geoiseg.open_raster(path)
    assert raster.grid.crs == "EPSG:4326"
    pixels, valid = raster.read(raster.grid.whole)
    x, y = np.floor(raster.grid.to_pixel([(10.3, 49.5)])[0]).astype(int)
    assert pixels[0, y, x] == 200
    assert valid[y, x]
    assert raster.grid.bounds == pytest.approx((10, 49, 11, 50), abs=0.02)


def test_no_crs_means_pixels_and_is_said_once(tmp_path: Path, caplog) -> None:
    data = np.zeros((1, 10, 10), "uint8")
    path = write_raster(tmp_path / "a.tif", data, crs=None, transform=Affine.identity())
    with caplog.at_level(logging.WARNING, "geoiseg"):
        raster = geoiseg.open_raster(path)
        raster.read(raster.grid.whole)
    assert [record.message for record in caplog.records] == [
        f"{path} is not georeferenced: working in pixel coordinates"
    ]
    assert raster.grid.crs is None
    np.testing.assert_array_equal(raster.grid.to_pixel([(3, -4)]), [(3, 4)])
    np.testing.assert_array_equal(raster.grid.bring_xy([(3, 4)]), [(3, -4)])


def test_bands_by_interpretation_name_or_order() -> None:
    assert choose_bands(["blue", "green", "red", "alpha"], [None] * 4) == (3, 2, 1)
    grey = ["gray"] + ["undefined"] * 3
    assert choose_bands(grey, ["B02", "B03", "B04", "B08"]) == (3, 2, 1)
    assert choose_bands(grey, [None] * 4) == (1, 2, 3)
    assert choose_bands(["gray", "alpha"], [None, None]) == (1,)
    assert choose_bands(["gray", "undefined"], [None, None]) == (1,)
    with pytest.raises(RasterError, match="no band"):
        choose_bands(["alpha"], [None])


@pytest.mark.parametrize("bands", [(1, 2), (0,), (4,), (1, 2, 9), "rgb", ()])
def test_wrong_bands_are_refused(tmp_path: Path, bands) -> None:
    random_raster(tmp_path / "a.tif")
    with pytest.raises(RasterError, match="bands"):
        geoiseg.open_raster(tmp_path / "a.tif", bands=bands)


def test_chosen_bands_in_their_order(tmp_path: Path) -> None:
    data = random_raster(tmp_path / "a.tif", (5, 30, 30))
    raster = geoiseg.open_raster(tmp_path / "a.tif", bands=(5, 1, 3))
    got, _ = raster.read(raster.grid.whole)
    np.testing.assert_array_equal(got, data[[4, 0, 2]])
    assert raster.source_id != geoiseg.open_raster(tmp_path / "a.tif").source_id


def test_threads_read_the_same_pixels(tmp_path: Path) -> None:
    data = random_raster(tmp_path / "a.tif", (3, 512, 512), tiled=True, compress="deflate")
    raster = geoiseg.open_raster(tmp_path / "a.tif")
    windows = [Window(row, col, 64, 64) for row in range(0, 448, 32) for col in range(0, 448, 32)]
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda window: raster.read(window)[0], windows))
    for window, pixels in zip(windows, got, strict=True):
        np.testing.assert_array_equal(pixels, data[(slice(None), *window.slices)])


def test_a_raster_survives_pickling_and_closing(tmp_path: Path) -> None:
    data = random_raster(tmp_path / "a.tif")
    raster = geoiseg.open_raster(tmp_path / "a.tif")
    stretch = raster.stretch
    with pickle.loads(pickle.dumps(raster)) as copy:
        assert copy.stretch == stretch
        np.testing.assert_array_equal(copy.read(copy.grid.whole)[0], data)
    raster.close()
    np.testing.assert_array_equal(raster.read(raster.grid.whole)[0], data)


def test_open_datasets_of_the_users(tmp_path: Path) -> None:
    data = random_raster(tmp_path / "a.tif")
    with rasterio.open(tmp_path / "a.tif") as dataset:
        np.testing.assert_array_equal(geoiseg.open_raster(dataset).read(Window(0, 0, 9, 9))[0],
                                      data[:, :9, :9])  # fmt: skip
        with WarpedVRT(dataset, crs="EPSG:3857") as warped:
            raster = geoiseg.open_raster(warped)
            assert raster.grid.crs == "EPSG:3857"
            expected = warped.read((1, 2, 3))
            np.testing.assert_array_equal(raster.read(raster.grid.whole)[0], expected)
            with pytest.raises(RasterError, match="can not be sent"):
                pickle.dumps(raster)
    with pytest.raises(RasterError, match="closed dataset"):
        geoiseg.open_raster(dataset)


def test_a_file_in_memory(tmp_path: Path) -> None:
    data = random_raster(tmp_path / "a.tif")
    with MemoryFile((tmp_path / "a.tif").read_bytes()) as memory, memory.open() as dataset:
        raster = geoiseg.open_raster(dataset)
        with ThreadPoolExecutor(4) as pool:
            for got in pool.map(lambda _: raster.read(raster.grid.whole)[0], range(8)):
                np.testing.assert_array_equal(got, data)


def test_vsi_paths(tmp_path: Path) -> None:
    import zipfile

    data = random_raster(tmp_path / "a.tif")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(tmp_path / "a.tif", "in/a.tif")
    raster = geoiseg.open_raster(f"/vsizip/{tmp_path}/a.zip/in/a.tif")
    np.testing.assert_array_equal(raster.read(raster.grid.whole)[0], data)


def test_what_is_no_raster(tmp_path: Path) -> None:
    text = tmp_path / "text.tif"
    text.write_text("not a raster")
    for source, says in [
        (tmp_path / "none.tif", "does not exist"),
        (text, "can not open"),
        (42, "a raster is a path"),
        (tmp_path, "can not open"),
    ]:
        with pytest.raises(RasterError, match=says) as caught:
            geoiseg.open_raster(source)
        assert "\n" not in str(caught.value)


def test_truncated_pixels_are_said_where(tmp_path: Path) -> None:
    random_raster(tmp_path / "a.tif", (3, 400, 400), compress="deflate", tiled=True)
    whole = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "cut.tif").write_bytes(whole[: len(whole) * 2 // 3])
    raster = geoiseg.open_raster(tmp_path / "cut.tif")
    with pytest.raises(RasterError, match="truncated or damaged"):
        raster.read(raster.grid.whole)


# -- the stretch -----------------------------------------------------------------------


def test_the_stretch_ignores_nodata_and_is_the_same_everywhere(tmp_path: Path) -> None:
    data = (RNG.random((1, 400, 400)) * 500 + 1000).astype("uint16")
    data[:, :200] = 65535
    path = write_raster(tmp_path / "a.tif", data, nodata=65535, tiled=True)
    raster = geoiseg.open_raster(path)
    assert raster.stretch.low[0] == pytest.approx(1010, abs=15)
    assert raster.stretch.high[0] == pytest.approx(1490, abs=15)
    whole = raster.chip(raster.grid.whole).rgb
    part = raster.chip(Window(200, 16, 64, 64)).rgb
    np.testing.assert_array_equal(part, whole[200:264, 16:80])


def test_bytes_that_use_their_range_are_left_alone(tmp_path: Path) -> None:
    random_raster(tmp_path / "a.tif")
    raster = geoiseg.open_raster(tmp_path / "a.tif")
    assert raster.stretch == Stretch((0.0,) * 3, (255.0,) * 3)
    dark = (RNG.random((3, 50, 50)) * 40 + 20).astype("uint8")
    assert geoiseg.open_raster(write_raster(tmp_path / "d.tif", dark)).stretch.high[0] < 65


def test_the_stretch_of_nothing_and_of_one_value() -> None:
    values = np.full((1, 10), 7, "uint16")
    empty = Stretch.of_samples(values, np.zeros(10, bool))
    assert (empty.low, empty.high) == ((0.0,), (1.0,))
    flat = Stretch.of_samples(values, np.ones(10, bool))
    shown = flat.apply(values.reshape(1, 2, 5), np.ones((2, 5), bool))
    assert 100 < shown[0, 0, 0] < 155, "mid-grey"


@pytest.mark.parametrize(
    ("low", "high"), [((0.0,), (0.0,)), ((1.0,), (float("nan"),)), ((0.0, 1.0), (1.0, 2.0))]
)
def test_senseless_stretches_are_refused(low, high) -> None:
    with pytest.raises(RasterError, match="stretch needs"):
        Stretch(low, high)


def test_sampled_blocks_are_few_and_inside() -> None:
    for shape, block in [((100_000, 100_000), (512, 512)), ((100_000, 90_000), (1, 90_000)),
                         ((300, 500), (300, 500)), ((5000, 7), (16, 7))]:  # fmt: skip
        blocks = list(sample_blocks(shape, block, 0.5))
        assert 1 <= len(blocks) <= 80
        whole = Window(0, 0, *shape)
        assert all(one.intersection(whole) == one and one.height and one.width for one in blocks)


def test_colour_interpretation_decides(tmp_path: Path) -> None:
    data = random_raster(tmp_path / "a.tif", (4, 20, 20))
    with rasterio.open(tmp_path / "a.tif", "r+") as target:
        target.colorinterp = [ColorInterp.undefined, ColorInterp.blue, ColorInterp.green,
                              ColorInterp.red]  # fmt: skip
    raster = geoiseg.open_raster(tmp_path / "a.tif")
    np.testing.assert_array_equal(raster.read(raster.grid.whole)[0], data[[3, 2, 1]])


# -- xarray ----------------------------------------------------------------------------


@pytest.mark.parametrize("lazy", [False, True])
def test_data_arrays_read_as_their_file(tmp_path: Path, lazy: bool) -> None:
    rioxarray = needed("rioxarray")
    if lazy:
        needed("dask")
    data = random_raster(tmp_path / "a.tif", (3, 256, 320), dtype="uint16")
    chunks = {"x": 64, "y": 64} if lazy else None
    array = rioxarray.open_rasterio(tmp_path / "a.tif", chunks=chunks)
    raster, file = geoiseg.open_raster(array), geoiseg.open_raster(tmp_path / "a.tif")
    assert raster.grid.crs == file.grid.crs
    np.testing.assert_allclose(raster.grid.transform, file.grid.transform)
    window = Window(8, 16, 50, 70)
    np.testing.assert_array_equal(raster.read(window)[0], data[:, 8:58, 16:86])
    coarse = raster.read(window, 1)[0].astype(int)
    assert np.abs(coarse - file.read(window, 1)[0].astype(int)).max() <= 1


def test_data_arrays_without_a_band_or_a_crs() -> None:
    xr = needed("xarray")
    values = RNG.random((20, 30)).astype("float32")
    values[4, 5] = np.nan
    plain = geoiseg.open_raster(xr.DataArray(values, dims=("y", "x")))
    assert plain.grid.crs is None
    assert plain.grid.transform == Affine.identity()
    assert not plain.read(plain.grid.whole)[1][4, 5]
    south_up = xr.DataArray(
        values,
        dims=("lat", "lon"),
        coords={"lat": 10 + np.arange(20) * 0.5, "lon": np.arange(30) * 0.25},
        attrs={"crs": "EPSG:4326"},
    )
    raster = geoiseg.open_raster(south_up)
    np.testing.assert_allclose(raster.grid.to_crs([(0.5, 0.5)]), [(0, 10)])
    assert raster.grid.transform.e > 0


def test_data_arrays_that_are_no_rasters() -> None:
    xr = needed("xarray")
    ok = np.zeros((3, 4))
    uneven = xr.DataArray(ok, dims=("y", "x"), coords={"y": [0, 1, 5], "x": [0, 1, 2, 3]})
    for bad, says in [
        (xr.DataArray(ok, dims=("a", "b")), "dimension called y"),
        (xr.DataArray(ok[None, None], dims=("time", "band", "y", "x")), "select one time"),
        (uneven, "not evenly spaced"),
        (xr.Dataset({"v": (("y", "x"), ok)}), "choose one of its variables"),
    ]:
        with pytest.raises(RasterError, match=says):
            geoiseg.open_raster(bad)


def test_rotated_and_south_up_files_keep_their_transform(tmp_path: Path) -> None:
    for transform in (
        Affine.translation(5e5, 4e6) @ Affine.rotation(33) @ Affine.scale(2, -2),
        Affine(2, 0, 5e5, 0, 2, 4e6),
        Affine(2, 0.5, 5e5, -0.25, -3, 4e6),
    ):
        random_raster(tmp_path / "a.tif", (1, 30, 40), transform=transform, crs=UTM)
        grid = geoiseg.open_raster(tmp_path / "a.tif").grid
        with rasterio.open(tmp_path / "a.tif") as dataset:
            x, y = dataset.xy(11, 22)
            np.testing.assert_allclose(grid.to_crs([(22.5, 11.5)]), [(x, y)])
            np.testing.assert_allclose(grid.to_pixel([(x, y)]), [(22.5, 11.5)], atol=1e-6)


def test_a_url_is_read_by_ranges(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a server in a process of its own: GDAL opens a file with Python's lock held."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    data = random_raster(
        tmp_path / "a.tif", (3, 2048, 2048), tiled=True, blockxsize=256, blockysize=256
    )
    server = subprocess.Popen(
        [sys.executable, (Path(__file__).parents[1] / "range_server.py"), tmp_path],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        url = f"http://127.0.0.1:{int(server.stdout.readline())}"
        raster = geoiseg.open_raster(f"{url}/a.tif")
        pixels, _ = raster.read(Window(300, 700, 200, 200))
        np.testing.assert_array_equal(pixels, data[:, 300:500, 700:900])
        with urllib.request.urlopen(f"{url}/sent", timeout=20) as answer:
            assert int(answer.read()) < data.nbytes / 4
        with pytest.raises(RasterError, match="can not open"):
            geoiseg.open_raster(f"{url}/none.tif")
    finally:
        server.kill()
        server.wait()


def test_data_arrays_rotated_complex_named_and_with_nodata() -> None:
    xr = needed("xarray")
    turned = Affine.translation(5e5, 4e6) @ Affine.rotation(20) @ Affine.scale(2, -2)
    numbers = " ".join(str(number) for number in turned.to_gdal())
    reference = xr.DataArray(0, attrs={"crs_wkt": rasterio.CRS.from_epsg(32631).to_wkt(),
                                       "GeoTransform": numbers})  # fmt: skip
    values = np.full((4, 8, 9), 7, "int16")
    values[:, 2, 3] = -1
    array = xr.DataArray(
        values,
        dims=("band", "y", "x"),
        coords={"band": ["nir", "blue", "green", "red"], "spatial_ref": reference},
        attrs={"_FillValue": -1},
    )
    raster = geoiseg.open_raster(array)
    assert raster.bands == (4, 3, 2), "by the names of the bands"
    np.testing.assert_allclose(raster.grid.transform, turned)
    assert raster.grid.crs == UTM
    _, valid = raster.read(raster.grid.whole)
    assert not valid[2, 3]
    assert valid.sum() == 71
    coarse, some = raster.read(raster.grid.level(1).whole, 1)
    assert set(np.unique(coarse[:, some])) == {7}, "nodata is not averaged"
    assert raster.source_id == geoiseg.open_raster(array).source_id
    named = array.assign_coords(band=[1, 2, 3, 4]).assign_attrs(long_name=("a", "b", "c", "d"))
    assert geoiseg.open_raster(named).bands == (1, 2, 3)
    wave = xr.DataArray(np.full((3, 4), 3 + 4j), dims=("y", "x"))
    assert (geoiseg.open_raster(wave).read(Window(0, 0, 3, 4))[0] == 5).all()
    assert geoiseg.open_raster(wave).stretch.low[0] < 5
    single = array.isel(x=[0]).assign_coords(x=[5.0], y=np.arange(8.0)).drop_vars("spatial_ref")
    assert geoiseg.open_raster(single).grid.pixel_size == (1, 1)
    with pytest.raises(RasterError, match="size of the pixel is unknown"):
        geoiseg.open_raster(single.isel(y=[3]))
