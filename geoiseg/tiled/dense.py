"""All objects of a window in one look, by a model with dense heads: a label image."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from geoiseg.models import DenseMaps
from geoiseg.outline import parts_of
from geoiseg.raster import BoolArray, Window
from geoiseg.segment import drawn
from geoiseg.tiled.automatic import View
from geoiseg.tiled.doubt import LEAST
from geoiseg.tiled.filling import filled
from geoiseg.tiled.options import DenseOptions
from geoiseg.tiled.scales import Lattice, Objects, found_at, joined

Labels = tuple[NDArray[np.int32], NDArray[np.float64]]
Wanted = Callable[[Window], bool]

LIKELY = 0.5
"""Probability from which on a cell is ground in which a coverage has no gap."""
SETTLED = 0.97
"""Share of a part that must need no closer look for it to be spared one."""
LEAST_PART = 0.1
"""Share of an object below which a part that hangs together with nothing is left out."""


class Sights(Protocol):
    """A window at several reductions, with some of its surroundings."""

    def seen(self, factor: int) -> View:
        """Return the window at a reduction."""
        ...

    def said(self, view: View, factor: int, wanted: Wanted, known: DenseMaps | None) -> DenseMaps:
        """Return what the model says of a view, see :func:`read_parts`."""
        ...

    def asked(
        self, found: Labels, ground: tuple[BoolArray, BoolArray], least: tuple[float, int]
    ) -> Labels:
        """Return objects of which those in doubt were asked for, see :func:`asked_again`."""
        ...


def find_dense(
    sights: Sights, allowed: BoolArray, options: DenseOptions, min_area: int = 1
) -> Labels:
    """Return ``(y, x)`` labels, 0 where there is no object, and each label's score.

    Args:
        sights: The window.
        allowed: ``(y, x)`` of the window, True where there is data and objects are wanted.
        options: What passes for an object.
        min_area: Pixels below which an object that ends inside the window is left out.
    """
    least = min(LEAST, options.min_score) if options.best else options.min_score
    least = 0.0 if options.coverage else least
    near = sights.seen(1)
    lattice: Lattice | None = None
    found: Objects | None = None
    ground: NDArray[np.float32] | None = None
    settled: BoolArray | None = None
    before: tuple[DenseMaps, View] | None = None
    closest = min(options.scales)
    for factor in sorted(options.scales, reverse=True):
        view = near if factor == 1 else sights.seen(factor)
        known = None if before is None else _from_far(*before, view)
        maps = sights.said(view, factor, partial(_open, settled, lattice, view), known)
        if lattice is None:
            lattice = lattice_of(near, maps.scale)
        ground = maps.interior * cells_of(view.valid, maps.interior.shape, maps.scale)
        now, done = found_at(view, maps, ground, least, lattice, last=factor == closest)
        found = now if found is None else joined(now, found)
        settled = done if settled is None else settled | done
        before = (maps, view)
    if found is None or lattice is None or ground is None or before is None:
        raise ValueError("a window is looked at once at least")
    labels = _on_window(drawn(found.labels, lattice.scale, near.rgb), near, allowed)
    objects = in_parts(labels, found.scores, min_area)
    if not (options.best or options.coverage):
        return objects
    if closest > 1:
        ground = lattice.on(ground, before[1].place, before[0].scale)
    likely = (ground >= LIKELY).repeat(lattice.scale, axis=0).repeat(lattice.scale, axis=1)
    wanted = _on_window(likely.astype(np.int32), near, allowed) > 0
    if options.best:
        objects = sights.asked(objects, (allowed, wanted), (options.min_score, min_area))
    return filled(objects, wanted, min_area) if options.coverage else objects


def lattice_of(view: View, scale: int) -> Lattice:
    """Return the cells of a view."""
    rows, columns = (-(-side // scale) for side in view.valid.shape)
    return Lattice(view.place, (rows, columns), scale)


def _from_far(maps: DenseMaps, far: View, view: View) -> DenseMaps:
    """Return what is known of a view from the reduction before."""
    lattice = lattice_of(view, maps.scale)
    interior, border = (
        lattice.on(plane, far.place, maps.scale).copy() for plane in (maps.interior, maps.border)
    )
    return DenseMaps(interior, border, {}, maps.scale)


def _open(settled: BoolArray | None, lattice: Lattice | None, view: View, part: Window) -> bool:
    """Return whether a part of a view is to be looked at, by what was found from further away."""
    if settled is None or lattice is None:
        return True
    cells = lattice_of(view, lattice.scale).on(settled, lattice.place, lattice.scale)
    scale = lattice.scale
    inside = cells[part.row // scale : part.stop[0] // scale + 1,
                   part.col // scale : part.stop[1] // scale + 1]  # fmt: skip
    return float(inside.mean()) < SETTLED


def cells_of(valid: BoolArray, shape: tuple[int, ...], scale: int) -> NDArray[np.float32]:
    """Return ``(v, u)`` the share of each cell where there is data."""
    rows, columns = (cells * scale - side for cells, side in zip(shape, valid.shape, strict=True))
    padded = np.pad(valid, ((0, rows), (0, columns)), mode="edge").astype(np.float32)
    size = (shape[1], shape[0])
    return np.asarray(cv2.resize(padded, size, interpolation=cv2.INTER_AREA), np.float32)


def _on_window(labels: NDArray[np.int32], view: View, allowed: BoolArray) -> NDArray[np.int32]:
    """Return the labels of the window's own pixels."""
    left, top = (-round(side) for side in view.place.corner)
    rows, columns = allowed.shape
    return np.where(allowed, labels[top : top + rows, left : left + columns], 0).astype(np.int32)


def in_parts(
    labels: NDArray[np.int32], scores: NDArray[np.float64], min_area: int
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Return labels of connected parts, from 1 on, and their scores.

    Args:
        labels: ``(y, x)``, 0 = background.
        scores: ``(n,)`` of the labels from 1 on.
        min_area: Pixels below which a part that does not reach the rim is left out.
    """
    parts = parts_of(labels)
    count = int(parts.max(initial=0)) + 1
    area = np.bincount(parts.ravel(), minlength=count)
    label = np.zeros(count, np.intp)
    label[parts.ravel()] = labels.ravel()
    whole = np.bincount(label, area)
    kept = (area >= min_area) & (area >= LEAST_PART * whole[label])
    for rim in (parts[0], parts[-1], parts[:, 0], parts[:, -1]):
        kept[rim] = True  # it may go on in the next window
    kept[0] = False
    number = np.where(kept, np.cumsum(kept), 0).astype(np.int32)
    return number[parts], scores[label[kept] - 1]
