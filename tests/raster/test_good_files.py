"""Files that are good are read, each as GDAL reads it; what can not be is said in one line."""

from __future__ import annotations

import shutil
import tarfile
import zipfile
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
import xarray as xr
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.shutil import copy

import geoiseg
from geoiseg.errors import GeoreferenceError, RasterError, VectorError
from geoiseg.files import list_layers, read_frame, read_layer
from geoiseg.raster import part_name
from geoiseg.tiled.prompt_file import read_prompts
from tests.conftest import write_raster

ALONG_PIXELS = geoiseg.OutlineOptions(line="pixels")
UTM = Affine(10, 0, 500_000, 0, -10, 5_000_000)
BAND = (
    '<VRTRasterBand dataType="{}" band="{}">{}<SimpleSource><SourceFilename relativeToVRT="1">{}'
    "</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand>"
)
NAMES = {"uint8": "Byte", "uint16": "UInt16", "int16": "Int16", "float32": "Float32",
         "float64": "Float64", "int32": "Int32"}  # fmt: skip


def stack(folder: Path, types: tuple[str, ...], nodata: tuple[object, ...]) -> Path:
    """Write bands of several types and their VRT."""
    bands = []
    for number, (name, none) in enumerate(zip(types, nodata, strict=True), 1):
        pixels = (np.arange(64 * 64).reshape(1, 64, 64) % 200 + number).astype(name)
        if none is not None:
            pixels[0, : 4 * number] = none
        write_raster(folder / f"{number}.tif", pixels, transform=UTM)
        said = "" if none is None else f"<NoDataValue>{none}</NoDataValue>"
        bands.append(BAND.format(NAMES[name], number, said, f"{number}.tif"))
    path = folder / "stack.vrt"
    path.write_text(
        '<VRTDataset rasterXSize="64" rasterYSize="64"><SRS>EPSG:32631</SRS><GeoTransform>'
        f"500000,10,0,5000000,0,-10</GeoTransform>{''.join(bands)}</VRTDataset>"
    )
    return path


@pytest.mark.parametrize(
    ("types", "nodata", "held"),
    [
        (("uint8", "uint16", "float32"), (None, None, None), "float32"),
        (("uint8", "int16", "uint16"), (None, None, None), "int32"),
        (("int32", "float32", "uint8"), (None, None, None), "float64"),
        (("uint8", "uint16", "float32"), (0, 65535, "nan"), "float32"),
        (("uint8", "uint8", "uint8"), (0, 255, 1), "uint8"),
        (("float32", "float64", "float32"), ("nan", "nan", "nan"), "float64"),
    ],
)
def test_bands_of_several_types_and_nodata(types, nodata, held, tmp_path: Path) -> None:
    path = stack(tmp_path, types, nodata)
    raster = geoiseg.open_raster(path)
    assert (raster.dtype, raster.bands) == (held, (1, 2, 3))
    data, valid = raster.read(raster.grid.whole)
    with rasterio.open(path) as dataset:
        masks = np.array([dataset.read_masks(band) > 0 for band in (1, 2, 3)])
        for band in (1, 2, 3):
            np.testing.assert_array_equal(data[band - 1], dataset.read(band).astype(held))
    finite = np.isfinite(data.astype(float)).all(axis=0)
    np.testing.assert_array_equal(valid, masks.any(axis=0) & finite)
    assert raster.chip(raster.grid.whole).rgb[valid].std() > 10


CORNERS = ((0, 0), (0, 64), (64, 0), (64, 64))


