"""Words that need no download: indices of known bands, else the words head on tiny's embedding."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from geoiseg.errors import PromptError
from geoiseg.models import Embedding
from geoiseg.models.tiny.afar import NARROWEST
from geoiseg.models.tiny.dense import dense_maps
from geoiseg.models.tiny.pixel_features import CELL
from geoiseg.models.tiny.words import CLASSES, WordsHead, words_head
from geoiseg.raster import Raster
from geoiseg.segment.physics import NEEDS, conditions_for, said_of
from geoiseg.words.colours import told_by_colour
from geoiseg.words.engine import THRESHOLD, Asked, Labels, Views, mosaic
from geoiseg.words.objects import (
    ObjectOptions,
    find_instances,
    find_objects,
    find_parted,
)
from geoiseg.words.view import FROM_AFAR, Area, View
from geoiseg.words.vocabulary import TITLES, Reading, read_words

FloatArray = NDArray[np.float32]

KEPT = 16
"""Chips whose probabilities are kept."""
WATER = CLASSES.index("water")
"""The class that colours tell, too: the others differ by their texture more."""
SHAPES = {
    "field": ObjectOptions(neck=0.5, min_area=256),
    "building": ObjectOptions(neck=0.5),
    "road": ObjectOptions(min_area=96),
    "water": ObjectOptions(surely=0.8),
    "vegetation": ObjectOptions(neck=0.35, surely=2.0, deep=4.0),
}
"""How objects of a class are told from each other."""
APART = ("field", "building")
"""Classes whose objects lie side by side, each with an outline of its own."""
PARTED = ("water", "vegetation")
"""Classes that are one as far as they hang together, but for clear outlines: a lake or a wood is
one however much it varies, two ponds with a dam between are two, a tree on a lawn is a tree."""
CRISP = ObjectOptions(likely=0.5, spurs=True)
"""The same of what an index tells pixel by pixel: a river of one pixel's width is one."""


Seen = tuple[FloatArray, FloatArray]
"""``(class, rows, columns)`` probabilities of cells, and ``(rows, columns)`` those of borders."""


