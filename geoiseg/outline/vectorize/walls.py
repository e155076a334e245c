"""A ring as walls at right angles: cut, fitted, and short ones dropped."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

XY = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Walls:
    """A ring cut into walls along the first axis (level) and the second (upright) in turn."""

    until: NDArray[np.float64]
    """``(2, n + 1, 5)`` integrals along the ring up to each vertex, for level and upright
    walls: of 1, c, a, a*a and a*c, where a is the coordinate along the wall, c the one
    across, and length is measured along the wall."""
    start: NDArray[np.intp]
    """``(m,)`` the vertex at which each wall begins, in cyclic order; m is even, or 0."""
    level: NDArray[np.bool_]
    """``(m,)`` whether the wall is level."""

    @classmethod
    def cut(cls, ring: XY, vertices: NDArray[np.intp]) -> Self:
        """Return the ring's walls; none where it does not have four.

        Args:
            ring: ``(n, 2)`` vertices, the walls' directions along the axes.
            vertices: ``(k,)`` those between which the ring is nearly straight, ascending.
        """
        chord = np.roll(ring[vertices], -1, axis=0) - ring[vertices]
        level = np.abs(chord[:, 0]) >= np.abs(chord[:, 1])
        turns = np.flatnonzero(level != np.roll(level, 1))
        if len(turns) < 4:
            turns = turns[:0]
        return cls(_integrals(ring), vertices[turns], level[turns])

    def positions(self) -> NDArray[np.float64]:
        """Return ``(m,)`` c of each wall, such that as much area lies on either side."""
        totals = self._totals()
        return totals[:, 1] / totals[:, 0]

    def corners(self) -> XY:
        """Return ``(m, 2)`` the corners at which the walls begin."""
        here = self.positions()
        before = np.roll(here, 1)
        level = self.level[:, None]
        return np.where(level, np.stack([before, here], 1), np.stack([here, before], 1))

    def without_short(self, shortest: float) -> Self:
        """Return the walls of which none is shorter than that, unless only four are left.

        The shortest goes first, and its neighbours become one.
        """
        walls = self
        while len(walls.start) > 4:
            here = walls.positions()
            length = np.abs(np.roll(here, -1) - np.roll(here, 1))
            k = int(length.argmin())
            if length[k] >= shortest:
                break
            gone = [k, (k + 1) % len(length)]
            start, level = np.delete(walls.start, gone), np.delete(walls.level, gone)
            walls = replace(walls, start=start, level=level)
        return walls

    def slant(self) -> tuple[float, float]:
        """Return a numerator and a denominator of the walls' common slope to their axes.

        Those of several rings may be added up: their quotient is the least-squares slope.
        """
        one, c, a, aa, ac = self._totals().T
        sign = np.where(self.level, 1.0, -1.0)
        return float((sign * (ac - a * c / one)).sum()), float((aa - a * a / one).sum())

    def _totals(self) -> NDArray[np.float64]:
        """Return ``(m, 5)`` the integrals along each wall."""
        axis = np.where(self.level, 0, 1)
        stop = np.roll(self.start, -1)
        whole = np.where(stop > self.start, 0.0, 1.0)[:, None] * self.until[axis, -1]
        totals: NDArray[np.float64] = self.until[axis, stop] - self.until[axis, self.start] + whole
        return totals


def _integrals(ring: XY) -> NDArray[np.float64]:
    """Return :attr:`Walls.until` of a ring."""
    ahead = np.roll(ring, -1, axis=0)
    edge, centre = ahead - ring, (ahead + ring) / 2
    until = np.zeros((2, len(ring) + 1, 5))
    for axis in (0, 1):
        a, c, step = centre[:, axis], centre[:, 1 - axis], edge[:, axis]
        aa = a * a + step * step / 12
        ac = a * c + step * edge[:, 1 - axis] / 12
        moments = np.stack([np.ones_like(a), c, a, aa, ac], axis=1)
        np.cumsum(np.abs(step)[:, None] * moments, axis=0, out=until[axis, 1:])
    return until
