"""Labels of cells become labels of pixels, with outlines where the colours change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from geoiseg.segment.flood import IntArray

REACH = 5
"""Pixels to either side of an outline within which it may move: a cell and a little."""
BLUR = 1.0
"""Standard deviation in pixels by which noise is evened out before."""

BoolArray = NDArray[np.bool_]


def drawn(cells: IntArray, scale: int, rgb: NDArray[np.uint8]) -> IntArray:
    """Return ``(y, x)`` labels of the pixels of a chip.

    Around the outlines of the cells every pixel goes to the label from which it is reached
    over the least changes of colour (OpenCV's watershed); what is too small to have any
    pixel elsewhere stays as it is.

    Args:
        cells: ``(v, u)`` labels, 0 = background.
        scale: Pixels per cell.
        rgb: ``(y, x, 3)`` the chip.
    """
    pixels = _Pixels((rgb.shape[0], rgb.shape[1]), scale)
    labels = pixels.of(cells)
    # The outermost pixels are left out by the watershed: there are more of them here.
    markers = np.empty((labels.shape[0] + 2, labels.shape[1] + 2), np.int32)
    inner = markers[1:-1, 1:-1]
    np.add(labels, 1, out=inner)
    np.copyto(inner, 0, where=_open(cells, pixels))
    for outer, beside in ((0, 1), (-1, -2)):
        markers[outer], markers[:, outer] = markers[beside], markers[:, beside]
        markers[outer, [0, -1]] = markers[beside, [1, -2]]
    even = cv2.GaussianBlur(rgb, (0, 0), BLUR)
    found = cv2.watershed(cv2.copyMakeBorder(even, 1, 1, 1, 1, cv2.BORDER_REPLICATE), markers)
    found = found[1:-1, 1:-1]
    np.subtract(found, 1, out=labels, where=found > 0)
    return labels


def _open(cells: IntArray, pixels: _Pixels) -> BoolArray:
    """Return ``(y, x)`` which pixels are free to go to a label beside their own."""
    values = cells.astype(np.float32)  # exact below 2^24 labels
    near = {ranges: cv2.dilate(values, **ranges.kernel) != cv2.erode(values, **ranges.kernel)
            for ranges in pixels.ranges()}  # fmt: skip
    sure = np.zeros(int(cells.max(initial=0)) + 1, bool)
    for ranges, place in pixels.places():
        there = pixels.cells_with(place)
        sure[cells[there][~near[ranges][there]]] = True
    small = (~sure)[cells].view(np.uint8)
    if small.any():
        for ranges, between in near.items():
            np.logical_and(between, cv2.dilate(small, **ranges.kernel) == 0, out=between)
    return pixels.joined(near)


@dataclass(frozen=True, slots=True)
class _Ranges:
    """Which cells lie within reach of a pixel, by its place in its own cell."""

    rows: tuple[int, int]
    """The first and the last one, counted from its own."""
    columns: tuple[int, int]

    @property
    def kernel(self) -> dict[str, Any]:
        """The same as OpenCV takes it."""
        (top, bottom), (left, right) = self.rows, self.columns
        whole = np.ones((bottom - top + 1, right - left + 1), np.uint8)
        return {"kernel": whole, "anchor": (-left, -top)}


@dataclass(frozen=True, slots=True)
class _Pixels:
    """The pixels of a chip, cell by cell; the last cells may reach beyond it."""

    shape: tuple[int, int]
    scale: int

    def of(self, cells: IntArray) -> IntArray:
        """Return ``(y, x)`` the value of each pixel's cell."""
        wide = np.repeat(cells, self.scale, axis=1)[:, : self.shape[1]]
        return np.repeat(wide, self.scale, axis=0)[: self.shape[0]].astype(np.int32, copy=False)

    def places(self) -> Iterator[tuple[_Ranges, tuple[int, int]]]:
        """Yield each place in a cell, with what is within reach from there."""
        reach = [((place - REACH) // self.scale, (place + REACH) // self.scale)
                 for place in range(self.scale)]  # fmt: skip
        for place in np.ndindex(self.scale, self.scale):
            yield _Ranges(reach[place[0]], reach[place[1]]), (place[0], place[1])

    def ranges(self) -> set[_Ranges]:
        """Return what may be within reach."""
        return {ranges for ranges, _ in self.places()}

    def cells_with(self, place: tuple[int, int]) -> tuple[slice, slice]:
        """Return the cells in which a place is one of a pixel of the chip."""
        rows, columns = (-(-(side - at) // self.scale)
                         for side, at in zip(self.shape, place, strict=True))  # fmt: skip
        return slice(rows), slice(columns)

    def joined(self, planes: dict[_Ranges, BoolArray]) -> BoolArray:
        """Return ``(y, x)`` of each pixel what the plane of its ranges says of its cell."""
        found = np.empty(self.shape, bool)
        for ranges, place in self.places():
            there = found[place[0] :: self.scale, place[1] :: self.scale]
            there[:] = planes[ranges][self.cells_with(place)]
        return found
