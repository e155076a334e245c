"""Where the model is unsure of the object in progress, and where a click would help most.

The prompts are given again a few times, a little off; where the answers differ, or are
near one half, the model is unsure. Nothing is encoded again, so a look costs a decode. What all
bands say of the object is joined to each answer as it is to the object's own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from geoiseg.models import Augmented, Embedding, Model
from geoiseg.prompting import PixelPrompts, Prompts
from geoiseg.raster import BoolArray, Grid
from geoiseg.segment.masks import choose, prompted_pixels
from geoiseg.segment.outcome import Outcome
from geoiseg.segment.segmenter import Segmenter
from geoiseg.segment.watch import Watch

UNSURE = 0.5
"""Uncertainty from which a pixel is worth a click: probabilities from 0.15 to 0.85."""
LEAST_GAIN = 0.01
"""Rise of the IoU to be expected below which no click is proposed."""
NEAR = 4.0
"""Pixels around earlier clicks in which no other is proposed."""
EDGE = 1.5
"""Pixels of depth from which an unsure place is more than the mask's blurred outline."""
FEW = 1e-6
Join = Callable[[NDArray[np.float32], PixelPrompts], NDArray[np.float32]]
"""Gives ``(y, x)`` log-odds from a model's and the prompts that led to them."""


@dataclass(frozen=True, slots=True)
class LookOptions:
    """How the prompts are varied."""

    looks: int = 6
    """Decodes with prompts moved; the undisturbed one comes on top."""
    shift: float = 3.0
    """Standard deviation in pixels by which points and strokes are moved."""
    stretch: float = 0.05
    """Standard deviation by which the sides of a box are moved, as a share of its size."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.looks < 0 or self.shift < 0 or self.stretch < 0:
            raise ValueError(
                f"looks, shift and stretch can not be negative,"
                f" got {self.looks}, {self.shift} and {self.stretch}"
            )


@dataclass(frozen=True, slots=True, eq=False)
class Uncertainty:
    """How sure the model is of each pixel of a chip."""

    probability: NDArray[np.float32]
    """``(y, x)`` of the object, the mean over all looks; 0 where there is no data."""
    grid: Grid
    """Georeference of the array."""

    @property
    def array(self) -> NDArray[np.float32]:
        """``(y, x)`` 0 where the model is sure, 1 where it can not decide."""
        unsure: NDArray[np.float32] = 4 * self.probability * (1 - self.probability)
        return unsure


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A place where the user's word would help most; whether it is on the object is theirs."""

    x: float
    """In the raster's CRS."""
    y: float
    """In the raster's CRS."""
    uncertainty: float
    """Mean of the unsure region around it, 0..1."""
    gain: float
    """Rise of the IoU to be expected when that region is put right, 0..1."""
    size: float
    """Distance in pixels of the chip from the place to the end of the region."""


def look(
    segmenter: Segmenter,
    prompts: Prompts,
    outcome: Outcome,
    options: LookOptions | None = None,
    watch: Watch | None = None,
) -> Uncertainty:
    """Return how sure the model is of the object in progress.

    Args:
        segmenter: The raster and the model.
        prompts: All that was said about the object.
        outcome: The object.
        options: How the prompts are varied.
        watch: Asked between the looks whether to stop.

    Raises:
        CancelledError: The user asked to stop.
    """
    watch = watch or Watch()
    embedding, valid, pixel = segmenter.view(outcome.frame, prompts, watch)
    logits, asking = outcome.to_refine, replace(segmenter, asking=outcome.asked)

    def join(answer: NDArray[np.float32], moved: PixelPrompts) -> NDArray[np.float32]:
        return asking.with_bands(outcome.frame, answer, valid, moved)

    options = options or LookOptions()
    mean = jittered(segmenter.model, embedding, pixel, logits, options, watch, join)
    return Uncertainty(np.where(valid, mean, 0).astype(np.float32), outcome.mask.grid)


def jittered(
    model: Model,
    embedding: Embedding,
    prompts: PixelPrompts,
    logits: NDArray[np.float32] | None,
    options: LookOptions,
    watch: Watch | None = None,
    join: Join | None = None,
) -> NDArray[np.float32]:
    """Return ``(y, x)`` the mean probability over the present answer and all looks.

    An augmented model has looked from several sides already: its views take the place of looks,
    and their variance is part of the uncertainty.

    Args:
        model: The model.
        embedding: What it made of the chip.
        prompts: In the pixel frame of the chip.
        logits: ``(y, x)`` the present answer; None asks for it.
        options: How the prompts are varied.
        watch: Asked between the looks whether to stop.
        join: Brings in what the model did not see, as was done with the present answer.
    """
    if isinstance(model, Augmented):
        return _probability(choose(model.decode(embedding, prompts, logits))[0])
    rng = np.random.default_rng(options.seed)
    if logits is None:
        logits = choose(model.decode(embedding, prompts))[0]
    total = _probability(logits)
    for _ in range(options.looks):
        if watch is not None:
            watch.phase("looking again")
        moved = _moved(prompts, options, rng, embedding.shape)
        answer = choose(model.decode(embedding, moved))[0]
        total += _probability(answer if join is None else join(answer, moved))
    return np.asarray(total / (options.looks + 1), np.float32)


