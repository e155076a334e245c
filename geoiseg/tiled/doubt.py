"""Regions that may be no objects: the model is asked for what lies in the middle of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from geoiseg.models import Embedding, Model
from geoiseg.raster import BoolArray, Window
from geoiseg.tiled.automatic import View, answers
from geoiseg.tiled.candidates import Survivor, painted, survivors
from geoiseg.tiled.options import AutomaticOptions

LEAST, DOUBTFUL = 0.2, 0.6
"""Scores between which a region is asked for. In places held out of training 37 % of these are
objects, above 91 %, and below 3 %. An outline of the region given with the point makes answers
like the region, right or wrong: it is not given."""
ODDS = (-2.23, 3.61)
"""Log-odds of an answer's score, to be compared with a region's: a constant, and of the model's
own estimate; fitted as those of regions are."""
OPTIONS = AutomaticOptions(min_score=0.4, min_stability=0.4)
"""Which answers are looked at."""

Objects = tuple[NDArray[np.int32], NDArray[np.float64]]


def asked_again(
    model: Model,
    seen: tuple[View, Embedding],
    found: Objects,
    allowed: BoolArray,
    least: tuple[float, int],
) -> Objects:
    """Return ``(y, x)`` labels and their scores, where answers compete with doubtful regions.

    The largest regions are asked for first, and none whose middle an answer holds already.

    Args:
        model: Answers points.
        seen: The window with its surroundings at its own scale, and encoded.
        found: ``(y, x)`` labels of the window's regions and their scores.
        allowed: ``(y, x)`` of the window, True where there is data and objects are wanted.
        least: Score and area in pixels of an object.
    """
    view, embedding = seen
    good = sorted(regions_of(*found), key=lambda region: -region.area)
    xy = in_doubt(good)
    covered = np.zeros(allowed.shape, bool)
    while len(xy):
        now, xy = xy[: OPTIONS.batch], xy[OPTIONS.batch :]
        inside = np.clip(view.place.inside(now), 0, np.nextafter(view.valid.shape[::-1], 0))
        said = answers(model, embedding, inside)
        for answer in survivors(said, now, allowed, view.place, OPTIONS):
            good.append(replace(answer, score=expected(answer.score)))
            covered[answer.window.slices] |= answer.mask
        x, y = np.floor(xy).astype(int).T
        xy = xy[~covered[y, x]]
    kept = [one for one in good if one.score >= least[0]]
    return painted(kept, (allowed.shape[0], allowed.shape[1]), OPTIONS.max_hidden, least[1])


def expected(estimate: float) -> float:
    """Return the IoU to be expected of an answer by the model's own estimate of it, 0..1."""
    return float(1 / (1 + np.exp(-(ODDS[0] + ODDS[1] * estimate))))


def in_doubt(regions: Sequence[Survivor]) -> NDArray[np.float64]:
    """Return ``(n, 2)`` the middles of the regions that are asked for, in their order."""
    middles = [_middle(region) for region in regions if LEAST <= region.score < DOUBTFUL]
    return np.array(middles, np.float64).reshape(-1, 2)


def regions_of(labels: NDArray[np.int32], scores: NDArray[np.float64]) -> Iterator[Survivor]:
    """Yield each label's pixels, in the order of the labels."""
    flat = np.flatnonzero(labels)
    rows, columns = np.divmod(flat, labels.shape[1])
    of = labels.ravel()[flat]
    order = np.argsort(of, kind="stable")
    starts = np.searchsorted(of[order], np.arange(1, len(scores) + 2))
    for label, score in enumerate(scores.tolist(), start=1):
        own = order[starts[label - 1] : starts[label]]
        if not len(own):
            continue
        y, x = rows[own], columns[own]
        top, left = int(y.min()), int(x.min())
        window = Window(top, left, int(y.max()) - top + 1, int(x.max()) - left + 1)
        mask = np.zeros(window.shape, bool)
        mask[y - top, x - left] = True
        yield Survivor(window, mask, score, len(own))


def _middle(region: Survivor) -> tuple[float, float]:
    """Return ``x, y`` of the pixel that lies deepest inside, in pixels of the window."""
    padded = np.pad(region.mask.view(np.uint8), 1)
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, 5)
    row, col = np.unravel_index(int(np.argmax(depth)), depth.shape)
    return region.window.col + float(col) - 0.5, region.window.row + float(row) - 0.5
