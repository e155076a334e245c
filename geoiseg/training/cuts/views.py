"""What the dense heads make of labelled scenes: regions, and what of the labels they cover."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from geoiseg.models import DenseMaps, ReadingModel
from geoiseg.raster import BoolArray
from geoiseg.segment import FloatArray, IntArray, Regions, looks, regions, summed
from geoiseg.tiled.dense import cells_of
from geoiseg.training.scene import Scene
from geoiseg.training.scenes import read_scenes

SIDE = 1024
"""Pixels across of a view; of a larger scene, parts of that size."""
MOST = 2
"""Parts of one scene at one scale."""
REDUCTIONS = (1, 2)
"""Scales at which scenes are looked at."""
NAMED = "fields_|bldg_|forestd_"
"""Scenes in which objects lie side by side and are drawn one by one."""
FEWEST = 2
"""Numbers in a view, that of nothing among them, so that there are neighbours to tell apart."""
LABELLED = 0.5
"""Share of a region on labelled ground from which on it can be judged."""


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A part of a scene at one scale."""

    name: str
    family: str
    reduction: int
    image: NDArray[np.uint8]
    """``(y, x, 3)``."""
    valid: BoolArray
    """``(y, x)`` True = data."""
    ids: IntArray
    """``(y, x)`` numbers of the labels from 1 on, 0 elsewhere."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What a model says of a view, and what is drawn there; in cells."""

    view: View
    maps: DenseMaps
    ground: FloatArray
    """``(v, u)`` how likely each cell is what objects are made of."""
    regions: Regions
    truth: IntArray
    """``(v, u)`` numbers of the labels."""


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Regions that can be judged."""

    looks: FloatArray
    """``(n, l)`` what their score goes by."""
    iou: NDArray[np.float64]
    """``(n,)`` with the label that suits best."""
    area: NDArray[np.float64]
    """``(n,)`` cells."""


def views(folder: Path, *, held_out: bool) -> Iterator[View]:
    """Yield parts of the labelled scenes of a data folder.

    Args:
        folder: As training reads it.
        held_out: Of the places that are held out of training, or of all others.
    """
    for scene in read_scenes(folder, held_out=held_out, named=NAMED):
        for reduction in REDUCTIONS:
            yield from _parts(scene, reduction)


def _parts(scene: Scene, reduction: int) -> Iterator[View]:
    ids = np.where(scene.ids > 0, scene.ids, 0).astype(np.int32)
    image, valid = scene.image, scene.valid
    if reduction > 1:
        size = (image.shape[1] // reduction, image.shape[0] // reduction)
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        valid = cv2.resize(valid.view(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
        ids = np.asarray(cv2.resize(ids, size, interpolation=cv2.INTER_NEAREST), np.int32)
    corners = [(row, col) for row in range(0, max(1, image.shape[0] - SIDE // 2), SIDE)
               for col in range(0, max(1, image.shape[1] - SIDE // 2), SIDE)]  # fmt: skip
    step = max(1, len(corners) // MOST)
    for row, col in corners[::step][:MOST]:
        part = np.s_[row : row + SIDE, col : col + SIDE]
        if len(np.unique(ids[part])) > FEWEST:
            shown, seen_at = np.ascontiguousarray(image[part]), np.ascontiguousarray(valid[part])
            yield View(scene.name, scene.family, reduction, shown, seen_at, ids[part])


def seen(model: ReadingModel, view: View) -> Seen | None:
    """Return what a model says of a view; None where it sees no region."""
    maps = model.read(view.image, view.valid)
    ground = maps.interior * cells_of(view.valid, maps.interior.shape, maps.scale)
    found = regions(maps, ground)
    if found is None:
        return None
    rows, columns = maps.border.shape
    half = maps.scale // 2
    truth = np.zeros((rows, columns), np.int32)
    middle = view.ids[half :: maps.scale, half :: maps.scale]
    truth[: middle.shape[0], : middle.shape[1]] = middle[:rows, :columns]
    return Seen(view, maps, ground, found, truth)


def rows_of(one: Seen) -> Rows:
    """Return the regions of a view that can be judged."""
    tree, count = one.regions.tree, int(one.regions.basins.max())
    numbers, labels = np.unique(one.truth, return_inverse=True)
    labels = labels.reshape(one.truth.shape)
    pairs = (one.regions.basins.astype(np.int64) - 1) * len(numbers) + labels
    inside = np.bincount(pairs.ravel(), minlength=count * len(numbers))
    both = summed(tree, inside.reshape(count, len(numbers)).astype(np.float64))
    area, whole = both.sum(axis=1), np.bincount(labels.ravel(), minlength=len(numbers))
    drawn = both[:, numbers > 0]
    iou = (drawn / (area[:, None] + whole[numbers > 0] - drawn)).max(axis=1, initial=0)
    judged = drawn.sum(axis=1) >= LABELLED * area
    look = looks(one.regions).astype(np.float32)
    return Rows(look[judged], iou[judged], area[judged])
