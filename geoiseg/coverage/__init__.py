"""Features that share borders: overlaps, gaps and slivers settled, and reshaped together.

:func:`clean` makes a layer a valid coverage and reports what it changed;
:func:`snap_to_neighbours` fits one new feature in among accepted ones.
"""

from __future__ import annotations

from geoiseg.coverage.clean import clean, clean_geometries
from geoiseg.coverage.options import CleanOptions
from geoiseg.coverage.report import Report
from geoiseg.coverage.snap import Fitted, snap_to_neighbours

__all__ = [
    "CleanOptions",
    "Fitted",
    "Report",
    "clean",
    "clean_geometries",
    "snap_to_neighbours",
]
