"""Files that become the bands of one virtual raster, on the finest of their grids.

Nothing is read but headers; GDAL brings coarser bands to the grid as they are read.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import rasterio
from affine import Affine
from rasterio.errors import RasterioError

from geoiseg.errors import GeoreferenceError, RasterError
from geoiseg.raster.spectrum import QUALITY

_TYPES = {
    "uint8": "Byte", "int8": "Int8", "uint16": "UInt16", "int16": "Int16", "uint32": "UInt32",
    "int32": "Int32", "float32": "Float32", "float64": "Float64",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Part:
    """One band of a stack."""

    path: str
    """What GDAL opens."""
    name: str
    """What to call the band: its description."""
    role: str = ""
    said_by: str = ""
    """Where its role was found."""
    wavelength: float | None = None
    scale: float | None = None
    offset: float | None = None
    """What makes its values physical; None for what the file says."""
    nodata: float | None = None
    """What stands for no data where the file does not say it."""
    band: int = 1
    """Number of the band in its file."""


@dataclass(frozen=True, slots=True)
class _Header:
    part: Part
    shape: tuple[int, int]
    transform: Affine
    crs: Any
    dtype: str
    block: tuple[int, int]
    nodata: float | None
    scale: float
    offset: float

    @property
    def pixel(self) -> float:
        return abs(self.transform.determinant)

    def corner(self, down: float, across: float) -> tuple[float, float]:
        xy: tuple[float, float] = self.transform @ (across * self.shape[1], down * self.shape[0])
        return xy


def stacked(parts: Sequence[Part], name: str) -> str:
    """Return a virtual dataset, as the text of a VRT, whose bands are the parts in their order.

    Args:
        parts: At least one.
        name: What to call the whole in messages.

    Raises:
        RasterError: A file can not be opened, or is of a type that no virtual dataset has.
        GeoreferenceError: One is in another CRS, turned, or covers other ground.
    """
    headers = [_header(part) for part in parts]
    finest = min(headers, key=lambda one: one.pixel)
    for one in headers:
        _check(one, finest, name)
    rows, cols = finest.shape
    root = ET.Element("VRTDataset", rasterXSize=str(cols), rasterYSize=str(rows))
    if finest.crs:
        ET.SubElement(root, "SRS").text = finest.crs.to_wkt()
    ET.SubElement(root, "GeoTransform").text = ", ".join(map(repr, finest.transform.to_gdal()))
    for number, one in enumerate(headers, 1):
        root.append(_band(one, number, finest))
    return ET.tostring(root, encoding="unicode")


def _header(part: Part) -> _Header:
    try:
        with rasterio.open(part.path) as data:
            place = part.band - 1
            if data.dtypes[place] not in _TYPES:
                raise RasterError(
                    f"{part.path} is of type {data.dtypes[place]}, which no stack has"
                )
            nodata = data.nodatavals[place]
            return _Header(
                part, data.shape, data.transform, data.crs, data.dtypes[place],
                data.block_shapes[place], part.nodata if nodata is None else nodata,
                data.scales[place] if part.scale is None else part.scale,
                data.offsets[place] if part.offset is None else part.offset,
            )  # fmt: skip
    except RasterioError as error:
        reason = " ".join(str(error).split())
        raise RasterError(f"{part.path} can not be opened as a band: {reason}") from error


def _check(one: _Header, finest: _Header, name: str) -> None:
    """Make sure that a band lies where the finest one does."""
    here, there = one.part.path, finest.part.path
    if one.crs != finest.crs:
        raise GeoreferenceError(
            f"{here} is in {_crs(one)} and {there} in {_crs(finest)}: bands of one raster have one"
            " CRS; warp one of them first, e.g. with gdalwarp -t_srs"
        )
    if (one.transform.b or one.transform.d) and one.transform != finest.transform:
        raise GeoreferenceError(f"{here} is turned, and not as {there} is; warp one of them first")
    slack = max(abs(one.transform.a), abs(finest.transform.a))
    slack_y = max(abs(one.transform.e), abs(finest.transform.e))
    for down, across in ((0, 0), (1, 1)):
        (x, y), (other_x, other_y) = one.corner(down, across), finest.corner(down, across)
        if abs(x - other_x) > slack or abs(y - other_y) > slack_y:
            raise GeoreferenceError(
                f"{here} ({one.shape[1]} x {one.shape[0]} pixels) covers other ground than {there}"
                f" ({finest.shape[1]} x {finest.shape[0]}): bands of one raster cover the same;"
                f" cut them to one extent first, e.g. with gdalwarp -te; {name} was not opened"
            )


def _crs(one: _Header) -> str:
    return one.crs.to_string()[:40] if one.crs else "no CRS"


def _band(one: _Header, number: int, finest: _Header) -> ET.Element:
    part = one.part
    band = ET.Element("VRTRasterBand", dataType=_TYPES[one.dtype], band=str(number),
                      blockXSize="512", blockYSize="512")  # fmt: skip
    tags = {"GEOISEG_ROLE": part.role, "GEOISEG_SAID_BY": part.said_by,
            "CENTRAL_WAVELENGTH_UM": repr(part.wavelength or "")}  # fmt: skip
    metadata = ET.SubElement(band, "Metadata")
    for key, text in tags.items():
        if text.strip("'"):
            ET.SubElement(metadata, "MDI", key=key).text = text
    ET.SubElement(band, "Description").text = part.name
    if one.nodata is not None:
        ET.SubElement(band, "NoDataValue").text = repr(float(one.nodata))
    if (one.scale, one.offset) != (1.0, 0.0):
        ET.SubElement(band, "Offset").text = repr(float(one.offset))
        ET.SubElement(band, "Scale").text = repr(float(one.scale))
    band.append(_source(one, finest))
    return band


def _source(one: _Header, finest: _Header) -> ET.Element:
    """Return where a band's pixels come from; coarser ones are interpolated, classes are not."""
    coarse = one.transform != finest.transform or one.shape != finest.shape
    smooth = coarse and one.part.role != QUALITY
    kind = "ComplexSource" if smooth and one.nodata is not None else "SimpleSource"
    source = ET.Element(kind, {"resampling": "bilinear"} if smooth else {})
    ET.SubElement(source, "SourceFilename", relativeToVRT="0").text = one.part.path
    ET.SubElement(source, "SourceBand").text = str(one.part.band)
    rows, cols = one.shape
    size = {"RasterXSize": str(cols), "RasterYSize": str(rows)}
    block = {"BlockXSize": str(one.block[1]), "BlockYSize": str(one.block[0])}
    ET.SubElement(source, "SourceProperties", {**size, "DataType": _TYPES[one.dtype], **block})
    ET.SubElement(source, "SrcRect", xOff="0", yOff="0", xSize=str(cols), ySize=str(rows))
    inverse = ~finest.transform
    left, top = inverse @ one.corner(0, 0)
    right, bottom = inverse @ one.corner(1, 1)
    box = {"xOff": left, "yOff": top, "xSize": right - left, "ySize": bottom - top}
    ET.SubElement(source, "DstRect", {key: repr(float(value)) for key, value in box.items()})
    if kind == "ComplexSource":
        ET.SubElement(source, "NODATA").text = repr(float(one.nodata or 0))
    return source
