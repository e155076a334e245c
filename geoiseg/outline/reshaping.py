"""Outlines changed in ground units: holes filled, small parts dropped, borders moved."""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely
from affine import Affine

from geoiseg.raster import Grid

QUADRANT = 4
"""Segments of a quarter of the circles that corners become as a border moves."""


def reshape(
    geometry: Any, grid: Grid, *, holes: float = 0.0, parts: float = 0.0, grow: float = 0.0
) -> Any:
    """Return an outline with its border moved, without small holes and parts.

    Args:
        geometry: Polygon or MultiPolygon in the CRS of the grid.
        grid: Of the raster that it was drawn on; metres are units of the transform where its CRS
            is not of the Earth.
        holes: Square metres below which holes are filled.
        parts: Square metres below which parts are dropped, but never the largest.
        grow: Metres that the border moves outwards; below 0 inwards.

    Returns:
        None where nothing is left.
    """
    middle = shapely.get_coordinates(shapely.centroid(geometry))
    edges = grid.pixel_edges_metres(grid.to_pixel(middle)[0]) or grid.pixel_size
    _, to_crs = ground_frame(grid, edges)
    shape = moved(geometry, ~to_crs)
    unit = float((edges[0] * edges[1]) ** 0.5)
    shape = reshaped(shape, holes, parts, grow, unit)
    return None if shape is None else moved(shape, to_crs)


def reshaped(shape: Any, holes: float, parts: float, grow: float, unit: float) -> Any:
    """Return what ``reshape`` does, in a frame where lengths are true.

    Args:
        shape: In the ground frame.
        holes: As ``reshape`` takes it.
        parts: As ``reshape`` takes it.
        grow: As ``reshape`` takes it.
        unit: Metres of a unit of that frame.
    """
    if grow:
        shape = shapely.buffer(shape, grow / unit, quad_segs=QUADRANT)
    polygons = [part for part in shapely.get_parts(shape) if not part.is_empty]
    if not polygons:
        return None
    square = unit * unit
    largest = max(polygons, key=lambda one: float(one.area))
    kept = [one for one in polygons if one is largest or one.area * square >= parts]
    if holes:
        kept = [_filled(one, holes / square) for one in kept]
    whole = shapely.union_all(kept) if len(kept) > 1 else kept[0]
    return whole if whole.is_valid else shapely.make_valid(whole, method="structure")


def _filled(polygon: Any, least: float) -> Any:
    """Return a polygon without its holes of less than an area."""
    rings = [ring for ring in polygon.interiors if shapely.Polygon(ring).area >= least]
    return shapely.Polygon(polygon.exterior, rings)


def ground_frame(grid: Grid, edges: tuple[float, float]) -> tuple[Affine, Affine]:
    """Return pixel -> ground frame (units of a pixel, true proportions) and ground -> CRS.

    Args:
        grid: Of a raster.
        edges: Width and height of a pixel on the ground.
    """
    ratio = float(np.divide(*edges))
    ground = Affine.scale(ratio**0.5, ratio**-0.5)
    return ground, grid.transform @ ~ground


def moved(geometry: Any, transform: Affine) -> Any:
    """Return a geometry in another frame, valid there."""
    t = transform
    matrix = (t.a, t.b, t.d, t.e, t.c, t.f)
    there = shapely.affinity.affine_transform(geometry, matrix)
    return there if there.is_valid else shapely.make_valid(there, method="structure")
