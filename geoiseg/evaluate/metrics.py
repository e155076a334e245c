"""Measures of a mask against the truth, and of a run of clicks.

Every function is pure, takes ``(y, x)`` bool masks with True on the object, and counts
only pixels where ``valid`` is True (everywhere when it is None).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoiseg.errors import require

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.floating[Any]]


def iou(mask: BoolArray, truth: BoolArray, valid: BoolArray | None = None) -> float:
    """Return the intersection over union in 0..1; two empty masks agree, which is 1.

    Raises:
        ValueError: The masks differ in shape.
    """
    mask, truth = _compared(mask, truth, valid)
    union = np.count_nonzero(mask | truth)
    return float(np.count_nonzero(mask & truth) / union) if union else 1.0


def dice(mask: BoolArray, truth: BoolArray, valid: BoolArray | None = None) -> float:
    """Return the Dice coefficient (F1) in 0..1; two empty masks agree, which is 1."""
    mask, truth = _compared(mask, truth, valid)
    total = np.count_nonzero(mask) + np.count_nonzero(truth)
    return float(2 * np.count_nonzero(mask & truth) / total) if total else 1.0


def precision_recall(
    mask: BoolArray, truth: BoolArray, valid: BoolArray | None = None
) -> tuple[float, float]:
    """Return the share of the mask that is right and the share of the truth that is found.

    An empty mask makes no mistake (precision 1), an empty truth hides nothing (recall 1).
    """
    mask, truth = _compared(mask, truth, valid)
    right = np.count_nonzero(mask & truth)
    drawn, wanted = np.count_nonzero(mask), np.count_nonzero(truth)
    return (right / drawn if drawn else 1.0), (right / wanted if wanted else 1.0)


def boundary_distance(shape: tuple[int, int], ratio: float = 0.02) -> int:
    """Return Boundary IoU's band width in pixels: ``ratio`` of the image's diagonal, at least 1.

    Source: Cheng et al., Boundary IoU, CVPR 2021; 0.02 is the published ratio.
    """
    return max(1, round(ratio * float(np.hypot(*shape))))


def boundary_band(mask: BoolArray, distance: int) -> BoolArray:
    """Return the pixels of the mask within ``distance`` pixels of its outline.

    It is the mask minus its erosion by a 3x3 square, ``distance`` times, with nothing
    beyond the image: the image's edge is an outline too.

    Raises:
        ValueError: The distance is below 1.
    """
    ndimage: Any = require("scipy.ndimage")
    if distance < 1:
        raise ValueError(f"a boundary band is at least 1 pixel wide, got {distance}")
    side = 2 * distance + 1
    inner = ndimage.minimum_filter1d(mask.astype(np.uint8), side, axis=0, mode="constant", cval=0)
    inner = ndimage.minimum_filter1d(inner, side, axis=1, mode="constant", cval=0)
    return np.asarray(mask & (inner == 0))


def boundary_iou(
    mask: BoolArray,
    truth: BoolArray,
    valid: BoolArray | None = None,
    distance: int | None = None,
) -> float:
    """Return the intersection over union of the two outlines' bands, in 0..1.

    Args:
        mask: What was drawn.
        truth: What should have been.
        valid: Where to count.
        distance: Band width in pixels; :func:`boundary_distance` of the image when None.
            For maps, give a ground distance divided by the pixel size.
    """
    _check(mask, truth)
    width = boundary_distance((mask.shape[0], mask.shape[1])) if distance is None else distance
    return iou(boundary_band(mask, width), boundary_band(truth, width), valid)


def clicks_to(ious: Sequence[float] | FloatArray, threshold: float, limit: int = 20) -> int:
    """Return NoC: the first click, from 1, whose IoU reaches the threshold, else ``limit``."""
    reached = np.flatnonzero(np.asarray(ious)[:limit] >= threshold)
    return int(reached[0]) + 1 if len(reached) else limit


def failed(ious: Sequence[float] | FloatArray, threshold: float, limit: int = 20) -> bool:
    """Return whether no click up to ``limit`` reached the threshold.

    A success at the very last click is a success, unlike a test of ``NoC == limit``.
    """
    return not bool((np.asarray(ious)[:limit] >= threshold).any())


def _compared(
    mask: BoolArray, truth: BoolArray, valid: BoolArray | None
) -> tuple[BoolArray, BoolArray]:
    _check(mask, truth)
    if valid is None:
        return mask, truth
    _check(mask, valid)
    return mask & valid, truth & valid


def _check(mask: BoolArray, other: BoolArray) -> None:
    if mask.shape != other.shape or mask.ndim != 2:
        raise ValueError(
            f"two (y, x) masks of one shape are compared, got {mask.shape} and {other.shape}"
        )
    if mask.dtype != bool or other.dtype != bool:
        raise ValueError(f"masks are bool arrays, got {mask.dtype} and {other.dtype}")
