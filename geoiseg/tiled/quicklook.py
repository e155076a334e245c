"""A small picture of a whole raster with the objects on it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray

from geoiseg.raster import Raster
from geoiseg.tiled.assemble import MappedObject

SIDE = 1024
"""Pixels of the picture's longer side, at most."""
MOST_PIXELS = 1 << 26
"""A raster that would decode more than this for its picture is left grey."""
OPACITY = 0.45
FINENESS = 4
"""Bits of a pixel's fraction that OpenCV is given."""


class QuickLook:
    """A picture that objects are painted on as they pass.

    Args:
        raster: What lies below.
        level: The pyramid level of the objects' coordinates.
    """

    def __init__(self, raster: Raster, level: int) -> None:
        grid = raster.grid
        small = next(k for k in range(64) if max(grid.level(k).shape) <= SIDE)
        shape = grid.level(small).shape
        cost = grid.height * grid.width / min(raster.overview_factor, 1 << small) ** 2
        if cost <= MOST_PIXELS:
            self._ground = raster.chip(grid.level(small).whole, small).rgb
        else:
            self._ground = np.full((*shape, 3), 96, np.uint8)
        self._paint = np.zeros((*shape, 3), np.uint8)
        at_level = grid.level(level).shape
        self._scale = np.array([shape[1] / at_level[1], shape[0] / at_level[0]])

    def passing(self, found: Iterable[MappedObject]) -> Iterator[MappedObject]:
        """Yield the objects unchanged, and paint them."""
        for item in found:
            self._add(item.id, item.geometry)
            yield item

    def _add(self, number: int, geometry: Any) -> None:
        colour = _colour(number)
        for polygon in shapely.get_parts(geometry):
            rings = [polygon.exterior, *polygon.interiors]
            xy = [shapely.get_coordinates(ring) * self._scale - 0.5 for ring in rings]
            fixed = [np.round(ring * (1 << FINENESS)).astype(np.int32) for ring in xy]
            cv2.fillPoly(self._paint, fixed, colour, lineType=cv2.LINE_8, shift=FINENESS)

    @property
    def picture(self) -> NDArray[np.uint8]:
        """``(y, x, 3)`` RGB."""
        mixed = cv2.addWeighted(self._ground, 1 - OPACITY, self._paint, OPACITY, 0)
        painted = self._paint.any(axis=2, keepdims=True)
        return np.asarray(np.where(painted, mixed, self._ground), np.uint8)


def _colour(number: int) -> tuple[int, int, int]:
    """Return a colour that differs from those of the next numbers."""
    hue = int(number * 0.618033988749895 % 1 * 180)
    pixel = np.array([[[hue, 170, 255]]], np.uint8)
    red, green, blue = cv2.cvtColor(pixel, cv2.COLOR_HSV2RGB)[0, 0].tolist()
    return int(red), int(green), int(blue)
