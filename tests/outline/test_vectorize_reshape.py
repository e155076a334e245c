"""Simplifying, smoothing and squaring: valid, the area kept, the topology too."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import rasterio.features
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from shapely import affinity

from geoiseg.errors import GeoreferenceError
from geoiseg.outline.vectorize import (
    geometry_from_mask,
    polygons_from_labels,
    polygons_from_mask,
    regularize,
    simplify,
    simplify_coverage,
    smooth,
)

UTM = Affine(0.5, 0, 500_000, 0, -0.5, 4_500_000)
L_SHAPE = shapely.Polygon([(0, 0), (60, 0), (60, 20), (25, 20), (25, 50), (0, 50)])
COURTYARD = shapely.box(0, 0, 60, 60) - shapely.box(20, 20, 42, 42)
DISK = shapely.Point(0, 0).buffer(25)


def blobs(seed: int, sigma: float, share: float, size: int = 40) -> NDArray[np.bool_]:
    """Return a mask of smooth shapes with islands and holes, speckled where sigma is small."""
    field = gaussian_filter(np.random.default_rng(seed).normal(size=(size, size)), sigma)
    mask: NDArray[np.bool_] = field > np.quantile(field, 1 - share)
    return mask


def rasterized(shape: Any, angle: float, size: int = 160) -> NDArray[np.bool_]:
    """Return the mask of a shape turned by ``angle`` degrees about the image's middle."""
    middle = size / 2 + 0.3
    turned = affinity.rotate(shape, angle, origin="centroid")
    moved = affinity.translate(turned, middle - shape.centroid.x, middle - shape.centroid.y)
    burned = rasterio.features.rasterize([moved], out_shape=(size, size))
    return burned.astype(bool)


def parts_and_holes(geometry: Any) -> list[int]:
    return shapely.get_num_interior_rings(shapely.get_parts(geometry)).tolist()


def iou(one: Any, other: Any) -> float:
    return float(one.intersection(other).area / one.union(other).area)


def right_angled(geometry: Any) -> bool:
    """Whether neighbouring walls of every ring are at right angles."""
    for ring in shapely.get_rings(shapely.get_parts(geometry)):
        walls = np.diff(shapely.get_coordinates(ring), axis=0)
        walls /= np.hypot(walls[:, 0], walls[:, 1])[:, None]
        if np.abs((walls * np.roll(walls, 1, axis=0)).sum(axis=1)).max() > 1e-6:
            return False
    return True


shapes = st.builds(
    lambda *args: geometry_from_mask(blobs(*args), UTM),
    st.integers(0, 10_000),
    st.sampled_from([0.5, 1, 2, 4]),
    st.floats(0.05, 0.95),
)
shares = st.sampled_from([0.0, 0.001, 0.01, 0.1])


@settings(max_examples=60, deadline=None)
@given(shapes, st.floats(0.1, 30), shares)
def test_simplifying_keeps_validity_area_and_topology(
    shape: Any, tolerance: float, share: float
) -> None:
    simpler = simplify(shape, tolerance, share)
    assert simpler.is_valid
    assert abs(simpler.area - shape.area) <= share * shape.area
    assert simpler.geom_type == shape.geom_type
    assert parts_and_holes(simpler) == parts_and_holes(shape)
    before, after = (set(map(tuple, shapely.get_coordinates(g))) for g in (shape, simpler))
    assert after <= before


@settings(max_examples=60, deadline=None)
@given(shapes, st.integers(1, 3), shares)
def test_smoothing_keeps_validity_area_and_topology(
    shape: Any, iterations: int, share: float
) -> None:
    rounder = smooth(shape, iterations, share)
    assert rounder.is_valid
    assert abs(rounder.area - shape.area) <= share * shape.area
    assert rounder.geom_type == shape.geom_type
    assert parts_and_holes(rounder) == parts_and_holes(shape)
    assert shape.hausdorff_distance(rounder) <= shape.length


