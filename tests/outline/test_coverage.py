"""Coverages: nothing overlaps, borders are shared vertex by vertex, and little ground moves."""

from __future__ import annotations

import json
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
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from geoiseg.errors import GeoreferenceError
from geoiseg.outline.coverage import CleanOptions, clean, clean_geometries, snap_to_neighbours
from geoiseg.outline.vectorize import geometry_from_mask, polygons_from_labels

UTM = "EPSG:32631"
EAST, NORTH = 500_000, 4_500_000


def box(left: float, bottom: float, right: float, top: float) -> Any:
    """Return a rectangle in metres from a place in UTM."""
    return shapely.box(EAST + left, NORTH + bottom, EAST + right, NORTH + top)


def table(*geometries: Any, **columns: Any) -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame(columns, geometry=list(geometries), crs=UTM)


def overlap(geometries: Any) -> float:
    """Return the largest area that two geometries have in common."""
    array = np.asarray(geometries, dtype=object)
    one, other = shapely.STRtree(array).query(array, predicate="intersects")
    pairs = one < other
    common = shapely.intersection(array[one[pairs]], array[other[pairs]])
    return float(shapely.area(common).max(initial=0.0))


def label_image(seed: int, regions: int, sigma: float, size: int = 24) -> NDArray[np.int64]:
    """Return touching, nested and holed regions, some of them in several pieces."""
    rng = np.random.default_rng(seed)
    fields = np.stack(
        [gaussian_filter(rng.normal(size=(size, size)), sigma) for _ in range(regions)]
    )
    labels = fields.argmax(axis=0)
    y, x, r = rng.integers(4, size - 4, 3)
    ring = np.hypot(*(np.mgrid[:size, :size] - np.array([y, x])[:, None, None]))
    labels[ring < r / 4] = regions
    labels[ring < r / 8] = regions + 1
    return labels


def jittered(geometries: Any, amount: float, seed: int) -> NDArray[Any]:
    """Return geometries whose vertices are moved, each geometry's by itself."""
    rng = np.random.default_rng(seed)

    def moved(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        places, place = np.unique(xy, axis=0, return_inverse=True)
        return xy + rng.normal(0, amount, places.shape)[place.ravel()]

    each = [shapely.make_valid(shapely.transform(geometry, moved)) for geometry in geometries]
    return np.array([polygons_of(geometry) for geometry in each], dtype=object)


def polygons_of(geometry: Any) -> Any:
    parts = [p for p in shapely.get_parts(geometry) if "Polygon" in p.geom_type]
    return shapely.union_all(parts)


def sound(geometries: Any) -> bool:
    """Whether geometries are valid, do not overlap, and share their borders' vertices."""
    array = np.asarray(geometries, dtype=object)
    return bool(shapely.is_valid(array).all() and shapely.coverage_is_valid(array)
                and overlap(array) < 1e-6)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 100_000),
    st.integers(1, 6),
    st.sampled_from([0.5, 1.0, 2.0, 4.0]),
    st.sampled_from([0.0, 0.2, 1.0, 3.0]),
    st.sampled_from(["order", "area"]),
    st.sampled_from([(0.0, 0.0, 0), (4.0, 0.0, 0), (4.0, 2.0, 0), (4.0, 2.0, 2), (9.0, 12.0, 3)]),
    st.sampled_from([UTM, "EPSG:4326"]),
)
@example(659, 5, 0.5, 0.2, "area", (4.0, 0.0, 0), "EPSG:4326")  # GEOS: TopologyException
def test_random_regions_never_give_an_overlapping_coverage(
    seed: int, regions: int, sigma: float, jitter: float, rule: str, how: tuple[float, float, int],
    crs: str,
) -> None:  # fmt: skip
    pixel = 2.0 if crs == UTM else 2.0 / 111_195
    place = (EAST, NORTH) if crs == UTM else (3.0, 40.0)
    transform = Affine(pixel, 0, place[0], 0, -pixel, place[1])
    shapes, _ = polygons_from_labels(label_image(seed, regions, sigma), transform)
    given = jittered(shapes, jitter * pixel / 2, seed)
    options = CleanOptions(rule=rule, gap=how[0], simplify=how[1], smooth=how[2])
    cleaned, report = clean_geometries(given, options, crs)
    assert report.valid[1]
    assert sound(cleaned) if crs == UTM else shapely.coverage_is_valid(cleaned)
    assert shapely.is_valid(cleaned).all()
    covered, still = shapely.union_all(given), shapely.union_all(cleaned)
    if how[1] == how[2] == 0:
        # No ground that a feature had is lost.
        assert shapely.difference(covered, still).area <= 1e-4 * covered.length
    assert abs(report.reshaped) <= 2 * 0.0025 + 1e-9
    has_ground = ~shapely.is_empty(cleaned)
    assert set(report.lost) == set(np.flatnonzero(~has_ground & ~shapely.is_empty(given)))
    resolved, after = (report.features[f"area_{when}"] for when in ("resolved", "after"))
    # The bound is a share of what a feature had then; slivers may have left it since.
    had = report.features.max(axis=1)
    assert ((after - resolved).abs() <= (1.01**2 - 1) * had + 1e-9).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 100_000), st.integers(1, 6), st.sampled_from([0.5, 1.0, 3.0]))
