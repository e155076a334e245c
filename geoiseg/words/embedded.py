"""The engine that needs no download: the words head on tiny's embedding."""

from __future__ import annotations

import threading
from collections import OrderedDict

import cv2
import numpy as np
from numpy.typing import NDArray

from geoiseg.errors import PromptError
from geoiseg.models.tiny.pixel_features import CELL
from geoiseg.models.tiny.words import CLASSES, WordsHead, words_head
from geoiseg.words.engine import THRESHOLD, Asked, Labels, Views, mosaic
from geoiseg.words.objects import ObjectOptions, find_objects
from geoiseg.words.view import Area, View
from geoiseg.words.vocabulary import Reading, read_words

FloatArray = NDArray[np.float32]

KEPT = 16
"""Chips whose probabilities are kept."""
SHAPES = {
    "field": ObjectOptions(neck=0.5, min_area=256),
    "building": ObjectOptions(neck=0.5),
    "road": ObjectOptions(min_area=96),
}
"""How objects of a class are told from each other."""


class EmbeddedWords:
    """Six classes by their names in many languages."""

    name = "words"
    threshold = THRESHOLD

    def __init__(self, head: WordsHead | None = None) -> None:
        self._head = head or words_head()
        self._kept: OrderedDict[str, FloatArray] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def weights(self) -> str:
        """SHA-256 of the head, as its card says."""
        return str(self._head.card["sha256"])

    def ask(self, text: str, negative: str) -> Asked:
        """Return what the words mean.

        Raises:
            PromptError: No word of them is known; the message names the vocabulary.
        """
        wanted = read_words(text)
        unwanted = read_words(negative) if negative else None
        if unwanted is not None and set(wanted.classes) <= set(unwanted.classes):
            raise PromptError(
                f"{text!r} and {negative!r} mean the same: {wanted.note}; leave one out"
            )
        return Asked(wanted.note, wanted, unwanted)

    def look(self, asked: Asked, area: Area, views: Views) -> Labels:
        """Return labels of the objects of an area, and the score of each.

        Args:
            asked: From ``ask``.
            area: Where.
            views: Cores and chips of the area.
        """
        wanted, unwanted = asked.wanted, asked.unwanted
        parts = [(core, view, self.likelihood(view, wanted, unwanted)) for core, view in views]
        likelihood, valid = mosaic(parts, area)
        return find_objects(likelihood, valid, self.options(wanted))

    def options(self, reading: Reading) -> ObjectOptions:
        """Return what counts as an object of the classes asked for."""
        if len(reading.classes) != 1:
            return ObjectOptions()
        return SHAPES.get(reading.classes[0], ObjectOptions())

    def likelihood(self, view: View, wanted: Reading, unwanted: Reading | None) -> FloatArray:
        """Return ``(y, x)`` how likely each pixel is what was asked for, 0..1.

        Args:
            view: A chip.
            wanted: Its classes add up.
            unwanted: What it should not be.
        """
        table = self.probabilities(view)
        others = () if unwanted is None else unwanted.classes
        own = [CLASSES.index(name) for name in wanted.classes if name not in others]
        likely = table[own].sum(axis=0)
        likely *= 1 - table[[CLASSES.index(name) for name in others]].sum(axis=0)
        return enlarged(likely, view.shape, view.factor)

    def probabilities(self, view: View) -> FloatArray:
        """Return ``(class, rows, columns)`` probabilities of the cells of a chip.

        They are kept: another word costs no inference.
        """
        if not view.key:  # nobody will ask for it again
            return self._head.probabilities(view.embed(view.factor))
        with self._lock:
            known = self._kept.get(view.key)
            if known is not None:
                self._kept.move_to_end(view.key)
                return known
        table = self._head.probabilities(view.embed(view.factor))
        with self._lock:
            self._kept[view.key] = table
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return table


def enlarged(cells: FloatArray, shape: tuple[int, int], factor: int = 1) -> FloatArray:
    """Return ``(rows, columns)`` of cells as ``(y, x)`` of the chip that they cover.

    The last row and column of cells may reach beyond the chip.

    Args:
        cells: Of the chip shown ``factor`` times as large.
        shape: Rows and columns of the chip.
        factor: Of its enlargement.
    """
    rows, columns = shape
    size = (cells.shape[1] * CELL // factor, cells.shape[0] * CELL // factor)
    large = cv2.resize(cells, size, interpolation=cv2.INTER_LINEAR)
    return np.asarray(large[:rows, :columns], np.float32)
