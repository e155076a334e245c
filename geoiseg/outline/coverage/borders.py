"""A partition of the plane as the lines between its parts, each line held once.

Every part refers to the same lines as its neighbours do, so whatever is done to a line is
done to both sides: borders stay shared, vertex by vertex. This is the arc and node model
of ArcInfo and TopoJSON.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

Index = NDArray[np.intp]
Lines = NDArray[Any]

OUTSIDE = -1


@dataclass(frozen=True, slots=True, eq=False)
class Borders:
    """Lines between nodes, and the parts of the plane that they bound."""

    lines: Lines
    """``(a,)`` LineStrings that meet at their ends only."""
    sides: Index
    """``(a, 2)`` the parts on the left and the right of each, ``OUTSIDE`` for none."""
    items: Index
    """``(m,)`` lines of all rings, one ring after the other; the part is on the left."""
    flipped: NDArray[np.bool_]
    """``(m,)`` whether a ring runs along the line backwards."""
    item_ring: Index
    """``(m,)`` the ring of each."""
    ring_part: Index
    """``(r,)`` the part of each ring, the exterior of a part first."""
    count: int
    """How many parts there are."""

    @classmethod
    def of(cls, lines: Lines) -> Borders:
        """Return the partition that noded lines make; loose ends are left out of all rings.

        Args:
            lines: ``(a,)`` LineStrings that meet at their ends only.
        """
        polygons = shapely.get_parts(shapely.polygonize(lines))
        rings, ring_part = shapely.get_rings(shapely.orient_polygons(polygons), return_index=True)
        xy, line = shapely.get_coordinates(lines, return_index=True)
        names, number = np.unique(_complex(xy), return_inverse=True)
        first = np.flatnonzero(line[1:] == line[:-1])
        u, v, arc = number[first], number[first + 1], line[first]
        begins = np.diff(arc, prepend=-1) != 0
        ends = np.diff(arc, append=-1) != 0
        size = len(names)
        key = np.concatenate([u * size + v, v * size + u])
        order = np.argsort(key)
        ring_xy, ring = shapely.get_coordinates(rings, return_index=True)
        place = np.searchsorted(names, _complex(ring_xy))
        step = np.flatnonzero(ring[1:] == ring[:-1])
        wanted = place[step] * size + place[step + 1]
        found = order[np.searchsorted(key, wanted, sorter=order)] if len(key) else order
        starts = np.concatenate([begins, ends])[found]
        found, item_ring = found[starts], ring[step][starts]
        flipped = found >= len(arc)
        items = np.concatenate([arc, arc])[found]
        sides = np.full((len(lines), 2), OUTSIDE)
        sides[items, flipped.astype(int)] = ring_part[item_ring]
        return cls(lines, sides, items, flipped, item_ring, ring_part, len(polygons))

    def with_lines(self, lines: Lines) -> Borders:
        """Return the same partition with other lines between the same nodes."""
        return replace(self, lines=lines)

    def too_short(self) -> Index:
        """Return the parts with a ring of fewer than three vertices."""
        length = shapely.get_num_coordinates(self.lines) - 1
        vertices = np.bincount(self.item_ring, length[self.items], minlength=len(self.ring_part))
        return np.unique(self.ring_part[vertices < 3])

    def polygons(self, parts: Index | None = None) -> Lines:
        """Return parts as Polygons; no ring may be too short.

        Args:
            parts: ``(p,)`` which, ascending; all by default.
        """
        items, flipped, item_ring, ring_part = (
            self.items, self.flipped, self.item_ring, self.ring_part
        )  # fmt: skip
        lines = self.lines
        if parts is not None:
            wanted = np.zeros(self.count, bool)
            wanted[parts] = True
            rings = wanted[ring_part]
            chosen = rings[item_ring]
            items, flipped = items[chosen], flipped[chosen]
            item_ring = (np.cumsum(rings) - 1)[item_ring[chosen]]
            ring_part = (np.cumsum(wanted) - 1)[ring_part[rings]]
            used, items = np.unique(items, return_inverse=True)
            lines = lines[used]
        xy, line = shapely.get_coordinates(lines, return_index=True)
        start = np.searchsorted(line, np.arange(len(lines) + 1))
        length = (np.diff(start) - 1)[items]
        offset = np.repeat(np.cumsum(length) - length, length)
        step = np.arange(len(offset)) - offset
        backward = np.repeat(flipped, length)
        low, high = start[:-1][items], start[1:][items] - 1
        vertex = np.where(backward, np.repeat(high, length) - step, np.repeat(low, length) + step)
        outlines = shapely.linearrings(xy[vertex], indices=np.repeat(item_ring, length))
        polygons: Lines = shapely.polygons(outlines, indices=ring_part)
        return polygons

    def areas(self, swept: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        """Return ``(count,)`` the areas of the parts; negative where one is inside out.

        Args:
            swept: What ``swept`` returns, if it is known.
        """
        each = self.swept() if swept is None else swept
        signed = np.where(self.flipped, -1.0, 1.0) * each[self.items]
        return sums(self.ring_part[self.item_ring], signed, self.count)

    def swept(self, origin: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        """Return ``(a,)`` the area that each line adds to the part on its left.

        Args:
            origin: ``(2,)`` the place about which lines sweep, near by: far away integrals
                would lose digits. The middle by default; to compare lines it must be one.
        """
        if not len(self.lines):
            return np.zeros(0)
        xy, line = shapely.get_coordinates(self.lines, return_index=True)
        xy = xy - (self.middle() if origin is None else origin)
        cross = xy[:-1, 0] * xy[1:, 1] - xy[1:, 0] * xy[:-1, 1]
        same = line[1:] == line[:-1]
        return sums(line[:-1][same], cross[same], len(self.lines)) / 2

    def middle(self) -> NDArray[np.float64]:
        """Return ``(2,)`` the middle of all lines."""
        bounds: NDArray[np.float64] = shapely.total_bounds(self.lines)
        return (bounds[:2] + bounds[2:]) / 2

    def owners_beside(self, owner: Index) -> Index:
        """Return ``(a, 2)`` the owners of the parts on each side of the lines."""
        return np.append(owner, OUTSIDE)[self.sides]

    def merged(self, owner: Index) -> tuple[Borders, Index]:
        """Return the partition without lines inside an owner's ground, and its parts' owners.

        Args:
            owner: ``(count,)`` the owner of each part, ``OUTSIDE`` for none.
        """
        beside = self.owners_beside(owner)
        kept = beside[:, 0] != beside[:, 1]
        lines = shapely.get_parts(shapely.line_merge(shapely.multilinestrings(self.lines[kept])))
        merged = Borders.of(lines)
        return merged, _carried(self.lines[kept], beside[kept], merged)

    def longest_neighbour(self, group: Index, owner: Index) -> Index:
        """Return ``(g,)`` the owner with which each group shares the longest border.

        Args:
            group: ``(count,)`` the group of each part, -1 for none; groups count from 0.
            owner: ``(count,)`` the owner of each part; those of the group's own do not count.

        Returns:
            ``OUTSIDE`` where a group borders on nobody.
        """
        many = int(group.max(initial=-1)) + 1
        length = np.tile(shapely.length(self.lines), 2)
        groups = np.append(group, -1)[self.sides]
        owners = self.owners_beside(owner)
        mine = np.concatenate([groups[:, 0], groups[:, 1]])
        theirs = np.concatenate([groups[:, 1], groups[:, 0]])
        other = np.concatenate([owners[:, 1], owners[:, 0]])
        usable = (mine >= 0) & (theirs < 0) & (other >= 0)
        best = np.full(many, OUTSIDE)
        if not usable.any():
            return best
        size = int(other.max()) + 1
        pair, where = np.unique(mine[usable] * size + other[usable], return_inverse=True)
        total = np.bincount(where, length[usable])
        order = np.argsort(total, kind="stable")  # the longest is written last
        best[pair[order] // size] = pair[order] % size
        return best


def _carried(lines: Lines, beside: Index, merged: Borders) -> Index:
    """Return ``(count,)`` the owners of merged parts, told by the first segments of lines.

    Args:
        lines: ``(k,)`` the lines before merging.
        beside: ``(k, 2)`` owners on their left and right.
        merged: What they became.
    """
    segments = np.concatenate(_end_segments(lines))
    left = np.concatenate([beside[:, 0], beside[:, 1]])
    exterior = np.zeros(len(merged.ring_part), bool)
    exterior[np.unique(merged.ring_part, return_index=True)[1]] = True
    chosen = np.flatnonzero(exterior[merged.item_ring])
    line, flipped = merged.items[chosen], merged.flipped[chosen]
    asked = merged.lines[line]
    forward, backward = _end_segments(asked)
    wanted = np.where(flipped[:, None], backward, forward)
    names = np.unique(np.concatenate([segments, wanted]).ravel(), return_inverse=True)
    number = names[1].reshape(-1, 2)
    key = number[:, 0] * len(names[0]) + number[:, 1]
    known, asked_key = key[: len(segments)], key[len(segments) :]
    order = np.argsort(known)
    place = np.minimum(np.searchsorted(known, asked_key, sorter=order), len(known) - 1)
    found = order[place] if len(known) else order
    hit = known[found] == asked_key
    owner = np.full(merged.count, OUTSIDE)
    owner[merged.ring_part[merged.item_ring[chosen]][hit]] = left[found[hit]]
    return owner


def sums(number: Index, values: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Return ``(count,)`` the sums of the values of each number."""
    return np.bincount(number, values, minlength=count).astype(np.float64, copy=False)


def _end_segments(
    lines: Lines,
) -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:
    """Return ``(k, 2)`` the first two vertices of each line, and the last two, last first."""
    xy, line = shapely.get_coordinates(lines, return_index=True)
    start = np.searchsorted(line, np.arange(len(lines)))
    end = np.searchsorted(line, np.arange(len(lines)), side="right") - 1
    z = _complex(xy)
    return np.column_stack([z[start], z[start + 1]]), np.column_stack([z[end], z[end - 1]])


def _complex(xy: NDArray[np.float64]) -> NDArray[np.complex128]:
    joined: NDArray[np.complex128] = (xy[:, 0] + 0.0) + 1j * (xy[:, 1] + 0.0)
    return joined
