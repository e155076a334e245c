"""What every raster is to the rest of geoiseg, wherever its pixels come from."""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from geoiseg.errors import GeoreferenceError, RasterError
from geoiseg.raster.arrays import BoolArray
from geoiseg.raster.grid import ChipPlan, Grid, Window
from geoiseg.raster.image import Chip, Stretch
from geoiseg.raster.readers.banded import Banded

SAMPLE_PIXELS = 1 << 20
"""Pixels looked at to find a stretch."""


class Raster(Banded):
    """A lazily read raster: its grid, and windows of it at any pyramid level.

    Safe to share between threads, and picklable where its source can be opened again.
    """

    grid: Grid
    """The full-resolution grid."""
    bands: tuple[int | str, ...]
    """The one or three bands that are read: numbers from 1, and indices and formulas."""
    name: str
    """What to call it in messages and provenance, usually its path."""

    def __init__(self, stretch: Stretch | None = None) -> None:
        self._stretch = stretch
        self._stretch_given = stretch is not None
        self._stretch_lock = threading.Lock()

    @property
    @abstractmethod
    def count(self) -> int:
        """Number of bands in the source."""

    @property
    @abstractmethod
    def dtype(self) -> str:
        """NumPy name of the source's data type."""

    @property
    @abstractmethod
    def source_id(self) -> str:
        """Text that changes when the source, its content or the chosen bands do."""

    @property
    def lasting(self) -> bool:
        """Whether ``source_id`` names the same pixels in another process, too."""
        return False

    @property
    def overview_factor(self) -> int:
        """Up to which reduction a read costs no more than what it returns."""
        return 1

    @property
    def block_shape(self) -> tuple[int, int]:
        """Rows and columns that are read and decoded together."""
        return (1, 1)

    @abstractmethod
    def _read(self, level: int, window: Window) -> tuple[NDArray[Any], BoolArray]:
        """Return ``(band, y, x)`` data and ``(y, x)`` valid of a window inside the level."""

    @abstractmethod
    def _samples(self) -> Iterator[tuple[NDArray[Any], BoolArray]]:
        """Yield a few pieces, ``(band, y, x)`` and ``(y, x)``, spread over the raster."""

    def read(self, window: Window, level: int = 0) -> tuple[NDArray[Any], BoolArray]:
        """Return the pixels of a window at a pyramid level.

        Args:
            window: In pixels of ``grid.level(level)``; must lie inside it.
            level: Pyramid level; 0 is full resolution.

        Returns:
            ``(band, y, x)`` data of the source's type and ``(y, x)`` bool, True = data.

        Raises:
            GeoreferenceError: The window reaches outside or is empty.
            RasterError: The pixels can not be read.
        """
        self._check_window(window, level)
        return self._read(level, window)

    def _check_window(self, window: Window, level: int) -> None:
        inside = window.intersection(self.grid.level(level).whole)
        if inside != window or not window.height or not window.width:
            raise GeoreferenceError(
                f"{window} is not inside level {level} of {self.name},"
                f" which has {self.grid.level(level).shape} rows and columns"
            )

    @property
    def stretch(self) -> Stretch:
        """The one contrast stretch of this raster, found at the first use."""
        with self._stretch_lock:
            if self._stretch is None:
                self._stretch = self._find_stretch()
            return self._stretch

    @property
    def stretch_known(self) -> bool:
        """Whether the stretch was given or has been found already."""
        return self._stretch is not None

    @property
    def stretch_given(self) -> bool:
        """Whether the stretch was chosen by whoever opened the raster."""
        return self._stretch_given

    def take_stretch(self, stretch: Stretch) -> None:
        """Use the stretch that was found in the same source before, unless there is one."""
        with self._stretch_lock:
            if self._stretch is None:
                self._stretch = stretch

    def sample(self) -> NDArray[Any]:
        """Return ``(band, n)`` values of data spread over the raster.

        Raises:
            RasterError: It has no pixels, or they can not be read.
        """
        data, valid = self._sampled()
        return data[:, valid]

    def _find_stretch(self) -> Stretch:
        return Stretch.of_samples(*self._sampled())

    def _sampled(self) -> tuple[NDArray[Any], BoolArray]:
        """Return ``(band, n)`` values spread over the raster, and ``(n,)`` True = data."""
        pieces = [(data.reshape(len(data), -1), valid.ravel()) for data, valid in self._samples()]
        if not pieces:
            raise RasterError(f"{self.name} has no pixels")
        data = np.concatenate([piece[0] for piece in pieces], axis=1)
        valid = np.concatenate([piece[1] for piece in pieces])
        step = max(1, data.shape[1] // SAMPLE_PIXELS)
        return data[:, ::step], valid[::step]

    def chip(self, window: Window, level: int = 0) -> Chip:
        """Return a window as stretched 8-bit RGB with its grid."""
        data, valid = self.read(window, level)
        empty = not valid.any()
        rgb = np.zeros((*valid.shape, 3), np.uint8) if empty else self.stretch.apply(data, valid)
        return Chip(rgb, valid, self.grid.level(level).window(window))

    @property
    def asked(self) -> tuple[int | str, ...]:
        """What ``open_raster`` takes as ``bands`` to show the same, with all that the user said."""
        told = self.told
        sensor = () if told.sensor is None else (f"sensor={told.sensor.key}",)
        return (*sensor, *(f"{role}={number}" for role, number in told.roles), *self.bands)

    @property
    def virtual(self) -> str | None:
        """The text of the VRT that stands for a folder or a list of files; None for others."""
        return None

    @property
    def plain(self) -> Raster:
        """The source itself, where bands are computed from it."""
        return self

    @abstractmethod
    def _reopened(self, bands: Sequence[int], stretch: Stretch | None) -> Raster:
        """Return the same source with these bands; ``stretch`` None is to be found."""

    def restyled(
        self, bands: Sequence[int | str] | None = None, stretch: Stretch | None = None
    ) -> Raster:
        """Return the same source shown with other bands or another stretch.

        Other bands get a stretch of their own where none is given. For bands that have to be
        computed see ``with_bands``.

        Raises:
            RasterError: There are no such bands.
        """
        same = bands is None or tuple(bands) == self.bands
        numbers = self.numbers(self.bands if bands is None else bands)
        other = self._reopened(numbers, (stretch or self._stretch) if same else stretch)
        other._told, other._found = self._told, self._found  # noqa: SLF001 - one of its own
        return other

    def chips(self, level: int, size: int) -> ChipPlan:
        """Return the fixed lattice of chips of a level."""
        return ChipPlan(self.grid.level(level).shape, size)

    def close(self) -> None:
        """Close what is open; the raster opens again when it is next read."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        rows, cols = self.grid.shape
        crs = self.grid.crs.to_string()[:40] if self.grid.crs else "no CRS"
        return f"<{type(self).__name__} {self.name} {cols}x{rows} px, bands {self.bands}, {crs}>"

    def __getstate__(self) -> dict[str, Any]:
        _ = self._known  # what lies beside the source may not be there where it is read
        state = self.__dict__.copy()
        del state["_stretch_lock"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._stretch_lock = threading.Lock()
