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
"""Names of the graph's inputs: ``(1, 3, y, x)`` colours as they are, and ``(1, 7, y, x)`` colours,
colours with contrast evened out, and validity."""
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
        size: Rows and columns to which both are filled up.
    """
    rows, columns = valid.shape
    raw = np.full((1, 3, *size), ZERO[RAW], np.uint8)
    even = np.full((1, 7, *size), ZERO[EVEN], np.uint8)
    values = np.arange(256) / 255
    colours = _coded(SPREAD * (2 * values - 1))
    mask = None if valid.all() else valid.view(np.uint8)
    for band, pixels in enumerate(cv2.split(image)):
        counts = cv2.calcHist([pixels], [0], mask, [256], [0, 256]).ravel().astype(np.float64)
        planes = (pixels, cv2.LUT(pixels, colours), cv2.LUT(pixels, _evened(values, counts)))
        places = (raw[0, band], even[0, band], even[0, 3 + band])
        for plane, place in zip(planes, places, strict=True):
            np.copyto(place[:rows, :columns], plane, where=True if mask is None else valid)
    even[0, 6, :rows, :columns] += valid * np.uint8(round(SPREAD / STEP[EVEN]))
    return {RAW: raw, EVEN: even}


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
