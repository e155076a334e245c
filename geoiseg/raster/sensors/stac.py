"""What a STAC item says of the bands of its files.

See https://github.com/stac-extensions/eo, and https://github.com/radiantearth/stac-spec of 1.1 for
``bands``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from geoiseg.raster.facts import BandFacts

LARGEST = 4 << 20
"""Bytes up to which a file is read to see whether it is an item."""
TAGS = ("STAC_ITEM", "stac_item", "STAC", "stac")
"""Tags of a raster that hold its item."""


def read_item(path: Path) -> Mapping[str, Any] | None:
    """Return the STAC item in a file; None where it is none."""
    try:
        if path.stat().st_size > LARGEST:
            return None
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    return item_in(text)


def item_in(text: str) -> Mapping[str, Any] | None:
    """Return the STAC item that a text is, or None."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    is_item = isinstance(found, dict) and "stac_version" in found and "assets" in found
    return found if is_item and isinstance(found["assets"], dict) else None


def with_item(
    facts: Sequence[BandFacts], item: Mapping[str, Any], file: str, said_by: str
) -> tuple[BandFacts, ...]:
    """Return the facts of a file's bands with what an item says of them.

    Args:
        facts: What the file says itself, which goes first where it names a band.
        item: The item.
        file: Name of the raster's file, by which its asset is found.
        said_by: What to call the item.
    """
    asset = _asset(item, file)
    if asset is None:
        return tuple(facts)
    bands = listed(asset, "bands") or listed(asset, "eo:bands")
    raster = listed(asset, "raster:bands") or bands
    data = [n for n, one in enumerate(facts) if one.interpretation != "alpha"]
    bands = bands if len(bands) in (len(facts), len(data)) else []
    raster = raster if len(raster) in (len(facts), len(data)) else []
    found = list(facts)
    for place, n in enumerate(data):
        band = bands[place] if bands else {}
        numbers = raster[place] if raster else {}
        found[n] = _with_band(facts[n], band, numbers, said_by)
    return tuple(found)


def _with_band(
    facts: BandFacts, band: Mapping[str, Any], raster: Mapping[str, Any], said_by: str
) -> BandFacts:
    common = band.get("eo:common_name", band.get("common_name"))
    centre = band.get("eo:center_wavelength", band.get("center_wavelength"))
    scale, offset = facts.scale, facts.offset
    if not facts.is_scaled:
        scale = number(raster.get("raster:scale", raster.get("scale")), 1.0) or 1.0
        offset = number(raster.get("raster:offset", raster.get("offset")), 0.0)
    return replace(
        facts,
        name=facts.name or str(band.get("name", "")),
        wavelength=facts.wavelength or number(centre, 0.0) or None,
        item_role=str(common) if isinstance(common, str) else "",
        item=said_by,
        scale=scale,
        offset=offset,
    )


def _asset(item: Mapping[str, Any], file: str) -> Mapping[str, Any] | None:
    assets = [one for one in item["assets"].values() if isinstance(one, dict)]
    for one in assets:
        href = one.get("href")
        if isinstance(href, str) and unquote(urlsplit(href).path).rpartition("/")[2] == file:
            return one
    return None


def listed(asset: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """Return the objects that an asset lists under a key; none where it does not."""
    found = asset.get(key)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def number(value: Any, usual: float) -> float:
    """Return a number that an item has, or the usual one where it is none."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if is_number and value == value else usual  # noqa: PLR0124 - NaN
