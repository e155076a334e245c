"""How an object looks in all bands, so that it is known again on a raster of another date.

A logistic regression tells the pixels of an outline from those around it. It is linear in the
bands on purpose: what bends further fits one date better, and the next one worse.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from geoiseg.raster import BoolArray
from geoiseg.segment.regression import logistic

FloatArray = NDArray[np.float32]
Doubles = NDArray[np.float64]

SAMPLE = 10_000
"""Pixels of each side that the regression is fitted to."""
RIDGE = 10.0
"""How strongly coefficients are drawn to 0; a side counts as half of its pixels."""
LEAST_REACH = 16
"""Pixels around an outline that are looked at, at least; else twice its greatest depth."""
FOLDS = 8
"""Squares of which every other one is left out, along the longer side of an outline."""
SHARE = 0.1
"""Parts that meet an outline less than this share of what the best one does are none of it."""


@dataclass(frozen=True, slots=True, eq=False)
class Likeness:
    """What tells an object from its surroundings."""

    weights: Doubles
    """``(band + 1,)`` of the regression, the constant first, on standardised bands."""
    mean: Doubles
    """``(band,)`` of all pixels that were looked at."""
    spread: Doubles
    """``(band,)`` their standard deviation."""
    colour: Doubles
    """``(band,)`` mean of the object."""
    variety: Doubles
    """``(band,)`` standard deviation within the object."""
    told: float
    """IoU of the outline with itself where it is found by squares it was not fitted to, 0..1."""

    def odds(self, values: FloatArray) -> FloatArray:
        """Return ``(y, x)`` log-odds that pixels are of the object.

        Args:
            values: ``(band, y, x)`` in the units that it was learnt in.
        """
        flat = (values.reshape(len(values), -1).T - self.mean) / self.spread
        found = flat @ self.weights[1:] + self.weights[0]
        return np.asarray(found.reshape(values.shape[1:]), np.float32)

    def colour_change(self, values: FloatArray, mask: BoolArray) -> float:
        """Return how far the colour of a mask is from the object's, in its own deviations.

        Args:
            values: ``(band, y, x)`` in the units that it was learnt in.
            mask: ``(y, x)`` the object now; not empty.
        """
        now = values[:, mask].mean(axis=1)
        return float(np.abs((now - self.colour) / self.variety).mean())


def learnt(
    values: FloatArray, valid: BoolArray, mask: BoolArray, ignored: BoolArray | None = None
) -> Likeness | None:
    """Return what tells an object from what is around it; None where that can not be said.

    Args:
        values: ``(band, y, x)`` in any units.
        valid: ``(y, x)`` True where there is data.
        mask: ``(y, x)`` the object.
        ignored: ``(y, x)`` what is neither the object nor unlike it.
    """
    inside = mask & valid
    around = _around(inside) & valid & ~mask
    around = around if ignored is None else around & ~ignored
    if np.count_nonzero(inside) < 2 or np.count_nonzero(around) < 2:
        return None
    rng = np.random.default_rng(0)
    flat = values.reshape(len(values), -1).T
    chosen = [_some(side, rng) for side in (inside, around)]
    rows = np.concatenate([flat[part] for part in chosen]).astype(np.float64)
    on = np.repeat([True, False], [len(part) for part in chosen])
    mean, spread = rows.mean(axis=0), np.maximum(rows.std(axis=0), 1e-9)
    scaled = (rows - mean) / spread
    own = flat[inside.ravel()].astype(np.float64)
    variety = np.maximum(own.std(axis=0), spread * 0.05)
    whole = _regression(scaled, on)
    fold = _folds(inside).ravel()[np.concatenate(chosen)]
    found = Likeness(whole, mean, spread, own.mean(axis=0), variety, 0.0)
    told = _told(found, scaled, on, fold, values, inside, around)
    return Likeness(whole, mean, spread, found.colour, variety, told)


def meeting(mask: BoolArray, outline: BoolArray) -> BoolArray:
    """Return ``(y, x)`` the parts of a mask that meet an outline; nothing where none does.

    Args:
        mask: ``(y, x)`` True = alike.
        outline: ``(y, x)`` where the object was.
    """
    count, parts = cv2.connectedComponents(mask.view(np.uint8), connectivity=8)
    met = np.bincount(parts[outline], minlength=count)
    met[0] = 0
    if not met.any():
        return np.zeros_like(mask)
    keep = met >= max(1.0, SHARE * float(met.max()))
    kept: BoolArray = keep[parts]
    return kept


def soft_iou(odds: FloatArray, mask: BoolArray, valid: BoolArray) -> float:
    """Return how sure a mask is, 0..1: its IoU with the object as expected by the odds."""
    near = cv2.dilate(mask.view(np.uint8), np.ones((9, 9), np.uint8)).astype(bool) & valid
    likely = 1 / (1 + np.exp(-np.clip(odds.astype(np.float64), -30, 30)))
    whole = np.count_nonzero(mask) + float(likely[near & ~mask].sum())
    return float(likely[mask].sum() / whole) if whole else 0.0


def deep_places(mask: BoolArray, count: int) -> NDArray[np.float64]:
    """Return ``(n, 2)`` ``xy_pixel`` of places deep inside a mask, spread over it, deepest first.

    Args:
        mask: ``(y, x)``.
        count: Most places; fewer where the mask has no more ridges.
    """
    depth = cv2.distanceTransform(np.pad(mask.astype(np.uint8), 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
    if not mask.any():
        return np.zeros((0, 2))
    ridge = depth >= cv2.dilate(depth, np.ones((3, 3), np.uint8)) - 1e-6
    rows, cols = np.nonzero(ridge & (depth >= depth.max() / 3))
    places = np.column_stack([cols, rows]).astype(np.float64) + 0.5
    chosen = [int(depth[rows, cols].argmax())]
    away = np.linalg.norm(places - places[chosen[0]], axis=1)
    while len(chosen) < min(count, len(places)) and away.max() > 0:
        chosen.append(int(away.argmax()))
        away = np.minimum(away, np.linalg.norm(places - places[chosen[-1]], axis=1))
    return places[chosen[:count]]


def _around(inside: BoolArray) -> BoolArray:
    depth = cv2.distanceTransform(np.pad(inside.astype(np.uint8), 1), cv2.DIST_L2, 5)
    reach = max(float(LEAST_REACH), 2 * float(depth.max()))
    away = cv2.distanceTransform((~inside).astype(np.uint8), cv2.DIST_L2, 5)
    near: BoolArray = (away > 0) & (away <= reach)
    return near


def _some(side: BoolArray, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return the flat places of some pixels of one side."""
    places = np.flatnonzero(side)
    return places if len(places) <= SAMPLE else np.sort(rng.choice(places, SAMPLE, replace=False))


