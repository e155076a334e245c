"""JSON that every reader takes: what is no number is null."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any


def json_text(document: Any, indent: int | None = None) -> str:
    """Return a document as JSON, with null for NaN and infinity, which JSON does not have."""
    return json.dumps(finite(document), indent=indent, allow_nan=False)


def finite(value: Any) -> Any:
    """Return a value of JSON with None for each number in it that is not finite."""
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: finite(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return value
