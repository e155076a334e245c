"""How right the model is where it is asked for what lies in a doubtful region."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoiseg.models import DenseModel
from geoiseg.segment import CutOptions, cut_objects
from geoiseg.tiled.automatic import answers
from geoiseg.tiled.candidates import Placement, Survivor, survivors
from geoiseg.tiled.dense import cells_of
from geoiseg.tiled.doubt import LEAST, OPTIONS, in_doubt, regions_of
from geoiseg.training.cuts.views import LABELLED, View

HERE = Placement((1.0, 1.0), (0.0, 0.0))
ASKED = 16
"""Regions of a view that are asked for."""


def asked(
    model: Any, views: Sequence[View], weights: Sequence[float], rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return ``(n, 1)`` the model's own estimates of its answers, and ``(n,)`` their IoUs.

    Args:
        model: Has dense heads, and answers points.
        views: Where it is asked.
        weights: Log-odds of the scores by which regions are in doubt.
        rng: Chooses among them.
    """
    rows = [row for view in views for row in _of_view(model, view, weights, rng)]
    found = np.array(rows, np.float64).reshape(-1, 2)
    return found[:, :1], found[:, 1]


def _of_view(
    model: DenseModel, view: View, weights: Sequence[float], rng: np.random.Generator
) -> Iterator[tuple[float, float]]:
    embedding = model.embed(view.image, view.valid)
    maps = model.dense(embedding)
    ground = maps.interior * cells_of(view.valid, maps.interior.shape, maps.scale)
    cut = cut_objects(maps, ground, CutOptions(min_score=LEAST, weights=tuple(weights)))
    rows, columns = view.valid.shape
    labels = cut.labels.repeat(maps.scale, axis=0).repeat(maps.scale, axis=1)[:rows, :columns]
    middles = in_doubt(list(regions_of(labels, cut.scores)))
    xy = middles[rng.permutation(len(middles))[:ASKED]]
    if len(xy):
        xy = np.clip(xy, 0, (columns - 1e-3, rows - 1e-3))
        said = answers(model, embedding, xy)
        for answer in survivors(said, xy, view.valid, HERE, OPTIONS):
            iou = _iou(answer, view)
            if iou is not None:
                yield answer.score, iou


def _iou(answer: Survivor, view: View) -> float | None:
    """Return the IoU with the label that suits best; None where too little is labelled."""
    inside = np.bincount(view.ids[answer.window.slices][answer.mask])
    inside[0] = 0
    if inside.sum() < LABELLED * answer.area:
        return None
    best = int(inside.argmax())
    whole = np.count_nonzero(view.ids == best)
    return float(inside[best] / (answer.area + whole - inside[best]))
