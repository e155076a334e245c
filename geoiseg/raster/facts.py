"""What a source says about each of its bands."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

ALPHA = "alpha"


@dataclass(frozen=True, slots=True)
class BandFacts:
    """What is known of one band before anything is concluded from it."""

    number: int
    """From 1."""
    name: str = ""
    """Its description."""
    interpretation: str = "undefined"
    """GDAL's colour interpretation in lower case."""
    wavelength: float | None = None
    """Centre in micrometres."""
    common_name: str = ""
    """What a tag or a coordinate of the band says outright."""
    scale: float = 1.0
    """Values times this, and ``offset`` added, are physical: reflectance, for one."""
    offset: float = 0.0
    said_by: str = ""
    """Where ``common_name`` stands."""
    item_role: str = ""
    """What a STAC item says that it is."""
    item: str = ""
    """The item."""
    product_role: str = ""
    """What the metadata of its product says."""
    product: str = ""
    """The metadata."""

    @property
    def is_scaled(self) -> bool:
        """Whether the values have to be scaled to become physical."""
        return (self.scale, self.offset) != (1.0, 0.0)


def wavelength_in(tags: Mapping[str, str]) -> float | None:
    """Return the centre of a band in micrometres from its tags: ENVI's or GDAL's.

    GDAL writes ``CENTRAL_WAVELENGTH_UM``; older ones ``wavelength`` and ``wavelength_units``, as
    ENVI's headers do. Without a unit, more than 100 are nanometres.
    """
    found = {key.lower(): text for key, text in tags.items()}
    for key in ("central_wavelength_um", "wavelength"):
        value = _number(found.get(key, ""))
        if value is not None:
            unit = found.get("wavelength_units", "") if key == "wavelength" else "um"
            return micrometres(value, unit)
    return None


def micrometres(value: float, unit: str = "") -> float | None:
    """Return a wavelength in micrometres; None where it makes no sense."""
    plain = unit.strip().lower()
    nano = plain.startswith(("nano", "nm")) or (not plain and value > 100)
    micro = plain.startswith(("micro", "um", "µm", "μm")) or not plain
    if not (nano or micro) or not math.isfinite(value) or value <= 0:
        return None
    return value / 1000 if nano else value


_IN_NAME = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*\(?\s*(nanometers?|nm|micrometers?|um|µm)\b",
                      re.IGNORECASE)  # fmt: skip


def wavelength_in_name(name: str) -> float | None:
    """Return the centre of a band that its description ends with: ``Band 4 (665 nm)``."""
    found = _IN_NAME.search(name)
    return micrometres(float(found[1]), found[2]) if found else None


def _number(text: str) -> float | None:
    try:
        return float(text)
    except (TypeError, ValueError):
        return None
