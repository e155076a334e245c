"""A simulated user who clicks where the mask is most wrong.

The clicker is that of RITM (Sofiiuk et al., 2021, arXiv:2102.06583): the middle of the
largest error, in the sense of the distance transform.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from geoiseg.evaluate.metrics import iou
from geoiseg.models import Embedding, Masks, Model, with_care
from geoiseg.prompting import PixelPrompts
from geoiseg.raster import BoolArray

Depths = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Of missed and of wrong pixels, ``(y, x)``."""


class Click(NamedTuple):
    """One click of the simulated user."""

    xy_pixel: tuple[float, float]
    """Centre of the clicked pixel in the continuous pixel frame."""
    positive: bool
    """Whether the pixel lies on the object."""
    reach: float
    """Distance in pixels from the click to the nearest pixel that is not in error."""


Asked = Callable[[BoolArray, BoolArray, BoolArray, BoolArray | None], Click | None]
"""What tells the next click, with the arguments of :func:`next_click`."""


@dataclass(frozen=True, slots=True)
class ClickOptions:
    """How the simulated user works."""

    max_clicks: int = 20
    """Clicks per object."""
    threshold: float = 0.49
    """Probability from which a pixel counts as object (RITM's 0.49)."""
    stop_at: float | None = None
    """IoU from which to stop, the rest being filled with the last value; None never stops."""
    stop_after: int = 5
    """Clicks made in any case, so that the IoU after so many clicks is a measured one."""
    jitter: float = 0.0
    """How far from the middle to click, as a share of the click's ``reach`` (0..1)."""
    seed: int = 0
    """Seed of the jitter."""

    def __post_init__(self) -> None:
        if self.max_clicks < 1:
            raise ValueError(f"max_clicks must be at least 1, got {self.max_clicks}")
        if not 0 < self.threshold < 1:
            raise ValueError(f"threshold is a probability between 0 and 1, got {self.threshold}")
        if not 0 <= self.jitter <= 1:
            raise ValueError(f"jitter is a share from 0 to 1, got {self.jitter}")


@dataclass(frozen=True, slots=True, eq=False)
class ClickRun:
    """What a series of clicks on one object brought."""

    ious: NDArray[np.float64]
    """``(max_clicks,)`` IoU after each click."""
    clicks: tuple[Click, ...]
    """The clicks made; fewer than ``max_clicks`` once nothing is left to correct."""
    decode_seconds: NDArray[np.float64]
    """``(len(clicks),)`` wall time of each decode."""
    scores: NDArray[np.float64]
    """``(len(clicks),)`` the model's own estimate of its IoU."""


def next_click(
    truth: BoolArray, mask: BoolArray, clicked: BoolArray, valid: BoolArray | None = None
) -> Click | None:
    """Return the click on the middle of the largest error, or None when there is none left.

    The image's edge counts as the end of an error. Missed and wrong pixels are weighed by
    their greatest distance to the end of the error; a tie is a negative click; among equal
    pixels the first in raster order is taken.

    Args:
        truth: ``(y, x)`` the object.
        mask: ``(y, x)`` the current mask.
        clicked: ``(y, x)`` pixels that were clicked before and are not clicked again.
        valid: ``(y, x)`` where there is data; errors elsewhere do not count.
    """
    missed, wrong = error_depths(truth, mask, clicked, valid)
    positive = bool(missed.max(initial=0) > wrong.max(initial=0))
    depth = missed if positive else wrong
    if depth.max(initial=0) <= 0:
        return None
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    return Click((float(x) + 0.5, float(y) + 0.5), positive, float(depth[y, x]))


def error_depths(
    truth: BoolArray, mask: BoolArray, clicked: BoolArray, valid: BoolArray | None = None
) -> Depths:
    """Return how deep in an error each missed and each wrong pixel lies, in pixels, else 0.

    The arguments are those of :func:`next_click`.
    """
    counted = np.ones_like(truth) if valid is None else valid
    missed = _depth(truth & ~mask & counted, clicked)
    return missed, _depth(~truth & mask & counted, clicked)


def run_clicks(
    model: Model,
    image: NDArray[np.uint8],
    valid: BoolArray,
    truth: BoolArray,
    options: ClickOptions | None = None,
) -> ClickRun:
    """Return the IoU after each click of the simulated user on one object of a chip.

    Args:
        model: The engine.
        image: ``(y, x, 3)`` uint8 chip.
        valid: ``(y, x)`` True where there is data.
        truth: ``(y, x)`` the object.
        options: How the user works.
    """
    return click_embedding(model, model.embed(image, valid), truth, valid, options)


