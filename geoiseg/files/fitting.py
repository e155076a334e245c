"""Columns of the user's as a format takes them: the same where it can, else said in words.

Nothing is dropped. What a format has no type or name for is written as what comes nearest
(lists as JSON, times of another zone in UTC...), and each such change is told.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from geoiseg.files.vectors.columns import distinct, is_missing

LARGEST = 2**63
"""Whole numbers from here on have no column of a GIS."""
EXACT = 2**53
"""Whole numbers up to here are the same as real ones."""
WIDEST = 1e23
"""Real numbers from here on do not fit into a Shapefile's."""
SMALL = {
    "int8": "int16",
    "uint8": "int16",
    "uint16": "int32",
    "uint32": "int64",
    "float16": "float32",
}
"""NumPy's types that a GIS has not, and those that hold as much."""


@dataclass(frozen=True, slots=True)
class Form:
    """What a format can hold besides numbers, truths, texts and times."""

    cased: bool = True
    """Whether ``Name`` and ``name`` are two columns."""
    dates: bool = True
    times: bool = True
    """Whether a day with a time of day has a type."""
    zones: bool = True
    """Whether times may be of other zones than UTC."""
    bytes: bool = False
    lists: bool = False
    """Whether lists and objects are stored as what they are."""
    all: bool = False
    """Whether decimals, times of day, nanoseconds, several shapes are stored as they are."""
    digits: int = 19
    """Of whole numbers that come back whole."""
    text_numbers: bool = False
    """Whether real numbers are texts of 24 characters and 15 decimals."""


FORMS = {
    ".gpkg": Form(cased=False, zones=False, bytes=True),
    ".shp": Form(
        times=False, digits=18, text_numbers=True
    ),  # names are cut, and told apart, elsewhere
    ".geojson": Form(lists=True),
    ".json": Form(lists=True),
    ".fgb": Form(dates=False),
    ".parquet": Form(bytes=True, lists=True, all=True),
}
"""By suffix."""


