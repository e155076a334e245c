"""Several clicks are answered with care: by a second look, from the third on from three sides.

Where there is no mask yet, as when the object turns out to be larger than the chip, they refine
the likeliest thing that one of them means and the others agree with: two clicks on a sea in a port
of which nothing is known else would be all that is there.

A mask is decoded on a piece of the chip that fits the mask before it. Where clicks have changed
it, once more with what came of them is better (cascade-forward refinement, Sun et al. 2023).
Who has clicked a third time is not content: then the chip turned by half is looked at, since
overhead pictures have no top, and the chip from a third further away, and the mean of the three
answers errs less than any.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from geoiseg.models.classic.seeds import draw_seeds
from geoiseg.models.protocol import Embedding, Masks
from geoiseg.models.tiny import between
from geoiseg.models.tiny.afar import NARROWEST, Reading, ranked
from geoiseg.models.tiny.batch import moved
from geoiseg.models.tiny.inputs import validity
from geoiseg.models.tiny.look import Draft, Look
from geoiseg.models.tiny.outputs import obedient
from geoiseg.prompting import PixelPrompts

LEAST = 1e-3
"""Pixels by which a turned prompt that lay where a pixel begins lies before where its own ends."""
AGAIN, TURNED = 2, 3
"""Clicks from which on there is a second look, and from which on the chip is turned for it."""
MEANT = 3
"""Clicks on the object, the latest, of which it is asked what each alone may mean."""
SURE = 8.0
"""Logits beyond which no answer has more to say in the mean."""


class Drafting(Protocol):
    """A network that looks at a chip from three sides and moves outlines to the colours last."""

    def readings(self, embedding: Embedding, prompts: PixelPrompts) -> Sequence[Reading]:
        """Return all that a single click may mean."""
        ...

    def drafted(
        self, embedding: Embedding, prompts: PixelPrompts, previous: NDArray[np.float32] | None
    ) -> Draft:
        """Return the answer of a chip before its outline is moved."""
        ...

    def answered(self, draft: Draft, embedding: Embedding, prompts: PixelPrompts) -> Draft:
        """Return a draft as what a user is answered."""
        ...

    def turned(self, embedding: Embedding) -> Embedding:
        """Return the embedding of a chip turned by half."""
        ...

    def between(self, embedding: Embedding) -> Embedding:
        """Return the embedding of a chip at three quarters of its resolution."""
        ...


def asks_for_care(
    embedding: Embedding, prompts: PixelPrompts, previous: NDArray[np.float32] | None
) -> bool:
    """Return whether there are clicks enough for a second look, and they say anything.

    Raises:
        PromptError: No prompt at all, or one outside the chip.
    """
    if prompts.box is not None or len(prompts.points) < AGAIN:
        return False
    return not draw_seeds(prompts, validity(embedding), previous).empty


def decoded_with_care(
    model: Drafting,
    embedding: Embedding,
    prompts: PixelPrompts,
    previous: NDArray[np.float32] | None,
) -> Masks:
    """Return the answer to several clicks.

    Args:
        model: Answers.
        embedding: Of the chip.
        prompts: All so far, in the chip's pixel frame; at least :data:`AGAIN` clicks, no box.
        previous: ``(y, x)`` logits of the last mask, to be refined.
    """
    valid = validity(embedding)
    if previous is None or not (previous > 0).any():  # an empty mask tells less than none
        previous = meant_by_all(model, embedding, prompts)
    draft = model.drafted(embedding, prompts, previous)
    logits = draft.look.masks(valid).logits[0]
    if (logits > 0).any():
        if len(prompts.points) < TURNED:
            draft = model.drafted(embedding, prompts, logits)
        else:
            draft = _from_all_sides(model, embedding, prompts, draft, logits)
    return model.answered(draft, embedding, prompts).masks(valid)


def meant_by_all(
    model: Drafting, embedding: Embedding, prompts: PixelPrompts
) -> NDArray[np.float32] | None:
    """Return ``(y, x)`` logits of the likeliest thing that a click means and all agree with.

    None where there is none, or more than clicks was said.

    Args:
        model: Says what each means.
        embedding: Of the chip.
        prompts: All so far.
    """
    if prompts.scribbles or prompts.mask is not None:
        return None
    there = _at(validity(embedding), prompts.points)  # a click on no data says nothing
    points, positive = prompts.points[there], prompts.positive[there]
    found: list[Reading] = []
    for number in np.flatnonzero(positive)[-MEANT:]:
        one = slice(number, number + 1)
        alone = replace(prompts, points=points[one], positive=positive[one])
        every = ranked(model.readings(embedding, alone), points[number])
        found += [
            reading for reading in every if (_at(reading.logits > 0, points) == positive).all()
        ]
    return max(found, key=lambda one: one.score).logits if found else None


def _at(array: NDArray[np.bool_], points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return ``(n,)`` what a ``(y, x)`` array says under points."""
    column, row = np.clip(points, 0, np.array(array.shape[::-1]) - 1).astype(int).T
    return np.asarray(array[row, column], bool)


