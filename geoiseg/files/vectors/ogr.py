"""Vector files of any format, through pyogrio's GDAL."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pyproj
import shapely

from geoiseg.errors import VectorError
from geoiseg.files.vectors.archives import source_of
from geoiseg.files.vectors.columns import is_dates
from geoiseg.files.vectors.dates import write_with_dates
from geoiseg.files.vectors.geopackage_writer import VERSION
from geoiseg.files.vectors.info import LayerInfo
from geoiseg.files.vectors.shapes import from_wkb


@contextlib.contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (
        pyogrio.errors.DataSourceError,
        pyogrio.errors.DataLayerError,
        OverflowError,  # a number that is not of its column's type
    ) as error:
        raise VectorError(" ".join(str(error).split())) from error


def _undefined(crs: Any) -> bool:
    """Return whether a CRS is none: GDAL makes one of what a GeoPackage has for a missing one."""
    return crs is not None and str(crs.name).startswith(("Undefined Cart", "Undefined geog"))


def list_layers(path: Path) -> list[tuple[str, str | None]]:
    """Return name and geometry type of each layer."""
    with _told():
        return [(str(name), kind) for name, kind in pyogrio.list_layers(source_of(path))]


def layer_info(path: Path, layer: str) -> LayerInfo:
    """Return what is known of a layer."""
    with _told():
        info = pyogrio.read_info(
            source_of(path), layer=layer, force_feature_count=True, force_total_bounds=True
        )
    bounds = info["total_bounds"]
    return LayerInfo(
        crs=None if info["crs"] and _undefined(pyproj.CRS(info["crs"])) else info["crs"],
        geometry_type=info["geometry_type"],
        fields=dict(zip(map(str, info["fields"]), map(str, info["dtypes"]), strict=True)),
        features=int(info["features"]),
        bounds=None if bounds is None or not np.isfinite(bounds).all() else tuple(bounds),
    )


def read_frame(path: Path, layer: str | None, columns: Sequence[str] | None) -> pd.DataFrame:
    """Return the rows of a layer."""
    with _told(), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        warnings.simplefilter("ignore", RuntimeWarning)  # of shapes that the rows are asked for
        source = source_of(path)
        try:
            frame = pyogrio.read_dataframe(source, layer=layer, columns=columns)
        except (shapely.errors.ShapelyError, NotImplementedError):
            frame = _with_odd_shapes(source, layer, columns)
    if isinstance(frame, gpd.GeoDataFrame) and _undefined(frame.crs):
        frame = frame.set_crs(None, allow_override=True)
    return frame


def _with_odd_shapes(
    source: str, layer: str | None, columns: Sequence[str] | None
) -> gpd.GeoDataFrame:
    """Return the rows of a layer some shapes of which GEOS does not take as they are."""
    table = pyogrio.read_dataframe(source, layer=layer, columns=columns, read_geometry=False)
    about, _, bodies, _ = pyogrio.raw.read(source, layer=layer, columns=[])
    return gpd.GeoDataFrame(table, geometry=from_wkb(bodies), crs=about["crs"])


def write_frames(
    frames: Iterable[pd.DataFrame], path: Path, driver: str, layer: str | None, **options: Any
) -> int:
    """Write tables as one layer, and return how many rows there are."""
    rows = 0
    given = {name: value for name, value in options.items() if value is not None}
    with _told(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*crs.*was not provided.*")
        for number, frame in enumerate(frames):
            more: dict[str, Any] = {"append": True} if number else {}
            if driver == "GPKG" and not number and not path.exists():
                more = {"dataset_options": {"VERSION": VERSION}}
            dates = isinstance(frame, gpd.GeoDataFrame) and any(
                is_dates(frame[name]) for name in frame.columns.drop(frame.geometry.name)
            )
            write = write_with_dates if dates else pyogrio.write_dataframe
            write(frame, path, driver=driver, layer=layer, **more, **given)
            rows += len(frame)
        found = pyogrio.read_info(path, layer=layer, force_feature_count=True)["features"]
    if found != rows:
        raise VectorError(f"only {found} of {rows} rows arrived in {path.name}")
    return rows
