"""Features to a clean coverage: no overlap, no narrow gap, every border held in common."""

from __future__ import annotations

import logging
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import ArrayLike, NDArray

from geoiseg.errors import GeoreferenceError
from geoiseg.outline.coverage.borders import sums
from geoiseg.outline.coverage.frame import Frame, Originals
from geoiseg.outline.coverage.options import CleanOptions
from geoiseg.outline.coverage.partition import (
    Change,
    Partition,
    gaps_closed,
    partitioned,
    slivers_moved,
)
from geoiseg.outline.coverage.pinches import opened
from geoiseg.outline.coverage.rank import ranks
from geoiseg.outline.coverage.report import Report
from geoiseg.outline.coverage.reshape import reshaped, straightened
from geoiseg.outline.vectorize import regularize
from geoiseg.raster import apart, gathered, measure_all

log = logging.getLogger(__name__)

Geometries = NDArray[Any]
TRUE_AREA = 1e-3
"""By what share an area in the frame, true in the middle, may differ from the ground's."""
SQUARED = 0.05
"""Share of a building's area that squaring may add or take."""


def clean(
    features: gpd.GeoDataFrame, options: CleanOptions | None = None
) -> tuple[gpd.GeoDataFrame, Report]:
    """Return the features as a valid coverage, and what was changed.

    Overlaps go to one feature by the rule; gaps between features narrower than a width, and
    narrow detached parts, to the neighbour with the longest shared border. Shared borders
    are the same vertex by vertex, with a vertex in all wherever three features meet. Then
    all borders are simplified and smoothed, each line once. Vertices that stay come back
    bit for bit. Attributes, index, order and CRS are kept; rows without ground left are
    dropped and named in the report. Attributes that tell an area are not brought up to date.

    Args:
        features: Polygons and MultiPolygons; z is dropped, what is invalid is repaired.
        options: What to do; by default only overlaps are resolved, by order.

    Raises:
        GeoreferenceError: A row is no polygon, the rule's column is missing, or
            coordinates are not finite.
    """
    geometries = np.asarray(features.geometry.array, dtype=object)
    table = pd.DataFrame(features.drop(columns=features.geometry.name))
    cleaned, report = _everywhere(geometries, features.crs, table, options or CleanOptions())
    cleaned_frame = features.copy()
    cleaned_frame[features.geometry.name] = gpd.GeoSeries(
        cleaned, index=features.index, crs=features.crs
    )
    return cleaned_frame[~shapely.is_empty(cleaned)], report


def clean_geometries(
    geometries: ArrayLike, options: CleanOptions | None = None, crs: Any = None
) -> tuple[Geometries, Report]:
    """Return ``(n,)`` geometries as a valid coverage, and what was changed; see ``clean``.

    Args:
        geometries: ``(n,)`` Polygons and MultiPolygons.
        options: The rule is ``order`` or ``area``: there are no attributes.
        crs: Of the geometries; without one lengths are in their units.

    Returns:
        Empty polygons where nothing is left.
    """
    array = np.asarray(geometries, dtype=object).reshape(-1)
    return _everywhere(array, crs, None, options or CleanOptions())


def _everywhere(
    geometries: Geometries, crs: Any, table: pd.DataFrame | None, options: CleanOptions
) -> tuple[Geometries, Report]:
    """Return what ``_cleaned`` does of features that may meet across the antimeridian."""
    whole = gathered(geometries, crs)
    cleaned, report = _cleaned(whole, crs, table, options)
    moved = any(one is not other for one, other in zip(whole, geometries, strict=True))
    return (apart(cleaned, crs, geometries) if moved else cleaned), report


def _cleaned(
    geometries: Geometries, crs: Any, table: pd.DataFrame | None, options: CleanOptions
) -> tuple[Geometries, Report]:
    widths = [
        w for w in (options.gap, options.sliver_width, options.simplify, options.straight) if w > 0
    ]
    frame = Frame.of(geometries, crs, min(widths, default=0.0))
    given, repaired = polygonal(frame.into(geometries))
    if options.square:
        given = np.array([regularize(g, SQUARED) if g else g for g in given], dtype=object)
        given, _ = polygonal(given)
    rank = ranks(given, table, options)
    originals = Originals(shapely.get_coordinates(given), frame.cell)
    partition, overlaps = partitioned(given, rank, frame.cell)
    met = partition
    partition, gaps = gaps_closed(partition, options.gap, frame.cell)
    partition, slivers = slivers_moved(partition, options.sliver_width)
    partition = settled(partition, originals, frame.cell)
    shaped = reshaped(partition, options)
    final, more_gaps, more_slivers = _narrowed(shaped, partition, options, frame, originals)
    cleaned = _returned(final, frame, originals, len(given))
    stages = [_areas(stage, len(given)) for stage in (met, partition, shaped, final)]
    resolved = stages[1] + stages[3] - stages[2]  # what was settled last is no reshaping
    before = shapely.area(given)
    true = _true_areas(geometries, before, crs)
    overall = float((before * true).sum() / before.sum()) if before.sum() else 1.0
    areas = {
        "area_before": before * true,
        "area_resolved": resolved * true,
        "area_after": stages[3] * true,
    }
    index = table.index if table is not None else pd.RangeIndex(len(given))
    gone = shapely.is_empty(cleaned) & ~shapely.is_empty(given)
    report = Report(
        pd.DataFrame(areas, index=index),
        overlaps.scaled(overall),
        (gaps + more_gaps).scaled(overall),
        (slivers + more_slivers).scaled(overall),
        repaired,
        tuple(index[gone]),
        (int(shapely.get_num_coordinates(given).sum()),
         int(shapely.get_num_coordinates(cleaned).sum())),
        tuple(float((part * true).sum()) for part in (stages[0], resolved, stages[3])),  # type: ignore[arg-type]
        (bool(shapely.coverage_is_valid(given)), bool(shapely.coverage_is_valid(cleaned))),
        tuple(index[shapely.is_missing(geometries) | shapely.is_empty(geometries)]),
    )  # fmt: skip
    return cleaned, report


