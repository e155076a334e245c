"""Columns under the names that fiboa, the common form of field boundaries, has for them.

Those of its version 0.2, in which nearly all files that are out there are written
(https://github.com/fiboa/specification): area in hectares, perimeter in metres, how the boundary
was made. What else is known stays in columns of its own.
"""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pandas as pd

HECTARE = 10_000.0
"""Square metres."""
MADE, UNKNOWN = "auto-imagery", "unknown"
"""How a boundary was made: by a program from imagery; nobody said."""


def as_fiboa(table: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Return a table of objects with fiboa's columns first.

    Args:
        table: With geoiseg's columns; of refined outlines with those they came with, too. The id
            they came with stays, and so does how they were made where they did not fit.
    """
    own = table["id_1"] if "id_1" in table else table["id"]
    size, length = (table[name].astype(float) for name in ("area_m2", "perimeter_m"))
    columns = {
        "id": own.astype(str),
        "label": table["label"],
        "area": _positive(size / HECTARE),
        "perimeter": _positive(length),
        "determination_method": _made(table),
    }
    gone = {*columns, "id_1", "area_m2", "perimeter_m", table.geometry.name}
    rest = {name: table[name] for name in table.columns if name not in gone}
    return gpd.GeoDataFrame({**columns, **rest}, geometry=table.geometry.to_numpy(), crs=table.crs)


def _positive(values: pd.Series) -> pd.Series:
    """Return numbers, none where they are not above 0: unknown, by fiboa's rules."""
    return values.where(values > 0, np.nan)


def _made(table: gpd.GeoDataFrame) -> list[str]:
    """Return how each boundary was made."""
    if "fits" not in table:
        return [MADE] * len(table)
    said = table.get("determination_method")
    before = [UNKNOWN] * len(table) if said is None else said.fillna(UNKNOWN).astype(str).tolist()
    fits = table["fits"].astype(bool).tolist()
    return [MADE if fit else was for fit, was in zip(fits, before, strict=True)]
