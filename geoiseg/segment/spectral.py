"""Objects told apart by every band: a small model of this object, fitted at each step.

Next to the network's answer, which has seen three bands, a logistic regression in all bands is
fitted to it: the pixels of the mask so far against those around, each as sure as the network is.
What it says of each colour is added to the network's log-odds, by as much as the bands part the
two where they were not fitted and as the user's own clicks agree. Where bands have roles, clicks on
water mean water and others do not: that is known without any fitting (``segment.wetness``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoiseg.prompting import PixelPrompts
from geoiseg.raster import BoolArray
from geoiseg.segment.masks import prompted_places
from geoiseg.segment.palette import Palette
from geoiseg.segment.regression import logistic
from geoiseg.segment.wetness import said_of_water, with_water

FloatArray = NDArray[np.float32]
Doubles = NDArray[np.float64]

VERSION = 5
"""Of what is done here: a step keeps it, so that what was made before replays as it was.

1 adds the log-odds of water to the network's; since 2 the network's are bounded there first; since
3 a click that contradicts the rest counts near it alone, and narrow water goes on from afar; since
4 it does so where it runs aslant, too; since 5 the model refines the object alone where the bands
say the same of much more (``Outcome.to_refine``).
"""
SAMPLE = 12_000
"""Pixels that the model is fitted to."""
ROOM, LEAST_ROOM = 0.5, 32
"""Surroundings that are looked at: a share of the mask's size, and pixels at least."""
WEIGHT = 400.0
"""Pixels that each side counts as: neighbouring pixels say the same."""
RIDGE = 1.0
"""How strongly coefficients are drawn to 0."""
CAP = 2.0
"""Most log-odds that the model may add."""
SURE = 8.0
"""Log-odds of the network beyond which it counts as no surer."""
FOLD = 24
"""Side in pixels of the squares of which every other one is left out."""
USELESS, CLEAR = 0.6, 0.9
"""Shares of pairs put right, where not fitted, up to which the model is off and from which on
it counts in full."""


@dataclass(frozen=True, slots=True, eq=False)
class ChipBands:
    """What all bands of a chip say, as far as it does not depend on the object."""

    palette: Palette | None
    """Its colours; None where the bands say nothing."""
    water: FloatArray | None
    """``(y, x)`` log-odds of water by an index; None where no index can be had."""

    @property
    def nbytes(self) -> int:
        """Bytes that it takes in memory."""
        own = 0 if self.palette is None else self.palette.nbytes
        return own + (0 if self.water is None else self.water.nbytes)


def joined(
    logits: FloatArray, mask: BoolArray, prompts: PixelPrompts, bands: ChipBands,
    version: int = VERSION,
) -> FloatArray:  # fmt: skip
    """Return ``(y, x)`` log-odds of the network and of all bands together.

    Args:
        logits: ``(y, x)`` of the network.
        mask: ``(y, x)`` the object by them, cleaned.
        prompts: In the pixel frame of the chip.
        bands: Of the chip.
        version: How they are joined; see :data:`VERSION`.
    """
    table = None if bands.palette is None else fitted(logits, mask, prompts, bands.palette)
    said = None if bands.water is None else said_of_water(mask, prompts, bands.water, version)
    total = logits
    if table is not None and bands.palette is not None:
        total = np.take(table, bands.palette.codes)
        if not bands.palette.valid.all():
            total[~bands.palette.valid] = 0
        total += logits
    return total if said is None else with_water(total, prompts, said, version)


def fitted(
    logits: FloatArray, mask: BoolArray, prompts: PixelPrompts, palette: Palette
) -> FloatArray | None:
    """Return ``(k,)`` what each colour adds to the log-odds; None where that does not help.

    Args:
        logits: ``(y, x)`` of the network.
        mask: ``(y, x)`` the object by them.
        prompts: In the pixel frame of the chip.
        palette: The colours of the chip.
    """
    sample = _sample(logits, mask, palette)
    if sample is None:
        return None
    code, likely, fold = sample
    design = np.hstack([np.ones((len(palette.colours), 1)), palette.colours])
    size = len(palette.colours)
    whole = _masses(code, likely, size)
    if whole is None:
        return None
    said = [_said(prompts, palette, positive=sign) for sign in (True, False)]
    start = _regression(design, whole)
    apart = 1.0
    for half in (False, True):
        own, other = fold == half, fold != half
        fit, test = (_masses(code[part], likely[part], size) for part in (own, other))
        if fit is None or test is None:
            return None
        apart = min(apart, _pairs_right(design @ _regression(design, fit, start), test))
    right = _agreement(design @ start, said)
    weight = min(max((apart - USELESS) / (CLEAR - USELESS), 0.0), 1.0) * right
    if weight <= 0:
        return None
    odds = np.clip(design @ _regression(design, _with_said(whole, said), start), -CAP, CAP)
    return np.asarray(weight * odds, np.float32)


