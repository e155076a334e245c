"""Small and thin objects are looked at again, enlarged.

The features end at half of the chip's resolution and the decoder's pieces are much larger
than such an object. Its surroundings, enlarged and encoded once, show the network a shape
of the size that it knows best. Where it is surer of what it saw without, that is the answer.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from geoiseg.models.protocol import Embedding
from geoiseg.models.tiny.batch import bounds, extent
from geoiseg.models.tiny.pieces import span
from geoiseg.prompting import PixelPrompts
from geoiseg.raster import BoolArray, Window

FloatArray = NDArray[np.float32]

DEEP = 8.0
"""Pixels from its outline to the deepest place of an object below which it is enlarged."""
ENLARGEMENTS = ((4, 128, 80), (2, 256, 160))
"""How often, the side in pixels of what is enlarged, and the longest object and prompts that it
is done for."""
TRUST = 0.2
"""By how much the score of the answer on the chip itself must be better to be preferred."""
KEPT = 16
"""Enlarged surroundings, and chips seen from further away or turned, that are kept encoded."""


@dataclass(frozen=True, slots=True)
class CloseUp:
    """A part of a chip, enlarged."""

    window: Window
    """Of the chip."""
    times: int
    """Pixels for each of the chip, across and down."""

    def enlarged(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return ``(y, x)`` or ``(y, x, band)`` of the chip as the close-up has it, smoothly."""
        part = np.ascontiguousarray(values[self.window.slices])
        height, width = self.window.shape
        size = (width * self.times, height * self.times)
        return np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_LINEAR))

    def repeated(self, valid: BoolArray) -> BoolArray:
        """Return ``(y, x)`` validity of the chip as the close-up has it."""
        return valid[self.window.slices].repeat(self.times, axis=0).repeat(self.times, axis=1)

    def reduced(self, logits: FloatArray) -> FloatArray:
        """Return ``(y, x)`` logits of the close-up in the pixels of the window, as means."""
        size = (self.window.width, self.window.height)
        return np.asarray(cv2.resize(logits, size, interpolation=cv2.INTER_AREA), np.float32)

    def seen(self, prompts: PixelPrompts) -> PixelPrompts:
        """Return points, strokes and box of the chip in the pixel frame of the close-up."""
        corner = np.array([self.window.col, self.window.row], np.float64)
        box = prompts.box
        if box is not None:
            x0, y0, x1, y1 = (np.reshape(box, (2, 2)) - corner).ravel() * self.times
            box = (float(x0), float(y0), float(x1), float(y1))
        return replace(
            prompts,
            points=(prompts.points - corner) * self.times,
            box=box,
            scribbles=tuple(
                ((stroke - corner) * self.times, sign) for stroke, sign in prompts.scribbles
            ),
        )


def close_up(mask: BoolArray, prompts: PixelPrompts) -> CloseUp | None:
    """Return how to enlarge an object, or None where it is large and deep enough as it is.

    Nor is one enlarged whose prompts go beyond the chip.

    Args:
        mask: ``(y, x)`` of the chip, the object as far as it is known.
        prompts: In the pixel frame of the chip; they are seen, too.
    """
    where = bounds(mask) if prompts.mask is None else None
    if where is None:
        return None
    first, last = where
    low, high = extent(prompts)
    low, high = np.minimum(low, first), np.maximum(high, last)
    reach = float((high - low).max())
    fitting = (how for how in ENLARGEMENTS if reach <= how[2])
    how = next(fitting, None)
    (left, top), (right, bottom) = first.astype(int), last.astype(int)
    if how is None or _depth(mask[top:bottom, left:right]) > DEEP:
        return None
    times, side, _ = how
    spans = [span((low[axis] + high[axis]) / 2, side, mask.shape[1 - axis]) for axis in (1, 0)]
    (top, height), (left, width) = spans
    bottom, right = top + height, left + width
    if low[1] < top or low[0] < left or high[1] > bottom or high[0] > right:
        return None
    return CloseUp(Window(top, left, height, width), times)


def _depth(mask: BoolArray) -> float:
    """Return how far the deepest pixel of a mask lies from its outline."""
    framed = np.pad(mask.view(np.uint8), 1)
    return float(cv2.distanceTransform(framed, cv2.DIST_L2, 3).max())


class CloseUps:
    """Embeddings of a chip at other scales by what is seen on them; the latest are kept."""

    def __init__(self) -> None:
        self._kept: OrderedDict[bytes, Embedding] = OrderedDict()
        self._lock = threading.Lock()

    @staticmethod
    def key(window: Window, times: float, pixels: NDArray[np.uint8], valid: BoolArray) -> bytes:
        """Return what a part of a chip at a scale is known by: its own pixels, wherever it lies."""
        digest = hashlib.blake2b(repr((window.shape, times)).encode(), digest_size=16)
        for values in (pixels, valid):
            digest.update(values[window.slices].tobytes())
        return digest.digest()

    def get_or_make(self, key: bytes, make: Callable[[], Embedding]) -> Embedding:
        """Return the embedding of a key, made now if it is not kept; lets go of the oldest."""
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
                return found
        made = make()
        with self._lock:
            self._kept[key] = made
            self._kept.move_to_end(key)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return made
