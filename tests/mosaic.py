"""A raster with known objects, one of which covers 40 tiles, and a river in a spiral."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import rasterio
from affine import Affine
from skimage.measure import label

from tests.conftest import write_raster

TRANSFORM = Affine(2, 0, 500_000, 0, -2, 4_500_000)
PIXEL = 4
"""Square metres."""
BIG, RIVER = 1, 2
"""Numbers of the two in the truth."""


@dataclass(frozen=True)
class Mosaic:
    path: Path
    truth: np.ndarray
    """``(y, x)`` number of each object, 0 where there is no data."""

    def area(self, number: int) -> int:
        return int((self.truth == number).sum()) * PIXEL


def make_mosaic(path: Path, side: int = 1920, seed: int = 3) -> Mosaic:
    rng = np.random.default_rng(seed)
    truth = np.zeros((side, side), np.int32)
    number = RIVER
    for row in range(4, side - 60, 72):
        for col in range(4, side - 60, 72):
            number += 1
            height, width = rng.integers(30, 68, 2)
            truth[row : row + height, col : col + width] = number
    middle = side * 0.68
    angle = np.linspace(0, 2 * np.pi, 400)
    radius = side * (0.285 + 0.02 * np.sin(7 * angle))
    outline = np.column_stack([middle + radius * np.cos(angle), middle + radius * np.sin(angle)])
    around = cv2.fillPoly(np.zeros((side, side), np.uint8), [outline.astype(np.int32)], 1)
    truth[cv2.dilate(around, np.ones((9, 9))) > 0] = 0
    truth[around > 0] = BIG
    cv2.circle(truth, (int(middle), int(middle)), side // 24, 0, -1)  # an island
    turn = np.linspace(2, 9 * np.pi, 3000)
    start = side * 0.24
    xy = start + side * 0.0078 * turn[:, None] * np.column_stack([np.cos(turn), np.sin(turn)])
    river = np.zeros((side, side), np.uint8)
    cv2.polylines(river, [xy.astype(np.int32)], isClosed=False, color=1, thickness=11)
    truth[cv2.dilate(river, np.ones((9, 9))) > 0] = 0
    truth[river > 0] = RIVER
    parts = label(truth, background=0, connectivity=1)  # fields that were cut in two are two
    square = np.ones((9, 9), np.uint8)
    wide = cv2.morphologyEx((truth > 0).astype(np.uint8), cv2.MORPH_OPEN, square) > 0
    parts[~np.isin(parts, parts[wide])] = 0  # slivers that no grid of points would hit
    others = (truth > RIVER) | (parts == 0)
    truth[others] = np.where(parts, RIVER + parts, 0)[others]
    return write_mosaic(path, truth)


def write_mosaic(path: Path, truth: np.ndarray, **profile: object) -> Mosaic:
    """Write each object in a colour of its own, nothing where there is none."""
    numbers = truth.astype(np.int64)
    colours = np.stack([40 + numbers % 200, 40 + numbers // 200 % 200, 60 + numbers * 7 % 190])
    pixels = np.where(truth > 0, colours, 0).astype(np.uint8)
    options: dict[str, object] = {
        "nodata": 0, "tiled": True, "blockxsize": 128, "blockysize": 128, "compress": "deflate",
        "transform": TRANSFORM, "crs": "EPSG:32631", "interleave": "pixel", **profile,
    }  # fmt: skip
    write_raster(path, pixels, **options)
    return Mosaic(path, truth)


def cut_off(path: Path, row: int) -> Path:
    """Take the blocks away from a row of blocks on, as a broken download would."""
    with rasterio.open(path) as whole:
        across = -(-whole.width // whole.block_shapes[0][1])
        places = [int(whole.get_tag_item(f"BLOCK_OFFSET_{x}_{row}", "TIFF", bidx=1))
                  for x in range(across)]  # fmt: skip
    with path.open("r+b") as file:
        file.truncate(min(places) + 10)
    return path
