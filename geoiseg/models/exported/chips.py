"""Chips on which an int8 encoder is calibrated and tried: of a raster, or made."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geoiseg.errors import ExportError
from geoiseg.models.exported.int8 import CHIPS, Chips, Int8
from geoiseg.raster import BoolArray, Raster, Window

MADE = "made pictures"
"""What the card says of chips that are of no raster."""


SIDE = 1024
"""Pixels along a side of a chip: what SAM sees at once."""


def int8_on(kind: str, raster: Raster | None) -> Int8:
    """Return how to make an encoder int8 and try it on a raster's chips, or on made pictures.

    Args:
        kind: ``weights`` or ``static``.
        raster: The user's own; None for made pictures.

    Raises:
        ExportError: No such kind, or the raster has no data.
        RasterError: The raster can not be read.
    """
    if raster is None:
        return Int8(kind, made_chips(SIDE), MADE)
    file = Path(raster.name.partition("?")[0]).name  # a folder may be passed on: no paths, no keys
    return Int8(kind, chips_of(raster, SIDE), file)


def chips_of(raster: Raster, side: int, count: int = CHIPS) -> Chips:
    """Return chips spread evenly over a raster, those with the most data of up to twice as many.

    No two overlap, so that what one is calibrated on says nothing of another.

    Args:
        raster: At its own resolution.
        side: Pixels along a side; less where not two fit beside each other.
        count: How many at most; fewer where the raster has no more.

    Raises:
        ExportError: The raster has no data in any of them.
    """
    rows, columns = raster.grid.shape
    height, width = (min(side, max(1, length // 2)) for length in (rows, columns))
    most = int(np.ceil(np.sqrt(2 * count)))
    tops, lefts = (
        np.linspace(0, length - size, min(most, length // size)).round().astype(int)
        for length, size in ((rows, height), (columns, width))
    )
    windows = [Window(int(top), int(left), height, width) for top in tops for left in lefts]
    chips = [raster.chip(window) for window in windows]
    full = [chip for chip in chips if chip.valid.any()]
    if not full:
        raise ExportError(f"{raster.name} has no data in any of {len(windows)} chips")
    mixed = [full[n] for n in np.random.default_rng(0).permutation(len(full))]
    fullest = sorted(mixed, key=lambda chip: -int(chip.valid.sum()))[:count]
    return [(chip.rgb, chip.valid) for chip in fullest]


def made_chips(side: int, count: int = 4) -> Chips:
    """Return pictures of patches with sharp borders, large and small, and noise."""
    return [(_made(side, seed), np.ones((side, side), bool)) for seed in range(count)]


def _made(side: int, seed: int) -> NDArray[np.uint8]:
    import cv2

    rng = np.random.default_rng(seed)
    image = np.full((side, side, 3), rng.integers(60, 190, 3), np.float32)
    for share in np.geomspace(0.4, 0.02, 60):
        corners = rng.uniform(0, side, 2) + rng.uniform(-0.5, 0.5, (5, 2)) * share * side
        hull = cv2.convexHull(corners.astype(np.int32))
        colour = [float(value) for value in rng.integers(0, 256, 3)]
        cv2.fillPoly(image, [np.asarray(hull)], colour)
    noisy: BoolArray | NDArray[np.floating] = image + rng.normal(0, 6, image.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)
