"""Small products that are laid out, named and tagged as their makers deliver them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
from affine import Affine

UTM = "EPSG:32631"
ORIGIN = (600_000.0, 4_800_000.0)
S2_BANDS = {
    "B01": 60, "B02": 10, "B03": 10, "B04": 10, "B05": 20, "B06": 20, "B07": 20, "B08": 10,
    "B8A": 20, "B09": 60, "B11": 20, "B12": 20, "SCL": 20,
}  # fmt: skip
SAFE = "S2B_MSIL2A_20220312T103709_N0400_R008_T31TGJ_20220312T134218.SAFE"


def plane(metres: float, side: float, value: float, dtype: str = "uint16") -> np.ndarray:
    """Return a square of ``side`` metres whose values rise to the east from ``value``."""
    count = round(side / metres)
    x = (np.arange(count) + 0.5) * metres
    row = value + x / 10
    return np.rint(np.broadcast_to(row, (count, count))).astype(dtype)


def write(path: Path, data: np.ndarray, metres: float, **profile: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = data if data.ndim == 3 else data[None]
    options: dict[str, object] = {
        "driver": "GTiff", "count": data.shape[0], "height": data.shape[1],
        "width": data.shape[2], "dtype": data.dtype, "crs": UTM,
        "transform": Affine(metres, 0, ORIGIN[0], 0, -metres, ORIGIN[1]), **profile,
    }  # fmt: skip
    if options["driver"] == "JP2OpenJPEG":
        options |= {"QUALITY": "100", "REVERSIBLE": "YES"}
    with rasterio.open(path, "w", **options) as target:
        target.write(data)
    return path


def s2_safe(folder: Path, side: float = 1200.0) -> Path:
    """Make a level 2A product of processing baseline 04.00: values have an offset of -1000."""
    safe = folder / SAFE
    images = safe / "GRANULE" / "L2A_T31TGJ_A026191_20220312T104207" / "IMG_DATA"
    for number, (code, metres) in enumerate(S2_BANDS.items()):
        for size in (10, 20, 60):
            if size < metres:
                continue
            value = 2000 + 100 * number
            data = plane(size, side, value) if code != "SCL" else plane(size, 0, 0)
            if code == "SCL":
                data = np.full((round(side / size),) * 2, 6, np.uint8)
            name = f"T31TGJ_20220312T103709_{code}_{size}m.jp2"
            write(images / f"R{size}m" / name, data, size, driver="JP2OpenJPEG")
    write(images / "R10m" / "T31TGJ_20220312T103709_TCI_10m.jp2",
          np.full((3, round(side / 10), round(side / 10)), 90, np.uint8), 10,
          driver="JP2OpenJPEG")  # fmt: skip
    offsets = "".join(f'<BOA_ADD_OFFSET band_id="{n}">-1000</BOA_ADD_OFFSET>' for n in range(13))
    (safe / "MTD_MSIL2A.xml").write_text(
        '<?xml version="1.0" encoding="UTF-8" standalone="no"?>\n'
        '<n1:Level-2A_User_Product xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/User_Product_'
        'Level-2A.xsd"><n1:General_Info><Product_Info><PROCESSING_BASELINE>04.00'
        "</PROCESSING_BASELINE></Product_Info><Product_Image_Characteristics>"
        '<QUANTIFICATION_VALUES_LIST><BOA_QUANTIFICATION_VALUE unit="none">10000'
        "</BOA_QUANTIFICATION_VALUE></QUANTIFICATION_VALUES_LIST>"
        f"<BOA_ADD_OFFSET_VALUES_LIST>{offsets}</BOA_ADD_OFFSET_VALUES_LIST>"
        "</Product_Image_Characteristics></n1:General_Info></n1:Level-2A_User_Product>",
        encoding="utf-8",
    )
    return safe


LANDSAT = "LC08_L2SP_199029_20210714_20210721_02_T1"


def landsat_folder(folder: Path, side: float = 1200.0, scene: str = LANDSAT) -> Path:
    """Make a Collection 2 level 2 product of Landsat 8 with its MTL file."""
    place = folder / scene
    for number in range(1, 8):
        write(
            place / f"{scene}_SR_B{number}.TIF", plane(30, side, 8000 + 500 * number), 30, nodata=0
        )
    write(place / f"{scene}_ST_B10.TIF", plane(30, side, 44000), 30, nodata=0)
    write(place / f"{scene}_QA_PIXEL.TIF", plane(30, side, 21824), 30, nodata=1)
    write(place / f"{scene}_SR_QA_AEROSOL.TIF", plane(30, side, 96, "uint8"), 30, nodata=1)
    surface = "".join(
        f"    REFLECTANCE_MULT_BAND_{n} = 2.75e-05\n    REFLECTANCE_ADD_BAND_{n} = -0.2\n"
        for n in range(1, 8)
    )
    older = "".join(
        f"    REFLECTANCE_MULT_BAND_{n} = 2.0000E-05\n    REFLECTANCE_ADD_BAND_{n} = -0.100000\n"
        for n in range(1, 10)
    )
    (place / f"{scene}_MTL.txt").write_text(
        "GROUP = LANDSAT_METADATA_FILE\n  GROUP = PRODUCT_CONTENTS\n"
        '    PROCESSING_LEVEL = "L2SP"\n  END_GROUP = PRODUCT_CONTENTS\n'
        '  GROUP = IMAGE_ATTRIBUTES\n    SPACECRAFT_ID = "LANDSAT_8"\n'
        "  END_GROUP = IMAGE_ATTRIBUTES\n"
        f"  GROUP = LEVEL2_SURFACE_REFLECTANCE_PARAMETERS\n{surface}"
        "  END_GROUP = LEVEL2_SURFACE_REFLECTANCE_PARAMETERS\n"
        "  GROUP = LEVEL2_SURFACE_TEMPERATURE_PARAMETERS\n"
        "    TEMPERATURE_MULT_BAND_ST_B10 = 0.00341802\n"
        "    TEMPERATURE_ADD_BAND_ST_B10 = 149.0\n"
        "  END_GROUP = LEVEL2_SURFACE_TEMPERATURE_PARAMETERS\n"
        f"  GROUP = LEVEL1_RADIOMETRIC_RESCALING\n{older}"
        "  END_GROUP = LEVEL1_RADIOMETRIC_RESCALING\nEND_GROUP = LANDSAT_METADATA_FILE\nEND\n",
        encoding="utf-8",
    )
    return place


def hls_folder(folder: Path, product: str = "S30", side: float = 900.0) -> Path:
    """Make the files of one HLS scene."""
    codes = {
        "S30": ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10",
                "B11", "B12", "Fmask"),
        "L30": ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B09", "B10", "B11", "Fmask"),
    }[product]  # fmt: skip
    scene = f"HLS.{product}.T31TGJ.2022071T103709.v2.0"
    for number, code in enumerate(codes):
        dtype = "uint8" if code == "Fmask" else "int16"
        data = plane(30, side, 64 if code == "Fmask" else 1000 + 100 * number, dtype)
        path = write(folder / scene / f"{scene}.{code}.tif", data, 30,
                     nodata=255 if code == "Fmask" else -9999)  # fmt: skip
        if code != "Fmask":
            with rasterio.open(path, "r+") as target:
                target.scales = (0.0001,)
    return folder / scene


def planet_scene(folder: Path, bands: int = 4, surface: bool = False) -> Path:
    """Make a PlanetScope scene with the metadata that says how it is scaled."""
    eight = "_8b" if bands == 8 else ""
    stem = "20220312_103015_40_2413"
    end = f"_3B_AnalyticMS{'_SR' if surface else ''}{eight}.tif"
    data = np.stack([plane(3, 96, 3000 + 200 * n) for n in range(bands)])
    path = write(folder / f"{stem}{end}", data, 3, photometric="MINISBLACK")
    entries = "".join(
        "<ps:bandSpecificMetadata>"
        f"<ps:bandNumber>{n}</ps:bandNumber>"
        '<ps:radiometricScaleFactor uom="W*m-2*sr-1*um-1">0.01</ps:radiometricScaleFactor>'
        f"<ps:reflectanceCoefficient>{2e-5 + n * 1e-6}</ps:reflectanceCoefficient>"
        "</ps:bandSpecificMetadata>"
        for n in range(1, bands + 1)
    )
    (folder / f"{stem}_3B_AnalyticMS{eight}_metadata.xml").write_text(
        '<?xml version="1.0" encoding="UTF-8"?>\n<ps:EarthObservation xmlns:gml='
        '"http://www.opengis.net/gml" xmlns:ps="http://schemas.planet.com/ps/v1/planet_product_'
        'metadata_geocorrected_level"><gml:resultOf><ps:EarthObservationResult>'
        f"{entries}</ps:EarthObservationResult></gml:resultOf></ps:EarthObservation>",
        encoding="utf-8",
    )
    return path
