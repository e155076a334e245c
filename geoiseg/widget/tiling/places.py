"""Where the pixels of a piece of the map lie in a raster, and what is seen there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Box = tuple[float, float, float, float]
"""Column and row from, column and row to, in ``xy_pixel``."""
Frame = tuple[tuple[float, float], tuple[float, float]]
"""Scale and offset of a picture: the raster's ``xy_pixel * scale - offset`` is its own."""


@dataclass(frozen=True, slots=True, eq=False)
class Bent:
    """Where the pixel centres of a piece lie in a raster's ``xy_pixel``, one by one."""

    x: NDArray[np.float32]
    """``(y, x)`` columns right of ``origin``, NaN where there is none."""
    y: NDArray[np.float32]
    """``(y, x)`` rows below ``origin``."""
    origin: tuple[float, float]
    """Column and row near the places, so that 32 bits tell them apart."""
    scale: float
    """Pixels of the raster along a pixel of the piece, typically."""
    box: Box | None
    """What holds all places; known only where all lie inside the raster."""

    def inside(self, shape: tuple[int, int]) -> NDArray[np.bool_]:
        """Return ``(y, x)`` which places lie in a raster of ``shape`` rows and columns."""
        return _inside(self.x, self.y, self.origin, shape)

    def reach(self, shape: tuple[int, int]) -> Box | None:
        """Return what holds all places inside a raster of ``shape``; None where none is."""
        if self.box is not None:
            return self.box
        inside = self.inside(shape)
        if not inside.any():
            return None
        x, y = self.x[inside], self.y[inside]
        left, top = self.origin
        return (
            float(x.min()) + left, float(y.min()) + top, float(x.max()) + left, float(y.max()) + top
        )  # fmt: skip

    def sampled(self, image: NDArray[Any], frame: Frame, how: int) -> NDArray[Any]:
        """Return ``(y, x, ...)`` values at the places, beyond its edges those at the edges.

        Args:
            image: ``(y, x)`` or ``(y, x, channel)``.
            frame: Where it lies in the raster.
            how: OpenCV's interpolation.
        """
        (across, down), (col, row) = frame
        x = self.x * np.float32(across)
        x += np.float32(self.origin[0] * across - col - 0.5)
        y = self.y * np.float32(down)
        y += np.float32(self.origin[1] * down - row - 0.5)
        return cv2.remap(image, x, y, how, borderMode=cv2.BORDER_REPLICATE)


@dataclass(frozen=True, slots=True, eq=False)
class Straight:
    """The same where the places are an even lattice, as they nearly are on most tiles."""

    matrix: Array
    """``(2, 3)`` from column and row of the piece, counted from 0, to ``xy_pixel``."""
    shape: tuple[int, int]
    """Rows and columns of the piece."""
    scale: float
    """Pixels of the raster along a pixel of the piece."""
    box: Box | None
    """What holds all places; known only where all lie inside the raster."""

    @property
    def origin(self) -> tuple[float, float]:
        """Column and row near the places."""
        return float(np.floor(self.matrix[0, 2])), float(np.floor(self.matrix[1, 2]))

    @property
    def x(self) -> NDArray[np.float32]:
        """``(y, x)`` columns right of ``origin``."""
        return self._lattice(0)

    @property
    def y(self) -> NDArray[np.float32]:
        """``(y, x)`` rows below ``origin``."""
        return self._lattice(1)

    def _lattice(self, axis: int) -> NDArray[np.float32]:
        across, down, start = self.matrix[axis].tolist()
        rows = np.arange(self.shape[0]) * down + (start - self.origin[axis])
        cols = np.arange(self.shape[1]) * across
        lattice: NDArray[np.float32] = rows.astype(np.float32)[:, None] + cols.astype(np.float32)
        return lattice

    def inside(self, shape: tuple[int, int]) -> NDArray[np.bool_]:
        """Return ``(y, x)`` which places lie in a raster of ``shape`` rows and columns."""
        return _inside(self.x, self.y, self.origin, shape)

    def reach(self, shape: tuple[int, int]) -> Box | None:
        """Return a box around all places inside a raster of ``shape``; None where none is."""
        if self.box is not None:
            return self.box
        x0, y0, x1, y1 = corners(self.matrix, self.shape)
        box = max(0.0, x0), max(0.0, y0), min(float(shape[1]), x1), min(float(shape[0]), y1)
        return box if box[0] <= box[2] and box[1] <= box[3] else None

    def sampled(self, image: NDArray[Any], frame: Frame, how: int) -> NDArray[Any]:
        """Return ``(y, x, ...)`` values at the places, beyond its edges those at the edges.

        Args:
            image: ``(y, x)`` or ``(y, x, channel)``.
            frame: Where it lies in the raster.
            how: OpenCV's interpolation.
        """
        scale, offset = np.array(frame[0]), np.array(frame[1])
        matrix = self.matrix * scale[:, None]
        matrix[:, 2] -= offset + 0.5
        flags = how | cv2.WARP_INVERSE_MAP
        size = self.shape[::-1]
        return cv2.warpAffine(image, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)


Places = Straight | Bent


def _inside(
    x: NDArray[np.float32],
    y: NDArray[np.float32],
    origin: tuple[float, float],
    shape: tuple[int, int],
) -> NDArray[np.bool_]:
    left, top = origin
    inside: NDArray[np.bool_] = (x >= -left) & (x <= shape[1] - left)
    inside &= (y >= -top) & (y <= shape[0] - top)
    return inside


def corners(matrix: Array, shape: tuple[int, int]) -> Box:
    """Return the box around a lattice."""
    rows, cols = shape[0] - 1, shape[1] - 1
    (a, b, c), (d, e, f) = matrix.tolist()
    x = (c, c + a * cols, c + b * rows, c + a * cols + b * rows)
    y = (f, f + d * cols, f + e * rows, f + d * cols + e * rows)
    return min(x), min(y), max(x), max(y)
