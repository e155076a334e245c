"""An object followed from raster to raster by a model with a memory of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely

from geoiseg.models import FollowingModel
from geoiseg.outline import OutlineOptions, outline
from geoiseg.raster import Raster
from geoiseg.segment import Mask
from geoiseg.segment.dates import Picture, Shift, box_around, burnt, moved_back, onto, shown

LONGEST = 6
"""Rasters between the first and the present one that are remembered, the latest ones."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A raster that objects were carried to, and how far it lies off the first one."""

    raster: Raster
    shift: Shift


def followed(
    model: FollowingModel, first: Raster, known: Any, way: Sequence[Seen], before: Any, room: float
) -> tuple[Any, float] | None:
    """Return the outline of an object on the last raster of a way, and its score.

    Args:
        model: It is shown the object on the first raster, then each raster of the way.
        first: The raster on which the object is known.
        known: Its outline there.
        way: Rasters in the order in which the object is carried, forwards or backwards in time.
        before: Its outline on the raster before the last one, in the first one's CRS.
        room: How far around it is looked, as a share of its size.

    Returns:
        The outline in the CRS of the first raster and moved back by the shift; None where the
        model sees nothing of it.
    """
    around = shapely.union(shapely.box(*known.bounds), shapely.box(*before.bounds))
    begun = shown(first, box_around(around, first.grid, room))
    if begun is None:
        return None
    mask = burnt(known, begun.grid) & begun.valid
    pictures = [_as_shown(begun)]
    for one in way[-LONGEST - 1 :]:
        seen = _seen(one, begun)
        if seen is None and one is way[-1]:
            return None
        if seen is not None:
            pictures.append(_as_shown(seen))
    if not mask.any():
        return None
    found = model.follow(pictures, mask)[-1]
    logits, valid = found.logits[0], pictures[-1][1]
    array = (logits > 0) & valid
    if not array.any():
        return None
    shape = outline(Mask(array, begun.grid), OutlineOptions())
    return None if shape is None or shape.is_empty else (shape, float(found.scores[0]))


def _seen(one: Seen, begun: Picture) -> Picture | None:
    """Return what a raster shows of the ground of a picture, moved back by its shift."""
    grid = begun.grid
    x0, y0 = grid.corners.min(axis=0)
    x1, y1 = grid.corners.max(axis=0)
    dx, dy = one.shift.step.tolist()
    crs = None if grid.crs == one.raster.grid.crs else grid.crs
    box = one.raster.grid.box_to_pixel((x0 + dx, y0 + dy, x1 + dx, y1 + dy), crs)
    there = shown(one.raster, box)
    if there is None:
        return None
    there = onto(there, grid)
    if one.shift.believed:
        step = grid.to_pixel([(dx, dy)]) - grid.to_pixel([(0, 0)])
        there = moved_back(there, (float(step[0, 0]), float(step[0, 1])))
    return there if there.valid.any() else None


def _as_shown(one: Picture) -> tuple[Any, Any]:
    image = np.ascontiguousarray(one.values.transpose(1, 2, 0).round().clip(0, 255))
    return image.astype(np.uint8), one.valid
