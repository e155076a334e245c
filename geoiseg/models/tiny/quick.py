"""The encoder in 8-bit integers: what maps read of whole rasters, in half of the time.

The graph is made of the encoder's by ``python -m geoiseg.training.quick``. It takes bytes: what
the encoder computes of the pixels first, a network of bytes needs as bytes again, and of 256
values of a colour each is computed once.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from geoiseg.raster import BoolArray

FILE = "quick.onnx"
RAW, EVEN = "raw", "even"
"""Names of the graph's inputs: three bands of colours as they are; and seven of colours, colours
with contrast evened out, and validity."""
BANDS, ROOM = {RAW: 3, EVEN: 7}, {RAW: 4, EVEN: 8}
"""Bands of each, and of how many there is room: the last one is empty. Both are ``(1, y / 2, x / 2,
2 * 2 * room)``, the bands of the four pixels of each block one after the other: so the first
convolutions, which go by steps of two pixels, multiply many bytes at a time."""
ZERO = {RAW: 127, EVEN: 128}
"""Code of 0, which is what pixels without data are."""
STEP = {RAW: 1 / 128, EVEN: 4 / 127}
"""What the codes count in."""
SPREAD = 4.0
"""By how much the graph takes colours and validity to be multiplied in ``even``, so that all of it
spreads over the same codes."""
FAINTEST = 0.03
"""Standard deviation (of values in 0..1) below which contrast is not amplified further."""
LIMIT = 4.0
"""Most of a colour whose contrast is evened out, in standard deviations."""
CPUINFO = Path("/proc/cpuinfo")
INSTRUCTIONS = {"avx512_vnni", "avx_vnni"}
"""That multiply bytes; without them 8-bit integers are no quicker, and on older CPUs less exact."""

Codes = dict[str, NDArray[np.uint8]]


@cache
def multiplies_bytes() -> bool:
    """Return whether this CPU is known to multiply bytes at least twice as fast as floats."""
    try:
        told = CPUINFO.read_text(encoding="utf-8", errors="replace")
    except OSError:  # another system than Linux: not measured there
        return False
    flags = next((line for line in told.splitlines() if line.startswith("flags")), "")
    return not INSTRUCTIONS.isdisjoint(flags.split())


def codes(image: NDArray[np.uint8], valid: BoolArray, size: tuple[int, int]) -> Codes:
    """Return what the graph reads of a chip, in whole cells of its coarsest features.

    Args:
        image: ``(y, x, 3)``.
        valid: ``(y, x)``.
        size: Rows and columns to which both are filled up; even.
    """
    mask = None if valid.all() else valid.view(np.uint8)
    values, bands = np.arange(256) / 255, cv2.split(image)
    counts = [cv2.calcHist([one], [0], mask, [256], [0, 256]).ravel() for one in bands]
    colours = _coded(SPREAD * (2 * values - 1))
    known = np.full(valid.shape, ZERO[EVEN] + round(SPREAD / STEP[EVEN]), np.uint8)
    evened = [cv2.LUT(one, _evened(values, count.astype(np.float64)))
              for one, count in zip(bands, counts, strict=True)]  # fmt: skip
    planes = {RAW: bands, EVEN: [*(cv2.LUT(one, colours) for one in bands), *evened, known]}
    found = {}
    for name, told in planes.items():
        empty = np.full(valid.shape, ZERO[name], np.uint8)
        pixels = np.asarray(cv2.merge([*told, empty]), np.uint8)
        if mask is not None:
            np.copyto(pixels, ZERO[name], where=~valid[..., None])
        found[name] = _in_blocks(_filled(pixels, size, ZERO[name]))
    return found


def _filled(pixels: NDArray[np.uint8], size: tuple[int, int], value: int) -> NDArray[np.uint8]:
    """Return ``(y, x, bands)`` with more rows and columns at the end."""
    rows, columns, bands = pixels.shape
    if (rows, columns) == size:
        return pixels
    whole = np.full((*size, bands), value, np.uint8)
    whole[:rows, :columns] = pixels
    return whole


def _in_blocks(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return ``(1, v, u, 2 * 2 * bands)`` of the ``(2 * v, 2 * u, bands)`` pixels."""
    rows, columns, bands = pixels.shape
    pairs = pixels.reshape(rows // 2, 2, columns // 2, 2 * bands).view(f"V{2 * bands}")[..., 0]
    blocks = np.ascontiguousarray(pairs.transpose(0, 2, 1)).view(np.uint8)
    return blocks.reshape(1, rows // 2, columns // 2, 4 * bands)


def _evened(values: NDArray[np.float64], counts: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return the code of each of 256 values of a colour, its contrast evened out.

    Args:
        values: ``(256,)`` in 0..1.
        counts: ``(256,)`` of the chip's valid pixels; one more of 0 keeps none from dividing by 0.
    """
    count = counts.sum() + 1
    centred = values - (values * counts).sum() / count
    variance = (centred**2 * counts).sum() / count
    return _coded(np.clip(centred / np.sqrt(variance + FAINTEST**2), -LIMIT, LIMIT))


def _coded(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    return np.rint(values / STEP[EVEN] + ZERO[EVEN]).astype(np.uint8)
