"""Any engine looked through mirrors and at other scales: answers averaged, doubt measured.

Every view is embedded once; a click decodes all of them. Overhead pictures have no top, so
they are mirrored both ways.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoiseg.errors import ModelError
from geoiseg.models.protocol import Embedding, Masks, Model, ModelInfo
from geoiseg.prompting import PixelPrompts
from geoiseg.raster import BoolArray

FloatArray = NDArray[np.float32]

SURE = 1e-6
"""Probabilities are kept this far from 0 and 1."""
ALIKE = 0.5
"""IoU from which a candidate of another view is the same reading of the prompts."""


@dataclass(frozen=True, slots=True)
class View:
    """A way of looking at a chip: scaled, then mirrored."""

    scale: float = 1.0
    """Pixels of the view per pixel of the chip."""
    across: bool = False
    """Whether left and right change places."""
    down: bool = False
    """Whether top and bottom change places."""

    def size(self, shape: tuple[int, int]) -> tuple[int, int]:
        """Return rows and columns of the view of a chip."""
        return max(1, round(shape[0] * self.scale)), max(1, round(shape[1] * self.scale))

    def of(self, plane: NDArray[Any], shape: tuple[int, int]) -> NDArray[Any]:
        """Return a ``(y, x, ...)`` array of a chip as it is in the view."""
        return self._turned(_sized(plane, self.size(shape)))

    def back(self, plane: FloatArray, shape: tuple[int, int]) -> FloatArray:
        """Return a ``(v, u)`` array of the view as it lies on the chip."""
        return np.asarray(_sized(np.ascontiguousarray(self._turned(plane)), shape))

    def said(self, prompts: PixelPrompts, shape: tuple[int, int]) -> PixelPrompts:
        """Return the prompts as they are in the view."""
        rows, columns = self.size(shape)
        factor = np.array([columns / shape[1], rows / shape[0]])

        def moved(xy: NDArray[np.float64]) -> NDArray[np.float64]:
            placed = xy * factor
            if self.across:
                placed[:, 0] = columns - placed[:, 0]
            if self.down:
                placed[:, 1] = rows - placed[:, 1]
            return np.asarray(placed)

        box = prompts.box
        if box is not None:
            corners = moved(np.array(box, np.float64).reshape(2, 2))
            (x0, y0), (x1, y1) = corners.min(axis=0), corners.max(axis=0)
            box = (float(x0), float(y0), float(x1), float(y1))
        mask = prompts.mask
        if mask is not None:
            mask = self.of(mask.astype(np.float32), shape) > 0.5
        strokes = tuple((moved(xy), sign) for xy, sign in prompts.scribbles)
        return replace(prompts, points=moved(prompts.points), box=box, scribbles=strokes, mask=mask)

    def _turned(self, plane: NDArray[Any]) -> NDArray[Any]:
        plane = plane[:, ::-1] if self.across else plane
        return plane[::-1] if self.down else plane


FLIPS = (View(across=True), View(down=True), View(across=True, down=True))
SCALES = (View(0.75), View(1.25))
KINDS: Mapping[str, tuple[View, ...]] = {
    "flip": (View(), *FLIPS),
    "scale": (View(), *SCALES),
    "flip+scale": (View(), *FLIPS, *SCALES),
}
"""Views by the name that ``--augment`` takes; the chip as it is comes first."""


class Augmented:
    """An engine that answers with the mean over several views.

    Args:
        model: The engine.
        kind: One of :data:`KINDS`.
    """

    def __init__(self, model: Model, kind: str) -> None:
        if kind not in KINDS:
            raise ModelError(f"augment is one of {', '.join(KINDS)}, got {kind!r}")
        self.model = model
        self.kind = kind
        self.views = KINDS[kind]

    @property
    def info(self) -> ModelInfo:
        """That of the engine, with the kind of views after its name and hash."""
        info = self.model.info
        return replace(
            info,
            name=f"{info.name}+{self.kind}",
            weights_hash=f"{info.weights_hash}+{self.kind}",
            description=f"{info.description}; mean over {len(self.views)} views",
            dense=False,
        )

    def embed(self, image: NDArray[np.uint8], valid: BoolArray) -> Embedding:
        """Return all views, embedded.

        Args:
            image: ``(y, x, 3)`` uint8, stretched, any size.
            valid: ``(y, x)`` True where there is data.
        """
        shape = (valid.shape[0], valid.shape[1])
        arrays: dict[str, NDArray[Any]] = {}
        for number, view in enumerate(self.views):
            seen = np.ascontiguousarray(view.of(image, shape))
            there = np.ascontiguousarray(view.of(valid.astype(np.float32), shape) > 0.999)
            embedded = self.model.embed(seen, there)
            arrays |= {f"view{number}_{name}": own for name, own in embedded.arrays.items()}
            arrays[f"view{number}_made_by"] = np.frombuffer(embedded.model.encode(), np.uint8)
        return Embedding(self.info.identity, shape, arrays)

    def decode(
        self,
        embedding: Embedding,
        prompts: PixelPrompts,
        previous: NDArray[np.float32] | None = None,
    ) -> Masks:
        """Return the candidates of the chip as it is, each the mean over all views.

        Args:
            embedding: What ``embed`` returned for this chip.
            prompts: All prompts so far, not only the latest.
            previous: ``(y, x)`` logits of the last mask, to be refined.

        Raises:
            PromptError: As the engine.
            ModelError: The embedding is another model's.
        """
        answers = self._answers(embedding, prompts, previous)
        first = answers[0]
        logits, scores = [], []
        for number in range(len(first.scores)):
            same = [_same(first.logits[number], other) for other in answers]
            found = [pair for pair in same if pair is not None]
            mean = np.mean([_probability(own) for own, _ in found], axis=0)
            logits.append(_logit(mean))
            scores.append(float(np.mean([score for _, score in found])))
        return Masks(np.stack(logits), np.array(scores, np.float32))

    def variance(
        self,
        embedding: Embedding,
        prompts: PixelPrompts,
        previous: NDArray[np.float32] | None = None,
    ) -> FloatArray:
        """Return ``(y, x)``: how much the views' probabilities differ, 0 to 0.25.

        Arguments as :meth:`decode`; each view is asked for its best mask.
        """
        seen = [_probability(a.logits[0]) for a in self._answers(embedding, prompts, previous)]
        return np.asarray(np.var(seen, axis=0), np.float32)

    def _answers(
        self, embedding: Embedding, prompts: PixelPrompts, previous: NDArray[np.float32] | None
    ) -> list[Masks]:
        """Return what each view says, back on the chip."""
        embedding.check_made_by(self.info.identity)
        shape = embedding.shape
        answers = []
        for number, view in enumerate(self.views):
            last = None if previous is None else np.ascontiguousarray(view.of(previous, shape))
            masks = self.model.decode(
                self._part(embedding, number), view.said(prompts, shape), last
            )
            placed = np.stack([view.back(own, shape) for own in masks.logits])
            answers.append(Masks(placed.astype(np.float32), masks.scores))
        return answers

    def _part(self, embedding: Embedding, number: int) -> Embedding:
        """Return the embedding of a view, as the engine made it."""
        begin = f"view{number}_"
        own = {
            name.removeprefix(begin): array
            for name, array in embedding.arrays.items()
            if name.startswith(begin)
        }
        made_by = np.asarray(own.pop("made_by"), np.uint8).tobytes().decode()
        return Embedding(made_by, self.views[number].size(embedding.shape), own)


def _same(wanted: FloatArray, other: Masks) -> tuple[FloatArray, float] | None:
    """Return the candidate, and its score, that is most like a mask; None where none is."""
    mask = wanted > 0
    best, share = 0, -1.0
    for number, logits in enumerate(other.logits):
        union = np.count_nonzero(mask | (logits > 0))
        alike = np.count_nonzero(mask & (logits > 0)) / union if union else 1.0
        if alike > share:
            best, share = number, alike
    if len(other.scores) > 1 and share < ALIKE:
        return None
    return other.logits[best], float(other.scores[best])


def _sized(plane: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """Return a ``(y, x, ...)`` array at another size; itself where it has that size."""
    import cv2

    if plane.shape[:2] == size:
        return plane
    how = cv2.INTER_AREA if size[0] < plane.shape[0] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(np.ascontiguousarray(plane), size[::-1], interpolation=how))


def _probability(logits: FloatArray) -> FloatArray:
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -30, 30))), np.float32)


def _logit(probability: NDArray[np.floating[Any]]) -> FloatArray:
    kept = np.clip(probability, SURE, 1 - SURE)
    return np.asarray(np.log(kept / (1 - kept)), np.float32)
