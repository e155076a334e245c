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
    from geoiseg.raster.grid import ChipPlan, Grid, Window
    from geoiseg.raster.ground import distances, measure, measure_all, metres_per_unit
    from geoiseg.raster.image import Chip, Stretch
    from geoiseg.raster.places import alongside, apart, box_outline, cut, gathered, joined
    from geoiseg.raster.readers import Raster, open_raster
    from geoiseg.raster.readers.naming import moved_beside, part_name, raster_is_there
    from geoiseg.raster.turns import eastward, turn_of, unrolled

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
    "alongside",
    "apart",
    "as_crs",
    "box_outline",
    "cut",
    "distances",
    "eastward",
    "gathered",
    "joined",
    "measure",
    "measure_all",
    "metres_per_unit",
    "moved_beside",
    "open_raster",
    "part_name",
    "raster_is_there",
    "reproject_geometry",
    "reproject_xy",
    "turn_of",
    "unrolled",
]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "arrays": ["BoolArray", "FloatArray"],
        "crs": ["XY", "as_crs", "reproject_geometry", "reproject_xy"],
        "grid": ["ChipPlan", "Grid", "Window"],
        "ground": ["distances", "measure", "measure_all", "metres_per_unit"],
        "image": ["Chip", "Stretch"],
        "readers": ["Raster", "open_raster"],
        "readers.naming": ["moved_beside", "part_name", "raster_is_there"],
        "places": ["alongside", "apart", "box_outline", "cut", "gathered", "joined"],
        "turns": ["eastward", "turn_of", "unrolled"],
    },
)
