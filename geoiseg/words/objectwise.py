"""What engines of an open vocabulary share: objects one by one, put into one label image."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from geoiseg.models import Embedding, Model
from geoiseg.prompting import PixelPrompts
from geoiseg.raster import BoolArray, Window
from geoiseg.segment import CleanOptions, choose, clean
from geoiseg.words.engine import Asked, Labels, Views
from geoiseg.words.view import Area, View
from geoiseg.words.vocabulary import check_text

HIDDEN = 0.5
"""Share of an object that better ones may cover before it is left out."""
SMALLEST = 16
"""Pixels of the smallest object."""
KEPT = 8
"""Chips of which something is kept."""
Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """An object on a chip."""

    mask: BoolArray
    """``(y, x)`` of the chip."""
    score: float


class ObjectEngine(ABC):
    """Finds objects one by one.

    Args:
        name: Of the engine.
        weights: Hash of its weights.
        model: Turns boxes and points into masks.
    """

    kind: ClassVar[str]
    threshold = 0.3

    def __init__(self, name: str, weights: str, model: Model) -> None:
        self.name = name
        self.weights = weights
        self._model = model
        self._kept: OrderedDict[tuple[str, str], Any] = OrderedDict()
        self._lock = threading.Lock()

    def ask(self, text: str, negative: str) -> Asked:
        """Return the words as they are; an open vocabulary knows all.

        Raises:
            PromptError: The text is empty or too long.
        """
        said = check_text(text)
        others = tuple(part.strip() for part in negative.split(",") if part.strip())
        note = f"{self.name} looks for {said}"
        return Asked(note + (f", not {', '.join(others)}" if others else ""), said, others)

    def look(self, asked: Asked, area: Area, views: Views) -> Labels:
        """Return labels of the objects of an area, and the score of each, best first."""
        placed = [
            (one, core, view.frame.window)
            for core, view in views
            for one in self.find(view, asked.wanted, asked.unwanted)
        ]
        return _painted(placed, area.window)

    @abstractmethod
    def find(self, view: View, text: str, others: Sequence[str]) -> list[Found]:
        """Return the objects of a chip that a text names.

        Args:
            view: The chip.
            text: What to look for.
            others: What it should not be.
        """

    def kept(self, what: str, view: View, make: Any) -> Any:
        """Return what was made of a chip before, or make and keep it."""
        if not view.key:
            return make()
        key = (what, view.key)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        made = make()
        with self._lock:
            self._kept[key] = made
            while len(self._kept) > 2 * KEPT:
                self._kept.popitem(last=False)
        return made

    def embedding(self, view: View) -> Embedding:
        """Return the chip as the session's model sees it."""
        made: Embedding = self.kept("embedding", view, lambda: self._embed(view))
        return made

    def _embed(self, view: View) -> Embedding:
        return self._model.embed(view.rgb, view.valid)

    def segmented(self, view: View, prompts: PixelPrompts) -> BoolArray:
        """Return ``(y, x)`` what the session's model makes of prompts on a chip."""
        logits, _ = choose(self._model.decode(self.embedding(view), prompts))
        return clean((logits > 0) & view.valid, view.valid, prompts, CleanOptions())

    def boxed(self, view: View, boxes: Sequence[Box], scores: Sequence[float]) -> list[Found]:
        """Return the object within each box of a chip.

        Args:
            view: The chip.
            boxes: ``x0, y0, x1, y1`` in its continuous pixel frame.
            scores: Of each.
        """
        found = []
        rows, columns = view.shape
        for box, score in zip(boxes, scores, strict=True):
            x0, x1 = (float(np.clip(value, 0, columns)) for value in (box[0], box[2]))
            y0, y1 = (float(np.clip(value, 0, rows)) for value in (box[1], box[3]))
            if x1 - x0 < 1 or y1 - y0 < 1:
                continue
            mask = self.segmented(view, PixelPrompts(box=(x0, y0, x1, y1)))
            if mask.any():
                found.append(Found(mask, float(score)))
        return found


def _painted(placed: Sequence[tuple[Found, Window, Window]], area: Window) -> Labels:
    """Return one label image of objects, better ones first, and their scores."""
    labels = np.zeros(area.shape, np.int32)
    scores: list[float] = []
    for found, core, chip in sorted(placed, key=lambda one: -one[0].score):
        there = np.s_[
            core.row - area.row : core.stop[0] - area.row,
            core.col - area.col : core.stop[1] - area.col,
        ]
        own = found.mask[
            core.row - chip.row : core.stop[0] - chip.row,
            core.col - chip.col : core.stop[1] - chip.col,
        ]
        region = labels[there]
        free = own & (region == 0)
        if free.sum() < max(SMALLEST, (1 - HIDDEN) * own.sum()):
            continue
        scores.append(found.score)
        region[free] = len(scores)
    return labels, np.array(scores, np.float64)
