"""Vector files of any kind: whatever GDAL's drivers open, said in one line if not."""

from __future__ import annotations

import warnings
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyogrio
import shapely

from geoiseg.errors import ProjectError


def read_layer(path: Path, layer: str | None = None) -> gpd.GeoDataFrame:
    """Return a layer with its geometry; the ``features`` layer, or else the first, by default.

    Raises:
        ProjectError: The file is missing or unreadable, has no such layer, no geometry or
            no rows.
    """
    if not path.exists():
        raise ProjectError(f"{path} does not exist")
    try:
        if path.suffix.lower() == ".parquet":
            frame = gpd.read_parquet(path)
        else:
            names = [str(name) for name, _ in pyogrio.list_layers(path)]
            chosen = layer or ("features" if "features" in names else None)
            if chosen is not None and chosen not in names:
                raise ProjectError(f"{path} has no layer {chosen!r}; there is: {', '.join(names)}")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                frame = pyogrio.read_dataframe(path, layer=chosen)
    except ProjectError:
        raise
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, ValueError, OSError,
            ImportError) as error:  # fmt: skip
        reason = " ".join(str(error).split())
        raise ProjectError(f"can not read {path}: {reason}") from error
    if not isinstance(frame, gpd.GeoDataFrame) or not frame.geometry.notna().any():
        raise ProjectError(f"{path} has no geometry; give a layer of polygons or lines")
    return frame.reset_index(drop=True)


def polygons_in(frame: gpd.GeoDataFrame, path: Path) -> shapely.Geometry:
    """Return all polygons of a layer as one geometry.

    Raises:
        ProjectError: There are none.
    """
    shapes = np.asarray(frame.geometry.array, dtype=object)
    polygons = shapes[np.isin(shapely.get_type_id(shapes), (3, 6))]
    if not len(polygons):
        raise ProjectError(f"{path} has no polygons")
    return shapely.union_all(shapely.make_valid(polygons, method="structure"))
