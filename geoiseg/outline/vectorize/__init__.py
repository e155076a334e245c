"""Masks to polygons, exactly, and polygons made simpler, smoother or right-angled.

Tracing: :func:`polygons_from_mask`, :func:`geometry_from_mask` and
:func:`polygons_from_labels` put every vertex on a pixel's corner; :func:`contour_from_mask`
and :func:`contours_from_labels` between the pixels' centres, without stairs. Reshaping:
:func:`simplify`, :func:`simplify_coverage`, :func:`smooth`, :func:`straighten` and
:func:`regularize` work in the units of the geometry and keep it valid and its area nearly what
it was.
"""

from __future__ import annotations

from geoiseg.outline.vectorize.generalize import simplify, simplify_coverage, smooth
from geoiseg.outline.vectorize.right_angles import regularize, regularize_together
from geoiseg.outline.vectorize.rows import row_direction
from geoiseg.outline.vectorize.straight import straight_lines, straighten
from geoiseg.outline.vectorize.trace import (
    contour_from_mask,
    contours_from_labels,
    geometry_from_mask,
    polygons_from_labels,
    polygons_from_mask,
)

__all__ = [
    "contour_from_mask",
    "contours_from_labels",
    "geometry_from_mask",
    "polygons_from_labels",
    "polygons_from_mask",
    "regularize",
    "regularize_together",
    "row_direction",
    "simplify",
    "simplify_coverage",
    "smooth",
    "straight_lines",
    "straighten",
]
