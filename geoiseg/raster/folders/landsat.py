"""A Landsat Collection 2 product as USGS delivers it: a folder of TIFFs and an MTL file."""

from __future__ import annotations

import re

from geoiseg.errors import RasterError
from geoiseg.raster.folders.archive import Place
from geoiseg.raster.folders.stack import Part
from geoiseg.raster.sensors.catalogue import Sensor
from geoiseg.raster.sensors.product_names import landsat_of, product_of
from geoiseg.raster.spectrum import QUALITY

_FILE = re.compile(r"_(?:(SR|ST)_)?(B\d{1,2}|QA_PIXEL)\.tiff?$", re.IGNORECASE)
_PAIR = re.compile(r"^\s*(\w+)\s*=\s*\"?([^\"\n]*?)\"?\s*$", re.MULTILINE)
_GROUPS = ("LEVEL2_SURFACE_REFLECTANCE_PARAMETERS", "LEVEL2_SURFACE_TEMPERATURE_PARAMETERS",
           "LEVEL1_RADIOMETRIC_RESCALING", "RADIOMETRIC_RESCALING")  # fmt: skip
"""Parts of the metadata that say how numbers become reflectances, those of level 2 first."""


def landsat_metadata(folder: Place) -> Place | None:
    """Return the MTL file of a product in a folder; None where there is none."""
    return next((f for f in sorted(folder.glob("*_MTL.txt")) if f.is_file()), None)


def landsat_parts(folder: Place, metadata: Place) -> list[Part]:
    """Return the bands of a product in the order of their numbers, and its flags last.

    Raises:
        RasterError: The metadata is of no Landsat that is known, or there are no images.
    """
    try:
        text = metadata.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise RasterError(f"{metadata} can not be read: {error.strerror}") from error
    pairs = dict(_PAIR.findall(text))
    sensor = landsat_of(pairs.get("SPACECRAFT_ID", "")) or product_of(metadata.name)
    if sensor is None:
        raise RasterError(f"{metadata} names no Landsat from 4 to 9 as its SPACECRAFT_ID")
    files = {}
    for file in sorted(folder.iterdir()):
        match = _FILE.search(file.name)
        if match:
            files[f"{match[1]}_{match[2]}".upper() if match[1] else match[2].upper()] = file
    numbers = _rescaling(text)
    parts = [_part(code, file, sensor, numbers) for code, file in files.items()]
    known = [part for part in parts if part.role]
    if not any(part.role != QUALITY for part in known):
        raise RasterError(f"{folder} has no images of bands; unpack the whole product into it")
    return sorted(known, key=_order)


def _part(code: str, file: Place, sensor: Sensor, numbers: dict[str, float]) -> Part:
    band = sensor.band(code)
    if band is None:
        return Part(str(file), code)
    said_by = f"{sensor.title} {code}"
    if band.role == QUALITY:
        return Part(str(file), code, QUALITY, said_by, None, 1.0, 0.0)
    digits = code.rpartition("B")[2]
    kinds = (f"TEMPERATURE_{{}}_BAND_{code}", f"REFLECTANCE_{{}}_BAND_{digits}",
             f"RADIANCE_{{}}_BAND_{digits}")  # fmt: skip
    kind = next((one for one in kinds if one.format("MULT") in numbers), None)
    scale = numbers[kind.format("MULT")] if kind else None
    offset = numbers.get(kind.format("ADD"), 0.0) if kind else None
    return Part(str(file), code, band.role, said_by, band.wavelength, scale, offset, 0)


def _order(part: Part) -> tuple[bool, int]:
    digits = re.sub(r"\D", "", part.name)
    return part.role == QUALITY, int(digits or 0)


def _rescaling(text: str) -> dict[str, float]:
    """Return multipliers and what is added, by their names; level 2 goes before level 1."""
    found: dict[str, float] = {}
    for group in _GROUPS:
        part = re.search(rf"GROUP = {group}\n(.*?)END_GROUP = {group}", text, re.DOTALL)
        for key, value in _PAIR.findall(part[1] if part else ""):
            if "_MULT_BAND_" in key or "_ADD_BAND_" in key:
                try:
                    found.setdefault(key, float(value))
                except ValueError as error:
                    raise RasterError(f"{key} in the MTL file is no number: {value!r}") from error
    return found
