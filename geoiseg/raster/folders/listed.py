"""Files of one band each, given as a list or as a folder of HLS."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import rasterio
from rasterio.errors import RasterioError

from geoiseg.errors import RasterError
from geoiseg.raster.folders.archive import Place
from geoiseg.raster.folders.stack import Part
from geoiseg.raster.gdal_facts import band_facts
from geoiseg.raster.sensors.beside import with_companions
from geoiseg.raster.sensors.catalogue import HLS_L30, HLS_S30
from geoiseg.raster.sensors.product_names import code_of, product_of
from geoiseg.raster.spectrum import QUALITY, role_named

_HLS = re.compile(r"^HLS\.[SL]30\..*\.(B\d\d|B8A|Fmask)\.tiff?$", re.IGNORECASE)


def hls_files(folder: Place) -> list[Place]:
    """Return the band files of an HLS product in a folder; none where it is none.

    Raises:
        RasterError: They are of several products.
    """
    files = [one for one in sorted(folder.glob("HLS.*.tif*")) if _HLS.match(one.name)]
    scenes = {one.name[: _HLS.match(one.name).start(1)] for one in files}  # type: ignore[union-attr]
    if len(scenes) > 1:
        raise RasterError(
            f"{folder} has {len(scenes)} scenes of HLS; give the files of one as a list"
        )
    return files


def listed_parts(paths: Sequence[str]) -> list[Part]:
    """Return the bands of files in the order of the list, named by what they say or are called.

    Raises:
        RasterError: A file can not be opened, or two are the same band.
    """
    parts: list[Part] = []
    for path in paths:
        parts.extend(_parts(path))
    names = [part.name.lower() for part in parts]
    for part in parts:
        if names.count(part.name.lower()) > 1:
            same = [one.path for one in parts if one.name.lower() == part.name.lower()]
            raise RasterError(
                f"{same[0]} and {same[1]} are both band {part.name}; give one of them"
            )
    return parts


def _parts(path: str) -> list[Part]:
    try:
        with rasterio.open(path) as data:
            file = Path(path) if Path(path).is_file() else None
            facts = with_companions(band_facts(data, data.count), path, file, data.tags())
            scales = list(zip(data.scales, data.offsets, strict=True))
    except RasterioError as error:
        reason = " ".join(str(error).split())
        raise RasterError(f"{path} can not be opened as a band: {reason}") from error
    sensor = product_of(path)
    parts = []
    for one, (scale, offset) in zip(facts, scales, strict=True):
        name = one.name or _name(path, one.number, len(facts))
        band = None if sensor is None else sensor.band(name)
        said = one.item_role or one.common_name
        role = role_named(said) or "" if said else ""
        if not role and band is not None:
            role = band.role
        plain = role == QUALITY
        hls = sensor in (HLS_S30, HLS_L30) and not plain and (scale, offset) == (1.0, 0.0)
        parts.append(
            Part(
                path, name, role, _source(said, one.item or one.said_by, sensor, name),
                one.wavelength or (band.wavelength if band else None),
                1.0 if plain else 1e-4 if hls else one.scale, 0.0 if plain else one.offset,
                None, one.number,
            )
        )  # fmt: skip
    return parts


def _source(said: str, by: str, sensor: object, name: str) -> str:
    if said:
        return by
    return f"{getattr(sensor, 'title', '')} {name}".strip()


def _name(path: str, number: int, count: int) -> str:
    """Return what a band without a name is called: by the end of its file's name."""
    stem = Path(path).stem
    code = code_of(path)
    if count > 1:
        return f"{stem} {number}"
    if code:
        return code
    end = re.split(r"[_. -]", stem)[-1]
    return end if role_named(end) else stem
