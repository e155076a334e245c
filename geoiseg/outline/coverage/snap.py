"""One new feature fitted in among its accepted neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

from geoiseg.errors import GeoreferenceError
from geoiseg.outline.coverage.borders import OUTSIDE
from geoiseg.outline.coverage.clean import grouped_by_owner, polygonal, settled
from geoiseg.outline.coverage.frame import Frame, Originals
from geoiseg.outline.coverage.partition import Partition, gaps_closed, narrow_parts, partitioned


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A new feature, and its neighbours with the vertices where it meets them."""

    geometry: Any
    """The new Polygon or MultiPolygon; empty where the neighbours have all of it."""
    neighbours: NDArray[Any]
    """``(n,)`` the neighbours, each of the same shape, with a vertex more wherever the new
    border begins or ends on a straight side. With these, all are a valid coverage."""
    cut: float = 0.0
    """Square metres that the neighbours had already and that were taken off."""
    filled: float = 0.0
    """Square metres of gap that were added."""


def snap_to_neighbours(
    geometry: Any, neighbours: ArrayLike, width: float, crs: Any = None
) -> Fitted:
    """Return a feature that takes over its neighbours' borders where they are near.

    What it has of its neighbours' ground is taken off, what lies between it and them and is
    narrower than the width is added, and narrow parts that this detaches are dropped. The
    neighbours keep their shapes; only those within the width are looked at.

    Args:
        geometry: Polygon or MultiPolygon, new.
        neighbours: ``(n,)`` Polygons and MultiPolygons, accepted. Where they overlap each
            other, they are left as they are, and the new one overlaps none.
        width: In metres; in the units of the coordinates without a CRS. 0 only cuts.
        crs: Of all of them.

    Raises:
        GeoreferenceError: Something is no polygon, or the width is negative.
    """
    if not width >= 0:
        raise GeoreferenceError(f"the width is a length in metres, got {width}")
    around = np.asarray(neighbours, dtype=object).reshape(-1)
    alone = np.array([geometry], dtype=object)
    frame = Frame.of(alone, crs, width)
    new, theirs = polygonal(frame.into(alone))[0], polygonal(frame.into(around))[0]
    near = np.flatnonzero(shapely.dwithin(theirs, new[0], 2 * width + frame.cell))
    if not len(near) or new[0].is_empty:
        return Fitted(geometry, around)
    mine = len(near)
    given = np.concatenate([theirs[near], new])
    originals = Originals(shapely.get_coordinates(given), frame.cell)
    partition, _ = partitioned(given, np.arange(mine + 1), frame.cell)
    partition, _ = gaps_closed(partition, width, frame.cell, only=mine)
    partition = _without_slivers(partition, mine, width)
    partition = settled(partition, originals, frame.cell)
    fitted = grouped_by_owner(partition, mine + 1)
    cut = float(shapely.area(shapely.difference(new[0], fitted[-1])))
    filled = float(shapely.area(shapely.difference(fitted[-1], new[0])))
    moved = np.abs(shapely.area(fitted[:-1]) - shapely.area(given[:-1]))
    same = moved <= 4 * frame.cell * shapely.length(given[:-1])  # not cut by another neighbour
    fitted = shapely.transform(fitted, lambda xy: frame.back(originals.restore(xy)))
    kept = around.copy()
    kept[near[same]] = fitted[:-1][same]
    return Fitted(fitted[-1], kept, cut, filled)


def _without_slivers(partition: Partition, mine: int, width: float) -> Partition:
    """Return the partition without the narrow parts of a feature, its largest one left."""
    slivers = narrow_parts(partition, width)
    owner = partition.owner.copy()
    owner[slivers[owner[slivers] == mine]] = OUTSIDE
    return Partition(*partition.borders.merged(owner))
