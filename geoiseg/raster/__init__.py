"""A file becomes chips.

In: a path, a URL, a dataset, a DataArray. Out: a lazy :class:`Raster` with a :class:`Grid` and
one :class:`Stretch`, read as a :class:`Chip` of colours and validity.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoiseg.lazy import lazy

if TYPE_CHECKING:
    from geoiseg.raster.arrays import BoolArray, FloatArray
    from geoiseg.raster.crs import XY, as_crs, reproject_geometry, reproject_xy
    from geoiseg.raster.grid import ChipPlan, Grid, Window, box_outline
    from geoiseg.raster.ground import measure, measure_all, metres_per_unit
    from geoiseg.raster.image import Chip, Stretch
    from geoiseg.raster.readers import Raster, open_raster
    from geoiseg.raster.turns import cut, eastward, gathered, joined, unrolled

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
    "cut",
    "eastward",
    "gathered",
    "joined",
    "measure",
    "measure_all",
    "metres_per_unit",
    "open_raster",
    "reproject_geometry",
    "reproject_xy",
    "unrolled",
]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "arrays": ["BoolArray", "FloatArray"],
        "crs": ["XY", "as_crs", "reproject_geometry", "reproject_xy"],
        "grid": ["ChipPlan", "Grid", "Window", "box_outline"],
        "ground": ["measure", "measure_all", "metres_per_unit"],
        "image": ["Chip", "Stretch"],
        "readers": ["Raster", "open_raster"],
        "turns": ["cut", "eastward", "gathered", "joined", "unrolled"],
    },
)
