"""Masks become polygons and lines.

In: a mask or label image with its grid, or polygons that share borders. Out: valid geometries
in the CRS, exact or reshaped within bounds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoiseg.lazy import lazy

if TYPE_CHECKING:
    from geoiseg.outline.connected import parts_of
    from geoiseg.outline.draw import Line, OutlineOptions, outline, redrawn
    from geoiseg.outline.reshaping import reshape
    from geoiseg.outline.vectorize import contours_from_labels, polygons_from_labels

__all__ = [
    "Line",
    "OutlineOptions",
    "contours_from_labels",
    "outline",
    "parts_of",
    "polygons_from_labels",
    "redrawn",
    "reshape",
]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "connected": ["parts_of"],
        "draw": ["Line", "OutlineOptions", "outline", "redrawn"],
        "reshaping": ["reshape"],
        "vectorize": ["contours_from_labels", "polygons_from_labels"],
    },
)
