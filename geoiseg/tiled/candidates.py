"""Masks that were answered to points, judged at the model's resolution, and painted.

Only what passes is enlarged to the pixels of the ground, and only within its own box.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from geoiseg.models import Candidates
from geoiseg.prompting import PixelPrompts
from geoiseg.raster import BoolArray, Window
from geoiseg.segment import CleanOptions, clean
from geoiseg.tiled.options import AutomaticOptions

STEP = 1.0
"""How far the threshold moves for the stability, in logits; as in segment-anything."""
NEAR = 2
"""Mask pixels around a mask within which the lower threshold counts."""
ALIKE = 0.05
"""Scores that differ by less say nothing: their order would change with the tiling."""
SPECK = 16
"""Parts of fewer pixels that painting leaves over are dropped; holes of fewer are filled."""


@dataclass(frozen=True, slots=True)
class Placement:
    """How the pixels of a chip, or of masks on it, lie over those of the ground."""

    zoom: tuple[float, float]
    """Ground pixels per pixel, across and down."""
    corner: tuple[float, float]
    """``x, y`` of the first pixel's outer corner, in pixels of the ground."""

    def coarser(self, scale: float) -> Placement:
        """Return the placement of pixels that are ``scale`` times as large."""
        return Placement((self.zoom[0] * scale, self.zoom[1] * scale), self.corner)

    def inside(self, xy: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return places in pixels of the ground as ones in pixels of the chip."""
        return np.asarray((xy - self.corner) / self.zoom)

    def outside(self, xy: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return places in pixels of the chip as ones in pixels of the ground."""
        return np.asarray(xy * np.asarray(self.zoom) + self.corner)


@dataclass(frozen=True, slots=True, eq=False)
class Survivor:
    """A mask that passed, in pixels of the ground."""

    window: Window
    mask: BoolArray
    """``(y, x)`` of the window."""
    score: float
    area: int
    """Pixels of the mask."""


def survivors(
    found: Candidates,
    xy: NDArray[np.float64],
    allowed: BoolArray,
    view: Placement,
    options: AutomaticOptions,
) -> Iterator[Survivor]:
    """Yield the candidates that are good enough, cut to the ground.

    Args:
        found: Answers to ``xy``.
        xy: ``(n, 2)`` the points, in pixels of the ground.
        allowed: ``(y, x)`` of the ground, where objects may be.
        view: Where the chip that was asked lies.
        options: How good is good enough.
    """
    view = view.coarser(found.scale)
    for logits, score, asked in zip(found.logits, found.scores, found.prompts, strict=True):
        if score < options.min_score:
            continue
        low = _held(logits, view.inside(xy[asked]))
        if low is None or _stability(logits, low) < options.min_stability:
            continue
        window = _around(low, view, (allowed.shape[0], allowed.shape[1]))
        mask = _enlarged(logits, window, view) & allowed[window.slices]
        point = PixelPrompts(xy[asked][None] - (window.col, window.row), np.ones(1, bool))
        noise = CleanOptions(SPECK, SPECK)
        mask = clean(mask, allowed[window.slices], point, noise)
        area = int(np.count_nonzero(mask))
        if area:
            yield Survivor(window, mask, float(score), area)


def _held(logits: NDArray[np.float32], xy: NDArray[np.float64]) -> BoolArray | None:
    """Return the part of a mask that holds its point, or None where none does.

    Args:
        logits: ``(y, x)``.
        xy: The point in pixels of the mask.
    """
    rows, columns = logits.shape
    col, row = min(int(xy[0]), columns - 1), min(int(xy[1]), rows - 1)
    if logits[row, col] <= 0:
        return None
    _, parts = cv2.connectedComponents((logits > 0).view(np.uint8), connectivity=4)
    return np.asarray(parts == parts[row, col])


def _stability(logits: NDArray[np.float32], mask: BoolArray) -> float:
    """Return the IoU of the masks at a higher and a lower threshold, in 0..1."""
    kernel = np.ones((2 * NEAR + 1, 2 * NEAR + 1), np.uint8)
    near = cv2.dilate(mask.view(np.uint8), kernel) > 0
    wide = np.count_nonzero(near & (logits > -STEP))
    return float(np.count_nonzero(mask & (logits > STEP)) / wide) if wide else 0.0


def _around(mask: BoolArray, view: Placement, shape: tuple[int, int]) -> Window:
    """Return the ground's pixels under a mask and one mask pixel around it."""
    rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    corners = np.array([(cols[0] - 1, rows[0] - 1), (cols[-1] + 2, rows[-1] + 2)], np.float64)
    low, high = view.outside(corners)
    (left, top), (right, bottom) = np.floor(low).astype(int), np.ceil(high).astype(int)
    around = Window(0, 0, *shape)
    top, left = max(0, int(top)), max(0, int(left))
    size = (max(0, int(bottom) - top), max(0, int(right) - left))
    return Window(top, left, *size).intersection(around)


def _enlarged(logits: NDArray[np.float32], window: Window, view: Placement) -> BoolArray:
    """Return the mask in the ground's pixels of a window, by linear interpolation of logits."""
    if view == Placement((1.0, 1.0), (0.0, 0.0)):
        return np.asarray(logits[window.slices] > 0)
    (sx, sy), (x, y) = view.inside(np.array([window.col + 0.5, window.row + 0.5])), view.zoom
    back = np.array([[1 / x, 0, sx - 0.5], [0, 1 / y, sy - 0.5]])
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    size = (window.width, window.height)
    large = cv2.warpAffine(logits, back, size, flags=how, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(large > 0)


def painted(
    found: Iterable[Survivor], shape: tuple[int, int], max_hidden: float, min_area: int
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Return ``(y, x)`` labels, 0 where there is no object, and each label's score.

    The best come first, of about equal ones the largest; what they cover is theirs. A mask
    more of which is covered than ``max_hidden`` is left out, and so is one smaller than
    ``min_area`` that ends inside the ground. Label ``k`` has score ``k - 1``.
    """
    labels = np.zeros(shape, np.int32)
    scores: list[float] = []
    order = sorted(
        found, key=lambda s: (-round(s.score / ALIKE), -s.area, s.window.row, s.window.col)
    )
    for survivor in order:
        region = labels[survivor.window.slices]
        free = survivor.mask & (region == 0)
        if np.count_nonzero(free) < (1 - max_hidden) * survivor.area:
            continue
        free = _without_specks(free)
        if not free.any() or (survivor.area < min_area and not _at_border(survivor, shape)):
            continue
        scores.append(survivor.score)
        region[free] = len(scores)
    return labels, np.array(scores, np.float64)


def _without_specks(mask: BoolArray) -> BoolArray:
    count, parts, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=4)
    keep: NDArray[Any] = stats[:, cv2.CC_STAT_AREA] >= SPECK
    keep[0] = False
    return mask if keep[1:].all() and count > 1 else np.asarray(keep[parts])


def _at_border(survivor: Survivor, shape: tuple[int, int]) -> bool:
    bottom, right = survivor.window.stop
    inside = survivor.window.row > 0 and survivor.window.col > 0
    return not (inside and bottom < shape[0] and right < shape[1])
