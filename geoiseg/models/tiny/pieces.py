"""Pieces of a chip's features, as the decoder's graph takes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoiseg.models.protocol import Embedding
from geoiseg.models.tiny.inputs import features_in
from geoiseg.raster import Window

STRIDE = 32
"""Pieces begin and end on cells of the coarsest features."""

Features = Mapping[str, NDArray[Any]]


def cut(features: Features, window: Window) -> dict[str, NDArray[Any]]:
    """Return a window's features; it starts on a cell of the coarsest."""
    height, width = (-(-side // STRIDE) for side in window.shape)
    row, col = window.row // STRIDE, window.col // STRIDE
    coarse_rows = features["p32"].shape[2]
    found = {}
    for name, array in features.items():
        fine = array.shape[2] // coarse_rows
        rows = slice(row * fine, (row + height) * fine)
        part = array[:, :, rows, col * fine : (col + width) * fine]
        found[name] = np.ascontiguousarray(part)
    return found


def part_of(embedding: Embedding, window: Window) -> Embedding:
    """Return the embedding of a window of a chip; it starts on a cell of the coarsest features."""
    features = features_in(embedding)
    arrays: dict[str, NDArray[Any]] = dict(cut(features, window))
    for name in embedding.arrays.keys() - features.keys():
        arrays[name] = embedding.arrays[name][window.slices]
    return Embedding(embedding.model, window.shape, arrays)


def span(middle: float, side: int, length: int) -> tuple[int, int]:
    """Return start and length of the cells of one axis nearest around a place."""
    last = max(0, -(-(length - side) // STRIDE) * STRIDE)
    start = min(max(0, round((middle - side / 2) / STRIDE) * STRIDE), last)
    return start, min(side, length - start)
