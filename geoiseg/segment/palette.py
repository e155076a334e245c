"""The colours of a chip in all its bands, few enough to reckon with at every click.

A chip of a million pixels has far fewer kinds of pixels than pixels. They are told apart once, by
a tree that halves them along the widest axis again and again; whatever is then asked of the bands
is asked of some hundreds of colours, and looked up for the pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoiseg.raster import BoolArray

FloatArray = NDArray[np.float32]

DEPTH = 9
"""Halvings: 512 colours."""
SAMPLE = 1 << 15
"""Pixels from which the tree is grown."""
TAILS = (0.5, 99.5)
"""Percentiles between which a band is told apart; beyond, values count as the nearest of them."""


@dataclass(frozen=True, slots=True, eq=False)
class Palette:
    """The colours of a chip, and which one each pixel has."""

    codes: NDArray[np.uint16]
    """``(y, x)`` row of ``colours``; 0 where there is no data."""
    colours: FloatArray
    """``(k, band)`` mean of the pixels of each colour, in units of the chip's spread."""
    valid: BoolArray
    """``(y, x)`` True where all bands have data."""

    @property
    def nbytes(self) -> int:
        """Bytes that it takes in memory."""
        return self.codes.nbytes + self.colours.nbytes + self.valid.nbytes


def palette_of(data: FloatArray, valid: BoolArray, depth: int = DEPTH) -> Palette | None:
    """Return the colours of a chip; None where its pixels do not differ or there are none.

    Args:
        data: ``(band, y, x)`` in any units.
        valid: ``(y, x)`` True where there is data.
        depth: Halvings; ``2 ** depth`` colours.
    """
    known = valid & np.isfinite(data).all(axis=0)
    flat = data.reshape(len(data), -1)
    places = np.flatnonzero(known)
    if len(places) < 2:
        return None
    some = flat[:, places[:: max(1, len(places) // SAMPLE)]].astype(np.float32)
    low, high = np.percentile(some, TAILS, axis=1).astype(np.float32)
    differing = high > low
    if not differing.any():
        return None
    centre = ((low + high) / 2)[differing, None]
    scale = (4 / (high - low))[differing, None]  # the tails are then two from the middle
    reach = np.float32(2)

    def scaled(values: FloatArray) -> FloatArray:
        moved = (values[differing] - centre) * scale
        return np.asarray(np.clip(moved, -reach, reach), np.float32)

    sample = scaled(some)
    axes, cuts = _grown(sample, depth)
    own = np.ascontiguousarray(sample)
    leaf = _leaves(own, axes, cuts, depth)
    count = np.bincount(leaf, minlength=1 << depth)
    sums = np.stack([np.bincount(leaf, band, 1 << depth) for band in own], axis=1)
    colours = (sums / np.maximum(count, 1)[:, None]).astype(np.float32)
    with np.errstate(invalid="ignore"):
        every = scaled(np.where(known.ravel(), flat, 0).astype(np.float32))
    codes = _leaves(every, axes, cuts, depth).astype(np.uint16).reshape(known.shape)
    codes[~known] = 0
    return Palette(codes, colours, known)


def _grown(sample: FloatArray, depth: int) -> tuple[NDArray[np.intp], FloatArray]:
    """Return axis and cut of each inner node of the tree, by its number from the root on.

    A node is cut at the mean along the axis on which it spreads most.
    """
    nodes = (1 << depth) - 1
    axes, cuts = np.zeros(nodes, np.intp), np.zeros(nodes, np.float32)
    node = np.zeros(sample.shape[1], np.intp)
    for level in range(depth):
        first, size = (1 << level) - 1, 1 << level
        inside = node - first
        count = np.maximum(np.bincount(inside, minlength=size), 1)
        mean = np.stack([np.bincount(inside, band, size) for band in sample]) / count
        square = np.stack([np.bincount(inside, band * band, size) for band in sample]) / count
        axis = (square - mean**2).argmax(axis=0)
        axes[first : first + size] = axis
        cuts[first : first + size] = mean[axis, np.arange(size)]
        node = 2 * node + 1 + _beyond(sample, axes, cuts, node)
    return axes, cuts


def _leaves(
    values: FloatArray, axes: NDArray[np.intp], cuts: FloatArray, depth: int
) -> NDArray[np.intp]:
    node = np.zeros(values.shape[1], np.intp)
    for _ in range(depth):
        node = 2 * node + 1 + _beyond(values, axes, cuts, node)
    return node - ((1 << depth) - 1)


def _beyond(
    values: FloatArray, axes: NDArray[np.intp], cuts: FloatArray, node: NDArray[np.intp]
) -> NDArray[np.bool_]:
    """Return ``(n,)`` whether each pixel lies beyond the cut of its node."""
    return np.asarray(values[axes[node], np.arange(values.shape[1])] > cuts[node])