def test_a_clean_coverage_comes_back_bit_for_bit(seed: int, regions: int, sigma: float) -> None:
    transform = Affine(0.3, 0, EAST + 0.1, 0, -0.3, NORTH + 0.7)
    shapes, _ = polygons_from_labels(label_image(seed, regions, sigma), transform)
    cleaned, report = clean_geometries(shapes, crs=UTM)
    assert shapely.equals(cleaned, shapes).all()
    before, after = (set(map(tuple, shapely.get_coordinates(g))) for g in (shapes, cleaned))
    assert after == before
    assert report.overlaps.count == report.gaps.count == report.slivers.count == 0
    assert report.valid == (True, True)
    assert report.area_change == pytest.approx(0, abs=1e-12)


def test_overlaps_go_by_the_rule() -> None:
    big, small = box(0, 0, 100, 100), box(80, 20, 130, 60)
    frame = table(big, small, score=[0.5, 0.9], label=["field", "road"], owner=["Ana", "Bo"])
    frame.index = pd.Index([7, 3], name="key")
    common = 20 * 40

    def areas(**options: Any) -> list[float]:
        cleaned, report = clean(frame, CleanOptions(**options))
        assert report.overlaps.count == 1
        assert report.overlaps.area == pytest.approx(common)
        assert cleaned.crs == frame.crs
        assert list(cleaned.index) == [7, 3]
        assert list(cleaned["owner"]) == ["Ana", "Bo"]
        assert sound(cleaned.geometry)
        return list(cleaned.area)

    first, second = [10_000, 2_000 - common], [10_000 - common, 2_000]
    assert areas() == pytest.approx(first)
    assert areas(rule="score") == pytest.approx(second)
    assert areas(rule="area") == pytest.approx(second)
    assert areas(rule="class", classes=("field", "road")) == pytest.approx(first)
    assert areas(rule="class", classes=("road",)) == pytest.approx(second)
    assert areas(rule="class", column="owner", classes=("Bo", "Ana")) == pytest.approx(second)


def test_what_is_covered_wholly_is_named_and_dropped() -> None:
    frame = table(box(0, 0, 50, 50), box(10, 10, 20, 20), box(60, 0, 70, 10))
    cleaned, report = clean(frame)
    assert list(cleaned.index) == [0, 2]
    assert report.lost == (1,)
    kept, _ = clean(frame, CleanOptions(rule="area"))
    assert list(kept.area) == pytest.approx([2400, 100, 100])


