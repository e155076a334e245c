"""All objects of a window that the model finds by itself: a label image.

A grid of points is asked in batches, widely spread points first. What was found spares
the points on it. The grid is fixed to the raster, not to the window. A model that lists all
objects of a chip unasked is taken at its word.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from geoiseg.models import BatchModel, Candidates, Embedding, ListingModel, Model
from geoiseg.prompting import PixelPrompts
from geoiseg.raster import BoolArray
from geoiseg.segment import choose
from geoiseg.tiled.candidates import Placement, Survivor, painted, survivors
from geoiseg.tiled.options import AutomaticOptions

_SURE = 8.0
"""Logit of a pixel of a mask that a model gives without logits. Any that is above the steps of
the stability decides the same, so that runs are not told apart by it."""
COARSEST = 4
"""The first points asked are every fourth of the grid in either direction."""


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A window as the model sees it at one reduction, with some of its surroundings."""

    rgb: NDArray[np.uint8]
    """``(y, x, 3)``."""
    valid: BoolArray
    """``(y, x)`` True = data."""
    place: Placement

    def embedding(self, model: Model) -> Embedding:
        """Return what the model knows of it."""
        return model.embed(self.rgb, self.valid)


class Sight(Protocol):
    """A window as the model sees it, or as it has seen it."""

    @property
    def valid(self) -> BoolArray:
        """``(y, x)`` True = data."""
        ...

    @property
    def place(self) -> Placement:
        """How its pixels lie over those of the window."""
        ...

    def embedding(self, model: Model) -> Embedding:
        """Return what the model knows of it."""
        ...