@pytest.mark.parametrize("crs", ["EPSG:32631", None])
@pytest.mark.parametrize("at", [CORNERS, CORNERS[:2], ((0, 0), (32, 32), (64, 64)), CORNERS[:1]])
def test_control_points_place_a_raster_or_are_refused(crs, at, tmp_path: Path) -> None:
    points = [GroundControlPoint(r, c, 500_000 + c * 10, 5_000_000 - r * 10) for r, c in at]
    profile = {"driver": "GTiff", "count": 3, "height": 64, "width": 64, "dtype": "uint8"}
    with rasterio.open(
        tmp_path / "g.tif", "w", gcps=points, crs=crs or CRS(), **profile
    ) as dataset:
        dataset.write(np.full((3, 64, 64), 7, "uint8"))
    try:
        raster = geoiseg.open_raster(tmp_path / "g.tif")
        assert raster.read(raster.grid.whole)[0].max() == 7
    except (GeoreferenceError, RasterError):
        assert at != CORNERS
        return
    assert raster.count == 3
    if at == CORNERS and crs:
        assert raster.grid.bounds == pytest.approx((500_000, 4_999_360, 500_640, 5_000_000))


@pytest.mark.parametrize("dtype", ["float64", "int32", "uint32", "int64", "uint64"])
@pytest.mark.parametrize("offset", [0, 2**30, 2**31 - 1000])
def test_large_offsets_cost_no_contrast(dtype, offset, tmp_path: Path) -> None:
    small = np.tile(np.arange(256, dtype=dtype), (256, 1))[None]
    path = write_raster(tmp_path / "a.tif", small + np.array(offset, dtype), transform=UTM)
    near = geoiseg.open_raster(write_raster(tmp_path / "b.tif", small, transform=UTM))
    far = geoiseg.open_raster(path)
    window = far.grid.whole
    np.testing.assert_array_equal(far.chip(window).rgb, near.chip(window).rgb)
    assert len(np.unique(far.chip(window).rgb)) > 240


@pytest.mark.parametrize("dtype", ["int8", "complex64", "complex128", "complex_int16", "float16"])
def test_rare_types_are_read(dtype, tmp_path: Path) -> None:
    values = (np.arange(4096).reshape(1, 64, 64) % 100).astype(
        {"complex_int16": "complex64"}.get(dtype, dtype)
    )
    if dtype == "float16":
        raster = geoiseg.open_raster(xr.DataArray(values[0], dims=("y", "x")))
    else:
        profile = {"driver": "GTiff", "count": 1, "height": 64, "width": 64, "dtype": dtype}
        with rasterio.open(tmp_path / "a.tif", "w", transform=UTM, **profile) as dataset:
            dataset.write(values)
        raster = geoiseg.open_raster(tmp_path / "a.tif")
    data, valid = raster.read(raster.grid.whole)
    np.testing.assert_array_equal(data, np.abs(values))
    assert valid.all()
    assert raster.chip(raster.grid.whole).rgb.max() == 255


ATTRIBUTES = [
    {"_FillValue": -9999}, {"missing_value": np.int16(-9999)}, {"nodata": -9999.0},
    {"_FillValue": np.array([-9999], "int16")}, {"missing_value": [-9999, -1]},
    {"_FillValue": -1, "missing_value": -9999}, {"nodatavals": (-9999.0,)},
]  # fmt: skip


@pytest.mark.parametrize("where", ["attrs", "encoding"])
@pytest.mark.parametrize("said", ATTRIBUTES, ids=str)
@pytest.mark.parametrize("dtype", ["int16", "float32", "float64"])
def test_every_name_of_no_data(dtype, said, where) -> None:
    values = np.arange(900, dtype=dtype).reshape(30, 30)
    values[:5] = -9999
    array = xr.DataArray(values, dims=("y", "x"))
    getattr(array, where).update(said)
    raster = geoiseg.open_raster(array)
    np.testing.assert_array_equal(raster.read(raster.grid.whole)[1], values != -9999)
    assert raster.stretch.low[0] > 100


def test_the_packed_nodata_value_of_decoded_numbers_is_not_looked_for() -> None:
    array = xr.DataArray(np.arange(900.0).reshape(30, 30), dims=("y", "x"))
    array.encoding.update(_FillValue=100, scale_factor=0.1)
    raster = geoiseg.open_raster(array)
    assert raster.read(raster.grid.whole)[1].all()


