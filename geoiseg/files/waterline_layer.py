"""Lines between water and land below a pixel, from a raster to a layer."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd

from geoiseg.errors import GeoreferenceError
from geoiseg.files.shore_layer import length_metres
from geoiseg.files.vector_file import polygons_in, read_layer
from geoiseg.outline.shoreline import WaterlineOptions, decimal_year, waterline
from geoiseg.raster import Raster


@dataclass(frozen=True, slots=True)
class RasterLineOptions:
    """How lines are drawn from a raster."""

    drawing: WaterlineOptions = field(default_factory=WaterlineOptions)
    near: Path | None = None
    """Polygons of the water, such as a project file; only their borders are looked at."""
    label: str | None = None
    """Only those of this class."""
    column: str = "label"
    """Column of the class."""
    when: str | None = None
    """Date of the raster."""
    date: str = "date"
    """Column that it goes to."""
    least: float = 0.0
    """Metres of the shortest line that is kept."""


def drawn_from_raster(raster: Raster, options: RasterLineOptions) -> gpd.GeoDataFrame:
    """Return lines with their length, threshold and error, and their date where it is given.

    Columns: the date, ``index``, ``threshold``, ``error_px`` and ``error_m`` (how far the line
    may be off by noise and threshold, one standard deviation, the median along all of it),
    ``length_m``.

    Raises:
        GeoisegError: A band is not known, a file can not be read, or no border is on the raster.
    """
    if options.when is not None:
        decimal_year(options.when)
    water = None if options.near is None else _water(raster, options)
    found = waterline(raster, options.drawing, water)
    crs, size = raster.grid.crs, raster.grid.pixel_size_metres()
    lengths = np.array([length_metres(line, crs) for line in found.lines])
    kept = lengths >= options.least
    error = found.error_pixels
    dated: dict[str, Any] = {} if options.when is None else {options.date: options.when}
    table = {
        **dated,
        "index": found.index,
        "threshold": found.threshold,
        "error_px": error,
        "error_m": math.nan if size is None else error * size,
        "length_m": lengths[kept],
    }
    return gpd.GeoDataFrame(table, geometry=list(found.lines[kept]), crs=crs)


def _water(raster: Raster, options: RasterLineOptions) -> Any:
    path = options.near
    assert path is not None  # noqa: S101 - asked for only where it is given
    rows = read_layer(path)
    if rows.crs is not None and raster.grid.crs is not None:
        rows = rows.to_crs(raster.grid.crs)
    if options.label is not None:
        if options.column not in rows:
            known = ", ".join(map(str, rows.columns))
            raise GeoreferenceError(f"there is no column {options.column!r}; there is: {known}")
        labels = rows[options.column].astype(str)
        if not (labels == options.label).any():
            known = ", ".join(sorted(labels.unique()))
            raise GeoreferenceError(f"there is no class {options.label!r}; there is: {known}")
        rows = rows[labels == options.label]
    return polygons_in(rows, path)


def appended(lines: gpd.GeoDataFrame, path: Path) -> gpd.GeoDataFrame:
    """Return the lines of a file with more of them after, in the file's CRS.

    Raises:
        GeoisegError: The file can not be read.
    """
    if not path.exists():
        return lines
    before = read_layer(path)
    more = lines if before.crs is None or lines.crs is None else lines.to_crs(before.crs)
    return gpd.GeoDataFrame(pd.concat([before, more], ignore_index=True), crs=before.crs)
