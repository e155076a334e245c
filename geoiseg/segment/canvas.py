"""What is known of an object on one level of the pyramid, however many chips it took."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self, cast

import numpy as np
from numpy.typing import NDArray

from geoiseg.raster import BoolArray, Window

FloatArray = NDArray[np.floating[Any]]
Answer = BoolArray | FloatArray
"""``(y, x)`` a mask, or logits above 0 on the object."""
TOLD = 16_000_000
"""Pixels of a canvas up to which logits are kept, at two bytes each; beyond, the neighbourhood of
an outline says where it lies."""


def sure_of(answer: Answer) -> FloatArray | None:
    """Return the logits of an answer; None of one that only says yes and no."""
    return None if answer.dtype == np.bool_ else cast("FloatArray", answer)


@dataclass(slots=True, eq=False)
class Canvas:
    """What is known of an object on one pyramid level; grows with it."""

    window: Window
    """The part of the level that is held."""
    mask: BoolArray
    """``(y, x)`` True = object."""
    known: BoolArray
    """``(y, x)`` True where some chip has decided."""
    chips: int = 0
    """Chips looked at."""
    lost: int = 0
    """Places where the object was taken to end because the model lost it."""
    full: bool = False
    """Whether a limit was met before the object's end."""
    logits: NDArray[np.float16] | None = None
    """``(y, x)`` above 0 on the object; 0 where none are known, None where none are kept."""

    @classmethod
    def of(cls, window: Window, mask: BoolArray, logits: FloatArray | None = None) -> Self:
        """Return a canvas on which everything in a window is known."""
        kept = None if logits is None or logits.shape != mask.shape else _kept(logits)
        return cls(window, mask.copy(), np.ones(mask.shape, bool), logits=kept)

    def copy(self) -> Self:
        """Return the same again, to be changed."""
        logits = None if self.logits is None else self.logits.copy()
        return type(self)(self.window, self.mask.copy(), self.known.copy(), logits=logits)

    def part(self, window: Window) -> tuple[BoolArray, BoolArray]:
        """Return copies of mask and known of a window that may reach beyond the canvas."""
        shape = (window.height, window.width)
        mask, known = np.zeros(shape, bool), np.zeros(shape, bool)
        inside = window.intersection(self.window)
        if inside.height > 0 and inside.width > 0:
            there, here = slices(inside, window), slices(inside, self.window)
            mask[there], known[there] = self.mask[here], self.known[here]
        return mask, known

    def put(self, window: Window, mask: BoolArray, logits: FloatArray | None = None) -> None:
        """Decide for all pixels of a window that are not known yet."""
        self._reach(window)
        here = slices(window, self.window)
        unknown = ~self.known[here]
        self.mask[here] |= mask & unknown
        self.known[here] = True
        if logits is not None and self.mask.size <= TOLD:
            kept = self._told()[here]
            kept[unknown] = _kept(logits)[unknown]

    def set(self, window: Window, mask: BoolArray, logits: FloatArray | None = None) -> None:
        """Decide for all pixels of a window that lies on the canvas."""
        here = slices(window, self.window)
        self.mask[here] = mask
        if logits is not None and self.mask.size <= TOLD:
            self._told()[here] = _kept(logits)

    def _told(self) -> NDArray[np.float16]:
        if self.logits is None:
            self.logits = np.zeros(self.mask.shape, np.float16)
        return self.logits

    def _reach(self, window: Window) -> None:
        whole = around(self.window, window)
        if whole == self.window:
            return
        mask, known = self.part(whole)
        if self.logits is not None:
            logits = np.zeros(mask.shape, np.float16) if mask.size <= TOLD else None
            if logits is not None:
                logits[slices(self.window, whole)] = self.logits
            self.logits = logits
        self.window, self.mask, self.known = whole, mask, known


def _kept(logits: FloatArray) -> NDArray[np.float16]:
    return np.clip(logits, -1000, 1000).astype(np.float16)


def around(a: Window, b: Window) -> Window:
    """Return the window that holds two."""
    top, left = min(a.row, b.row), min(a.col, b.col)
    bottom, right = max(a.stop[0], b.stop[0]), max(a.stop[1], b.stop[1])
    return Window(top, left, bottom - top, right - left)


def slices(part: Window, whole: Window) -> tuple[slice, slice]:
    """Return where a window lies in an array of a window that holds it."""
    top, left = part.row - whole.row, part.col - whole.col
    return slice(top, top + part.height), slice(left, left + part.width)


def outside(window: Window, others: Iterable[Window]) -> list[Window]:
    """Return windows that together are a window without what others take of it."""
    parts = [window]
    for other in others:
        left = []
        for one in parts:
            hole = one.intersection(other)
            if not (hole.height and hole.width):
                left.append(one)
                continue
            (bottom, right), (stop_row, stop_col) = one.stop, hole.stop
            left += [Window(one.row, one.col, hole.row - one.row, one.width),
                     Window(stop_row, one.col, bottom - stop_row, one.width),
                     Window(hole.row, one.col, hole.height, hole.col - one.col),
                     Window(hole.row, stop_col, hole.height, right - stop_col)]  # fmt: skip
        parts = [one for one in left if one.height and one.width]
    return parts
