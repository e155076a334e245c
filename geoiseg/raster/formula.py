"""Arithmetic on bands, read from a text: a few operations on numbers and names, nothing else.

The text is parsed, never evaluated: what is no number, name, operation or function of the list
is refused.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoiseg.errors import RasterError

LONGEST = 500
"""Most characters of a formula."""
DEEPEST = 40
"""Most operations within each other."""
LARGEST_POWER = 8.0
"""Largest exponent, which is a number."""

Values = NDArray[np.float32] | np.float32
_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
}
_FUNCTIONS: dict[str, tuple[int, Callable[..., Any]]] = {
    "abs": (1, np.abs),
    "sqrt": (1, np.sqrt),
    "log": (1, np.log),
    "exp": (1, np.exp),
    "min": (2, np.minimum),
    "max": (2, np.maximum),
}


@dataclass(frozen=True, slots=True)
class Formula:
    """A checked formula."""

    text: str
    """As it was written."""
    names: tuple[str, ...]
    """Names of bands and indices in it, each once, in the order in which they occur."""

    @classmethod
    def parse(cls, text: str) -> Formula:
        """Return the formula of a text.

        Raises:
            RasterError: It is too long or no arithmetic, or does what formulas do not do.
        """
        body = _parsed(text)
        names: dict[str, None] = {}
        _check(body, text, names, 0)
        if not names:
            raise RasterError(f"the formula {text!r} has no band in it, as (nir-red)/(nir+red) has")
        return cls(text, tuple(names))

    def apply(self, values: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        """Return ``(y, x)`` values of the formula; NaN or infinite where it has none.

        0 / 0 is 0: two bands without light differ in nothing.

        Args:
            values: ``(y, x)`` float32 for each of ``names``.
        """
        with np.errstate(all="ignore"):
            result = _value(_parsed(self.text), values)
        return np.asarray(result, dtype=np.float32)


def _parsed(text: str) -> ast.expr:
    if len(text) > LONGEST:
        raise RasterError(f"a formula has at most {LONGEST} characters, got {len(text)}")
    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise RasterError(f"{text!r} is no formula; write e.g. (green-nir)/(green+nir)") from error


def _check(  # noqa: C901 - one case an operation
    node: ast.expr, text: str, names: dict[str, None], depth: int
) -> None:
    """Gather the names of a formula, and refuse whatever is not on the list."""
    if depth > DEEPEST:
        raise RasterError(f"the formula {text[:60]!r} is nested too deeply")
    match node:
        case ast.Name(id=name):
            names[name] = None
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            if not abs(value) <= 1e12:
                raise RasterError(f"{value} in the formula {text!r} is too large")
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=inner):
            _check(inner, text, names, depth + 1)
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            _check(left, text, names, depth + 1)
            power = _number(right)
            if power is None or abs(power) > LARGEST_POWER:
                raise RasterError(
                    f"a power in the formula {text!r} is a number up to {LARGEST_POWER:g}"
                )
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() | ast.Mult() | ast.Div(), right=right):
            _check(left, text, names, depth + 1)
            _check(right, text, names, depth + 1)
        case ast.Call(func=ast.Name(id=name), args=given, keywords=[]) if name in _FUNCTIONS:
            if len(given) != _FUNCTIONS[name][0]:
                raise RasterError(f"{name} takes {_FUNCTIONS[name][0]} values in {text!r}")
            for one in given:
                _check(one, text, names, depth + 1)
        case _:
            part = ast.unparse(node)[:40]
            raise RasterError(
                f"{part!r} is nothing that a formula can do; there are + - * / ** and"
                f" {', '.join(_FUNCTIONS)}"
            )


def _number(node: ast.expr) -> float | None:
    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            return float(value)
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            return -float(value)
    return None


def _value(  # noqa: PLR0911 - one an operation
    node: ast.expr, values: Mapping[str, NDArray[np.float32]]
) -> Values:
    match node:
        case ast.Name(id=name):
            return values[name]
        case ast.Constant(value=int() | float() as value):
            return np.float32(value)
        case ast.UnaryOp(op=op, operand=inner):
            found = _value(inner, values)
            return np.negative(found) if isinstance(op, ast.USub) else found
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            powered: Values = np.power(_value(left, values), np.float32(_number(right)))
            return powered
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            return _quotient(_value(left, values), _value(right, values))
        case ast.BinOp(left=left, op=op, right=right):
            made: Values = _BINARY[type(op)](_value(left, values), _value(right, values))
            return made
        case ast.Call(func=ast.Name(id=name), args=given):
            called: Values = _FUNCTIONS[name][1](*(_value(one, values) for one in given))
            return called
    raise TypeError(f"unchecked formula: {ast.dump(node)}")


def _quotient(above: Values, below: Values) -> Values:
    nothing = (above == 0) & (below == 0)
    found: Values = np.where(nothing, np.float32(0), np.divide(above, below))
    return found
