"""Where lines that were reshaped cross others: only those that moved, and what is near them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from geoiseg.outline.coverage.borders import Borders, Index


@dataclass(frozen=True, slots=True, eq=False)
class Near:
    """Which parts are near which, before their lines are shaped."""

    tree: shapely.STRtree
    boxes: NDArray[np.float64]
    reach: float

    @classmethod
    def of(cls, borders: Borders, reach: float) -> Near:
        """Return the parts of a partition, as near as lines may come to each other."""
        polygons = borders.polygons()
        return cls(shapely.STRtree(polygons), shapely.bounds(polygons), reach)

    def around(self, parts: Index) -> Index:
        """Return the parts that come within reach of some, themselves included, ascending."""
        low, high = self.boxes[parts, :2] - self.reach, self.boxes[parts, 2:] + self.reach
        found: Index = np.unique(self.tree.query(shapely.box(*low.T, *high.T))[1])
        return found


def clashing(
    borders: Borders, owner: Index, lines: Index, near: Near | None = None,
    swept: NDArray[np.float64] | None = None,
) -> Index:  # fmt: skip
    """Return the lines that cross or touch others, or make a part too small.

    Args:
        borders: The partition.
        owner: ``(count,)`` the owner of each part.
        lines: Those that may: the others were looked at before.
        near: Which parts to look at for a few lines; all by default.
        swept: What ``Borders.swept`` returns, if it is known.
    """
    short = borders.too_short()
    if len(short):
        return lines_around(borders, short)
    parts = np.unique(borders.sides[lines])
    parts = parts[parts >= 0]
    few = near is not None and 4 * len(parts) < borders.count
    seen = near.around(parts) if near is not None and few else np.arange(borders.count)
    polygons = borders.polygons(seen if few else None)
    # Nobody's ground counts too: features around a hole that has turned inside out need not
    # overlap.
    valid = shapely.is_valid(polygons[np.searchsorted(seen, parts)])
    wrong = parts[~valid | (borders.areas(swept)[parts] <= 0)]
    edges = shapely.coverage_invalid_edges(polygons[owner[seen] >= 0])
    edges = edges[~shapely.is_empty(edges)]
    if not len(edges) and not len(wrong):
        return np.zeros(0, np.intp)
    touched = shapely.STRtree(borders.lines).query(edges, predicate="intersects")[1]
    return np.unique(np.concatenate([_crossing(borders, wrong), touched]))


def _crossing(borders: Borders, parts: Index) -> Index:
    """Return the lines of parts that cross themselves or each other; all if none is seen to."""
    around = lines_around(borders, parts)
    lines = borders.lines[around]
    one, other = shapely.STRtree(lines).query(lines, predicate="crosses")
    crossing = ~shapely.is_simple(lines)
    crossing[one] = crossing[other] = True
    return around[crossing] if crossing.any() else around


def lines_around(borders: Borders, parts: Index) -> Index:
    """Return the lines on whose left or right there is one of the parts."""
    chosen = np.zeros(borders.count + 1, bool)
    chosen[parts] = True
    return np.flatnonzero(chosen[borders.sides].any(axis=1))
