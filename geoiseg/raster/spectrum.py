"""The parts of the spectrum that bands see, by the names that STAC gives them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

QUALITY = "quality"
"""Role of a band that tells clouds, shadow and fill apart, and is no measurement."""
SPECTRUM: dict[str, tuple[float, float]] = {
    "coastal": (0.40, 0.455),
    "blue": (0.455, 0.52),
    "green05": (0.52, 0.545),
    "green": (0.545, 0.59),
    "yellow": (0.59, 0.63),
    "red": (0.63, 0.69),
    "rededge1": (0.69, 0.725),
    "rededge2": (0.725, 0.755),
    "rededge3": (0.755, 0.80),
    "nir": (0.80, 0.855),
    "nir08": (0.855, 0.90),
    "nir09": (0.90, 1.0),
    "cirrus": (1.34, 1.41),
    "swir16": (1.55, 1.75),
    "swir22": (2.05, 2.35),
    "thermal": (10.3, 11.3),
    "lwir12": (11.3, 12.6),
}
"""Range in micrometres in which a band's centre lies, for each role that has one.

STAC's common names overlap where sensors differ; these are their ranges cut where no sensor has
its centre: https://github.com/stac-extensions/eo#common-band-names
"""
ROLES = (*SPECTRUM, "pan", QUALITY)
"""All roles that a band can have."""
ALIASES = {
    "rededge": "rededge1",
    "rededge071": "rededge1",
    "rededge075": "rededge2",
    "rededge078": "rededge3",
    "lwir": "thermal",
    "lwir11": "thermal",
    "swir1": "swir16",
    "swir2": "swir22",
    "ultrablue": "coastal",
    "aerosol": "coastal",
    "panchromatic": "pan",
    "nearinfrared": "nir",
    "nirnarrow": "nir08",
    "narrownir": "nir08",
    "watervapour": "nir09",
    "watervapor": "nir09",
    "shortwaveinfrared1": "swir16",
    "shortwaveinfrared2": "swir22",
    "thermalinfrared": "thermal",
}
"""Other names of roles, written without spaces: STAC's, and those of makers' handbooks."""
STANDS_IN = {"nir": "nir08", "nir08": "nir", "green": "green05"}
"""Roles that serve for others: sensors with one band in the near infrared have either."""
_NAME = re.compile(r"\s*[A-Za-z][\w\s()./-]*$")
_WORDS = re.compile(r"[^a-z0-9]+")


def role_named(text: str) -> str | None:
    """Return the role that a name means, in any case and spacing; None for any other text."""
    plain = _WORDS.sub("", text.lower()) if _NAME.match(text) else ""
    plain = ALIASES.get(plain, plain)
    return plain if plain in ROLES else None


def role_at(micrometres: float) -> str | None:
    """Return the role of a band by its centre; None where no role is near."""
    for role, (low, high) in SPECTRUM.items():
        if low <= micrometres < high:
            return role
    return None


@dataclass(frozen=True, slots=True)
class Roles(Mapping[str, int]):
    """Numbers of bands, from 1, by role; only what is known.

    Asked for by any of a role's names. Where the near infrared is known as ``nir`` or as
    ``nir08`` alone, either name finds it; what is listed is what was found.
    """

    known: tuple[tuple[str, int], ...] = ()
    """``(role, number)`` in the order of the bands."""
    _numbers: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_numbers", dict(self.known))

    def __getitem__(self, name: str) -> int:
        number = self._find(name)
        if number is None:
            raise KeyError(name)
        return number

    def _find(self, name: str) -> int | None:
        role = role_named(name) if isinstance(name, str) else None
        if role is None:
            return None
        if role in self._numbers:
            return self._numbers[role]
        return self._numbers.get(STANDS_IN.get(role, ""))

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._find(name) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self._numbers)

    def __len__(self) -> int:
        return len(self._numbers)

    def role_of(self, number: int) -> str | None:
        """Return the role of a band, or None where it is not known."""
        return next((role for role, found in self.known if found == number), None)
