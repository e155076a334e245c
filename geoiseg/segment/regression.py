"""A logistic regression on grouped pixels, drawn to 0."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]

FREE = 1e-3
"""How strongly the constant is drawn to 0."""


def logistic(
    rows: Doubles, on: Doubles, both: Doubles, ridge: float, start: Doubles | None = None,
    rounds: int = 12,
) -> Doubles:  # fmt: skip
    """Return ``(n,)`` coefficients, by Newton's method.

    Args:
        rows: ``(k, n)`` one row a group of pixels; the first column is 1.
        on: ``(k,)`` weight of the pixels of the object in each group.
        both: ``(k,)`` weight of all pixels in each group.
        ridge: How strongly all coefficients but the constant are drawn to 0.
        start: Coefficients to begin with.
        rounds: Most steps.
    """
    draw = np.full(rows.shape[1], ridge)
    draw[0] = FREE
    found = np.zeros(rows.shape[1]) if start is None else start.copy()
    for _ in range(rounds):
        share = 1 / (1 + np.exp(-np.clip(rows @ found, -12, 12)))
        slope = rows.T @ (both * share - on) + draw * found
        bend = (rows.T * (both * share * (1 - share))) @ rows + np.diag(draw)
        step = np.linalg.solve(bend, slope)
        found -= step
        if np.abs(step).max() < 1e-3:
            break
    return found
