"""A network of SAM's kind as a model: chips and prompts in, masks out."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoiseg.models.protocol import Candidates, Embedding, Masks, ModelInfo
from geoiseg.models.sam.engine import Engine, FloatArray
from geoiseg.models.sam.frames import Frame, check_image
from geoiseg.models.sam.tokens import group, tokens_of
from geoiseg.prompting import PixelPrompts
from geoiseg.raster import BoolArray


class SamModelAdapter:
    """A promptable network of SAM's kind.

    Args:
        info: What to tell users of it.
        engine: What runs it.
    """

    def __init__(self, info: ModelInfo, engine: Engine) -> None:
        self._info = info
        self.engine = engine
        self._lock = threading.Lock()

    @property
    def info(self) -> ModelInfo:
        """Name, licence, chip size and weights of the model."""
        return self._info

    def embed(self, image: NDArray[np.uint8], valid: BoolArray) -> Embedding:
        """Return the features of a chip.

        Args:
            image: ``(y, x, 3)`` uint8, stretched, any size; scaled to fill the network's square.
            valid: ``(y, x)`` True where there is data.

        Raises:
            ModelError: The arrays are not an image and its validity, or memory ran out.
        """
        return self.embed_many([(image, valid)])[0]

    def embed_many(self, chips: Sequence[tuple[NDArray[np.uint8], BoolArray]]) -> list[Embedding]:
        """Return the features of several chips, which a GPU makes faster together.

        Args:
            chips: Image and validity of each, as ``embed`` takes them.

        Raises:
            ModelError: The arrays are not images and their validity, or memory ran out.
        """
        for image, valid in chips:
            check_image(image, valid)
        pixels = [self.pixel_values(image, valid) for image, valid in chips]
        with self._lock:
            arrays = self.engine.encode(pixels)
        return [
            Embedding(self._info.identity, (valid.shape[0], valid.shape[1]), own)
            for (_, valid), own in zip(chips, arrays, strict=True)
        ]

    def pixel_values(self, image: NDArray[np.uint8], valid: BoolArray) -> FloatArray:
        """Return ``(3, y, x)`` what the image encoder takes of a chip, as ``embed`` takes it."""
        return self._frame(valid.shape).pixel_values(image, valid)

    def decode(
        self,
        embedding: Embedding,
        prompts: PixelPrompts,
        previous: NDArray[np.float32] | None = None,
    ) -> Masks:
        """Return three candidate masks of a single point, one of clearer prompts, best first.

        Args:
            embedding: What ``embed`` returned for this chip.
            prompts: All prompts so far, not only the latest.
            previous: ``(y, x)`` logits of the last mask, to be refined.

        Raises:
            PromptError: No prompt at all.
            ModelError: The embedding is another model's.
        """
        frame = self._own(embedding)
        tokens = tokens_of(prompts, frame, previous)
        with self._lock:
            logits, quality = self.engine.decode(embedding.arrays, tokens)
        best = np.argsort(-quality[0], kind="stable")
        return Masks(frame.to_chip(logits[0][best]), _score(quality[0][best]))

    def decode_batch(self, embedding: Embedding, prompts: Sequence[PixelPrompts]) -> Candidates:
        """Return masks of many objects, at a quarter of the network's resolution.

        Args:
            embedding: What ``embed`` returned for this chip.
            prompts: One for each object; a single point gives three masks, best first.

        Raises:
            PromptError: A prompt that says nothing.
            ModelError: The embedding is another model's.
        """
        frame = self._own(embedding)
        parts: list[_Answer] = []
        for numbers, tokens in group([tokens_of(one, frame) for one in prompts]):
            with self._lock:
                logits, quality = self.engine.decode(embedding.arrays, tokens)
            parts.append(_Answer(numbers, frame.crop(logits), quality))
        if not parts:
            none = np.zeros(0, np.float32)
            empty = np.zeros((0, *frame.low), np.float32)
            return Candidates(empty, none, np.zeros(0, np.intp), frame.low_scale)
        logits = np.concatenate([part.logits.reshape(-1, *frame.low) for part in parts])
        quality = np.concatenate([part.quality.ravel() for part in parts])
        owner = np.concatenate([np.repeat(p.numbers, p.quality.shape[1]) for p in parts])
        order = np.lexsort((-quality, owner))
        return Candidates(logits[order], _score(quality[order]), owner[order], frame.low_scale)

    def _own(self, embedding: Embedding) -> Frame:
        embedding.check_made_by(self._info.identity)
        return self._frame(embedding.shape)

    def _frame(self, shape: tuple[int, ...]) -> Frame:
        return Frame((shape[0], shape[1]), self.engine.side)


@dataclass(frozen=True, slots=True, eq=False)
class _Answer:
    numbers: NDArray[np.intp]
    logits: FloatArray
    quality: FloatArray


def _score(quality: FloatArray) -> FloatArray:
    return np.clip(quality, 0, 1).astype(np.float32)
