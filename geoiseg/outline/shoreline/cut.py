"""The threshold of a waterline, and how well it is known.

Two things are not known of it. Another stretch of the same coast has another threshold: that is
seen from stretches of this one. And Otsu's threshold is where values part, not where a pixel is
half water: where the bands of pure pixels on both sides say that, the difference counts in full.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoiseg.segment.parting import Parting, parting_of

FloatArray = NDArray[np.float32]

METHODS = ("half", "otsu", "peaks", "wet")
"""How a threshold is found."""
STRETCHES = 12
"""Parts of the coast that are compared."""
FEWEST = 50
"""Values near the border without which there is no threshold."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Where water begins."""

    value: float
    error: float = 0.0
    """One standard deviation of the value, by stretches of the coast and by method."""


def cut_of(values: FloatArray, parting: Parting, method: str, half: Callable[[], float | None]
           ) -> Cut:  # fmt: skip
    """Return where a sample is cut.

    Args:
        values: ``(n,)`` near the border, in the order of places.
        parting: Of all of them, by Otsu's method.
        method: One of :data:`METHODS`; ``wet`` is as ``otsu``, where it has no edge of its own.
        half: Gives the index of half water; None where that can not be said.
    """
    mixed = half()
    if method == "half" and mixed is not None:
        return Cut(mixed, _between_stretches(values, _otsu))
    by = _peaks if method == "peaks" else _otsu
    value = by(values, parting)
    aside = 0.0 if mixed is None else value - mixed
    return Cut(value, float(np.hypot(_between_stretches(values, by), aside)))


def _between_stretches(values: FloatArray, by: Callable[[FloatArray, Parting], float]) -> float:
    """Return the standard error of a threshold from those of parts of the sample."""
    parts = np.array_split(values, min(STRETCHES, len(values) // FEWEST))
    found = [by(part, parting) for part in parts if (parting := parting_of(part)) is not None]
    return float(np.std(found, ddof=1) / np.sqrt(len(found))) if len(found) > 2 else 0.0


def _otsu(_values: FloatArray, parting: Parting) -> float:
    return parting.value


def _peaks(values: FloatArray, parting: Parting) -> float:
    above = values > parting.value
    return (_peak(values[above]) + _peak(values[~above])) / 2


def _peak(values: FloatArray) -> float:
    """Return the most frequent value: the middle of the half that lies closest together."""
    ordered = np.sort(values)
    while len(ordered) > 3:
        half = len(ordered) // 2
        start = int((ordered[half:] - ordered[: len(ordered) - half]).argmin())
        ordered = ordered[start : start + half + 1] if half + 1 < len(ordered) else ordered[:3]
    return float(ordered.mean())