def find_objects(
    model: Model,
    view: Callable[[int], Sight],
    allowed: BoolArray,
    origin: tuple[int, int],
    options: AutomaticOptions,
    min_area: int = 1,
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Return ``(y, x)`` labels, 0 where there is no object, and each label's score.

    Args:
        model: Answers points.
        view: Gives the window at a reduction.
        allowed: ``(y, x)`` of the window, True where there is data and objects are wanted.
        origin: Row and column of the window in the raster, to which the grid is fixed.
        options: Spacing, thresholds, scales.
        min_area: Pixels below which an object that ends inside the window is left out.
    """
    found: list[Survivor] = []
    covered = ~allowed
    for factor in sorted(options.scales, reverse=True):
        if isinstance(model, ListingModel):
            found += _listed(model, view(factor), allowed, options)
            continue
        xy = grid_points(allowed.shape, origin, options.spacing * factor)
        xy = xy[_open(xy, covered)]
        if len(xy):
            found += _at_scale(model, view(factor), (allowed, covered), xy, options)
    shape = (allowed.shape[0], allowed.shape[1])
    return painted(found, shape, options.max_hidden, min_area)


def _at_scale(
    model: Model,
    view: Sight,
    ground: tuple[BoolArray, BoolArray],
    xy: NDArray[np.float64],
    options: AutomaticOptions,
) -> list[Survivor]:
    """Return what is found at one reduction.

    Args:
        model: Answers points.
        view: The window.
        ground: ``(y, x)`` of the window, where objects may be, and where they are; the latter
            grows.
        xy: ``(n, 2)`` points in pixels of the window, in order.
        options: Batch and thresholds.
    """
    allowed, covered = ground
    embedding = view.embedding(model)
    found: list[Survivor] = []
    while len(xy):
        now, xy = xy[: options.batch], xy[options.batch :]
        inside = np.clip(view.place.inside(now), 0, np.nextafter(view.valid.shape[::-1], 0))
        said = answers(model, embedding, inside)
        for survivor in survivors(said, now, allowed, view.place, options):
            found.append(survivor)
            covered[survivor.window.slices] |= survivor.mask
        xy = xy[_open(xy, covered)]
    return found


def _listed(
    model: ListingModel, view: Sight, allowed: BoolArray, options: AutomaticOptions
) -> list[Survivor]:
    """Return what a model has found unasked at one reduction.

    What lies on what was found before is not left out: of masks on the same ground the better
    one is painted, whichever reduction it is of.
    """
    masks, scores = model.listed(view.embedding(model))
    places = {n: _deepest(mask, view.place, allowed) for n, mask in enumerate(masks)}
    here = [(n, xy) for n, xy in places.items() if xy is not None]
    found: list[Survivor] = []
    for start in range(0, len(here), options.batch):
        some = here[start : start + options.batch]
        numbers, xy = [n for n, _ in some], np.array([place for _, place in some], np.float64)
        logits = np.where(masks[numbers], _SURE, -_SURE).astype(np.float32)
        said = Candidates(logits, scores[numbers], np.arange(len(some)), 1.0)
        found += survivors(said, xy, allowed, view.place, options)
    return found


def _deepest(mask: BoolArray, place: Placement, allowed: BoolArray) -> tuple[float, float] | None:
    """Return where the part of a mask that is wanted is deepest, None where none of it is.

    As with points of a grid, an object is known by any part of it where objects are wanted.

    Args:
        mask: ``(y, x)`` as the model sees it.
        place: How its pixels lie over those of the window.
        allowed: ``(y, x)`` of the window, where objects may be.
    """
    shape = allowed.shape
    corners = place.inside(np.array([(0.0, 0.0), (float(shape[1]), float(shape[0]))]))
    left, top = np.maximum(np.floor(corners[0]).astype(int), 0)
    right, bottom = np.ceil(corners[1]).astype(int)
    part = mask[top:bottom, left:right]
    rows, cols = np.indices(part.shape) + 0.5
    xy = place.outside(np.column_stack([cols.ravel() + left, rows.ravel() + top]))
    x, y = np.clip(xy, 0, np.array(shape[1::-1]) - 1).astype(int).T
    part = np.pad(part & allowed[y, x].reshape(part.shape), 1)
    if not part.any():
        return None
    depth = cv2.distanceTransform(part.view(np.uint8), cv2.DIST_L2, 3)
    row, col = np.unravel_index(int(depth.argmax()), depth.shape)
    xy = place.outside(np.array([(left + col - 0.5, top + row - 0.5)], np.float64))[0]
    x, y = np.clip(xy, 0, np.nextafter(shape[1::-1], 0))
    return float(x), float(y)


def grid_points(shape: tuple[int, ...], origin: tuple[int, int], spacing: int
                ) -> NDArray[np.float64]:  # fmt: skip
    """Return ``(n, 2)`` points in pixels of a window, in the order in which they are asked.

    Args:
        shape: Rows and columns of the window.
        origin: Row and column of the window in the raster.
        spacing: Pixels between points; the first is half of it from the raster's corner.
    """
    numbers = [
        np.arange(math.ceil(start / spacing - 0.5), math.ceil((start + length) / spacing - 0.5))
        for start, length in zip(origin, shape[:2], strict=True)
    ]
    row, col = (axis.ravel() for axis in np.meshgrid(*numbers, indexing="ij"))
    fineness = np.zeros(len(row), int)
    step = COARSEST
    while step > 1:
        fineness += ((row % step > 0) | (col % step > 0)).astype(int)
        step //= 2
    order = np.lexsort((col, row, fineness))
    xy = np.column_stack([col, row])[order] + 0.5
    return np.asarray(xy * spacing - (origin[1], origin[0]), np.float64)


def _open(xy: NDArray[np.float64], covered: BoolArray) -> BoolArray:
    """Return ``(n,)`` which points lie where nothing was found yet."""
    x, y = np.floor(xy).astype(int).T
    return np.asarray(~covered[y, x])


def answers(model: Model, embedding: Embedding, xy: NDArray[np.float64]) -> Candidates:
    """Return what a model answers to each of ``(n, 2)`` points in pixels of its chip."""
    positive = np.ones(1, bool)
    prompts = [PixelPrompts(point[None], positive) for point in xy]
    if isinstance(model, BatchModel):
        return model.decode_batch(embedding, prompts)
    chosen = [choose(model.decode(embedding, prompt)) for prompt in prompts]
    return Candidates(
        np.stack([logits for logits, _ in chosen]),
        np.array([score for _, score in chosen], np.float32),
        np.arange(len(prompts)),
        1.0,
    )
