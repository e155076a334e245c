"""How stretched pixels are coloured for the eye alone: gamma, and a ramp for a single band."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from geoiseg.errors import RasterError
from geoiseg.widget.channel.messages import GAMMAS, RAMP_NAMES

_MAPS = (None, cv2.COLORMAP_VIRIDIS, cv2.COLORMAP_CIVIDIS, cv2.COLORMAP_TURBO,
         cv2.COLORMAP_OCEAN)  # fmt: skip
RAMPS = dict(zip(RAMP_NAMES, _MAPS, strict=True))
"""Ramps by name, from the lowest value to the highest."""


@dataclass(frozen=True, slots=True)
class Paint:
    """Colours of the screen; what models see is not changed by them."""

    gamma: float = 1.0
    """More than 1 makes dark places brighter."""
    ramp: str = "grey"
    """For rasters shown in one band."""

    def __post_init__(self) -> None:
        if not GAMMAS[0] <= self.gamma <= GAMMAS[1]:
            raise RasterError(f"gamma is {GAMMAS[0]} to {GAMMAS[1]}, got {self.gamma}")
        if self.ramp not in RAMPS:
            raise RasterError(f"there is no ramp {self.ramp!r}; there are: {', '.join(RAMPS)}")

    def apply(self, rgb: NDArray[np.uint8], grey: bool) -> NDArray[np.uint8]:
        """Return ``(y, x, 3)`` colours of stretched ones.

        Args:
            rgb: ``(y, x, 3)``
            grey: Whether they are of a single band.
        """
        painted = rgb
        if self.gamma != 1.0:
            share = np.arange(256) / 255
            table = np.rint(255 * share ** (1 / self.gamma)).astype(np.uint8)
            painted = np.asarray(cv2.LUT(painted, table), dtype=np.uint8)
        colours = RAMPS[self.ramp] if grey else None
        if colours is not None:
            bgr = cv2.applyColorMap(np.ascontiguousarray(painted[..., 0]), colours)
            painted = np.ascontiguousarray(bgr[..., ::-1], dtype=np.uint8)
        return painted
