"""Places where a hole of a part touches its exterior, or another hole, at a crowded node.

Such a polygon is valid, and so is the coverage. But GEOS judges each ring by itself and
then takes a third part that only touches there for one that overlaps (seen with 3.14), so
that ``coverage_is_valid`` says no. Holes are moved off such a node by a hair.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geoiseg.outline.coverage.borders import Borders

Index = NDArray[np.intp]
CROWDED = 4
"""With so many lines at a node, every part there shares its edges with the others."""
CELLS = 64
"""How far a hole is moved, in cells of the rounding grid."""
ROUNDS = 8


def opened(borders: Borders, owner: Index, cell: float) -> Borders:
    """Return the partition with holes moved off crowded nodes; the same parts and rings.

    Args:
        borders: The partition.
        owner: ``(count,)`` the owner of each part; those of nobody are left as they are.
        cell: Side of the rounding grid's cells.
    """
    for _ in range(ROUNDS):
        ends = _Ends.of(borders)
        pinched = _pinched(borders, ends, owner)
        if not len(pinched):
            break
        moved = borders.with_lines(ends.moved(borders, pinched, cell))
        polygons = moved.polygons()
        if not (shapely.is_valid(polygons).all() and (moved.areas() > 0).all()):
            break
        borders = moved
    return borders


class _Ends:
    """The ends of lines: end ``k`` is the begin of line ``k``, end ``a + k`` its other one."""

    def __init__(self, xy: NDArray[np.float64], towards: NDArray[np.float64]) -> None:
        self.xy = xy
        self.towards = towards
        self.node = np.unique(xy, axis=0, return_inverse=True)[1].ravel()
        self.angle = np.arctan2(*(towards - xy).T[::-1])
        self.crowd = np.bincount(self.node)[self.node]

    @classmethod
    def of(cls, borders: Borders) -> _Ends:
        def vertex(number: int) -> NDArray[np.float64]:
            xy: NDArray[np.float64] = shapely.get_coordinates(
                shapely.get_point(borders.lines, number)
            )
            return xy

        return cls(np.concatenate([vertex(0), vertex(-1)]), np.concatenate([vertex(1), vertex(-2)]))

    def moved(self, borders: Borders, items: Index, cell: float) -> NDArray[Any]:
        """Return lines whose ends in the holes at the begins of ring items are moved.

        By a few cells of the rounding grid, so that they stay on it.
        """
        before = _before(borders)
        count = len(borders.lines)
        lines = borders.lines.copy()
        for item in items:
            out = borders.items[item] + count * borders.flipped[item]
            back = borders.items[before[item]] + count * (not borders.flipped[before[item]])
            here = np.flatnonzero(self.node == self.node[out])
            turn = (self.angle[here] - self.angle[back]) % (2 * np.pi)
            width = (self.angle[out] - self.angle[back]) % (2 * np.pi)
            among = here[(turn <= width) | (here == out) | (here == back)]
            middle = self.angle[back] + width / 2
            shortest = np.hypot(*(self.towards[among] - self.xy[among]).T).min()
            reach = min(CELLS * cell, shortest / 4)
            step = np.round(reach / cell * np.array([np.cos(middle), np.sin(middle)])) * cell
            for end in among:
                xy = shapely.get_coordinates(lines[end % count]).copy()
                xy[0 if end < count else -1] = self.xy[end] + step
                lines[end % count] = shapely.LineString(xy)
        return lines


def _before(borders: Borders) -> Index:
    """Return ``(m,)`` the item before each on its ring."""
    before = np.arange(-1, len(borders.items) - 1)
    first = np.flatnonzero(np.diff(borders.item_ring, prepend=-1))
    before[first] = np.append(first[1:], len(borders.items)) - 1
    return before


def _pinched(borders: Borders, ends: _Ends, owner: Index) -> Index:
    """Return items that begin where a hole of theirs is pinched, one for a node at most."""
    begin = borders.items + len(borders.lines) * borders.flipped
    part = borders.ring_part[borders.item_ring]
    exterior = np.diff(borders.ring_part, prepend=-1) != 0
    candidates = np.flatnonzero((ends.crowd[begin] > CROWDED) & (owner[part] >= 0))
    visits = np.column_stack([part, ends.node[begin]])[candidates]
    _, where, count = np.unique(visits, axis=0, return_inverse=True, return_counts=True)
    hole = ~exterior[borders.item_ring[candidates]]
    pinched = candidates[(count[where.ravel()] > 1) & hole]
    one_each: Index = pinched[np.unique(ends.node[begin[pinched]], return_index=True)[1]]
    return one_each
