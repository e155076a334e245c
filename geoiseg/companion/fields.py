"""What a request says, field by field: of the kind it must be, and nothing else."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from geoiseg.companion.pipe import RequestError

_MISSING = object()


class Fields:
    """The parameters of a request; each is taken once, and none may be left over."""

    def __init__(self, given: Any) -> None:
        if not isinstance(given, Mapping):
            raise RequestError(f"params are an object, got {given!r:.60}")
        self._given = dict(given)

    def _take(self, name: str, default: Any) -> Any:
        value = self._given.pop(name, None)
        if value is None:
            if default is _MISSING:
                raise RequestError(f"{name} is missing")
            return default
        return value

    def text(self, name: str, default: Any = _MISSING) -> Any:
        """Return a text."""
        value = self._take(name, default)
        if value is not default and not isinstance(value, str):
            raise RequestError(f"{name} is a text, got {value!r:.60}")
        return value

    def path(self, name: str, default: Any = _MISSING) -> Any:
        """Return a path."""
        value = self.text(name, default)
        return Path(value) if isinstance(value, str) and value else value or default

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Return a yes or no."""
        value = self._take(name, default)
        if not isinstance(value, bool):
            raise RequestError(f"{name} is true or false, got {value!r:.60}")
        return value

    def number(self, name: str, default: Any = _MISSING) -> Any:
        """Return a finite number."""
        value = self._take(name, default)
        if value is default:
            return value
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise RequestError(f"{name} is a number, got {value!r:.60}")
        if not math.isfinite(value):
            raise RequestError(f"{name} is a finite number, got {value!r}")
        return value

    def whole(self, name: str, default: Any = _MISSING) -> Any:
        """Return a whole number."""
        value = self.number(name, default)
        if value is not default and value != int(value):
            raise RequestError(f"{name} is a whole number, got {value!r}")
        return value if value is default else int(value)

    def items(self, name: str) -> list[Any]:
        """Return a list; an empty one where it is missing."""
        value = self._take(name, [])
        if not isinstance(value, list):
            raise RequestError(f"{name} is a list, got {value!r:.60}")
        return value

    def numbers(self, name: str) -> tuple[int, ...]:
        """Return a list of whole numbers."""
        values = self.items(name)
        if any(isinstance(n, bool) or not isinstance(n, int) for n in values):
            raise RequestError(f"{name} are whole numbers, got {values!r:.60}")
        return tuple(values)

    def bands(self, name: str) -> tuple[int | str, ...]:
        """Return a list of bands, as numbers or as texts that ``open_raster`` takes."""
        values = self.items(name)
        if any(isinstance(one, bool) or not isinstance(one, (int, str)) for one in values):
            raise RequestError(f"{name} are numbers or names of bands, got {values!r:.60}")
        return tuple(values)

    def names(self, name: str) -> tuple[str, ...]:
        """Return a list of texts."""
        values = self.items(name)
        if not all(isinstance(value, str) for value in values):
            raise RequestError(f"{name} are texts, got {values!r:.60}")
        return tuple(values)

    def done(self) -> None:
        """Make sure that nothing is left.

        Raises:
            RequestError: There is a parameter that nobody knows.
        """
        if self._given:
            raise RequestError(f"there is no parameter {next(iter(self._given))!r}")
