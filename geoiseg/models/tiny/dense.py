"""What the dense heads of the second generation say of each cell of a chip."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoiseg.errors import ModelError
from geoiseg.models.protocol import DenseMaps, Embedding

DENSE = "dense"
"""Name of the array of their logits, ``(1, heads, v, u)``."""
CELL = 4
"""Chip pixels per cell, across and down."""
OBJECTNESS = ("interior", "border", "distance")
"""The first heads."""
CLASSES = ("water", "building", "road", "field", "tree", "grass", "bare", "snow")
"""The heads after them."""


def dense_maps(embedding: Embedding) -> DenseMaps:
    """Return the probabilities of an embedding's cells.

    Raises:
        ModelError: It is of the first generation, which has no dense heads.
    """
    if DENSE not in embedding.arrays:
        raise ModelError(f"{embedding.model} has no dense heads; take another model")
    rows, columns = (-(-side // CELL) for side in embedding.shape)
    logits: NDArray[Any] = embedding.arrays[DENSE][0, :, :rows, :columns].astype(np.float32)
    heads: NDArray[np.float32] = 1 / (1 + np.exp(-logits))
    interior, border = heads[: len(OBJECTNESS) - 1]
    return DenseMaps(
        interior, border, dict(zip(CLASSES, heads[len(OBJECTNESS) :], strict=True)), CELL
    )
