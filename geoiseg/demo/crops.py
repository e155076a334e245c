"""How fields look: colours, rows, swaths and wheel tracks of what grows on them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from geoiseg.demo.noise import TILE, Field, grain, skip_grain, tramlines, waves


@dataclass(frozen=True, slots=True)
class Crop:
    """One kind of field."""

    name: str
    rgb: tuple[int, int, int]
    """Colour where it grows well."""
    patch: tuple[int, int, int]
    """Colour of thin or dry patches."""
    mottle: float
    """How much of the field is patchy, 0..1."""
    row: float
    """Distance of the rows, metres."""
    row_contrast: float
    streak: float
    """Contrast of the streaks along the rows."""
    tram: float
    """Contrast of the wheel tracks; positive is brighter than the crop."""
    share: float
    """How common it is."""


CROPS = (
    Crop("ripe wheat", (190, 170, 116), (168, 142, 96), 0.30, 3.6, 0.025, 0.030, -0.13, 0.17),
    Crop("stubble", (180, 166, 132), (160, 140, 110), 0.35, 8.4, 0.045, 0.040, 0.03, 0.11),
    Crop("ploughed soil", (132, 110, 84), (110, 92, 70), 0.55, 4.2, 0.045, 0.055, 0.0, 0.11),
    Crop("seed bed", (164, 146, 112), (142, 122, 92), 0.50, 5.6, 0.020, 0.035, -0.05, 0.10),
    Crop("maize", (76, 100, 60), (100, 116, 68), 0.30, 3.1, 0.060, 0.045, 0.10, 0.14),
    Crop("beet", (74, 110, 62), (98, 122, 70), 0.26, 3.1, 0.045, 0.030, 0.16, 0.10),
    Crop("potatoes", (88, 114, 66), (116, 116, 78), 0.30, 3.4, 0.085, 0.040, 0.18, 0.08),
    Crop("meadow", (110, 130, 78), (146, 146, 98), 0.60, 0.0, 0.0, 0.030, 0.0, 0.11),
    Crop("mown grass", (128, 150, 88), (154, 162, 106), 0.40, 9.0, 0.060, 0.030, 0.0, 0.08),
)
"""Muted as summer imagery is: compare any public aerial survey."""


def row_tile(crop: Crop, rng: np.random.Generator, metres_per_pixel: float) -> Field:
    """Return a periodic ``(TILE, TILE)`` field of relative brightness, rows along x.

    Args:
        crop: What grows.
        rng: Source of randomness.
        metres_per_pixel: Ground size of a pixel; rows finer than that are left out.
    """
    px = 1.0 / metres_per_pixel
    streaks = grain(rng, 70.0 * px, 1.5 * px) * 0.7 + grain(rng, 160.0 * px, 7.0 * px) * 0.4
    tile = crop.streak * streaks + 0.022 * grain(rng, 1.4 * px, 1.2 * px)
    rows = waves(crop.row * px) if crop.row else None
    if rows is not None and rows.any():
        vigour = 1.0 + 0.35 * grain(rng, 26.0 * px, 10.0 * px)
        tile += crop.row_contrast * 0.7 * rows * vigour
    elif rows is not None:
        skip_grain(rng)
    if crop.tram and metres_per_pixel < 4:
        worn = np.clip(0.75 + 0.4 * grain(rng, 60.0 * px, 1.0), 0.0, 1.5)
        strength = min(1.0, 1.0 * px)
        tile += crop.tram * strength * tramlines(24.0 * px, max(2.0, 2.2 * px)) * worn
    return np.asarray(tile, dtype=np.float32)


def lay_rows(
    tile: Field, shape: tuple[int, int], angle: float, xy_origin: tuple[float, float]
) -> Field:
    """Return a periodic tile, turned, over a window of an endless plane.

    Args:
        tile: ``(TILE, TILE)``.
        shape: Rows and columns of the window.
        angle: Radians clockwise from x.
        xy_origin: Where the window's first pixel lies on the plane.
    """
    cos, sin = math.cos(angle), math.sin(angle)
    turn = np.array([[cos, sin], [-sin, cos]])
    laid = cv2.warpAffine(
        tile,
        np.column_stack([turn, turn @ xy_origin % TILE]),
        (shape[1], shape[0]),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_WRAP,
    )
    return np.asarray(laid, dtype=np.float32)
