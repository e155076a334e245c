"""Student's t distribution, for confidence intervals of a regression on a few dates."""

from __future__ import annotations

import math
from functools import cache


def within(angle: float, free: int) -> float:
    """Return the probability that ``|t|`` is below ``sqrt(free) * tan(angle)``.

    A finite sum, so exact but for rounding (Abramowitz and Stegun, 26.7.3 and 26.7.4).

    Args:
        angle: In radians, from 0 to pi / 2.
        free: Degrees of freedom, a whole number from 1 on.
    """
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = free % 2
    term = total = cosine if odd and free > 1 else 1.0 - odd
    for k in range(2 + odd, free - 1, 2):
        term *= cosine * cosine * (k - 1) / k
        total += term
    return 2 / math.pi * (angle + sine * total) if odd else sine * total


@cache
def interval(share: float, free: int) -> float:
    """Return the t that ``|t|`` stays below with a probability of ``share``, found by bisection.

    Args:
        share: Between 0 and 1.
        free: Degrees of freedom, a whole number from 1 on.
    """
    low, high = 0.0, math.pi / 2
    while low < (middle := (low + high) / 2) < high:
        if within(middle, free) < share:
            low = middle
        else:
            high = middle
    return math.sqrt(free) * math.tan(low)
