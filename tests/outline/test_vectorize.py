"""Tracing is held against rasterio.features.shapes, a tracer of its own, and the pixels."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import rasterio.features
import shapely
from affine import Affine
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from geoiseg.errors import GeoreferenceError
from geoiseg.outline.vectorize import (
    corners,
    geometry_from_mask,
    polygons_from_labels,
    polygons_from_mask,
    rings,
)

NORTH_UP = Affine(2, 0, 500_000, 0, -2, 4_500_000)
TRANSFORMS = {
    "north up": NORTH_UP,
    "south up": Affine(0.5, 0, 100, 0, 0.5, -20),
    "pixels": Affine.identity(),
    "mirrored": Affine(-3, 0, 50, 0, -3, 60),
    "rotated": Affine.translation(500_000, 4_500_000) @ Affine.rotation(33) @ Affine.scale(2, -2),
    "sheared": Affine(2, 0.7, 1000, -0.4, -1.5, 2000),
    "thin pixels": Affine(1e-5, 0, 5.25, 0, -3e-5, 60.125),
}

masks = array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12).flatmap(
    lambda shape: arrays(np.bool_, shape)
)
wide_masks = st.tuples(st.integers(1, 4), st.integers(50, 200)).flatmap(
    lambda shape: arrays(np.bool_, shape)
)
label_images = array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=10).flatmap(
    lambda shape: arrays(np.int32, shape, elements=st.integers(0, 4))
)

CHECKERBOARD = np.indices((6, 7)).sum(axis=0) % 2 == 0
NESTED = np.pad(
    np.pad(np.pad(np.pad(np.ones((1, 1), bool), 1), 1, constant_values=True), 1),
    1,
    constant_values=True,
)
PINCHED = np.array([[1, 1, 1, 0], [1, 0, 1, 0], [1, 1, 0, 1], [0, 1, 1, 1]], bool)
"""Its outline passes a corner twice, and its hole touches it there."""
NAMED = {
    "checkerboard": CHECKERBOARD,
    "opposite checkerboard": ~CHECKERBOARD,
    "islands in holes": NESTED,
    "pinched": PINCHED,
    "pinched, mirrored": PINCHED[:, ::-1],
    "one pixel": np.ones((1, 1), bool),
    "full": np.ones((5, 8), bool),
    "frame on all edges": np.pad(np.zeros((3, 2), bool), 1, constant_values=True),
    "a cross that touches all edges": (np.arange(5) == 2) | (np.arange(5) == 2)[:, None],
    "a wide row": np.arange(130)[None] % 65 != 0,
}


def oracle(image: NDArray[Any], transform: Affine) -> list[tuple[shapely.Polygon, int]]:
    """Return polygons and values of rasterio's tracer, background left out."""
    found = rasterio.features.shapes(
        image.astype(np.int32), mask=image != 0, connectivity=4, transform=transform
    )
    return [(shapely.geometry.shape(shape), int(value)) for shape, value in found]


def alike(polygons: Any) -> list[bytes]:
    """Return what is the same for polygons that differ only in where rings begin."""
    return sorted(shapely.to_wkb(shapely.normalize(np.asarray(polygons, dtype=object))))


def without_nodes(polygon: shapely.Polygon) -> shapely.Polygon:
    """Return the polygon less its vertices amid straight sides."""
    rings = []
    for ring in shapely.get_rings(polygon):
        xy = shapely.get_coordinates(ring)[:-1]
        before, after = xy - np.roll(xy, 1, axis=0), np.roll(xy, -1, axis=0) - xy
        rings.append(xy[before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0]])
    return shapely.Polygon(rings[0], rings[1:])


def assert_exact(mask: NDArray[np.bool_], transform: Affine = NORTH_UP) -> None:
    polygons = polygons_from_mask(mask, transform)
    expected = [polygon for polygon, _ in oracle(mask, transform)]
    assert shapely.is_valid(polygons).all()
    assert alike(polygons) == alike(expected)
    geometry = geometry_from_mask(mask, transform)
    if geometry is None:
        assert not mask.any()
        return
    assert geometry.is_valid
    assert geometry.symmetric_difference(shapely.MultiPolygon(expected)).area == 0
    assert geometry.area == mask.sum() * abs(transform.determinant)


@pytest.mark.parametrize("mask", NAMED.values(), ids=NAMED)
@pytest.mark.parametrize("transform", [NORTH_UP, TRANSFORMS["south up"]], ids=["north", "south"])
def test_named_masks_are_traced_as_rasterio_does(
    mask: NDArray[np.bool_], transform: Affine
) -> None:
    assert_exact(mask, transform)


@settings(max_examples=300, deadline=None)
@given(masks | wide_masks)
def test_any_mask_is_traced_as_rasterio_does(mask: NDArray[np.bool_]) -> None:
    assert_exact(mask)


@pytest.mark.parametrize("density", [0.02, 0.3, 0.5, 0.6, 0.7, 0.98])
def test_speckle_is_traced_as_rasterio_does(density: float) -> None:
    assert_exact(np.random.default_rng(1).random((70, 190)) < density)


