"""Which of a few common classes each place of a chip belongs to, from tiny's embedding alone.

A small network per place, fitted to the encoder that ships beside it; NumPy and OpenCV run
it. Fitted again by ``python -m geoiseg.training.words``, which also writes its figures.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoiseg.errors import ModelError, WeightsError
from geoiseg.models.protocol import Embedding
from geoiseg.models.tiny.pixel_features import pixel_features

FloatArray = NDArray[np.float32]

CLASSES = ("water", "building", "road", "vegetation", "land", "field")
"""What the head tells apart; ``land`` is bare land, ``field`` a crop field."""
WEIGHTS, CARD = "words.npz", "words.json"
FAR = 6.0
"""Standard deviations beyond which a feature counts no more."""
BLOCK = 1 << 14
"""Places that are worked on together."""


@dataclass(frozen=True, slots=True, eq=False)
class Layers:
    """A fitted network: standardised features, layers with ReLU between, softmax."""

    mean: FloatArray
    """``(n,)`` of the features."""
    scale: FloatArray
    """``(n,)`` by which they are divided."""
    matrices: tuple[FloatArray, ...]
    """``(inputs, outputs)`` of each layer."""
    biases: tuple[FloatArray, ...]

    def __call__(self, features: NDArray[Any]) -> FloatArray:
        """Return ``(places, classes)`` probabilities of ``(places, n)`` features."""
        last: FloatArray = self.hidden(features) @ self.matrices[-1] + self.biases[-1]
        return softmax(last)

    def hidden(self, features: NDArray[Any]) -> FloatArray:
        """Return ``(places, h)`` what the last layer sees of ``(places, n)`` features."""
        hidden: FloatArray = (np.asarray(features, np.float32) - self.mean) / self.scale
        np.clip(hidden, -FAR, FAR, out=hidden)
        for matrix, bias in zip(self.matrices[:-1], self.biases[:-1], strict=True):
            hidden = hidden @ matrix
            hidden += bias
            np.maximum(hidden, 0, out=hidden)
        return hidden


def softmax(logits: FloatArray) -> FloatArray:
    """Return ``(places, classes)`` probabilities."""
    moved = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(moved / moved.sum(axis=1, keepdims=True), np.float32)


class WordsHead:
    """The fitted head with its card.

    Args:
        folder: Where it is; the package's own when None.

    Raises:
        WeightsError: A file is missing or damaged, or the head belongs to another encoder.
    """

    def __init__(self, folder: Path | None = None) -> None:
        folder = folder or Path(__file__).parent
        self.card = _read_json(folder / CARD)
        self.layers = load_layers(folder / WEIGHTS)
        encoder = _read_json(folder / "card.json")["sha256"]["encoder.onnx"]
        if self.card.get("encoder") != encoder:
            raise WeightsError(
                f"the words head was fitted to the encoder {str(self.card.get('encoder'))[:12]},"
                f" but the one here is {encoder[:12]}; fit it again:"
                " python -m geoiseg.training.words --data DATA --out geoiseg/models/tiny"
            )

    def probabilities(self, embedding: Embedding) -> FloatArray:
        """Return ``(class, rows, columns)`` probabilities of the cells of a chip.

        Args:
            embedding: Of the model ``tiny``.

        Raises:
            ModelError: The embedding is another model's.
        """
        table = self._per_cell(embedding, self.layers)
        return np.ascontiguousarray(table.transpose(2, 0, 1))

    def meaning(self, embedding: Embedding) -> FloatArray:
        """Return ``(rows, columns, h)`` unit vectors, near each other where cells mean the same.

        Args:
            embedding: Of the model ``tiny``.

        Raises:
            ModelError: The embedding is another model's.
        """
        table = self._per_cell(embedding, self.layers.hidden)
        return np.asarray(table / (np.linalg.norm(table, axis=2, keepdims=True) + 1e-6))

    def _per_cell(
        self, embedding: Embedding, what: Callable[[FloatArray], FloatArray]
    ) -> FloatArray:
        if "p4" not in embedding.arrays:
            raise ModelError(f"the words head reads embeddings of tiny, not of {embedding.model}")
        features = pixel_features(embedding)
        flat = features.reshape(-1, features.shape[2])
        parts = [what(flat[start : start + BLOCK]) for start in range(0, len(flat), BLOCK)]
        return np.concatenate(parts).reshape(*features.shape[:2], -1)


@cache
def words_head() -> WordsHead:
    """Return the head that ships with the package, loaded once."""
    return WordsHead()


def load_layers(path: Path) -> Layers:
    """Return the network of a file.

    Raises:
        WeightsError: It can not be read.
    """
    try:
        with np.load(path, allow_pickle=False) as kept:
            count = sum(name.startswith("matrix") for name in kept.files)
            return Layers(
                kept["mean"].astype(np.float32),
                kept["scale"].astype(np.float32),
                tuple(kept[f"matrix{k}"].astype(np.float32) for k in range(count)),
                tuple(kept[f"bias{k}"].astype(np.float32) for k in range(count)),
            )
    except (OSError, KeyError, ValueError) as error:
        raise WeightsError(f"cannot read the words head {str(path)!r}: {error}") from error


def _read_json(path: Path) -> dict[str, Any]:
    try:
        read: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"cannot read {str(path)!r}: {error}; reinstall geoiseg") from error
    return read
