"""A raster of which at least one band that is shown is computed from others."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

from numpy.typing import NDArray

from geoiseg.errors import RasterError
from geoiseg.raster.arrays import BoolArray
from geoiseg.raster.facts import BandFacts
from geoiseg.raster.grid import Window
from geoiseg.raster.image import Stretch
from geoiseg.raster.readers.protocol import Raster
from geoiseg.raster.selection import Computed, numbers_of
from geoiseg.raster.sensors.catalogue import Sensor


class ComputedRaster(Raster):
    """One or three bands of another raster, indices and formulas among them, as float32."""

    def __init__(
        self, base: Raster, bands: Sequence[int | str], stretch: Stretch | None = None
    ) -> None:
        """Make a raster of bands of another; nothing is read.

        Raises:
            RasterError: Not one or three bands, or there is no such band.
        """
        super().__init__(stretch)
        if len(bands) not in (1, 3):
            raise RasterError(f"bands takes one or three numbers or names, got {tuple(bands)}")
        self.name, self.grid = base.name, base.grid
        self._items = base.select(bands)
        self.bands = tuple(one.text if isinstance(one, Computed) else one for one in self._items)
        self._base = base
        self._told, self._found = base._told, base._found  # noqa: SLF001 - one of its own
        self._source: Raster = base._with(numbers_of(self._items))  # noqa: SLF001

    @property
    def count(self) -> int:
        """Number of bands in the source."""
        return self._base.count

    @property
    def dtype(self) -> str:
        """NumPy name of the type that is read."""
        return "float32"

    @property
    def source_dtype(self) -> str:
        """NumPy name of the type of the bands of which others are computed."""
        return self._base.source_dtype

    @property
    def source_id(self) -> str:
        """That of the bands that are needed, with what is computed of them."""
        how = [self._base.scaling(number) for number in numbers_of(self._items)]
        text = f"{self._source.source_id}|{self.bands}|{how}|{tuple(self.roles.items())}"
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    @property
    def lasting(self) -> bool:
        """As the source's."""
        return self._source.lasting

    @property
    def overview_factor(self) -> int:
        """As the source's."""
        return self._source.overview_factor

    @property
    def block_shape(self) -> tuple[int, int]:
        """As the source's."""
        return self._source.block_shape

    def _facts(self) -> tuple[BandFacts, ...]:
        return self._base._facts()  # noqa: SLF001

    def _product(self) -> Sensor | None:
        return self._base._product()  # noqa: SLF001

    def _with(self, numbers: Sequence[int]) -> Raster:
        other: Raster = self._base._with(numbers)  # noqa: SLF001
        return other

    def _read(self, level: int, window: Window) -> tuple[NDArray[Any], BoolArray]:
        return self._combined(self._items, *self._source._read(level, window))  # noqa: SLF001

    def _samples(self) -> Iterator[tuple[NDArray[Any], BoolArray]]:
        for data, valid in self._source._samples():  # noqa: SLF001
            yield self._combined(self._items, data, valid)

    @property
    def virtual(self) -> str | None:
        """As the source's."""
        return self._base.virtual

    @property
    def plain(self) -> Raster:
        """The source itself."""
        return self._base

    def _reopened(self, bands: Sequence[int], stretch: Stretch | None) -> Raster:
        return self._base._reopened(bands, stretch)  # noqa: SLF001

    def restyled(
        self, bands: Sequence[int | str] | None = None, stretch: Stretch | None = None
    ) -> Raster:
        """Return the same source shown with other bands or another stretch."""
        if bands is None or tuple(bands) == self.bands:
            return ComputedRaster(self._base, self.bands, stretch or self._stretch)
        return with_bands(self._base, bands, stretch)

    def close(self) -> None:
        """Close what is open."""
        self._base.close()


def with_bands(raster: Raster, bands: Sequence[int | str], stretch: Stretch | None) -> Raster:
    """Return a raster shown with any bands: numbers, roles, names, indices, formulas.

    Raises:
        RasterError: Not one or three bands, or there is no such band.
    """
    items = raster.select(bands)
    if any(isinstance(one, Computed) for one in items):
        return ComputedRaster(raster.plain, bands, stretch)
    return raster.plain.restyled(bands, stretch)
