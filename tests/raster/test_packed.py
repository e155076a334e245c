"""Products in archives and behind STAC items, opened as one raster with nothing unpacked."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

import geoiseg
from geoiseg.errors import RasterError
from geoiseg.raster import Window
from tests.raster.products import SAFE, hls_folder, landsat_folder, plane, s2_safe, write


def packed(folder: Path, kind: str, root: Path, inside: str | None = None) -> Path:
    """Return an archive of a folder, with the folder in it or its files alone."""
    base = folder.parent / f"{folder.name}-packed"
    return Path(shutil.make_archive(str(base), kind, root, inside))


@pytest.fixture(scope="module")
def safe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return s2_safe(tmp_path_factory.mktemp("safe"), 240.0)


@pytest.fixture(scope="module")
def zipped(safe: Path) -> Path:
    return packed(safe, "zip", safe.parent, safe.name)


@pytest.mark.parametrize("form", ["{}", "/vsizip/{}", "/vsizip/{}/" + SAFE, "/vsizip/{{{}}}/" + SAFE,
                                  "/vsizip/{}/" + SAFE + "/MTD_MSIL2A.xml"])  # fmt: skip
def test_a_zipped_safe_is_the_folder(form: str, safe: Path, zipped: Path) -> None:
    there, here = geoiseg.open_raster(form.format(zipped)), geoiseg.open_raster(safe)
    assert there.roles == here.roles
    assert there.grid == here.grid
    bands = ["blue", "swir16", "coastal", "quality"]
    wanted, _ = here.read_bands(here.grid.whole, 0, bands)
    values, valid = there.read_bands(there.grid.whole, 0, bands)
    assert valid.all()
    np.testing.assert_array_equal(values, wanted)


@pytest.mark.parametrize("kind", ["tar", "gztar"])
def test_a_landsat_in_a_tar_is_scaled_by_its_metadata(kind: str, tmp_path: Path) -> None:
    folder = landsat_folder(tmp_path, 360.0)
    there = geoiseg.open_raster(packed(folder, kind, folder))
    here = geoiseg.open_raster(folder)
    assert there.roles == here.roles
    np.testing.assert_array_equal(
        there.read_bands(there.grid.whole, 0, ["nir"])[0],
        here.read_bands(here.grid.whole, 0, ["nir"])[0],
    )


def test_a_zip_of_hls_is_one_raster(tmp_path: Path) -> None:
    folder = hls_folder(tmp_path, "L30", 360.0)
    raster = geoiseg.open_raster(packed(folder, "zip", folder))
    assert raster.roles["nir"] == 5
    assert raster.roles["quality"] == 11


def test_archives_of_other_things(safe: Path, zipped: Path, tmp_path: Path) -> None:
    both = tmp_path / "both.zip"
    shutil.copy(zipped, both)
    with zipfile.ZipFile(both, "a") as archive:
        archive.write(safe / "MTD_MSIL2A.xml", "other.SAFE/MTD_MSIL2A.xml")
    with pytest.raises(RasterError, match="has 2 products") as said:
        geoiseg.open_raster(both)
    path = str(said.value).rpartition("give the path of one, ")[2]
    assert dict(geoiseg.open_raster(path).roles) == dict(geoiseg.open_raster(safe).roles)
    broken = tmp_path / "broken.zip"
    broken.write_bytes(zipped.read_bytes()[:2000])
    with pytest.raises(RasterError, match="can not be read as an archive"):
        geoiseg.open_raster(broken)
    one = write(tmp_path / "one.tif", plane(10, 100, 5), 10)
    with zipfile.ZipFile(tmp_path / "one.zip", "w") as archive:
        archive.write(one, "one.tif")
    assert geoiseg.open_raster(f"/vsizip/{tmp_path}/one.zip/one.tif").grid.shape == (10, 10)


def test_a_tile_of_full_size_is_opened_by_its_headers(tmp_path: Path) -> None:
    safe = s2_safe(tmp_path, 240.0)
    for file in safe.rglob("*.jp2"):
        metres = int(file.stem[-3:-1])
        with rasterio.open(file) as source:
            dtype, count = source.dtypes[0], source.count
        file.unlink()
        side = 109_800 // metres
        with rasterio.open(
            file, "w", driver="GTiff", SPARSE_OK=True, tiled=True, count=count, dtype=dtype,
            width=side, height=side, crs="EPSG:32631",
            transform=Affine(metres, 0, 600_000, 0, -metres, 4_800_000),
        ) as target:  # fmt: skip
            if "_B08_10m" in file.name:
                data = np.full((1, 512, 512), 2600, dtype)
                target.write(data, window=rasterio.windows.Window(5120, 5120, 512, 512))
        assert file.stat().st_size < 2_000_000
    raster = geoiseg.open_raster(safe)
    assert raster.grid.shape == (10_980, 10_980)
    assert len(raster.all_bands) == 12
    values, valid = raster.read_bands(Window(5000, 5000, 1024, 1024), 0, ["nir"])
    assert values[0][valid].max() == pytest.approx(0.16)


def item(folder: Path, assets: dict[str, object], name: str = "item.json") -> Path:
    path = folder / name
    path.write_text(json.dumps({
        "type": "Feature", "stac_version": "1.0.0", "id": "x", "geometry": None, "links": [],
        "properties": {"datetime": "2024-01-01T00:00:00Z"}, "assets": assets,
    }))  # fmt: skip
    return path


def asset(href: str, *common: str, **more: object) -> dict[str, object]:
    bands = [{"name": f"B{n}", "common_name": one} for n, one in enumerate(common, 1)]
    return {"href": href, "roles": ["data"], "eo:bands": bands, **more}


def test_a_stac_item_is_a_stack_of_its_assets(tmp_path: Path) -> None:
    for number, (name, metres) in enumerate((("red", 10), ("nir", 10), ("swir16", 20))):
        write(tmp_path / "a b" / f"{name}.tif", plane(metres, 600, 2000 + 500 * number), metres)
    write(tmp_path / "a b" / "scl.tif", np.full((30, 30), 6, np.uint8), 20)
    write(tmp_path / "a b" / "visual.tif", np.full((3, 60, 60), 9, np.uint8), 10)
    scaled = {"raster:bands": [{"scale": 0.0001, "offset": -0.1}]}
    path = item(tmp_path, {
        "visual": {**asset("a%20b/visual.tif", "red", "green", "blue"), "roles": ["visual"]},
        "scl": {"href": "a%20b/scl.tif", "roles": ["data"]},
        "red": asset("./a%20b/red.tif", "red", **scaled),
        "nir": {**asset("a%20b/nir.tif", "nir", **scaled), "eo:bands": [{
            "name": "B8", "common_name": "nir", "center_wavelength": 0.842}]},
        "nir-jp2": asset("a%20b/nir.jp2", "nir", **scaled),
        "swir16": {"href": "a%20b/swir16.tif", "bands": [{"name": "B11",
                   "eo:common_name": "swir16", "raster:scale": 0.0001, "raster:offset": -0.1}]},
        "thumbnail": {"href": "a.jpg", "roles": ["thumbnail"]},
    })  # fmt: skip
    raster = geoiseg.open_raster(path)
    assert dict(raster.roles) == {"red": 1, "nir": 2, "swir16": 3, "quality": 4}
    assert raster.role_sources["nir"] == "STAC item item.json"
    assert raster.wavelengths[2] == 0.842
    values, _ = raster.read_bands(raster.grid.whole, 0, ["red", "nir", "swir16", "quality"])
    east = (np.arange(60) + 0.5) * 10
    for place, first in enumerate((2000, 2500, 3000)):
        wanted = (first + east / 10) / 10_000 - 0.1
        assert np.abs(values[place] - wanted)[:, 3:-3].max() < 1.1e-4
    assert (values[3] == 6).all()


def test_an_item_of_one_file_has_all_of_its_bands(tmp_path: Path) -> None:
    data = np.stack([plane(1, 50, 20 * n, "uint8") for n in range(4)])
    write(tmp_path / "naip.tif", data, 1)
    path = item(tmp_path, {"image": asset("naip.tif", "red", "green", "blue", "nir")}, "naip.json")
    assert dict(geoiseg.open_raster(path).roles) == {"red": 1, "green": 2, "blue": 3, "nir": 4}


def test_an_item_without_bands_and_a_missing_file_are_said(tmp_path: Path) -> None:
    with pytest.raises(RasterError, match="without assets of bands"):
        geoiseg.open_raster(item(tmp_path, {"info": {"href": "a.txt"}}))
    with pytest.raises(RasterError, match=r"gone\.tif can not be opened as a band"):
        geoiseg.open_raster(item(tmp_path, {"red": asset("gone.tif", "red")}))
    (tmp_path / "plain.json").write_text("{}")
    with pytest.raises(RasterError, match="can not open"):
        geoiseg.open_raster(tmp_path / "plain.json")
