"""Columns of tables as values of a GeoPackage, and back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

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


def is_dates(column: pd.Series) -> bool:
    """Return whether a column has dates and nothing else but missing values."""
    if column.dtype != object:
        return False
    kinds = {type(value) for value in column if not is_missing(value)}
    return kinds == {date}


def is_missing(value: Any) -> bool:
    """Return whether a value says that there is none."""
    return value is None or value is pd.NA or value is pd.NaT or value != value  # noqa: PLR0124


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
    """Return a column of what SQLite gave: an array, or a Series of times.

    Whole numbers and truths are floats where some are missing, as pyogrio and pandas have them.
    """
    if kind.startswith("datetime"):
        return _times(values)
    if kind in ("object", "bytes"):
        found = np.empty(len(values), dtype=object)
        found[:] = [value if kind == "bytes" or value is None else str(value) for value in values]
        return found
    if kind.startswith("float"):
        return np.array(values, dtype=kind)
    return np.array(values, dtype="float64" if None in values else kind)


def _times(values: Sequence[Any]) -> pd.Series:
    texts = pd.Series(list(values), dtype=object)
    try:
        found = _parsed(texts)
    except (ValueError, TypeError):
        return texts  # of no form that anybody knows
    return found.dt.as_unit("ms")


def _parsed(texts: pd.Series) -> pd.Series:
    offsets = {str(text)[19:].lstrip(".0123456789") for text in texts if text is not None}
    return pd.to_datetime(texts, format="ISO8601", utc=True if len(offsets) > 1 else None)
