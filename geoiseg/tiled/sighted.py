"""What of a window was encoded, and the piece of it on which an object is best asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoiseg.models import Embedding, Model, PartingModel
from geoiseg.raster import Window
from geoiseg.tiled.candidates import Placement
from geoiseg.tiled.reading import STRIDE

ROOM = 24
"""Pixels around an object that its piece should show."""
LEAST, MOST, STEP = 128, 256, 32
"""Sides of a piece, at least and at most, and what they are multiples of: the decoder's work
grows with the area, and training showed it about as much."""
OPEN_SHARE = 0.02
"""An answer on more than this share of a piece's inner borders goes on beyond it."""


@dataclass(frozen=True, slots=True, eq=False)
class Sighted:
    """A part of a window at one reduction, encoded."""

    embedding: Embedding
    shape: tuple[int, int]
    """Rows and columns of the part in pixels."""
    place: Placement
    """Of its pixels over those of the window."""
    reach: Window
    """The whole view of which it is a part, in pixels of the part: beyond it nobody sees."""

    def around(self, region: Window, *, any_size: bool) -> Window | None:
        """Return the piece that shows an object; None where it is too large or not all in sight.

        Args:
            region: Of the object, in pixels of the window.
            any_size: Whether it may be larger than :data:`MOST`.
        """
        corners = np.array([(region.col, region.row), region.stop[::-1]], np.float64)
        low, high = self.place.inside(corners)[:, ::-1]
        low = np.maximum(low - ROOM, (self.reach.row, self.reach.col))
        high = np.minimum(high + ROOM, self.reach.stop)
        if (low < 0).any() or (high > self.shape).any():
            return None
        sides = np.maximum(LEAST, np.ceil((high - low) / STEP).astype(int) * STEP)
        if sides.max() > MOST and not any_size:
            return None
        rows, columns = (
            _span(float(middle), int(side), length)
            for middle, side, length in zip((low + high) / 2, sides, self.shape, strict=True)
        )
        return Window(rows[0], columns[0], rows[1], columns[1])

    def cut(self, model: Model, piece: Window) -> tuple[Embedding, Placement, Window]:
        """Return the embedding of a piece, its place over the window, and what it is of the part.

        That is all of the part where the model can not answer on less.
        """
        if not isinstance(model, PartingModel):
            return self.embedding, self.place, Window(0, 0, *self.shape)
        (across, down), (x, y) = self.place.zoom, self.place.corner
        corner = (x + piece.col * across, y + piece.row * down)
        return model.part(self.embedding, piece), Placement(self.place.zoom, corner), piece

    def goes_on(self, logits: NDArray[np.float32], piece: Window) -> bool:
        """Return whether an answer touches a border of a piece beyond which there is more.

        Args:
            logits: ``(v, u)`` of the piece, at any resolution.
            piece: In pixels of the part.
        """
        (bottom, right), (last_row, last_col) = piece.stop, self.reach.stop
        inner = (
            (logits[0], piece.row > self.reach.row),
            (logits[-1], bottom < last_row),
            (logits[:, 0], piece.col > self.reach.col),
            (logits[:, -1], right < last_col),
        )
        sides = [side > 0 for side, more in inner if more]
        total = sum(side.size for side in sides)
        return bool(total) and sum(int(side.sum()) for side in sides) > OPEN_SHARE * total


def pieces_for(region: Window, sights: Sequence[Sighted]) -> Iterator[tuple[Sighted, Window]]:
    """Yield where an object can be asked for, from the closest look on.

    Args:
        region: Of the object, in pixels of the window.
        sights: Of the window.
    """
    zooms = sorted({sight.place.zoom[0] for sight in sights})
    for zoom in zooms:
        for sight in (one for one in sights if one.place.zoom[0] == zoom):
            piece = sight.around(region, any_size=zoom == zooms[-1])
            if piece is not None:
                yield sight, piece
                break


def _span(middle: float, side: int, length: int) -> tuple[int, int]:
    """Return start and length of the cells of one axis nearest around a place."""
    last = max(0, -(-(length - side) // STRIDE) * STRIDE)
    start = min(max(0, round((middle - side / 2) / STRIDE) * STRIDE), last)
    return start, min(side, length - start)