@settings(max_examples=100, deadline=None)
@given(masks | label_images, st.integers(1, 60))
def test_bands_make_no_difference(image: NDArray[Any], pixels: int) -> None:
    trace = polygons_from_mask if image.dtype == bool else polygons_from_labels
    whole = trace(image, NORTH_UP)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(corners, "BAND_PIXELS", pixels)
        banded = trace(image, NORTH_UP)
    for one, other in zip(np.atleast_2d(whole), np.atleast_2d(banded), strict=True):
        assert list(one) == list(other)


def test_holes_find_their_outline_over_long_distances_and_in_small_portions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mask = np.ones((12, 6000), bool)
    mask[:, [40, 5000]] = False
    mask[2:10:3, 5900] = mask[4, 30] = mask[6:8, 60:4000:7] = False
    monkeypatch.setattr(rings, "SCAN_CELLS", 5000)
    assert_exact(mask)


def test_a_mask_wider_than_16_bits_is_traced() -> None:
    mask = np.zeros((3, 70_000), bool)
    mask[1, 10] = mask[:2, 66_000:69_999] = mask[2, 5] = True
    assert_exact(mask)


@pytest.mark.parametrize("name", TRANSFORMS)
@settings(max_examples=60, deadline=None)
@given(mask=masks)
def test_burning_the_geometry_gives_the_mask_back(name: str, mask: NDArray[np.bool_]) -> None:
    transform = TRANSFORMS[name]
    geometry = geometry_from_mask(mask, transform)
    if geometry is None:
        assert not mask.any()
        return
    assert geometry.is_valid
    burned = rasterio.features.rasterize([geometry], out_shape=mask.shape, transform=transform)
    assert (burned.astype(bool) == mask).all()
    assert geometry.area == pytest.approx(mask.sum() * abs(transform.determinant), rel=1e-6)
    xy = shapely.get_coordinates(geometry)
    pixels = np.stack(~transform @ (xy[:, 0], xy[:, 1]), axis=1)
    assert np.abs(pixels - pixels.round()).max() < 1e-3


@pytest.mark.parametrize("name", TRANSFORMS)
def test_exteriors_are_anticlockwise_and_holes_clockwise(name: str) -> None:
    polygons = polygons_from_mask(NESTED, TRANSFORMS[name])
    assert [len(polygon.interiors) for polygon in polygons] == [1, 1, 0]
    for polygon in polygons:
        assert polygon.exterior.is_ccw
        assert not any(hole.is_ccw for hole in polygon.interiors)


def test_a_border_that_touches_itself_becomes_a_hole_that_touches_the_exterior() -> None:
    polygon = geometry_from_mask(PINCHED, Affine.identity())
    assert polygon.geom_type == "Polygon"
    assert [hole.area for hole in map(shapely.Polygon, polygon.interiors)] == [1, 1]
    assert polygon.interiors[0].intersection(polygon.interiors[1]).equals(shapely.Point(2, 2))


def test_parts_that_touch_at_a_corner_stay_apart() -> None:
    geometry = geometry_from_mask(np.eye(3, dtype=bool), Affine.identity())
    assert [part.bounds for part in geometry.geoms] == [(k, k, k + 1, k + 1) for k in range(3)]


def test_straight_sides_have_no_vertices_between_their_ends() -> None:
    geometry = geometry_from_mask(np.ones((40, 30), bool), NORTH_UP)
    assert alike([geometry]) == alike([shapely.box(500_000, 4_499_920, 500_060, 4_500_000)])
    assert shapely.get_num_coordinates(geometry) == 5


@pytest.mark.parametrize("shape", [(4, 6), (0, 5), (5, 0), (0, 0)])
def test_nothing_comes_of_an_empty_mask(shape: tuple[int, int]) -> None:
    assert geometry_from_mask(np.zeros(shape, bool), NORTH_UP) is None
    assert len(polygons_from_mask(np.zeros(shape, bool), NORTH_UP)) == 0
    geometries, ids = polygons_from_labels(np.zeros(shape, np.uint8), NORTH_UP)
    assert len(geometries) == len(ids) == 0
    assert ids.dtype == np.uint8


def test_views_are_traced_and_left_as_they_are() -> None:
    image = np.random.default_rng(0).random((40, 50)) < 0.4
    image.flags.writeable = False
    for view in (image.T, image[::-2, 5:40:3], np.asfortranarray(image)):
        assert_exact(view)


# -- label images --------------------------------------------------------------------------


def sides(geometries: Any) -> set[tuple[tuple[float, ...], ...]]:
    """Return the segments of all outlines, each without direction."""
    found = set()
    for ring in shapely.get_rings(shapely.get_parts(geometries)):
        xy = shapely.get_coordinates(ring)
        found |= {tuple(sorted(map(tuple, pair))) for pair in pairwise(xy)}
    return found


def meeting_points(labels: NDArray[np.integer]) -> set[tuple[int, int]]:
    """Return the pixel corners (x, y) at which three or more regions meet."""
    padded = np.pad(labels, 1)
    return {
        (x, y)
        for y in range(labels.shape[0] + 1)
        for x in range(labels.shape[1] + 1)
        if len(np.unique(padded[y : y + 2, x : x + 2])) >= 3
    }


