"""What tiny's embedding says about each place of a chip, as one vector per place.

A place is a cell of the finest pyramid level, four pixels wide. Coarser levels are enlarged
to it, finer ones averaged, and the means of the surroundings are put beside them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from geoiseg.models.protocol import Embedding

FloatArray = NDArray[np.float32]

CELL = 4
"""Chip pixels per cell, across and down."""
FINE = ("shallow", "fine_key", "colour")
SAME = ("p4", "key", "dense")
COARSE = ("p8", "p16", "p32")
AROUND = (9, 33)
"""Cells across of the surroundings whose means are taken."""


def pixel_features(embedding: Embedding) -> FloatArray:
    """Return ``(rows, columns, n)`` features of the cells of a chip.

    Args:
        embedding: Of the model ``tiny``.

    Returns:
        Rows and columns are those of the chip divided by :data:`CELL`, rounded up.
    """
    return np.concatenate(feature_layers(embedding), axis=2)


def feature_layers(embedding: Embedding) -> tuple[FloatArray, ...]:
    """Return ``(rows, columns, m)`` layers that make up :func:`pixel_features`, in order.

    Args:
        embedding: Of the model ``tiny``.
    """
    arrays = embedding.arrays
    rows, columns = (-(-side // CELL) for side in embedding.shape)
    full = arrays["p4"].shape[2:]
    size = (full[1], full[0])
    # The first generation has no dense heads.
    parts = [_layer(arrays, name) for name in SAME if name in arrays]
    parts += [
        np.asarray(cv2.resize(_layer(arrays, name), size, interpolation=cv2.INTER_AREA), np.float32)
        for name in FINE
    ]
    fine = np.concatenate(parts, axis=2)[:rows, :columns]
    coarse = [
        cv2.resize(_layer(arrays, name), size, interpolation=cv2.INTER_LINEAR)[:rows, :columns]
        for name in COARSE
    ]
    around = [
        cv2.blur(fine, (side, side), borderType=cv2.BORDER_REFLECT_101)
        for side in AROUND
        if min(fine.shape[:2]) > 1
    ] or [fine] * len(AROUND)
    return tuple(np.asarray(layer, np.float32) for layer in (fine, *coarse, *around))


def _layer(arrays: Mapping[str, NDArray[Any]], name: str) -> FloatArray:
    """Return a layer of the embedding as ``(y, x, channel)``."""
    return np.ascontiguousarray(arrays[name][0].transpose(1, 2, 0), np.float32)