def test_a_gap_goes_to_the_neighbour_of_the_longest_border() -> None:
    left, upper, lower = box(0, 0, 50, 100), box(53, 40, 90, 100), box(53, 0, 90, 38)
    cleaned, report = clean(table(left, upper, lower), CleanOptions(gap=4))
    assert sound(cleaned.geometry)
    assert report.gaps.count == 1  # one connected place
    assert report.gaps.area == pytest.approx(3 * 100 + 2 * 37, rel=0.01)
    assert cleaned.area.sum() == pytest.approx(90 * 100, rel=0.002)
    assert cleaned.union_all().geom_type == "Polygon"
    untouched, nothing = clean(table(left, upper, lower), CleanOptions(gap=1.9))
    assert nothing.gaps.count == 0
    assert list(untouched.area) == pytest.approx([5000, 37 * 60, 37 * 38])


def test_notches_and_holes_of_one_feature_are_no_gaps() -> None:
    notched = box(0, 0, 50, 50) - box(20, 20, 22, 50) - box(30, 10, 32, 12)
    cleaned, report = clean(table(notched, box(50, 0, 80, 50)), CleanOptions(gap=4))
    assert report.gaps.count == 0
    assert cleaned.geometry[0].equals(notched)


def test_a_sliver_left_by_an_overlap_goes_to_the_neighbour() -> None:
    strong, weak = box(0, 0, 50, 50), box(-1.5, 0, 100, 50)
    cleaned, report = clean(table(strong, weak), CleanOptions(sliver=2))
    assert report.slivers.count == 1
    assert report.slivers.area == pytest.approx(75)
    assert list(cleaned.area) == pytest.approx([2575, 2500])
    assert set(cleaned.geom_type) == {"Polygon"}
    kept, _ = clean(table(strong, weak), CleanOptions(sliver=1))
    assert list(kept.geom_type) == ["Polygon", "MultiPolygon"]


def test_three_features_meet_in_one_vertex() -> None:
    frame = table(box(0, 0, 100, 50), box(0, 50, 40, 90), box(40, 50, 100, 90))
    assert not shapely.coverage_is_valid(frame.geometry.to_numpy())
    cleaned, report = clean(frame)
    assert report.valid == (False, True)
    corner = (EAST + 40, NORTH + 50)
    for geometry in cleaned.geometry:
        assert corner in set(geometry.exterior.coords)


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3857", "EPSG:2263"])
def test_widths_are_metres_in_any_crs(crs: str) -> None:
    place = gpd.GeoSeries([shapely.Point(-74.0, 40.7)], crs="EPSG:4326")
    utm = place.to_crs("EPSG:32618")[0]
    left = shapely.box(utm.x, utm.y, utm.x + 60, utm.y + 80)
    right = shapely.box(utm.x + 63, utm.y, utm.x + 120, utm.y + 80)
    frame = gpd.GeoDataFrame(geometry=[left, right], crs="EPSG:32618").to_crs(crs)
    _, wide = clean(frame, CleanOptions(gap=3.2))
    _, narrow = clean(frame, CleanOptions(gap=2.8))
    assert (wide.gaps.count, narrow.gaps.count) == (1, 0)
    assert wide.gaps.area == pytest.approx(240, rel=0.02)
    assert wide.features["area_before"].sum() == pytest.approx(117 * 80, rel=0.002)


def test_borders_are_simplified_once_for_both_sides() -> None:
    labels = gaussian_filter(np.random.default_rng(5).normal(size=(6, 120, 120)), (0, 9, 9)).argmax(
        0
    )
    shapes, _ = polygons_from_labels(labels + 1, Affine(2, 0, EAST, 0, -2, NORTH))
    cleaned, report = clean_geometries(shapes, CleanOptions(simplify=3.0), UTM)
    assert sound(cleaned)
    assert report.vertices[1] < report.vertices[0] / 3
    assert shapely.union_all(cleaned).area == pytest.approx(
        shapely.union_all(shapes).area, rel=5e-3
    )
    assert all(a.hausdorff_distance(b) <= 3.0 + 1e-9 for a, b in zip(shapes, cleaned, strict=True))
    alone = shapely.simplify(shapes, 3.0)
    assert overlap(alone) > 10  # what doing each by itself costs
    smooth, after = clean_geometries(shapes, CleanOptions(simplify=3.0, smooth=2), UTM)
    assert sound(smooth)
    assert after.vertices[1] > report.vertices[1]
    assert (after.changes().abs() <= 0.021).all()


