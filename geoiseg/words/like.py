"""More like this: objects near examples in the space in which the words head tells classes apart.

Examples become a few prototypes, and what was rejected becomes others. A handful of labelled
places becomes a small classifier in the same space. Both are values of a few kilobytes.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from geoiseg.errors import ProjectError, PromptError
from geoiseg.models.tiny.words import softmax, words_head
from geoiseg.words.embedded import enlarged
from geoiseg.words.engine import Asked, Labels, Views, mosaic
from geoiseg.words.objects import ObjectOptions, find_objects
from geoiseg.words.view import Area, View

FloatArray = NDArray[np.float32]

PROTOTYPES = 8
"""Of a class; k-means chooses them."""
NEAR = 0.95
"""Share of the examples' own cells that count as like the examples."""
SLACK = 1.7
"""Distance to the nearest prototype, over that of the share :data:`NEAR`, at which the score
is a half."""
CLEAREST = 0.2
"""Least distance that counts as half alike, where the examples are all the same."""
REACH = 1
"""Cells around a click that are taken to be of its class."""
ROUNDS, RATE, DECAY, SHARP = 300, 1.0, 1e-3, 8.0
"""Of the classifier's gradient descent; vectors are of length ``SHARP`` there."""
SHAPE = ObjectOptions(likely=0.5, neck=0.5, min_area=128)


