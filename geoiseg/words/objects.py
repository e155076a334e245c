"""From how likely each pixel is to objects: connected, cleaned, split where they only touch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from geoiseg.models import DenseMaps
from geoiseg.outline import parts_of
from geoiseg.raster import BoolArray
from geoiseg.segment import CutOptions, cut_objects, drawn, flooded

FloatArray = NDArray[np.float32]

CELL = 4
"""Pixels per cell in which ground is cut along outlines."""
LINE = 0.4
"""Probability from which on an outline parts what else hangs together."""
LEAST = 0.2
"""Least score of a region that is cut out: lower than where nothing is known of the class."""


@dataclass(frozen=True, slots=True)
class ObjectOptions:
    """What counts as an object."""

    likely: float = 0.4
    """Least probability of a pixel of an object."""
    min_area: int = 48
    """Pixels of the smallest object."""
    min_hole: int = 32
    """Holes of fewer pixels are filled."""
    neck: float = 0.0
    """Objects that hang together by necks narrower than this share of their own depth are
    split there; 0 splits none."""
    spurs: bool = False
    """Whether what is one pixel wide stays."""
    surely: float = 1.0
    """Probability from which on a pixel is the class's even where an outline passes: by less, it
    parts objects on either side."""
    deep: float = 6.0
    """Pixels from its border to the middle of an object that outlines part from others, at least:
    a river is not cut where it is narrow."""


def find_objects(
    likelihood: FloatArray, valid: BoolArray, options: ObjectOptions
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Return ``(y, x)`` labels, 0 where there is no object, and each label's mean likelihood.

    Args:
        likelihood: ``(y, x)`` in 0..1.
        valid: ``(y, x)`` True where there is data and objects are wanted.
        options: What counts as an object.
    """
    mask = _ground(likelihood, valid, options)
    _, labels = cv2.connectedComponents(mask, connectivity=4)
    numbers = np.asarray(labels, np.int32)
    if options.neck:
        numbers = _split(mask, numbers, options.neck)
    return _numbered(numbers, likelihood, options.min_area)


