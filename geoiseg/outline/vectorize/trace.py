"""Masks and label images to polygons: along the pixels' edges, or without stairs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import shapely
from affine import Affine
from numpy.typing import ArrayLike, NDArray

from geoiseg.errors import GeoreferenceError
from geoiseg.outline.vectorize.contour import contour as contour_vertices
from geoiseg.outline.vectorize.corners import Image, find_corners
from geoiseg.outline.vectorize.rings import trace_rings
from geoiseg.outline.vectorize.tiled import corners_of_tiles
from geoiseg.segment.tiles import Tiles

Geometries = NDArray[np.object_]


def polygons_from_mask(mask: ArrayLike | Tiles, transform: Affine) -> Geometries:
    """Return ``(n,)`` valid Polygons with their holes, one for each 4-connected part.

    Together they cover exactly the mask's pixels. Every vertex is a corner of a pixel, and
    none lies amid a straight side. Parts that touch at a corner stay apart. Exteriors run
    anticlockwise (seen with y upwards), holes clockwise. Parts come in the order of their
    first pixels, row by row.

    Args:
        mask: ``(y, x)`` bool, True = object; also in tiles.
        transform: Pixel frame to the polygons' frame; rotated, sheared, south-up as it may
            be.

    Raises:
        GeoreferenceError: The mask is not two-dimensional or not bool, or the transform has
            no inverse.
    """
    return _polygons(_mask(mask), transform)[0]


def geometry_from_mask(mask: ArrayLike | Tiles, transform: Affine) -> Any:
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
    return _by_label(*_polygons(_labels(labels), transform))


def contour_from_mask(
    mask: ArrayLike | Tiles, transform: Affine, logits: NDArray[np.floating[Any]] | None = None
) -> Any:
    """Return the mask as one valid Polygon or MultiPolygon without stairs, None where it is empty.

    Vertices lie between the centres of pixels, so that rasterising by centres gives the mask
    back. Parts, holes and their order are those of :func:`polygons_from_mask`.

    Args:
        mask: As for :func:`polygons_from_mask`.
        transform: As for :func:`polygons_from_mask`.
        logits: ``(y, x)`` above 0 on the object: the outline lies where they are 0, as far
            as they agree with the mask.

    Raises:
        GeoreferenceError: As for :func:`polygons_from_mask`, or the logits have another shape.
    """
    image = _mask(mask)
    if logits is not None and logits.shape != image.shape:
        raise GeoreferenceError(f"the mask is {image.shape}, its logits {logits.shape}")
    polygons = _polygons(image, transform, _Contour(logits))[0]
    if len(polygons) > 1:
        return shapely.multipolygons(polygons)
    return polygons[0] if len(polygons) else None


def contours_from_labels(
    labels: ArrayLike, transform: Affine
) -> tuple[Geometries, NDArray[np.integer]]:
    """Return one Polygon or MultiPolygon without stairs for each label, and the labels.

    They are a valid coverage, as those of :func:`polygons_from_labels` are: neighbours share
    their borders vertex by vertex. Rasterising by centres gives the labels back.

    Args:
        labels: As for :func:`polygons_from_labels`.
        transform: As for :func:`polygons_from_mask`.

    Raises:
        GeoreferenceError: As for :func:`polygons_from_labels`.
    """
    return _by_label(*_polygons(_labels(labels), transform, _Contour()))


@dataclass(frozen=True, slots=True, eq=False)
class _Contour:
    """That the outline is to be without stairs, and what tells where it lies."""

    logits: NDArray[np.floating[Any]] | None = None


def _mask(mask: ArrayLike | Tiles) -> Image | Tiles:
    if isinstance(mask, Tiles):
        return mask
    image = np.asarray(mask)
    if image.ndim != 2 or image.dtype != np.bool_:
        raise GeoreferenceError(
            f"a mask is (y, x) bool, got {image.dtype} {image.shape}; use e.g. mask > 0"
        )
    return image


def _labels(labels: ArrayLike) -> Image:
    image = np.asarray(labels)
    if image.ndim != 2 or image.dtype.kind not in "iu":
        raise GeoreferenceError(
            f"a label image is (y, x) integers, got {image.dtype} {image.shape}"
        )
    return image


def _by_label(
    polygons: Geometries, label: NDArray[Any]
) -> tuple[Geometries, NDArray[np.integer[Any]]]:
    """Return one geometry for each label, and the labels, ascending."""
    ids, start, count = np.unique(label, return_index=True, return_counts=True)
    geometries = polygons[start]
    several = count > 1
    if several.any():
        part = np.repeat(several, count)
        whole = np.repeat(np.cumsum(several) - 1, count)[part]
        geometries[several] = shapely.multipolygons(polygons[part], indices=whole)
    return geometries, ids


def _polygons(
    traced: Image | Tiles, transform: Affine, contour: _Contour | None = None
) -> tuple[Geometries, NDArray[Any]]:
    """Return polygons and their labels, ordered by label and by first pixel."""
    coefficients = tuple(transform)[:6]
    if not all(map(math.isfinite, coefficients)) or transform.determinant == 0:
        raise GeoreferenceError(
            f"the transform {coefficients} has no inverse; fix the georeference"
        )
    corners = corners_of_tiles(traced) if isinstance(traced, Tiles) else find_corners(traced)
    image = cast("Image", traced)  # tiles are asked for their shape, type and single pixels
    if not len(corners.x):
        return np.zeros(0, np.object_), np.zeros(0, image.dtype)
    rings = trace_rings(image, corners)
    order = np.argsort(rings.shell, kind="stable")
    if image.dtype != np.bool_:
        order = order[np.argsort(rings.label[order], kind="stable")]
    exterior = rings.shell[order] == order
    if contour is None:
        corner = rings.corner
        pixel = np.column_stack([corners.x[corner], corners.y[corner]]).astype(np.float64)
        start = rings.start
    else:
        pixel, number = contour_vertices(image, corners, rings, contour.logits)
        start = np.append(np.flatnonzero(np.diff(number, prepend=-1)), len(number))
    xy, ring = _coordinates(pixel, start, order, transform)
    lines = shapely.linearrings(xy, indices=ring)
    polygons = shapely.polygons(lines, indices=np.cumsum(exterior) - 1)
    return polygons, rings.label[order[exterior]]


def _coordinates(
    pixel: NDArray[np.float64], start: NDArray[np.intp], order: NDArray[np.intp], t: Affine
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Return ``(m, 2)`` vertices and ``(m,)`` numbers of rings, in the order asked for.

    Args:
        pixel: ``(m, 2)`` vertices in the pixel frame, one ring after the other.
        start: ``(r + 1,)`` where each ring begins.
        order: ``(r,)`` of the rings.
        t: Pixel frame to the polygons' frame.
    """
    length = np.diff(start)[order]
    offset = np.cumsum(length) - length
    ring = np.repeat(np.arange(len(order)), length)
    step = np.arange(len(ring))
    if t.determinant > 0:
        place = step + np.repeat(start[:-1][order] - offset, length)
    else:  # mirrored: backwards, so that exteriors stay anticlockwise
        place = np.repeat(start[1:][order] - 1 + offset, length) - step
    x, y = pixel[place].T
    return np.column_stack([t.a * x + t.b * y + t.c, t.d * x + t.e * y + t.f]), ring
