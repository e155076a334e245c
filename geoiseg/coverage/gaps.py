"""The narrow ground between features: where it is, and between whom."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

Polygons = NDArray[Any]
Index = NDArray[np.intp]

MITRE = 2.5
"""Wedges between features that are sharper than 47 degrees are narrow at their tips."""
MARGIN = 1 / 64
"""Of the width: what is taken off a mouth of a gap, so that lines cross instead of touch."""
TILE = 400
"""Features of a tile, on average: the background of many is one polygon of as many holes."""


@dataclass(frozen=True, slots=True, eq=False)
class Gaps:
    """Pieces of narrow ground, those between the same features as one group."""

    pieces: Polygons
    """``(k,)`` Polygons."""
    group: Index
    """``(k,)`` number of each one's group."""


def find_gaps(features: Polygons, owner: Index, width: float, cell: float) -> Gaps:
    """Return the ground between different features in which no disk of a width fits.

    Notches and holes of a single feature are none. What lies between three and more
    features is cut along the edges of a constrained Delaunay triangulation, so that each
    piece lies between the same ones.

    Args:
        features: ``(n,)`` Polygons that do not overlap.
        owner: ``(n,)`` the feature each belongs to.
        width: In the polygons' units.
        cell: How near counts as touching.
    """
    tree = shapely.STRtree(features)
    pieces = [part for tile in _tiles(features, width) for part in _narrow(tree, tile, width)]
    narrow = np.array(pieces, dtype=object)
    narrow = narrow[shapely.area(narrow) > cell * width] if len(narrow) else narrow
    if not len(narrow):
        return Gaps(narrow, np.zeros(0, np.intp))
    piece, feature = tree.query(narrow, predicate="dwithin", distance=2 * cell)
    beside = np.unique(np.column_stack([piece, owner[feature]]), axis=0)
    neighbours = np.bincount(beside[:, 0], minlength=len(narrow))
    two = np.flatnonzero(neighbours == 2)
    many = np.flatnonzero(neighbours > 2)
    triangles, group = _cut(narrow[many], tree, owner, cell, width)
    return Gaps(
        np.concatenate([narrow[two], triangles]),
        np.concatenate([np.arange(len(two)), group + len(two)]),
    )


def _tiles(features: Polygons, width: float) -> Iterator[tuple[float, float, float, float]]:
    left, bottom, right, top = shapely.total_bounds(features)
    across = max(1, round((len(features) / TILE) ** 0.5))
    xs = np.linspace(left - width, right + width, across + 1)
    ys = np.linspace(bottom - width, top + width, across + 1)
    for i in range(across):
        for j in range(across):
            yield float(xs[i]), float(ys[j]), float(xs[i + 1]), float(ys[j + 1])


def _narrow(
    tree: shapely.STRtree, tile: tuple[float, float, float, float], width: float
) -> Polygons:
    """Return the narrow parts of the background in a tile: it less what a disk can reach."""
    core = shapely.box(*tile)
    around = shapely.box(*(np.array(tile) + np.array([-3, -3, 3, 3]) * width))
    near = tree.geometries[np.sort(tree.query(around))]
    if not len(near):
        return np.zeros(0, object)
    ground = around - shapely.coverage_union_all(near)
    mitred: dict[str, Any] = {"join_style": "mitre", "mitre_limit": MITRE}
    core_of_it = shapely.buffer(ground, -width / 2, **mitred)
    reached = shapely.buffer(core_of_it, width * (0.5 + MARGIN), **mitred)
    narrow: Polygons = shapely.get_parts((ground - reached) & core)
    return np.extract(shapely.get_type_id(narrow) == shapely.GeometryType.POLYGON, narrow)


def _cut(
    pieces: Polygons, tree: shapely.STRtree, owner: Index, cell: float, step: float
) -> tuple[Polygons, Index]:
    """Return triangles of the pieces that touch two owners or more, and their groups.

    Sides are divided into steps first: long triangles would reach past the next owner.
    """
    collections = shapely.constrained_delaunay_triangles(shapely.segmentize(pieces, step))
    triangles, piece = shapely.get_parts(collections, return_index=True)
    if not len(triangles):
        return triangles, piece
    xy, triangle = shapely.get_coordinates(triangles, return_index=True)
    places, place = np.unique(xy, axis=0, return_inverse=True)
    point, feature = tree.query(shapely.points(places), predicate="dwithin", distance=2 * cell)
    touching = np.unique(np.column_stack([point, owner[feature]]), axis=0)
    start = np.searchsorted(touching[:, 0], np.arange(len(places) + 1))
    count = np.diff(start)[place.ravel()]
    turn = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    near = touching[np.repeat(start[:-1][place.ravel()], count) + turn, 1]
    pairs = np.unique(np.column_stack([np.repeat(triangle, count), near]), axis=0)
    # The sum of random numbers names a set of owners.
    names = np.random.default_rng(0).integers(1, 1 << 62, int(owner.max()) + 1, dtype=np.uint64)
    name = np.zeros(len(triangles), np.uint64)
    np.add.at(name, pairs[:, 0], names[pairs[:, 1]])
    between = np.bincount(pairs[:, 0], minlength=len(triangles)) >= 2
    named = np.column_stack([piece.astype(np.uint64), name])[between]
    group = np.unique(named, axis=0, return_inverse=True)[1].ravel()
    return triangles[between], group
