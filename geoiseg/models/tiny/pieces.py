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

_SIGN_AND_REST = np.int32(0x8FFFE000 - (1 << 32))
"""The bits of a number in single precision that come from one in half precision."""
_BIASES = np.float32(2.0**112)
"""The exponents of the two are counted from 127 and from 15."""


def cut(features: Features, window: Window) -> dict[str, NDArray[Any]]:
    """Return a window's features in single precision; it starts on a cell of the coarsest."""
    height, width = (-(-side // STRIDE) for side in window.shape)
    row, col = window.row // STRIDE, window.col // STRIDE
    coarse_rows = features["p32"].shape[2]
    found = {}
    for name, array in features.items():
        fine = array.shape[2] // coarse_rows
        rows = slice(row * fine, (row + height) * fine)
        found[name] = widened(array[:, :, rows, col * fine : (col + width) * fine])
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


def widened(values: NDArray[Any]) -> NDArray[np.float32]:
    """Return finite numbers in single precision, contiguous.

    Half precision is widened four times faster here than by numpy, which does it one by one.
    """
    if values.dtype != np.float16:
        return np.ascontiguousarray(values, np.float32)
    bits = values.view(np.int16).astype(np.int32, order="C")
    np.left_shift(bits, 13, out=bits)
    np.bitwise_and(bits, _SIGN_AND_REST, out=bits)
    found = bits.view(np.float32)
    np.multiply(found, _BIASES, out=found)
    return found
