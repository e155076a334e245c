"""The index of a pixel that is half water: where the line between water and land belongs.

A pixel on the shore has the mean of what it covers, in each band. An index of the mean is not the
mean of the indices: by MNDWI, a pixel that is half water is far below the middle between both, and
a line through the middle lies in the water, by a third of a short-wave band's pixel and more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from geoiseg.raster import BoolArray, Raster, Window
from geoiseg.raster.selection import Computed

FloatArray = NDArray[np.float32]
Sides = tuple[Window, BoolArray, BoolArray]
"""A window, and ``(y, x)`` where pixels are water, and where land, and nothing else."""

PURE = 7
"""Side in pixels of the square around a pixel that has to be of its kind. A short-wave band of 20 m
that was brought to 10 m mixes kinds over three of its pixels."""
FEWEST = 50
"""Pixels of each kind without which nothing is said."""
SAMPLE = 1 << 18
"""Pixels of each kind that are looked at."""


def pure(kind: BoolArray, near: BoolArray) -> BoolArray:
    """Return ``(y, x)`` the pixels near a border that are of a kind with all around them."""
    square = np.ones((PURE, PURE), np.uint8)
    inside = cv2.erode(kind.astype(np.uint8), square, borderType=cv2.BORDER_REPLICATE)
    return np.asarray((inside > 0) & near)


def pure_values(
    raster: Raster, bands: Sequence[int | str], sides: Iterable[Sides], windows: int
) -> tuple[FloatArray, FloatArray] | None:
    """Return ``(bands, n)`` of water and of land, in the order of places; None where one is rare.

    Args:
        raster: With the bands.
        bands: As ``Raster.read_bands`` takes them.
        sides: Of windows near the border.
        windows: How many they are.

    Raises:
        RasterError: The pixels can not be read.
    """
    room = max(1, SAMPLE // max(windows, 1))
    samples: tuple[list[FloatArray], list[FloatArray]] = ([], [])
    for window, *masks in sides:
        if not any(mask.any() for mask in masks):
            continue
        values, valid = raster.read_bands(window, 0, list(bands))
        for mask, sample in zip(masks, samples, strict=True):
            own = values[:, mask & valid]
            sample.append(own[:, :: max(1, own.shape[1] // room)])
    if not samples[0]:
        return None
    water, land = (np.concatenate(sample, axis=1) for sample in samples)
    return None if min(water.shape[1], land.shape[1]) < FEWEST else (water, land)


def half_water(raster: Raster, index: str, sides: Iterable[Sides], windows: int) -> float | None:
    """Return the index of half water and half land; None where too little of one is pure.

    Args:
        raster: With the bands that the index needs.
        index: Name or formula, as ``Raster.read_bands`` takes it.
        sides: Of windows near the border.
        windows: How many they are.

    Raises:
        RasterError: The pixels can not be read.
    """
    (item,) = raster.select([index])
    numbers = sorted(item.numbers) if isinstance(item, Computed) else [item]
    kinds = pure_values(raster, numbers, sides, windows)
    if kinds is None:
        return None
    half = np.mean([np.median(kind, axis=1) for kind in kinds], axis=0).astype(np.float32)
    if not isinstance(item, Computed):
        return float(half[0])
    planes = {number: np.maximum(value, 0).reshape(1, 1)
              for number, value in zip(numbers, half, strict=True)}  # fmt: skip
    found = float(item.values(planes)[0, 0])
    return found if np.isfinite(found) else None
