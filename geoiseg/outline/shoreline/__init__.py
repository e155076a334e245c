"""Shorelines, centre lines and their change between dates.

:func:`boundary_lines` and :func:`shoreline_from_mask` give the line between water and land
without the raster's frame; :func:`smooth_lines` keeps within a deviation;
:func:`waterline` draws it below a pixel from an index of the raster itself;
:func:`centre_lines` are those of rivers; :func:`transects`, :func:`crossings` and
:func:`rates` measure change as the Digital Shoreline Analysis System of the USGS does;
:func:`tide_corrected` brings them to one level of the sea.
"""

from __future__ import annotations

from geoiseg.outline.shoreline.boundary import boundary_lines, shoreline_from_mask, smooth_lines
from geoiseg.outline.shoreline.centre import centre_lines
from geoiseg.outline.shoreline.rates import decimal_year, rates
from geoiseg.outline.shoreline.tide import distances, read_tides, tide_at, tide_corrected
from geoiseg.outline.shoreline.transects import TransectOptions, crossings, transects
from geoiseg.outline.shoreline.waterline import Waterline, WaterlineOptions, waterline

__all__ = [
    "TransectOptions",
    "Waterline",
    "WaterlineOptions",
    "boundary_lines",
    "centre_lines",
    "crossings",
    "decimal_year",
    "distances",
    "rates",
    "read_tides",
    "shoreline_from_mask",
    "smooth_lines",
    "tide_at",
    "tide_corrected",
    "transects",
    "waterline",
]
