"""Transects along a baseline, and where they cross dated shorelines."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from geoiseg.errors import GeoreferenceError
from geoiseg.outline.coverage.frame import Frame
from geoiseg.outline.shoreline.rates import decimal_year
from geoiseg.raster import reproject_frame

SIDES = ("left", "right", "both")
PICKS = ("nearest", "farthest")


@dataclass(frozen=True, slots=True)
class TransectOptions:
    """How transects are cast from a baseline."""

    spacing: float
    """Metres between transects along the baseline."""
    length: float
    """Metres that each reaches from the baseline, to each side where it goes to both."""
    side: str = "both"
    """Seen along the baseline: ``left``, ``right`` or ``both``. Distances count positive to
    that side; to the left with both."""
    smoothing: float = 0.0
    """Metres of baseline over which its direction is taken, so that bends do not throw
    transects across each other; the spacing by default."""

    def __post_init__(self) -> None:
        for name, value in (("spacing", self.spacing), ("length", self.length)):
            if not (math.isfinite(value) and value > 0):
                raise GeoreferenceError(f"{name} is a length in metres above 0, got {value}")
        if not (math.isfinite(self.smoothing) and self.smoothing >= 0):
            raise GeoreferenceError(f"smoothing is a length in metres, got {self.smoothing}")
        if self.side not in SIDES:
            raise GeoreferenceError(f"side is one of {', '.join(SIDES)}; got {self.side!r}")


def transects(baseline: Any, options: TransectOptions, crs: Any = None) -> gpd.GeoDataFrame:
    """Return transects at right angles to a baseline, one row each, in order along it.

    Columns: ``transect`` (number from 1), ``line`` (which line of the baseline, from 0),
    ``along_m`` (distance along it), ``origin_m`` (where on the transect the baseline is)
    and the geometry, which runs in the direction that counts positive.

    Args:
        baseline: LineString or MultiLineString.
        options: Spacing, length and side.
        crs: Of the baseline; without one lengths are in the units of its coordinates.

    Raises:
        GeoreferenceError: The baseline is no line.
    """
    if not isinstance(baseline, shapely.LineString | shapely.MultiLineString):
        name = getattr(baseline, "geom_type", type(baseline).__name__)
        raise GeoreferenceError(f"a baseline is a line, got a {name}")
    alone = np.array([baseline], dtype=object)
    frame = Frame.of(alone, crs, 0.0)
    starts, ends, along, number = [], [], [], []
    behind = options.length if options.side == "both" else 0.0
    turn = -1.0 if options.side == "right" else 1.0
    for k, line in enumerate(shapely.get_parts(frame.into(alone))):
        places = np.arange(0.0, line.length + options.spacing * 1e-9, options.spacing)
        origin, direction = _placed(line, places, (options.smoothing or options.spacing) / 2)
        across = turn * np.stack([-direction[:, 1], direction[:, 0]], axis=1)
        starts.append(origin - behind * across)
        ends.append(origin + options.length * across)
        along.append(places)
        number.append(np.full(len(places), k))
    if not along:
        raise GeoreferenceError("the baseline is empty; draw a line")
    ways = frame.back(np.stack([np.concatenate(starts), np.concatenate(ends)], axis=1))
    table = {
        "transect": np.arange(1, len(ways) + 1),
        "line": np.concatenate(number),
        "along_m": np.concatenate(along),
        "origin_m": behind,
    }
    return gpd.GeoDataFrame(table, geometry=shapely.linestrings(ways), crs=crs)


def _placed(line: Any, places: Any, reach: float) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return ``(n, 2)`` places along a line and unit vectors along it there."""

    def at(distance: Any) -> NDArray[Any]:
        points = shapely.line_interpolate_point(line, np.clip(distance, 0, line.length))
        xy: NDArray[Any] = shapely.get_coordinates(points)
        return xy

    chord = at(places + reach) - at(places - reach)
    length = np.hypot(*chord.T)
    step = min(reach, line.length) * 1e-3
    flat = length < step  # the line comes back to where it was
    chord[flat] = (at(places + step) - at(places - step))[flat]
    return at(places), chord / np.maximum(np.hypot(*chord.T), 1e-300)[:, None]


def crossings(
    lines: gpd.GeoDataFrame, shorelines: gpd.GeoDataFrame, date: str = "date",
    pick: str = "nearest",
) -> gpd.GeoDataFrame:  # fmt: skip
    """Return where transects cross shorelines: one point for each transect and date at most.

    Columns: ``transect``, ``along_m``, the date's, ``year`` (decimal), ``distance_m`` (from
    the baseline, in the direction that counts positive) and the geometry, in the CRS of the
    transects.

    Args:
        lines: What ``transects`` gives.
        shorelines: Lines with a column of dates; moved to the CRS of the transects.
        date: Name of that column: ISO dates, datetimes or years.
        pick: Of several crossings the one ``nearest`` to the baseline or ``farthest``.

    Raises:
        GeoreferenceError: The column is missing, a date can not be read, or ``pick`` is
            neither.
    """
    if pick not in PICKS:
        raise GeoreferenceError(f"pick is one of {', '.join(PICKS)}; got {pick!r}")
    if date not in shorelines:
        known = ", ".join(map(str, shorelines.columns))
        raise GeoreferenceError(f"the shorelines have no column {date!r}; there is: {known}")
    shorelines = reproject_frame(shorelines, lines.crs)
    frame = Frame.of(np.asarray(lines.geometry.array, dtype=object), lines.crs, 0.0)
    ways = frame.into(np.asarray(lines.geometry.array, dtype=object))
    shores = frame.into(np.asarray(shorelines.geometry.array, dtype=object))
    way, shore = shapely.STRtree(shores).query(ways, predicate="intersects")
    points, hit = shapely.get_parts(
        shapely.extract_unique_points(shapely.intersection(ways[way], shores[shore])),
        return_index=True,
    )
    way, shore = way[hit], shore[hit]
    origin = lines["origin_m"].to_numpy(float)[way]
    found = pd.DataFrame({
        "transect": lines["transect"].to_numpy()[way],
        "along_m": lines["along_m"].to_numpy(float)[way],
        date: shorelines[date].to_numpy()[shore],
        "distance_m": shapely.line_locate_point(ways[way], points) - origin,
    })  # fmt: skip
    found.insert(3, "year", [decimal_year(value) for value in found[date]])
    xy = frame.back(shapely.get_coordinates(points))
    found = gpd.GeoDataFrame(found, geometry=shapely.points(xy), crs=lines.crs)
    order = found["distance_m"].abs().sort_values(ascending=pick == "nearest", kind="stable").index
    chosen = found.loc[order].drop_duplicates(["transect", "year"])
    return chosen.sort_values(["transect", "year"], kind="stable").reset_index(drop=True)
