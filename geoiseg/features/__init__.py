"""Accepted objects as values.

In: an outline with its label, attributes and provenance. Out: a :class:`Feature`, checked against
a :class:`Schema`, measured on the ground, flagged where it looks wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoiseg.lazy import lazy

if TYPE_CHECKING:
    from geoiseg.features.feature import (
        FIXED_COLUMNS,
        Feature,
        check_attribute_names,
        compactness,
        free_names,
        has_our_measures,
        measured_anew,
        renamed_in_words,
        to_frame,
    )
    from geoiseg.features.kinds import Kinds, kinds_of, kinds_of_columns, plain_value
    from geoiseg.features.quality import QualityOptions, checked, summary
    from geoiseg.features.reviewed import REJECTED, STATES, without_rejected
    from geoiseg.features.schema import Schema, read_schema

__all__ = [
    "FIXED_COLUMNS",
    "REJECTED",
    "STATES",
    "Feature",
    "Kinds",
    "QualityOptions",
    "Schema",
    "check_attribute_names",
    "checked",
    "compactness",
    "free_names",
    "has_our_measures",
    "kinds_of",
    "kinds_of_columns",
    "measured_anew",
    "plain_value",
    "read_schema",
    "renamed_in_words",
    "summary",
    "to_frame",
    "without_rejected",
]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "feature": [
            "FIXED_COLUMNS",
            "Feature",
            "check_attribute_names",
            "compactness",
            "free_names",
            "has_our_measures",
            "measured_anew",
            "renamed_in_words",
            "to_frame",
        ],
        "kinds": ["Kinds", "kinds_of", "kinds_of_columns", "plain_value"],
        "quality": ["QualityOptions", "checked", "summary"],
        "reviewed": ["REJECTED", "STATES", "without_rejected"],
        "schema": ["Schema", "read_schema"],
    },
)
