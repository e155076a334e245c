"""What users write for bands: which to show, and what each of them is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from geoiseg.errors import RasterError
from geoiseg.raster.spectrum import ROLES, role_named

_TOLD = re.compile(r"^\s*([A-Za-z][\w ]*?)\s*=\s*(\d+)\s*$")
_SENSOR = re.compile(r"^\s*sensor\s*=\s*([\w-]+)\s*$", re.IGNORECASE)
_NUMBER = re.compile(r"^\s*\d+\s*$")

Shown = tuple[int | str, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """A wish for bands, as far as it is understood without the raster."""

    shown: Shown | None = None
    """One or three bands, a composite or names; None for the default."""
    roles: tuple[tuple[str, int], ...] = ()
    """What the user says that bands are, ``(role, number)``."""
    sensor: str | None = None
    """What took the picture."""

    @property
    def could_be_names(self) -> bool:
        """Whether what is to be shown may name all bands in their order instead."""
        names = self.shown or ()
        return not self.roles and all(
            isinstance(one, str) and role_named(one) is not None for one in names
        )


def asked_for(bands: str | Iterable[int | str] | Mapping[str, int] | None) -> Asked:
    """Return what is asked for.

    A text has bands between commas. ``nir=4`` says what band 4 is; ``nir``, ``ndwi``,
    ``(green-nir)/(green+nir)`` and ``4`` are bands to show. ``sensor=landsat-7`` says what took
    the picture.

    Raises:
        RasterError: It is nothing of all that.
    """
    if bands is None:
        return Asked()
    if isinstance(bands, Mapping):
        return Asked(None, tuple(bands.items()))
    given = [bands] if isinstance(bands, str) else _listed(bands)
    parts: list[int | str] = []
    for one in given:
        parts.extend(parts_of(one) if isinstance(one, str) else [one])
    told: list[tuple[str, int]] = []
    shown: list[int | str] = []
    sensor = None
    for part in parts:
        taken = _SENSOR.match(part) if isinstance(part, str) else None
        if taken:
            sensor = taken[1]
            continue
        found = _TOLD.match(part) if isinstance(part, str) else None
        if found:
            told.append((_role(found[1]), int(found[2])))
        elif isinstance(part, str):
            shown.append(int(part) if _NUMBER.match(part) else part.strip())
        else:
            shown.append(part)
    if not shown and not told and sensor is None:
        raise RasterError(f"bands takes one or three numbers or names, got {bands!r}")
    return Asked(tuple(shown) or None, tuple(told), sensor)


def parts_of(text: str) -> list[str]:
    """Return what stands between the commas of a text that are in no parentheses.

    Raises:
        RasterError: Nothing stands between two of them.
    """
    parts, depth = [""], 0
    for sign in text:
        depth += {"(": 1, ")": -1}.get(sign, 0)
        if sign == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += sign
    if not all(part.strip() for part in parts):
        raise RasterError(f"bands are names or numbers with commas between them, got {text!r}")
    return parts


def _listed(bands: Iterable[int | str]) -> list[int | str]:
    try:
        return [one if isinstance(one, str) else int(one) for one in bands]
    except (TypeError, ValueError) as error:
        raise RasterError(f"bands takes one or three numbers or names, got {bands!r}") from error


def _role(name: str) -> str:
    role = role_named(name)
    if role is None:
        raise RasterError(f"{name!r} is no role of a band; there are: {', '.join(ROLES)}")
    return role
