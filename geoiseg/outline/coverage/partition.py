"""Features to a partition in which every piece of ground has one owner at most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geoiseg.outline.connected import components
from geoiseg.outline.coverage.borders import OUTSIDE, Borders
from geoiseg.outline.coverage.gaps import find_gaps

Index = NDArray[np.intp]
ROUNDS = 5
"""A sliver may hang on another one: rounds after which the rest stay where they are."""


@dataclass(frozen=True, slots=True, eq=False)
class Partition:
    """Lines, and who owns the ground between them."""

    borders: Borders
    owner: Index
    """``(borders.count,)`` number of the feature, ``OUTSIDE`` for none."""


@dataclass(frozen=True, slots=True)
class Change:
    """How many places of a kind there were, and their area in square metres."""

    count: int = 0
    area: float = 0.0

    def __add__(self, other: Change) -> Change:
        return Change(self.count + other.count, self.area + other.area)

    def scaled(self, by: float) -> Change:
        """Return the change with another area."""
        return Change(self.count, self.area * by)


def partitioned(features: NDArray[Any], rank: Index, cell: float) -> tuple[Partition, Change]:
    """Return the partition that features make, overlaps given to the lowest rank.

    Args:
        features: ``(n,)`` valid Polygons and MultiPolygons, some perhaps empty.
        rank: ``(n,)`` distinct; of those that overlap the lowest keeps the ground.
        cell: Vertices are rounded to multiples of it.

    Returns:
        The partition, and the overlaps: pairs of features of which one lost ground to the
        other, and the area that more than one had.
    """
    borders = Borders.of(noded(shapely.boundary(features), cell))
    owner = np.full(borders.count, OUTSIDE)
    if not borders.count:
        return Partition(borders, owner), Change()
    polygons = borders.polygons()
    inside = shapely.point_on_surface(polygons)
    face, feature = shapely.STRtree(features).query(inside, predicate="within")
    order = np.lexsort((rank[feature], face))
    face, feature = face[order], feature[order]
    first = np.diff(face, prepend=-1) != 0
    owner[face[first]] = feature[first]
    several = np.bincount(face, minlength=borders.count) > 1
    winner = owner[face]
    lost = np.unique(np.column_stack([winner, feature])[~first], axis=0)
    overlaps = Change(len(lost), float(shapely.area(polygons[several]).sum()))
    return Partition(*borders.merged(owner)), overlaps


def noded(lines: NDArray[Any], cell: float) -> NDArray[Any]:
    """Return ``(a,)`` LineStrings that meet at their ends only, rounded to multiples of a cell.

    Snap rounding, from GEOS.
    """
    parts: NDArray[Any] = shapely.get_parts(shapely.union_all(lines, grid_size=cell))
    return np.extract(shapely.get_type_id(parts) == shapely.GeometryType.LINESTRING, parts)


def gaps_closed(
    partition: Partition, width: float, cell: float, only: int | None = None
) -> tuple[Partition, Change]:
    """Return the partition with narrow gaps given to the neighbour of the longest border.

    Args:
        partition: What features make.
        width: In metres.
        cell: As for ``partitioned``.
        only: A feature: just gaps beside it are closed, and it gets them.
    """
    borders, owner = partition.borders, partition.owner
    owned = np.flatnonzero(owner >= 0)
    if width <= 0 or not len(owned):
        return partition, Change()
    parts = borders.polygons()[owned]
    gaps = find_gaps(parts, owner[owned], width, cell)
    if not len(gaps.inside):
        return partition, Change()
    borders = Borders.of(_cut_by(borders.lines, gaps.cuts, cell, width))
    faces = borders.polygons()
    inside = shapely.point_on_surface(faces)
    owner = _first_hit(parts, inside, owner[owned])
    point, face = shapely.STRtree(faces).query(gaps.inside, predicate="within")
    group = np.full(len(faces), -1)
    group[face] = point
    group[owner >= 0] = -1
    filled = _filled(borders, group, owner, only)
    done = (group >= 0) & (filled >= 0)
    merged = Partition(*borders.merged(filled))
    area = float(shapely.area(faces[done]).sum())
    return merged, Change(_places(borders, done), area)


def _filled(borders: Borders, group: Index, owner: Index, only: int | None) -> Index:
    """Return ``(count,)`` owners, groups of gaps among them given to neighbours.

    Where three gaps meet, what lies between them follows when they have owners.
    """
    left = group.copy()
    best = borders.longest_neighbour(left, owner)
    if only is not None:
        beside = _beside(borders, group, owner, only, len(best))
        left[(group >= 0) & np.append((best >= 0) & ~beside, False)[group]] = -1
        best = np.where(beside, only, OUTSIDE)
    while (given := (left >= 0) & (np.append(best, OUTSIDE)[left] >= 0)).any():
        owner = np.where(given, np.append(best, OUTSIDE)[left], owner)
        left[given] = -1
        best = borders.longest_neighbour(left, owner)
        if only is not None:
            best = np.where(best == only, only, OUTSIDE)
    return owner


def _cut_by(lines: NDArray[Any], cuts: NDArray[Any], cell: float, width: float) -> NDArray[Any]:
    """Return noded lines together with others, noded too.

    Only lines near a cut are noded again: rounding moves nothing else.
    """
    if not len(cuts):
        return lines
    tree = shapely.STRtree(lines)
    near = np.unique(tree.query(cuts, predicate="dwithin", distance=width / 16)[1])
    again = noded(np.concatenate([lines[near], cuts]), cell)
    return np.concatenate([np.delete(lines, near), again])


def _first_hit(polygons: NDArray[Any], points: NDArray[Any], value: Index) -> Index:
    """Return ``(p,)`` the value of a polygon that each point lies in, -1 for none."""
    point, polygon = shapely.STRtree(polygons).query(points, predicate="within")
    found = np.full(len(points), -1)
    found[point] = value[polygon]
    return found


def _beside(borders: Borders, group: Index, owner: Index, who: int, count: int) -> Any:
    """Return ``(count,)`` whether a group shares a border with an owner."""
    groups = np.append(group, -1)[borders.sides]
    owners = borders.owners_beside(owner)[:, ::-1]
    touching = np.zeros(count + 1, bool)
    touching[groups[owners == who]] = True
    return touching[:-1]


def _places(borders: Borders, filled: NDArray[np.bool_]) -> int:
    """Return how many connected places the filled parts make."""
    inner = (borders.sides >= 0).all(axis=1) & np.append(filled, False)[borders.sides].all(axis=1)
    one, other = borders.sides[inner].T
    return len(np.unique(components(borders.count, one, other)[filled]))


def slivers_moved(partition: Partition, width: float) -> tuple[Partition, Change]:
    """Return the partition with narrow detached parts given to the longest neighbour.

    The largest part of a feature stays with it, however narrow.
    """
    count, area = 0, 0.0
    for _ in range(ROUNDS if width > 0 else 0):
        borders, owner = partition.borders, partition.owner
        size = borders.areas()
        slivers = narrow_parts(partition, width)
        group = np.full(borders.count, -1)
        group[slivers] = np.arange(len(slivers))
        best = borders.longest_neighbour(group, owner)
        moved = (best >= 0) & (best != owner[slivers])
        if not moved.any():
            break
        count, area = count + int(moved.sum()), area + float(size[slivers[moved]].sum())
        owner = owner.copy()
        owner[slivers[moved]] = best[moved]
        partition = Partition(*borders.merged(owner))
    return partition, Change(count, area)


def narrow_parts(partition: Partition, width: float) -> Index:
    """Return the parts in which no disk of a width fits, the largest of each owner left out."""
    borders, owner = partition.borders, partition.owner
    order = np.lexsort((-borders.areas(), owner))
    largest = np.zeros(borders.count, bool)
    largest[order[np.diff(owner[order], prepend=-2) != 0]] = True
    few = np.flatnonzero(~largest & (owner >= 0))
    if not len(few):
        return few
    polygons = borders.polygons()[few]
    narrow: Index = few[shapely.is_empty(shapely.buffer(polygons, -width / 2, quad_segs=4))]
    return narrow
