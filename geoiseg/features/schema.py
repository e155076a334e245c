"""What the features of each class are to say: typed fields with defaults, required ones.

A schema is a value. It completes and checks the attributes of one feature, and gives the
columns of a table their types, so that every format has the same fields whatever is filled in.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd

from geoiseg.errors import SessionError
from geoiseg.features.feature import FIXED_COLUMNS, check_attribute_names
from geoiseg.features.kinds import plain_value

KINDS = ("text", "integer", "real", "boolean", "date")
EVERY = "*"
"""Stands for all classes."""
WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
DTYPES = {"integer": "Int64", "real": "float64", "boolean": "boolean"}


@dataclass(frozen=True, slots=True)
class Field:
    """A column of the user's own."""

    name: str
    kind: str = "text"
    """``text``, ``integer``, ``real``, ``boolean`` or ``date``."""
    default: Any = None
    """The value where none is given."""
    required: bool = False
    """Whether a feature must have a value."""
    choices: tuple[Any, ...] = ()
    """The only values there may be; any by default."""

    def __post_init__(self) -> None:
        check_attribute_names([self.name])
        if self.name in FIXED_COLUMNS or self.name == "geometry":
            raise SessionError(f"{self.name!r} is a column of geoiseg's own; rename the field")
        if self.kind not in KINDS:
            raise SessionError(f"the type of a field is one of {', '.join(KINDS)}; "
                               f"{self.name!r} has {self.kind!r}")  # fmt: skip
        choices = tuple(self._read(choice) for choice in self.choices)
        object.__setattr__(self, "choices", choices)
        if self.default is not None:
            object.__setattr__(self, "default", self.read(self.default))

    def read(self, value: Any) -> Any:
        """Return a value as this field's plain Python type, dates as ISO text; None for none.

        Raises:
            SessionError: It can not be one, or is none of the choices.
        """
        found = self._read(value)
        if found is not None and self.choices and found not in self.choices:
            known = ", ".join(map(str, self.choices))
            raise SessionError(f"{self.name} is one of {known}; got {value!r}")
        return found

    def _read(self, value: Any) -> Any:
        plain = plain_value(value)
        if plain is None or (isinstance(plain, str) and not plain.strip()):
            return None
        try:
            return _READERS[self.kind](plain)
        except (ValueError, KeyError, OverflowError) as error:
            raise SessionError(f"{self.name} is of type {self.kind}, got {value!r}") from error


def _integer(value: Any) -> int:
    number = float(value)
    if not number.is_integer() or isinstance(value, bool):
        raise ValueError(value)
    return int(value) if isinstance(value, int) else int(number)


def _real(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number) or isinstance(value, bool):
        raise ValueError(value)
    return number


def _boolean(value: Any) -> bool:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return WORDS[str(value).strip().lower()]


def _date(value: Any) -> str:
    return date.fromisoformat(str(value).strip()[:10]).isoformat()


_READERS: dict[str, Any] = {
    "text": str,
    "integer": _integer,
    "real": _real,
    "boolean": _boolean,
    "date": _date,
}


