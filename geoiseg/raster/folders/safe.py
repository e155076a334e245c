"""A Sentinel-2 product as ESA delivers it: a folder that ends in .SAFE."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

from geoiseg.errors import RasterError
from geoiseg.raster.folders.archive import Place
from geoiseg.raster.folders.stack import Part
from geoiseg.raster.sensors.catalogue import SENTINEL2_L1C, SENTINEL2_L2A

_FILE = re.compile(r"_(B\d\d|B8A|SCL)(?:_(\d\d)m)?\.jp2$", re.IGNORECASE)
_ORDER = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11",
          "B12")  # fmt: skip
"""Bands as ``band_id`` numbers them from 0 on."""


def safe_metadata(folder: Place) -> Place | None:
    """Return the metadata of a Sentinel-2 product in a folder; None where there is none."""
    return next((f for f in sorted(folder.glob("MTD_MSIL*.xml")) if f.is_file()), None)


def safe_parts(folder: Place, metadata: Place) -> list[Part]:
    """Return the bands of a product, each from its finest file, and its classes last.

    Raises:
        RasterError: There are no images in it, or those of several tiles.
    """
    sensor = SENTINEL2_L1C if "L1C" in metadata.name else SENTINEL2_L2A
    granules = sorted(one for one in folder.glob("GRANULE/*") if (one / "IMG_DATA").is_dir())
    if len(granules) != 1:
        raise RasterError(
            f"{folder} has {len(granules)} granules with images, not one; download it again, or"
            " give the band files of one as a list"
        )
    files = _finest(granules[0] / "IMG_DATA")
    if not files:
        raise RasterError(f"{folder} has no images of bands; download it again")
    scale, offsets = _radiometry(metadata)
    order = (*_ORDER, "SCL")
    parts = []
    for code in sorted(files, key=order.index):
        band = sensor.band(code)
        if band is None:
            continue
        value = code != "SCL"
        parts.append(
            Part(
                str(files[code]), code, band.role, f"{sensor.title} {code}", band.wavelength,
                scale if value else 1.0, offsets.get(code, 0.0) * scale if value else 0.0, 0,
            )
        )  # fmt: skip
    return parts


def _finest(images: Place) -> dict[str, Place]:
    """Return the finest file of each band below a folder."""
    found: dict[str, tuple[int, Place]] = {}
    for file in sorted(images.rglob("*.jp2")):
        match = _FILE.search(file.name)
        if match is None:
            continue
        code, metres = match[1].upper(), int(match[2] or 0)
        if code in (*_ORDER, "SCL") and (code not in found or metres < found[code][0]):
            found[code] = (metres, file)
    return {code: file for code, (_, file) in found.items()}


def _radiometry(metadata: Place) -> tuple[float, dict[str, float]]:
    """Return by what numbers are multiplied, and what is added to those of each band before.

    Raises:
        RasterError: The metadata can not be read.
    """
    try:
        root = ET.fromstring(metadata.read_bytes())  # noqa: S314 - of the user's own product
        quantity = root.findtext(".//BOA_QUANTIFICATION_VALUE") or root.findtext(
            ".//QUANTIFICATION_VALUE"
        )
        scale = 1 / float(quantity or 10_000)
        offsets = {}
        for tag in ("BOA_ADD_OFFSET", "RADIO_ADD_OFFSET"):
            for one in root.iter(tag):
                offsets[_ORDER[int(one.get("band_id", ""))]] = float(one.text or 0)
    except (OSError, ET.ParseError, ValueError, IndexError, ZeroDivisionError) as error:
        reason = " ".join(str(error).split())
        raise RasterError(f"{metadata} can not be read: {reason}; download it again") from error
    return scale, offsets