def gridded(x: np.ndarray, y: np.ndarray) -> xr.DataArray:
    array = xr.DataArray(np.ones((len(y), len(x)), "uint8"), dims=("y", "x"))
    return array.assign_coords(x=x, y=y).assign_attrs(crs="EPSG:4326")


def test_coordinates_regular_to_a_hundredth_of_a_pixel_or_to_32_bits() -> None:
    number = np.arange(3000)
    for west, step in ((-120.0, 1 / 3600), (170.0, 0.0001), (10.0, 0.25)):
        exact = gridded(west + step * (number[:1000] + 0.5), 60 - step * (number + 0.5))
        rounded = exact.assign_coords(
            x=exact.x.astype("float32"), y=exact.y.astype("float32").astype("float64")
        )
        ours = geoiseg.open_raster(rounded).grid
        places = ours.to_pixel(geoiseg.open_raster(exact).grid.corners)
        wanted = [(0, 0), (1000, 0), (1000, 3000), (0, 3000)]
        np.testing.assert_allclose(places, wanted, atol=0.05)
    wobbly = 10 + 0.25 * (number[:100] + 0.004 * np.sin(number[:100]))
    assert geoiseg.open_raster(gridded(wobbly, wobbly[::-1])).grid.pixel_size[0] == pytest.approx(
        0.25, rel=1e-3
    )
    uneven = 10 + 0.25 * (number[:100] + 0.05 * np.sin(number[:100] / 9))
    with pytest.raises(RasterError, match="not evenly spaced"):
        geoiseg.open_raster(gridded(uneven, wobbly))
    turned = np.append(np.arange(175, 180, 0.5), np.arange(-180, -175, 0.5)) + 0.25
    assert geoiseg.open_raster(gridded(turned, wobbly[::-1])).grid.bounds[::2] == (175, 185)


def test_one_row_one_column(tmp_path: Path) -> None:
    steps = np.arange(8) * 10.0
    for x, y in ((steps, [5.0]), ([5.0], -steps)):
        grid = geoiseg.open_raster(gridded(np.array(x), np.array(y))).grid
        assert grid.pixel_size == (10, 10)
        assert grid.is_north_up
    for shape in ((1, 1, 40), (1, 40, 1), (1, 1, 1)):
        pixels = np.arange(np.prod(shape), dtype="uint8").reshape(shape)
        raster = geoiseg.open_raster(write_raster(tmp_path / "a.tif", pixels, transform=UTM))
        np.testing.assert_array_equal(raster.read(raster.grid.whole)[0], pixels)
        assert raster.chip(raster.grid.whole).rgb.shape == (*shape[1:], 3)


