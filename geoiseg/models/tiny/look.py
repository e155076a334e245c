"""What a look at a piece of a chip shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoiseg.models.protocol import Embedding, Masks
from geoiseg.models.tiny.batch import moved
from geoiseg.models.tiny.inputs import PIXELS, validity
from geoiseg.models.tiny.outputs import LIMIT, sharpened
from geoiseg.prompting import PixelPrompts
from geoiseg.raster import BoolArray, Window


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """A mask on a piece of a chip; there is nothing outside."""

    window: Window
    """Of the chip."""
    piece: NDArray[np.float32]
    """``(y, x)`` logits within the window."""
    score: float
    """The IoU that the network expects."""

    def masks(self, valid: BoolArray) -> Masks:
        """Return it as masks of the chip, whose ``(y, x)`` validity tells its size."""
        logits = np.full((1, *valid.shape), -LIMIT, np.float32)
        logits[0][self.window.slices] = self.piece
        return Masks(logits, np.array([self.score], np.float32))

    def sharpened(self, embedding: Embedding, prompts: PixelPrompts) -> Look:
        """Return it with the outline moved to where the colours of the chip change."""
        rows_and_columns = self.window.slices
        valid = validity(embedding)[rows_and_columns]
        pixels = embedding.arrays[PIXELS][rows_and_columns]
        piece = sharpened(self.piece, pixels, moved(prompts, self.window), valid)
        return Look(self.window, piece, self.score)