def suggest(
    seen: Uncertainty, mask: BoolArray, prompts: PixelPrompts, least_gain: float = LEAST_GAIN
) -> Suggestion | None:
    """Return where a click would help most, or None where none would help enough.

    Regions of unsure pixels away from earlier clicks are weighed by their depth times
    their mean uncertainty; the deepest pixel of the best one is proposed.

    Args:
        seen: How sure the model is.
        mask: ``(y, x)`` the object in progress.
        prompts: What was said, in the pixel frame of the chip.
        least_gain: Rise of the IoU to be expected that makes a click worth while.
    """
    unsure = seen.array
    open_to_doubt = (unsure >= UNSURE) & ~_near_clicks(mask.shape, prompts)
    depth = _depth(open_to_doubt)
    count, found = cv2.connectedComponents(open_to_doubt.astype(np.uint8), connectivity=4)
    parts = np.asarray(found, np.intp)
    if count < 2:
        return None
    sizes = np.bincount(parts.ravel(), minlength=count)
    means = np.bincount(parts.ravel(), unsure.ravel(), count) / np.maximum(sizes, 1)
    deepest = np.zeros(count)
    np.maximum.at(deepest, parts.ravel(), depth.ravel())
    worth = np.where(deepest > EDGE, deepest * means, 0)
    worth[0] = 0
    best = int(worth.argmax())
    gain = _gain(seen.probability, mask, parts == best)
    if worth[best] <= 0 or gain < least_gain:
        return None
    y, x = np.unravel_index(int(np.where(parts == best, depth, 0).argmax()), depth.shape)
    place = seen.grid.to_crs([[x + 0.5, y + 0.5]])[0]
    return Suggestion(
        float(place[0]), float(place[1]), float(means[best]), gain, float(deepest[best])
    )


def _gain(probability: NDArray[np.float32], mask: BoolArray, region: BoolArray) -> float:
    """Return the rise of the IoU to be expected when a region is put right."""
    right, union = _expected(probability, mask, np.zeros_like(mask))
    right_then, union_then = _expected(probability, mask, region)
    return float(right_then / max(union_then, FEW) - right / max(union, FEW))


def _expected(
    probability: NDArray[np.float32], mask: BoolArray, known: BoolArray
) -> tuple[float, float]:
    """Return the expected intersection and union, where ``known`` pixels are put right."""
    p = probability.astype(np.float64)
    right = p[mask | known].sum()
    union = np.count_nonzero(mask & ~known) + p[known].sum() + p[~mask & ~known].sum()
    return float(right), float(union)


def _moved(
    pixel: PixelPrompts, options: LookOptions, rng: np.random.Generator, shape: tuple[int, ...]
) -> PixelPrompts:
    """Return the prompts a little off, all within the chip."""
    far = np.array(shape[::-1], np.float64)
    last = np.nextafter(far, 0)

    def off(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.clip(xy + rng.normal(0, options.shift, xy.shape), 0, last)

    strokes = tuple(
        (np.clip(xy + rng.normal(0, options.shift, 2), 0, last), sign)
        for xy, sign in pixel.scribbles
    )
    box = pixel.box
    if box is not None:
        span = np.array([box[2] - box[0], box[3] - box[1]] * 2)
        sides = np.array(box) + rng.normal(0, options.stretch, 4) * span
        low = np.clip(np.minimum(sides[:2], sides[2:]), 0, far - 1)
        high = np.clip(np.maximum(sides[:2], sides[2:]), low + 1, far)
        box = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
    return replace(pixel, points=off(pixel.points), scribbles=strokes, box=box)


def _near_clicks(shape: tuple[int, ...], prompts: PixelPrompts) -> BoolArray:
    size = (shape[0], shape[1])
    said = prompted_pixels(size, prompts, positive=True)
    said |= prompted_pixels(size, prompts, positive=False)
    if not said.any():
        return said
    away: NDArray[Any] = cv2.distanceTransform((~said).astype(np.uint8), cv2.DIST_L2, 5)
    return np.asarray(away <= NEAR)


def _depth(region: BoolArray) -> NDArray[np.float32]:
    padded = np.pad(region.astype(np.uint8), 1)
    return np.asarray(cv2.distanceTransform(padded, cv2.DIST_L2, 5), np.float32)[1:-1, 1:-1]


def _probability(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -30, 30))), np.float32)