@settings(max_examples=300, deadline=None)
@given(label_images)
@example(np.array([[1, 2], [2, 1]], np.int32))
@example(np.array([[1, 1, 2, 3], [1, 1, 3, 2]], np.int32))
def test_labels_become_a_valid_coverage_of_exact_geometries(labels: NDArray[np.int32]) -> None:
    geometries, ids = polygons_from_labels(labels, Affine.identity())
    np.testing.assert_array_equal(ids, np.unique(labels[labels != 0]))
    for geometry, label in zip(geometries, ids, strict=True):
        alone = geometry_from_mask(labels == label, Affine.identity())
        assert geometry.is_valid
        assert geometry.geom_type == alone.geom_type
        parts = [without_nodes(part) for part in shapely.get_parts(geometry)]
        assert alike(parts) == alike(shapely.get_parts(alone))
    if not len(ids):
        return
    assert shapely.coverage_is_valid(geometries)
    union = shapely.coverage_union_all(geometries)
    assert union.equals(shapely.union_all(geometries))
    assert union.area == np.count_nonzero(labels)


@settings(max_examples=200, deadline=None)
@given(label_images)
def test_every_region_has_a_vertex_where_three_meet(labels: NDArray[np.int32]) -> None:
    geometries, ids = polygons_from_labels(labels, Affine.identity())
    vertices = [set(map(tuple, shapely.get_coordinates(geometry))) for geometry in geometries]
    padded = np.pad(labels, 1)
    for x, y in meeting_points(labels):
        here = np.unique(padded[y : y + 2, x : x + 2])
        for own, label in zip(vertices, ids, strict=True):
            assert ((x, y) in own) == (label in here)


def test_vertices_are_corners_or_meeting_points_and_no_others() -> None:
    labels = np.zeros((4, 6), np.uint16)
    labels[:, :3], labels[:2, 3:], labels[2:, 3:] = 7, 9, 500
    geometries, ids = polygons_from_labels(labels, Affine.identity())
    assert ids.tolist() == [7, 9, 500]
    assert ids.dtype == np.uint16
    assert sides(geometries[:1]) == {
        ((0, 0), (3, 0)),
        ((3, 0), (3, 2)),
        ((3, 2), (3, 4)),
        ((0, 4), (3, 4)),
        ((0, 0), (0, 4)),
    }
    assert shapely.get_num_coordinates(geometries).tolist() == [6, 5, 5]


@pytest.mark.parametrize("name", TRANSFORMS)
def test_labels_are_a_coverage_in_any_frame(name: str) -> None:
    rng = np.random.default_rng(3)
    labels = np.kron(rng.integers(-2, 5, (9, 11)), np.ones((4, 3), int))
    transform = TRANSFORMS[name]
    geometries, ids = polygons_from_labels(labels, transform)
    assert ids.tolist() == [-2, -1, 1, 2, 3, 4]
    assert shapely.is_valid(geometries).all()
    assert shapely.coverage_is_valid(geometries)
    shapes = list(zip(geometries, (ids + 10).tolist(), strict=True))
    burned = rasterio.features.rasterize(shapes, labels.shape, 10, transform=transform)
    np.testing.assert_array_equal(burned.astype(int) - 10, labels)


def test_labels_are_traced_as_rasterio_does_but_for_the_nodes() -> None:
    labels = np.random.default_rng(2).integers(0, 3, (60, 80)).astype(np.uint8)
    geometries, ids = polygons_from_labels(labels, NORTH_UP)
    for geometry, label in zip(geometries, ids, strict=True):
        expected = [polygon for polygon, value in oracle(labels, NORTH_UP) if value == label]
        ours = [without_nodes(part) for part in shapely.get_parts(geometry)]
        assert alike(ours) == alike(expected)


# -- what is refused -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "image", [np.ones((3, 3), np.uint8), np.ones((1, 3, 3), bool), np.ones(3, bool)]
)
def test_what_is_no_mask_is_named(image: NDArray[Any]) -> None:
    with pytest.raises(GeoreferenceError, match=r"a mask is \(y, x\) bool, got (uint8|bool) \("):
        geometry_from_mask(image, NORTH_UP)


@pytest.mark.parametrize("image", [np.ones((3, 3)), np.ones((3, 3), bool), np.ones(3, int)])
def test_what_is_no_label_image_is_named(image: NDArray[Any]) -> None:
    with pytest.raises(GeoreferenceError, match=r"a label image is \(y, x\) integers, got"):
        polygons_from_labels(image, NORTH_UP)


@pytest.mark.parametrize(
    "transform", [Affine(1, 2, 0, 2, 4, 0), Affine(1, 0, np.nan, 0, 1, 0)], ids=["flat", "nan"]
)
def test_a_transform_without_an_inverse_is_refused(transform: Affine) -> None:
    with pytest.raises(GeoreferenceError, match="has no inverse"):
        geometry_from_mask(np.ones((2, 2), bool), transform)