def _sample(
    logits: FloatArray, mask: BoolArray, palette: Palette
) -> tuple[NDArray[np.intp], Doubles, BoolArray] | None:
    """Return colour, probability and fold of pixels spread over the mask and around it."""
    rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    spans = []
    for held, length in zip((rows, cols), mask.shape, strict=True):
        room = max(LEAST_ROOM, int(ROOM * (held[-1] - held[0] + 1)))
        spans.append((max(0, int(held[0]) - room), min(length, int(held[-1]) + 1 + room)))
    (top, bottom), (left, right) = spans
    step = max(1, int(np.sqrt((bottom - top) * (right - left) / SAMPLE)))
    window = np.s_[top + step // 2 : bottom : step, left + step // 2 : right : step]
    known = palette.valid[window]
    if np.count_nonzero(known) < 2:
        return None
    y, x = np.mgrid[window]
    fold = np.asarray((y // FOLD + x // FOLD) % 2 == 1)[known]
    own = np.clip(logits[window][known].astype(np.float64), -SURE, SURE)
    return palette.codes[window][known].astype(np.intp), 1 / (1 + np.exp(-own)), fold


def _masses(code: NDArray[np.intp], likely: Doubles, size: int) -> tuple[Doubles, Doubles] | None:
    """Return ``(k,)`` how much of the object and of the rest each colour holds; sums are 1."""
    on = np.bincount(code, likely, size)
    off = np.bincount(code, 1 - likely, size)
    if on.sum() < 1 or off.sum() < 1:
        return None
    return on / on.sum(), off / off.sum()


def _said(prompts: PixelPrompts, palette: Palette, *, positive: bool) -> NDArray[np.intp]:
    """Return the colours of the pixels that the user clicked on or painted over."""
    places = prompted_places(palette.codes.shape, prompts, positive)
    known = places[palette.valid.ravel()[places]]
    return palette.codes.ravel()[known].astype(np.intp)


SAID = 0.1
"""Share of each side that the user's own pixels stand for."""


def _with_said(
    masses: tuple[Doubles, Doubles], said: list[NDArray[np.intp]]
) -> tuple[Doubles, Doubles]:
    on, off = (
        (1 - SAID) * mass + SAID * np.bincount(codes, minlength=len(mass)) / len(codes)
        if len(codes)
        else mass
        for mass, codes in zip(masses, said, strict=True)
    )
    return on, off


def _agreement(odds: Doubles, said: list[NDArray[np.intp]]) -> float:
    """Return how far to believe a model whose fit did not know what the user said, 0..1.

    Both signs count alike; one that is not there is taken as put right.
    """
    on, off = said
    right = [
        float((odds[on] > 0).mean()) if len(on) else 1.0,
        float((odds[off] < 0).mean()) if len(off) else 1.0,
    ]
    return max(0.0, sum(right) - 1.0)


def _regression(
    design: Doubles, masses: tuple[Doubles, Doubles], start: Doubles | None = None
) -> Doubles:
    """Return the coefficients of a logistic regression on colours, drawn to 0.

    Args:
        design: ``(k, n)``, the first column is 1.
        masses: ``(k,)`` of the object and of the rest.
        start: Coefficients to begin with.
    """
    on, both = WEIGHT * masses[0], WEIGHT * (masses[0] + masses[1])
    held = both > 0
    return logistic(design[held], on[held], both[held], RIDGE, start, rounds=6)


def _pairs_right(odds: Doubles, masses: tuple[Doubles, Doubles]) -> float:
    """Return the share of pairs, one of each side, in which the object's has higher odds."""
    order = np.argsort(odds, kind="stable")
    on, off = masses[0][order], masses[1][order]
    below = np.cumsum(off) - off / 2
    return float((on * below).sum() / max(on.sum() * off.sum(), 1e-12))
