"""What bands are, from every place where it may be said, and where it was found."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio

import geoiseg
from geoiseg.errors import RasterError
from tests.conftest import needed, write_raster
from tests.raster.products import planet_scene

xarray = needed("xarray")


def blank(path: Path, count: int, dtype: str = "uint16", **profile: object) -> Path:
    data = np.arange(count, dtype=dtype)[:, None, None] * np.ones((1, 32, 32), dtype) + 5
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_raster(path, data.astype(dtype), **profile)


def described(path: Path, *names: str) -> Path:
    blank(path, len(names))
    with rasterio.open(path, "r+") as target:
        target.descriptions = names
    return path


@pytest.mark.parametrize(
    ("names", "roles"),
    [
        (("B02", "B03", "B04", "B08", "B8A", "B11", "B12"),
         ("blue", "green", "red", "nir", "nir08", "swir16", "swir22")),
        (("B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A"),
         ("coastal", "blue", "green", "red", "rededge1", "rededge2", "rededge3", "nir", "nir08")),
        (("SR_B1", "SR_B2", "SR_B3", "SR_B4", "SR_B5", "SR_B6", "SR_B7"),
         ("coastal", "blue", "green", "red", "nir08", "swir16", "swir22")),
        (("red", "Near Infrared", "Red Edge 1", "SWIR 1", "swir22"),
         ("red", "nir", "rededge1", "swir16", "swir22")),
        (("nir", "rededge071", "lwir11", "Panchromatic", "coastal"),
         ("nir", "rededge1", "thermal", "pan", "coastal")),
        (("Green (560 nm)", "NIR (0.842 um)", "1610 nm", "elevation"),
         ("green", "nir", "swir16", None)),
        # Landsat 5 and 8 have both, and mean other bands by them
        (("SR_B2", "SR_B3", "SR_B4"), (None, None, None)),
        # HLS of Landsat and Sentinel-2 mean the same by the first three alone
        (("B02", "B03", "B04", "B05"), ("blue", "green", "red", None)),
        # flags are known by name, and tell whose codes the others are
        (("B3", "B8", "SCL"), ("green", "nir", "quality")),
        (("SR_B3", "SR_B5", "QA_PIXEL"), (None, None, "quality")),
        (("B03", "B04", "Fmask"), ("green", "red", "quality")),
        (("nir", "fmask"), ("nir", "quality")),
        (("Band 1", "Band 2", "Band 4"), (None, None, None)),
        (("ndvi", "water", "depth"), (None, None, None)),
    ],
)  # fmt: skip
def test_descriptions_say_what_bands_are(
    names: tuple[str, ...], roles: tuple[str | None, ...], tmp_path: Path
) -> None:
    raster = geoiseg.open_raster(described(tmp_path / "x.tif", *names))
    assert [raster.roles.role_of(n) for n in range(1, len(names) + 1)] == list(roles)
    for role, source in raster.role_sources.items():
        number = raster.roles[role]
        assert source in (f"description {names[number - 1]!r}", source)
        assert source.startswith(("description", "wavelength"))


def test_colour_interpretation_says_what_bands_are(tmp_path: Path) -> None:
    from rasterio.enums import ColorInterp

    path = blank(tmp_path / "x.tif", 5, "uint8", photometric="MINISBLACK")
    kinds = [getattr(ColorInterp, name, None) for name in ("blue", "red", "green")]
    with rasterio.open(path, "r+") as target:
        target.colorinterp = [*kinds, ColorInterp.undefined, ColorInterp.alpha]
    raster = geoiseg.open_raster(path)
    assert dict(raster.roles) == {"blue": 1, "red": 2, "green": 3}
    assert set(raster.role_sources.values()) == {"colour interpretation"}
    assert raster.all_bands == ("blue", "red", "green", "band4")


def test_a_band_of_data_that_is_tagged_as_alpha_is_no_mask(tmp_path: Path) -> None:
    data = np.full((4, 32, 32), 90, np.uint8)
    data[3, :16] = 0  # water in the infrared
    path = write_raster(tmp_path / "x.tif", data, photometric="RGB", alpha="yes")
    with rasterio.open(path, "r+") as target:
        target.descriptions = ("red", "green", "blue", "nir")
    raster = geoiseg.open_raster(path)
    assert raster.roles["nir"] == 4
    assert raster.all_bands == ("red", "green", "blue", "nir")
    assert raster.read(raster.grid.whole)[1].all()
    assert raster.read_bands(raster.grid.whole, 0, ["nir"])[1].all()


def test_gdal_calls_infrared_by_name(tmp_path: Path) -> None:
    path = blank(tmp_path / "x.tif", 2)
    vrt = tmp_path / "x.vrt"
    vrt.write_text(
        '<VRTDataset rasterXSize="32" rasterYSize="32">'
        "<GeoTransform>500000, 2, 0, 4500000, 0, -2</GeoTransform>"
        + "".join(
            f'<VRTRasterBand dataType="UInt16" band="{n}"><ColorInterp>{kind}</ColorInterp>'
            f"<SimpleSource><SourceFilename>{path}</SourceFilename><SourceBand>{n}</SourceBand>"
            "</SimpleSource></VRTRasterBand>"
            for n, kind in ((1, "NIR"), (2, "SWIR"))
        )
        + "</VRTDataset>"
    )
    raster = geoiseg.open_raster(vrt)
    assert dict(raster.roles) == {"nir": 1, "swir16": 2}


def test_names_of_bands_go_before_colours_that_every_writer_gives(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "x.tif", np.full((3, 32, 32), 9, np.uint8), photometric="RGB")
    with rasterio.open(path, "r+") as target:
        target.descriptions = ("B08", "B04", "B03")
    raster = geoiseg.open_raster(path)
    assert dict(raster.roles) == {"nir": 1, "red": 2, "green": 3}


def test_envi_headers_say_wavelengths(tmp_path: Path) -> None:
    centres = (443.0, 482.0, 561.0, 655.0, 865.0, 1609.0, 2201.0)
    path = blank(tmp_path / "x.img", 7, driver="ENVI")
    header = path.with_suffix(".hdr")
    header.write_text(
        header.read_text() + "\nwavelength units = Nanometers\nwavelength = {"
        + ", ".join(map(str, centres)) + "}\n"
    )  # fmt: skip
    raster = geoiseg.open_raster(path)
    assert dict(raster.roles) == {
        "coastal": 1, "blue": 2, "green": 3, "red": 4, "nir08": 5, "swir16": 6, "swir22": 7,
    }  # fmt: skip
    assert raster.role_sources["nir08"] == "wavelength 0.865 µm"
    assert raster.wavelengths[7] == pytest.approx(2.201)
    assert raster.bands == (4, 3, 2)  # the picture is a natural one, though no colour is named


def test_of_many_narrow_bands_the_nearest_has_the_role(tmp_path: Path) -> None:
    centres = np.arange(0.40, 2.40, 0.02)
    path = blank(tmp_path / "h.tif", len(centres))
    with rasterio.open(path, "r+") as target:
        for number, centre in enumerate(centres, 1):
            target.update_tags(number, ns="IMAGERY", CENTRAL_WAVELENGTH_UM=f"{centre:.3f}")
    raster = geoiseg.open_raster(path)
    for role, centre in (("red", 0.66), ("green", 0.567), ("nir", 0.828), ("swir16", 1.65)):
        assert raster.wavelengths[raster.roles[role]] == pytest.approx(centre, abs=0.0151)
    assert len(raster.all_bands) == len(centres)


def stac_item(href: str, bands: list[dict[str, object]], new: bool) -> str:
    asset: dict[str, object] = {"href": href, "type": "image/tiff; application=geotiff"}
    if new:  # 1.1
        asset["bands"] = [
            {"name": one["name"], "eo:common_name": one["role"],
             "eo:center_wavelength": one["centre"], "raster:scale": 0.0001}
            for one in bands
        ]  # fmt: skip
    else:
        asset["eo:bands"] = [
            {"name": one["name"], "common_name": one["role"], "center_wavelength": one["centre"]}
            for one in bands
        ]
        asset["raster:bands"] = [{"scale": 0.0001, "offset": 0}] * len(bands)
    return json.dumps(
        {"type": "Feature", "stac_version": "1.1.0" if new else "1.0.0", "id": "scene",
         "properties": {}, "geometry": None, "links": [],
         "assets": {"thumbnail": {"href": "t.png"}, "image": asset}}
    )  # fmt: skip


ITEM_BANDS = [
    {"name": "one", "role": "green", "centre": 0.56},
    {"name": "two", "role": "nir08", "centre": 0.865},
    {"name": "three", "role": "swir16", "centre": 1.61},
]


@pytest.mark.parametrize("new", [False, True])
@pytest.mark.parametrize("place", ["beside", "item.json", "tag"])
def test_a_stac_item_says_what_bands_are(new: bool, place: str, tmp_path: Path) -> None:
    path = blank(tmp_path / "scene.tif", 3)
    item = stac_item("https://example.org/data/scene.tif?sig=x", ITEM_BANDS, new)
    if place == "tag":
        with rasterio.open(path, "r+") as target:
            target.update_tags(STAC_ITEM=item)
    else:
        (tmp_path / ("scene.json" if place == "beside" else place)).write_text(item)
    raster = geoiseg.open_raster(path)
    assert dict(raster.roles) == {"green": 1, "nir08": 2, "swir16": 3}
    assert raster.wavelengths == {1: 0.56, 2: 0.865, 3: 1.61}
    assert raster.scaling(2) == (0.0001, 0.0)
    values, _ = raster.read_bands(raster.grid.whole, 0, ["nir", "mndwi"])
    assert values[0, 0, 0] == pytest.approx(6e-4)
    assert values[1, 0, 0] == pytest.approx((5 - 7) / (5 + 7))


def test_an_item_of_another_file_says_nothing(tmp_path: Path) -> None:
    path = blank(tmp_path / "scene.tif", 3)
    (tmp_path / "scene.json").write_text(stac_item("other.tif", ITEM_BANDS, new=True))
    assert dict(geoiseg.open_raster(path).roles) == {}
    (tmp_path / "scene.json").write_text("{not json")
    assert dict(geoiseg.open_raster(path).roles) == {}


@pytest.mark.parametrize(
    ("name", "count", "roles"),
    [
        ("m_4207244_nw_18_060_20210914.tif", 4, ["red", "green", "blue", "nir"]),
        ("20220312_103015_40_2413_3B_AnalyticMS_SR.tif", 4, ["blue", "green", "red", "nir"]),
        ("20220312_103015_40_2413_3B_AnalyticMS_SR_8b.tif", 8,
         ["coastal", "blue", "green05", "green", "yellow", "red", "rededge1", "nir"]),
        ("S2A_MSIL2A_20220312T103709_N0400_R008_T31TGJ_20220312T134218.tif", 12,
         ["coastal", "blue", "green", "red", "rededge1", "rededge2", "rededge3", "nir", "nir08",
          "nir09", "swir16", "swir22"]),
        ("LE07_L2SP_199029_20210714_20210721_02_T1.tif", 6,
         ["blue", "green", "red", "nir08", "swir16", "swir22"]),
        ("LC08_L2SP_199029_20210714_20210721_02_T1_SR_B5.TIF", 1, ["nir08"]),
        ("LT05_L2SP_199029_20010714_20210721_02_T1_SR_B5.TIF", 1, ["swir16"]),
        ("HLS.L30.T31TGJ.2022071T103709.v2.0.B05.tif", 1, ["nir08"]),
        ("HLS.S30.T31TGJ.2022071T103709.v2.0.B05.tif", 1, ["rededge1"]),
        ("T31TGJ_20220312T103709_B11_20m.tif", 1, ["swir16"]),
        ("four.tif", 4, [None] * 4),  # the number of bands says nothing
        ("S2A_MSIL2A_20220312T103709_N0400_R008_T31TGJ.tif", 5, [None] * 5),
    ],
)  # fmt: skip
def test_names_of_products_say_what_bands_are(
    name: str, count: int, roles: list[str | None], tmp_path: Path
) -> None:
    raster = geoiseg.open_raster(blank(tmp_path / name, count, photometric="MINISBLACK"))
    assert [raster.roles.role_of(n) for n in range(1, count + 1)] == roles


def test_naip_keeps_the_colours_of_its_file(tmp_path: Path) -> None:
    path = blank(tmp_path / "m_4207244_nw_18_060_20210914.tif", 4, "uint8", photometric="RGB")
    raster = geoiseg.open_raster(path)
    assert dict(raster.roles) == {"red": 1, "green": 2, "blue": 3, "nir": 4}
    assert raster.role_sources == {
        "red": "colour interpretation", "green": "colour interpretation",
        "blue": "colour interpretation", "nir": "NAIP nir",
    }  # fmt: skip


@pytest.mark.parametrize("surface", [False, True])
def test_planets_own_metadata_has_the_eight_bands_in_order(surface: bool, tmp_path: Path) -> None:
    raster = geoiseg.open_raster(planet_scene(tmp_path, 8, surface))
    assert list(raster.roles) == [
        "coastal", "blue", "green05", "green", "yellow", "red", "rededge1", "nir",
    ]  # fmt: skip
    assert raster.scaling(8) == (pytest.approx(1e-4 if surface else 2.8e-5), 0.0)
    assert "metadata.xml" in raster.role_sources["nir"]
    assert raster.bands == (6, 4, 2)


def test_the_user_goes_first(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = described(tmp_path / "x.tif", "B02", "B03", "B04", "B08")
    raster = geoiseg.open_raster(path, {"swir16": 4})
    assert dict(raster.roles) == {"blue": 1, "green": 2, "red": 3, "swir16": 4}
    assert raster.role_sources["swir16"] == "you"
    said = [one.getMessage() for one in caplog.records]
    assert len(said) == 1
    assert "band 4 is swir16 as you say" in said[0]
    assert "'B08' says nir" in said[0]
    assert "\n" not in said[0]


def test_a_text_says_it_too(tmp_path: Path) -> None:
    path = blank(tmp_path / "x.tif", 4)
    by_text = geoiseg.open_raster(path, "nir=4,red=3,green=2")
    assert dict(by_text.roles) == {"green": 2, "red": 3, "nir": 4}
    assert by_text.bands == (4, 3, 2)  # infrared is the first picture that they make
    in_order = geoiseg.open_raster(path, "blue,green,red,nir")
    assert dict(in_order.roles) == {"blue": 1, "green": 2, "red": 3, "nir": 4}
    assert in_order.bands == (3, 2, 1)
    both = geoiseg.open_raster(path, "nir=4,green=2,ndwi")
    assert both.bands == ("ndwi",)


@pytest.mark.parametrize(
    ("sensor", "count", "roles"),
    [
        ("sentinel-2-l2a", 12, {"nir": 8, "swir16": 11, "swir22": 12}),
        ("sentinel-2-l1c", 13, {"nir": 8, "cirrus": 11, "swir16": 12}),
        ("landsat-8", 7, {"nir08": 5, "swir16": 6}),
        ("landsat-9", 7, {"nir08": 5}),
        ("landsat-7", 6, {"nir08": 4, "swir16": 5, "swir22": 6}),
        ("landsat-5", 7, {"thermal": 6, "swir22": 7}),
        ("naip", 4, {"red": 1, "nir": 4}),
        ("planetscope", 4, {"blue": 1, "nir": 4}),
        ("hls-l30", 10, {"nir08": 5, "thermal": 9}),
    ],
)
def test_a_sensor_says_what_bands_without_names_are(
    sensor: str, count: int, roles: dict[str, int], tmp_path: Path
) -> None:
    path = blank(tmp_path / "x.tif", count, photometric="MINISBLACK")
    found = geoiseg.open_raster(path, sensor=sensor).roles
    assert roles.items() <= dict(found).items()
    assert len(found) == count


def test_a_sensor_makes_codes_clear(tmp_path: Path) -> None:
    path = described(tmp_path / "x.tif", "SR_B2", "SR_B3", "SR_B4")
    tm = geoiseg.open_raster(path, sensor="landsat-5")
    assert dict(tm.roles) == {"green": 1, "red": 2, "nir08": 3}
    oli = geoiseg.open_raster(path, sensor="landsat-8")
    assert dict(oli.roles) == {"blue": 1, "green": 2, "red": 3}


def test_arrays_say_it_by_their_coordinates() -> None:
    data = np.ones((3, 16, 16), np.float32)
    array = xarray.DataArray(
        data, dims=("band", "y", "x"),
        coords={"band": ["a", "b", "c"], "common_name": ("band", ["green", "nir", "swir16"]),
                "center_wavelength": ("band", [560.0, 842.0, 1610.0], {"units": "nm"})},
    )  # fmt: skip
    raster = geoiseg.open_raster(array)
    assert dict(raster.roles) == {"green": 1, "nir": 2, "swir16": 3}
    assert raster.role_sources["nir"] == "coordinate common_name"
    assert raster.wavelengths == {1: 0.56, 2: 0.842, 3: 1.61}


@pytest.mark.parametrize(
    ("bands", "sensor", "says"),
    [
        ({"nir": 9}, None, "nir is said to be band 9, but there are 1 to 4"),
        ({"infra": 1}, None, "'infra' is no role of a band"),
        ("nir=1,nir=2", None, "bands 1 and 2 are both said to be nir"),
        ("nir=1,red=1", None, "band 1 is said to be both nir and red"),
        ("blue,green,nir,nir", None, "bands 3 and 4 are both said to be nir"),
        (None, "sentinel-2-l2a", "has 4 bands without names, and Sentinel-2 L2A has 12 or 13"),
        (None, "sentinel-9", "there is no sensor 'sentinel-9'; known are: sentinel-2-l2a"),
        ("nir=4,ndwi,red,green", None, "ndwi needs green"),
        ("nir=4,red=3,natural", None, "has not the bands of natural"),
        ("1,,2", None, "between them"),
        ("1,2", None, "one or three numbers"),
        ("nir=2,ndvi", None, "ndvi needs red, which is not known"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_said_in_one_line(
    bands: object, sensor: str | None, says: str, tmp_path: Path
) -> None:
    path = blank(tmp_path / "x.tif", 4, photometric="MINISBLACK")
    with pytest.raises(RasterError) as error:
        geoiseg.open_raster(path, bands, sensor=sensor)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_two_bands_of_one_name_are_left_unknown(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    raster = geoiseg.open_raster(described(tmp_path / "x.tif", "nir", "nir", "red"))
    assert dict(raster.roles) == {"red": 3}
    message = caplog.records[0].getMessage()
    assert "bands 1 and 2 are both nir by their description" in message
    assert "bands={'nir': 1}" in message
