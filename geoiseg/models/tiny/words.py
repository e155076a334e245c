"""Which of a few common classes each place of a chip belongs to, from tiny's embeddings alone.

A few small networks per place, fitted to the encoder that ships beside them; NumPy and OpenCV run
them. Each was fitted to other views of the scenes, and errs elsewhere: their mean is what counts,
and that of the chip and of the chip seen from twice as far, where woods and open sea look less
like each other. Fitted again by ``python -m geoiseg.training.words``, which also writes figures.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from geoiseg.errors import ModelError, WeightsError
from geoiseg.models.protocol import Embedding
from geoiseg.models.tiny.pixel_features import feature_layers

FloatArray = NDArray[np.float32]

CLASSES = ("water", "building", "road", "vegetation", "land", "field")
"""What the head tells apart; ``land`` is bare land, ``field`` a crop field."""
WEIGHTS, CARD = "words.npz", "words.json"
FAR = 6.0
"""Standard deviations beyond which a feature counts no more."""
BLOCK = 1 << 13
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
    """The fitted networks with their card.

    Args:
        folder: Where they are; the package's own when None.

    Raises:
        WeightsError: A file is missing or damaged, or they belong to another encoder.
    """

    def __init__(self, folder: Path | None = None) -> None:
        folder = folder or Path(__file__).parent
        self.card = _read_json(folder / CARD)
        self.heads = load_heads(folder / WEIGHTS)
        if _sha256(folder / WEIGHTS) != self.card.get("sha256"):
            raise WeightsError(
                f"{str(folder / WEIGHTS)!r} is not what its card {CARD} says; reinstall geoiseg"
            )
        encoder = _read_json(folder / "card.json")["sha256"]["encoder.onnx"]
        if self.card.get("encoder") != encoder:
            raise WeightsError(
                f"the words head was fitted to the encoder {str(self.card.get('encoder'))[:12]},"
                f" but the one here is {encoder[:12]}; fit it again:"
                " python -m geoiseg.training.words --data DATA --out geoiseg/models/tiny"
            )

    def probabilities(self, embedding: Embedding, afar: Embedding | None = None) -> FloatArray:
        """Return ``(class, rows, columns)`` probabilities of the cells of a chip.

        Args:
            embedding: Of the model ``tiny``.
            afar: Of the same chip at half its resolution, if it is looked at from there, too.

        Raises:
            ModelError: The embedding is another model's.
        """
        return chances(self.heads, embedding, afar)

    def meaning(self, embedding: Embedding) -> FloatArray:
        """Return ``(rows, columns, h)`` unit vectors, near each other where cells mean the same.

        That is what the first network makes of a cell before it tells the classes apart.

        Args:
            embedding: Of the model ``tiny``.

        Raises:
            ModelError: The embedding is another model's.
        """
        table = _per_cell(embedding, self.heads[0].hidden)
        return np.asarray(table / (np.linalg.norm(table, axis=2, keepdims=True) + 1e-6))


def chances(
    heads: Sequence[Layers], embedding: Embedding, afar: Embedding | None = None
) -> FloatArray:
    """Return ``(class, rows, columns)`` the mean of what networks say of the cells of a chip.

    Args:
        heads: The networks.
        embedding: Of the model ``tiny``.
        afar: Of the same chip at half its resolution, if that is to be asked, too.

    Raises:
        ModelError: The embedding is another model's.
    """

    def mean(features: NDArray[Any]) -> FloatArray:
        return np.asarray(np.mean([head(features) for head in heads], axis=0), np.float32)

    near = _per_cell(embedding, mean)
    if afar is not None:
        far = _per_cell(afar, mean)
        size = (2 * far.shape[1], 2 * far.shape[0])
        large = cv2.resize(far, size, interpolation=cv2.INTER_LINEAR)
        near = np.asarray((near + large[: near.shape[0], : near.shape[1]]) / 2, np.float32)
    return np.ascontiguousarray(near.transpose(2, 0, 1))


def _per_cell(embedding: Embedding, what: Callable[[FloatArray], FloatArray]) -> FloatArray:
    """Return ``(rows, columns, n)`` what is told of the features of each cell."""
    if "p4" not in embedding.arrays:
        raise ModelError(f"the words head reads embeddings of tiny, not of {embedding.model}")
    layers = feature_layers(embedding)
    rows, columns = layers[0].shape[:2]
    step = max(1, BLOCK // columns)
    parts = []
    for start in range(0, rows, step):  # all features of all cells at once are much memory
        some = np.concatenate([layer[start : start + step] for layer in layers], axis=2)
        parts.append(what(some.reshape(-1, some.shape[2])))
    return np.concatenate(parts).reshape(rows, columns, -1)


@cache
def words_head() -> WordsHead:
    """Return the networks that ship with the package, loaded once."""
    return WordsHead()


def load_heads(path: Path) -> tuple[Layers, ...]:
    """Return the networks of a file, of which the first generation's has one.

    Raises:
        WeightsError: It can not be read, or holds none.
    """
    try:
        with np.load(path, allow_pickle=False) as kept:
            arrays = {
                name if "." in name else f"0.{name}": kept[name].astype(np.float32)
                for name in kept.files
            }
        numbers = {int(name.split(".")[0]) for name in arrays} or {0}
        return tuple(_layers(arrays, number) for number in sorted(numbers))
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise WeightsError(f"cannot read the words head {str(path)!r}: {error}") from error


def _layers(arrays: dict[str, FloatArray], number: int) -> Layers:
    """Return one network by its number in a file."""
    count = sum(name.startswith(f"{number}.matrix") for name in arrays)
    return Layers(
        arrays[f"{number}.mean"],
        arrays[f"{number}.scale"],
        tuple(arrays[f"{number}.matrix{k}"] for k in range(count)),
        tuple(arrays[f"{number}.bias{k}"] for k in range(count)),
    )


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _read_json(path: Path) -> dict[str, Any]:
    try:
        read: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"cannot read {str(path)!r}: {error}; reinstall geoiseg") from error
    return read