@settings(max_examples=40, deadline=None)
@given(shapes, shares)
def test_squaring_keeps_validity_and_area(shape: Any, share: float) -> None:
    squared = regularize(shape, share)
    assert squared.is_valid
    assert abs(squared.area - shape.area) <= share * shape.area * (1 + 1e-9)
    assert parts_and_holes(squared) == parts_and_holes(shape)


# -- simplify ------------------------------------------------------------------------------


def test_simplifying_drops_most_stairs_within_its_tolerance() -> None:
    shape = geometry_from_mask(rasterized(DISK, 0), UTM)
    simpler = simplify(shape, 0.75, 0.05)
    assert shapely.get_num_coordinates(simpler) < shapely.get_num_coordinates(shape) / 3
    assert 0.5 < shape.boundary.hausdorff_distance(simpler.boundary) <= 1.5
    assert simplify(shape, 0) == shape


def test_a_tolerance_that_would_cost_area_is_shortened() -> None:
    shape = geometry_from_mask(rasterized(DISK, 0), UTM)
    loose, strict = simplify(shape, 1000, 0.5), simplify(shape, 1000, 0.001)
    assert abs(loose.area / shape.area - 1) > 0.01
    assert abs(strict.area / shape.area - 1) <= 0.001
    assert shapely.get_num_coordinates(loose) < shapely.get_num_coordinates(strict)
    assert shapely.get_num_coordinates(strict) < shapely.get_num_coordinates(shape)


def test_a_shape_that_nothing_can_be_taken_from_comes_back() -> None:
    star = shapely.Polygon([(0, 0), (5, 1), (10, 0), (9, 5), (10, 10), (5, 9), (0, 10), (1, 5)])
    assert simplify(star, 100, 1e-9) == star
    assert smooth(star, 2, 1e-3) == star


# -- coverage ------------------------------------------------------------------------------


def test_a_simplified_coverage_has_no_gaps_and_no_overlaps() -> None:
    rng = np.random.default_rng(4)
    seeds = rng.uniform(0, 120, (30, 2))
    yx = np.stack(np.mgrid[:120, :120], axis=-1)[:, :, None] + 0.5
    labels = np.hypot(*np.moveaxis(yx - seeds, -1, 0)).argmin(axis=-1)
    geometries, _ = polygons_from_labels(labels, UTM)
    simpler = simplify_coverage(geometries, 2.0)
    assert len(simpler) == len(geometries) == 29
    assert shapely.is_valid(simpler).all()
    assert shapely.coverage_is_valid(simpler)
    vertices = shapely.get_num_coordinates
    assert vertices(simpler).sum() < vertices(geometries).sum() / 4
    union = shapely.coverage_union_all(simpler)
    assert union.area == pytest.approx(shapely.area(simpler).sum(), rel=1e-12)
    assert parts_and_holes(union) == parts_and_holes(shapely.coverage_union_all(geometries))
    overlap = max(iou(one, other) for one, other in zip(simpler, geometries, strict=True))
    assert overlap > 0.95


def test_a_coverage_may_be_empty_or_left_as_it_is() -> None:
    geometries, _ = polygons_from_labels(np.array([[1, 2], [1, 3]]), UTM)
    assert list(simplify_coverage(geometries, 0)) == list(geometries)
    assert len(simplify_coverage([], 3)) == 0


def test_polygons_that_do_not_share_their_borders_are_refused() -> None:
    overlapping = [shapely.box(0, 0, 2, 2), shapely.box(1, 0, 3, 2), shapely.box(9, 0, 10, 1)]
    with pytest.raises(GeoreferenceError, match=r"geometry 0 overlaps .* \(2 of 3 do so\)"):
        simplify_coverage(overlapping, 1)


# -- smooth --------------------------------------------------------------------------------


