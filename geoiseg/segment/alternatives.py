"""Other answers to a prompt that may mean several things: a part, the whole, a group."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from geoiseg.models import Masks
from geoiseg.segment.outcome import Outcome

SAME = 0.9
"""IoU from which two answers are one."""


def each(masks: Masks) -> Iterator[tuple[NDArray[np.float32], float]]:
    """Yield ``(y, x)`` logits and score of every answer of a model, the best first."""
    for number in np.argsort(-masks.scores, kind="stable").tolist():
        yield masks.logits[number], float(np.clip(masks.scores[number], 0.0, 1.0))


def by_size(outcomes: Iterable[Outcome]) -> tuple[Outcome, ...]:
    """Return those that hold anything and are unlike those before them, the smallest first."""
    kept: list[Outcome] = []
    for outcome in outcomes:
        if not outcome.mask.is_empty and all(alike(outcome, one) < SAME for one in kept):
            kept.append(outcome)
    return tuple(sorted(kept, key=lambda one: int(np.count_nonzero(one.mask.array))))


def alike(one: Outcome, other: Outcome) -> float:
    """Return the IoU of two objects on the same chip."""
    a, b = one.mask.array, other.mask.array
    either = int(np.count_nonzero(a | b))
    return int(np.count_nonzero(a & b)) / either if either else 1.0
