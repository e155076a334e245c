"""Bands as users ask for them: by number, role, name, index or formula."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoiseg.errors import RasterError
from geoiseg.raster.formula import Formula
from geoiseg.raster.indices import INDICES, index_named
from geoiseg.raster.spectrum import Roles, role_named

_NUMBERED = re.compile(r"^(?:band[ _]?)?(\d+)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Known:
    """What names of bands mean in one raster."""

    name: str
    """Of the raster, for messages."""
    count: int
    """Bands that can be asked for by number."""
    roles: Roles
    descriptions: Mapping[str, int]
    """Numbers of bands by their names in lower case, where only one has the name."""
    reflectance: frozenset[int]
    """Bands whose values are known to be reflectances once they are scaled."""

    def number(self, name: str) -> int | None:
        """Return the number of the band of a role, a description or a number; None for others."""
        plain = name.strip()
        if "-" not in plain and plain in self.roles:  # nir-red is a difference
            return self.roles[plain]
        if plain.lower() in self.descriptions:
            return self.descriptions[plain.lower()]
        found = _NUMBERED.match(plain)
        return self._checked(int(found[1])) if found else None

    def _checked(self, number: int) -> int:
        if not 1 <= number <= self.count:
            raise RasterError(
                f"band {number} asked for, but {self.name} has bands 1 to {self.count}"
            )
        return number

    def missing(self, name: str, wanted_by: str = "") -> RasterError:
        """Return the error that says that a band is not known, and what to do."""
        listed = ", ".join(f"{role} ({number})" for role, number in self.roles.items())
        what = f"{wanted_by} needs {name}, which" if wanted_by else name
        role = role_named(name)
        if role is None:
            return RasterError(
                f"{name!r} is no band, role or index of {self.name}; known are: {listed or 'none'};"
                f" indices: {', '.join(INDICES)}"
            )
        return RasterError(
            f"{what} is not known in {self.name} (known are: {listed or 'none'}); say which band it"
            f" is: bands={{'{role}': N}}, --bands {role}=N, or name the sensor"
        )


@dataclass(frozen=True, slots=True)
class Computed:
    """A band that is computed from others."""

    text: str
    """The index or formula as it was asked for."""
    formula: Formula
    parts: tuple[tuple[str, int | Computed], ...]
    """What each name in the formula is."""

    @property
    def numbers(self) -> frozenset[int]:
        """Numbers of all bands that it needs."""
        found: set[int] = set()
        for _, part in self.parts:
            found |= {part} if isinstance(part, int) else part.numbers
        return frozenset(found)

    def values(self, planes: Mapping[int, NDArray[np.float32]]) -> NDArray[np.float32]:
        """Return ``(y, x)`` values from those of its bands, by number."""
        given = {
            name: planes[part] if isinstance(part, int) else part.values(planes)
            for name, part in self.parts
        }
        return self.formula.apply(given)


Item = int | Computed
"""A band of the source by its number, or one that is computed."""


def select(asked: Iterable[int | str], known: Known) -> tuple[Item, ...]:
    """Return what each of the bands asked for is.

    Raises:
        RasterError: There is no such band, role or index, or a text is no formula.
    """
    return tuple(_item(one, known) for one in asked)


def numbers_of(items: Sequence[Item]) -> tuple[int, ...]:
    """Return the numbers of all bands that are needed, in rising order."""
    found: set[int] = set()
    for item in items:
        found |= {item} if isinstance(item, int) else item.numbers
    return tuple(sorted(found))


def _item(one: int | str, known: Known) -> Item:
    if isinstance(one, str):
        number = known.number(one)
        return _computed(one.strip(), known) if number is None else number
    number = int(one)
    if not 1 <= number <= known.count:
        raise RasterError(f"band {number} asked for, but {known.name} has bands 1 to {known.count}")
    return number


def _computed(text: str, known: Known) -> Computed:
    index = index_named(text)
    if index is None and text.isidentifier():
        raise known.missing(text)
    if index is None and not re.search(r"[-+*/(]", text):
        raise known.missing(text)
    formula = Formula.parse(text if index is None else index.formula)
    parts: list[tuple[str, int | Computed]] = []
    for name in formula.names:
        number = known.number(name)
        if number is not None:
            parts.append((name, number))
        elif index is None and index_named(name) is not None:
            parts.append((name, _computed(name, known)))
        else:
            raise known.missing(name, text)
    made = Computed(text if index is None else index.name, formula, tuple(parts))
    if index is not None and index.needs_reflectance and not made.numbers <= known.reflectance:
        raise RasterError(
            f"{index.name} needs reflectances of 0 to 1, and {known.name} does not say how its"
            " numbers become such; name the sensor, or take ndvi"
        )
    return made
