"""Metres on the ground: areas, lengths and scales of any CRS, from one place.

A plane is believed where its areas are within one per cent of the ellipsoid's; everywhere
else, and for degrees and grads, the ellipsoid is asked (pyproj's ``Geod``, GeographicLib).
Heights and shifts to WGS 84 that a CRS brings along change nothing in x and y.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pyproj
import shapely
from numpy.typing import ArrayLike, NDArray

from geoiseg.raster.crs import XY, as_crs, has_way, moved_xy, plane_of

Metres = NDArray[np.float64]

TRUE_SCALE = 0.005
"""By how much the scale of a plane may differ from the ground's to be believed: one per cent of
an area."""
EDGE = 5_000.0
"""Metres of an edge at most: between its ends a straight line of the plane is a geodesic."""
MOST_VERTICES = 1 << 20
"""Of one geometry with its edges cut."""
STEP = 5.0
"""Metres to either side over which a scale is measured."""
POLE = 89.999
"""Degrees of latitude up to which there is an east."""
NO_LENGTH = {"", "unknown", "unity", "degree", "radian", "grad"}


@dataclass(frozen=True)
class Ground:
    """How the plane of a CRS lies on the ground."""

    crs: pyproj.CRS
    """Without heights and shifts."""
    unit: float
    """Metres in a unit of its axes, degrees where they are angles."""
    geod: pyproj.Geod | None
    """The ellipsoid; None for a plane that is nowhere on Earth, such as a site's own grid."""

    @staticmethod
    def of(crs: Any) -> Ground | None:
        """Return the ground under a CRS; None where it has no metres at all."""
        known = as_crs(crs)
        return None if known is None else _ground(plane_of(known))

    @property
    def in_angles(self) -> bool:
        """Whether the axes are longitude and latitude."""
        return bool(self.crs.is_geographic)

    def lonlat(self, xy: ArrayLike) -> XY:
        """Return ``(n, 2)`` longitude and latitude in degrees, NaN where a place has none.

        Of the CRS's own datum and prime meridian.
        """
        points = np.atleast_2d(np.asarray(xy, dtype=np.float64))
        if self.in_angles:
            return points * self.unit
        base = self.crs.geodetic_crs
        if base is None:
            return np.full(points.shape, np.nan)
        return moved_xy(points, self.crs, base) * _degrees(base)

    def scales(self, xy: ArrayLike) -> Metres:
        """Return ``(n, 4)`` metres per unit at places: along x, y, and both diagonals."""
        points = np.atleast_2d(np.asarray(xy, dtype=np.float64))
        if self.geod is None:
            return np.full((len(points), 4), self.unit)
        step = STEP / (self.unit * 111_000.0 if self.in_angles else self.unit)
        if self.in_angles:
            reach = POLE / self.unit
            points = np.column_stack([points[:, 0], np.clip(points[:, 1], -reach, reach)])
        ways = np.array([(1.0, 0.0), (0.0, 1.0), (0.5**0.5, 0.5**0.5), (0.5**0.5, -(0.5**0.5))])
        ahead = (points[:, None] + step * ways).reshape(-1, 2)
        behind = (points[:, None] - step * ways).reshape(-1, 2)
        return (self.distances(behind, ahead) / (2 * step)).reshape(-1, 4)

    def distances(self, start: ArrayLike, end: ArrayLike) -> Metres:
        """Return ``(n,)`` metres from places to places, NaN where one is not on the ground."""
        if self.geod is None:
            span = np.atleast_2d(np.asarray(end)) - np.atleast_2d(np.asarray(start))
            return np.asarray(np.hypot(*span.T) * self.unit)
        one, two = self.lonlat(start), self.lonlat(end)
        lost = np.isnan(one).any(axis=1) | np.isnan(two).any(axis=1)
        one, two = np.nan_to_num(one), np.nan_to_num(two)
        metres = np.asarray(self.geod.inv(*one.T, *two.T)[2], dtype=np.float64)
        return np.where(lost, np.nan, metres)

    def is_true(self, bounds: ArrayLike) -> bool:
        """Return whether the plane can be believed within ``xmin, ymin, xmax, ymax``."""
        if self.geod is None:
            return True
        if self.in_angles:
            return False
        xmin, ymin, xmax, ymax = np.asarray(bounds, dtype=np.float64)
        x, y = np.meshgrid(np.linspace(xmin, xmax, 5), np.linspace(ymin, ymax, 5))
        off = np.abs(self.scales(np.column_stack([x.ravel(), y.ravel()])) / self.unit - 1)
        return bool((off <= TRUE_SCALE).all())  # NaN is none

    def fine(self, geometry: Any) -> Any:
        """Return a geometry whose edges are cut so that each is a geodesic, nearly enough."""
        step = EDGE / (self.unit * 111_000.0 if self.in_angles else self.unit)
        length = float(shapely.length(geometry))
        return (
            shapely.segmentize(geometry, max(step, length / MOST_VERTICES)) if length else geometry
        )


