"""Clouds, their shadows and fill, as the band of quality that products bring says."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import cv2
import numpy as np

from geoiseg.raster import BoolArray, Raster, Window

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


def clouds_of(raster: Raster, window: Window, around: int = 0) -> BoolArray | None:
    """Return ``(y, x)`` what clouds and shadows hide; None where the raster does not say.

    Args:
        raster: With or without a band of quality.
        window: In pixels of the raster.
        around: Pixels around clouds that count as hidden, too.

    Raises:
        RasterError: The pixels can not be read.
    """
    number = raster.roles.get("quality")
    if number is None:
        return None
    name = raster.facts[number - 1].name.strip().lower()
    values, valid = raster.read_bands(window, 0, [number])
    codes = values[0].astype(np.int64)
    bits = next((mask for key, mask in BITS.items() if key in name), None)
    hidden = np.isin(codes, SCENE_CLASSES) if bits is None else (codes & bits) > 0
    hidden = np.asarray(hidden & valid)
    if not around:
        return hidden
    square = np.ones((2 * around + 1, 2 * around + 1), np.uint8)
    return np.asarray(cv2.dilate(hidden.astype(np.uint8), square) > 0)
