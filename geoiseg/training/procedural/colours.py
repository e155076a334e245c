"""Colours of land and water in natural and false-colour renderings."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

LAND = np.array(
    [
        [70, 95, 55], [45, 75, 40], [105, 125, 75], [140, 130, 95], [165, 145, 115],
        [190, 175, 150], [95, 85, 65], [120, 110, 100], [60, 70, 50], [150, 155, 110],
        [200, 90, 90], [170, 60, 70], [120, 190, 90], [210, 130, 60], [90, 150, 60],
    ],
    np.float32,
)  # fmt: skip
"""Soil, crops and woods as seen by eye; the last five as infrared composites show them."""
WATER = np.array(
    [
        [20, 30, 45], [10, 12, 20], [35, 60, 80], [60, 90, 100], [30, 50, 45],
        [110, 105, 85], [15, 25, 90], [70, 110, 130], [45, 45, 50], [130, 130, 120],
    ],
    np.float32,
)  # fmt: skip
"""Clear, deep, shallow, green, muddy and sunlit water."""
BUILT = np.array(
    [
        [200, 200, 200], [160, 160, 165], [120, 120, 125], [170, 110, 90], [140, 80, 70],
        [90, 95, 110], [225, 220, 210], [110, 130, 150], [75, 75, 80], [190, 170, 140],
    ],
    np.float32,
)  # fmt: skip
"""Roofs and pavements."""


def pick(rng: np.random.Generator, table: FloatArray, spread: float = 14.0) -> FloatArray:
    """Return ``(3,)`` one colour of the table, varied."""
    colour = table[rng.integers(len(table))] + rng.normal(0, spread, 3)
    return np.asarray(np.clip(colour, 2, 250), np.float32)


def pick_apart(
    rng: np.random.Generator, table: FloatArray, other: FloatArray, distance: float
) -> FloatArray:
    """Return a colour of the table at least ``distance`` from another one, if luck allows."""
    colour = pick(rng, table)
    for _ in range(8):
        if float(np.linalg.norm(colour - other)) >= distance:
            break
        colour = pick(rng, table, 25.0)
    return colour
