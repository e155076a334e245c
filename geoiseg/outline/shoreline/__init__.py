"""Shorelines, centre lines and their change between dates.

:func:`boundary_lines` and :func:`shoreline_from_mask` give the line between water and land
without the raster's frame; :func:`smooth_lines` keeps within a deviation;
:func:`centre_lines` are those of rivers; :func:`transects`, :func:`crossings` and
:func:`rates` measure change as the Digital Shoreline Analysis System of the USGS does.
"""

from __future__ import annotations

from geoiseg.outline.shoreline.boundary import boundary_lines, shoreline_from_mask, smooth_lines
from geoiseg.outline.shoreline.centre import centre_lines
from geoiseg.outline.shoreline.rates import decimal_year, rates
from geoiseg.outline.shoreline.transects import TransectOptions, crossings, transects

__all__ = [
    "TransectOptions",
    "boundary_lines",
    "centre_lines",
    "crossings",
    "decimal_year",
    "rates",
    "shoreline_from_mask",
    "smooth_lines",
    "transects",
]
