"""Regions that may be no objects: the model is asked for what lies in the middle of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from geoiseg.models import Candidates, Model
from geoiseg.raster import BoolArray, Window
from geoiseg.tiled.automatic import answers
from geoiseg.tiled.candidates import Placement, Survivor, painted, survivors
from geoiseg.tiled.options import AutomaticOptions
from geoiseg.tiled.sighted import Sighted, pieces_for
from geoiseg.tiled.uncovered import passes

LEAST, DOUBTFUL = 0.25, 0.6
"""Scores between which a region is asked for. In places held out of training 37 % of those from 0.2
on were objects, above 91 %, and below 3 %, when they were chosen; below 0.25 asking found one or
two objects in a hundred more, for a sixth of all questions. An outline of the region given with
the point makes answers like the region, right or wrong: it is not given."""
ODDS = (-1.97, 3.22)
"""Log-odds of an answer's score, to be compared with a region's: a constant, and of the model's
own estimate; fitted as those of regions are."""
OPTIONS = AutomaticOptions(min_score=0.4, min_stability=0.4)
"""Which answers are looked at."""

Objects = tuple[NDArray[np.int32], NDArray[np.float64]]
_Answer = tuple[Candidates, Placement, Window]
"""What a model answered on a piece, where that lies over the window, and what it is of its part."""
_Told = dict[tuple[Window, float, float], list[_Answer]]


def asked_again(
    model: Model,
    sights: Sequence[Sighted],
    found: Objects,
    ground: tuple[BoolArray, BoolArray],
    least: tuple[float, int],
) -> Objects:
    """Return ``(y, x)`` labels and their scores, where answers compete with doubtful regions.

    The largest regions are asked for first, and none whose middle an answer holds already; each
    on the closest look that shows all of it on a piece of the size of training, and from further
    away where the answer runs over that. What ground is left then is asked for, too.

    Args:
        model: Answers points.
        sights: What of the window was encoded.
        found: ``(y, x)`` labels of the window's regions and their scores.
        ground: ``(y, x)`` of the window, True where there is data and objects are wanted, and
            where what objects are made of is likely.
        least: Score and area in pixels of an object.
    """
    allowed, likely = ground
    good = sorted(regions_of(*found), key=lambda region: -region.area)
    covered = np.zeros(allowed.shape, bool)
    for region in doubtful(good):
        x, y = _middle(region)
        if covered[int(y), int(x)]:
            continue
        for answer in _answered(model, sights, region, allowed, OPTIONS):
            good.append(answer)
            covered[answer.window.slices] |= answer.mask
    sure = np.concatenate([[False], found[1] >= least[0]])
    told: _Told = {}
    ask = partial(_answered, model, sights, allowed=allowed, told=told)
    good += passes(lambda place, how: ask(place, options=how), likely & allowed,
                   covered | sure[found[0]], OPTIONS)  # fmt: skip
    kept = [one for one in good if one.score >= least[0]]
    return painted(kept, (allowed.shape[0], allowed.shape[1]), OPTIONS.max_hidden, least[1])


def _answered(
    model: Model,
    sights: Sequence[Sighted],
    region: Survivor,
    allowed: BoolArray,
    options: AutomaticOptions,
    told: _Told | None = None,
) -> list[Survivor]:
    """Return what a model answers in the middle of a region; empty where that is no object.

    Args:
        model: Answers points.
        sights: What of the window was encoded.
        region: About where the object is.
        allowed: ``(y, x)`` of the window, where objects may be.
        options: Which answers are objects.
        told: What was answered in the middle of which window before, on each of its pieces; grows.
            Passes with other thresholds ask for much of the same ground again.
    """
    xy = np.array(_middle(region))
    passed: list[Survivor] = []
    known = [] if told is None else told.setdefault((region.window, *xy.tolist()), [])
    for number, (sight, wanted) in enumerate(pieces_for(region.window, sights)):
        if number == len(known):
            known.append(_said(model, sight, wanted, xy))
        said, place, piece = known[number]
        passed = [replace(answer, score=expected(answer.score))
                  for answer in survivors(said, xy[None], allowed, place, options)]  # fmt: skip
        if not sight.goes_on(said.logits[0], piece):
            break
    return passed


def _said(model: Model, sight: Sighted, wanted: Window, xy: NDArray[np.float64]) -> _Answer:
    """Return what a model answers at a place, in pixels of the window, on a piece of a look."""
    embedding, place, piece = sight.cut(model, wanted)
    inside = np.clip(place.inside(xy[None]), 0, np.nextafter(piece.shape[::-1], 0))
    return answers(model, embedding, inside), place, piece


def expected(estimate: float) -> float:
    """Return the IoU to be expected of an answer by the model's own estimate of it, 0..1."""
    return float(1 / (1 + np.exp(-(ODDS[0] + ODDS[1] * estimate))))


def doubtful(regions: Sequence[Survivor]) -> list[Survivor]:
    """Return the regions that are asked for, in their order."""
    return [region for region in regions if LEAST <= region.score < DOUBTFUL]


def in_doubt(regions: Sequence[Survivor]) -> NDArray[np.float64]:
    """Return ``(n, 2)`` the middles of the regions that are asked for, in their order."""
    return np.array([_middle(one) for one in doubtful(regions)], np.float64).reshape(-1, 2)


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
