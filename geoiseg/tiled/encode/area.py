"""An area of interest from a vector file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import shapely

from geoiseg.errors import PromptError, VectorError
from geoiseg.files import blank_rows, left_out, read_frame, there
from geoiseg.raster import Grid

EDGE_PIECES = 64
"""Pieces that the longer side of an area is cut into before it is moved to another CRS."""


def read_area(path: Path, grid: Grid) -> Any:
    """Return all shapes of a vector file as one shapely geometry in a raster's CRS.

    Args:
        path: Any vector file; one without a CRS is taken to be in the raster's.
        grid: The raster's; without a CRS the coordinates are taken as they are.

    Raises:
        PromptError: The file is missing, unreadable or has no shape.
        GeoreferenceError: The area has no place in the raster's CRS.
    """
    if not there(path):
        raise PromptError(f"{path} does not exist")
    try:
        frame = read_frame(path, columns=[])
    except (VectorError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise PromptError(f"can not read an area from {path}: {reason}") from error
    shapes = np.zeros(0, dtype=object)
    if "geometry" in frame:
        blank = blank_rows(frame)
        left_out(path.name, blank, "no geometry")
        shapes = np.delete(np.asarray(frame.geometry.array, dtype=object), blank)
    whole = shapely.force_2d(shapely.unary_union(shapely.make_valid(shapes)))
    if whole.is_empty:
        raise PromptError(f"{path} has no shape: draw the area of interest")
    if grid.crs is None or frame.crs is None or frame.crs == grid.crs:
        return grid.bring(whole)
    xmin, ymin, xmax, ymax = whole.bounds
    step = max(xmax - xmin, ymax - ymin) / EDGE_PIECES
    fine = shapely.segmentize(whole, step) if step > 0 else whole
    return grid.bring(fine, frame.crs)