def test_buildings_are_squared_and_kept_apart() -> None:
    wobbly = [(0, 0), (10, 0.3), (20, -0.2), (20.2, 12), (10, 12.3), (-0.2, 11.9), (0.2, 6)]
    frame = gpd.GeoDataFrame(geometry=[shapely.Polygon(np.add(wobbly, (EAST + 40 * k, NORTH)))
                                       for k in range(2)], crs=UTM)  # fmt: skip
    cleaned, report = clean(frame, CleanOptions(square=True, gap=0.5))
    assert sound(cleaned.geometry)
    for geometry in cleaned.geometry:
        edges = np.diff(shapely.get_coordinates(geometry), axis=0)
        edges /= np.hypot(*edges.T)[:, None]
        assert np.abs((edges * np.roll(edges, 1, axis=0)).sum(axis=1)).max() < 1e-4
    assert abs(report.area_change) < 0.05


def test_odd_rows_pass_or_are_refused_in_one_line() -> None:
    bow = shapely.Polygon([(0, 0), (10, 10), (10, 0), (0, 10)])
    solid = shapely.Polygon([(20, 0, 5), (30, 0, 5), (30, 10, 5)])
    frame = gpd.GeoDataFrame({"n": [0, 1, 2, 3]}, geometry=[bow, None, shapely.Polygon(), solid])
    cleaned, report = clean(frame)
    assert report.repaired == 1
    assert list(cleaned["n"]) == [0, 3]
    assert report.lost == ()
    assert cleaned.area.sum() == pytest.approx(100)
    empty, _ = clean(frame.iloc[:0], CleanOptions(gap=1, simplify=1, smooth=1))
    assert len(empty) == 0
    for bad in (gpd.GeoDataFrame(geometry=[shapely.Point(0, 0)]),
                gpd.GeoDataFrame(geometry=[shapely.box(0, 0, np.inf, 1)])):  # fmt: skip
        with pytest.raises(GeoreferenceError):
            clean(bad)
    for options in ({"rule": "size"}, {"rule": "class"}, {"gap": -1}, {"smooth": 9},
                    {"simplify": np.nan}, {"max_area_change": 2}):  # fmt: skip
        with pytest.raises(GeoreferenceError):
            CleanOptions(**options)
    with pytest.raises(GeoreferenceError, match="'score'"):
        clean(frame, CleanOptions(rule="score"))


def test_the_report_is_ready_for_json() -> None:
    frame = table(box(0, 0, 50, 50), box(40, 0, 90, 50), box(42, 10, 44, 12))
    _, report = clean(frame, CleanOptions(gap=2, simplify=1))
    facts = json.loads(json.dumps(report.as_dict()))
    assert facts["overlaps"] == {"count": 2, "area_m2": 500}
    assert facts["lost"] == [2]
    assert facts["valid_after"] is True
    assert facts["area_before_m2"] == pytest.approx(4500)
    assert "\n" not in str(report)


def test_a_new_field_takes_over_its_neighbours_borders() -> None:
    west, north = box(0, 0, 100, 100), box(102, 60, 200, 120)
    new = box(98, -10, 180, 58)
    fitted = snap_to_neighbours(new, [west, north, box(900, 0, 910, 10)], 5, UTM)
    everything = np.append(fitted.neighbours, fitted.geometry)
    assert sound(everything)
    for before, after in zip([west, north], fitted.neighbours, strict=False):
        assert before.symmetric_difference(after).area < 1e-6
    # The overlap in the west is cut, the gap of two metres in the north is closed.
    assert fitted.geometry.intersection(west).length == pytest.approx(100 - 0, rel=0.45)
    assert fitted.geometry.distance(north) == 0
    assert fitted.geometry.intersection(north).length > 70
    gained = fitted.geometry.difference(new).area
    assert gained == pytest.approx(2 * 78, rel=0.2)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 100_000), st.floats(0.5, 3), st.sampled_from([0.0, 3.0, 8.0]))
