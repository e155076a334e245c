"""Shorelines of a layer of polygons, one for each date, and their change along transects."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from geoiseg.errors import GeoreferenceError, ProjectError
from geoiseg.features import FIXED_COLUMNS, has_our_measures
from geoiseg.files.vector_file import polygons_in, read_layer
from geoiseg.files.vectors.columns import distinct
from geoiseg.files.vectors.rows import POLYGONS, rows_said
from geoiseg.outline.shoreline import (
    TransectOptions,
    boundary_lines,
    centre_lines,
    crossings,
    rates,
    read_tides,
    smooth_lines,
    tide_corrected,
    transects,
)
from geoiseg.outline.shoreline.rates import decimal_year
from geoiseg.raster import alongside, gathered, measure

LINES = (1, 5)
"""Shapely's numbers of the types."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LineOptions:
    """How lines are drawn from polygons."""

    extent: Path | None
    between: tuple[str, str] | None
    column: str
    date: str
    margin: float
    deviation: float
    centre: bool


def usable(
    frame: gpd.GeoDataFrame, options: LineOptions, *, with_rates: bool = False
) -> tuple[gpd.GeoDataFrame, list[str]]:
    """Return the rows that lines can be drawn of, and a line that names each sort of others.

    Args:
        frame: The layer; its index counts the rows from 0.
        options: Name of the column of dates; where there is none, none are needed.
        with_rates: Whether the dates have to be ones that can be counted with.

    Raises:
        ProjectError: No row is left.
    """
    left = np.ones(len(frame), dtype=bool)
    told: list[str] = []

    def without(rows: NDArray[np.bool_], what: str) -> None:
        told.extend(rows_said(np.flatnonzero(left & rows), what))
        left[rows] = False

    shapes = np.asarray(frame.geometry.array, dtype=object)
    without(shapely.is_missing(shapes) | shapely.is_empty(shapes), "no geometry")
    kinds = shapely.get_type_id(shapes)
    without(~np.isin(kinds, (*LINES, *POLYGONS)), "neither a polygon nor a line")
    if options.date in frame:
        dates = frame[options.date]
        blank = dates.isna() | (dates.astype(str).str.strip() == "")
        without(blank.to_numpy(bool), f"no date in {options.date!r}")
        many = [isinstance(date, (list, tuple, dict, set)) for date in dates]
        without(np.array(many, dtype=bool), f"what is no date in {options.date!r}")
        if with_rates:
            odd = [keep and not _is_date(date) for keep, date in zip(left, dates, strict=True)]
            without(np.array(odd, dtype=bool), f"what is no date in {options.date!r}")
    if not left.any():
        raise ProjectError(f"no row can be used: {'; '.join(told)}")
    return frame[left], told


def _is_date(value: Any) -> bool:
    try:
        decimal_year(value)
    except GeoreferenceError:
        return False
    return True


def drawn(frame: gpd.GeoDataFrame, source: Path, options: LineOptions) -> gpd.GeoDataFrame:
    """Return lines with their length, and their date where there is one.

    Raises:
        GeoisegError: A column or a class is missing, or there are no polygons.
    """
    frame = frame.set_geometry(gathered(frame.geometry, frame.crs), crs=frame.crs)
    dated = options.date in frame
    groups = frame.groupby(options.date, sort=True) if dated else [(None, frame)]
    groups = list(groups)
    common = _common(frame, groups, options.date)
    found = []
    for when, rows in groups:
        lines = _lines(rows, source, options)
        lines = smooth_lines(lines, options.deviation, frame.crs)
        table: dict[str, Any] = {options.date: when} if dated else {}
        lengths = [length_metres(line, frame.crs) for line in lines]
        made = gpd.GeoDataFrame({**table, "length_m": lengths}, geometry=list(lines),
                                crs=frame.crs)  # fmt: skip
        found.append(_with_columns(made, rows, common, options.date))
    filled = [lines for lines in found if len(lines)] or found[:1]
    return gpd.GeoDataFrame(pd.concat(filled, ignore_index=True), crs=frame.crs)


