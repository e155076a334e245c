"""All bands of chips, read once and kept within a bound."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np

from geoiseg.prompting import Frame
from geoiseg.raster import Raster
from geoiseg.segment.narrows import with_narrows
from geoiseg.segment.palette import palette_of
from geoiseg.segment.physics import odds_of
from geoiseg.segment.spectral import VERSION, ChipBands

LIMIT = 64 << 20
"""Bytes that are kept."""
MOST_BANDS = 16
"""Bands that are looked at, spread over all of them where there are more."""


class Spectra:
    """The most recently used chips, up to a number of bytes. Thread-safe.

    Args:
        limit: Bytes to keep.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self.limit = limit
        self._kept: OrderedDict[tuple[object, ...], ChipBands] = OrderedDict()
        self._nbytes = 0
        self._lock = threading.Lock()

    @property
    def nbytes(self) -> int:
        """Bytes in use."""
        return self._nbytes

    def of(self, raster: Raster, frame: Frame, version: int = VERSION) -> ChipBands | None:
        """Return what all bands of a chip say; None where the model sees them all.

        Args:
            raster: Of the chip.
            frame: Where the chip is.
            version: How a step asks; see ``spectral.VERSION``.

        Raises:
            RasterError: The pixels can not be read.
        """
        names = unseen(raster)
        if not names:
            return None
        key = (raster.source_id, tuple(raster.roles.items()), frame, version)
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
                return found
        made = _read(raster, frame, version)
        with self._lock:
            old = self._kept.pop(key, None)
            self._kept[key] = made
            self._nbytes += made.nbytes - (0 if old is None else old.nbytes)
            while len(self._kept) > 1 and self._nbytes > self.limit:
                self._nbytes -= self._kept.popitem(last=False)[1].nbytes
        return made


def unseen(raster: Raster) -> tuple[str, ...]:
    """Return the bands of data that the model is not shown, by name."""
    seen = {band for band in raster.bands if isinstance(band, int)}
    names = raster.all_bands
    numbers = raster.numbers(names)
    return tuple(name for name, number in zip(names, numbers, strict=True) if number not in seen)


def spread_over(names: Sequence[str]) -> tuple[str, ...]:
    """Return the bands that are looked at of those that there are."""
    if len(names) <= MOST_BANDS:
        return tuple(names)
    chosen = np.unique(np.linspace(0, len(names) - 1, MOST_BANDS).round().astype(int))
    return tuple(names[k] for k in chosen)


def _read(raster: Raster, frame: Frame, version: int) -> ChipBands:
    names = spread_over(raster.all_bands)
    values, valid = raster.read_bands(frame.window, frame.level, names)
    water = odds_of(raster, "water", frame.window, frame.level, version)
    if water is not None and frame.level and version > 2:
        water = with_narrows(raster, frame, water, version)
    return ChipBands(palette_of(values, valid), water)


SHARED = Spectra()
"""Chips of all sessions of this process."""
