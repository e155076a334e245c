"""Rates of change along transects, with the names and meanings of DSAS (USGS)."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geoiseg.errors import GeoreferenceError
from geoiseg.outline.shoreline.student import interval

CONFIDENCE = 0.95


def decimal_year(value: Any) -> float:
    """Return a date (ISO text, datetime, or a year as a number) as a decimal year.

    A year alone is its first of January.

    Raises:
        GeoreferenceError: It is no date.
    """
    if isinstance(value, np.datetime64):
        value = pd.Timestamp(value)
    if isinstance(value, (int, float, np.number)) and np.isfinite(value) and 1 <= value < 10_000:
        return float(value)
    text = str(value).strip() if isinstance(value, str) else ""
    try:
        if text.isdigit() and len(text) == 4:
            return float(text)
        if text:
            value = datetime.fromisoformat(text)
    except ValueError:
        value = None
    if not isinstance(value, date) or value is pd.NaT:
        raise GeoreferenceError(f"{text or value!r} is no date; use e.g. 2015-07-31")
    if not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=UTC)
    start = datetime(value.year, 1, 1, tzinfo=value.tzinfo)
    days = (datetime(value.year + 1, 1, 1, tzinfo=value.tzinfo) - start).days
    return float(value.year + (value - start).total_seconds() / 86_400 / days)


def rates(lines: gpd.GeoDataFrame, points: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Return the transects with their change and rates; positive away from the baseline.

    Columns added: ``dates`` (how many), ``first`` and ``last`` (decimal years), ``nsm_m``
    (net shoreline movement: last less first), ``sce_m`` (shoreline change envelope: the
    widest apart), ``epr`` (end point rate, metres a year) from two dates on; ``lrr``
    (linear regression rate, metres a year), ``lr2`` (its R²), ``lse`` (standard error of
    the estimate, metres) and ``lci95`` (half the 95 % confidence interval of the rate)
    from three. Missing ones are NaN. Definitions: Himmelstoss et al., USGS Open-File
    Report 2021-1091.

    Args:
        lines: What ``transects`` gives.
        points: What ``crossings`` gives.
    """
    groups = dict(iter(points.groupby("transect", sort=False)))
    none = np.zeros(0)
    rows = [
        _measured(groups[key]["year"].to_numpy(float), groups[key]["distance_m"].to_numpy(float))
        if key in groups
        else _measured(none, none)
        for key in lines["transect"]
    ]
    table = pd.DataFrame(rows, index=lines.index)
    geometry = lines.geometry
    return gpd.GeoDataFrame(
        pd.concat([lines.drop(columns=geometry.name), table], axis=1),
        geometry=geometry,
        crs=lines.crs,
    )


def _measured(years: NDArray[np.float64], distance: NDArray[np.float64]) -> dict[str, float]:
    names = ("first", "last", "nsm_m", "sce_m", "epr", "lrr", "lr2", "lse", "lci95")
    found = {"dates": len(years), **dict.fromkeys(names, np.nan)}
    if not len(years):
        return found
    early, late = years.argmin(), years.argmax()
    found |= {"first": years[early], "last": years[late]}
    if len(years) < 2:
        return found
    moved = distance[late] - distance[early]
    found |= {"nsm_m": moved, "sce_m": float(np.ptp(distance))}
    found["epr"] = moved / (years[late] - years[early])
    if len(years) > 2:
        found |= _regression(years, distance)
    return found


def _regression(years: NDArray[np.float64], distance: NDArray[np.float64]) -> dict[str, float]:
    x, y = years - years.mean(), distance - distance.mean()
    spread = float(x @ x)
    rate = float(x @ y) / spread
    left = float(((y - rate * x) ** 2).sum())
    total, free = float(y @ y), len(years) - 2
    error = (left / free) ** 0.5
    half = interval(CONFIDENCE, free) * error / spread**0.5
    return {"lrr": rate, "lr2": 1 - left / total if total else 1.0, "lse": error, "lci95": half}
