"""The line between water and land, or between any two classes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import shapely
from affine import Affine
from numpy.typing import ArrayLike, NDArray

from geoiseg.errors import GeoreferenceError
from geoiseg.outline.coverage.frame import Frame
from geoiseg.outline.coverage.reshape import simplified, smoothed
from geoiseg.outline.vectorize import polygons_from_labels

Lines = NDArray[Any]

TRIES = 12
"""Halvings of the limits before a line is left as it is."""
FIRST = 0.75
"""Share of the deviation that simplifying may use up."""
ROUNDS = 3
"""Rounds of corner cutting: eight vertices for one."""


def shoreline_from_mask(
    mask: ArrayLike, transform: Affine, valid: ArrayLike | None = None
) -> Lines:
    """Return ``(n,)`` LineStrings between water and land, exactly along the pixels' edges.

    What bounds the water at the image's frame, or against pixels without data, is left out.
    Rings (islands, lakes) are closed lines.

    Args:
        mask: ``(y, x)`` bool, True = water.
        transform: Pixel frame to the lines' frame.
        valid: ``(y, x)`` bool, True = data; all of it by default.

    Raises:
        GeoreferenceError: The shapes differ, or the mask is not ``(y, x)`` bool.
    """
    water = np.asarray(mask)
    data = np.ones(water.shape, bool) if valid is None else np.asarray(valid)
    if water.ndim != 2 or water.dtype != np.bool_ or data.shape != water.shape:
        raise GeoreferenceError(
            f"mask and valid are (y, x) bool, got {water.dtype} {water.shape} and {data.shape}"
        )
    labels = np.where(data, np.where(water, 1, 2), 0)
    shapes, ids = polygons_from_labels(labels, transform)
    if len(ids) < 2 or set(ids.tolist()) != {1, 2}:
        return np.zeros(0, object)
    return _merged(shapely.shared_paths(*_collected(shapes)))


def _collected(shapes: Lines) -> tuple[Any, Any]:
    lines = [shapely.MultiLineString(list(shapely.get_rings(shapely.get_parts(shape))))
             for shape in shapes]  # fmt: skip
    return lines[0], lines[1]


def _merged(geometry: Any) -> Lines:
    """Return ``(n,)`` LineStrings of what a geometry has of lines, longest first."""
    parts = shapely.get_parts(shapely.get_parts(geometry))
    lines = parts[np.isin(shapely.get_type_id(parts), (1, 5))]
    if not len(lines):
        return np.zeros(0, object)
    merged: Lines = shapely.get_parts(shapely.line_merge(shapely.union_all(lines)))
    return merged[np.argsort(-shapely.length(merged), kind="stable")]


def boundary_lines(
    shape: Any, *, other: Any = None, extent: Any = None, margin: float = 0.0, crs: Any = None
) -> Lines:
    """Return ``(n,)`` LineStrings of a shape's boundary, longest first, artefacts left out.

    Args:
        shape: Polygon or MultiPolygon: the water, or one of two classes.
        other: The other class: only the boundary with it counts.
        extent: Polygon or MultiPolygon of the raster's valid ground: what bounds the shape
            along the extent's own boundary is the frame or nodata, and is left out.
        margin: In metres, how near to the other class or to the extent's boundary counts
            as on it: about a pixel and a half where outlines were simplified.
        crs: Of all of them; without one the margin is in the units of the coordinates.

    Raises:
        GeoreferenceError: Something is no polygon, or the margin is negative.
    """
    if not (math.isfinite(margin) and margin >= 0):
        raise GeoreferenceError(f"the margin is a length in metres, got {margin}")
    for given in (shape, other, extent):
        if given is not None and not isinstance(given, shapely.Polygon | shapely.MultiPolygon):
            name = getattr(given, "geom_type", type(given).__name__)
            raise GeoreferenceError(f"a shoreline is drawn from polygons, got a {name}")
    frame = Frame.of(np.array([shape], dtype=object), crs, 0.0)

    def rim(geometry: Any) -> Any:
        line = shapely.boundary(frame.into(np.array([geometry], dtype=object))[0])
        return shapely.segmentize(line, 4 * margin) if margin else line

    line = rim(shape)
    if other is not None:
        near = rim(other)
        near = shapely.buffer(near, margin) if margin else near
        line = shapely.intersection(line, near)
    if extent is not None:
        frame_of_it = rim(extent)
        line = shapely.difference(
            line, shapely.buffer(frame_of_it, margin, cap_style="flat") if margin else frame_of_it
        )
    lines = _merged(shapely.GeometryCollection([line]))
    if margin:
        lines = shapely.simplify(lines, 0.0)  # vertices amid straight sides go again
    back: Lines = shapely.transform(lines, frame.back)
    return back


def smooth_lines(lines: ArrayLike, deviation: float, crs: Any = None) -> Lines:
    """Return ``(n,)`` lines that are simplified and rounded, none farther off than allowed.

    Simplified by Douglas and Peucker, then corners are cut (Chaikin, 1974). Ends stay, and
    no line crosses itself that did not before. The Hausdorff distance to the given line is
    measured, and the limits are halved until it is within the deviation.

    Args:
        lines: ``(n,)`` LineStrings.
        deviation: In metres; in the units of the coordinates without a CRS.
        crs: Of the lines.

    Raises:
        GeoreferenceError: The deviation is negative.
    """
    if not (math.isfinite(deviation) and deviation >= 0):
        raise GeoreferenceError(f"the deviation is a length in metres, got {deviation}")
    given = np.asarray(lines, dtype=object).reshape(-1)
    if not len(given) or deviation == 0:
        return given.copy()
    frame = Frame.of(given, crs, 0.0)
    before = frame.into(given)
    result = before.copy()
    left = np.arange(len(given))
    limit = np.full(len(given), deviation)
    simple = shapely.is_simple(before)
    for _ in range(TRIES):
        some, limits = before[left], limit[left]
        tried = smoothed(simplified(some, limits * FIRST), limits, ROUNDS)
        off = shapely.hausdorff_distance(some, tried, densify=0.2)
        good = (off <= deviation) & (shapely.is_simple(tried) | ~simple[left])
        result[left[good]] = tried[good]
        left = left[~good]
        if not len(left):
            break
        limit[left] /= 2
    moved: Lines = shapely.transform(result, frame.back)
    return moved
