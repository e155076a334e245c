"""Between a chip's pixels and the square that a SAM network sees.

The network sees the chip scaled so that its longer side fills a square, padded at the
right and below. All coordinates here are continuous with ``(0, 0)`` at the outer corner
of the first pixel; SAM's own prompt encoder adds half a pixel to whatever it is given
(it counts from pixel centres), so half a pixel is taken off before.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from geoiseg.errors import ModelError
from geoiseg.raster import BoolArray

FloatArray = NDArray[np.float32]

MEAN = (123.675, 116.28, 103.53)
DEVIATION = (58.395, 57.12, 57.375)
"""Of the red, green and blue of ImageNet, in 0..255: what SAM was trained with."""
FILL = (124, 116, 104)
"""Colour of pixels without data: the mean, which the network sees as nothing."""


@dataclass(frozen=True)
class Frame:
    """A chip within the network's square."""

    shape: tuple[int, int]
    """Rows and columns of the chip."""
    side: int = 1024
    """Pixels along a side of the square."""
    stride: int = 4
    """Square pixels per pixel of the network's masks."""

    @cached_property
    def content(self) -> tuple[int, int]:
        """Rows and columns of the square that the chip fills; the rest is padding.

        Rounded as in segment-anything's ``ResizeLongestSide``.
        """
        scale = self.side / max(self.shape)
        rows, columns = (max(1, int(length * scale + 0.5)) for length in self.shape)
        return rows, columns

    @cached_property
    def low(self) -> tuple[int, int]:
        """Rows and columns of the network's masks that see any of the chip."""
        rows, columns = (-(-length // self.stride) for length in self.content)
        return rows, columns

    @property
    def low_side(self) -> int:
        """Side of the network's masks in pixels."""
        return self.side // self.stride

    @property
    def low_scale(self) -> float:
        """Chip pixels per pixel of the network's masks."""
        return self.stride * max(self.shape) / self.side

    def pixel_values(self, image: NDArray[np.uint8], valid: BoolArray | None = None) -> FloatArray:
        """Return what the image encoder takes: ``(3, side, side)`` float32, normalised.

        Scaled by Pillow's antialiased bilinear filter, as segment-anything does.

        Args:
            image: ``(y, x, 3)`` uint8 of the chip.
            valid: ``(y, x)`` True where there is data; None where there is data all over.

        Raises:
            ModelError: The arrays are not an image and its validity.
        """
        image = filled(image, valid, self.shape, np.array(FILL, np.uint8))
        rows, columns = self.content
        if self.shape != self.content:
            from PIL import Image

            scaled = Image.fromarray(image).resize((columns, rows), Image.Resampling.BILINEAR)
            image = np.asarray(scaled)
        out = np.zeros((3, self.side, self.side), np.float32)
        for channel, (mean, deviation) in enumerate(zip(MEAN, DEVIATION, strict=True)):
            plane = out[channel, :rows, :columns]
            np.subtract(image[..., channel], np.float32(mean), out=plane)
            plane /= np.float32(deviation)
        return out

    def to_network(self, xy_pixel: NDArray[np.float64]) -> FloatArray:
        """Return ``(..., 2)`` positions as SAM's prompt encoder takes them.

        Args:
            xy_pixel: ``(..., 2)`` as ``x, y`` in the continuous frame of the chip.
        """
        rows, columns = self.content
        scale = np.array([columns / self.shape[1], rows / self.shape[0]])
        return np.asarray(xy_pixel * scale - 0.5, np.float32)

    def mask_input(
        self, values: NDArray[np.floating], outside: float, *, sharp: bool = False
    ) -> FloatArray:
        """Return ``(low_side, low_side)`` float32: a chip's array as a mask prompt.

        Args:
            values: ``(y, x)`` of the chip, e.g. the logits of the last mask.
            outside: Value of the padding.
            sharp: Whether values jump, as those of an outline do: then each pixel is the mean
                over all that lies under it. Else it is the value at its middle, which undoes
                :meth:`to_chip` best.
        """
        import cv2

        rows, columns = self.content
        how = cv2.INTER_AREA if rows < self.shape[0] else cv2.INTER_LINEAR
        given = np.ascontiguousarray(values, np.float32)
        on_square = cv2.resize(given, (columns, rows), interpolation=how)
        below, right = (part * self.stride for part in self.low)
        on_square = cv2.copyMakeBorder(
            on_square, 0, below - rows, 0, right - columns, cv2.BORDER_REPLICATE
        )
        how = cv2.INTER_AREA if sharp else cv2.INTER_LINEAR
        result = np.full((self.low_side, self.low_side), outside, np.float32)
        result[: self.low[0], : self.low[1]] = cv2.resize(
            on_square, self.low[::-1], interpolation=how
        )
        return result

    def to_chip(self, low: FloatArray) -> FloatArray:
        """Return ``(n, y, x)`` float32 on the chip's grid, bilinear, without the padding.

        Two steps, by way of the square, as segment-anything's ``postprocess_masks``.

        Args:
            low: ``(n, low_side, low_side)`` as the network gives them, or cropped to ``low``.
        """
        import cv2

        rows, columns = self.content
        whole = np.zeros((len(low), *self.shape), np.float32)
        for mask, out in zip(low, whole, strict=True):
            size = (mask.shape[1] * self.stride, mask.shape[0] * self.stride)
            square = cv2.resize(np.ascontiguousarray(mask, np.float32), size)
            seen = square[:rows, :columns]
            if seen.shape == out.shape:
                out[:] = seen
            else:
                cv2.resize(np.ascontiguousarray(seen), out.shape[::-1], dst=out)
        return whole

    def crop(self, low: FloatArray) -> FloatArray:
        """Return ``(..., v, u)`` the part of the network's masks that sees the chip."""
        rows, columns = self.low
        return np.ascontiguousarray(low[..., :rows, :columns])


def filled(
    image: NDArray[np.uint8],
    valid: BoolArray | None,
    shape: tuple[int, int],
    colour: NDArray[np.uint8],
) -> NDArray[np.uint8]:
    """Return ``(y, x, 3)`` the image of a chip, with a colour where there is no data.

    Args:
        image: ``(y, x, 3)`` uint8.
        valid: ``(y, x)`` True where there is data; None where there is data all over.
        shape: Rows and columns of the chip.
        colour: ``(3,)`` that the network sees as nothing.

    Raises:
        ModelError: The arrays are not the chip's image and its validity.
    """
    check_image(image, valid)
    if image.shape[:2] != shape:
        raise ModelError(f"the chip is {shape}, the image {image.shape[:2]}")
    if valid is None or valid.all():
        return image
    return np.where(valid[..., None], image, colour)


def check_image(image: NDArray[np.uint8], valid: BoolArray | None) -> None:
    """Check that arrays are an image and its validity.

    Raises:
        ModelError: They are not.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise ModelError(f"an image is (y, x, 3) uint8, got {image.shape} {image.dtype}")
    if valid is not None and valid.shape != image.shape[:2]:
        raise ModelError(f"the validity of an image {image.shape[:2]} is {valid.shape}")
