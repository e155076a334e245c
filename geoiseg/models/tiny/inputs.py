"""Prompts of one object as the arrays that the decoder's graph takes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoiseg.models.classic.seeds import Seeds
from geoiseg.models.protocol import Embedding
from geoiseg.prompting import PixelPrompts
from geoiseg.raster import BoolArray

FloatArray = NDArray[np.float32]

VALID, PIXELS = "valid", "pixels"
"""Names of what an embedding holds beside features: validity, and the chip's own colours,
on which outlines are drawn."""
STROKE_STEP = 6.0
"""Pixels between the points that stand for a scribble."""
MOST_POINTS = 96
"""Clicks, the latest of them, and points of strokes that the decoder is shown: of more points along
the strokes evenly spread ones are kept, eight at least."""
TRUST_IN_OUTLINE = 0.95
"""Probability given to the pixels of an outline that is to be refined."""


def features_in(embedding: Embedding) -> dict[str, NDArray[Any]]:
    """Return the features of an embedding by name."""
    return {name: array for name, array in embedding.arrays.items() if name not in (VALID, PIXELS)}


def validity(embedding: Embedding) -> BoolArray:
    """Return ``(y, x)`` True where the chip of an embedding has data."""
    stored = embedding.arrays[VALID]
    # Half precision is compared by software; these are zeros and ones.
    return np.asarray(stored.view(np.uint16) != 0 if stored.dtype == np.float16 else stored > 0)


def decoder_inputs(
    prompts: PixelPrompts, seeds: Seeds, padded: tuple[int, int]
) -> dict[str, NDArray[np.float32]]:
    """Return the decoder's inputs by name, for a chip padded at its right and lower side.

    Args:
        prompts: In the continuous pixel frame of the chip.
        seeds: The same, drawn: tells which lie on data.
        padded: Rows and columns of the padded chip.
    """
    points, signs = _points(prompts, seeds)
    box = np.zeros((1, 4), np.float32)
    if prompts.box is not None:
        rows, columns = seeds.positive.shape
        box[0] = np.clip(prompts.box, 0, (columns, rows, columns, rows))
    previous, has_previous = _previous(seeds, padded)
    return {
        "points": points[None],
        "signs": signs[None],
        "box": box,
        "previous": previous[None, None],
        "has_previous": np.array([has_previous], np.float32),
    }


def click_middle(prompts: PixelPrompts, logits: FloatArray, seeds: Seeds) -> PixelPrompts | None:
    """Return the prompts with a positive click in the middle of the mask's largest part.

    Args:
        prompts: With a box.
        logits: ``(y, x)`` the answer to them.
        seeds: The prompts, drawn.

    Returns:
        None where the mask is empty within the box.
    """
    import cv2

    mask = (logits > 0) & ~seeds.negative
    if seeds.box is not None:
        mask &= seeds.box
    padded = np.pad(mask.astype(np.uint8), 1)
    depth = np.asarray(cv2.distanceTransform(padded, cv2.DIST_L2, 3))[1:-1, 1:-1]
    if depth.max(initial=0) <= 0:
        return None
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    points = np.concatenate([prompts.points, [[x + 0.5, y + 0.5]]])
    return replace(prompts, points=points, positive=np.append(prompts.positive, True))


def _points(prompts: PixelPrompts, seeds: Seeds) -> tuple[FloatArray, FloatArray]:
    """Return ``(n, 2)`` points and their ``(n,)`` signs; one of sign 0 if there is none."""
    said = (seeds.positive, seeds.negative)
    clicks = [
        (xy, 1.0 if positive else -1.0)
        for xy, positive in zip(prompts.points, prompts.positive, strict=True)
        if _lies_on(xy, said)
    ]
    strokes = [
        (xy, 1.0 if positive else -1.0)
        for stroke, positive in prompts.scribbles
        for xy in _along(stroke)
        if _lies_on(xy, said)
    ]
    room = max(8, MOST_POINTS - len(clicks))
    if len(strokes) > room:
        strokes = [strokes[i] for i in np.linspace(0, len(strokes) - 1, room).astype(int)]
    chosen = clicks[-MOST_POINTS:] + strokes
    if not chosen:
        return np.zeros((1, 2), np.float32), np.zeros(1, np.float32)
    positions, signs = zip(*chosen, strict=True)
    rows, columns = seeds.positive.shape
    # The padding begins at the chip's far border, and is like nothing on the chip.
    inside = np.clip(positions, 0.5, (columns - 0.5, rows - 0.5))
    return inside.astype(np.float32), np.asarray(signs, np.float32)


def _lies_on(xy: NDArray[np.float64], said: tuple[NDArray[np.bool_], ...]) -> bool:
    rows, columns = said[0].shape
    if not (0 <= xy[0] <= columns and 0 <= xy[1] <= rows):
        return False
    x, y = min(int(xy[0]), columns - 1), min(int(xy[1]), rows - 1)
    return any(bool(mask[y, x]) for mask in said)


def _along(stroke: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return points along a stroke, about :data:`STROKE_STEP` pixels apart."""
    steps = np.hypot(*np.diff(stroke, axis=0).T) if len(stroke) > 1 else np.zeros(0)
    travelled = np.concatenate([[0.0], np.cumsum(steps)])
    count = min(4 * MOST_POINTS, int(travelled[-1] / STROKE_STEP) + 1)
    at = np.linspace(0, travelled[-1], count + 1) if travelled[-1] else np.zeros(1)
    return np.stack([np.interp(at, travelled, stroke[:, k]) for k in (0, 1)], axis=1)


def _previous(seeds: Seeds, padded: tuple[int, int]) -> tuple[FloatArray, float]:
    """Return ``(y / 2, x / 2)`` probability of the last mask or the outline, and 1 if any."""
    import cv2

    probability = seeds.last
    if probability is None:
        if seeds.outline is None:
            return np.zeros((padded[0] // 2, padded[1] // 2), np.float32), 0.0
        on, off = TRUST_IN_OUTLINE, 1 - TRUST_IN_OUTLINE
        probability = np.where(seeds.outline, on, off).astype(np.float32)
    rows, columns = probability.shape
    missing = (padded[0] - rows, padded[1] - columns)
    whole = np.pad(probability, ((0, missing[0]), (0, missing[1])))
    half = cv2.resize(whole, (padded[1] // 2, padded[0] // 2), interpolation=cv2.INTER_AREA)
    return np.asarray(half, np.float32), 1.0


def encoder_inputs(
    image: NDArray[np.uint8], valid: BoolArray, size: tuple[int, int]
) -> dict[str, NDArray[np.float32]]:
    """Return what the encoder reads of a chip, in whole cells of its coarsest features.

    Args:
        image: ``(y, x, 3)``.
        valid: ``(y, x)``.
        size: Rows and columns to which both are filled up.
    """
    rows, columns = valid.shape
    pixels = np.zeros((1, 3, *size), np.float32)
    seen = np.zeros((1, 1, *size), np.float32)
    seen[0, 0, :rows, :columns] = valid
    np.multiply(image.transpose(2, 0, 1), valid, out=pixels[0, :, :rows, :columns])
    return {"image": pixels, "valid": seen}
