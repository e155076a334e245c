"""Outlines changed by hand: vertices, strokes, cuts and holes. Pure; in any one plane.

What an edit does to an outline is the same whoever asks; how wide a brush is on the ground, and
which neighbours follow, is for the caller to say.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

from geoiseg.errors import PromptError

XY = NDArray[np.float64]


def nearest_vertex(outline: Any, xy: ArrayLike) -> XY:
    """Return ``(2,)`` the vertex of an outline that is nearest to a place."""
    vertices = shapely.get_coordinates(outline)
    place = np.asarray(xy, np.float64).reshape(2)
    found: XY = vertices[int(((vertices - place) ** 2).sum(axis=1).argmin())]
    return found


def vertex_moved(outline: Any, at: XY, to: ArrayLike) -> Any:
    """Return an outline with one vertex elsewhere, wherever the outline has it.

    Raises:
        PromptError: Nothing with an area is left.
    """
    target = np.asarray(to, np.float64).reshape(2)

    def moved(xy: XY) -> XY:
        here = (xy == at).all(axis=1)
        return np.where(here[:, None], target, xy)

    return whole(shapely.transform(outline, moved))


def has_vertex(outline: Any, at: XY) -> bool:
    """Return whether an outline has a vertex at exactly a place."""
    return bool((shapely.get_coordinates(outline) == at).all(axis=1).any())


def vertex_added(outline: Any, at: ArrayLike, to: ArrayLike | None = None, reach: float = 0) -> Any:
    """Return an outline with a new vertex on its edge nearest to a place.

    Args:
        outline: Polygon or MultiPolygon.
        at: Where the edge is looked for.
        to: Where the vertex goes; the place on the edge itself by default.
        reach: Other edges that pass within this distance of it get the vertex, too: an outline
            without such an edge stays as it is. 0 takes the nearest edge, however far.
    """
    place = shapely.Point(np.asarray(at, np.float64).reshape(2))
    if reach and shapely.distance(shapely.boundary(outline), place) > reach:
        return outline
    rings = _rings(outline)
    lines = np.array([shapely.LineString(ring) for ring in rings])
    chosen = int(shapely.distance(lines, place).argmin())
    ring = rings[chosen]
    edges = shapely.linestrings(np.stack([ring[:-1], ring[1:]], axis=1))
    edge = int(shapely.distance(edges, place).argmin())
    on_edge = shapely.get_coordinates(shapely.line_interpolate_point(
        edges[edge], shapely.line_locate_point(edges[edge], place)))[0]  # fmt: skip
    vertex = on_edge if to is None else np.asarray(to, np.float64).reshape(2)
    rings[chosen] = np.insert(ring, edge + 1, vertex, axis=0)
    return whole(_of_rings(outline, rings))


def vertex_deleted(outline: Any, at: XY) -> Any:
    """Return an outline without one vertex; a hole or part of fewer than three goes with it.

    Raises:
        PromptError: Nothing with an area is left.
    """
    rings = []
    for ring in _rings(outline):
        kept = ring[:-1][(ring[:-1] != at).any(axis=1)]
        rings.append(np.vstack([kept, kept[:1]]) if len(kept) > 2 else kept[:0])
    return whole(_of_rings(outline, rings))


def painted(xy: XY, radius: float, scale: tuple[float, float] = (1.0, 1.0)) -> Any:
    """Return the ground of a stroke with a brush that is round on the ground.

    Args:
        xy: ``(n, 2)`` vertices of the stroke; one is a dab.
        radius: Of the brush, in metres.
        scale: Metres per unit of the plane along its axes.
    """
    places = np.asarray(xy, np.float64).reshape(-1, 2) * scale
    stroke = shapely.LineString(places) if len(places) > 1 else shapely.Point(places[0])
    ground = shapely.buffer(stroke, radius, quad_segs=8)
    return shapely.transform(ground, lambda xy: xy / scale)


def split(outline: Any, line: Any) -> tuple[Any, ...]:
    """Return the parts that a line cuts an outline into, the largest first.

    The two sides have the same vertices along the cut.

    Raises:
        PromptError: The line does not cut it in two.
    """
    cut = shapely.intersection(line, outline)
    noded = shapely.node(shapely.union_all([shapely.boundary(outline), cut]))
    pieces = shapely.get_parts(shapely.polygonize(shapely.get_parts(noded)))
    kept = [one for one in pieces
            if shapely.contains(outline, shapely.point_on_surface(one))]  # fmt: skip
    if len(kept) <= len(shapely.get_parts(outline)):
        raise PromptError("the line does not cut the outline: draw it from one side to the other")
    return tuple(sorted(kept, key=lambda one: -one.area))


def hole_cut(outline: Any, ring: Any) -> Any:
    """Return an outline without the ground inside a ring.

    Raises:
        PromptError: The ring has no area, lies off the outline, or holds all of it.
    """
    ground = shapely.make_valid(shapely.Polygon(ring), method="structure", keep_collapsed=False)
    if ground.is_empty or not shapely.intersects(ground, outline):
        raise PromptError("a hole is drawn around ground inside of the outline")
    return whole(shapely.difference(outline, ground))


def hole_filled(outline: Any, at: ArrayLike) -> Any:
    """Return an outline without the hole that a place lies in.

    Raises:
        PromptError: There is no hole there.
    """
    place = shapely.Point(np.asarray(at, np.float64).reshape(2))
    parts, found = [], False
    for part in shapely.get_parts(outline):
        holes = [shapely.Polygon(ring) for ring in part.interiors]
        kept = [hole for hole in holes if not shapely.covers(hole, place)]
        found = found or len(kept) < len(holes)
        parts.append(shapely.Polygon(part.exterior, [hole.exterior for hole in kept]))
    if not found:
        raise PromptError("there is no hole here to fill")
    return whole(shapely.union_all(parts))


def moved(outline: Any, dx: float, dy: float, ground: Any) -> Any:
    """Return an outline somewhere else.

    Args:
        outline: Polygon or MultiPolygon.
        dx: How far, in units of the CRS.
        dy: Likewise.
        ground: Where at least a part of it has to lie.

    Raises:
        PromptError: None of it would.
    """
    there = shapely.transform(outline, lambda xy: xy + np.array([dx, dy]))
    if not shapely.intersects(there, ground):
        raise PromptError("the outline would lie off the raster: move it less far")
    return there


def whole(outline: Any) -> Any:
    """Return an outline as a valid Polygon or MultiPolygon.

    Raises:
        PromptError: It has no area.
    """
    valid = outline
    if not shapely.is_valid(outline):
        valid = shapely.make_valid(outline, method="structure", keep_collapsed=False)
    parts = [one for one in shapely.get_parts(valid, return_index=False)
             if one.geom_type == "Polygon" and one.area > 0]  # fmt: skip
    if not parts:
        raise PromptError("nothing of the outline would be left: delete it instead")
    return parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts)


def _rings(outline: Any) -> list[XY]:
    """Return ``(n, 2)`` the vertices of each ring, part by part, the outer one first."""
    return [shapely.get_coordinates(ring) for part in shapely.get_parts(outline)
            for ring in (part.exterior, *part.interiors)]  # fmt: skip


def _of_rings(outline: Any, rings: list[XY]) -> Any:
    """Return an outline of other rings, which are in the order of ``_rings``; empty ones go."""
    left = iter(rings)
    parts = []
    for part in shapely.get_parts(outline):
        outer, *inner = (next(left) for _ in range(1 + len(part.interiors)))
        if len(outer):
            parts.append(shapely.Polygon(outer, [ring for ring in inner if len(ring)]))
    return shapely.MultiPolygon(parts)
