"""Who keeps the ground that several features claim."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from geoiseg.errors import GeoreferenceError
from geoiseg.outline.coverage.options import CleanOptions


def ranks(
    features: NDArray[Any], table: pd.DataFrame | None, options: CleanOptions
) -> NDArray[np.intp]:
    """Return ``(n,)`` the rank of each feature, 0 for the strongest; all differ.

    Args:
        features: ``(n,)`` geometries in metres.
        table: Their attributes; needed for scores and classes.
        options: The rule.

    Raises:
        GeoreferenceError: The column that the rule needs is missing or has no numbers.
    """
    weakness = np.zeros(len(features))
    if options.rule == "area":
        weakness = shapely.area(features)
    elif options.rule == "score":
        score = pd.to_numeric(_column(table, options.column or "score"), errors="coerce")
        if len(score) and score.isna().all():
            raise GeoreferenceError(f"the column {options.column or 'score'!r} has no numbers")
        weakness = -score.fillna(-np.inf).to_numpy(float)
    elif options.rule == "class":
        place = {name: number for number, name in enumerate(options.classes)}
        labels = _column(table, options.column or "label").astype(str)
        weakness = labels.map(lambda name: place.get(name, len(place))).to_numpy(float)
    rank = np.empty(len(features), np.intp)
    rank[np.argsort(weakness, kind="stable")] = np.arange(len(features))
    return rank


def _column(table: pd.DataFrame | None, name: str) -> pd.Series:
    if table is None or name not in table:
        known = "none" if table is None else ", ".join(map(str, table.columns)) or "none"
        raise GeoreferenceError(f"the rule needs a column {name!r}; there is: {known}")
    return table[name]
