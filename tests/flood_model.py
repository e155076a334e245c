"""A model that is right by construction where every object has one colour of its own."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from skimage.measure import label

from geoiseg.models.protocol import Embedding, Masks, ModelInfo


class FloodModel:
    """Answers a point with the connected pixels of its colour.

    ``pause`` seconds per tile leave time to interrupt a run; a byte is added to ``log`` for
    each.
    """

    def __init__(self, pause: float = 0.0, log: Path | None = None) -> None:
        self.pause, self.log = pause, log
        self.info = ModelInfo("flood", "classic", "Apache-2.0", "for tests", 256, "1")

    def embed(self, image, valid):
        time.sleep(self.pause)
        if self.log is not None:
            with self.log.open("ab") as file:
                file.write(b".")
        colour = image.astype(np.int64) @ (65536, 256, 1)
        parts = label(np.where(valid, colour, -1), background=-1, connectivity=1)
        return Embedding("flood:1", valid.shape, {"parts": parts})

    def decode(self, embedding, prompts, previous=None):
        parts = embedding.arrays["parts"]
        x, y = np.floor(prompts.points[0]).astype(int)
        held = (parts == parts[y, x]) & (parts[y, x] > 0)
        logits = np.where(held, 8, -8).astype(np.float32)
        return Masks(logits[None], np.array([0.9], np.float32))
