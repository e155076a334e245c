"""A source of many bands: what each of them is, and values of any of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoiseg.errors import RasterError
from geoiseg.raster.arrays import BoolArray
from geoiseg.raster.facts import ALPHA, BandFacts
from geoiseg.raster.grid import Grid, Window
from geoiseg.raster.roles import Found, Told, checked_roles, find_roles
from geoiseg.raster.selection import Computed, Item, Known, numbers_of, select
from geoiseg.raster.sensors.catalogue import Sensor
from geoiseg.raster.spectrum import QUALITY, SPECTRUM, Roles


class Banded(ABC):
    """What every raster knows of all its bands, not only of those that are shown."""

    grid: Grid
    name: str
    _told: Told = Told()
    _found: Found | None = None

    @property
    @abstractmethod
    def count(self) -> int:
        """Number of bands in the source."""

    @property
    @abstractmethod
    def dtype(self) -> str:
        """NumPy name of the source's data type."""

    def _facts(self) -> tuple[BandFacts, ...]:
        """Return what the source says of each band."""
        return tuple(BandFacts(number) for number in range(1, self.count + 1))

    def _product(self) -> Sensor | None:
        """Return the sensor that the source's name or its companions tell."""
        return None

    @property
    def source_dtype(self) -> str:
        """NumPy name of the type of the bands in the source."""
        return self.dtype

    def _with(self, numbers: Sequence[int]) -> Any:
        """Return the same source, open as it is, which reads any number of its bands."""
        raise RasterError(f"{self.name} gives none but the bands that are shown: {numbers} asked")

    def _read_numbered(
        self, level: int, window: Window, numbers: Sequence[int]
    ) -> tuple[NDArray[Any], BoolArray]:
        """Return ``(band, y, x)`` data and ``(y, x)`` valid of bands by number."""
        read: tuple[NDArray[Any], BoolArray] = self._with(numbers)._read(level, window)  # noqa: SLF001
        return read

    def tell(
        self, roles: Mapping[str, int] | Iterable[tuple[str, int]] = (),
        sensor: Sensor | None = None,
    ) -> None:  # fmt: skip
        """Take the user's word for what bands are.

        Raises:
            RasterError: There is no such role or band, one has two, or the sensor does not fit.
        """
        told = Told(checked_roles(roles, self.count).roles, sensor)
        self._found = find_roles(self._facts(), told, self._product(), self.name)
        self._told = told

    @property
    def _known(self) -> Found:
        if self._found is None:
            self._found = find_roles(self._facts(), self._told, self._product(), self.name)
        return self._found

    @property
    def facts(self) -> tuple[BandFacts, ...]:
        """What the source itself says of each band, without its companions."""
        return self._facts()

    @property
    def told(self) -> Told:
        """What the user has said of the bands."""
        return self._told

    @property
    def roles(self) -> Roles:
        """Numbers of bands, from 1, by role; only what is known."""
        return self._known.roles

    @property
    def role_sources(self) -> Mapping[str, str]:
        """Where each role was found: what the user said, a tag, a name, a product."""
        return MappingProxyType(dict(self._known.sources))

    @property
    def wavelengths(self) -> Mapping[int, float]:
        """Centres of bands in micrometres by number, where they are known."""
        return MappingProxyType(dict(self._known.wavelengths))

    @property
    def all_bands(self) -> tuple[str, ...]:
        """Names of all bands of data: roles where they are known, or else descriptions.

        Alpha and bands of quality are left out. ``read_bands`` takes each of the names.
        """
        quality = self.roles.get(QUALITY)
        by_name = self._descriptions()
        names = []
        for one in self._facts():
            if (one.interpretation == ALPHA and not self._alpha_told) or one.number == quality:
                continue
            role = self.roles.role_of(one.number)
            plain = one.name.strip()
            known = by_name.get(plain.lower()) == one.number and plain not in self.roles
            names.append(role or (plain if known else f"band{one.number}"))
        return tuple(names)

    @property
    def _alpha_told(self) -> bool:
        """Whether the user says what the band is that is tagged as alpha.

        Every writer calls the fourth of four bands of bytes alpha, the near infrared of aerial
        images too, in which water would then be no data.
        """
        told = {number for _, number in self._told.roles}
        return any(one.interpretation == ALPHA and one.number in told for one in self._facts())

    def _descriptions(self) -> dict[str, int]:
        names = [one.name.strip().lower() for one in self._facts()]
        return {name: n for n, name in enumerate(names, 1) if name and names.count(name) == 1}

    def scaling(self, number: int) -> tuple[float, float]:
        """Return scale and offset that make a band's values physical; 1, 0 where none is known."""
        facts = self._facts()[number - 1]
        if facts.is_scaled:
            return facts.scale, facts.offset
        sensor = self._told.sensor or self._product()
        role = self.roles.role_of(number)
        whole = np.dtype(self.source_dtype).kind in "iu"
        if sensor is not None and whole and role in SPECTRUM:
            return sensor.scale, sensor.offset
        return 1.0, 0.0

    def _vocabulary(self) -> Known:
        numbers = range(1, self.count + 1)
        whole = np.dtype(self.source_dtype).kind in "iu"
        reflectance = (n for n in numbers if not whole or self.scaling(n) != (1.0, 0.0))
        return Known(
            self.name, self.count, self.roles, self._descriptions(), frozenset(reflectance)
        )

    def select(self, bands: Iterable[int | str]) -> tuple[Item, ...]:
        """Return what the bands asked for are: numbers, or what is computed.

        Raises:
            RasterError: There is no such band, role or index, or a text is no formula.
        """
        if isinstance(bands, str):
            raise RasterError(f"bands is a list of names or numbers, got the text {bands!r}")
        return select(bands, self._vocabulary())

    def numbers(self, bands: Iterable[int | str]) -> tuple[int, ...]:
        """Return the numbers of bands of the source.

        Raises:
            RasterError: There is no such band, or one has to be computed.
        """
        found = []
        for asked, item in zip(given := tuple(bands), self.select(given), strict=True):
            if isinstance(item, Computed):
                raise RasterError(f"{asked!r} is computed, and is no band of {self.name}")
            found.append(item)
        return tuple(found)

    def read_bands(
        self, window: Window, level: int = 0, bands: Iterable[int | str] | None = None
    ) -> tuple[NDArray[np.float32], BoolArray]:
        """Return values of any bands, as reflectances where scale and offset are known.

        In indices and formulas, reflectances below 0 count as 0, and 0 / 0 is 0.

        Args:
            window: In pixels of ``grid.level(level)``; must lie inside it.
            level: Pyramid level; 0 is full resolution.
            bands: Numbers from 1, roles, names of bands, indices or formulas; ``all_bands`` by
                default.

        Returns:
            ``(n, y, x)`` float32, and ``(y, x)`` bool, True where there is data and every
            computed band has a value; what is not valid is 0.

        Raises:
            RasterError: There is no such band, or the pixels can not be read.
            GeoreferenceError: The window reaches outside or is empty.
        """
        items = self.select(self.all_bands if bands is None else bands)
        return self._read_items(items, window, level)

    def _read_items(
        self, items: Sequence[Item], window: Window, level: int
    ) -> tuple[NDArray[np.float32], BoolArray]:
        if not items:
            raise RasterError("read_bands needs at least one band")
        self._check_window(window, level)
        return self._combined(items, *self._read_numbered(level, window, numbers_of(items)))

    def _combined(
        self, items: Sequence[Item], data: NDArray[Any], valid: BoolArray
    ) -> tuple[NDArray[np.float32], BoolArray]:
        """Return the values of bands from those that they need, which are in rising order."""
        numbers = numbers_of(items)
        planes = {n: self._scaled(n, plane) for n, plane in zip(numbers, data, strict=True)}
        lit = {n: self._lit(n, p) for n, p in planes.items()} if _any_computed(items) else {}
        values = np.stack(
            [planes[one] if isinstance(one, int) else one.values(lit) for one in items]
        )
        valid = valid & np.isfinite(values).all(axis=0)
        values[:, ~valid] = 0
        return values, valid

    @abstractmethod
    def _check_window(self, window: Window, level: int) -> None:
        """Make sure that a window lies inside a level.

        Raises:
            GeoreferenceError: It does not.
        """

    def _scaled(self, number: int, plane: NDArray[Any]) -> NDArray[np.float32]:
        scale, offset = self.scaling(number)
        values = plane.astype(np.float32)
        if scale != 1.0:
            values *= np.float32(scale)
        if offset:
            values += np.float32(offset)
        return values

    def _lit(self, number: int, plane: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return reflectances without the negative ones that correction for the air leaves."""
        return np.maximum(plane, 0) if self.roles.role_of(number) in SPECTRUM else plane


def _any_computed(items: Sequence[Item]) -> bool:
    return any(isinstance(one, Computed) for one in items)
