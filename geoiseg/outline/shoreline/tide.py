"""Distances along transects at one level of the sea: corrected by slope and tide."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from geoiseg.errors import GeoreferenceError

TIMES = ("date", "dates", "time", "datetime")
LEVELS = ("tide", "tides", "level", "height", "tide_m", "tides_m")
"""Names of columns of a table of tides, in any case."""
FAR = pd.Timedelta(hours=3)
"""How far apart two rows of the table may be between which a tide is taken."""


def read_tides(path: Path) -> pd.Series:
    """Return levels in metres by time in UTC, in order.

    Raises:
        GeoreferenceError: The file can not be read, or lacks a column of times or of levels.
    """
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise GeoreferenceError(f"can not read tides from {path}: {reason}") from error
    names = {str(name).strip().lower(): name for name in table.columns}
    time = next((names[name] for name in TIMES if name in names), None)
    level = next((names[name] for name in LEVELS if name in names), None)
    if time is None or level is None:
        known = ", ".join(map(str, table.columns))
        raise GeoreferenceError(
            f"{path} needs a column date and a column tide in metres; there is: {known}"
        )
    try:
        when = pd.to_datetime(table[time], utc=True, format="ISO8601")
        metres = pd.to_numeric(table[level])
    except (ValueError, TypeError) as error:
        raise GeoreferenceError(f"{path}: a row has no date or no level: {error}") from error
    if when.isna().any() or metres.isna().any() or not len(table):
        raise GeoreferenceError(f"{path}: a row has no date or no level")
    found = pd.Series(metres.to_numpy(float), pd.DatetimeIndex(when)).sort_index()
    return found[~found.index.duplicated()]


def tide_at(tides: pd.Series, when: Any) -> float:
    """Return the level in metres at a time, between the rows on either side of it.

    A date without a time takes the one row of its day.

    Raises:
        GeoreferenceError: The table does not say.
    """
    text = str(when).strip()
    try:
        time = pd.to_datetime(text, utc=True, format="ISO8601")
    except (ValueError, TypeError) as error:
        raise GeoreferenceError(f"{text!r} is no date to look up a tide for") from error
    if len(text) <= 10:
        day = tides[tides.index.normalize() == time]
        if len(day) == 1:
            return float(day.iloc[0])
        raise GeoreferenceError(
            f"the tides have {len(day)} rows on {text}: give the time of the image, as in"
            f" {text}T10:30, or a table with one row a day"
        )
    place = int(tides.index.searchsorted(time))
    if place < len(tides) and tides.index[place] == time:
        return float(tides.iloc[place])
    if place in (0, len(tides)) or tides.index[place] - tides.index[place - 1] > FAR:
        raise GeoreferenceError(f"the tides have no rows around {text} within {FAR}")
    before, after = tides.index[place - 1], tides.index[place]
    share = (time - before) / (after - before)
    return float(tides.iloc[place - 1] * (1 - share) + tides.iloc[place] * share)


def tide_corrected(
    points: pd.DataFrame, tides: pd.Series, slope: float, date: str = "date", level: float = 0.0
) -> pd.DataFrame:
    """Return crossings with distances as they would be at one level of the sea.

    The distance counts positive towards the sea: a higher sea meets the beach nearer to the land,
    by its height over the slope. Adds the columns ``tide_m`` and ``measured_m``, the distance as
    it was.

    Args:
        points: What ``crossings`` gives.
        tides: What ``read_tides`` gives.
        slope: Of the beach, rise over run.
        date: Name of the column of dates.
        level: Metres of the sea to which distances are brought.

    Raises:
        GeoreferenceError: The slope is not positive, or a tide is not known.
    """
    if not (math.isfinite(slope) and slope > 0):
        raise GeoreferenceError(f"a slope is positive, such as 0.08, got {slope}")
    known = {when: tide_at(tides, when) for when in points[date].unique()}
    found = points.copy()
    found["tide_m"] = np.array([known[when] for when in points[date]], float)
    found["measured_m"] = found["distance_m"]
    found["distance_m"] = found["measured_m"] + (found["tide_m"] - level) / slope
    return found


def distances(points: pd.DataFrame, date: str = "date") -> pd.DataFrame:
    """Return a table of distances in metres: a row for each date, a column for each transect.

    The form in which series of shorelines are compared (Vos et al., 2023,
    https://doi.org/10.1038/s43017-023-00462-x); what was not measured is empty.

    Args:
        points: What ``crossings`` gives.
        date: Name of the column of dates.
    """
    table = points.set_index([date, "transect"])["distance_m"].unstack()  # noqa: PD010 - one a cell
    table.index.name, table.columns.name = "dates", None
    return table.sort_index()