@lru_cache(maxsize=64)
def _ground(crs: pyproj.CRS) -> Ground | None:
    if crs.is_geographic:
        geod = crs.get_geod()
        return None if geod is None else Ground(crs, _degrees(crs), geod)
    axes = crs.axis_info[:2]
    units = {axis.unit_conversion_factor for axis in axes}
    if len(units) != 1 or crs.is_geocentric or axes[0].unit_name.lower() in NO_LENGTH:
        return None
    unit = float(units.pop())
    if crs.is_projected:
        geod = crs.get_geod()
        if geod is None or crs.geodetic_crs is None or not has_way(crs, crs.geodetic_crs):
            return None
        return Ground(crs, unit, geod)
    return Ground(crs, unit, None) if unit > 0 else None


def _degrees(crs: pyproj.CRS) -> float:
    """Return the degrees in a unit of the axes of a CRS of longitude and latitude."""
    return math.degrees(crs.axis_info[0].unit_conversion_factor)


def measure_all(geometries: ArrayLike, crs: Any) -> Metres:
    """Return ``(n, 2)`` areas in square metres and lengths in metres of geometries.

    The length of a polygon is its perimeter, holes and all. NaN without a CRS or a geometry,
    with a CRS that has no metres, and where a vertex is not on the ground.
    """
    shapes = np.asarray(geometries, dtype=object).reshape(-1)
    found = np.full((len(shapes), 2), np.nan)
    ground = Ground.of(crs)
    there = np.flatnonzero(~shapely.is_missing(shapes))
    if ground is None or not len(there):
        return found
    bounds = shapely.total_bounds(shapes[there])
    if np.isfinite(bounds).all() and ground.is_true(bounds):
        areas, lengths = shapely.area(shapes[there]), shapely.length(shapes[there])
        found[there] = np.column_stack([areas * ground.unit**2, lengths * ground.unit])
        return found
    for number in there:
        found[number] = _measure(shapes[number], ground)
    return found


def measure(geometry: Any, crs: Any) -> tuple[float, float]:
    """Return area in square metres and perimeter or length in metres: see ``measure_all``."""
    area, length = measure_all(np.array([geometry], dtype=object), crs)[0].tolist()
    return area, length


def _measure(geometry: Any, ground: Ground) -> tuple[float, float]:
    if geometry.is_empty:
        return 0.0, 0.0
    bounds = shapely.bounds(geometry)
    if not np.isfinite(bounds).all():
        return math.nan, math.nan
    if ground.geod is None or ground.is_true(bounds):
        return float(geometry.area) * ground.unit**2, float(geometry.length) * ground.unit
    area = length = 0.0
    for part in shapely.get_parts(ground.fine(shapely.force_2d(geometry))):
        rings = [part] if part.geom_type != "Polygon" else [part.exterior, *part.interiors]
        for number, ring in enumerate(rings):
            lonlat = ground.lonlat(shapely.get_coordinates(ring))
            if np.isnan(lonlat).any():
                return math.nan, math.nan
            if part.geom_type == "Polygon":
                inside, _ = ground.geod.polygon_area_perimeter(*lonlat.T)
                area += -abs(inside) if number else abs(inside)
            length += float(ground.geod.line_length(*lonlat.T)) if len(lonlat) > 1 else 0.0
    return area, length


def distances(start: ArrayLike, end: ArrayLike, crs: Any) -> Metres:
    """Return ``(n,)`` metres between ``(n, 2)`` places; units of the coordinates without metres."""
    one = np.atleast_2d(np.asarray(start, dtype=np.float64))
    two = np.atleast_2d(np.asarray(end, dtype=np.float64))
    ground = Ground.of(crs)
    if ground is None or not len(one):
        return np.asarray(np.hypot(*(two - one).T))
    both = np.concatenate([one, two])
    if ground.is_true([*both.min(axis=0), *both.max(axis=0)]):
        return np.asarray(np.hypot(*(two - one).T) * ground.unit)
    return ground.distances(one, two)


def metres_per_unit(crs: Any, xy: ArrayLike) -> tuple[float, float]:
    """Return metres on the ground per unit along x and y at a place; ones where unknown.

    On the ellipsoid where the plane's scale is not true there, the unit of the axes otherwise.
    """
    ground = Ground.of(crs)
    if ground is None:
        return 1.0, 1.0
    here = ground.scales(np.asarray(xy, dtype=np.float64).reshape(1, 2))[0]
    nominal = 0.0 if ground.in_angles else ground.unit
    if np.isnan(here).any() or (np.abs(here - nominal) <= TRUE_SCALE * nominal).all():
        return (ground.unit, ground.unit) if nominal else (1.0, 1.0)
    return float(here[0]), float(here[1])