def _common(frame: gpd.GeoDataFrame, groups: list[Any], date: str) -> dict[str, str]:
    """Return which of the user's columns go with the lines, and their names there.

    A line has the values of the row that it is of. A shore is of all polygons of its date: what
    they do not have alike is none of its.
    """
    ours = FIXED_COLUMNS if has_our_measures(frame) else ()
    names = [name for name in frame.columns if name not in (frame.geometry.name, date, *ours)]
    kept = [name for name in names
            if _are_lines(frame) or all(_alike(rows[name]) for _, rows in groups)]  # fmt: skip
    lost = [str(name) for name in names if name not in kept]
    if lost:
        log.warning("lines have no column %s: it differs among the polygons of one date",
                    ", ".join(lost))  # fmt: skip
    return dict(zip(kept, distinct(kept, [date, "length_m", "geometry"]), strict=True))


def _alike(column: pd.Series) -> bool:
    return len(set(map(repr, column))) <= 1


def _are_lines(rows: gpd.GeoDataFrame) -> bool:
    return bool(np.isin(shapely.get_type_id(np.asarray(rows.geometry.array, object)), (1, 5)).all())


def _with_columns(
    lines: gpd.GeoDataFrame, rows: gpd.GeoDataFrame, common: Mapping[str, str], date: str
) -> gpd.GeoDataFrame:
    """Return lines with the user's columns, of the rows that they are of."""
    owner = np.zeros(len(lines), int)
    if _are_lines(rows):
        owner = shapely.get_parts(np.asarray(rows.geometry.array, object), return_index=True)[1]
    own = rows[list(common)].iloc[owner].reset_index(drop=True)
    shapes = lines.geometry
    table = pd.concat([lines.drop(columns="geometry"), own.rename(columns=dict(common))], axis=1)
    if date in table:
        table[date] = table[date].astype(rows[date].dtype)
    return gpd.GeoDataFrame(table, geometry=shapes, crs=lines.crs)


def _lines(rows: gpd.GeoDataFrame, source: Path, options: LineOptions) -> Any:
    shapes = np.asarray(rows.geometry.array, dtype=object)
    are_lines = np.isin(shapely.get_type_id(shapes), LINES)
    lines = shapely.get_parts(shapes[are_lines])
    if are_lines.all():
        return lines
    rows = rows[~are_lines]
    made = _of_polygons(rows, source, options)
    return np.concatenate([lines, made]) if len(lines) else made


def _of_polygons(rows: gpd.GeoDataFrame, source: Path, options: LineOptions) -> Any:
    other = extent = None
    if options.between:
        if options.column not in rows:
            known = ", ".join(map(str, rows.columns))
            raise GeoreferenceError(f"there is no column {options.column!r}; there is: {known}")
        labels = rows[options.column].astype(str)
        one, two = (rows[labels == name] for name in options.between)
        for name, chosen in zip(options.between, (one, two), strict=True):
            if not len(chosen):
                known = ", ".join(sorted(labels.unique()))
                raise GeoreferenceError(f"there is no class {name!r}; there is: {known}")
        rows, other = one, polygons_in(two, source)
    if options.extent is not None:
        ground = read_layer(options.extent)
        beside = alongside(ground.geometry, ground.crs, rows.geometry, rows.crs)
        moved = ground.set_geometry(beside, crs=rows.crs)
        extent = polygons_in(moved, options.extent)
    shape = polygons_in(rows, source)
    if options.centre:
        return centre_lines(shape, crs=rows.crs)
    return boundary_lines(shape, other=other, extent=extent, margin=options.margin, crs=rows.crs)


@dataclass(frozen=True, slots=True)
class TideOptions:
    """How distances are brought to one level of the sea."""

    table: Path
    """CSV of dates and tides."""
    slope: float
    """Of the beach, rise over run."""
    level: float = 0.0
    """Metres of the sea to which distances are brought."""


