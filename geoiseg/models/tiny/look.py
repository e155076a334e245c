"""What a look at a piece of a chip shows."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from geoiseg.models.classic.seeds import draw_seeds
from geoiseg.models.protocol import Embedding, Masks
from geoiseg.models.tiny.batch import moved
from geoiseg.models.tiny.inputs import PIXELS, validity
from geoiseg.models.tiny.outputs import LIMIT, less_of, obedient, sharpened
from geoiseg.prompting import PixelPrompts
from geoiseg.raster import BoolArray, Window

SAME = 0.85
"""IoU of two masks from which on they say the same."""
LESS = 0.01
"""By how much another reading scores less than the answer at least."""


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """A mask on a piece of a chip; there is nothing outside."""

    window: Window
    """Of the chip."""
    piece: NDArray[np.float32]
    """``(y, x)`` logits within the window."""
    score: float
    """The IoU that the network expects."""
    others: tuple[Look, ...] = ()
    """Other readings of a prompt that may mean several things: a part, a group."""

    def masks(self, valid: BoolArray) -> Masks:
        """Return it as masks of the chip, whose ``(y, x)`` validity tells its size."""
        logits = np.full((1, *valid.shape), -LIMIT, np.float32)
        logits[0][self.window.slices] = self.piece
        return Masks(logits, np.array([self.score], np.float32))

    def sharpened(self, embedding: Embedding, prompts: PixelPrompts) -> Look:
        """Return it with the outline moved to where the colours of the chip change."""
        rows_and_columns = self.window.slices
        valid = validity(embedding)[rows_and_columns]
        pixels = embedding.arrays[PIXELS][rows_and_columns]
        piece = sharpened(self.piece, pixels, moved(prompts, self.window), valid)
        return Look(self.window, piece, self.score, self.others)

    def likeliest(self) -> Look:
        """Return the reading of which the network expects most, with the rest as its others."""
        every = sorted((self, *self.others), key=lambda look: -look.score)
        best, *rest = (replace(look, others=()) for look in every)
        return replace(best, others=tuple(rest))

    def with_others(self, others: tuple[Look, ...], valid: BoolArray) -> Masks:
        """Return it as masks of the chip, and behind it the others that differ from it.

        Args:
            others: Other readings of the same prompts.
            valid: ``(y, x)`` validity of the chip.
        """
        first = self.masks(valid)
        kept, seen = [first], [first.logits[0] > 0]
        for other in sorted(others, key=lambda look: -look.score):
            found = other.masks(valid)
            mask = found.logits[0] > 0
            if mask.any() and all(overlap(mask, before) < SAME for before in seen):
                # What the network took for the answer stays the first choice.
                told = min(other.score, self.score - LESS)
                kept.append(Masks(found.logits, np.array([max(told, 0.0)], np.float32)))
                seen.append(mask)
        return Masks(
            np.concatenate([masks.logits for masks in kept]),
            np.concatenate([masks.scores for masks in kept]),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Draft:
    """The answer of a chip, whose outline may yet have to be moved to where colours change."""

    look: Look
    others: tuple[Look, ...]
    """Other readings of the same prompts."""
    is_sharp: bool = False
    """Whether the outline lies there already."""

    def modest(self, prompts: PixelPrompts, valid: BoolArray) -> Draft:
        """Return it without what is hardly likelier than not, if it is of one click or two.

        Args:
            prompts: In the chip's pixel frame.
            valid: ``(y, x)`` validity of the chip.
        """
        less = less_of(prompts)
        if not less:
            return self
        window = self.look.window
        part = valid[window.slices]
        seeds = draw_seeds(moved(prompts, window), part)
        piece = obedient(self.look.piece - np.float32(less), seeds, part)
        return replace(self, look=replace(self.look, piece=piece))

    def finished(self, embedding: Embedding, prompts: PixelPrompts) -> Draft:
        """Return it with the outline moved.

        Args:
            embedding: Of the chip.
            prompts: In its pixel frame.
        """
        if self.is_sharp:
            return self
        return Draft(self.look.sharpened(embedding, prompts), self.others, is_sharp=True)

    def masks(self, valid: BoolArray) -> Masks:
        """Return it as masks of the chip, whose ``(y, x)`` validity tells its size."""
        return self.look.with_others(self.others, valid)


def overlap(a: BoolArray, b: BoolArray) -> float:
    """Return the IoU of two masks; 1 of empty ones."""
    either = int(np.count_nonzero(a | b))
    return int(np.count_nonzero(a & b)) / either if either else 1.0
