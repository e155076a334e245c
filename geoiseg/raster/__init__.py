"""A file becomes chips.

In: a path, a URL, a dataset, a DataArray. Out: a lazy :class:`Raster` with a :class:`Grid` and
one :class:`Stretch`, read as a :class:`Chip` of colours and validity.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoiseg.lazy import lazy

if TYPE_CHECKING:
    from geoiseg.raster.arrays import BoolArray, FloatArray
    from geoiseg.raster.grid import (
        XY,
        ChipPlan,
        Grid,
        Window,
        as_crs,
        box_outline,
        reproject_frame,
        reproject_geometry,
        reproject_xy,
    )
    from geoiseg.raster.image import Chip, Stretch
    from geoiseg.raster.readers import Raster, open_raster

__all__ = [
    "XY",
    "BoolArray",
    "Chip",
    "ChipPlan",
    "FloatArray",
    "Grid",
    "Raster",
    "Stretch",
    "Window",
    "as_crs",
    "box_outline",
    "open_raster",
    "reproject_frame",
    "reproject_geometry",
    "reproject_xy",
]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "arrays": ["BoolArray", "FloatArray"],
        "grid": [
            "XY",
            "ChipPlan",
            "Grid",
            "Window",
            "as_crs",
            "box_outline",
            "reproject_frame",
            "reproject_geometry",
            "reproject_xy",
        ],
        "image": ["Chip", "Stretch"],
        "readers": ["Raster", "open_raster"],
    },
)