def test_smoothing_rounds_stairs_and_doubles_vertices() -> None:
    shape = geometry_from_mask(rasterized(DISK, 0), UTM)
    rounder = smooth(shape, 2, 0.02)
    assert shapely.get_num_coordinates(rounder) - 1 == 4 * (shapely.get_num_coordinates(shape) - 1)
    assert rounder.length < 0.95 * shape.length
    assert shape.boundary.hausdorff_distance(rounder.boundary) < 0.5
    assert smooth(shape, 0) == shape


def test_a_cut_goes_no_farther_than_the_area_allows() -> None:
    square = shapely.box(0, 0, 100, 100)
    rounder = smooth(square, 1, 0.01)
    lost = 1 - rounder.area / square.area
    assert 0.002 < lost <= 0.01
    longest = np.hypot(*np.diff(shapely.get_coordinates(rounder), axis=0).T).max()
    assert longest > 75
    assert 1 - smooth(square, 1, 0.5).area / square.area == pytest.approx(4 * 25 * 25 / 2 / 1e4)


# -- regularize ----------------------------------------------------------------------------


@settings(max_examples=80, deadline=None)
@given(st.floats(0, 180), st.floats(15, 80), st.floats(15, 80))
def test_a_turned_rectangle_comes_back_with_four_corners(
    angle: float, width: float, height: float
) -> None:
    rectangle = shapely.box(0, 0, width, height)
    mask = rasterized(rectangle, angle)
    shape = geometry_from_mask(mask, UTM)
    squared = regularize(shape)
    assert shapely.get_num_coordinates(squared) == 5
    assert right_angled(squared)
    assert squared.area == pytest.approx(shape.area, rel=0.05)
    burned = rasterio.features.rasterize([squared], mask.shape, transform=UTM).astype(bool)
    assert (burned & mask).sum() / (burned | mask).sum() > 0.9


@settings(max_examples=80, deadline=None)
@given(st.floats(0, 180), st.floats(5, 80), st.floats(5, 80))
def test_a_rectangle_that_is_one_already_stays(angle: float, width: float, height: float) -> None:
    rectangle = affinity.rotate(shapely.box(0, 0, width, height), angle)
    squared = regularize(rectangle)
    assert shapely.get_num_coordinates(squared) == 5
    assert squared.symmetric_difference(rectangle).area < 1e-6 * rectangle.area


@pytest.mark.parametrize("angle", [0, 0.4, 12, 30, 45, 61.5, 88])
@pytest.mark.parametrize(("building", "corners"), [(L_SHAPE, [6]), (COURTYARD, [4, 4])])
def test_turned_buildings_keep_their_wings_and_courtyards(
    building: Any, corners: list[int], angle: float
) -> None:
    mask = rasterized(building, angle)
    squared = regularize(geometry_from_mask(mask, Affine.identity()))
    rings = shapely.get_rings(squared)
    assert (shapely.get_num_coordinates(rings) - 1).tolist() == corners
    assert right_angled(squared)
    middle = squared.envelope.centroid
    turned = affinity.rotate(building, angle, origin="centroid")
    centre = turned.envelope.centroid
    moved = affinity.translate(turned, middle.x - centre.x, middle.y - centre.y)
    assert iou(squared, moved) > 0.95


def test_a_ragged_outline_is_straightened() -> None:
    mask = rasterized(shapely.box(0, 0, 90, 50), 20)
    noise = gaussian_filter(np.random.default_rng(0).normal(size=mask.shape), 2)
    ragged = gaussian_filter(mask.astype(float), 1.5) + noise > 0.5
    shape = max(polygons_from_mask(ragged, UTM), key=lambda part: part.area)
    assert shapely.get_num_coordinates(shape) > 100
    squared = regularize(shape, tolerance=1.5)
    assert right_angled(squared)
    assert shapely.get_num_coordinates(squared.exterior) == 5
    assert squared.area == pytest.approx(shape.area, rel=0.05)


