"""Between a chip's pixels and the square that SAM 2 and its successors squash it into.

Unlike SAM, they pad nothing: rows and columns are scaled each by its own factor.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoiseg.models.sam.frames import FloatArray, Frame, filled
from geoiseg.raster import BoolArray

Colour = tuple[float, float, float]

HALVES: Colour = (0.5, 0.5, 0.5)
"""Mean and deviation of the colours that SAM 3 was trained with."""
IMAGENET_MEAN: Colour = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION: Colour = (0.229, 0.224, 0.225)
"""Of the red, green and blue of ImageNet, in 0..1: what SAM 2 and EdgeTAM expect."""


@dataclass(frozen=True)
class Squash(Frame):
    """A chip within the network's square, all of which it fills."""

    masks: int = 256
    """Pixels along a side of the network's masks, which cover the square."""
    mean: Colour = IMAGENET_MEAN
    """Red, green and blue, 0..1, that become zero."""
    deviation: Colour = IMAGENET_DEVIATION
    """Distance from the mean, 0..1, that becomes one."""

    @property
    def content(self) -> tuple[int, int]:
        """Rows and columns of the square that the chip fills: all."""
        return self.side, self.side

    @property
    def low(self) -> tuple[int, int]:
        """Rows and columns of the masks that :meth:`crop` returns."""
        rows, columns = (math.ceil(length / self.low_scale) for length in self.shape)
        return rows, columns

    @property
    def low_side(self) -> int:
        """Side of the network's masks in pixels."""
        return self.masks

    @property
    def low_scale(self) -> float:
        """Chip pixels per pixel of the masks that :meth:`crop` returns."""
        return max(self.shape) / self.masks

    def pixel_values(self, image: NDArray[np.uint8], valid: BoolArray | None = None) -> FloatArray:
        """Return what the image encoder takes: ``(3, side, side)`` float32, normalised.

        Scaled by torch's antialiased bilinear filter on bytes, as transformers does.

        Args:
            image: ``(y, x, 3)`` uint8 of the chip.
            valid: ``(y, x)`` True where there is data; None where there is data all over.
                The rest gets the mean colour, which the network sees as nothing.

        Raises:
            ModelError: The arrays are not an image and its validity.
        """
        fill = np.round(np.array(self.mean) * 255).astype(np.uint8)
        image = filled(image, valid, self.shape, fill)
        scaled = image if self.shape == self.content else self._scaled(image)
        mean, deviation = (
            np.array(colour, np.float32)[:, None, None] * 255
            for colour in (self.mean, self.deviation)
        )
        return np.asarray((scaled.transpose(2, 0, 1) - mean) / deviation, np.float32)

    def _scaled(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return ``(side, side, 3)``."""
        import torch

        planes = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))[None]
        scaled = torch.nn.functional.interpolate(
            planes, self.content, mode="bilinear", antialias=True
        )
        return np.asarray(scaled[0].numpy().transpose(1, 2, 0))

    def mask_input(
        self,
        values: NDArray[np.floating],
        outside: float = 0.0,  # noqa: ARG002 - nothing is outside
        *,
        sharp: bool = False,
    ) -> FloatArray:
        """Return ``(masks, masks)`` float32: a chip's array as a mask prompt.

        Args:
            values: ``(y, x)`` of the chip, e.g. the logits of the last mask.
            outside: Value of the padding, of which there is none.
            sharp: Whether values jump, as those of an outline do; see :class:`Frame`.
        """
        import cv2

        shrinks = min(self.shape) >= self.masks
        how = cv2.INTER_AREA if sharp and shrinks else cv2.INTER_LINEAR
        given = np.ascontiguousarray(values, np.float32)
        return np.asarray(cv2.resize(given, (self.masks,) * 2, interpolation=how), np.float32)

    def to_chip(self, low: FloatArray) -> FloatArray:
        """Return ``(n, y, x)`` float32 on the chip's grid, bilinear.

        Args:
            low: ``(n, masks, masks)`` as the network gives them.
        """
        import cv2

        whole = np.empty((len(low), *self.shape), np.float32)
        for mask, out in zip(low, whole, strict=True):
            given = np.ascontiguousarray(mask, np.float32)
            out[:] = cv2.resize(given, self.shape[::-1], interpolation=cv2.INTER_LINEAR)
        return whole

    def crop(self, low: FloatArray) -> FloatArray:
        """Return ``(..., v, u)`` masks with pixels of :attr:`low_scale` chip pixels both ways.

        The square's masks have flat or narrow pixels where a chip is not square; the
        shorter axis is sampled anew, linearly, so that one scale holds for both.

        Args:
            low: ``(..., masks, masks)`` as the network gives them.
        """
        for axis, length in zip((-2, -1), self.shape, strict=True):
            if length != max(self.shape):
                low = _sampled(low, axis, self.low_scale, length)
        return np.ascontiguousarray(low, np.float32)


@dataclass(frozen=True)
class PlainSquash(Squash):
    """The same without torch: Pillow's filter, a grey level off torch's at most."""

    def _scaled(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        from PIL import Image

        size = (self.side, self.side)
        return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))


def _sampled(low: FloatArray, axis: int, scale: float, length: int) -> FloatArray:
    """Return an axis of masks that cover ``length`` pixels in steps of ``scale`` pixels."""
    have = low.shape[axis]
    centres = (np.arange(math.ceil(length / scale)) + 0.5) * scale
    at = np.clip(centres * have / length - 0.5, 0, have - 1)
    first = np.minimum(at.astype(int), have - 2)
    share = (at - first).astype(np.float32)
    if axis == -2:
        share = share[:, None]
    before, after = (np.take(low, first + step, axis) for step in (0, 1))
    return np.asarray(before * (1 - share) + after * share, np.float32)
