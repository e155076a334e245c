"""The frame in which a coverage is worked on: metres, and a grid that rounding is done on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geoiseg.errors import GeoreferenceError
from geoiseg.raster import metres_per_unit

XY = NDArray[np.float64]

FINEST = 2.0**-38
"""Cells of the rounding grid, as a share of the largest coordinate: 15 bits above float64's."""
PER_WIDTH = 2.0**-18
"""The same as a share of the width asked for: far below anything that is seen."""


@dataclass(frozen=True, slots=True)
class Frame:
    """Scales along x and y that make the units of a CRS metres on the ground."""

    scale: tuple[float, float]
    """Metres per unit of the CRS, along x and y."""
    cell: float
    """Side in metres of the grid's cells, a power of two."""

    @classmethod
    def of(cls, geometries: Any, crs: Any, width: float) -> Frame:
        """Return the frame of geometries; in degrees, true in the middle of them.

        Args:
            geometries: Shapely geometries.
            crs: Theirs, or None.
            width: The smallest length that counts, in metres; 0 if there is none.

        Raises:
            GeoreferenceError: Coordinates are not finite, or the width is below rounding.
        """
        bounds = shapely.total_bounds(geometries) if len(geometries) else np.full(4, np.nan)
        if not np.isfinite(bounds).all():
            if not np.isnan(bounds).all():
                raise GeoreferenceError(f"coordinates are not finite: bounds are {bounds.tolist()}")
            bounds = np.zeros(4)
        scale = metres_per_unit(crs, (bounds[:2] + bounds[2:]) / 2)
        largest = float(np.abs(bounds * (scale * 2)).max()) or 1.0
        finest = largest * FINEST
        if 0 < width < 64 * finest:
            raise GeoreferenceError(
                f"a width of {width:g} is too small for coordinates of {largest:g}; use more"
            )
        cell = max(finest, width * PER_WIDTH)
        return cls(scale, 2.0 ** math.floor(math.log2(cell)))

    def into(self, geometries: Any) -> NDArray[Any]:
        """Return geometries in metres, without z, not yet rounded."""
        moved: NDArray[Any] = shapely.transform(
            shapely.force_2d(geometries), lambda xy: xy * self.scale
        )
        return moved

    def back(self, xy: XY) -> XY:
        """Return ``(n, 2)`` metres as coordinates of the CRS."""
        return xy / self.scale


class Originals:
    """Where vertices were before they were rounded, so that those that stay come back exactly."""

    def __init__(self, before: XY, cell: float) -> None:
        rounded = _key(np.round(before / cell))
        self._key, first = np.unique(rounded, return_index=True)
        self._xy = before[first]
        self._cell = cell

    def restore(self, xy: XY) -> XY:
        """Return ``(n, 2)`` with each vertex that lies on a rounded one moved to its original."""
        place, known = self._found(xy)
        return np.where(known[:, None], self._xy[place], xy) if known.any() else xy

    def known(self, xy: XY) -> NDArray[np.bool_]:
        """Return ``(n,)`` whether each vertex is a rounded one."""
        return self._found(xy)[1]

    def _found(self, xy: XY) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        cells = np.round(xy / self._cell)
        on_grid = (np.abs(xy - cells * self._cell) < self._cell / 256).all(axis=1)
        key = _key(cells)
        place = np.clip(np.searchsorted(self._key, key), 0, max(len(self._key) - 1, 0))
        if not len(self._key):
            return place, np.zeros(len(xy), bool)
        return place, on_grid & (self._key[place] == key)


def _key(xy: XY) -> NDArray[np.complex128]:
    key: NDArray[np.complex128] = (xy[:, 0] + 0.0) + 1j * (xy[:, 1] + 0.0)
    return key
