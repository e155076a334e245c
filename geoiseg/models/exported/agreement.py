"""How like the masks of one model those of another are, by clicks and boxes on chips."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoiseg.errors import ExportError
from geoiseg.models.exported.int8 import Chips
from geoiseg.models.protocol import Candidates, Embedding
from geoiseg.models.sam.adapter import SamModelAdapter
from geoiseg.prompting import PixelPrompts
from geoiseg.raster import BoolArray

ALONG = 4
"""Clicks along each side of a chip."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """IoU of masks with those of a reference, over all prompts."""

    mean: float
    worst: float
    prompts: int


def agreement(exact: SamModelAdapter, ours: SamModelAdapter, chips: Chips) -> Agreement:
    """Ask both models the same and compare their answers, the likeliest of each.

    On each chip, clicks in a grid with some jitter; then the box around each mask that the
    exact model has answered with. What it answers with nothing is left out.

    Args:
        exact: The model that is right.
        ours: The model that is compared.
        chips: Image and validity of each.

    Raises:
        ExportError: The exact model finds nothing at all.
    """
    found: list[float] = []
    for number, (image, valid) in enumerate(chips):
        each = [(model, model.embed(image, valid)) for model in (exact, ours)]
        clicks = [PixelPrompts(xy[None], np.ones(1, bool)) for xy in places(valid, number)]
        if clicks:
            found += _alike(each, clicks)
            found += _alike(each, _boxes(*each[0], clicks))
    if not found:
        raise ExportError(
            "the model finds nothing on these chips in fp32, so that int8 can not be compared;"
            " give a raster with objects"
        )
    return Agreement(float(np.mean(found)), float(np.min(found)), len(found))


def places(valid: BoolArray, seed: int) -> NDArray[np.float64]:
    """Return ``(n, 2)`` positions ``x, y`` of clicks on a chip where there is data."""
    rows, columns = valid.shape
    jitter = np.random.default_rng(seed).uniform(0.1, 0.9, (ALONG, ALONG, 2))
    cells = np.stack(np.meshgrid(np.arange(ALONG), np.arange(ALONG)), -1)
    xy = ((cells + jitter) / ALONG * (columns, rows)).reshape(-1, 2)
    column, row = xy.astype(int).T
    inside: NDArray[np.float64] = xy[valid[row, column]]
    return inside


def _alike(
    each: list[tuple[SamModelAdapter, Embedding]], prompts: list[PixelPrompts]
) -> Iterator[float]:
    """Yield the IoU of both models' answers to each prompt that the first one answers."""
    if not prompts:
        return
    truths, answers = (
        _likeliest(model.decode_batch(embedding, prompts), len(prompts))
        for model, embedding in each
    )
    for truth, answer in zip(truths, answers, strict=True):
        if truth.any():
            yield float((truth & answer).sum() / (truth | answer).sum())


def _likeliest(candidates: Candidates, count: int) -> BoolArray:
    """Return ``(n, v, u)`` masks: the best of each prompt."""
    first = np.searchsorted(candidates.prompts, np.arange(count))
    best: BoolArray = candidates.logits[first] > 0
    return best


def _boxes(
    model: SamModelAdapter, embedding: Embedding, clicks: list[PixelPrompts]
) -> list[PixelPrompts]:
    """Return the boxes around what a model answers clicks with, in the chip's pixels."""
    candidates = model.decode_batch(embedding, clicks)
    boxes = []
    for mask in _likeliest(candidates, len(clicks)):
        if not mask.any():
            continue
        rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
        ends: Any = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
        limits = (*embedding.shape[::-1], *embedding.shape[::-1])
        x0, y0, x1, y1 = (
            min(float(end) * candidates.scale, float(limit))
            for end, limit in zip(ends, limits, strict=True)
        )
        if x0 < x1 and y0 < y1:
            boxes.append(PixelPrompts(box=(x0, y0, x1, y1)))
    return boxes
