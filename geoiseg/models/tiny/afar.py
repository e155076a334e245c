"""A single click is looked at from afar, too, and all that it may mean is weighed.

A click in a field of 300 pixels gives a corner of it as often as the field: the network knows
objects of the sizes that its training showed it. At half the resolution, a quarter of the work,
it sees the same ground as one that is half as large; what is large there, too, is looked at once
more, at a quarter of the resolution. Each view gives up to four readings of the click. Which of
them is meant shows in what they have in common, as much as in what the network expects of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from geoiseg.models.protocol import Masks
from geoiseg.models.tiny.look import SAME, overlap
from geoiseg.prompting import PixelPrompts
from geoiseg.raster import BoolArray

FloatArray = NDArray[np.float32]

TIMES = 2
"""Pixels of the chip, across and down, for each of the view from afar."""
VIEWS = 2
"""Views from afar, each from twice as far as the one before."""
NARROWEST = 128
"""Least sides in pixels of a chip, or of a view of it, that is looked at from afar."""
DEEP = 8.0
"""Depth of the likeliest reading, in pixels of the view from afar, from which on a click is
looked at from further away: there, what is less deep is too small to be told."""
MOST = 4
"""Readings that are told, the likeliest first."""
LOOKS = ("score", "probability", "depth", "middle", "agreed")
"""What is known of a reading: the network's own estimate of its IoU; the mean probability of its
pixels; the logarithm of its depth in pixels of the view from afar; how deep the click lies, as a
share of that, since people click near the middle; and the mean IoU with all readings, those of a
view together one vote, each as much of it as it scores."""
WEIGHTS = (-5.05, 1.02, 3.11, -0.26, 1.37, 3.06)
"""Log-odds of the IoU to be expected of a reading: a constant, then of each of :data:`LOOKS`.
``python -m geoiseg.training.readings`` fits them."""
FURTHER_WEIGHTS = (-2.2, 0.82, 0.42, -0.51, 1.44, 3.92)
"""The same where a click was looked at from further away, too."""


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """One of the things that a click may mean."""

    logits: FloatArray
    """``(y, x)`` of the chip."""
    score: float
    """The IoU that the network expects."""
    times: int = 1
    """Pixels of the chip, across and down, for each of the view in which it was seen."""
    is_sharp: bool = False
    """Whether its outline lies where colours change already."""


def halved(pixels: NDArray[np.uint8], valid: BoolArray) -> tuple[NDArray[np.uint8], BoolArray]:
    """Return a chip as it is seen from afar, and where there is data.

    Args:
        pixels: ``(y, x, 3)``, zero where there is no data.
        valid: ``(y, x)``.
    """
    rows, columns = valid.shape
    odd = ((0, rows % TIMES), (0, columns % TIMES))
    counts = _sums(np.pad(valid, odd).astype(np.int32)[..., None])
    sums = _sums(np.pad(pixels, (*odd, (0, 0))).astype(np.int32))
    means = (2 * sums + counts) // np.maximum(2 * counts, 1)
    return means.astype(np.uint8), counts[..., 0] > 0


def seen(prompts: PixelPrompts) -> PixelPrompts:
    """Return points of the chip in the pixel frame of the view from afar."""
    return replace(prompts, points=prompts.points / TIMES)


def enlarged(logits: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """Return ``(v, u)`` logits of the view from afar as ``(y, x)`` ones of the chip.

    Args:
        logits: Of the view.
        shape: Rows and columns of the chip.
    """
    size = (logits.shape[1] * TIMES, logits.shape[0] * TIMES)
    whole = cv2.resize(logits, size, interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(whole[: shape[0], : shape[1]], np.float32)


def looks(readings: Sequence[Reading], xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``(n, 5)`` what is known of each reading, as :data:`LOOKS` says.

    Args:
        readings: All of one click.
        xy: Where that is, in the pixel frame of the chip.
    """
    small = [_shrunk(reading.logits) for reading in readings]
    masks = [logits > 0 for logits in small]
    flat = np.array([mask.ravel() for mask in masks], np.float32)
    areas = np.maximum(flat.sum(axis=1), 1).astype(np.float64)
    both = (flat @ flat.T).astype(np.float64)
    alike = both / (areas[:, None] + areas - both)
    scores = np.array([reading.score for reading in readings])
    times = np.array([reading.times for reading in readings])
    # Each view has one vote, however many of its readings say nearly the same.
    views = [times == one for one in np.unique(times)]
    votes = [alike[:, view] @ shares(scores[view]) for view in views]
    agreed = np.mean(votes, axis=0)
    rows = []
    column, row = np.clip(xy / TIMES, 0, np.array(masks[0].shape[::-1]) - 1).astype(int)
    for number, (logits, mask) in enumerate(zip(small, masks, strict=True)):
        depth = cv2.distanceTransform(np.pad(mask.view(np.uint8), 1), cv2.DIST_L2, 3)
        deepest = float(depth.max())
        likely = 1 / (1 + np.exp(-logits[mask])) if mask.any() else np.zeros(1)
        middle = float(depth[row + 1, column + 1]) / max(deepest, 1.0)
        rows.append(
            (scores[number], float(likely.mean()), np.log1p(deepest), middle, agreed[number])
        )
    return np.array(rows, np.float64)