def _from_all_sides(
    model: Drafting,
    embedding: Embedding,
    prompts: PixelPrompts,
    draft: Draft,
    logits: NDArray[np.float32],
) -> Draft:
    """Return the mean of a draft and of what the other sides of a chip make of it.

    Outside of the draft's piece the mean is none of the object.
    """
    window, valid = draft.look.window, validity(embedding)
    rows_and_columns = window.slices
    answers, are_sharp = [logits], [draft.is_sharp]
    for side in _sides(model, embedding, prompts, logits):
        other = model.drafted(side.embedding, side.prompts, side.previous)
        answers.append(side.back(other.look.masks(validity(side.embedding)).logits[0]))
        are_sharp.append(other.is_sharp)
    clipped = np.stack([np.clip(one[rows_and_columns], -SURE, SURE) for one in answers])
    part = valid[rows_and_columns]
    seeds = draw_seeds(moved(prompts, window), part)
    mean = obedient(clipped.mean(axis=0, dtype=np.float32), seeds, part)
    look = Look(window, mean, draft.look.score)
    return Draft(look, draft.others, is_sharp=all(are_sharp))


@dataclass(frozen=True, slots=True, eq=False)
class _Side:
    """Another view of a chip, and what was said and is known so far in its frame."""

    embedding: Embedding
    prompts: PixelPrompts
    previous: NDArray[np.float32]
    back: Callable[[NDArray[np.float32]], NDArray[np.float32]]
    """From ``(v, u)`` logits of the view to ``(y, x)`` ones of the chip."""


def _sides(
    model: Drafting, embedding: Embedding, prompts: PixelPrompts, logits: NDArray[np.float32]
) -> Iterator[_Side]:
    """Yield the chip turned by half, and seen from a third further away if it is wide enough."""
    shape = embedding.shape
    yield _Side(model.turned(embedding), turned_prompts(prompts, shape), turned(logits), turned)
    smaller = between.reduced_logits(logits)
    if min(shape) >= NARROWEST and prompts.mask is None and (smaller > 0).any():
        back = partial(between.enlarged_logits, shape=shape)
        yield _Side(model.between(embedding), between.seen(prompts), smaller, back)


def turned(values: NDArray[Any]) -> NDArray[Any]:
    """Return a ``(y, x, ...)`` array turned by half."""
    return np.ascontiguousarray(values[::-1, ::-1])


def turned_prompts(prompts: PixelPrompts, shape: tuple[int, int]) -> PixelPrompts:
    """Return prompts as they lie on a chip that is turned by half.

    Args:
        prompts: Without a box.
        shape: Rows and columns of the chip.
    """
    far = np.array([shape[1], shape[0]], np.float64)

    def moved(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        there = far - xy
        return np.where(there == np.floor(there), there - LEAST, there)

    strokes = tuple((moved(xy), sign) for xy, sign in prompts.scribbles)
    points = np.maximum(moved(prompts.points), 0)
    mask = None if prompts.mask is None else turned(prompts.mask)
    return replace(prompts, points=points, scribbles=strokes, mask=mask)
