"""What the decoder's graph answers on one piece of a chip."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoiseg.models.classic.seeds import Seeds, draw_seeds
from geoiseg.models.tiny.boxed import CLEAR, ENOUGH, surroundings
from geoiseg.models.tiny.graphs import Graphs
from geoiseg.models.tiny.inputs import click_middle, decoder_inputs
from geoiseg.models.tiny.outputs import LIMIT, obedient
from geoiseg.models.tiny.pieces import STRIDE
from geoiseg.prompting import PixelPrompts
from geoiseg.raster import BoolArray

Answered = tuple[NDArray[np.float32], NDArray[np.float32]]
"""``(y, x)`` logits and ``(1,)`` the score, as the network gives them."""
Readings = list[tuple[NDArray[np.float32], float]]
"""Other answers to a vague prompt: ``(y, x)`` logits and the score of each."""


@dataclass(frozen=True, slots=True)
class Answers:
    """Asks the decoder's graph."""

    graphs: Graphs

    def piece(
        self,
        features: Mapping[str, NDArray[Any]],
        valid: BoolArray,
        prompts: PixelPrompts,
        previous: NDArray[np.float32] | None,
        others: Readings | None = None,
    ) -> tuple[NDArray[np.float32], float]:
        """Return ``(y, x)`` logits of one piece of a chip, and the score.

        A box alone names no pixel, but its own first answer does: with a click there a
        second answer is nearly as good as with a user's click.

        Args:
            features: Of the piece.
            valid: ``(y, x)`` of the piece.
            prompts: In its pixel frame.
            previous: ``(y, x)`` logits of the last mask, to be refined.
            others: Becomes what else the prompts may mean, if it is given.
        """
        seeds = draw_seeds(prompts, valid, previous)
        if seeds.empty:
            return np.full(valid.shape, -LIMIT, np.float32), 0.0
        logits, score = self._answer(features, prompts, seeds, valid, others)
        if not seeds.positive.any() and previous is None and prompts.mask is None:
            logits, score = self._clicked(features, prompts, seeds, valid, (logits, score))
        return obedient(logits, seeds, valid), float(score[0])

    def _clicked(
        self,
        features: Mapping[str, NDArray[Any]],
        prompts: PixelPrompts,
        seeds: Seeds,
        valid: BoolArray,
        first: Answered,
    ) -> Answered:
        """Return the answer to a box with a click in the middle of the first answer.

        Where that looks like what lies around the box, a click on what does not is tried.
        """

        def again(wanted: NDArray[np.float32], answer: Answered) -> Answered:
            clicked = click_middle(prompts, wanted, seeds)
            if clicked is None:
                return answer
            return self._answer(features, clicked, draw_seeds(clicked, valid, answer[0]), valid)

        answer = again(first[0], first)
        around = None
        if prompts.box is not None:
            around = surroundings(features["colour"], prompts.box, valid)
        if around is None or (contrast := around.contrast(answer[0])) >= ENOUGH:
            return answer
        odd = around.odd_part()
        if odd is None:
            return answer
        wanted = np.where(odd[: valid.shape[0], : valid.shape[1]], 1, -1).astype(np.float32)
        other = again(wanted, (wanted, first[1]))
        return other if around.contrast(other[0]) > contrast + CLEAR else answer

    def _answer(
        self,
        features: Mapping[str, NDArray[Any]],
        prompts: PixelPrompts,
        seeds: Seeds,
        valid: BoolArray,
        others: Readings | None = None,
    ) -> Answered:
        """Return ``(y, x)`` logits as the network gives them, and ``(1,)`` the score."""
        given = {**features, **decoder_inputs(prompts, seeds, padded(valid))}
        logits, score, *rest = self.graphs.decode(given, others=others is not None)
        rows, columns = valid.shape
        if others is not None:
            masks, scores = rest[0][0, :, :rows, :columns], rest[1][0]
            pairs = zip(masks, scores, strict=True)
            others[:] = [(obedient(one, seeds, valid), float(said)) for one, said in pairs]
        return logits[0, 0, :rows, :columns], score


def is_vague(prompts: PixelPrompts) -> bool:
    """Return whether a prompt is a single click on the object and nothing else."""
    more = prompts.box is not None or prompts.scribbles or prompts.mask is not None
    return len(prompts.points) == 1 and bool(prompts.positive[0]) and not more


def padded(valid: BoolArray) -> tuple[int, int]:
    """Return rows and columns of a chip filled up to whole cells of the coarsest features."""
    rows, columns = (-(-side // STRIDE) * STRIDE for side in valid.shape)
    return rows, columns
