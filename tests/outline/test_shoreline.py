"""Shorelines without frames, centre lines, and change as coastal analysts count it."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import rasterio.features
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from scipy.stats import linregress

from geoiseg.errors import GeoreferenceError
from geoiseg.outline.shoreline import (
    TransectOptions,
    boundary_lines,
    centre_lines,
    crossings,
    decimal_year,
    rates,
    shoreline_from_mask,
    smooth_lines,
    transects,
)

UTM = "EPSG:32631"
EAST, NORTH = 500_000, 4_500_000
PLACE = Affine(2, 0, EAST, 0, -2, NORTH)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([1.0, 2.0, 4.0]), st.booleans())
def test_the_shoreline_is_every_edge_between_water_and_land(
    seed: int, sigma: float, holes: bool
) -> None:
    rng = np.random.default_rng(seed)
    water = gaussian_filter(rng.normal(size=(20, 26)), sigma) > 0
    valid = gaussian_filter(rng.normal(size=(20, 26)), 2) > -0.2 if holes else np.ones_like(water)
    lines = shoreline_from_mask(water, PLACE, valid)
    both_x, both_y = valid[:, 1:] & valid[:, :-1], valid[1:] & valid[:-1]
    edges = ((water[:, 1:] != water[:, :-1]) & both_x).sum()
    edges += ((water[1:] != water[:-1]) & both_y).sum()
    assert shapely.length(lines).sum() == pytest.approx(2 * edges)
    frame = shapely.box(EAST, NORTH - 40, EAST + 52, NORTH).boundary
    assert sum(line.intersection(frame).length for line in lines) == 0


def test_the_frame_is_no_shore() -> None:
    extent = shapely.box(EAST, NORTH, EAST + 1000, NORTH + 800)
    shore = [(EAST + 400, NORTH - 10), (EAST + 500, NORTH + 300), (EAST + 420, NORTH + 900)]
    sea = extent & shapely.Polygon([*shore, (EAST + 2000, NORTH + 900), (EAST + 2000, NORTH - 10)])
    lines = boundary_lines(sea, extent=extent, margin=3, crs=UTM)
    assert len(lines) == 1
    assert lines[0].length == pytest.approx((shapely.LineString(shore) & extent).length, abs=8)
    assert lines[0].distance(extent.boundary) <= 3.2
    exact = boundary_lines(sea, extent=extent)
    assert exact[0].equals(shapely.LineString(shore) & extent)


def test_between_two_classes_is_what_they_share() -> None:
    one, two = shapely.box(0, 0, 10, 10), shapely.box(10, 2, 20, 8)
    assert boundary_lines(one, other=two)[0].equals(shapely.LineString([(10, 2), (10, 8)]))
    apart = shapely.box(10.5, 2, 20, 8)
    near = boundary_lines(one, other=apart, margin=1)
    assert len(near) == 1
    assert near[0].length == pytest.approx(6, abs=2.1)
    assert len(boundary_lines(one, other=apart)) == 0


def test_margins_are_metres_in_degrees_too() -> None:
    frame = gpd.GeoDataFrame(geometry=[shapely.box(EAST, NORTH, EAST + 500, NORTH + 500),
                                       shapely.box(EAST + 4, NORTH, EAST + 500, NORTH + 500)],
                             crs=UTM).to_crs("EPSG:4326")  # fmt: skip
    extent, sea = frame.geometry
    kept = boundary_lines(sea, extent=extent, margin=3, crs="EPSG:4326")
    gone = boundary_lines(sea, extent=extent, margin=5, crs="EPSG:4326")
    assert sum(gpd.GeoSeries(kept, crs="EPSG:4326").to_crs(UTM).length) == pytest.approx(500, abs=8)
    assert len(gone) == 0


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([1.0, 3.0]), st.sampled_from([0.5, 2.0, 5.0]))
def test_smoothing_stays_within_the_deviation(seed: int, sigma: float, deviation: float) -> None:
    water = gaussian_filter(np.random.default_rng(seed).normal(size=(24, 24)), sigma) > 0
    lines = shoreline_from_mask(water, PLACE)
    smooth = smooth_lines(lines, deviation, UTM)
    assert len(smooth) == len(lines)
    for before, after in zip(lines, smooth, strict=True):
        # A vertex may lie between the places at which GEOS measures.
        assert after.hausdorff_distance(before) <= deviation * 1.01 + 1e-9
        assert before.is_ring == after.is_ring
        assert after.is_simple or not before.is_simple
        if not before.is_ring:
            assert (before.coords[0], before.coords[-1]) == (after.coords[0], after.coords[-1])


def test_smoothing_rounds_pixel_stairs() -> None:
    stairs = shoreline_from_mask(np.tri(60, dtype=bool), PLACE)
    smooth = smooth_lines(stairs, 2.0, UTM)[0]
    assert smooth.length == pytest.approx(np.hypot(118, 118), rel=0.02)
    assert stairs[0].length == pytest.approx(2 * 118, rel=0.02)


@pytest.mark.parametrize("crs", [UTM, "EPSG:4326"])
def test_the_centre_line_of_a_bent_river_is_its_middle(crs: str) -> None:
    along = np.linspace(0, 4 * np.pi, 300)
    middle = shapely.LineString(np.c_[EAST + 200 * along, NORTH + 300 * np.sin(along / 1.5)])
    river = gpd.GeoSeries([middle.buffer(40, cap_style="flat")], crs=UTM).to_crs(crs)[0]
    lines = gpd.GeoSeries(centre_lines(river, crs=crs), crs=crs).to_crs(UTM)
    assert len(lines) == 1
    assert lines[0].hausdorff_distance(middle) < 45  # it ends half a width before the end
    inner = shapely.intersection(lines[0], middle.buffer(3))
    assert inner.length > 0.95 * lines[0].length
    assert lines[0].length == pytest.approx(middle.length, rel=0.04)


def test_around_an_island_the_line_goes_both_ways() -> None:
    river = shapely.box(0, 0, 1000, 100) - shapely.Point(500, 50).buffer(25)
    ways = centre_lines(river, spacing=5)
    assert len(shapely.get_parts(shapely.polygonize(ways))) == 1
    one = centre_lines(river, spacing=5, main=True)
    assert len(one) == 1
    assert one[0].is_simple
    assert one[0].length > 900


def test_a_tributary_stays_and_a_bump_goes() -> None:
    river = (
        shapely.box(0, 0, 1000, 60) | shapely.box(480, 60, 520, 500) | shapely.box(200, 60, 230, 80)
    )
    lines = centre_lines(river, spacing=4)
    assert len(lines) == 3
    assert shapely.distance(shapely.multilinestrings(lines), shapely.Point(500, 460)) < 25
    assert shapely.distance(shapely.multilinestrings(lines), shapely.Point(215, 78)) > 25


def test_transects_stand_square_on_the_baseline() -> None:
    baseline = shapely.LineString([(EAST, NORTH), (EAST + 1000, NORTH)])
    frame = transects(baseline, TransectOptions(100, 200, "left"), UTM)
    assert frame.crs == UTM
    assert list(frame["along_m"]) == list(range(0, 1001, 100))
    assert list(frame["transect"]) == list(range(1, 12))
    for along, line in zip(frame["along_m"], frame.geometry, strict=True):
        assert line.equals_exact(shapely.LineString([(EAST + along, NORTH),
                                                     (EAST + along, NORTH + 200)]), 1e-6)  # fmt: skip
    right = transects(baseline, TransectOptions(100, 200, "right"), UTM).geometry[0]
    assert right.coords[1] == pytest.approx((EAST, NORTH - 200))
    both = transects(baseline, TransectOptions(500, 200), UTM)
    assert both.length.tolist() == pytest.approx([400] * 3)
    lonlat = gpd.GeoSeries([baseline], crs=UTM).to_crs("EPSG:4326")[0]
    there = transects(lonlat, TransectOptions(100, 200, "left"), "EPSG:4326")
    assert len(there) == 11
    assert there.to_crs(UTM).length.to_numpy() == pytest.approx(200, rel=0.003)


def shore_frame(dates: list[Any], offsets: list[float]) -> gpd.GeoDataFrame:
    lines = [
        shapely.LineString([(EAST - 50, NORTH + y), (EAST + 1050, NORTH + y)]) for y in offsets
    ]
    return gpd.GeoDataFrame({"date": dates}, geometry=lines, crs=UTM)


def test_rates_are_those_of_dsas() -> None:
    baseline = shapely.LineString([(EAST, NORTH), (EAST + 1000, NORTH)])
    ways = transects(baseline, TransectOptions(250, 300, "left"), UTM)
    years, offsets = [1985, 1995, 2005, 2015, 2020], [100.0, 112.0, 95.0, 130.0, 141.0]
    shores = shore_frame(years, offsets)
    points = crossings(ways, shores.sample(frac=1, random_state=0))
    assert len(points) == 5 * 5
    assert points.groupby("year")["distance_m"].first().tolist() == pytest.approx(offsets)
    result = rates(ways, points)
    oracle = linregress(years, offsets)
    for _, row in result.iterrows():
        assert row["dates"] == 5
        assert row["nsm_m"] == pytest.approx(41)
        assert row["sce_m"] == pytest.approx(46)
        assert row["epr"] == pytest.approx(41 / 35)
        assert row["lrr"] == pytest.approx(oracle.slope)
        assert row["lr2"] == pytest.approx(oracle.rvalue**2)
        assert row["lci95"] == pytest.approx(3.182446 * oracle.stderr, rel=1e-5)
    lonlat = rates(ways, crossings(ways, shores.to_crs("EPSG:4326")))
    assert lonlat["lrr"].to_numpy() == pytest.approx(result["lrr"].to_numpy(), abs=1e-3)


def test_transects_without_shores_and_with_two_dates() -> None:
    baseline = shapely.LineString([(EAST, NORTH), (EAST + 4000, NORTH)])
    ways = transects(baseline, TransectOptions(1000, 300, "left"), UTM)
    result = rates(ways, crossings(ways, shore_frame(["2000-01-01", "2010-01-01"], [50, 30])))
    assert result["dates"].tolist() == [2, 2, 0, 0, 0]
    assert result["epr"].tolist()[:2] == pytest.approx([-2, -2])
    assert result[["epr", "nsm_m"]].iloc[2:].isna().all(axis=None)
    assert result["lrr"].isna().all()


def test_of_several_crossings_the_asked_one_counts() -> None:
    baseline = shapely.LineString([(EAST, NORTH), (EAST + 100, NORTH)])
    ways = transects(baseline, TransectOptions(100, 300, "left"), UTM)
    shores = shore_frame([2000, 2000], [40, 90])
    assert crossings(ways, shores)["distance_m"].tolist() == pytest.approx([40, 40])
    assert crossings(ways, shores, pick="farthest")["distance_m"].tolist() == pytest.approx(
        [90, 90]
    )


def test_dates_are_read_as_decimal_years() -> None:
    assert decimal_year(1995) == decimal_year("1995") == 1995.0
    assert decimal_year("2001-07-02") == pytest.approx(2001 + 182 / 365)
    assert decimal_year(date(2000, 12, 31)) == pytest.approx(2000 + 365 / 366)
    assert decimal_year(pd.Timestamp("2010-01-01")) == 2010.0
    assert decimal_year(np.datetime64("2010-01-01")) == 2010.0
    for bad in ("last summer", None, float("nan"), "2001-13-01", pd.NaT, 20010101):
        with pytest.raises(GeoreferenceError, match="date"):
            decimal_year(bad)


def test_wrong_input_is_refused_in_one_line() -> None:
    box = shapely.box(0, 0, 1, 1)
    line = shapely.LineString([(0, 0), (1, 1)])
    for wrong in (
        lambda: boundary_lines(line),
        lambda: boundary_lines(box, margin=-1),
        lambda: smooth_lines([line], -1),
        lambda: centre_lines(line),
        lambda: centre_lines(box, spacing=0),
        lambda: transects(box, TransectOptions(1, 1)),
        lambda: TransectOptions(0, 1),
        lambda: TransectOptions(1, 1, "up"),
        lambda: shoreline_from_mask(np.zeros((2, 2)), PLACE),
        lambda: crossings(
            transects(line, TransectOptions(1, 1)), gpd.GeoDataFrame(geometry=[line])
        ),
    ):
        with pytest.raises(GeoreferenceError) as refused:
            wrong()
        assert "\n" not in str(refused.value)


@pytest.mark.realdata
def test_the_coast_of_olinda_is_one_line_without_the_frame(data: Path) -> None:
    folder = data / "scenes" / "coast_olinda_l7"
    sea = gpd.read_file(folder / "labels.geojson")
    with rasterio.open(folder / "image.tif") as raster:
        extent, pixel = shapely.box(*raster.bounds), raster.res[0]
        inside = rasterio.features.geometry_mask(
            sea.geometry, raster.shape, raster.transform, invert=True
        )
        exact = shoreline_from_mask(inside, raster.transform)
    lines = boundary_lines(sea.geometry[0], extent=extent, margin=pixel, crs=sea.crs)
    assert shapely.length(lines).sum() == pytest.approx(shapely.length(exact).sum(), rel=0.02)
    assert lines[0].length > 8_000
    frame = extent.boundary.buffer(pixel * 0.9)
    assert sum(line.intersection(frame).length for line in lines) < pixel
    smooth = smooth_lines(lines, pixel, sea.crs)
    assert smooth[0].hausdorff_distance(lines[0]) <= pixel * 1.01
    assert smooth[0].length < 0.9 * lines[0].length


@pytest.mark.realdata
def test_the_ucayali_moves(data: Path) -> None:
    years = (1985, 1995, 2005, 2015, 2020)
    rivers = [gpd.read_file(data / f"scenes/river_ucayali_{year}/labels.geojson") for year in years]
    crs = rivers[0].crs
    largest = [r.geometry[r.to_crs("EPSG:32718").area.idxmax()] for r in rivers]
    centres = [centre_lines(river, spacing=45, main=True, crs=crs) for river in largest]
    shores = gpd.GeoDataFrame({"date": years}, geometry=[c[0] for c in centres], crs=crs)
    assert (shores.to_crs("EPSG:32718").length > 30_000).all()
    for river, line in zip(largest, shores.geometry, strict=True):
        assert river.contains(line)
    ways = transects(shores.geometry[0], TransectOptions(1000, 3000, smoothing=3000), crs)
    result = rates(ways, crossings(ways, shores))
    assert (result["dates"] >= 3).mean() > 0.5
    assert result["epr"].abs().median() > 1  # metres a year: it is one of the fastest rivers
    assert result["epr"].abs().max() < 200