def _true_areas(geometries: Geometries, framed: NDArray[Any], crs: Any) -> NDArray[np.float64]:
    """Return ``(n,)`` square metres on the ground in one of the frame's, for each feature."""
    known = measure_all(geometries, crs)[:, 0]
    usable = np.isfinite(known) & (known > 0) & (framed > 0) & shapely.is_valid(geometries)
    share = np.ones(len(framed))
    share[usable] = known[usable] / framed[usable]
    return np.where(np.abs(share - 1) > TRUE_AREA, share, 1.0)


def _narrowed(
    shaped: Partition, before: Partition, options: CleanOptions, frame: Frame, originals: Originals
) -> tuple[Partition, Change, Change]:
    """Return the reshaped partition without the gaps and slivers that reshaping has made.

    What was just wide enough before may be narrower after.
    """
    if shaped is before:
        return shaped, Change(), Change()
    closed, gaps = gaps_closed(shaped, options.gap, frame.cell)
    closed, slivers = slivers_moved(closed, options.sliver_width)
    if not gaps.count and not slivers.count:
        return shaped, gaps, slivers
    return settled(closed, originals, frame.cell), gaps, slivers


def polygonal(geometries: Geometries) -> tuple[Geometries, int]:
    """Return ``(n,)`` valid polygons, empty ones for None, and how many had to be repaired.

    Raises:
        GeoreferenceError: A row is a line or a point.
    """
    blank = shapely.is_missing(geometries) | shapely.is_empty(geometries)
    kinds = shapely.get_type_id(geometries)
    polygons = (shapely.GeometryType.POLYGON, shapely.GeometryType.MULTIPOLYGON)
    other = np.flatnonzero(~blank & ~np.isin(kinds, polygons))
    if len(other):
        name = geometries[other[0]].geom_type
        raise GeoreferenceError(f"row {other[0] + 1} is a {name}; a coverage is of polygons only")
    found = np.where(blank, shapely.Polygon(), geometries)
    invalid = ~shapely.is_valid(found)
    found[invalid] = shapely.make_valid(found[invalid], method="structure", keep_collapsed=False)
    return found, int(invalid.sum())


def _returned(partition: Partition, frame: Frame, originals: Originals, count: int) -> Geometries:
    """Return ``(count,)`` the owners' geometries in the CRS, a valid coverage."""
    grouped = grouped_by_owner(partition, count)

    def exact(xy: Any) -> Any:
        return frame.back(originals.restore(xy))

    cleaned: Geometries = shapely.transform(grouped, exact)
    if shapely.is_valid(cleaned).all() and shapely.coverage_is_valid(cleaned):
        return cleaned
    log.debug("original vertices lie too near to other borders; rounded ones are kept")
    rounded: Geometries = shapely.transform(grouped, frame.back)
    return rounded


def settled(partition: Partition, originals: Originals, cell: float) -> Partition:
    """Return the partition without needless vertices and pinched holes."""
    crowded = opened(partition.borders, partition.owner, cell)
    return straightened(Partition(crowded, partition.owner), originals, cell)


def grouped_by_owner(partition: Partition, count: int) -> Geometries:
    """Return ``(count,)`` a Polygon or MultiPolygon of each owner's parts, empty without any."""
    owned = np.flatnonzero(partition.owner >= 0)
    grouped = np.full(count, shapely.Polygon(), dtype=object)
    if not len(owned):
        return grouped
    owned = owned[np.argsort(partition.owner[owned], kind="stable")]
    owner = partition.owner[owned]
    polygons = partition.borders.polygons()[owned]
    names, first, number = np.unique(owner, return_index=True, return_counts=True)
    grouped[names] = polygons[first]
    several = number > 1
    if several.any():
        chosen = np.repeat(several, number)
        place = np.repeat(np.cumsum(several) - 1, number)[chosen]
        grouped[names[several]] = shapely.multipolygons(polygons[chosen], indices=place)
    return grouped


def _areas(partition: Partition, count: int) -> NDArray[np.float64]:
    owned = partition.owner >= 0
    return sums(partition.owner[owned], partition.borders.areas()[owned], count)