@dataclass(frozen=True, slots=True, eq=False)
class Prototypes:
    """What examples look like, and what should be left out."""

    wanted: FloatArray
    """``(k, h)`` unit vectors."""
    unwanted: FloatArray
    """``(m, h)`` unit vectors; m may be 0."""
    reach: float
    """Distance to the nearest wanted one at which the score is a half."""

    def likelihood(self, meaning: FloatArray) -> FloatArray:
        """Return ``(y, x)`` scores in 0..1 of ``(y, x, h)`` cells."""
        near = _nearest(meaning, self.wanted)
        score = np.exp2(-((near / self.reach) ** 2))
        if len(self.unwanted):
            far = _nearest(meaning, self.unwanted)
            least = np.float32(1e-9)
            score *= np.where(far > near, 1 - near / (2 * far + least), far / (2 * near + least))
        return np.asarray(score, np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Classifier:
    """Classes told apart by a few labelled places."""

    labels: tuple[str, ...]
    weights: FloatArray
    """``(h + 1, classes)``; the last row is the bias."""
    head: str = ""
    """SHA-256 of the words head whose space it is of."""

    def probabilities(self, meaning: FloatArray) -> FloatArray:
        """Return ``(y, x, class)`` of ``(y, x, h)`` cells."""
        flat = meaning.reshape(-1, meaning.shape[2]) * SHARP
        found = softmax(np.asarray(flat @ self.weights[:-1] + self.weights[-1], np.float32))
        return found.reshape(*meaning.shape[:2], len(self.labels))

    def to_dict(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        packed = base64.b64encode(self.weights.astype("<f4").tobytes()).decode()
        return {"labels": list(self.labels), "weights": packed, "head": self.head}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Classifier:
        """Return the classifier that ``to_dict`` described.

        Raises:
            ProjectError: It describes none.
        """
        try:
            labels = tuple(str(label) for label in data["labels"])
            flat = np.frombuffer(base64.b64decode(data["weights"]), "<f4").astype(np.float32)
            return cls(labels, flat.reshape(-1, len(labels)), str(data["head"]))
        except (KeyError, TypeError, ValueError) as error:
            raise ProjectError(f"the classifier of the project is damaged: {error}") from error


def prototypes(
    wanted: Sequence[FloatArray], unwanted: Sequence[FloatArray], seed: int = 0
) -> Prototypes:
    """Return the prototypes of examples.

    Args:
        wanted: ``(n, h)`` cells of each example.
        unwanted: Likewise of what was rejected.
        seed: Of k-means.

    Raises:
        PromptError: The examples hold no cell.
    """
    if not sum(map(len, wanted)):
        raise PromptError("the examples are smaller than a few pixels; give larger ones")
    cells = np.concatenate(wanted)
    centres = _centres(cells, PROTOTYPES, seed)
    distances = np.sqrt(_squares(cells, centres).min(axis=1))
    reach = max(CLEAREST, float(np.quantile(distances, NEAR)) * SLACK)
    others = [_centres(part, 3, seed) for part in unwanted if len(part)]
    none = np.zeros((0, cells.shape[1]), np.float32)
    return Prototypes(centres, np.concatenate(others) if others else none, reach)


def taught(cells: Sequence[FloatArray], labels: Sequence[str], head: str) -> Classifier:
    """Return a classifier fitted to labelled cells, every class of the same weight.

    Args:
        cells: ``(n, h)`` of each labelled place.
        labels: Of each place.
        head: SHA-256 of the words head.

    Raises:
        PromptError: There are not two classes.
    """
    names = tuple(dict.fromkeys(labels))
    if len(names) < 2:
        raise PromptError("a classifier needs places of two classes at least, one may be 'other'")
    x = np.concatenate(list(cells)) * SHARP
    own = np.concatenate(
        [np.full(len(c), names.index(n)) for c, n in zip(cells, labels, strict=True)]
    )
    share = 1 / np.bincount(own, minlength=len(names))[own] / len(names)
    wanted = np.eye(len(names), dtype=np.float32)[own]
    inputs = np.concatenate([x, np.ones((len(x), 1), np.float32)], axis=1)
    weights = np.zeros((inputs.shape[1], len(names)), np.float32)
    for _ in range(ROUNDS):
        error = (softmax(inputs @ weights) - wanted) * share[:, None]
        weights -= (RATE * (inputs.T @ error + DECAY * weights)).astype(np.float32)
    return Classifier(names, weights, head)


def cells_in(meaning: FloatArray, mask: NDArray[np.bool_]) -> FloatArray:
    """Return ``(n, h)`` the cells of a chip that lie in a ``(y, x)`` mask of it."""
    shape = meaning.shape[:2]
    small = cv2.resize(mask.astype(np.float32), shape[::-1], interpolation=cv2.INTER_AREA)
    inside = small > 0.6
    if not inside.any():
        inside = small >= max(float(small.max()), 1e-6)
    return np.asarray(meaning[inside], np.float32)


def meaning_of(view: View) -> FloatArray:
    """Return ``(rows, columns, h)`` vectors of the cells of a chip."""
    return words_head().meaning(view.embed(view.factor))


class LikeEngine:
    """Finds what is like examples, or of a class that was taught."""

    name = "like"
    threshold = 0.5

    def __init__(self, how: Prototypes | Classifier, wanted: str = "") -> None:
        self._how = how
        self._wanted = wanted
        if isinstance(how, Classifier):
            if how.head != self.weights:
                raise PromptError(
                    "the classifier was taught with another version of the network; teach it again"
                )
            if wanted not in how.labels:
                raise PromptError(f"the classifier knows {', '.join(how.labels)}, not {wanted!r}")

    @property
    def weights(self) -> str:
        """SHA-256 of the words head."""
        return str(words_head().card["sha256"])

    def ask(self, text: str, negative: str) -> Asked:  # noqa: ARG002 - as all engines
        """Return what is looked for, in one line."""
        return Asked(f"looking for more like the examples of {text}", text)

    def look(self, asked: Asked, area: Area, views: Views) -> Labels:  # noqa: ARG002
        """Return labels of the objects of an area, and the score of each."""
        parts = [(core, view, self.likelihood(view)) for core, view in views]
        likelihood, valid = mosaic(parts, area)
        return find_objects(likelihood, valid, SHAPE)

    def likelihood(self, view: View) -> FloatArray:
        """Return ``(y, x)`` how likely each pixel is what is looked for, 0..1."""
        meaning = meaning_of(view)
        if isinstance(self._how, Classifier):
            table = self._how.probabilities(meaning)
            cells = np.ascontiguousarray(table[..., self._how.labels.index(self._wanted)])
        else:
            cells = self._how.likelihood(meaning)
        return enlarged(cells, view.shape, view.factor)


def _centres(cells: FloatArray, count: int, seed: int) -> FloatArray:
    """Return ``(k, h)`` unit vectors around which ``(n, h)`` cells gather."""
    cells = np.ascontiguousarray(cells, np.float32)
    if len(cells) <= count:
        return cells
    cv2.setRNGSeed(seed)
    until = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 25, 1e-3)
    start = np.zeros((len(cells), 1), np.int32)
    _, _, centres = cv2.kmeans(cells, count, start, until, 2, cv2.KMEANS_PP_CENTERS)
    lengths = np.linalg.norm(centres, axis=1, keepdims=True)
    return np.asarray(centres / (lengths + 1e-6), np.float32)


def _squares(cells: FloatArray, centres: FloatArray) -> FloatArray:
    """Return ``(n, k)`` squared distances between unit vectors."""
    return np.asarray(np.maximum(0, 2 - 2 * (cells @ centres.T)), np.float32)


def _nearest(meaning: FloatArray, centres: FloatArray) -> FloatArray:
    flat = meaning.reshape(-1, meaning.shape[2])
    return np.asarray(np.sqrt(_squares(flat, centres).min(axis=1)).reshape(meaning.shape[:2]))