class EmbeddedWords:
    """Eight classes by their names in many languages.

    Where the bands of a class are known, its index says what belongs to it, with a threshold of the
    scene (``segment.physics``); the head says it of the others.
    """

    name = "words"
    threshold = THRESHOLD

    def __init__(self, head: WordsHead | None = None) -> None:
        self._head = head or words_head()
        self._kept: OrderedDict[str, Seen] = OrderedDict()
        self._last: tuple[View, Seen] | None = None
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
        parts, told, lines = [], [], []
        lined = wanted.classes[0] in (*APART, *PARTED) and len(wanted.classes) == 1
        for core, view in views:
            parts.append((core, view, self.likelihood(view, wanted, unwanted)))
            if all(view.odds(name) is not None for name in wanted.classes):
                told.append((core, view))  # what indices tell asks no network
            elif lined:
                lines.append((core, view, self.border(view)))
        crisp = len(told) == len(parts)
        likelihood, valid = mosaic(parts, area)
        if lines:
            border, _ = mosaic(
                [*lines, *((core, view, self.border(view)) for core, view in told)], area
            )
            find = find_parted if wanted.classes[0] in PARTED else find_instances
            return find(likelihood, border, valid, self.options(wanted))
        return find_objects(likelihood, valid, CRISP if crisp else self.options(wanted))

    def by(self, asked: Asked, raster: Raster) -> str:
        """Return which indices tell what was asked for on a raster; empty where the head does."""
        readings = [asked.wanted] if asked.unwanted is None else [asked.wanted, asked.unwanted]
        said = (said_of(raster, name) for reading in readings for name in reading.classes)
        return ", ".join(dict.fromkeys(filter(None, said)))

    def check(self, asked: Asked, raster: Raster) -> None:
        """Make sure that a raster has the bands without which some words mean nothing.

        Raises:
            PromptError: It has not, or nobody said which they are.
        """
        for reading in filter(None, (asked.wanted, asked.unwanted)):
            for name in reading.classes:
                if name not in CLASSES and not conditions_for(raster, name):
                    raise PromptError(
                        f"{TITLES[name]} is told by {NEEDS[name]}, which are not known in"
                        f" {raster.name}; say which bands they are, or name the sensor"
                    )

    def options(self, reading: Reading) -> ObjectOptions:
        """Return what counts as an object of the classes asked for."""
        if len(reading.classes) != 1:
            return ObjectOptions()
        return SHAPES.get(reading.classes[0], ObjectOptions())

    def likelihood(self, view: View, wanted: Reading, unwanted: Reading | None) -> FloatArray:
        """Return ``(y, x)`` how likely each pixel is what was asked for, 0..1.

        Args:
            view: A chip.
            wanted: Its classes add up; of those that indices tell, the likeliest counts.
            unwanted: What it should not be.
        """
        others = () if unwanted is None else unwanted.classes
        likely = self._sum(view, [name for name in wanted.classes if name not in others])
        return likely * (1 - self._sum(view, others)) if others else likely

    def _sum(self, view: View, names: Sequence[str]) -> FloatArray:
        """Return ``(y, x)`` how likely each pixel is of any of some classes, 0..1."""
        told = {name: odds for name in names if (odds := view.odds(name)) is not None}
        own = [CLASSES.index(name) for name in names if name not in told]
        likely = self.by_look(view, own)
        for odds in told.values():
            likely = np.maximum(likely, 1 / (1 + np.exp(-odds)))
        return likely

    def by_look(self, view: View, classes: Sequence[int]) -> FloatArray:
        """Return ``(y, x)`` how likely each pixel is of any of some classes, indices apart.

        Args:
            view: A chip.
            classes: Numbers of :data:`~geoiseg.models.tiny.words.CLASSES`.
        """
        likely = np.zeros(view.shape, np.float32)
        if not classes:
            return likely
        cells = self.probabilities(view)
        others = [number for number in classes if number != WATER]
        if others:
            likely += enlarged(cells[others].sum(axis=0), view.shape, view.factor)
        if WATER in classes:
            water = enlarged(cells[WATER], view.shape, view.factor)
            likely += told_by_colour(water, view.rgb, view.valid)
        return np.minimum(likely, 1)

    def probabilities(self, view: View) -> FloatArray:
        """Return ``(class, rows, columns)`` probabilities of the cells of a chip.

        They are kept: another word costs no inference.
        """
        return self._seen(view)[0]

    def border(self, view: View) -> FloatArray:
        """Return ``(y, x)`` how likely an outline of any object passes each pixel, 0..1."""
        return enlarged(self._seen(view)[1], view.shape, view.factor)

    def _seen(self, view: View) -> Seen:
        """Return what the head and the network say of the cells of a chip."""
        if not view.key and self._last is not None and self._last[0] is view:
            return self._last[1]
        with self._lock:
            known = self._kept.get(view.key)
            if known is not None:
                self._kept.move_to_end(view.key)
                return known
        embedding, afar = looked_at(view.embed, view.factor)
        seen = self._head.probabilities(embedding, afar), dense_maps(embedding).border
        with self._lock:
            if view.key:
                self._kept[view.key] = seen
            else:  # nobody will ask for it again, once this view is done
                self._last = (view, seen)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return seen


def looked_at(
    embed: Callable[[float], Embedding], factor: int
) -> tuple[Embedding, Embedding | None]:
    """Return a chip's embedding, and that from twice as far where the chip is wide enough.

    Args:
        embed: Gives the embedding of the chip shown so many times as large.
        factor: So many times as large it is shown.
    """
    embedding = embed(factor)
    wide = min(embedding.shape) >= NARROWEST
    return embedding, embed(factor * FROM_AFAR) if wide else None


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
