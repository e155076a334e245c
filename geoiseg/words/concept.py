"""A model that understands words itself, SAM 3, as an engine: by words, and by examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from geoiseg.models import Model
from geoiseg.prompting import Frame
from geoiseg.raster import Grid
from geoiseg.words.engine import Asked
from geoiseg.words.objectwise import Box, Found, ObjectEngine
from geoiseg.words.view import View

LEAST = 0.1
"""Score below which nothing is returned."""
INSIDE = 0.5
"""Share of an example that a chip must show."""


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """Objects on a raster that say what to look for."""

    grid: Grid
    """The raster's."""
    wanted: tuple[Any, ...]
    """Shapely polygons in the raster's CRS."""
    unwanted: tuple[Any, ...] = ()
    """Likewise of what is not meant."""

    def boxes(self, frame: Frame) -> list[tuple[Box, bool]]:
        """Return the boxes of the examples that a chip shows.

        Args:
            frame: Of the chip.

        Returns:
            ``x0, y0, x1, y1`` in the continuous pixel frame of the chip, within it, and whether
            it is an example of what is wanted.
        """
        own = frame.grid(self.grid)
        signed = [*((one, True) for one in self.wanted), *((one, False) for one in self.unwanted)]
        found: list[tuple[Box, bool]] = []
        for shape, positive in signed:
            whole = np.array(own.box_to_pixel(shape.bounds)).reshape(2, 2)
            shown = np.clip(whole, 0, own.shape[::-1])
            size, all_of_it = shown[1] - shown[0], whole[1] - whole[0]
            if size.min() >= 1 and size.prod() >= INSIDE * all_of_it.prod():
                x0, y0, x1, y1 = shown.ravel().tolist()
                found.append(((x0, y0, x1, y1), positive))
        return found


class Concepts(ObjectEngine):
    """The session's model answers words with masks."""

    kind = "sam3"
    threshold = 0.5

    def __init__(self, model: Model) -> None:
        super().__init__(model.info.name, model.info.weights_hash, model)

    def find(self, view: View, text: str, others: Sequence[str]) -> list[Found]:
        """Return the masks of a concept, but for those that other words fit better."""
        own = self.concepts(view, text, ())
        bad = [one for other in others for one in self.concepts(view, other, ())]
        return [one for one in own if not any(_beaten(one, rival) for rival in bad)]

    def concepts(
        self, view: View, words: str | None, boxes: Sequence[tuple[Box, bool]]
    ) -> list[Found]:
        """Return what the model finds on a chip by words, by examples, or by both."""
        answer: Any = self._model
        found = answer.concepts(self.embedding(view), words, boxes, LEAST)
        masks = [mask & view.valid for mask in found.logits > 0]
        return [Found(m, float(s)) for m, s in zip(masks, found.scores, strict=True) if m.any()]

    def like(self, examples: Examples, words: str) -> ExampleConcepts:
        """Return the engine that looks for more like examples."""
        return ExampleConcepts(self, examples, words)


class ExampleConcepts(ObjectEngine):
    """The model answers examples with masks.

    It compares within one chip. Words go along with the examples of a chip, and stand alone on
    a chip that shows none; without words nothing is looked for there.

    Args:
        by: The model as an engine; what it keeps of chips is shared.
        examples: On the raster that is looked at.
        words: What the examples are called; empty for nothing.
    """

    kind = "sam3"
    threshold = Concepts.threshold

    def __init__(self, by: Concepts, examples: Examples, words: str = "") -> None:
        super().__init__(by.name, by.weights, by._model)  # noqa: SLF001 - the same model
        self._by = by
        self._examples = examples
        self._words = words

    def ask(self, text: str, negative: str) -> Asked:
        """Return what is looked for, in one line."""
        asked = super().ask(text, negative)
        count = len(self._examples.wanted)
        note = f"{self.name} looks for more like {count} example{'s' * (count != 1)} of {text}"
        return Asked(note, asked.wanted, asked.unwanted)

    def find(self, view: View, text: str, others: Sequence[str]) -> list[Found]:  # noqa: ARG002
        """Return what is like the examples on a chip."""
        boxes = self._examples.boxes(view.frame)
        if not self._words and not any(positive for _, positive in boxes):
            return []
        own = self._by.concepts(view, self._words or None, boxes)
        bad = [one for other in others for one in self._by.concepts(view, other, ())]
        return [one for one in own if not any(_beaten(one, rival) for rival in bad)]


def _beaten(one: Found, rival: Found) -> bool:
    both = (one.mask & rival.mask).sum()
    return bool(rival.score > one.score and both > 0.5 * one.mask.sum())
