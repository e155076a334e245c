"""8-bit pixels of a part of a raster, and where in the raster they lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from geoiseg.raster import BoolArray, Grid, Window
from geoiseg.widget.tiling.places import Places

SHARP_FROM = 0.5
"""Where a pixel of the raster takes two of the screen or more, its edges are shown."""


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A place ``xy_pixel`` of the raster is ``xy_pixel * scale - offset`` in the picture."""

    rgb: NDArray[np.uint8]
    """``(y, x, 3)``"""
    valid: BoolArray
    """``(y, x)`` True = data."""
    scale: tuple[float, float]
    offset: tuple[float, float]

    @classmethod
    def of_level(
        cls, rgb: NDArray[np.uint8], valid: BoolArray, window: Window, grid: Grid, level: int
    ) -> Picture:
        """Return a picture of a window of a pyramid level."""
        rows, cols = grid.level(level).shape
        return cls(rgb, valid, (cols / grid.width, rows / grid.height), (window.col, window.row))

    def shrunk(self, shape: tuple[int, int], full: tuple[int, int]) -> Picture:
        """Return a picture of a whole raster with fewer pixels.

        Args:
            shape: Rows and columns to have; the picture itself where it has no more.
            full: Rows and columns of the raster.
        """
        if shape[0] >= self.rgb.shape[0] and shape[1] >= self.rgb.shape[1]:
            return self
        size = (min(shape[1], self.rgb.shape[1]), min(shape[0], self.rgb.shape[0]))
        weight = cv2.resize(self.valid.astype(np.float32), size, interpolation=cv2.INTER_AREA)
        mean: NDArray[Any] = cv2.resize(
            self.rgb.astype(np.float32), size, interpolation=cv2.INTER_AREA
        )
        mean /= np.maximum(weight, 1e-6)[..., None]
        rgb = np.clip(np.rint(mean), 0, 255).astype(np.uint8)
        return Picture(rgb, weight > 0, (size[0] / full[1], size[1] / full[0]), (0.0, 0.0))

    def sampled(self, places: Places, full: tuple[int, int]) -> tuple[NDArray[np.uint8], BoolArray]:
        """Return ``(y, x, 3)`` colours at places and ``(y, x)`` where there is data.

        Args:
            places: In the raster's ``xy_pixel``.
            full: Rows and columns of the raster; there is nothing outside it.
        """
        sharp = places.scale * np.sqrt(self.scale[0] * self.scale[1]) <= SHARP_FROM
        blurred = self.scale[0] < 1 / 64  # a sketch: samples far apart
        how = cv2.INTER_NEAREST if sharp and not blurred else cv2.INTER_LINEAR
        # OpenCV samples four channels in half the time of three
        rgba = cv2.cvtColor(self.rgb, cv2.COLOR_RGB2RGBA)
        gaps = not self.valid.all()
        if gaps:
            rgba[..., 3] = self.valid.view(np.uint8) * np.uint8(255)
        rgba = places.sampled(rgba, (self.scale, self.offset), how)
        rgb: NDArray[Any] = cv2.cvtColor(rgba, cv2.COLOR_RGBA2RGB)
        data: BoolArray = np.ones(rgb.shape[:2], dtype=bool) if places.box else places.inside(full)
        if gaps:
            weight = rgba[..., 3]
            data &= weight >= 128
            edge = data & (weight < 255)  # what is not data is black and must not shine in
            lit = rgb[edge] * (255.0 / weight[edge][:, None])
            rgb[edge] = np.minimum(255, np.rint(lit))
        return rgb, data
