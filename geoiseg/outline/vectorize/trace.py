"""Masks and label images to polygons whose vertices are pixel corners, exactly."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import shapely
from affine import Affine
from numpy.typing import ArrayLike, NDArray

from geoiseg.errors import GeoreferenceError
from geoiseg.outline.vectorize.corners import Corners, Image, find_corners
from geoiseg.outline.vectorize.rings import Rings, trace_rings

Geometries = NDArray[np.object_]


def polygons_from_mask(mask: ArrayLike, transform: Affine) -> Geometries:
    """Return ``(n,)`` valid Polygons with their holes, one for each 4-connected part.

    Together they cover exactly the mask's pixels. Every vertex is a corner of a pixel, and
    none lies amid a straight side. Parts that touch at a corner stay apart. Exteriors run
    anticlockwise (seen with y upwards), holes clockwise. Parts come in the order of their
    first pixels, row by row.

    Args:
        mask: ``(y, x)`` bool, True = object.
        transform: Pixel frame to the polygons' frame; rotated, sheared, south-up as it may
            be.

    Raises:
        GeoreferenceError: The mask is not two-dimensional or not bool, or the transform has
            no inverse.
    """
    image = np.asarray(mask)
    if image.ndim != 2 or image.dtype != np.bool_:
        raise GeoreferenceError(
            f"a mask is (y, x) bool, got {image.dtype} {image.shape}; use e.g. mask > 0"
        )
    return _polygons(image, transform)[0]


def geometry_from_mask(mask: ArrayLike, transform: Affine) -> Any:
    """Return the mask as one valid Polygon or MultiPolygon, None where it is empty.

    Args:
        mask: As for :func:`polygons_from_mask`.
        transform: As for :func:`polygons_from_mask`.

    Raises:
        GeoreferenceError: As for :func:`polygons_from_mask`.
    """
    polygons = polygons_from_mask(mask, transform)
    if len(polygons) > 1:
        return shapely.multipolygons(polygons)
    return polygons[0] if len(polygons) else None


def polygons_from_labels(
    labels: ArrayLike, transform: Affine
) -> tuple[Geometries, NDArray[np.integer]]:
    """Return one Polygon or MultiPolygon for each label, and the labels, ascending.

    The geometries are those of :func:`polygons_from_mask` for each label alone, with one
    more vertex wherever three or more regions (the background is one) meet on a straight
    side. So they are a valid coverage: borders are shared vertex by vertex, and
    :func:`simplify_coverage` and ``shapely.coverage_union_all`` keep their promises.

    Args:
        labels: ``(y, x)`` integers, 0 = background.
        transform: As for :func:`polygons_from_mask`.

    Returns:
        ``(n,)`` geometries and ``(n,)`` labels in the image's dtype.

    Raises:
        GeoreferenceError: The image is not two-dimensional or not of integers, or the
            transform has no inverse.
    """
    image = np.asarray(labels)
    if image.ndim != 2 or image.dtype.kind not in "iu":
        raise GeoreferenceError(
            f"a label image is (y, x) integers, got {image.dtype} {image.shape}"
        )
    polygons, label = _polygons(image, transform)
    ids, start, count = np.unique(label, return_index=True, return_counts=True)
    geometries = polygons[start]
    several = count > 1
    if several.any():
        part = np.repeat(several, count)
        whole = np.repeat(np.cumsum(several) - 1, count)[part]
        geometries[several] = shapely.multipolygons(polygons[part], indices=whole)
    return geometries, ids


def _polygons(image: Image, transform: Affine) -> tuple[Geometries, NDArray[Any]]:
    """Return polygons and their labels, ordered by label and by first pixel."""
    coefficients = tuple(transform)[:6]
    if not all(map(math.isfinite, coefficients)) or transform.determinant == 0:
        raise GeoreferenceError(
            f"the transform {coefficients} has no inverse; fix the georeference"
        )
    corners = find_corners(image)
    if not len(corners.x):
        return np.zeros(0, np.object_), np.zeros(0, image.dtype)
    rings = trace_rings(image, corners)
    order = np.argsort(rings.shell, kind="stable")
    if image.dtype != np.bool_:
        order = order[np.argsort(rings.label[order], kind="stable")]
    exterior = rings.shell[order] == order
    xy, ring = _coordinates(rings, order, corners, transform)
    lines = shapely.linearrings(xy, indices=ring)
    polygons = shapely.polygons(lines, indices=np.cumsum(exterior) - 1)
    return polygons, rings.label[order[exterior]]


def _coordinates(
    rings: Rings, order: NDArray[np.intp], corners: Corners, transform: Affine
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Return ``(m, 2)`` vertices and ``(m,)`` numbers of rings, in the order asked for."""
    length = np.diff(rings.start)[order]
    offset = np.cumsum(length) - length
    ring = np.repeat(np.arange(len(order)), length)
    step = np.arange(len(ring))
    if transform.determinant > 0:
        corner = rings.corner[step + np.repeat(rings.start[:-1][order] - offset, length)]
    else:  # mirrored: backwards, so that exteriors stay anticlockwise
        corner = rings.corner[np.repeat(rings.start[1:][order] - 1 + offset, length) - step]
    x, y = corners.x[corner].astype(np.float64), corners.y[corner].astype(np.float64)
    t = transform
    return np.column_stack([t.a * x + t.b * y + t.c, t.d * x + t.e * y + t.f]), ring
