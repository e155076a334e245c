"""Where region borders turn or meet: the corners that the outlines of an image need."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

BAND_PIXELS = 1 << 20
"""Pixels worked on at a time: few enough for a CPU's cache, and temporaries stay small."""

Image = NDArray[Any]
Words = NDArray[np.uint64]


@dataclass(frozen=True, slots=True, eq=False)
class Corners:
    """Pixel corners, row by row from the top, each row from the left."""

    x: NDArray[np.int32]
    """``(n,)`` column, 0..width, in the pixel frame."""
    y: NDArray[np.int32]
    """``(n,)`` row, 0..height."""
    around: NDArray[Any]
    """``(n, 4)`` values of the pixels around it: top left, top right, bottom right, bottom
    left. 0 outside the image."""


def find_corners(image: Image) -> Corners:
    """Return every corner of ``image`` at which a border turns, forks or crosses another.

    A corner where a border between two regions merely goes straight on is left out.

    Args:
        image: ``(y, x)`` bool or integer; equal values belong together, 0 is background
            and so is all that lies outside.
    """
    height, width = image.shape
    rows = max(1, BAND_PIXELS // max(width, 1))
    parts = [
        _corners_in_band(image, top, min(top + rows, height + 1))
        for top in range(0, height + 1, rows)
    ]
    if len(parts) == 1:
        return parts[0]
    return Corners(
        np.concatenate([part.x for part in parts]),
        np.concatenate([part.y for part in parts]),
        np.concatenate([part.around for part in parts]),
    )


def _corners_in_band(image: Image, top: int, bottom: int) -> Corners:
    """Return the corners with ``top <= y < bottom``."""
    first = max(top - 1, 0)
    band = np.ascontiguousarray(image[first:bottom])
    if not len(band) or not band.any():
        none = np.zeros(0, np.int32)
        return Corners(none, none, np.zeros((0, 4), image.dtype))
    # What the corners of a row see: the band's rows, and background beyond the image.
    above, below = int(top == 0), int(bottom > image.shape[0])
    cracks = _mask_cracks if image.dtype == np.bool_ else _label_cracks
    upright, level = cracks(band, above, below)
    north, south = upright[:-1], upright[1:]
    east, west = level, _shifted(level)
    # Straight on is two cracks opposite each other; any other number or pair is wanted.
    wanted = north ^ south
    wanted |= east ^ west
    wanted |= north & east
    y, x = _set_bits(wanted)
    around = _pixels_around(band, y + (1 - above), x)
    return Corners(x, y + np.int32(top), around)


def _mask_cracks(band: Image, above: int, below: int) -> tuple[Words, Words]:
    """Return ``(rows + 1, words)`` upright and ``(rows, words)`` level cracks, a bit for each.

    Bit x of an upright row says whether pixels x - 1 and x differ; bit x of a level row
    whether pixel x differs from the one above it.
    """
    bits = np.pad(_packed(band), ((above, below), (0, 0)))
    return bits ^ _shifted(bits), bits[1:] ^ bits[:-1]


def _label_cracks(band: Image, above: int, below: int) -> tuple[Words, Words]:
    """Return the same cracks as :func:`_mask_cracks`, for an image of many values."""
    height, width = band.shape
    upright = np.zeros((above + height + below, width + 1), np.bool_)
    inner = upright[above : above + height]
    np.not_equal(band[:, 1:], band[:, :-1], out=inner[:, 1:-1])
    np.not_equal(band[:, 0], 0, out=inner[:, 0])
    np.not_equal(band[:, -1], 0, out=inner[:, -1])
    level = np.empty((above + height + below - 1, width), np.bool_)
    np.not_equal(band[1:], band[:-1], out=level[above : above + height - 1])
    if above:
        np.not_equal(band[0], 0, out=level[0])
    if below:
        np.not_equal(band[-1], 0, out=level[-1])
    return _packed(upright, width), _packed(level)


def _packed(bits: NDArray[np.bool_], width: int | None = None) -> Words:
    """Return ``(rows, words)`` the columns as bits of little-endian words, one bit to spare."""
    words = (bits.shape[1] if width is None else width) // 64 + 1
    packed = np.packbits(bits, axis=1, bitorder="little")
    filled = np.zeros((len(bits), words * 8), np.uint8)
    filled[:, : packed.shape[1]] = packed
    return filled.view("<u8")


def _shifted(words: Words) -> Words:
    """Return the rows of bits moved by one column: bit x is what bit x - 1 was."""
    moved = words << np.uint64(1)
    moved[:, 1:] |= words[:, :-1] >> np.uint64(63)
    return moved


def _set_bits(words: Words) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return rows and columns of the bits that are set, row by row."""
    flat = words.ravel()
    full = np.flatnonzero(flat)
    row = full // words.shape[1]
    column = (full - row * words.shape[1]) << 6
    octets = flat[full].view(np.uint8)
    some = np.flatnonzero(octets)
    bits = np.flatnonzero(np.unpackbits(octets[some], bitorder="little"))
    octet = some[bits >> 3]
    word = octet >> 3
    x = column[word] + ((octet & 7) << 3) + (bits & 7)
    return row[word].astype(np.int32), x.astype(np.int32)


def _pixels_around(band: Image, y: NDArray[np.int32], x: NDArray[np.int32]) -> NDArray[Any]:
    """Return ``(n, 4)`` the values around corners, clockwise from the top left, 0 outside."""
    height, width = band.shape
    flat = band.ravel()
    here = y.astype(np.int64) * width + x
    top, bottom, left, right = y > 0, y < height, x > 0, x < width
    around = np.empty((len(y), 4), band.dtype)
    for side, offset, inside in _sides(width, top, bottom, left, right):
        values = flat.take(here + offset, mode="clip")
        values[~inside] = 0
        around[:, side] = values
    return around


def _sides(
    width: int, top: Image, bottom: Image, left: Image, right: Image
) -> Iterator[tuple[int, int, NDArray[np.bool_]]]:
    yield 0, -width - 1, top & left
    yield 1, -width, top & right
    yield 2, 0, bottom & right
    yield 3, -1, bottom & left
