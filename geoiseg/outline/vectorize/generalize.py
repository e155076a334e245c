"""Outlines with fewer vertices or rounder corners: valid, and close to the same area."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geoiseg.errors import GeoreferenceError

TRIES = 24
"""Halvings of a tolerance before the geometry is left as it is."""
LEAST_CUT = 1 / 16
"""Of the shortest edge: smaller cuts make vertices, but nothing rounder."""

XY = NDArray[np.float64]


def simplify(geometry: Any, tolerance: float, max_area_change: float = 0.01) -> Any:
    """Return the Polygon or MultiPolygon with fewer vertices: same parts and holes, valid.

    Vertices are a subset of the given ones (Douglas-Peucker that keeps the topology, from
    GEOS). Where the area would change too much or a ring would cross another, the
    tolerance is halved until that is no longer so; the geometry itself comes back where
    no tolerance will do.

    Args:
        geometry: Valid; None and empty geometries are returned as they are.
        tolerance: How far the outline may move, in the geometry's units; at the first
            vertex of a ring GEOS lets it move up to twice as far.
        max_area_change: Share of the area, 0..1, that may be added or taken in total.

    Raises:
        GeoreferenceError: No polygon, or a number out of range.
    """
    check_length("tolerance", tolerance)
    check_share(max_area_change)
    if is_blank(geometry) or tolerance == 0:
        return geometry
    left, bottom, right, top = geometry.bounds
    tolerance = min(tolerance, math.hypot(right - left, top - bottom))
    for _ in range(TRIES):
        simpler = shapely.simplify(geometry, tolerance, preserve_topology=True)
        if keeps_area(simpler, geometry, max_area_change) and keeps_shape(simpler, geometry):
            return simpler
        tolerance /= 2
    return geometry


def simplify_coverage(geometries: Any, tolerance: float) -> NDArray[Any]:
    """Return ``(n,)`` the geometries with fewer vertices; borders they share stay shared.

    Args:
        geometries: ``(n,)`` Polygons and MultiPolygons that form a coverage, as
            :func:`polygons_from_labels` gives them.
        tolerance: Square root of the area, in the geometries' units, of the triangles that
            may be cut off or filled in (Visvalingam and Whyatt, from GEOS): about the size
            of the details that go.

    Raises:
        GeoreferenceError: The geometries overlap, or borders they share have vertices of
            one side only; or the tolerance is negative.
    """
    check_length("tolerance", tolerance)
    coverage = np.asarray(geometries, dtype=object)
    if not len(coverage) or tolerance == 0:
        return coverage.copy()
    wrong = shapely.coverage_invalid_edges(coverage)
    faulty = np.flatnonzero(~shapely.is_empty(wrong))
    if len(faulty):
        raise GeoreferenceError(
            f"geometry {faulty[0]} overlaps a neighbour or does not share its vertices"
            f" ({len(faulty)} of {len(coverage)} do so); make them with polygons_from_labels"
        )
    simpler: NDArray[Any] = shapely.coverage_simplify(coverage, tolerance)
    return simpler


def smooth(geometry: Any, iterations: int = 2, max_area_change: float = 0.01) -> Any:
    """Return the Polygon or MultiPolygon with its corners cut: same parts and holes, valid.

    Chaikin's corner cutting (1974), each round of which doubles the vertices. A cut takes
    at most a quarter of an edge, and less of a long one where the area would change too
    much or rings would meet: stairs of pixels go first, straight walls stay. The geometry
    itself comes back where no cut of a sixteenth of the shortest edge will do.

    Args:
        geometry: Valid; None and empty geometries are returned as they are.
        iterations: Rounds, 0..8.
        max_area_change: Share of the area, 0..1, that may be added or taken in total.

    Raises:
        GeoreferenceError: No polygon, or a number out of range.
    """
    if not 0 <= iterations <= 8:
        raise GeoreferenceError(f"iterations are 0 to 8 rounds of smoothing, got {iterations}")
    check_share(max_area_change)
    if is_blank(geometry) or iterations == 0:
        return geometry
    outline = Outline.of(geometry)
    edges = np.hypot(*(outline.xy[outline.following] - outline.xy).T)
    limit, least = float(edges.max()) / 4, float(edges.min()) * LEAST_CUT
    while limit >= least:
        rounder = outline
        for _ in range(iterations):
            rounder = _corners_cut(rounder, limit)
        candidate = rounder.geometry(type(geometry))
        if keeps_area(candidate, geometry, max_area_change) and candidate.is_valid:
            return candidate
        limit /= 2
    return geometry


@dataclass(frozen=True, slots=True, eq=False)
class Outline:
    """The rings of a geometry as arrays."""

    xy: XY
    """``(n, 2)`` vertices of all rings, the closing ones left out."""
    ring: NDArray[np.intp]
    """``(n,)`` number of each vertex's ring."""
    part: NDArray[np.intp]
    """``(r,)`` number of the polygon that each ring belongs to, its exterior first."""

    @classmethod
    def of(cls, geometry: Any) -> Outline:
        """Return the rings of a Polygon or MultiPolygon."""
        rings, part = shapely.get_rings(shapely.get_parts(geometry), return_index=True)
        xy, ring = shapely.get_coordinates(rings, return_index=True)
        closing = np.diff(ring, append=-1) != 0
        return cls(xy[~closing], ring[~closing], part)

    @property
    def following(self) -> NDArray[np.intp]:
        """``(n,)`` the vertex after each on its ring."""
        first = np.flatnonzero(np.diff(self.ring, prepend=-1))
        following = np.arange(1, len(self.xy) + 1)
        following[np.append(first[1:], len(self.xy)) - 1] = first
        return following

    def rings(self) -> list[XY]:
        """Return the vertices of each ring."""
        return np.split(self.xy, np.flatnonzero(np.diff(self.ring)) + 1)

    def geometry(self, kind: type) -> Any:
        """Return the shapely geometry, a Polygon or MultiPolygon as ``kind`` says."""
        rings = shapely.linearrings(self.xy, indices=self.ring)
        polygons = shapely.polygons(rings, indices=self.part)
        return shapely.multipolygons(polygons) if kind is shapely.MultiPolygon else polygons[0]


