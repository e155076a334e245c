"""Tables with columns of dates, written so that a date is a date in the file.

Pandas has no type for a day, and ``pyogrio.write_dataframe`` makes texts of ``datetime.date``
unless pyarrow is there; its raw writer takes NumPy's days.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import shapely

from geoiseg.files.vectors.columns import is_dates

QUARTER, UTC = 900, 100
"""Seconds of a quarter of an hour, and GDAL's number of the zone that is none of them off."""


def write_with_dates(frame: gpd.GeoDataFrame, path: Path, **options: Any) -> None:
    """Write a layer, columns of ``datetime.date`` as fields of type Date.

    Args:
        frame: Columns of one storable type each.
        path: Where to.
        **options: As ``pyogrio.write_dataframe`` takes.
    """
    columns = frame.drop(columns=frame.geometry.name)
    values = [_values(columns[name]) for name in columns]
    shapes = np.asarray(frame.geometry.array, dtype=object)
    options.setdefault("geometry_type", _common_type(shapes))
    zones = {str(name): _zones(columns[name]) for name in columns if _has_zone(columns[name])}
    pyogrio.raw.write(
        path,
        geometry=shapely.to_wkb(shapes),
        field_data=[data for data, _ in values],
        fields=[str(name) for name in columns],
        field_mask=[mask for _, mask in values],
        crs=None if frame.crs is None else frame.crs.to_wkt(),
        **({"gdal_tz_offsets": zones} if zones else {}),
        **options,
    )


def _has_zone(column: pd.Series) -> bool:
    return isinstance(column.dtype, pd.DatetimeTZDtype)


def _zones(column: pd.Series) -> Any:
    """Return ``(n,)`` the offsets of times from UTC as GDAL counts them: quarters of hours."""
    away = column.dt.tz_localize(None) - column.dt.tz_convert("UTC").dt.tz_localize(None)
    quarters = away.dt.total_seconds().fillna(0) // QUARTER + UTC
    return quarters.astype("int64").to_numpy()


def _values(column: pd.Series) -> tuple[Any, Any]:
    """Return a column as a NumPy array and ``(n,)`` where nothing is in it, or None."""
    mask = column.isna().to_numpy(bool)
    if is_dates(column):
        days = [None if gone else value for value, gone in zip(column, mask, strict=True)]
        return np.array(days, "datetime64[D]"), mask
    if isinstance(column.dtype, pd.api.extensions.ExtensionDtype) and column.dtype.kind in "biuf":
        plain = column.fillna(column.dtype.type(0)).to_numpy(column.dtype.numpy_dtype)
        return plain, mask
    if column.dtype.kind == "M":
        return column.dt.tz_localize(None).to_numpy("datetime64[ms]"), mask
    if column.dtype.kind in "biuf":
        return column.to_numpy(), None
    texts = [None if gone else str(value) for value, gone in zip(column, mask, strict=True)]
    return np.array(texts, dtype=object), None


def _common_type(shapes: Any) -> str:
    kinds = {shape.geom_type for shape in shapes if shape is not None}
    return kinds.pop() if len(kinds) == 1 else "Unknown"
