"""Which bands make a picture, by name: three roles, or what stands in for one of them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from geoiseg.raster.spectrum import Roles

COMPOSITES: Mapping[str, tuple[tuple[str, ...], ...]] = MappingProxyType(
    {
        "natural": (("red",), ("green",), ("blue",)),
        "infrared": (("nir",), ("red",), ("green",)),
        "agriculture": (("swir16",), ("nir",), ("blue", "green")),
        "short-wave": (("swir22", "swir16"), ("nir",), ("red", "green")),
    }
)
"""For red, green and blue of the screen, the roles that may be shown there, best first."""
OTHER_NAMES = {"shortwave": "short-wave", "swir": "short-wave", "false-colour": "infrared",
               "false-color": "infrared", "color-infrared": "infrared",
               "colour-infrared": "infrared"}  # fmt: skip


def composite_named(text: str) -> str | None:
    """Return the name of a composite, written in any of its ways, or None."""
    plain = text.strip().lower().replace("_", "-").replace(" ", "-")
    plain = OTHER_NAMES.get(plain, plain)
    return plain if plain in COMPOSITES else None


def composite_bands(name: str, roles: Roles) -> tuple[int, ...] | None:
    """Return the numbers of the three bands of a composite; None where one is not known."""
    numbers = []
    for choices in COMPOSITES[name]:
        found = next((roles[role] for role in choices if role in roles), None)
        if found is None:
            return None
        numbers.append(found)
    return tuple(numbers) if len(set(numbers)) == 3 else None


def composites_of(roles: Roles) -> dict[str, tuple[int, ...]]:
    """Return the composites that the known roles make, with the numbers of their bands."""
    made = {name: composite_bands(name, roles) for name in COMPOSITES}
    return {name: bands for name, bands in made.items() if bands is not None}


def composite_of(bands: tuple[int | str, ...], roles: Roles) -> str | None:
    """Return the name of the composite that bands are, or None."""
    return next((name for name, made in composites_of(roles).items() if made == bands), None)