def test_subdatasets_are_known_again(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    pixels = np.full((3, 64, 64), 40, "uint8")
    pixels[:, 20:40, 20:40] = 200
    write_raster(Path("b.tif"), pixels, transform=UTM)
    copy("b.tif", "b.nc", driver="netCDF")
    copy("b.tif", "b.gpkg", driver="GPKG")
    names = {
        "netcdf:b.nc:Band1": "b.nc", 'NETCDF:"b.nc":Band2': "b.nc", "GPKG:b.gpkg:b": "b.gpkg",
        f"GTIFF_DIR:1:{tmp_path}/b.tif": "b.tif", "vrt://b.tif?bands=3,2,1": "b.tif",
    }  # fmt: skip
    for number, (name, file) in enumerate(names.items()):
        assert Path(part_name(name).path).name == file
        session = geoiseg.Session(name, project=f"{number}.gpkg", model="superpixel-walk")
        session.add_point(500_300, 4_999_700)
        session.accept("a")
        again = geoiseg.Session.load(f"{number}.gpkg")
        assert len(again.features) == 1
        assert again.raster.source_id == session.raster.source_id
        folder = tmp_path / f"moved{number}"
        folder.mkdir()
        shutil.copy(f"{number}.gpkg", folder)
        shutil.move(file, folder)
        moved = geoiseg.Session.load(folder / f"{number}.gpkg")
        assert moved.raster.read(moved.raster.grid.whole)[0].max() == 200
        assert len(moved.features) == 1
        shutil.move(folder / file, file)
    assert part_name("C:/data/a.tif").before == ""
    assert part_name("/vsizip/a.zip/b.tif").path == "/vsizip/a.zip/b.tif"
    assert part_name("https://a.org/b.tif").path == "https://a.org/b.tif"


def test_vector_files_in_archives(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    frame = gpd.GeoDataFrame({"n": [7]}, geometry=[shapely.Point(3, 45)], crs="EPSG:4326")
    for name in ("p.geojson", "p.gpkg", "p.shp"):
        pyogrio.write_dataframe(frame, name)
    with zipfile.ZipFile("one.zip", "w") as archive:
        archive.write("p.geojson", "deep/p.geojson")
        archive.writestr("readme.txt", "hello")
    with zipfile.ZipFile("shape.zip", "w") as archive:
        for part in Path().glob("p.*"):
            if part.suffix in {".shp", ".shx", ".dbf", ".prj"}:
                archive.write(part)
    with zipfile.ZipFile("two.zip", "w") as archive:
        archive.write("p.gpkg")
        archive.write("p.geojson", "other.geojson")
    with tarfile.open("t.tar.gz", "w:gz") as archive:
        archive.add("p.gpkg")
    good = [
        "one.zip", "shape.zip", "shape.zip/p.shp", "two.zip/p.gpkg", "t.tar.gz", "t.tar.gz/p.gpkg",
        "/vsizip/two.zip/other.geojson", f"/vsizip/{tmp_path}/shape.zip/p.shp",
        f"zip://{tmp_path}/two.zip!p.gpkg", "/vsitar/t.tar.gz/p.gpkg",
    ]  # fmt: skip
    for name in good:
        path = Path(name)
        assert len(list_layers(path)) == 1
        for read in (read_frame(path), read_layer(path)):
            assert read["n"].tolist() == [7]
            assert read.geometry[0].equals(shapely.Point(3, 45))
        (found,) = read_prompts(path, "EPSG:4326")
        assert found.steps[0].prompts[0].x == pytest.approx(3)
    with pytest.raises(VectorError, match=r"several vector files; name one: two.zip/"):
        read_frame(Path("two.zip"))
    with pytest.raises(VectorError):
        read_frame(Path("two.zip/none.shp"))


def test_a_picture_lies_where_a_gis_shows_it(tmp_path: Path) -> None:
    """GDAL leaves out the transform of a picture; QGIS puts its top at y = 0."""
    pixels = np.full((3, 128, 128), 60, "uint8")
    pixels[:, 40:90, 30:100] = 180
    pixels += np.random.default_rng(0).integers(0, 8, pixels.shape, dtype="uint8")
    path = write_raster(
        tmp_path / "photo.png", pixels, driver="PNG", crs=None, transform=Affine.identity()
    )
    for x, y in ((65, 65), (65, -65)):
        session = geoiseg.Session(path, project=tmp_path / f"{y}.gpkg", outline=ALONG_PIXELS)
        session.add_point(x, y)
        assert session.geometry.bounds == pytest.approx((30, -90, 100, -40))
        session.accept("a")
    for box in ((28, 38, 102, 92), (28, -92, 102, -38)):
        session.clear()
        session.add_box(*box)
        assert session.geometry.bounds == pytest.approx((30, -90, 100, -40), abs=1)
    out = session.export(tmp_path / "o.gpkg", project=True)
    assert gpd.read_file(out, layer="features").total_bounds == pytest.approx((30, -90, 100, -40))
    with zipfile.ZipFile(tmp_path / "o.qgz") as archive:
        text = archive.read("o.qgs").decode()
    raster = text[text.index('<maplayer type="raster">') :]
    for side, value in (("xmin", 0), ("ymin", -128), ("xmax", 128), ("ymax", 0)):
        assert f"<{side}>{float(value)}</{side}>" in raster
    older = geoiseg.Session.load(tmp_path / "-65.gpkg")
    assert older.features.geometry[0].bounds == pytest.approx((30, -90, 100, -40))