def _corners_cut(outline: Outline, limit: float) -> Outline:
    """Return the outline with every corner replaced by a chord.

    Args:
        outline: What to cut.
        limit: How far from a corner its chord may begin.
    """
    edge = outline.xy[outline.following] - outline.xy
    share = np.minimum(0.25, limit / np.maximum(np.hypot(edge[:, 0], edge[:, 1]), 1e-300))
    near = share[:, None] * edge
    both = np.stack([outline.xy + near, outline.xy + edge - near], axis=1).reshape(-1, 2)
    return Outline(both, np.repeat(outline.ring, 2), outline.part)


def is_blank(geometry: Any) -> bool:
    """Return whether there is nothing to work on: None or an empty polygon.

    Raises:
        GeoreferenceError: It is something else than a Polygon or MultiPolygon.
    """
    if geometry is None:
        return True
    if not isinstance(geometry, shapely.Polygon | shapely.MultiPolygon):
        name = getattr(geometry, "geom_type", type(geometry).__name__)
        raise GeoreferenceError(f"only a Polygon or MultiPolygon can be reshaped, got a {name}")
    return bool(geometry.is_empty)


def check_length(name: str, value: float) -> None:
    """Make sure that a length is finite and not negative.

    Raises:
        GeoreferenceError: It is not.
    """
    if not (math.isfinite(value) and value >= 0):
        raise GeoreferenceError(f"{name} is a length in the geometry's units, got {value}")


def check_share(value: float) -> None:
    """Make sure that a share of the area is within 0..1.

    Raises:
        GeoreferenceError: It is not.
    """
    if not 0 <= value <= 1:
        raise GeoreferenceError(f"max_area_change is a share of 0..1, got {value}")


def keeps_area(candidate: Any, geometry: Any, max_area_change: float) -> bool:
    """Return whether the areas differ by no more than a share of the geometry's."""
    before, after = float(geometry.area), float(candidate.area)
    return abs(after - before) <= max_area_change * before


def keeps_shape(candidate: Any, geometry: Any) -> bool:
    """Return whether the candidate is valid and has the geometry's parts and holes."""
    ours, theirs = shapely.get_parts(candidate), shapely.get_parts(geometry)
    if len(ours) != len(theirs):
        return False
    holes = shapely.get_num_interior_rings
    return bool((holes(ours) == holes(theirs)).all() and candidate.is_valid)
