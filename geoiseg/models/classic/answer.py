"""From the probability of each pixel to masks: what every engine without weights shares."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoiseg.models.classic.seeds import Seeds
from geoiseg.models.protocol import Masks
from geoiseg.raster import BoolArray

FloatArray = NDArray[np.float32]

LIMIT = 12.0
"""Greatest magnitude of a logit; that of prompted and of invalid pixels."""
FAINT = 0.1
"""Magnitude of the logit of a pixel that was put on the other side while cleaning."""


def empty_masks(shape: tuple[int, ...]) -> Masks:
    """Return one empty mask with a score of 0: nothing said where the object is."""
    return Masks(np.full((1, *shape), -LIMIT, np.float32), np.zeros(1, np.float32))


def to_masks(probability: FloatArray, seeds: Seeds, valid: BoolArray) -> Masks:
    """Return the answer of an engine: log-odds, cleaned, that obey every prompt.

    Pixels are removed that hang together with no prompt, and small holes filled. A
    prompted pixel keeps its sign whatever the engine says; invalid pixels are never part.
    The score is the IoU to be expected if the probabilities are right, times nothing else:
    an engine that is unsure says so.

    Args:
        probability: ``(y, x)`` of the object.
        seeds: The prompts, drawn.
        valid: ``(y, x)`` True where there is data.
    """
    p = np.clip(probability, 1e-5, 1 - 1e-5)
    logits = np.log(p / (1 - p)).astype(np.float32)
    allowed = valid & ~seeds.negative if seeds.box is None else seeds.box & ~seeds.negative
    raw = ((logits > 0) & allowed) | seeds.positive
    mask = _fill(_anchored(raw, seeds), allowed) | seeds.positive
    logits = np.where(mask, np.maximum(logits, FAINT), np.minimum(logits, -FAINT))
    score = expected_iou(probability, mask & valid, valid)
    logits[seeds.positive] = LIMIT
    logits[seeds.negative | ~valid] = -LIMIT
    if seeds.box is not None:
        outside = ~seeds.box & ~seeds.positive
        logits[outside] = np.minimum(logits[outside], -LIMIT / 2)
    return Masks(logits[None], np.array([score], np.float32))


def expected_iou(probability: FloatArray, mask: BoolArray, valid: BoolArray) -> float:
    """Return the IoU of the mask that its own probabilities lead one to expect, in 0..1.

    The ratio of the expected intersection to the expected union, pixel by pixel.
    """
    p = np.where(valid, probability, 0)
    union = np.count_nonzero(mask) + float(p[~mask].sum())
    return float(np.clip(p[mask].sum() / union, 0, 1)) if union > 0 else 0.0


def _anchored(mask: BoolArray, seeds: Seeds) -> BoolArray:
    """Return the parts of the mask that a prompt holds, or the large ones of a box."""
    import cv2

    count, parts = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    if count <= 2:
        return mask
    keep: NDArray[Any] = np.zeros(count, bool)
    keep[parts[seeds.positive]] = True
    if seeds.outline is not None:
        keep[parts[seeds.outline]] = True
    keep[0] = False
    if not keep.any():
        sizes = np.bincount(parts.ravel(), minlength=count)
        sizes[0] = 0
        keep = sizes >= 0.1 * sizes.max()
    keep[0] = False
    return np.asarray(keep[parts])


def _fill(mask: BoolArray, allowed: BoolArray) -> BoolArray:
    """Return the mask with holes below 2 % of it filled, unless a prompt or nodata is there."""
    import cv2

    area = np.count_nonzero(mask)
    _, holes, stats, _ = cv2.connectedComponentsWithStats((~mask).astype(np.uint8), connectivity=8)
    fill = stats[:, cv2.CC_STAT_AREA] <= 0.02 * area
    edge = np.concatenate([holes[0], holes[-1], holes[:, 0], holes[:, -1]])
    fill[edge] = False
    fill[holes[~allowed]] = False
    fill[0] = False
    return np.asarray(mask | fill[holes])
