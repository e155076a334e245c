"""A file becomes chips.

In: a path, a URL, a dataset, a DataArray. Out: a lazy :class:`Raster` with a :class:`Grid` and
one :class:`Stretch`, read as a :class:`Chip` of colours and validity.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoiseg.lazy import lazy

if TYPE_CHECKING:
    from geoiseg.raster.arrays import BoolArray, FloatArray
    from geoiseg.raster.asked import asked_for
    from geoiseg.raster.composites import COMPOSITES, composite_of, composites_of
    from geoiseg.raster.crs import XY, as_crs, reproject_geometry, reproject_xy
    from geoiseg.raster.facts import BandFacts
    from geoiseg.raster.folders.open import BETWEEN
    from geoiseg.raster.formula import LONGEST
    from geoiseg.raster.grid import ChipPlan, Grid, Window
    from geoiseg.raster.ground import distances, measure, measure_all, metres_per_unit
    from geoiseg.raster.image import Chip, Stretch
    from geoiseg.raster.indices import INDICES, Index, index_named
    from geoiseg.raster.places import alongside, apart, box_outline, cut, gathered, joined
    from geoiseg.raster.readers import Raster, chosen_bands, open_raster, with_bands
    from geoiseg.raster.readers.naming import moved_beside, part_name, raster_is_there
    from geoiseg.raster.readers.opening import limit_gdal_threads
    from geoiseg.raster.sensors.catalogue import SENSORS, sensor_named
    from geoiseg.raster.spectrum import Roles
    from geoiseg.raster.turns import eastward, turn_of, unrolled

__all__ = [
    "BETWEEN",
    "COMPOSITES",
    "INDICES",
    "LONGEST",
    "SENSORS",
    "XY",
    "BandFacts",
    "BoolArray",
    "Chip",
    "ChipPlan",
    "FloatArray",
    "Grid",
    "Index",
    "Raster",
    "Roles",
    "Stretch",
    "Window",
    "alongside",
    "apart",
    "as_crs",
    "asked_for",
    "box_outline",
    "chosen_bands",
    "composite_of",
    "composites_of",
    "cut",
    "distances",
    "eastward",
    "gathered",
    "index_named",
    "joined",
    "limit_gdal_threads",
    "measure",
    "measure_all",
    "metres_per_unit",
    "moved_beside",
    "open_raster",
    "part_name",
    "raster_is_there",
    "reproject_geometry",
    "reproject_xy",
    "sensor_named",
    "turn_of",
    "unrolled",
    "with_bands",
]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "arrays": ["BoolArray", "FloatArray"],
        "asked": ["asked_for"],
        "composites": ["COMPOSITES", "composite_of", "composites_of"],
        "facts": ["BandFacts"],
        "folders.open": ["BETWEEN"],
        "formula": ["LONGEST"],
        "indices": ["INDICES", "Index", "index_named"],
        "sensors.catalogue": ["SENSORS", "sensor_named"],
        "spectrum": ["Roles"],
        "crs": ["XY", "as_crs", "reproject_geometry", "reproject_xy"],
        "grid": ["ChipPlan", "Grid", "Window"],
        "ground": ["distances", "measure", "measure_all", "metres_per_unit"],
        "image": ["Chip", "Stretch"],
        "readers": ["Raster", "chosen_bands", "open_raster", "with_bands"],
        "readers.naming": ["moved_beside", "part_name", "raster_is_there"],
        "readers.opening": ["limit_gdal_threads"],
        "places": ["alongside", "apart", "box_outline", "cut", "gathered", "joined"],
        "turns": ["eastward", "turn_of", "unrolled"],
    },
)