def click_embedding(
    model: Model,
    embedding: Embedding,
    truth: BoolArray,
    valid: BoolArray | None = None,
    options: ClickOptions | None = None,
    ask: Asked = next_click,
) -> ClickRun:
    """Return the IoU after each click of the simulated user on an embedded chip.

    Each decode gets all clicks so far and the logits of the last mask. The first of the
    model's candidates is scored: the truth never helps to choose.

    Args:
        model: The engine.
        embedding: Of the chip; made by the caller, so that one chip serves many objects.
        truth: ``(y, x)`` the object.
        valid: ``(y, x)`` where there is data.
        options: How the user works.
        ask: Tells the next click, by default in the middle of the largest error; see
            ``users`` for others.
    """
    options = options or ClickOptions()
    rng = np.random.default_rng(options.seed)
    cut = float(np.log(options.threshold / (1 - options.threshold)))
    mask, clicked = np.zeros_like(truth), np.zeros_like(truth)
    clicks: list[Click] = []
    ious: list[float] = []
    seconds: list[float] = []
    scores: list[float] = []
    previous: NDArray[np.float32] | None = None
    while len(clicks) < options.max_clicks:
        click = ask(truth, mask, clicked, valid)
        if click is None:
            break
        clicks.append(_jittered(click, options.jitter, truth.shape, rng))
        x, y = clicks[-1].xy_pixel
        clicked[int(y), int(x)] = True
        masks, spent = _timed_decode(model, embedding, clicks, previous)
        previous = masks.logits[0]
        mask = np.asarray(previous > cut)
        ious.append(iou(mask, truth, valid))
        seconds.append(spent)
        scores.append(float(masks.scores[0]))
        if len(ious) >= options.stop_after and max(ious) >= (options.stop_at or np.inf):
            break
    last = ious[-1] if ious else 1.0
    padded = ious + [last] * (options.max_clicks - len(ious))
    return ClickRun(np.array(padded), tuple(clicks), np.array(seconds), np.array(scores))


def box_of(truth: BoolArray) -> tuple[float, float, float, float]:
    """Return ``x0, y0, x1, y1``, the tightest box around the object in continuous pixels.

    Raises:
        ValueError: The object is empty.
    """
    rows, columns = np.flatnonzero(truth.any(1)), np.flatnonzero(truth.any(0))
    if not len(rows):
        raise ValueError("an empty object has no box")
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def _timed_decode(
    model: Model,
    embedding: Embedding,
    clicks: list[Click],
    previous: NDArray[np.float32] | None,
) -> tuple[Masks, float]:
    points = np.array([click.xy_pixel for click in clicks], dtype=np.float64)
    positive = np.array([click.positive for click in clicks], dtype=bool)
    ask, prompts = with_care(model), PixelPrompts(points=points, positive=positive)
    start = time.perf_counter()
    masks = ask(embedding, prompts, previous)
    return masks, time.perf_counter() - start


def _depth(error: BoolArray, clicked: BoolArray) -> NDArray[np.float32]:
    """Return each erroneous pixel's distance to the end of its error, 0 where clicked."""
    import cv2

    padded = np.pad(error.astype(np.uint8), 1)
    depth: NDArray[Any] = cv2.distanceTransform(padded, cv2.DIST_L2, 0)[1:-1, 1:-1]
    return np.where(clicked, np.float32(0), depth)


def _jittered(
    click: Click, jitter: float, shape: tuple[int, ...], rng: np.random.Generator
) -> Click:
    """Return the click moved at random within the error, by up to ``jitter`` of its reach."""
    if jitter == 0:
        return click
    radius = jitter * max(click.reach - 1, 0) * np.sqrt(rng.random())
    angle = 2 * np.pi * rng.random()
    x = np.clip(np.floor(click.xy_pixel[0] + radius * np.cos(angle)), 0, shape[1] - 1) + 0.5
    y = np.clip(np.floor(click.xy_pixel[1] + radius * np.sin(angle)), 0, shape[0] - 1) + 0.5
    return Click((float(x), float(y)), click.positive, click.reach)
