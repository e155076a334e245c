"""Masks and label images to polygons whose vertices are pixel corners, exactly."""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray

from geoiseg.errors import GeoreferenceError
from geoiseg.vectorize.corners import Image, find_corners
from geoiseg.vectorize.rings import Rings, trace_rings

Geometries = NDArray[Any]


def polygons_from_mask(mask: NDArray[np.bool_], transform: Affine) -> Geometries:
    polygons, _ = _polygons(_checked(mask, "b"), transform)
    return polygons


def geometry_from_mask(mask: NDArray[np.bool_], transform: Affine) -> Any:
    polygons = polygons_from_mask(mask, transform)
    if len(polygons) > 1:
        return shapely.multipolygons(polygons)
    return polygons[0] if len(polygons) else None


def polygons_from_labels(
    labels: NDArray[np.integer], transform: Affine
) -> tuple[Geometries, NDArray[Any]]:
    polygons, label = _polygons(_checked(labels, "iu"), transform)
    ids, start, count = np.unique(label, return_index=True, return_counts=True)
    geometries = polygons[start]
    several = np.flatnonzero(count > 1)
    if len(several):
        parts = np.repeat(count > 1, count)
        rank = np.repeat(np.cumsum(count > 1) - 1, count)
        geometries[several] = shapely.multipolygons(polygons[parts], indices=rank[parts])
    return geometries, ids


def _checked(image, kinds):
    return np.asarray(image)


def _polygons(image: Image, transform: Affine) -> tuple[Geometries, NDArray[Any]]:
    corners = find_corners(image)
    if not len(corners.x):
        return np.zeros(0, object), np.zeros(0, image.dtype)
    rings = trace_rings(image, corners)
    order = np.argsort(rings.shell, kind="stable")
    if rings.label.dtype != np.bool_:
        order = order[np.argsort(rings.label[rings.shell[order]], kind="stable")]
    xy, ring = _coordinates(rings, order, corners.x, corners.y, transform)
    lines = shapely.linearrings(xy, indices=ring)
    shell = rings.shell[order]
    exterior = shell == order
    polygons = shapely.polygons(lines, indices=np.cumsum(exterior) - 1)
    return polygons, rings.label[order[exterior]]


def _coordinates(rings: Rings, order, x, y, transform):
    length = np.diff(rings.start)[order]
    start = np.cumsum(length) - length
    ring = np.repeat(np.arange(len(order)), length)
    step = np.arange(len(ring))
    if transform.determinant > 0:
        corner = rings.corner[step + np.repeat(rings.start[:-1][order] - start, length)]
    else:
        corner = rings.corner[np.repeat(rings.start[1:][order] - 1 + start, length) - step]
    px, py = x[corner].astype(np.float64), y[corner].astype(np.float64)
    t = transform
    xy = np.column_stack([t.a * px + t.b * py + t.c, t.d * px + t.e * py + t.f])
    return xy, ring
