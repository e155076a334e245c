"""Geometries of a raster on the map, with vertices added where straight edges bend."""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geoiseg.raster import XY, Grid
from geoiseg.widget.tiling.projection import MAX_LATITUDE, Projection, to_mercator, wrap

BEND = 0.1
"""Largest distance, in pixels of the raster, between an edge on the map and its true course."""
FINEST = 64
"""Most pieces an edge is cut into at a time."""
ROUNDS = 4
MAX_VERTICES = 200_000


def to_map(geometry: Any, grid: Grid, projection: Projection) -> Any:
    """Return a shapely geometry in the grid's CRS as ``(longitude, latitude)``.

    Every vertex stays; some are added. Longitudes run on across the antimeridian. A
    vertex without a place on the map is left out, and a ring that loses too many.
    """
    if geometry is None or geometry.is_empty:
        return geometry
    if not projection.flat:
        geometry = _bent(geometry, grid, projection)
    middle = (projection.bounds[0] + projection.bounds[2]) / 2

    def lonlat(xy: XY) -> XY:
        moved = projection.from_crs(xy)
        known = np.isfinite(moved[:, 0])
        moved[known, 0] = np.unwrap(moved[known, 0], period=360)
        if known.any():
            centre = moved[known, 0].mean()
            moved[known, 0] += wrap(centre, middle) - centre
        return moved

    if np.isfinite(projection.from_crs(shapely.get_coordinates(geometry))).all():
        return shapely.transform(geometry, lonlat)
    return _rebuilt(geometry, lonlat)


def _bent(geometry: Any, grid: Grid, projection: Projection) -> Any:
    """Return a geometry with vertices added until its edges follow their true course."""
    for _ in range(ROUNDS):
        starts, ends = _edges(geometry)
        if not len(starts) or len(starts) > MAX_VERTICES:
            return geometry
        bends = _bends(starts, ends, grid, projection)
        worst = float(bends.max(initial=0.0))
        if worst <= BEND:
            return geometry
        # a bend shrinks with the square of an edge's length
        cuts = np.clip(np.ceil(np.sqrt(bends / BEND)), 1, FINEST)
        lengths = np.hypot(*(ends - starts).T)
        geometry = shapely.segmentize(geometry, float((lengths / cuts)[bends > BEND].min()))
    return geometry


def _edges(geometry: Any) -> tuple[XY, XY]:
    xy, part = shapely.get_coordinates(_lines(geometry), return_index=True)
    joined = part[1:] == part[:-1]
    return xy[:-1][joined], xy[1:][joined]


def _lines(geometry: Any) -> NDArray[Any]:
    """Return every ring and line of a geometry."""
    parts = shapely.get_parts(geometry)
    while (shapely.get_num_geometries(parts) > 1).any():
        parts = shapely.get_parts(parts)
    areal = shapely.get_type_id(parts) == shapely.GeometryType.POLYGON
    rings: NDArray[Any] = np.concatenate([parts[~areal], shapely.get_rings(parts[areal])])
    return rings


def _bends(starts: XY, ends: XY, grid: Grid, projection: Projection) -> NDArray[np.float64]:
    """Return how far the middle of each edge leaves its straight line, in raster pixels."""
    lonlats = [projection.from_crs(xy) for xy in (starts, (starts + ends) / 2, ends)]
    for lonlat in lonlats[1:]:
        lonlat[:, 0] = wrap(lonlat[:, 0], lonlats[0][:, 0])
        lonlat[np.abs(lonlat[:, 1]) > MAX_LATITUDE] = np.nan
    first, middle, last = (to_mercator(lonlat) for lonlat in lonlats)
    off = np.hypot(*((first + last) / 2 - middle).T)
    along = np.hypot(*(last - first).T)
    pixels = np.hypot(*(grid.to_pixel(ends) - grid.to_pixel(starts)).T)
    with np.errstate(divide="ignore", invalid="ignore"):
        bend = off / along * pixels
    return np.where(np.isfinite(bend), bend, 0.0)


def _rebuilt(geometry: Any, lonlat: Any) -> Any:
    """Return a geometry of those vertices that have a place on the map."""

    def kept(ring: Any) -> XY:
        moved: XY = lonlat(shapely.get_coordinates(ring))
        return moved[np.isfinite(moved).all(axis=1)]

    kind = geometry.geom_type
    if kind == "Polygon":
        shell = kept(geometry.exterior)
        if len(shell) < 4:
            return shapely.Polygon()
        holes = [hole for hole in map(kept, geometry.interiors) if len(hole) >= 4]
        return shapely.make_valid(shapely.Polygon(shell, holes))
    if kind in ("LineString", "LinearRing"):
        line = kept(geometry)
        return shapely.LineString(line) if len(line) > 1 else shapely.LineString()
    if kind == "Point":
        place = kept(geometry)
        return shapely.Point(place[0]) if len(place) else shapely.Point()
    parts = [_rebuilt(part, lonlat) for part in geometry.geoms]
    left = [part for part in parts if not part.is_empty]
    return (
        shapely.GeometryCollection(left)
        if kind == "GeometryCollection"
        else shapely.union_all(left)
    )
