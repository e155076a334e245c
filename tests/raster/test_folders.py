"""Products that are folders, and lists of files, opened as one raster."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import rasterio

import geoiseg
from geoiseg.errors import GeoisegError
from tests.raster.products import (
    S2_BANDS,
    hls_folder,
    landsat_folder,
    plane,
    planet_scene,
    s2_safe,
    write,
)

S2_ROLES = {
    "coastal": 1, "blue": 2, "green": 3, "red": 4, "rededge1": 5, "rededge2": 6, "rededge3": 7,
    "nir": 8, "nir08": 9, "nir09": 10, "swir16": 11, "swir22": 12, "quality": 13,
}  # fmt: skip


@pytest.fixture(scope="module")
def safe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return s2_safe(tmp_path_factory.mktemp("safe"))


def test_a_safe_folder_is_one_raster_on_its_finest_grid(safe: Path) -> None:
    raster = geoiseg.open_raster(safe)
    assert dict(raster.roles) == S2_ROLES
    assert raster.grid.shape == (120, 120)
    assert raster.grid.pixel_size == (10, 10)
    assert raster.grid.crs.to_epsg() == 32631
    assert raster.bands == (4, 3, 2)
    assert raster.name == str(safe)
    assert "quality" not in raster.all_bands
    assert len(raster.all_bands) == 12
    assert raster.role_sources["nir"] == "Sentinel-2 L2A B08"
    assert raster.wavelengths[12] == pytest.approx(2.2024)


def test_bands_of_a_safe_folder_are_reflectances_in_place(safe: Path) -> None:
    raster = geoiseg.open_raster(safe)
    whole = raster.grid.whole
    values, valid = raster.read_bands(whole, 0, ["blue", "swir16", "coastal", "quality"])
    assert valid.all()
    east = (np.arange(120) + 0.5) * 10
    inner = slice(3, -3)  # at the border a coarser pixel has no neighbour to go between
    for place, code in enumerate(("B02", "B11", "B01")):
        number = list(S2_BANDS).index(code)
        wanted = (2000 + 100 * number + east / 10 - 1000) / 10_000
        off = np.abs(values[place] - wanted)
        assert off[:, inner].max() <= 1.01e-4, code  # numbers are whole
    assert (values[3] == 6).all()
    coarse, _ = raster.read_bands(raster.grid.level(2).whole, 2, ["swir16"])
    np.testing.assert_allclose(coarse.mean(), values[1].mean(), atol=1e-4)


def test_indices_need_no_more_than_the_folder(safe: Path) -> None:
    raster = geoiseg.open_raster(safe, "swir16,nir,mndwi")
    assert raster.bands == (11, 8, "mndwi")
    data, valid = raster.read(raster.grid.whole)
    values, _ = raster.read_bands(raster.grid.whole, 0, ["green", "swir16"])
    np.testing.assert_allclose(
        data[2], (values[0] - values[1]) / (values[0] + values[1]), atol=1e-6
    )
    other = pickle.loads(pickle.dumps(raster))
    assert other.source_id == raster.source_id
    np.testing.assert_array_equal(other.read(raster.grid.whole)[0], data)
    assert valid.all()


def test_the_metadata_of_a_product_opens_the_whole(safe: Path) -> None:
    raster = geoiseg.open_raster(safe / "MTD_MSIL2A.xml")
    assert dict(raster.roles) == S2_ROLES


def test_a_single_band_of_a_product_is_known_by_its_name(safe: Path) -> None:
    file = next(safe.rglob("*_B8A_20m.jp2"))
    raster = geoiseg.open_raster(file)
    assert dict(raster.roles) == {"nir08": 1}
    assert raster.read_bands(raster.grid.whole, 0, ["nir"])[0].shape == (1, 60, 60)


def test_a_landsat_folder_is_scaled_as_its_metadata_says(tmp_path: Path) -> None:
    folder = landsat_folder(tmp_path)
    raster = geoiseg.open_raster(folder)
    assert dict(raster.roles) == {
        "coastal": 1, "blue": 2, "green": 3, "red": 4, "nir08": 5, "swir16": 6, "swir22": 7,
        "thermal": 8, "quality": 9,
    }  # fmt: skip
    assert raster.bands == (4, 3, 2)
    values, valid = raster.read_bands(raster.grid.whole, 0, ["nir", "thermal"])
    assert valid.all()
    numbers = plane(30, 1200, 8000 + 2500)
    np.testing.assert_allclose(values[0], numbers * 2.75e-05 - 0.2, atol=1e-6)
    np.testing.assert_allclose(
        values[1], plane(30, 1200, 44000) * 0.00341802 + 149.0, rtol=1e-6
    )  # kelvin
    by_file = geoiseg.open_raster(next(folder.glob("*_MTL.txt")))
    assert dict(by_file.roles) == dict(raster.roles)


@pytest.mark.parametrize(
    ("product", "roles"),
    [
        ("S30", {"nir": 8, "nir08": 9, "cirrus": 11, "swir16": 12, "swir22": 13, "rededge1": 5}),
        ("L30", {"nir08": 5, "swir16": 6, "swir22": 7, "cirrus": 8, "thermal": 9, "lwir12": 10}),
    ],
)
def test_a_folder_of_hls_is_one_raster(product: str, roles: dict[str, int], tmp_path: Path) -> None:
    raster = geoiseg.open_raster(hls_folder(tmp_path, product))
    # files come in the order of their names, where B8A stands after B12 and Fmask last
    for role in roles:
        code = {"S30": {"nir": "B08", "nir08": "B8A", "cirrus": "B10", "swir16": "B11",
                        "swir22": "B12", "rededge1": "B05"},
                "L30": {"nir08": "B05", "swir16": "B06", "swir22": "B07", "cirrus": "B09",
                        "thermal": "B10", "lwir12": "B11"}}[product][role]  # fmt: skip
        assert raster.facts[raster.roles[role] - 1].name == code
    assert raster.bands == (4, 3, 2)
    values, _ = raster.read_bands(raster.grid.whole, 0, ["blue"])
    np.testing.assert_allclose(values[0], plane(30, 900, 1100) * 1e-4, atol=1e-6)
    assert "quality" in raster.roles


def test_a_list_of_files_is_one_raster(tmp_path: Path) -> None:
    files = [
        write(tmp_path / "scene_red.tif", plane(10, 600, 300), 10),
        write(tmp_path / "scene_nir.tif", plane(10, 600, 900), 10),
        write(tmp_path / "scene_swir16.tif", plane(20, 600, 500), 20),
    ]
    raster = geoiseg.open_raster(files)
    assert dict(raster.roles) == {"red": 1, "nir": 2, "swir16": 3}
    assert raster.grid.shape == (60, 60)
    values, _ = raster.read_bands(raster.grid.whole, 0, ["nir", "ndmi"])
    np.testing.assert_array_equal(values[0], plane(10, 600, 900))
    again = geoiseg.open_raster(raster.name)  # its name opens it again
    assert again.source_id == raster.source_id


def test_several_bands_in_a_file_of_a_list_are_all_there(tmp_path: Path) -> None:
    two = write(tmp_path / "two.tif", np.stack([plane(10, 600, 1), plane(10, 600, 2)]), 10)
    one = write(tmp_path / "one.tif", plane(10, 600, 3), 10)
    raster = geoiseg.open_raster([two, one], {"nir": 2, "red": 1})
    assert raster.count == 3
    np.testing.assert_array_equal(
        raster.read_bands(raster.grid.whole, 0, ["nir"])[0][0], plane(10, 600, 2)
    )


def other_crs(tmp_path: Path) -> list[Path]:
    return [write(tmp_path / "a_red.tif", plane(10, 600, 3), 10),
            write(tmp_path / "b_nir.tif", plane(10, 600, 3), 10, crs="EPSG:32632")]  # fmt: skip


def other_size(tmp_path: Path) -> list[Path]:
    return [write(tmp_path / "a_red.tif", plane(10, 600, 3), 10),
            write(tmp_path / "b_nir.tif", plane(10, 900, 3), 10)]  # fmt: skip


def twice(tmp_path: Path) -> list[Path]:
    return [write(tmp_path / "x" / "a_nir.tif", plane(10, 600, 3), 10),
            write(tmp_path / "y" / "a_nir.tif", plane(10, 600, 3), 10)]  # fmt: skip


def gone(tmp_path: Path) -> list[Path]:
    return [write(tmp_path / "a_red.tif", plane(10, 600, 3), 10), tmp_path / "gone.tif"]


@pytest.mark.parametrize(
    ("make", "says"),
    [(other_crs, ("b_nir.tif", "EPSG:32632", "EPSG:32631", "gdalwarp")),
     (other_size, ("a_red.tif", "other ground", "90 x 90", "b_nir.tif")),
     (twice, ("both band nir", "give one")),
     (gone, ("gone.tif",))],
)  # fmt: skip
def test_files_that_make_no_raster_are_said_in_one_line(
    make: object, says: tuple[str, ...], tmp_path: Path
) -> None:
    with pytest.raises(GeoisegError) as error:
        geoiseg.open_raster(make(tmp_path))
    message = str(error.value)
    assert "\n" not in message
    for part in says:
        assert part in message


def test_a_broken_product_says_what_is_missing(safe: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / safe.name
    shutil.copytree(safe, copy)
    (copy / "MTD_MSIL2A.xml").write_text("<half", encoding="utf-8")
    with pytest.raises(GeoisegError, match=r"MTD_MSIL2A.xml can not be read"):
        geoiseg.open_raster(copy)
    shutil.copy(safe / "MTD_MSIL2A.xml", copy)
    shutil.rmtree(next(copy.glob("GRANULE/*")))
    with pytest.raises(GeoisegError, match="0 granules"):
        geoiseg.open_raster(copy)


def test_overviews_of_the_files_are_those_of_the_whole(tmp_path: Path) -> None:
    files = []
    for name, metres in (("red", 10), ("green", 10), ("blue", 10), ("swir16", 20)):
        path = write(tmp_path / f"s_{name}.tif", plane(metres, 20_480, 200), metres, tiled=True,
                     blockxsize=256, blockysize=256)  # fmt: skip
        with rasterio.open(path, "r+") as target:
            target.build_overviews([2, 4, 8])
        files.append(path)
    raster = geoiseg.open_raster(files)
    assert raster.overview_factor >= 4
    assert raster.bands == (1, 2, 3)


def test_planet_scenes_are_scaled_by_their_metadata(tmp_path: Path) -> None:
    path = planet_scene(tmp_path)
    raster = geoiseg.open_raster(path)
    assert dict(raster.roles) == {"blue": 1, "green": 2, "red": 3, "nir": 4}
    assert raster.bands == (3, 2, 1)
    values, _ = raster.read_bands(raster.grid.whole, 0, ["nir"])
    with rasterio.open(path) as data:
        np.testing.assert_allclose(values[0], data.read(4) * 2.4e-5, rtol=1e-5)
