"""Features that share borders: overlaps, gaps and slivers settled, and reshaped together.

:func:`clean` makes a layer a valid coverage and reports what it changed;
:func:`snap_to_neighbours` fits one new feature in among accepted ones.

Noding, unions and validity are GEOS'. ``shapely.coverage_clean`` does the rest in two fifths of
the time (``benchmarks/bench_coverage.py --polygons 2500``), but closes only gaps that are narrow
all over: of the narrow ground between neighbours it leaves 18 times as much. It breaks 1.5 % of
features into parts, knows no rule by score or class, and does not say what it changed.
"""

from __future__ import annotations

from geoiseg.outline.coverage.clean import clean, clean_geometries
from geoiseg.outline.coverage.options import CleanOptions
from geoiseg.outline.coverage.report import Report
from geoiseg.outline.coverage.snap import Fitted, snap_to_neighbours

__all__ = [
    "CleanOptions",
    "Fitted",
    "Report",
    "clean",
    "clean_geometries",
    "snap_to_neighbours",
]