def find_instances(
    likelihood: FloatArray, border: FloatArray, valid: BoolArray, options: ObjectOptions
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Return the same where it is known besides where outlines pass: neighbours are apart.

    Args:
        likelihood: ``(y, x)`` in 0..1.
        border: ``(y, x)`` that an outline of any object passes, in 0..1.
        valid: ``(y, x)`` True where there is data and objects are wanted.
        options: What counts as an object.
    """
    mask = _ground(likelihood, valid, options) > 0
    ground, lines = (_cells(np.where(valid, plane, 0)) for plane in (likelihood, border))
    rule = CutOptions(options.likely, LEAST, trim=False)
    cut = cut_objects(DenseMaps(ground, lines, {}, CELL), ground, rule)
    # Within a cell, the outline between neighbours runs along the crest of the borders.
    crest = np.repeat((border * 255).astype(np.uint8)[..., None], 3, axis=2)
    labels = drawn(cut.labels, CELL, crest)
    labels[labels == 0] = len(cut.scores) + 1  # ground that is in no region is kept, too
    parts = parts_of(np.where(mask, labels, 0))
    return _numbered(parts.astype(np.int32), likelihood, options.min_area)


def find_parted(
    likelihood: FloatArray, border: FloatArray, valid: BoolArray, options: ObjectOptions
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Return the same of ground that is one as far as it hangs together, but for clear outlines.

    A wood, a lawn or a lake is no mosaic, however much it varies. It is parted where an outline
    that closes, or nearly, runs through what is less surely of the class: around a crown, along
    a dam.

    Args:
        likelihood: ``(y, x)`` in 0..1.
        border: ``(y, x)`` that an outline of any object passes, in 0..1.
        valid: ``(y, x)`` True where there is data and objects are wanted.
        options: What counts as an object.
    """
    mask = _ground(likelihood, valid, options)
    line = (border >= LINE) & (likelihood < options.surely)
    inner = _opened((mask > 0) & ~line)
    _, found = cv2.connectedComponents(inner, connectivity=4)
    seeds = np.asarray(found, np.int32)
    if options.neck:
        seeds = _split(inner, seeds, options.neck)
        seeds[inner == 0] = 0
    depth = np.asarray(cv2.distanceTransform(np.pad(inner, 1), cv2.DIST_L2, 5), np.float32)
    depth = depth[1:-1, 1:-1]
    deepest = np.zeros(int(seeds.max(initial=0)) + 1, np.float32)
    np.maximum.at(deepest, seeds.ravel(), depth.ravel())
    seeds[deepest[seeds] < options.deep] = 0
    parts = parts_of((mask > 0).astype(np.int32)).astype(np.int32)
    grown = flooded(depth, seeds, parts)
    labels = np.where((grown == 0) & (parts > 0), parts + int(seeds.max(initial=0)), grown)
    return _numbered(labels.astype(np.int32), likelihood, options.min_area)


def _cells(plane: FloatArray) -> FloatArray:
    """Return ``(v, u)`` the means of cells; the last ones may reach beyond the plane."""
    rows, columns = (-side % CELL for side in plane.shape)
    padded = np.pad(plane, ((0, rows), (0, columns)), mode="edge")
    size = (padded.shape[1] // CELL, padded.shape[0] // CELL)
    return np.asarray(cv2.resize(padded, size, interpolation=cv2.INTER_AREA), np.float32)


def _ground(likelihood: FloatArray, valid: BoolArray, options: ObjectOptions) -> NDArray[np.uint8]:
    """Return ``(y, x)`` 1 on what objects are made of, without specks in it."""
    mask = ((likelihood > options.likely) & valid).astype(np.uint8)
    mask = mask if options.spurs else _opened(mask)
    _fill(mask, options.min_hole)
    return mask & valid.view(np.uint8)


def _opened(mask: NDArray[Any]) -> NDArray[np.uint8]:
    """Return a mask without spurs of one pixel."""
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    return np.asarray(cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, cross), np.uint8)


def _fill(mask: NDArray[np.uint8], smallest: int) -> None:
    """Fill the small holes of a mask in place."""
    count, parts, stats, _ = cv2.connectedComponentsWithStats(1 - mask, connectivity=4)
    small = stats[:, cv2.CC_STAT_AREA] < smallest
    small[0] = False  # what is no hole
    if count > 1 and small.any():
        mask[small[parts]] = 1


def _split(mask: NDArray[np.uint8], labels: NDArray[np.int32], neck: float) -> NDArray[np.int32]:
    """Return labels with objects split at their necks.

    Seeds are what is left of the depth map above a share of the greatest depth near by; the
    watershed of the depth gives each pixel to a seed.
    """
    depth = np.asarray(cv2.distanceTransform(np.pad(mask, 1), cv2.DIST_L2, 5), np.float32)
    depth = depth[1:-1, 1:-1]
    top = depth
    for _ in range(4):  # the greatest depth within reach, as of a ball as large as it is deep
        near = cv2.dilate(top, np.ones((15, 15), np.uint8))
        top = np.where(near * 0.9 > top, near * 0.9, top).astype(np.float32)
    deep = ((depth >= neck * top) & (mask > 0)).astype(np.uint8)
    _, seeds = cv2.connectedComponents(deep, connectivity=8)
    if int(seeds.max()) <= int(labels.max()):
        return labels
    return flooded(depth, np.asarray(seeds, np.int32), labels)


def _numbered(
    labels: NDArray[np.int32], likelihood: FloatArray, min_area: int
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Return the labels of large enough objects from 1 on, most likely ones first."""
    flat = labels.ravel()
    areas = np.bincount(flat)
    sums = np.bincount(flat, weights=likelihood.ravel(), minlength=len(areas))
    means = sums / np.maximum(areas, 1)
    kept = np.flatnonzero(areas >= min_area)
    kept = kept[kept > 0]
    kept = kept[np.lexsort((kept, -means[kept]))]
    number = np.zeros(len(areas), np.int32)
    number[kept] = np.arange(1, len(kept) + 1)
    return number[labels], means[kept]
