"""The outline drawn pixel by pixel: GrabCut in a narrow band around a coarse mask."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoiseg.models.classic.seeds import Seeds
from geoiseg.raster import BoolArray

UNUSED = (0, 0, 1, 1)
"""A rectangle that OpenCV asks for and does not use."""
LEARNED = 4000
"""About as many pixels are enough to learn the colours of the mask and of its surroundings."""
FEW = 200
"""Of fewer pixels of either side none is left out."""


def band_around(mask: BoolArray, radius: int) -> BoolArray:
    """Return the pixels within about ``radius`` of the mask's outline."""
    import cv2

    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    plane = mask.astype(np.uint8)
    outer = cv2.dilate(plane, kernel)
    inner = cv2.erode(plane, kernel, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(outer != inner)


def cut(image: NDArray[np.uint8], trimap: NDArray[np.uint8], iterations: int) -> NDArray[np.uint8]:
    """Return the trimap after GrabCut, or as it came where GrabCut has nothing to learn from.

    Deterministic: OpenCV's random numbers, which seed GrabCut's clusters, start anew.

    Args:
        image: ``(y, x, 3)`` uint8.
        trimap: ``(y, x)`` of ``cv2.GC_*``.
        iterations: GrabCut's.
    """
    import cv2

    if _fewest(trimap) < 2 or iterations < 1:
        return trimap
    cv2.setRNGSeed(0)
    result, models = trimap.copy(), (np.zeros((1, 65)), np.zeros((1, 65)))
    cv2.grabCut(_uneven(image), result, UNUSED, *models, iterations, cv2.GC_INIT_WITH_MASK)
    return result


def cut_sampled(image: NDArray[np.uint8], trimap: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the trimap after one iteration of GrabCut, its colours learned from a sample.

    Args:
        image: ``(y, x, 3)`` uint8.
        trimap: ``(y, x)`` of ``cv2.GC_*``.
    """
    import cv2

    step = max(1, int(np.sqrt(trimap.size / LEARNED)))
    sample = np.ascontiguousarray(trimap[::step, ::step])
    if step == 1 or _fewest(sample) < FEW:
        return cut(image, trimap, 1)
    pixels, result = _uneven(image), trimap.copy()
    seen = np.ascontiguousarray(pixels[::step, ::step])
    cv2.setRNGSeed(0)
    models = (np.zeros((1, 65)), np.zeros((1, 65)))
    cv2.grabCut(seen, sample, UNUSED, *models, 0, cv2.GC_INIT_WITH_MASK)
    cv2.grabCut(pixels, result, UNUSED, *models, 1, cv2.GC_EVAL_FREEZE_MODEL)
    return result


def _fewest(trimap: NDArray[np.uint8]) -> int:
    """Return the number of pixels of the smaller side."""
    front = int(np.count_nonzero(trimap & 1))
    return min(front, trimap.size - front)


def _uneven(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the image with noise of one grey level.

    On flat colour all cuts cost the same and OpenCV's search for one takes minutes.
    """
    noise = np.random.default_rng(0).integers(-1, 2, image.shape, dtype=np.int16)
    return np.asarray(np.clip(image + noise, 0, 255), np.uint8)


def refine(
    image: NDArray[np.uint8],
    mask: BoolArray,
    seeds: Seeds,
    valid: BoolArray,
    radius: int,
    *,
    sampled: bool = False,
) -> BoolArray:
    """Return the mask with its outline moved, within ``radius`` pixels, to where colours change.

    One iteration of GrabCut on the mask's surroundings only; what lies deeper inside or
    farther outside is certain.

    Args:
        image: ``(y, x, 3)`` uint8.
        mask: ``(y, x)`` coarse mask.
        seeds: The prompts, drawn; they stay what they are.
        valid: ``(y, x)`` True where there is data.
        radius: Half the band's width in pixels.
        sampled: Whether colours are learned from a sample of the pixels, in half of the time.
    """
    import cv2

    window = _window(mask, 4 * radius)
    if window is None:
        return mask
    inside = mask[window]
    trimap: NDArray[Any] = np.where(inside, cv2.GC_FGD, cv2.GC_BGD).astype(np.uint8)
    band = band_around(inside, radius)
    trimap[band] = np.where(inside[band], cv2.GC_PR_FGD, cv2.GC_PR_BGD)
    trimap[seeds.positive[window]] = cv2.GC_FGD
    trimap[seeds.negative[window] | ~valid[window]] = cv2.GC_BGD
    if seeds.box is not None:
        trimap[~seeds.box[window] & ~seeds.positive[window]] = cv2.GC_BGD
    refined = mask.copy()
    found = cut_sampled(image[window], trimap) if sampled else cut(image[window], trimap, 1)
    refined[window] = (found & 1) == 1
    return refined


def _window(mask: BoolArray, margin: int) -> tuple[slice, slice] | None:
    """Return the mask's bounding box with a margin, None for an empty mask."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return None
    return (
        slice(max(int(rows[0]) - margin, 0), int(rows[-1]) + 1 + margin),
        slice(max(int(columns[0]) - margin, 0), int(columns[-1]) + 1 + margin),
    )
