"""Columns of tables as values of a GeoPackage, and back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd

SQL_TYPES = {
    "TINYINT": "int32", "SMALLINT": "int16", "MEDIUMINT": "int32", "INT": "int64",
    "INTEGER": "int64", "BOOLEAN": "bool", "FLOAT": "float32", "DOUBLE": "float64",
    "REAL": "float64", "TEXT": "object", "BLOB": "bytes", "DATE": "datetime64[D]",
    "DATETIME": "datetime64[ms]",
}  # fmt: skip
"""NumPy's name by a GeoPackage's type, as pyogrio has it."""
AFFINITIES = (
    ("INT", "int64"), ("CHAR", "object"), ("CLOB", "object"), ("TEXT", "object"),
    ("BLOB", "bytes"), ("REAL", "float64"), ("FLOA", "float64"), ("DOUB", "float64"),
    ("NUM", "float64"), ("DEC", "float64"),
)  # fmt: skip
"""Parts of SQLite's types that are none of a GeoPackage: https://sqlite.org/datatype3.html."""


def fields_of(frame: pd.DataFrame) -> list[str]:
    """Return the names of a table's columns without that of its shapes."""
    shapes = frame.geometry.name if isinstance(frame, gpd.GeoDataFrame) else None
    return [name for name in frame.columns if shapes is None or name != shapes]


def is_dates(column: pd.Series) -> bool:
    """Return whether a column has dates and nothing else but missing values."""
    return _only(column, date)


def is_bytes(column: pd.Series) -> bool:
    """Return whether a column has bytes and nothing else but missing values."""
    return _only(column, bytes)


def _only(column: pd.Series, kind: type) -> bool:
    if column.dtype != object:
        return False
    return {type(value) for value in column if not is_missing(value)} == {kind}


def is_missing(value: Any) -> bool:
    """Return whether a value says that there is none."""
    if value is None or value is pd.NA or value is pd.NaT:
        return True
    return isinstance(value, (float, np.floating)) and bool(np.isnan(value))


def distinct(names: Iterable[Any], taken: Iterable[str] = (), *, cased: bool = True) -> list[str]:
    """Return names of which no two are the same, one for each, in order.

    The first of each name stays; another gets the first of ``_1``, ``_2``... that nobody has.

    Args:
        names: Those wanted.
        taken: Names that somebody else has.
        cased: Whether ``Name`` and ``name`` are two names.
    """

    def same(name: str) -> str:
        return name if cased else name.lower()

    given = [str(name) or "field" for name in names]
    used, wanted = {same(name) for name in taken}, {same(name) for name in given}
    chosen = []
    for name in given:
        new, number = name, 0
        while same(new) in used or (number and same(new) in wanted):
            number += 1
            new = f"{name}_{number}"
        chosen.append(new)
        used.add(same(new))
    return chosen


def stored(column: pd.Series) -> tuple[str, list[Any]]:
    """Return the SQL type of a column, and its values as SQLite takes them."""
    kind, gone = column.dtype.kind, column.isna().to_numpy(bool)
    if kind in "biuf":
        plain = getattr(column.dtype, "numpy_dtype", column.dtype)
        numbers = (column.fillna(plain.type(0)) if gone.any() else column).to_numpy(plain).tolist()
        sql_type, said = _number_type(kind, plain.itemsize), numbers
    elif kind == "M":
        sql_type, said = "DATETIME", [None if one is pd.NaT else _time(one) for one in column]
    elif is_dates(column):
        sql_type, said = "DATE", [str(one) for one in column]
    elif is_bytes(column):
        sql_type, said = "BLOB", list(column)
    else:
        sql_type, said = "TEXT", [str(one) for one in column]
    return sql_type, [None if no else one for one, no in zip(said, gone, strict=True)]


def _number_type(kind: str, size: int) -> str:
    if kind == "b":
        return "BOOLEAN"
    if kind == "f":
        return "FLOAT" if size < 8 else "REAL"
    bits = 8 * size + (kind == "u")  # what is signed and holds as much
    return "SMALLINT" if bits <= 16 else "MEDIUMINT" if bits <= 32 else "INTEGER"


def _time(moment: pd.Timestamp) -> str:
    text: str = moment.isoformat(timespec="milliseconds")
    return text.removesuffix("+00:00") + "Z" if text.endswith("+00:00") else text


def type_of(declared: str) -> str:
    """Return NumPy's name of the type that a column of SQLite is declared with."""
    plain = declared.partition("(")[0].strip().upper()
    if plain in SQL_TYPES:
        return SQL_TYPES[plain]
    return next((kind for part, kind in AFFINITIES if part in plain), "object")


def loaded(values: Sequence[Any], kind: str) -> Any:
    """Return a column of what SQLite gave: an array, or a Series of times or with missing values.

    Whole numbers and truths stay what they are where some are missing.
    """
    if kind == "datetime64[D]":
        return days(values)
    if kind.startswith("datetime"):
        return times(values)
    if kind in ("object", "bytes"):
        found = np.empty(len(values), dtype=object)
        found[:] = [value if kind == "bytes" or value is None else str(value) for value in values]
        return found
    if kind.startswith("float"):
        return np.array(values, dtype=kind)
    if None in values:
        return pd.Series(list(values), dtype=nullable(kind))
    return np.array(values, dtype=kind)


def nullable(kind: str) -> str:
    """Return pandas' name, by NumPy's, of the type with missing values: ``Int64``, ``boolean``."""
    return "boolean" if kind == "bool" else kind.capitalize().replace("Uint", "UInt")


def days(values: Iterable[Any]) -> pd.Series:
    """Return texts such as ``2024-05-01`` as a column of ``datetime.date``; as they are if not."""
    texts = list(values)
    try:
        found = [
            None if is_missing(text) else date.fromisoformat(str(text)[:10].replace("/", "-"))
            for text in texts
        ]
    except ValueError:
        found = texts  # of no form that anybody knows
    return pd.Series(found, dtype=object)


def times(values: Iterable[Any]) -> pd.Series:
    """Return texts as a column of times: of their zone, or UTC where zones differ."""
    given = (None if is_missing(one) else str(one).replace("/", "-") for one in values)
    texts = pd.Series(list(given), dtype=object)
    try:
        found = _parsed(texts)
    except (ValueError, TypeError):
        return texts  # of no form that anybody knows
    return found.dt.as_unit("ms")


def _parsed(texts: pd.Series) -> pd.Series:
    offsets = {str(text)[19:].lstrip(".0123456789") for text in texts if text is not None}
    return pd.to_datetime(texts, format="ISO8601", utc=True if len(offsets) > 1 else None)
