"""Engine ``grabcut``: OpenCV's GrabCut (Rother et al., 2004), started from the prompts."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from geoiseg.models.classic.answer import empty_masks, to_masks
from geoiseg.models.classic.band import cut, refine
from geoiseg.models.classic.seeds import Seeds, draw_seeds
from geoiseg.models.classic.superpixels import check_chip
from geoiseg.models.protocol import Embedding, Masks, ModelInfo
from geoiseg.prompting import PixelPrompts
from geoiseg.raster import BoolArray

COARSE = 256
"""Longest side in pixels on which the first cuts are made; four times faster than on 512."""
BAND = 5
"""Pixels by which the last cut, on all pixels, may move the outline to either side."""


class GrabCut:
    """Colour mixtures and a minimum cut over all pixels."""

    info: ClassVar[ModelInfo] = ModelInfo(
        name="grabcut",
        family="classic",
        licence="Apache-2.0",
        description="OpenCV GrabCut: colour mixtures and a minimum cut; good with a box",
        weights_hash="2",
    )
    iterations: ClassVar[int] = 3

    def embed(self, image: NDArray[np.uint8], valid: BoolArray) -> Embedding:
        """Return the chip itself: GrabCut prepares nothing.

        Raises:
            PromptError: The chip is not ``(y, x, 3)`` uint8 with a bool ``valid``.
        """
        check_chip(image, valid)
        arrays = {"image": image.copy(), "valid": valid.copy()}
        return Embedding(self._key, (valid.shape[0], valid.shape[1]), arrays)

    def decode(
        self,
        embedding: Embedding,
        prompts: PixelPrompts,
        previous: NDArray[np.float32] | None = None,
    ) -> Masks:
        """Return one mask of the object; an empty one where nothing says where it is.

        Raises:
            PromptError: There is no prompt, or one lies outside the chip.
            ModelError: The embedding was made by another engine.
        """
        embedding.check_made_by(self._key)
        image, valid = embedding.arrays["image"], embedding.arrays["valid"]
        seeds = draw_seeds(prompts, valid, previous)
        if seeds.empty:
            return empty_masks(embedding.shape)
        trimap = start(seeds, valid)
        found = coarse_cut(image, trimap, self.iterations)
        if not found.any():  # its colours explained everything as background
            found = (trimap & 1) == 1
        found = refine(image, found, seeds, valid, BAND)
        return to_masks(soften(found), seeds, valid)

    @property
    def _key(self) -> str:
        return f"{self.info.name}@{self.info.weights_hash}"


def coarse_cut(image: NDArray[np.uint8], trimap: NDArray[np.uint8], iterations: int) -> BoolArray:
    """Return the ``(y, x)`` object side of GrabCut on the chip shrunk to ``COARSE`` pixels."""
    import cv2

    rows, columns = trimap.shape
    factor = COARSE / max(rows, columns)
    if factor >= 1:
        return np.asarray((cut(image, trimap, iterations) & 1) == 1)
    size = (max(1, round(columns * factor)), max(1, round(rows * factor)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    reduced = cv2.resize(trimap, size, interpolation=cv2.INTER_NEAREST_EXACT)
    for sure in (cv2.GC_BGD, cv2.GC_FGD):
        share = cv2.resize((trimap == sure).astype(np.float32), size, interpolation=cv2.INTER_AREA)
        reduced[share > (0.5 if sure == cv2.GC_BGD else 0)] = sure
    found = (cut(np.asarray(small, np.uint8), np.asarray(reduced, np.uint8), iterations) & 1) == 1
    smooth = cv2.resize(found.astype(np.float32), (columns, rows), interpolation=cv2.INTER_LINEAR)
    return np.asarray(smooth > 0.5)


def start(seeds: Seeds, valid: BoolArray) -> NDArray[np.uint8]:
    """Return GrabCut's ``(y, x)`` trimap: perhaps object in the box, outline or near clicks."""
    import cv2

    reach = max(2, round(0.2 * max(valid.shape)))
    if seeds.outline is not None:
        guess = seeds.outline
    elif seeds.box is not None:
        guess = seeds.box
    else:
        guess = distance_to(seeds.positive) <= reach
    trimap: NDArray[Any] = np.where(guess, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    small = max(1, round(0.006 * max(valid.shape)))
    trimap[distance_to(seeds.negative) <= small] = cv2.GC_BGD
    trimap[distance_to(seeds.positive) <= small] = cv2.GC_FGD
    trimap[seeds.negative | ~valid] = cv2.GC_BGD
    if seeds.box is not None:
        trimap[~seeds.box] = cv2.GC_BGD
    trimap[seeds.positive] = cv2.GC_FGD
    return trimap


def distance_to(pixels: BoolArray) -> NDArray[np.float32]:
    """Return the distance in pixels to the nearest True pixel, inf where there is none."""
    import cv2

    if not pixels.any():
        return np.full(pixels.shape, np.inf, np.float32)
    return np.asarray(cv2.distanceTransform((~pixels).astype(np.uint8), cv2.DIST_L2, 5))


def soften(mask: BoolArray) -> NDArray[np.float32]:
    """Return a probability that grows with the depth in the mask, 0.5 on its outline.

    GrabCut decides and gives no probability: the outline is what it is least sure of.
    """
    depth = np.where(mask, distance_to(~mask), -distance_to(mask))
    return np.asarray(1 / (1 + np.exp(-np.clip(depth, -15, 15) / 2.5)), np.float32)
