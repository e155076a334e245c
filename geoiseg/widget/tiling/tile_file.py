"""Pixels of a tile as a file that a browser shows, in little time."""

from __future__ import annotations

import io
import struct
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from geoiseg.errors import RasterError
from geoiseg.raster import BoolArray, Window

QUALITY = 85
"""Of JPEG and WebP."""


def encode(rgb: NDArray[np.uint8], data: BoolArray) -> tuple[bytes, str]:
    """Return a file of ``(y, x, 3)`` pixels and its media type.

    JPEG where every pixel is data, else WebP, transparent where there is none.

    Args:
        rgb: Of any colour where there is no data.
        data: ``(y, x)`` True = data; somewhere.

    Raises:
        RasterError: The tile could not be encoded.
    """
    if data.all():
        bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
        done, buffer = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        if not done:
            raise RasterError("a tile could not be encoded")
        return buffer.tobytes(), "image/jpeg"
    left, top, width, height = cv2.boundingRect(data.view(np.uint8))
    col, row = left & ~1, top & ~1  # a frame begins at even numbers
    part = Window(row, col, top + height - row, left + width - col)
    picture = _webp(rgb[part.slices], data[part.slices])
    if part.shape != data.shape:
        picture = _framed(picture, part, data.shape)
    return picture, "image/webp"


def _webp(rgb: NDArray[np.uint8], data: BoolArray) -> bytes:
    """Return pixels as WebP, with transparency where there is some.

    Pillow's, for OpenCV's takes three times as long and can not be told to hurry.
    """
    pixels: NDArray[Any] = rgb
    if not data.all():
        pixels = cv2.cvtColor(rgb, cv2.COLOR_RGB2RGBA)
        pixels[..., 3] = data.view(np.uint8) * np.uint8(255)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "WEBP", quality=QUALITY, method=0)
    return file.getvalue()


def _framed(picture: bytes, part: Window, shape: tuple[int, ...]) -> bytes:
    """Return a WebP picture as a part of a larger, transparent one.

    The only frame of an animation is the one place where WebP has an offset; the encoder,
    which takes most of a tile's time, then never sees what is empty.
    https://developers.google.com/speed/webp/docs/riff_container

    Args:
        picture: A whole file.
        part: Where it lies; row and column are even.
        shape: Rows and columns of the larger one.
    """
    start = 30 if picture[12:16] == b"VP8X" else 12  # the header, where there is one, is replaced
    frame = (part.col // 2, part.row // 2, part.width - 1, part.height - 1, 0)
    place = b"".join(map(_int24, frame))
    size = _int24(shape[1] - 1) + _int24(shape[0] - 1)
    content = (
        b"WEBP"
        + _chunk(b"VP8X", b"\x12\0\0\0" + size)  # animated, with transparency
        + _chunk(b"ANIM", b"\0\0\0\0\x01\0")  # a clear background, shown once
        + _chunk(b"ANMF", place + b"\x02" + picture[start:])
    )
    return _chunk(b"RIFF", content)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def _int24(number: int) -> bytes:
    return number.to_bytes(3, "little")
