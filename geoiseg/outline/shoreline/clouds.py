"""Clouds, their shadows and fill, as the band of quality that products bring says."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from geoiseg.raster import BoolArray, Raster, Window

Codes = NDArray[Any]
Hides = Callable[[Codes], BoolArray]

SCENE_CLASSES = (0, 1, 3, 8, 9, 10)
"""Of Sentinel-2's SCL: no data, defective, shadow, clouds of two kinds, cirrus.

https://sentinels.copernicus.eu/web/sentinel/technical-guides/sentinel-2-msi/level-2a/algorithm-overview
"""
BITS: Mapping[str, int] = MappingProxyType({
    "qa_pixel": 0b11111,  # fill, dilated cloud, cirrus, cloud, cloud shadow
    "fmask": 0b1111,  # cirrus, cloud, next to cloud, cloud shadow
})  # fmt: skip
"""Bits of Landsat Collection 2's QA_PIXEL and of HLS' Fmask.

https://www.usgs.gov/landsat-missions/landsat-collection-2-quality-assessment-bands
https://lpdaac.usgs.gov/documents/1698/HLS_User_Guide_V2.pdf
"""
log = logging.getLogger(__name__)


def hides_of(raster: Raster) -> Hides | None:
    """Return what tells hidden pixels by their codes; None where the raster has no such band.

    A band of quality is decoded by its name. One that is none of SCL, QA_PIXEL and Fmask is not
    guessed at, and a warning says so.
    """
    number = raster.roles.get("quality")
    if number is None:
        return None
    given = raster.facts[number - 1].name.strip()
    name = given.lower()
    if "scl" in name or "scene classification" in name:
        return lambda codes: np.isin(codes, SCENE_CLASSES)
    bits = next((mask for key, mask in BITS.items() if key in name), None)
    if bits is None:
        log.warning(
            "%s: band %d is of quality, but is called %r: clouds are left out where it is called"
            " SCL, QA_PIXEL or Fmask", raster.name, number, given,
        )  # fmt: skip
        return None
    return lambda codes: np.asarray((codes & bits) > 0)


def clouds_of(raster: Raster, window: Window, hides: Hides, around: int = 0) -> BoolArray:
    """Return ``(y, x)`` what clouds and shadows hide.

    Args:
        raster: With a band of quality.
        window: In pixels of the raster.
        hides: Tells hidden pixels by their codes.
        around: Pixels around clouds that count as hidden, too, those of clouds beside the window
            among them.

    Raises:
        RasterError: The pixels can not be read.
    """
    (rows, cols), (bottom, right) = raster.grid.shape, window.stop
    top, left = max(0, window.row - around), max(0, window.col - around)
    wide = Window(top, left, min(rows, bottom + around) - top, min(cols, right + around) - left)
    values, valid = raster.read_bands(wide, 0, [raster.roles["quality"]])
    codes = np.where(valid, values[0], 0).astype(np.int64)
    hidden = hides(codes) & valid
    if around:
        square = np.ones((2 * around + 1, 2 * around + 1), np.uint8)
        hidden = cv2.dilate(hidden.astype(np.uint8), square) > 0
    inside = np.s_[window.row - top :, window.col - left :]
    return np.asarray(hidden[inside][: window.height, : window.width])