def cast(
    lines: gpd.GeoDataFrame, how: TransectOptions, date: str, baseline: Path | None
) -> gpd.GeoDataFrame:
    """Return transects across a baseline, or across the longest line of the oldest date.

    Raises:
        GeoisegError: There is no column of dates, or the baseline can not be read.
    """
    check_dated(lines, date)
    if baseline is not None:
        given = read_layer(baseline)
        base = shapely.union_all(alongside(given.geometry, given.crs, lines.geometry, lines.crs))
    else:
        oldest = lines[lines[date] == lines[date].min()]
        if not oldest["length_m"].notna().any():
            raise GeoreferenceError(
                f"no line of the oldest date has a length in metres: is {lines.crs} its CRS?"
            )
        longest = oldest.geometry[oldest["length_m"].idxmax()]
        base = smooth_lines([longest], how.spacing / 2, lines.crs)[0]
    base = shapely.line_merge(base) if isinstance(base, shapely.MultiLineString) else base
    return transects(base, how, lines.crs)


def given_transects(path: Path, crs: Any, column: str | None = None) -> gpd.GeoDataFrame:
    """Return the lines of a file as transects, each from land to sea.

    Args:
        path: The file.
        crs: To which they are moved.
        column: Of their names; by default the first of ``transect``, ``id`` and ``name`` that
            is there, else their numbers from 1.

    Raises:
        GeoisegError: The file can not be read, holds anything but lines, or two have one name.
    """
    rows = read_layer(path)
    if rows.crs is not None and crs is not None:
        rows = rows.to_crs(crs)
    if not (shapely.get_type_id(rows.geometry.to_numpy()) == 1).all():
        raise GeoreferenceError(f"{path} holds something else than single lines; transects are")
    if column is not None and column not in rows:
        raise GeoreferenceError(f"{path} has no column {column!r}")
    names = (column,) if column else ("transect", "id", "name")
    own = next((name for name in names if name in rows), None)
    labels = np.arange(1, len(rows) + 1) if own is None else rows[own].to_numpy()
    if len(set(labels.tolist())) < len(labels):
        raise GeoreferenceError(f"two transects of {path} have one name in {own!r}")
    table = {"transect": labels, "line": 0, "along_m": np.nan, "origin_m": 0.0}
    return gpd.GeoDataFrame(table, geometry=rows.geometry.to_numpy(), crs=crs)


def check_dated(lines: gpd.GeoDataFrame, date: str) -> None:
    """Make sure that lines have dates.

    Raises:
        GeoreferenceError: They have none.
    """
    if date not in lines:
        raise GeoreferenceError(
            f"change needs a column of dates; there is no {date!r} (see --date)"
        )


def crossed(
    ways: gpd.GeoDataFrame, lines: gpd.GeoDataFrame, date: str, pick: str,
    tide: TideOptions | None = None,
) -> gpd.GeoDataFrame:  # fmt: skip
    """Return where transects cross the lines of each date, at one level of the sea if asked.

    Raises:
        GeoisegError: There is no column of dates, or the tides do not say.
    """
    check_dated(lines, date)
    points = crossings(ways, lines, date, pick)
    if tide is None:
        return points
    return tide_corrected(points, read_tides(tide.table), tide.slope, date, tide.level)


def changed(
    lines: gpd.GeoDataFrame, how: TransectOptions, date: str, pick: str, baseline: Path | None
) -> gpd.GeoDataFrame:
    """Return transects with their change between dates."""
    ways = cast(lines, how, date, baseline)
    return rates(ways, crossed(ways, lines, date, pick))


def length_metres(line: Any, crs: Any) -> float:
    """Return the length of a line on the ground; in units of its coordinates without a CRS."""
    return float(shapely.length(line)) if crs is None else measure(line, crs)[1]