def is_deep(readings: Sequence[Reading], xy: NDArray[np.float64]) -> bool:
    """Return whether what a click likely means is so large that it should be seen further away.

    Args:
        readings: All of one click, of the chip and of the view from afar.
        xy: Where that is, in the pixel frame of the chip.
    """
    readings = holding(readings)
    if not readings:
        return False
    found = looks(readings, xy)
    likeliest = found[int(expected(found, WEIGHTS).argmax())]
    return bool(likeliest[LOOKS.index("depth")] > np.log1p(DEEP))


def holding(readings: Sequence[Reading]) -> list[Reading]:
    """Return the readings that hold anything."""
    return [reading for reading in readings if (reading.logits > 0).any()]


def weights_of(readings: Sequence[Reading]) -> tuple[float, ...]:
    """Return the log-odds that go with the views in which readings were seen."""
    further = any(reading.times > TIMES for reading in readings)
    return FURTHER_WEIGHTS if further else WEIGHTS


def shares(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``(n,)`` what each of some readings counts for: as much as it scores, together 1."""
    least = np.maximum(scores, 1e-3)
    return np.asarray(least / least.sum(), np.float64)


def expected(look: NDArray[np.float64], weights: Sequence[float]) -> NDArray[np.float64]:
    """Return ``(n,)`` the IoU that each reading is expected to have with what was meant.

    Args:
        look: ``(n, 5)`` what :func:`looks` says.
        weights: Log-odds, a constant first.
    """
    odds = weights[0] + look @ np.asarray(weights[1:])
    return np.asarray(1 / (1 + np.exp(-odds)), np.float64)


def weighed(readings: Sequence[Reading], xy: NDArray[np.float64]) -> list[Reading]:
    """Return readings with the IoU to be expected of each, the likeliest first.

    At most :data:`MOST`, without those that are nearly a likelier one.

    Args:
        readings: All of one click; those that hold nothing are left out.
        xy: Where that is, in the pixel frame of the chip.
    """
    kept: list[Reading] = []
    for one in ranked(readings, xy):
        if len(kept) < MOST and all(differ(one, other) for other in kept):
            kept.append(one)
    return kept


def ranked(readings: Sequence[Reading], xy: NDArray[np.float64]) -> list[Reading]:
    """Return all readings that hold anything, each with the IoU to be expected, best first.

    Args:
        readings: All of one click.
        xy: Where that is, in the pixel frame of the chip.
    """
    weights, readings = weights_of(readings), holding(readings)
    if not readings:
        return []
    likely = expected(looks(readings, xy), weights)
    order = np.argsort(-likely, kind="stable").tolist()
    return [replace(readings[number], score=float(likely[number])) for number in order]


def differ(one: Reading, other: Reading) -> bool:
    """Return whether two readings of one click say different things."""
    return overlap(one.logits > 0, other.logits > 0) < SAME


def masks_of(readings: Sequence[Reading]) -> Masks:
    """Return readings of one chip as its masks."""
    return Masks(
        np.stack([reading.logits for reading in readings]),
        np.array([reading.score for reading in readings], np.float32),
    )


def _sums(values: NDArray[Any]) -> NDArray[np.int32]:
    """Return ``(y / 2, x / 2, n)`` the sums of blocks of ``(y, x, n)``."""
    rows = values[::2] + values[1::2]
    return np.asarray(rows[:, ::2] + rows[:, 1::2], np.int32)


def _shrunk(logits: FloatArray) -> FloatArray:
    """Return ``(y, x)`` logits of the chip at the resolution of the view from afar."""
    rows, columns = logits.shape
    even = np.pad(logits, ((0, rows % TIMES), (0, columns % TIMES)), mode="edge")
    size = (even.shape[1] // TIMES, even.shape[0] // TIMES)
    return np.asarray(cv2.resize(even, size, interpolation=cv2.INTER_AREA), np.float32)