def storable(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Return the table with columns of one storable type each, by distinct names.

    Whole numbers stay whole where some are missing; mixed columns become text.
    """
    return fitted(frame, FORMS[".gpkg"])[0]


def fitted(
    frame: gpd.GeoDataFrame, form: Form
) -> tuple[gpd.GeoDataFrame, Mapping[str, str], list[str]]:
    """Return a table that a format takes, new names of columns, and all changes in words.

    Args:
        frame: Any columns, of any types.
        form: What the format can hold.
    """
    place = frame.geometry.name
    at = [number for number, name in enumerate(frame.columns) if name != place]
    old = [str(frame.columns[number]) for number in at]
    new = distinct(old, cased=form.cased)
    renamed = {a: b for a, b in zip(old, new, strict=True) if a != b}
    told = [f"{a or 'a column without a name'} is written as {b}" for a, b in renamed.items()]
    columns: dict[str, pd.Series] = {}
    for number, name in zip(at, new, strict=True):
        columns[name], change = _fitted(frame.iloc[:, number], form)
        if change:
            told.append(f"{name} {change}")
    shapes = frame.geometry.rename(distinct([place], new)[0])
    table = pd.DataFrame(columns, index=frame.index)
    made = gpd.GeoDataFrame(pd.concat([table, shapes], axis=1), geometry=shapes.name, crs=frame.crs)
    return made, renamed, told


def _fitted(column: pd.Series, form: Form) -> tuple[pd.Series, str]:
    """Return a column that a format takes, and in words what was changed; none if nothing."""
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return _fitted(column.astype(dtype.categories.dtype), form)
    fit = _FITS.get(dtype.kind, _objects)
    if dtype == "geometry":
        return (column, "") if form.all else (column.to_wkt(), "is written as WKT")
    if str(dtype) in SMALL and not form.all:
        return column.astype(SMALL[str(dtype)]), ""
    if isinstance(dtype, pd.StringDtype) or (form.all and dtype.kind == "m"):
        fit = _as_it_is
    return fit(column, form)


def _as_it_is(column: pd.Series, form: Form) -> tuple[pd.Series, str]:  # noqa: ARG001
    return column, ""


def _whole(column: pd.Series, form: Form) -> tuple[pd.Series, str]:
    there = column.dropna()
    top = 0 if form.all or not len(there) else max(abs(int(there.min())), abs(int(there.max())))
    if top >= min(LARGEST, 10**form.digits):
        return _texts(column), "has more digits than a number there and is written as text"
    if column.dtype.kind == "u" and not form.all:
        return column.astype("Int64" if column.isna().any() else "int64"), ""
    return column, ""


def _real(column: pd.Series, form: Form) -> tuple[pd.Series, str]:
    there = column.dropna().to_numpy("float64")
    there = there[np.isfinite(there)]
    if not form.text_numbers or not len(there):
        return column, ""
    if np.abs(there).max() >= WIDEST:
        return _texts(column), "has larger numbers than there are and is written as text"
    lost = np.abs(np.round(there, 15) - there) > np.abs(there) * 1e-9
    return column, "is rounded to 15 decimals" if lost.any() else ""


def _times(column: pd.Series, form: Form) -> tuple[pd.Series, str]:
    if form.all:
        return column, ""
    if not form.times:
        texts = column.map(lambda one: None if is_missing(one) else one.isoformat())
        return texts.astype(object), "is written as text: there are no times of day"
    said = ""
    zone = getattr(column.dtype, "tz", None)
    there = column.dropna()
    if zone is not None and not form.zones:
        moved = column.dt.tz_convert("UTC")
        if (there.dt.tz_localize(None) != moved.dropna().dt.tz_localize(None)).any():
            said = "is written in UTC"
        column = moved
    if ((there.dt.microsecond % 1000 != 0) | (there.dt.nanosecond != 0)).any():
        said = f"{said}, " if said else "is written "
        said += "to the millisecond"
    return column.dt.as_unit("ms"), said


def _objects(column: pd.Series, form: Form) -> tuple[pd.Series, str]:
    """Fit a column of Python's own values."""
    plain = pd.Series([_plain(one) for one in column], column.index, object)
    kinds = {type(one) for one in plain if one is not None}
    if kinds & {list, dict}:
        return _lists(plain, form)
    if kinds and all(issubclass(kind, datetime) for kind in kinds):
        return _moments(plain, form)
    if kinds == {bool}:
        return plain.astype("boolean"), ""
    if kinds and kinds <= {int, float}:
        return _numbers(plain, kinds, form)
    return _rest(plain, kinds, form)


def _numbers(plain: pd.Series, kinds: set[type], form: Form) -> tuple[pd.Series, str]:
    whole = [one for one in plain if isinstance(one, int)]
    if kinds == {int} and all(-LARGEST <= one < LARGEST for one in whole):
        return _whole(plain.astype("Int64"), form)
    if kinds != {int} and all(abs(one) <= EXACT for one in whole):
        return _real(plain.astype("float64"), form)
    return _texts(plain), "has more digits than a number there and is written as text"


def _moments(plain: pd.Series, form: Form) -> tuple[pd.Series, str]:
    """Fit a column of times with a day."""
    mixed = len({one.utcoffset() for one in plain if one is not None}) > 1
    moments = pd.Series(pd.to_datetime(plain, utc=True if mixed else None), plain.index)
    fitting, said = _times(moments, form)
    return fitting, said or ("is written in UTC" if mixed else "")


def _rest(plain: pd.Series, kinds: set[type], form: Form) -> tuple[pd.Series, str]:
    """Fit a column of texts, bytes, days, decimals, times of day, or of values of several kinds."""
    held = {str: True, bytes: form.bytes, date: form.dates, Decimal: form.all, time: form.all}
    if len(kinds) <= 1 and all(held.get(kind, False) for kind in kinds):
        return plain, ""
    if kinds == {bytes}:
        return plain.map(bytes.hex, na_action="ignore"), "is written as text, in hexadecimal"
    if kinds == {date}:
        return pd.to_datetime(plain).dt.as_unit("ms"), "is a date and is written as a time"
    if kinds == {Decimal}:
        numbers = plain.map(float, na_action="ignore").astype("float64")
        if all(Decimal(repr(float(one))) == one for one in plain if one is not None):
            return numbers, "is decimal and is written as real numbers"
        return _texts(plain), "is decimal and is written as text"
    said = "has values of several types"
    if len(kinds) == 1:
        said = f"is of type {next(iter(kinds)).__name__}"
    return _texts(plain), f"{said} and is written as text"


def _lists(plain: pd.Series, form: Form) -> tuple[pd.Series, str]:
    """Fit a column of lists and objects: as they are, or as JSON."""
    if form.all and _regular(plain):
        return plain, ""
    texts = plain.map(lambda one: json.dumps(one, default=str, ensure_ascii=False),
                      na_action="ignore")  # fmt: skip
    # GDAL writes a text that is JSON as what it says, where the format is JSON itself.
    return texts.astype(object), "" if form.lists and not form.all else "is written as JSON"


def _regular(plain: pd.Series) -> bool:
    """Return whether all are lists of scalars of one type, or objects of the same names."""
    there = [one for one in plain if one is not None]
    if all(isinstance(one, list) for one in there):
        return len({type(item) for one in there for item in one} - {type(None)}) <= 1 and not any(
            isinstance(item, (list, dict)) for one in there for item in one
        )
    return False


def _texts(column: pd.Series) -> pd.Series:
    return column.map(lambda one: None if is_missing(one) else str(one)).astype(object)


def _plain(value: Any) -> Any:
    """Return a value as Python's own; None where there is none."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {str(name): _plain(one) for name, one in value.items()}
    if is_missing(value):
        return None
    if isinstance(value, shapely.Geometry):
        return shapely.to_wkt(value)
    return value.item() if isinstance(value, (np.number, np.bool_)) else value


_FITS: Mapping[str, Callable[[pd.Series, Form], tuple[pd.Series, str]]] = {
    "M": _times, "i": _whole, "u": _whole, "b": _as_it_is, "f": _real,
}  # fmt: skip
"""By NumPy's letter of the type."""
