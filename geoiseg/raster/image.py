"""Pixels as models see them: one stretch per raster, and chips of 8-bit RGB.

A stretch is found once per raster from a sample of it and used for every chip and every
map tile, so that results never change with the tile or the extent.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from geoiseg.errors import RasterError
from geoiseg.raster.arrays import BoolArray
from geoiseg.raster.grid import Grid

PERCENTILES = (2.0, 98.0)
"""Share of pixels that may saturate at either end; what most viewers use."""
BYTE_SPAN = 96.0
BYTE_TOP = 140.0
"""An 8-bit raster whose values spread over more than ``BYTE_SPAN`` and reach ``BYTE_TOP`` is shown
as it is; a darker one would be almost black, to the eye and to a model alike."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Linear contrast limits, one pair per displayed band."""

    low: tuple[float, ...]
    """Values that become 0."""
    high: tuple[float, ...]
    """Values that become 255."""

    def __post_init__(self) -> None:
        if len(self.low) not in (1, 3) or len(self.low) != len(self.high):
            raise RasterError(f"a stretch needs one or three pairs, got {self.low}, {self.high}")
        if not all(np.isfinite([*self.low, *self.high])):
            raise RasterError(f"a stretch needs finite limits, got {self.low}, {self.high}")
        if not all(low < high for low, high in zip(self.low, self.high, strict=True)):
            raise RasterError(f"a stretch needs low < high, got {self.low}, {self.high}")

    @classmethod
    def of_samples(cls, samples: NDArray[np.generic], valid: BoolArray) -> Stretch:
        """Return the limits that show the sampled values well.

        Args:
            samples: ``(band, n)`` values of one or three bands, any real type.
            valid: ``(n,)`` True where the values are data.
        """
        bands = samples.shape[0]
        if not valid.any():
            top = 255.0 if samples.dtype == np.uint8 else 1.0
            return cls((0.0,) * bands, (top,) * bands)
        values = samples[:, valid].astype(np.float64)
        low, high = np.percentile(values, PERCENTILES, axis=1)
        span = (high - low).max()
        as_it_is = span == 0 or (span > BYTE_SPAN and high.max() >= BYTE_TOP)
        if samples.dtype == np.uint8 and as_it_is:
            return cls((0.0,) * bands, (255.0,) * bands)
        margin = np.where(high > low, 0.0, np.maximum(1.0, np.abs(low)))  # constant: mid-grey
        return cls(tuple((low - margin).tolist()), tuple((high + margin).tolist()))

    def apply(self, data: NDArray[np.generic], valid: BoolArray) -> NDArray[np.uint8]:
        """Return ``(y, x, 3)`` uint8 of ``(band, y, x)`` data; 0 where there is none.

        Args:
            data: ``(1 or 3, y, x)`` of any real type.
            valid: ``(y, x)`` True where there is data.

        Raises:
            RasterError: The number of bands is not the stretch's.
        """
        if data.shape[0] != len(self.low):
            raise RasterError(
                f"a stretch of {len(self.low)} bands can not take data of shape {data.shape}"
            )
        planes = [self._plane(band, *limits) for band, *limits in self._bands(data)]
        image = cv2.merge(planes if len(planes) == 3 else planes * 3)
        if not valid.all():
            image[~valid] = 0
        return np.asarray(image, dtype=np.uint8)

    def _bands(self, data: NDArray[np.generic]) -> zip[tuple[NDArray[np.generic], float, float]]:
        return zip(data, self.low, self.high, strict=True)

    @staticmethod
    def _plane(band: NDArray[np.generic], low: float, high: float) -> NDArray[np.uint8]:
        if band.dtype == np.uint8:
            if (low, high) == (0.0, 255.0):
                return np.array(band, dtype=np.uint8)
            table = (np.arange(256, dtype=np.float64) - low) * (255.0 / (high - low))
            lookup: NDArray[np.uint8] = np.clip(np.rint(table), 0, 255).astype(np.uint8)
            looked_up: NDArray[np.uint8] = lookup[band]
            return looked_up
        scaled = _above(band, low)
        with np.errstate(over="ignore"):  # infinity is clipped below
            scaled *= np.float32(255.0 / (high - low))
        np.nan_to_num(scaled, copy=False, nan=0.0, posinf=255.0, neginf=0.0)
        np.clip(scaled, 0, 255, out=scaled)
        whole: NDArray[np.uint8] = np.rint(scaled, out=scaled).astype(np.uint8)
        return whole


def _above(band: NDArray[np.generic], low: float) -> NDArray[np.float32]:
    """Return how far values lie above a limit.

    Values whose differences float32 can not hold, such as heights in millimetres or times with
    a large offset, are subtracted before they become that.
    """
    if band.dtype.itemsize < 4 or band.dtype == np.float32:
        less: NDArray[np.float32] = band.astype(np.float32)
        less -= np.float32(low)
        return less
    with np.errstate(over="ignore"):  # infinity is clipped
        return (band.astype(np.float64) - low).astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Chip:
    """A piece of a raster, ready for a model."""

    rgb: NDArray[np.uint8]
    """``(y, x, 3)`` stretched."""
    valid: BoolArray
    """``(y, x)`` True where there is data."""
    grid: Grid
    """Where the chip lies."""

    def __post_init__(self) -> None:
        if self.rgb.shape != (*self.valid.shape, 3) or self.valid.shape != self.grid.shape:
            raise RasterError(
                f"a chip's parts differ in shape: {self.rgb.shape}, {self.valid.shape},"
                f" {self.grid.shape}"
            )