@dataclass(frozen=True, slots=True)
class Schema:
    """The fields of each class."""

    classes: Mapping[str, tuple[Field, ...]] = field(default_factory=dict)
    """By class; those of ``"*"`` are of all classes, those that are not named too."""

    def __post_init__(self) -> None:
        named = {name: tuple(fields) for name, fields in self.classes.items()}
        object.__setattr__(self, "classes", named)
        kinds: dict[str, str] = {}
        for label in named:
            own = [one.name for one in self.of(label)]
            twice = [name for name in own if own.count(name) > 1]
            if twice:
                raise SessionError(f"class {label!r} has the field {twice[0]!r} twice")
        for one in self.fields():
            if kinds.setdefault(one.name, one.kind) != one.kind:
                raise SessionError(f"the field {one.name!r} is {kinds[one.name]} in one class and"
                                   f" {one.kind} in another; a column has one type")  # fmt: skip

    def __bool__(self) -> bool:
        return bool(self.classes)

    def of(self, label: str) -> tuple[Field, ...]:
        """Return the fields of a class, those of all classes first."""
        own = self.classes.get(label, ()) if label != EVERY else ()
        return (*self.classes.get(EVERY, ()), *own)

    def fields(self) -> list[Field]:
        """Return the fields of all classes, in order; one that several have comes once for each."""
        return [one for fields in self.classes.values() for one in fields]

    def completed(
        self, label: str, attributes: Mapping[str, Any], lenient: bool = False
    ) -> dict[str, Any]:
        """Return attributes read as the fields' types, with defaults where there is no value.

        Args:
            label: The class.
            attributes: Names and values; those without a field stay as they are.
            lenient: Keep what can not be read, and let required values be missing:
                ``faults`` tells.

        Raises:
            SessionError: A value is of another type, or a required one is missing.
        """
        found = dict(attributes)
        for one in self.of(label):
            try:
                value = one.read(found.get(one.name))
            except SessionError:
                if not lenient:
                    raise
                continue
            value = one.default if value is None else value
            if value is None and one.required and not lenient:
                raise SessionError(f"class {label!r} needs a value for {one.name!r} ({one.kind})")
            if value is None:
                found.pop(one.name, None)
            else:
                found[one.name] = value
        return found

    def faults(self, label: str, attributes: Mapping[str, Any]) -> list[str]:
        """Return ``missing:name`` and ``value:name`` for each field that is not as it must be."""
        said = []
        for one in self.of(label):
            try:
                missing = one.read(attributes.get(one.name)) is None
            except SessionError:
                said.append(f"value:{one.name}")
            else:
                if missing and one.required:
                    said.append(f"missing:{one.name}")
        return said

    def typed(self, frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
        """Return a table with a column of the right type for every field.

        Columns with a value that is of another type are left as they are. Dates become
        ``datetime.date``.
        """
        columns = {name: frame[name] for name in frame.columns if name != frame.geometry.name}
        for one in self.fields():
            values = columns.get(one.name, pd.Series([None] * len(frame), frame.index, object))
            try:
                read = [one._read(value) for value in values]  # noqa: SLF001 - its own class
            except SessionError:
                continue
            columns[one.name] = _column(read, one.kind, frame.index)
        columns[frame.geometry.name] = frame.geometry
        table = pd.DataFrame(columns, index=frame.index)
        return gpd.GeoDataFrame(table, geometry=frame.geometry.name, crs=frame.crs)

    def to_dict(self) -> dict[str, list[dict[str, Any]]]:
        """Return the schema ready for JSON; ``from_dict`` brings it back."""
        return {label: [asdict(one) for one in fields] for label, fields in self.classes.items()}

    @classmethod
    def from_dict(cls, content: Any) -> Schema:
        """Return the schema that a dictionary describes: lists of fields by class.

        A field has ``name`` and perhaps ``kind``, ``default``, ``required``, ``choices``.

        Raises:
            SessionError: It describes none.
        """
        if not isinstance(content, Mapping):
            raise SessionError("a schema has lists of fields by class, e.g."
                               ' {"field": [{"name": "crop", "kind": "text"}]}')  # fmt: skip
        classes = {str(label): tuple(_fields(label, items)) for label, items in content.items()}
        return cls(classes)


def _fields(label: Any, items: Any) -> Iterable[Field]:
    if not isinstance(items, (list, tuple)):
        raise SessionError(f"class {label!r} has no list of fields but {items!r:.60}")
    for item in items:
        try:
            values = dict(item)
            yield Field(**{**values, "choices": tuple(values.get("choices", ()))})
        except (TypeError, ValueError) as error:
            raise SessionError(f"class {label!r}: {item!r:.80} is no field; it has a name and"
                               " perhaps kind, default, required, choices") from error  # fmt: skip


def _column(values: list[Any], kind: str, index: pd.Index) -> pd.Series:
    if kind == "date":
        values = [None if value is None else date.fromisoformat(value) for value in values]
    return pd.Series(values, index, dtype=DTYPES.get(kind, object))


def read_schema(path: Path) -> Schema:
    """Return the schema that a JSON file holds.

    Raises:
        SessionError: The file is missing or holds none.
    """
    try:
        return Schema.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise SessionError(f"can not read a schema from {path}: {reason}") from error
