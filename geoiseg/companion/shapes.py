"""How outlines are drawn, as a request says it."""

from __future__ import annotations

from typing import cast

from geoiseg.companion.fields import Fields
from geoiseg.outline import Line, OutlineOptions


def shape_of(fields: Fields, line: Line = "contour") -> OutlineOptions:
    """Return how outlines are drawn; along ``line`` where nothing is said.

    Raises:
        PromptError: A number is out of its range.
        RequestError: A field is of another kind.
    """
    return OutlineOptions(
        float(fields.number("simplify", 0.0)),
        fields.whole("smooth", 0),
        fields.flag("square"),
        line=cast("Line", fields.text("line", line)),
        holes=float(fields.number("holes", 0.0)),
        parts=float(fields.number("parts", 0.0)),
        grow=float(fields.number("grow", 0.0)),
        straight=float(fields.number("straight", 0.0)),
    )
