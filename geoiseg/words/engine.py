"""What every engine of words is to the rest: it reads words, and finds objects on chips."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from geoiseg.raster import Window
from geoiseg.words.view import Area, View

THRESHOLD = 0.5
"""Score from which candidates are shown unless another is asked for."""
Views = Iterable[tuple[Window, View]]
"""Cores of an area and the chips around them."""
Labels = tuple[NDArray[np.int32], NDArray[np.float64]]
"""``(y, x)`` labels of an area, 0 where there is no object, the best object is 1; scores."""


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """What an engine makes of the words."""

    note: str
    """What was understood, in one line."""
    wanted: Any
    """For the engine alone."""
    unwanted: Any = None
    """For the engine alone."""


class WordEngine(Protocol):
    """Finds what words name."""

    @property
    def name(self) -> str:
        """Name in the list of engines."""
        ...

    @property
    def weights(self) -> str:
        """Hash of its weights."""
        ...

    @property
    def threshold(self) -> float:
        """Score from which its candidates are shown at first."""
        ...

    def ask(self, text: str, negative: str) -> Asked:
        """Return what the words mean to it.

        Raises:
            PromptError: It does not know them.
        """
        ...

    def look(self, asked: Asked, area: Area, views: Views) -> Labels:
        """Return labels of the objects of an area, and the score of each, best first."""
        ...


def mosaic(
    parts: Sequence[tuple[Window, View, NDArray[np.float32]]], area: Area
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return ``(y, x)`` likelihood and validity of an area from those of its chips.

    Args:
        parts: Core, chip, and the chip's ``(y, x)`` likelihood.
        area: The whole.
    """
    likelihood = np.zeros(area.window.shape, np.float32)
    valid = np.zeros(area.window.shape, bool)
    for core, view, own in parts:
        there = _slices(core, area.window)
        here = _slices(core, view.frame.window)
        likelihood[there] = own[here]
        valid[there] = view.valid[here]
    return likelihood, valid


def _slices(part: Window, whole: Window) -> tuple[slice, slice]:
    top, left = part.row - whole.row, part.col - whole.col
    return slice(top, top + part.height), slice(left, left + part.width)
