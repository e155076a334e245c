"""Logistic regression of an IoU between 0 and 1, and how good maps are that go by one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoiseg.segment import CutOptions, cut_of
from geoiseg.training.cuts.views import LABELLED, Rows, Seen

FloatArray = NDArray[np.float64]
STEPS = 50
"""Steps of Newton's method, at most."""
RIDGE = 1e-6
"""Keeps what is told by nothing from running away, as a share of all weight."""
RIGHT = 0.5
"""IoU from which on an object is right."""


def fitted(looks: NDArray[np.floating], iou: FloatArray, weight: FloatArray) -> tuple[float, ...]:
    """Return log-odds, a constant first, by which an IoU is to be expected.

    Args:
        looks: ``(n, l)`` what it goes by.
        iou: ``(n,)`` 0..1.
        weight: ``(n,)`` how much each counts.
    """
    given = np.column_stack([np.ones(len(looks)), looks.astype(np.float64)])
    found = np.zeros(given.shape[1])
    ridge = RIDGE * weight.sum() * np.eye(len(found))
    for _ in range(STEPS):
        said = 1 / (1 + np.exp(-(given @ found)))
        slope = given.T @ (weight * (iou - said)) - ridge @ found
        bend = (given * (weight * np.maximum(said * (1 - said), 1e-6))[:, None]).T @ given + ridge
        step = np.linalg.solve(bend, slope)
        found += step
        if np.abs(step).max() < 1e-6:
            break
    return tuple(found.tolist())


def weights_of(parts: Sequence[tuple[str, Rows]], exponent: float) -> FloatArray:
    """Return ``(n,)`` how much the regions of all views count, those of a family together 1.

    Args:
        parts: Family and regions of each view.
        exponent: Of a region's area: what is large weighs more in a cut.
    """
    each = [rows.area**exponent for _, rows in parts]
    total: dict[str, float] = defaultdict(float)
    for (family, _), weight in zip(parts, each, strict=True):
        total[family] += float(weight.sum())
    return np.concatenate(
        [weight / total[family] for (family, _), weight in zip(parts, each, strict=True)]
    )


@dataclass(frozen=True, slots=True)
class Figures:
    """How good a map is; means over the families."""

    f1: float
    ap50: float
    by_family: dict[str, float]
    """F1 of each family and reduction."""

    @property
    def worth(self) -> float:
        """By which one is better than another."""
        return (self.f1 + self.ap50) / 2


def figures(views: Sequence[Seen], weights: Sequence[float], min_score: float) -> Figures:
    """Return how good the objects of views are that weights choose.

    Args:
        views: Of places held out.
        weights: Log-odds of scores.
        min_score: Least score of an object.
    """
    found: dict[str, list[tuple[FloatArray, NDArray[np.bool_], int]]] = defaultdict(list)
    options = CutOptions(min_score=min_score, weights=tuple(weights))
    for one in views:
        cut = cut_of(one.regions, one.maps, one.ground, options)
        name = f"{one.view.family} 1:{one.view.reduction}"
        found[name].append(_matched(cut.labels, cut.scores, one.truth))
    f1, ap = {}, {}
    for name, parts in found.items():
        scores = np.concatenate([part[0] for part in parts])
        hits = np.concatenate([part[1] for part in parts])
        labels = sum(part[2] for part in parts)
        f1[name] = 2 * hits.sum() / max(1, len(hits) + labels)
        ap[name] = _average(scores, hits, labels)
    return Figures(
        float(np.mean(list(f1.values()))),
        float(np.mean(list(ap.values()))),
        {name: round(float(value), 3) for name, value in f1.items()},
    )


def _matched(
    labels: NDArray[np.int32], scores: FloatArray, truth: NDArray[np.int32]
) -> tuple[FloatArray, NDArray[np.bool_], int]:
    """Return scores of the objects that can be judged, which are right, and how many labels.

    An IoU above a half is of one pair alone, as objects do not overlap.
    """
    count, most = len(scores) + 1, int(truth.max()) + 1
    pairs = labels.astype(np.int64) * most + truth
    both = np.bincount(pairs.ravel(), minlength=count * most).reshape(count, most)
    area, whole = both.sum(axis=1), both.sum(axis=0)
    judged = (both[1:, 1:].sum(axis=1) > LABELLED * area[1:]) & (area[1:] > 0)
    iou = both[1:, 1:] / np.maximum(1, area[1:, None] + whole[None, 1:] - both[1:, 1:])
    hit = iou.max(axis=1, initial=0) > RIGHT
    return scores[judged], hit[judged], int((whole[1:] > 0).sum())


def _average(scores: FloatArray, hits: NDArray[np.bool_], labels: int) -> float:
    """Return the average precision."""
    right = np.cumsum(hits[np.argsort(-scores, kind="stable")])
    if not labels or not len(right) or not right[-1]:
        return 0.0
    precision = right / np.arange(1, len(right) + 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    gained = np.diff(right, prepend=0) > 0
    return float(best[gained].sum() / labels)