def test_a_fitted_feature_never_overlaps(seed: int, sigma: float, width: float) -> None:
    transform = Affine(2, 0, EAST, 0, -2, NORTH)
    shapes, _ = polygons_from_labels(label_image(seed, 4, sigma), transform)
    accepted, _ = clean_geometries(jittered(shapes, 0.5, seed), crs=UTM)
    new = shapely.Point(EAST + 24, NORTH - 24).buffer(12)
    chosen = accepted[1:][~shapely.is_empty(accepted[1:])]
    fitted = snap_to_neighbours(new, chosen, width, UTM)
    assert fitted.geometry.is_valid
    everything = np.append(fitted.neighbours, fitted.geometry)
    assert overlap(everything) < 1e-6
    assert shapely.coverage_is_valid(everything)
    assert (
        shapely.area(shapely.symmetric_difference(fitted.neighbours, chosen)).max(initial=0) < 1e-2
    )


def test_alone_a_feature_stays_as_it_is() -> None:
    new = box(0, 0, 10, 10)
    assert snap_to_neighbours(new, [], 5, UTM).geometry is new
    assert snap_to_neighbours(new, [box(100, 0, 110, 10)], 5, UTM).geometry is new
    with pytest.raises(GeoreferenceError, match="width"):
        snap_to_neighbours(new, [], -1)


@pytest.mark.realdata
@pytest.mark.parametrize("scene", ["fields_naip_00", "fields_naip_04", "fields_naip_09",
                                   "fields_naip_12", "fields_naip_25", "fields_naip_29"])  # fmt: skip
def test_labelled_fields_become_a_coverage(data: Path, scene: str) -> None:
    folder = data / "scenes" / scene
    labels = gpd.read_file(folder / "labels.geojson")
    with rasterio.open(folder / "image.tif") as raster:
        shape, transform = raster.shape, raster.transform
    masks = [rasterio.features.geometry_mask([g], shape, transform, invert=True)
             for g in labels.geometry]  # fmt: skip
    seen = [mask.any() for mask in masks]
    frame = labels[seen].set_geometry(
        [geometry_from_mask(mask, transform) for mask in masks if mask.any()]
    )
    pixel = 1.0 if scene in {"fields_naip_25", "fields_naip_29"} else 2.5
    options = CleanOptions(gap=2 * pixel, simplify=pixel)
    cleaned, report = clean(frame, options)
    ground = cleaned.to_crs(cleaned.estimate_utm_crs()).geometry.to_numpy()
    assert report.valid[1]
    assert shapely.coverage_is_valid(cleaned.geometry.to_numpy())
    # What simplifying and smoothing change is bounded; closing gaps adds what lies in them.
    assert abs(report.reshaped) < 0.005
    added = report.ground[1] - report.ground[0]
    assert added == pytest.approx(report.gaps.area, rel=0.02, abs=5)
    sums = report.features.sum()
    assert sums["area_after"] == pytest.approx(sums["area_before"], rel=0.005)
    assert report.vertices[1] < report.vertices[0] / 3
    alone = shapely.simplify(frame.to_crs(frame.estimate_utm_crs()).geometry.to_numpy(), pixel)
    assert overlap(ground) < 1e-3
    if report.overlaps.count > 5:
        assert overlap(alone) > 100 * overlap(ground)
    again, second = clean(cleaned, CleanOptions(gap=2 * pixel))
    assert second.overlaps.area < 1e-3
    assert second.gaps.area < 0.001 * report.ground[2]
    assert len(again) == len(cleaned)
