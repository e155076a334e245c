"""Vector files of any format, through pyogrio's GDAL."""

from __future__ import annotations

import contextlib
import itertools
import json
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pyproj

from geoiseg.errors import VectorError
from geoiseg.files.vectors import geopackage_writer
from geoiseg.files.vectors.archives import source_of
from geoiseg.files.vectors.columns import (
    days,
    distinct,
    fields_of,
    is_bytes,
    is_dates,
    nullable,
    times,
)
from geoiseg.files.vectors.dates import write_with_dates
from geoiseg.files.vectors.geopackage import with_shapes
from geoiseg.files.vectors.geopackage_writer import VERSION
from geoiseg.files.vectors.info import LayerInfo
from geoiseg.files.vectors.shapes import from_wkb

JSON_SUFFIXES = (".geojson", ".json", ".geojsonl", ".geojsons", ".jsonl", ".ndjson")
LISTS_AS_TEXT = {"ARRAY_AS_STRING": "YES"}
"""Lists come as JSON and not as arrays, of which GDAL's reader has none of truths or of lists."""
EXACT = 2**53
"""Whole numbers from here on are not all there as real ones."""


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
    how = LISTS_AS_TEXT if path.suffix.lower() in JSON_SUFFIXES else {}
    with _told(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of GDAL, on what it reads all the same
        source = source_of(path)
        meta, _, shapes, arrays = pyogrio.raw.read(
            source, layer=layer, columns=columns, datetime_as_string=True, **how
        )
        names = [str(name) for name in meta["fields"]]
        subtypes = meta.get("ogr_subtypes") or [""] * len(names)
        kinds = zip(names, meta["dtypes"], subtypes, arrays, strict=True)
        found = {
            name: _column(values, str(kind), subtype, partial(_whole, source, layer, name))
            for name, kind, subtype, values in kinds
        }
    rows = len(arrays[0]) if len(arrays) else 0 if shapes is None else len(shapes)
    table = pd.DataFrame(found, index=pd.RangeIndex(rows) if rows or found else None)
    if shapes is None:
        return table
    crs = meta["crs"]
    if crs is not None and _undefined(pyproj.CRS(crs)):
        crs = None
    return with_shapes(table, from_wkb(shapes), crs)


def _column(values: Any, kind: str, subtype: str, whole: Callable[[], Any]) -> Any:
    """Return a field's values with the field's own type, whatever is missing."""
    if kind == "datetime64[D]":
        return days(values)
    if kind.startswith("datetime"):
        return times(values)
    if subtype == "OFSTJSON":
        return pd.Series([_parsed(one) for one in values], dtype=object)
    if kind.startswith(("int", "uint", "bool")) and values.dtype.kind == "f":
        return _with_gaps(values, kind, whole)
    return values


def _with_gaps(values: Any, kind: str, whole: Callable[[], Any]) -> pd.Series:
    """Return numbers, which GDAL's reader made real for those that are missing, as they were."""
    gone = np.isnan(values)
    if (np.abs(values[~gone]) >= EXACT).any():
        numbers = np.zeros(len(values), kind)
        numbers[~gone] = whole()
    else:
        numbers = np.where(gone, 0, values).astype(kind)
    column = pd.Series(numbers, dtype=nullable(kind))
    column[gone] = pd.NA
    return column


def _whole(source: Any, layer: str | None, name: str) -> Any:
    """Return the numbers of a field that are there, to the last digit."""
    quoted = name.replace('"', r"\"")
    return pyogrio.raw.read(
        source, layer=layer, columns=[name], where=f'"{quoted}" IS NOT NULL', read_geometry=False
    )[3][0]


def _parsed(text: Any) -> Any:
    """Return a list or an object that a text in JSON stands for, another text as it is."""
    try:
        return text if text is None else json.loads(text)
    except ValueError:
        return text


def write_frames(
    frames: Iterable[pd.DataFrame], path: Path, driver: str, layer: str | None, **options: Any
) -> int:
    """Write tables as one layer, and return how many rows there are."""
    given = {name: value for name, value in options.items() if value is not None}
    tables = iter(frames)
    first = next(tables, None)
    if first is None:
        raise VectorError("there is no table to write")
    frames = itertools.chain([first], tables)
    if driver == "GPKG" and any(is_bytes(first[name]) for name in fields_of(first)):
        return geopackage_writer.write_frames(frames, path, layer, **given)  # GDAL's takes none
    rows = 0
    with _told(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*crs.*was not provided.*")
        for number, frame in enumerate(frames):
            more = {"append": True} if number else _beginning(frame, path, driver)
            write = pyogrio.write_dataframe
            if isinstance(frame, gpd.GeoDataFrame) and _needs_raw(frame):
                write = write_with_dates
            write(frame, path, driver=driver, layer=layer, **more, **given)
            rows += len(frame)
        found = pyogrio.read_info(path, layer=layer, force_feature_count=True)["features"]
    if found != rows:
        raise VectorError(f"only {found} of {rows} rows arrived in {path.name}")
    return rows


def _needs_raw(frame: gpd.GeoDataFrame) -> bool:
    return any(is_dates(frame[name]) for name in fields_of(frame))


def _beginning(frame: pd.DataFrame, path: Path, driver: str) -> dict[str, Any]:
    """Return how a layer is made: key and shapes by names that no column of the user's has."""
    if driver != "GPKG":
        return {}
    taken = fields_of(frame)
    names = {"FID": "fid", "GEOMETRY_NAME": "geom"}
    chosen = {option: distinct([name], taken, cased=False)[0] for option, name in names.items()}
    if not isinstance(frame, gpd.GeoDataFrame):
        del chosen["GEOMETRY_NAME"]
    options: dict[str, Any] = {"layer_options": chosen}
    return options if path.exists() else {**options, "dataset_options": {"VERSION": VERSION}}
