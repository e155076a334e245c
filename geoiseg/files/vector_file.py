"""Layers of any vector file: whatever can be opened, said in one line if not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import shapely

from geoiseg.errors import ProjectError, VectorError, require
from geoiseg.files.vectors import list_layers, read_frame
from geoiseg.files.vectors.archives import there
from geoiseg.files.vectors.columns import nullable
from geoiseg.files.vectors.rows import polygons_of


def read_layer(path: Path, layer: str | None = None) -> gpd.GeoDataFrame:
    """Return a layer with its geometry; the ``features`` layer, or else the first, by default.

    Raises:
        ProjectError: The file is missing or unreadable, has no such layer, no geometry or
            no rows.
    """
    if not there(path):
        raise ProjectError(f"{path} does not exist")
    try:
        if path.suffix.lower() == ".parquet":
            frame = _read_parquet(path)
        else:
            names = [name for name, _ in list_layers(path)]
            chosen = layer or ("features" if "features" in names else None)
            if chosen is not None and chosen not in names:
                raise ProjectError(f"{path} has no layer {chosen!r}; there is: {', '.join(names)}")
            frame = read_frame(path, chosen)
    except ProjectError:
        raise
    except (VectorError, ValueError, OSError, ImportError) as error:
        reason = " ".join(str(error).split())
        raise ProjectError(f"can not read {path}: {reason}") from error
    if not isinstance(frame, gpd.GeoDataFrame) or shapely.is_missing(frame.geometry.array).all():
        raise ProjectError(f"{path} has no geometry; give a layer of polygons or lines")
    return frame.reset_index(drop=True)


def _read_parquet(path: Path) -> gpd.GeoDataFrame:
    """Return a GeoParquet file's rows, whole numbers whole where some are missing."""
    frame = gpd.read_parquet(path)
    parquet, arrow = require("pyarrow.parquet", "parquet"), require("pyarrow", "parquet")
    file: Any = parquet.ParquetFile(path)
    lost = [one.name for one in file.schema_arrow
            if arrow.types.is_integer(one.type) and one.name in frame
            and frame[one.name].dtype.kind == "f"]  # fmt: skip
    for name in lost:
        whole = file.read(columns=[name])[name]
        kind = nullable(str(whole.type))
        values = [pd.NA if one is None else one for one in whole.to_pylist()]
        frame[name] = pd.array(values, dtype=kind)
    return frame


def polygons_in(frame: gpd.GeoDataFrame, path: Path) -> shapely.Geometry:
    """Return all polygons of a layer as one geometry; other rows are logged.

    Raises:
        ProjectError: There are none.
    """
    polygons = polygons_of(frame, path.name)
    if polygons is None:
        raise ProjectError(f"{path} has no polygons")
    return polygons
