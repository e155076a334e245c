"""Types of the user's columns: attributes are plain values, and come back as what they were.

A feature's attributes are texts, numbers, truths, bytes, lists and objects, so that they can be
kept in any file. That a text was a date, or a whole number one of 32 bits, is said beside them,
by column: that is a kind.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

Kinds = Mapping[str, str]
"""Name of the type by column: NumPy's of numbers, or one of ``text``, ``date``, ``datetime``,
``time``, ``bytes``, ``decimal``, ``json``, ``any``; in the order of the columns."""

TYPES: tuple[tuple[type, str], ...] = (
    (bool, "bool"), (int, "int64"), (float, "float64"), (str, "text"), (datetime, "datetime"),
    (date, "date"), (time, "time"), (bytes, "bytes"), (Decimal, "decimal"),
    (list, "json"), (tuple, "json"), (dict, "json"), (np.ndarray, "json"),
)  # fmt: skip
"""Of values; the first that fits."""
ANY = "any"
"""Kind of a column whose values say themselves what they are, or are of several kinds."""
PLAIN = ("bool", "int64", "float64", "text")
"""Kinds that a value says by itself."""


def plain_value(value: Any) -> Any:
    """Return an attribute as a plain Python value that any file can store; None for none.

    Dates and times become ISO text, decimals text; lists and objects have plain values.
    """
    if isinstance(value, (list, tuple)) or (isinstance(value, np.ndarray) and value.ndim):
        return [plain_value(one) for one in value]
    if isinstance(value, dict):
        return {str(name): plain_value(one) for name, one in value.items()}
    if isinstance(value, np.datetime64):
        value = pd.Timestamp(value)
    elif isinstance(value, (np.generic, np.ndarray)):
        value = value.item()
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, (str, bool, int, float, bytes)):
        return value
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def kind_of(value: Any) -> str | None:
    """Return the kind of a value; None where it is of none, or missing."""
    if plain_value(value) is None:
        return None
    value = value.item() if isinstance(value, np.generic) else value
    return next((kind for known, kind in TYPES if isinstance(value, known)), None)


def kind_of_column(column: pd.Series) -> str | None:
    """Return the kind of a column; None where its values are of several, or there is none."""
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return kind_of_column(column.astype(dtype.categories.dtype))
    if dtype.kind in "biuf":
        return str(getattr(dtype, "numpy_dtype", dtype))
    if dtype.kind == "M":
        return "datetime"
    if isinstance(dtype, pd.StringDtype):
        return "text"
    kinds = {kind_of(value) for value in column if plain_value(value) is not None}
    if "json" in kinds:
        return "json"
    return kinds.pop() if len(kinds) == 1 else None


def kinds_of(attributes: Mapping[str, Any]) -> dict[str, str]:
    """Return the kinds of a feature's attributes: ``ANY`` of those that say it by themselves."""
    found = {name: kind_of(value) for name, value in attributes.items()}
    return {name: ANY if kind in PLAIN else kind or ANY for name, kind in found.items()}


def kinds_of_columns(frame: pd.DataFrame, names: Mapping[Any, str]) -> dict[str, str]:
    """Return the kinds of some columns of a table, by the names that these get, in order."""
    return {new: kind_of_column(frame[old]) or ANY for old, new in names.items()}


def joined(known: Kinds, new: Kinds) -> Kinds:
    """Return kinds of columns with those of new ones, which come last."""
    return {**known, **{name: kind for name, kind in new.items() if name not in known}}


def typed_column(values: Iterable[Any], kind: str | None = None) -> Any:
    """Return plain values as a column of a kind: a list as it is where one is of another.

    Whole numbers and truths have pandas' types with missing values where some are.
    """
    given = list(values)
    if kind == "":
        return given  # the plain values are what is wanted
    if kind in (None, ANY):
        kinds = {type(value) for value in given if value is not None}
        if None not in given or len(kinds) != 1 or not kinds <= {int, bool}:
            return given
        kind = "bool" if kinds == {bool} else "int64"
    try:
        return _column(given, kind)
    except (ValueError, TypeError, OverflowError, ArithmeticError):
        return given


def _column(given: list[Any], kind: str) -> Any:
    if kind in _READERS:
        read = _READERS[kind]
        return pd.Series([None if one is None else read(one) for one in given], dtype=object)
    if kind == "datetime":
        zones = {str(one)[19:].lstrip(".0123456789") for one in given if one is not None}
        return pd.Series(pd.to_datetime(pd.Series(given, dtype=object), format="ISO8601",
                                        utc=True if len(zones) > 1 else None))  # fmt: skip
    wanted = {bool} if kind == "bool" else {int, float} if kind.startswith("float") else {int}
    if not {type(one) for one in given if one is not None} <= wanted:
        raise TypeError(kind)
    if None not in given or kind.startswith("float"):
        return pd.Series(given, dtype=kind)
    return pd.Series(given, dtype=_nullable(kind))


def _nullable(kind: str) -> str:
    return "boolean" if kind == "bool" else kind.capitalize().replace("Uint", "UInt")


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


_READERS: dict[str, Callable[[Any], Any]] = {
    "text": _text,
    "date": lambda text: date.fromisoformat(_text(text)),
    "time": lambda text: time.fromisoformat(_text(text)),
    "bytes": lambda one: bytes.fromhex(one) if isinstance(one, str) else bytes(one),
    "decimal": lambda text: Decimal(_text(text)),
    "json": lambda one: one,
}
