"""Outlines without stairs are held against the pixels, and against the shapes that made them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from rasterio.features import rasterize

from geoiseg.errors import GeoreferenceError
from geoiseg.outline.vectorize import (
    contour,
    contour_from_mask,
    contours_from_labels,
    geometry_from_mask,
    polygons_from_labels,
)
from tests.outline.test_vectorize import NAMED, TRANSFORMS

masks = array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=14).flatmap(
    lambda shape: arrays(np.bool_, shape)
)
label_images = array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=10).flatmap(
    lambda shape: arrays(np.int32, shape, elements=st.integers(0, 4))
)
MEETING = np.array([[1, 1, 1, 2, 2], [1, 3, 3, 3, 2], [1, 3, 0, 3, 2], [4, 4, 3, 2, 2]], np.int32)
CROSSING = np.array([[1, 1, 2, 2], [1, 1, 2, 2], [2, 2, 1, 1], [2, 2, 1, 1]], np.int32)
ISLAND = np.pad(np.full((3, 4), 7, np.int32), 3, constant_values=5)


def burnt(shapes: Any, shape: tuple[int, int], transform: Affine) -> NDArray[Any]:
    return rasterize(shapes, shape, transform=transform, dtype="int32")


def assert_exact(mask: NDArray[np.bool_], transform: Affine, logits: Any = None) -> None:
    found = contour_from_mask(mask, transform, logits)
    if not mask.any():
        assert found is None
        return
    assert found.is_valid
    np.testing.assert_array_equal(burnt([found], mask.shape, transform), mask)
    exact = geometry_from_mask(mask, transform)
    assert shapely.get_num_geometries(found) == shapely.get_num_geometries(exact)
    holes = [shapely.get_num_interior_rings(shapely.get_parts(one)) for one in (found, exact)]
    np.testing.assert_array_equal(*holes)
    assert all(part.exterior.is_ccw for part in shapely.get_parts(found))


@settings(max_examples=200, deadline=None)
@given(masks)
def test_rasterising_gives_the_mask_back(mask: NDArray[np.bool_]) -> None:
    assert_exact(mask, Affine.identity())


@settings(max_examples=100, deadline=None)
@given(masks, st.randoms(use_true_random=False))
def test_so_it_does_whatever_the_logits_say(mask: NDArray[np.bool_], random: Any) -> None:
    noise = np.random.default_rng(random.getrandbits(32)).normal(size=mask.shape)
    assert_exact(mask, Affine.identity(), noise)
    assert_exact(mask, Affine.identity(), np.where(mask, 1.0, -1.0) * np.abs(noise) * 1e3)


@pytest.mark.parametrize("mask", NAMED.values(), ids=NAMED.keys())
@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS.keys())
def test_in_every_frame(mask: NDArray[np.bool_], transform: Affine) -> None:
    assert_exact(mask, transform)


@settings(max_examples=200, deadline=None)
@given(label_images)
@example(MEETING)
@example(CROSSING)
@example(ISLAND)
def test_neighbours_share_their_borders(labels: NDArray[np.int32]) -> None:
    found, ids = contours_from_labels(labels, Affine.identity())
    np.testing.assert_array_equal(ids, polygons_from_labels(labels, Affine.identity())[1])
    assert shapely.is_valid(found).all()
    assert shapely.coverage_is_valid(found)
    if len(ids):
        back = burnt(zip(found, ids.tolist(), strict=True), labels.shape, Affine.identity())
        np.testing.assert_array_equal(back, labels)


def test_a_few_chains_at_a_time_are_drawn_as_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    labels = np.kron(random.integers(0, 5, (12, 12)), np.ones((3, 3), int))
    labels[random.random(labels.shape) < 0.1] = 6
    mask, logits = labels > 2, random.normal(size=labels.shape)

    def drawn() -> list[bytes]:
        parcels, _ = contours_from_labels(labels, Affine.identity())
        return list(shapely.to_wkb([*parcels, contour_from_mask(mask, Affine.identity(), logits)]))

    whole = drawn()
    monkeypatch.setattr(contour, "BLOCK", 7)
    assert drawn() == whole


def test_an_image_full_of_labels_is_covered_to_its_frame() -> None:
    labels = np.arange(1, 31, dtype=np.int32).reshape(5, 6).repeat(7, 0).repeat(4, 1)
    found, _ = contours_from_labels(labels, Affine.identity())
    assert shapely.union_all(found).equals(shapely.box(0, 0, 24, 35))
    assert shapely.area(found).sum() == pytest.approx(24 * 35, rel=1e-12)


def drawn(shape: Any, size: int = 120) -> NDArray[np.bool_]:
    y, x = np.mgrid[:size, :size] + 0.5
    return np.asarray(shapely.contains_xy(shape, x, y))


SHAPES = {
    "disk": shapely.Point(60.3, 59.6).buffer(23.2, quad_segs=64),
    "pond": shapely.Point(60.1, 60.4).buffer(8.1, quad_segs=64),
    "parcel": shapely.affinity.rotate(shapely.box(25.2, 40.7, 93.4, 81.1), 17),
    "gentle": shapely.affinity.rotate(shapely.box(20.2, 40.7, 101.4, 81.1), 4),
}


def off(outline: Any, truth: Any) -> float:
    """Return how far an outline lies from the true one, in pixels, in the mean."""
    there = shapely.get_coordinates(shapely.segmentize(outline, 0.25))
    return float(shapely.distance(truth.exterior, shapely.points(there)).mean())


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_stairs_go(shape: Any) -> None:
    mask = drawn(shape)
    found, stairs = (
        contour_from_mask(mask, Affine.identity()),
        geometry_from_mask(mask, Affine(1, 0, 0, 0, 1, 0)),
    )

    assert off(found, shape) < 0.8 * off(stairs, shape)
    assert found.length == pytest.approx(shape.length, rel=0.03)
    assert stairs.length > 1.05 * shape.length
    assert found.area == pytest.approx(shape.area, rel=0.02)
    assert shapely.get_num_coordinates(found) < 1.5 * shapely.get_num_coordinates(stairs)


def test_logits_say_where_between_two_pixels() -> None:
    y, x = np.mgrid[:120, :120] + 0.5
    truth = shapely.Point(60.3, 59.6).buffer(31.7, quad_segs=128)
    logits = 31.7 - np.hypot(x - 60.3, y - 59.6)
    found = contour_from_mask(logits > 0, Affine.identity(), logits)
    blind = contour_from_mask(logits > 0, Affine.identity())
    assert off(found, truth) < 0.05
    assert off(blind, truth) > 0.1
    assert found.area == pytest.approx(truth.area, rel=0.002)


def test_exactly_opposite_logits_say_what_nearly_opposite_ones_say() -> None:
    logits = np.where(np.arange(40) < 20, 1.0, -3.0) * np.ones((40, 1))
    logits[20, 20] = -1.0
    exactly = contour_from_mask(logits > 0, Affine.identity(), logits)
    logits[20, 20] = -1.001
    nearly = contour_from_mask(logits > 0, Affine.identity(), logits)
    assert shapely.hausdorff_distance(exactly.boundary, nearly.boundary) < 0.01
    sure = np.where(logits > 0, 9.0, -9.0)
    blind = contour_from_mask(logits > 0, Affine.identity())
    assert contour_from_mask(logits > 0, Affine.identity(), sure).equals(blind)


def test_frames_and_straight_sides_take_few_vertices() -> None:
    mask = np.zeros((50, 60), bool)
    mask[:30, 20:] = True
    found = contour_from_mask(mask, Affine.identity())
    corners = {tuple(xy) for xy in shapely.get_coordinates(found)}
    assert {(20.0, 0.0), (60.0, 0.0), (60.0, 30.0)} <= corners
    assert len(corners) <= 10


@pytest.mark.parametrize(
    ("mask", "logits", "text"),
    [
        (np.zeros((3, 3)), None, "a mask is"),
        (np.ones((3, 3), bool), np.ones((3, 4)), r"the mask is \(3, 3\), its logits \(3, 4\)"),
    ],
)
def test_what_does_not_fit_is_refused(mask: Any, logits: Any, text: str) -> None:
    with pytest.raises(GeoreferenceError, match=text):
        contour_from_mask(mask, Affine.identity(), logits)