@pytest.mark.parametrize(
    "shape",
    [DISK, shapely.Polygon([(0, 0), (60, 0), (10, 40)])],
    ids=["a round tank", "a triangle"],
)
def test_what_is_no_building_is_only_simplified(shape: Any) -> None:
    traced = geometry_from_mask(rasterized(shape, 10), Affine.identity())
    result = regularize(traced)
    assert not right_angled(result)
    assert result.equals(simplify(traced, 1.5, 0.05))
    assert iou(result, traced) > 0.93


@pytest.mark.parametrize(("teeth", "squared"), [(20, True), (300, False)])
def test_an_outline_of_very_many_walls_is_only_simplified(teeth: int, squared: bool) -> None:
    top = [(8 * k + x, y) for k in range(teeth) for x, y in ((0, 20), (0, 60), (4, 60), (4, 20))]
    comb = shapely.Polygon([*top, (8 * teeth, 20), (8 * teeth, 0), (0, 0)])
    leaning = affinity.skew(comb, 0.5, origin=(0, 0))
    result = regularize(leaning, tolerance=1)
    assert right_angled(result) is squared
    assert shapely.get_num_coordinates(result) >= 4 * teeth
    assert iou(result, leaning) > 0.8


def test_each_part_has_its_own_direction() -> None:
    mask = np.hstack([rasterized(shapely.box(0, 0, 60, 40), a) for a in (10, 40)])
    squared = regularize(geometry_from_mask(mask, UTM))
    assert squared.geom_type == "MultiPolygon"
    directions = []
    for part in sorted(squared.geoms, key=lambda part: part.centroid.x):
        (x0, y0), (x1, y1) = part.exterior.coords[:2]
        directions.append(math.degrees(math.atan2(y1 - y0, x1 - x0)) % 90)
    assert directions == pytest.approx([80, 50], abs=1)  # rows count downwards


def test_parts_that_would_meet_are_only_simplified() -> None:
    west = shapely.Polygon([(0, 0), (30, 0), (30, 20), (1.5, 20)])
    east = shapely.Polygon([(30.01, 0), (60, 0), (58.5, 20), (30.01, 20)])
    for part in (west, east):
        assert right_angled(regularize(part, tolerance=1))
    both = shapely.MultiPolygon([west, east])
    assert regularize(both, tolerance=1).equals(both)
    apart = shapely.MultiPolygon([west, affinity.translate(east, 5)])
    assert right_angled(regularize(apart, tolerance=1))


# -- what is given and what is refused -----------------------------------------------------


@pytest.mark.parametrize("reshape", [lambda g: simplify(g, 1), smooth, regularize])
def test_nothing_stays_nothing_and_other_geometries_are_refused(reshape: Any) -> None:
    assert reshape(None) is None
    assert reshape(shapely.Polygon()).is_empty
    with pytest.raises(GeoreferenceError, match="can be reshaped, got a LineString"):
        reshape(shapely.LineString([(0, 0), (1, 1)]))
    with pytest.raises(GeoreferenceError, match="can be reshaped, got a list"):
        reshape([(0, 0), (1, 1)])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda g: simplify(g, -1), "tolerance is a length in the geometry's units, got -1"),
        (lambda g: simplify(g, math.nan), "got nan"),
        (lambda g: simplify(g, 1, 1.5), "max_area_change is a share of 0..1, got 1.5"),
        (lambda g: smooth(g, -1), "iterations are 0 to 8 rounds of smoothing, got -1"),
        (lambda g: smooth(g, 1, math.nan), "max_area_change is a share"),
        (lambda g: regularize(g, -0.1), "max_area_change is a share of 0..1, got -0.1"),
        (lambda g: regularize(g, tolerance=math.inf), "tolerance is a length"),
        (lambda g: simplify_coverage([g], -2), "tolerance is a length"),
    ],
)
def test_numbers_out_of_range_are_named(call: Any, message: str) -> None:
    with pytest.raises(GeoreferenceError, match=message):
        call(shapely.box(0, 0, 1, 1))
