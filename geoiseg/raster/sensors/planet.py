"""What the XML beside a PlanetScope scene says: how its numbers become reflectances."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from geoiseg.raster.facts import BandFacts
from geoiseg.raster.sensors.catalogue import PLANETSCOPE

SURFACE = 1e-4
"""By which numbers of a product of surface reflectance become reflectances."""
LARGEST = 4 << 20


def metadata_beside(path: Path) -> Path | None:
    """Return the metadata of a scene: it has the scene's name without what was done to it."""
    stem = re.sub(r"_(SR|clip|file_format|harmonized|8b)(?=_|$)", "", path.stem)
    names = dict.fromkeys([path.stem, re.sub(r"_SR|_clip|_harmonized", "", path.stem), stem])
    for name in names:
        for end in ("_metadata.xml", "_metadata_clip.xml", ".xml"):
            beside = path.with_name(name + end)
            if beside.is_file():
                return beside
    return None


def with_metadata(facts: Sequence[BandFacts], path: Path, xml: Path) -> tuple[BandFacts, ...]:
    """Return the facts of a scene's bands with what its metadata says; the same where it is none.

    Args:
        facts: What the file says itself.
        path: The scene.
        xml: Its metadata.
    """
    factors = _factors(xml)
    if factors is None:
        return tuple(facts)
    data = [one for one in facts if one.interpretation != "alpha"]
    order = PLANETSCOPE.order(len(factors))
    surface = "_SR" in path.stem
    found = {one.number: one for one in facts}
    for place, one in enumerate(data):
        code = order[place] if order is not None and len(data) == len(order) else ""
        band = PLANETSCOPE.band(code) if code else None
        factor = SURFACE if surface else factors.get(place + 1)
        found[one.number] = replace(
            one,
            product_role=band.role if band else "",
            product=f"PlanetScope {xml.name}",
            scale=factor if factor and not one.is_scaled else one.scale,
        )
    return tuple(found.values())


def _factors(xml: Path) -> dict[int, float] | None:
    """Return the factor of each band from its number on; None where it is no such metadata."""
    try:
        if xml.stat().st_size > LARGEST:
            return None
        text = xml.read_bytes()
        if b"<!DOCTYPE" in text or b"bandSpecificMetadata" not in text:
            return None
        root = ET.fromstring(text)  # noqa: S314 - has no entities
    except (OSError, ET.ParseError):
        return None
    factors = {}
    for band in root.findall(".//{*}bandSpecificMetadata"):
        number, factor = band.findtext("{*}bandNumber"), band.findtext("{*}reflectanceCoefficient")
        try:
            factors[int(number or "")] = float(factor or "nan")
        except ValueError:
            continue
    return {number: f if f > 0 else 0.0 for number, f in factors.items()} or None
