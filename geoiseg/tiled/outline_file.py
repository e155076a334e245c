"""Outlines to refine, from any vector file: each row is one, and all its columns are kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import shapely

from geoiseg.errors import GeoreferenceError, ProjectError, PromptError
from geoiseg.features import Kinds, free_names, kinds_of_columns, plain_value
from geoiseg.features.kinds import kind_of_column
from geoiseg.files import read_layer
from geoiseg.prompting import Region, localise
from geoiseg.raster import Grid
from geoiseg.segment import Step
from geoiseg.tiled.prompt_file import PromptedObject

COLUMNS: Kinds = {
    "fits": "bool",
    "moved_m": "float64",
    "moved_most_m": "float64",
    "same": "float64",
    "note": "text",
}
"""What is said of each outline beside its own columns, and the types of that."""
POLYGONS = {"Polygon", "MultiPolygon"}


def read_outlines(
    path: Path, grid: Grid, gsd: float | None = None, layer: str | None = None
) -> list[PromptedObject]:
    """Return the polygons of a vector file as outlines to refine, an object a row.

    Args:
        path: GeoParquet, GeoPackage, GeoJSON or whatever else is read.
        grid: The raster's, to whose CRS they are moved.
        gsd: Metres per pixel to work at.
        layer: Layer to read; ``features`` or else the first by default.

    Returns:
        A row that has no outline on the raster is told by the object's ``faults``.

    Raises:
        PromptError: The file can not be read, or no row of it can be used.
    """
    try:
        frame = read_layer(path, layer)
    except ProjectError as error:
        raise PromptError(str(error)) from error
    shape = frame.geometry.name
    has_label = "label" in frame and kind_of_column(frame["label"]) in ("text", None)
    own = _free([name for name in map(str, frame.columns)
                 if name != shape and not (has_label and name == "label")])  # fmt: skip
    kinds = {**kinds_of_columns(frame, own), **COLUMNS}
    crs = frame.crs if grid.crs is not None else None
    whole = shapely.box(0, 0, grid.width, grid.height)
    objects = []
    for number, row in enumerate(frame.to_dict("records"), start=1):
        faults: tuple[str, ...] = ()
        steps: tuple[Step, ...] = ()
        try:
            region = localise(_region(row[shape]), crs, grid)
            _check_on(region, grid, whole)
            steps = (Step((region,), gsd),)
        except (PromptError, GeoreferenceError) as error:
            faults = (f"row {number}: {error}",)
        label = plain_value(row.get("label")) if has_label else None
        values = {new: plain_value(row[old]) for old, new in own.items()}
        objects.append(
            PromptedObject(str(number), steps, str(label or ""), values, kinds,
                           tuple((number,) for _ in steps), (number,), faults)
        )  # fmt: skip
    if not any(item.steps for item in objects):
        raise PromptError(f"{path} has no outline that can be refined: {objects[0].faults[0]}")
    return objects


def _region(shape: Any) -> Region:
    if shape is None or shape.is_empty:
        raise PromptError("there is no geometry")
    if shape.geom_type not in POLYGONS:
        raise PromptError(f"a {shape.geom_type} is no outline; give polygons")
    return Region(shapely.force_2d(shape))


def _check_on(region: Any, grid: Grid, whole: Any) -> None:
    there = shapely.transform(region.polygon, grid.to_pixel)
    if not np.isfinite(there.bounds).all() or not shapely.intersects(there, whole):
        raise PromptError("the outline lies beside the raster")


def _free(names: list[str]) -> dict[str, str]:
    """Return names for columns that are neither a feature's nor a refined outline's."""
    chosen = free_names(names)
    taken = {*names, *chosen.values()}
    for old, new in chosen.items():
        number = 1
        while chosen[old] in COLUMNS:
            if f"{new}_{number}" not in taken:
                chosen[old] = f"{new}_{number}"
            number += 1
    return chosen