def _folds(mask: BoolArray) -> BoolArray:
    """Return ``(y, x)`` which of two folds each pixel is of: squares like a chessboard's."""
    rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    side = max(2, int(max(np.ptp(rows), np.ptp(cols)) + 1) // FOLDS)
    y, x = np.ogrid[: mask.shape[0], : mask.shape[1]]
    odd: BoolArray = (y // side + x // side) % 2 == 1
    return odd


def _told(
    whole: Likeness, rows: Doubles, on: BoolArray, fold: BoolArray, values: FloatArray,
    inside: BoolArray, around: BoolArray,
) -> float:  # fmt: skip
    """Return the IoU of the outline with what is found by squares it was not fitted to."""
    odd = _folds(inside)
    odds = np.zeros(inside.shape, np.float32)
    for part in (False, True):
        own = fold != part
        if on[own].sum() < 2 or (~on[own]).sum() < 2:
            return 0.0
        weights = _regression(rows[own], on[own])
        other = Likeness(weights, whole.mean, whole.spread, whole.colour, whole.variety, 0.0)
        odds = np.where(odd == part, other.odds(values), odds)
    found = meeting((odds > 0) & (inside | around), inside)
    union = np.count_nonzero(found | inside)
    return float(np.count_nonzero(found & inside) / union) if union else 0.0


def _regression(rows: Doubles, on: BoolArray) -> Doubles:
    """Return the coefficients of a logistic regression, both sides weighing the same.

    Args:
        rows: ``(n, band)`` standardised.
        on: ``(n,)`` True = object; both occur.
    """
    design = np.column_stack([np.ones(len(rows)), rows])
    share = float(on.mean())
    weight = np.where(on, 0.5 / share, 0.5 / (1 - share))
    return logistic(design, weight * on, weight, RIDGE)
