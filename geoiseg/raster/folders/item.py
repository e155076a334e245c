"""The files of a STAC item as one raster: an asset for each band, wherever they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from geoiseg.errors import RasterError
from geoiseg.raster.folders.stack import Part
from geoiseg.raster.sensors.stac import listed, number, read_item
from geoiseg.raster.spectrum import QUALITY, role_named

FLAGS = ("scl", "qa_pixel", "fmask")
"""Assets of classes and flags that items have without saying that they are bands."""
_NOT_DATA = {"thumbnail", "overview", "visual", "metadata"}
_REMOTE = {"http": "/vsicurl/", "https": "/vsicurl/", "s3": "/vsis3/", "gs": "/vsigs/"}


def item_parts(path: Path) -> list[Part] | None:
    """Return the bands of a STAC item in a file; None where the file is no item.

    Of several assets with one band, as where there are two formats, the first counts.

    Raises:
        RasterError: It is an item, but has no assets with bands.
    """
    if path.suffix.lower() not in (".json", ".geojson") or not path.is_file():
        return None
    item = read_item(path)
    if item is None:
        return None
    assets = [(key, one) for key, one in item["assets"].items()
              if isinstance(one, dict) and isinstance(one.get("href"), str)
              and not _NOT_DATA.intersection(map(str, one.get("roles") or ()))]  # fmt: skip
    assets.sort(key=lambda pair: len(_bands(pair[1])))
    parts: list[Part] = []
    for key, asset in assets:
        for part in _parts(key, asset, path):
            same = [one for one in parts if one.name.lower() == part.name.lower()
                    or (part.role and one.role == part.role)]  # fmt: skip
            if not same:
                parts.append(part)
    if not any(part.role != QUALITY for part in parts):
        raise RasterError(f"{path} is a STAC item without assets of bands (eo:bands or bands)")
    return [one for one in parts if one.role != QUALITY] + [
        one for one in parts if one.role == QUALITY
    ]


def _bands(asset: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return listed(asset, "bands") or listed(asset, "eo:bands")


def _parts(key: str, asset: Mapping[str, Any], path: Path) -> Iterator[Part]:
    bands, numbers = _bands(asset), listed(asset, "raster:bands") or _bands(asset)
    place, said_by = _place(asset["href"], path), f"STAC item {path.name}"
    if key.lower() in FLAGS:
        yield Part(place, key, QUALITY, said_by, None, 1.0, 0.0)
        return
    for place_in, band in enumerate(bands, 1):
        common = band.get("eo:common_name", band.get("common_name", asset.get("eo:common_name")))
        role = role_named(common) if isinstance(common, str) else None
        centre = number(band.get("eo:center_wavelength", band.get("center_wavelength")), 0.0)
        scaled = numbers[place_in - 1] if len(numbers) == len(bands) else {}
        scale, offset = (
            scaled.get(f"raster:{one}", scaled.get(one)) for one in ("scale", "offset")
        )
        name = str(band.get("name") or common or (key if len(bands) == 1 else f"{key} {place_in}"))
        yield Part(
            place, name, role or "", said_by if role else "", centre or None,
            None if scale is None else number(scale, 1.0),
            None if offset is None else number(offset, 0.0), None, place_in,
        )  # fmt: skip


def _place(href: str, path: Path) -> str:
    """Return what GDAL opens for the address of an asset."""
    parts = urlsplit(href)
    scheme = parts.scheme.lower()
    if scheme in ("http", "https"):
        return _REMOTE[scheme] + href
    if scheme in _REMOTE:
        return f"{_REMOTE[scheme]}{parts.netloc}{parts.path}"
    if scheme == "file":
        return unquote(parts.path)
    return href if href.startswith("/vsi") else str(path.parent / unquote(href))
