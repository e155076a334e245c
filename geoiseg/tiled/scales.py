"""Objects of one window at several reductions, each at the one at which it looks most like one.

Large objects are looked at from further away, where what lies within them is smooth and all of
their border is in sight; where such objects leave nothing to find, nobody looks closer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from geoiseg.models import DenseMaps
from geoiseg.segment import SHARE, CutOptions, FloatArray, IntArray, cut_objects, drawn
from geoiseg.tiled.automatic import View
from geoiseg.tiled.candidates import Placement

MOSTLY = 0.5
"""Share of a smaller object from which on it is a part of a larger one."""
LEAST_CELLS = 160
"""Cells of a reduction below which an object is left to a closer look."""
SURE, WIDE = 0.6, 24
"""Score and cells across from which on an object seen from far needs no closer look."""
NO_GROUND = 0.1
"""Probability of an object's ground below which there is nothing to look closer at."""


@dataclass(frozen=True, slots=True, eq=False)
class Objects:
    """Objects on the cells of a window."""

    labels: IntArray
    """``(v, u)`` from 1 on, 0 where there is none."""
    scores: NDArray[np.float64]
    """``(n,)``."""


@dataclass(frozen=True, slots=True, eq=False)
class Lattice:
    """The cells of a window on which what is found at all reductions comes together."""

    place: Placement
    """Of the chip's pixels over those of the window."""
    shape: tuple[int, int]
    scale: int
    """Chip pixels per cell."""

    def on(self, plane: NDArray[Any], place: Placement, scale: int) -> NDArray[Any]:
        """Return ``(v, u)`` a plane of another reduction at the middles of the cells.

        Args:
            plane: ``(y, x)``.
            place: Of the other chip's pixels over those of the window.
            scale: Pixels of that chip per element of the plane.
        """
        side = max(self.shape)
        middles = np.repeat(np.arange(side)[:, None] + 0.5, 2, axis=1) * self.scale
        there = np.floor(place.inside(self.place.outside(middles)) / scale).astype(int)
        cols = np.clip(there[: self.shape[1], 0], 0, plane.shape[1] - 1)
        rows = np.clip(there[: self.shape[0], 1], 0, plane.shape[0] - 1)
        return plane[np.ix_(rows, cols)]


def found_at(
    view: View,
    maps: DenseMaps,
    ground: FloatArray,
    least: float,
    lattice: Lattice,
    *,
    last: bool,
) -> tuple[Objects, NDArray[np.bool_]]:
    """Return the objects of a reduction, and ``(v, u)`` where a closer look is of no use.

    Args:
        view: The window at the reduction.
        maps: What the dense heads say of it.
        ground: ``(v, u)`` how likely its cells are what objects are made of.
        least: Score of an object.
        lattice: Where the objects are wanted.
        last: Whether nobody looks closer, so that small objects count, too.
    """
    cut = cut_objects(maps, ground, CutOptions(min_score=least))
    area = np.bincount(cut.labels.ravel(), minlength=len(cut.scores) + 1)
    clear = (area >= WIDE**2) & (np.concatenate([[0], cut.scores]) >= SURE)
    clear[0] = False
    far = np.asarray(cv2.dilate(ground, np.ones((5, 5), np.uint8))) < NO_GROUND
    settled = lattice.on(clear[cut.labels] | far, view.place, maps.scale)
    if view.place == lattice.place:
        return Objects(cut.labels, cut.scores), settled
    seen = area >= (1 if last else LEAST_CELLS)
    large = np.where(seen, np.arange(len(area)), 0).astype(np.int32)
    labels = lattice.on(large[drawn(cut.labels, maps.scale, view.rgb)], view.place, 1)
    return Objects(labels, cut.scores), settled


def joined(near: Objects, far: Objects) -> Objects:
    """Return the better of two cuts, object by object.

    One of the coarser cut takes the place of those of the finer one that lie in it where it is
    worth more than they are together: scores, weighted by area as in a cut.

    Args:
        near: The finer cut.
        far: The coarser one, on the same cells.
    """
    many, few = len(near.scores) + 1, len(far.scores) + 1
    pairs = near.labels.astype(np.int64) * few + far.labels
    keys, cells = np.unique(pairs, return_counts=True)
    one, other = np.divmod(keys, few)
    near_area, far_area = (
        np.bincount(of, cells, count) for of, count in ((one, many), (other, few))
    )
    inside = (cells > MOSTLY * near_area[one]) & (one > 0) & (other > 0)
    worth = np.concatenate([[0], near.scores]) * near_area**SHARE
    parts = np.bincount(other[inside], worth[one[inside]], few)
    wins = np.concatenate([[0], far.scores]) * far_area**SHARE > parts
    wins[0] = False
    gone = np.zeros(many, bool)
    gone[one[inside & wins[other]]] = True
    gone[0] = True  # what is in no finer object is free
    labels = np.where(gone, 0, np.arange(many))[near.labels]
    over = wins[far.labels] & (labels == 0)
    labels[over] = far.labels[over] + many - 1
    return Objects(labels.astype(np.int32), np.concatenate([near.scores, far.scores]))
