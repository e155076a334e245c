"""The narrow ground between features: where it is, and between whom."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geoiseg.outline.connected import components

Geometries = NDArray[Any]
Index = NDArray[np.intp]

MITRE = 2.5
"""Wedges between features that are sharper than 47 degrees are narrow at their tips."""
MARGIN = 1 / 64
"""Of the width: what is taken off a mouth of a gap, so that lines cross instead of touch."""
TILE = 400
"""Features of a tile, on average: the background of many is one polygon of as many holes."""


@dataclass(frozen=True, slots=True, eq=False)
class Gaps:
    """Narrow ground, cut into places that lie between the same features."""

    inside: Geometries
    """``(k,)`` a Point in each place."""
    cuts: Geometries
    """``(c,)`` LineStrings that bound the places, together with the features."""


def find_gaps(features: Geometries, owner: Index, width: float, cell: float) -> Gaps:
    """Return the ground between different features in which no disk of a width fits.

    Notches and holes of a single feature are none. What lies between three and more
    features is cut along the edges of a constrained Delaunay triangulation, so that each
    place lies between the same ones.

    Args:
        features: ``(n,)`` Polygons that do not overlap.
        owner: ``(n,)`` the feature each belongs to.
        width: In the polygons' units.
        cell: How near counts as touching.
    """
    near = _Near(shapely.STRtree(features), owner, 2 * cell)
    inside, cuts = [np.zeros(0, object)], [np.zeros(0, object)]
    for tile in _tiles(features, width):
        narrow = _narrow(near.tree, tile, width, cell)
        narrow = narrow[shapely.area(narrow) > cell * width]
        if not len(narrow):
            continue
        neighbours = near.count(narrow)
        pairs = narrow[neighbours == 2]
        triangles, group = _triangles(narrow[neighbours > 2], near, 2 * width)
        pieces = np.concatenate([pairs, triangles])
        group = np.concatenate([np.arange(len(pairs)), group + len(pairs)])
        first, sides = _joined(pieces, group, near)
        inside.append(shapely.point_on_surface(pieces[first]))
        cuts.append(sides)
    return Gaps(np.concatenate(inside), np.concatenate(cuts))


def _tiles(features: Geometries, width: float) -> Iterator[tuple[float, float, float, float]]:
    left, bottom, right, top = shapely.total_bounds(features)
    across = max(1, round((len(features) / TILE) ** 0.5))
    xs = np.linspace(left - width, right + width, across + 1)
    ys = np.linspace(bottom - width, top + width, across + 1)
    for i in range(across):
        for j in range(across):
            yield float(xs[i]), float(ys[j]), float(xs[i + 1]), float(ys[j + 1])


def _narrow(
    tree: shapely.STRtree, tile: tuple[float, float, float, float], width: float, cell: float
) -> Geometries:
    """Return the narrow parts of the background in a tile: it less what a disk can reach."""
    core = shapely.box(*tile)
    around = shapely.box(*(np.array(tile) + np.array([-3, -3, 3, 3]) * width))
    near = tree.geometries[np.sort(tree.query(around))]
    if not len(near):
        return np.zeros(0, object)
    ground = _less(around, shapely.coverage_union_all(near), cell)
    mitred: dict[str, Any] = {"join_style": "mitre", "mitre_limit": MITRE}
    core_of_it = shapely.buffer(ground, -width / 2, **mitred)
    reached = shapely.buffer(core_of_it, width * (0.5 + MARGIN), **mitred)
    narrow: Geometries = shapely.get_parts(shapely.intersection(_less(ground, reached, cell), core))
    return np.extract(shapely.get_type_id(narrow) == shapely.GeometryType.POLYGON, narrow)


def _less(one: Any, other: Any, cell: float) -> Any:
    """Return what a geometry has and another has not.

    Where rounding errors defeat GEOS (seen with 3.14: "unable to assign free hole to a
    shell"), vertices are rounded to the grid.
    """
    try:
        return shapely.difference(one, other)
    except shapely.errors.GEOSException:
        repaired = shapely.make_valid([one, other], method="structure")
        return shapely.difference(*repaired, grid_size=cell)


@dataclass(frozen=True, slots=True, eq=False)
class _Near:
    """Which features are where."""

    tree: shapely.STRtree
    owner: Index
    reach: float

    def owners(self, geometries: Geometries) -> tuple[Index, Index]:
        """Return each geometry with each owner that it touches: number and owner, ascending."""
        one, feature = self.tree.query(geometries, predicate="dwithin", distance=self.reach)
        many = int(self.owner.max()) + 1
        pairs = np.unique(one * many + self.owner[feature])
        return pairs // many, pairs % many

    def count(self, geometries: Geometries) -> Index:
        """Return ``(k,)`` how many owners each geometry touches."""
        return np.bincount(self.owners(geometries)[0], minlength=len(geometries))


def _triangles(pieces: Geometries, near: _Near, step: float) -> tuple[Geometries, Index]:
    """Return triangles of the pieces that touch two owners or more, and their groups.

    Sides are divided into steps first: long triangles would reach past the next owner.
    """
    collections = shapely.constrained_delaunay_triangles(shapely.segmentize(pieces, step))
    triangles, piece = shapely.get_parts(collections, return_index=True)
    if not len(triangles):
        return triangles, piece
    xy = shapely.get_coordinates(triangles)
    places, first, place = np.unique(_complex(xy), return_index=True, return_inverse=True)
    point, owner = near.owners(shapely.points(xy[first]))
    start = np.searchsorted(point, np.arange(len(places) + 1))
    corners = place.reshape(-1, 4)[:, :3].ravel()
    count = np.diff(start)[corners]
    turn = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    beside = owner[np.repeat(start[:-1][corners], count) + turn]
    many = int(near.owner.max()) + 1
    pairs = np.unique(np.repeat(np.arange(len(corners)) // 3, count) * many + beside)
    # The sum of random numbers names a set of owners.
    names = np.random.default_rng(0).integers(1, 1 << 62, many, dtype=np.uint64)
    name = piece.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    np.add.at(name, pairs // many, names[pairs % many])
    between = np.bincount(pairs // many, minlength=len(triangles)) >= 2
    return triangles[between], np.unique(name[between], return_inverse=True)[1].ravel()


def _joined(pieces: Geometries, group: Index, near: _Near) -> tuple[Index, Geometries]:
    """Return one piece of each place, and the sides that bound places but no feature.

    Args:
        pieces: ``(k,)`` Polygons without holes that share their sides' ends.
        group: ``(k,)`` those of a group that share a side make one place.
        near: The features.
    """
    xy, piece = shapely.get_coordinates(pieces, return_index=True)
    first = np.flatnonzero(piece[1:] == piece[:-1])
    number = np.unique(_complex(xy), return_inverse=True)[1]
    one, other = number[first], number[first + 1]
    key = np.minimum(one, other) * len(xy) + np.maximum(one, other)
    order = np.argsort(key, kind="stable")
    same = np.append(key[order][1:] == key[order][:-1], False)
    a, b = order[:-1][same[:-1]], order[1:][same[:-1]]
    inner = group[piece[first[a]]] == group[piece[first[b]]]
    a, b = a[inner], b[inner]
    place = components(len(pieces), piece[first[a]], piece[first[b]])
    outer = np.ones(len(first), bool)
    outer[a] = outer[b] = False
    sides = first[outer]
    middle = shapely.points((xy[sides] + xy[sides + 1]) / 2)
    sides = sides[near.count(middle) == 0]
    cuts: Geometries = shapely.linestrings(np.stack([xy[sides], xy[sides + 1]], axis=1))
    return np.unique(place, return_index=True)[1], cuts


def _complex(xy: NDArray[np.float64]) -> NDArray[np.complex128]:
    joined: NDArray[np.complex128] = xy[:, 0] + 1j * xy[:, 1]
    return joined
