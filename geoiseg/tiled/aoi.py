"""The area of interest, in the pixels that are worked on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import geopandas as gpd
import shapely

from geoiseg.errors import PromptError, VectorError
from geoiseg.files import polygons_of, read_frame
from geoiseg.raster import Grid
from geoiseg.tiled.plan import WindowPlan


def read_aoi(source: Any, grid: Grid) -> Any:
    """Return the area of interest in pixels of a grid; None where none is given.

    Args:
        source: A vector file's path, all polygons of which count; a shapely geometry in the
            CRS of the grid; or None.
        grid: Of the level that is worked on.

    Raises:
        PromptError: There is no polygon, or none on the raster.
    """
    if source is None:
        return None
    if isinstance(source, (str, Path)):
        source = _from_file(Path(source), grid)
    if getattr(source, "geom_type", None) not in {"Polygon", "MultiPolygon"} or source.is_empty:
        kind = getattr(source, "geom_type", type(source).__name__)
        raise PromptError(f"an area of interest is a polygon, got {kind}")
    area = shapely.make_valid(shapely.transform(grid.bring(source), grid.to_pixel))
    inside = shapely.intersection(area, shapely.box(0, 0, grid.width, grid.height))
    if inside.area == 0:
        raise PromptError("the area of interest does not meet the raster; is its CRS right?")
    return inside


def _from_file(path: Path, grid: Grid) -> Any:
    try:
        frame = read_frame(path)
    except (VectorError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise PromptError(f"can not read the area of interest from {path}: {reason}") from error
    if not isinstance(frame, gpd.GeoDataFrame):
        raise PromptError(f"{path} has no polygons to be an area of interest")
    if frame.crs is not None and grid.crs is not None:
        frame.geometry = [grid.bring(shape, frame.crs) for shape in frame.geometry]
    polygons = polygons_of(frame, path.name)
    if polygons is None:
        raise PromptError(f"{path} has no polygons to be an area of interest")
    return polygons


def windows_in(plan: WindowPlan, aoi: Any) -> list[int]:
    """Return the windows whose cores meet the area of interest, by number; all without one."""
    if aoi is None:
        return list(range(len(plan)))
    shapely.prepare(aoi)
    chosen = []
    for number in range(len(plan)):
        core = plan.core(number)
        bottom, right = core.stop
        if shapely.intersects(aoi, shapely.box(core.col, core.row, right, bottom)):
            chosen.append(number)
    return chosen
