"""Straight edges at any angle: fitted to what was drawn, bounded, and shared by neighbours."""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st

from geoiseg.errors import GeoreferenceError, PromptError
from geoiseg.outline import OutlineOptions, outline
from geoiseg.outline.coverage import CleanOptions, clean
from geoiseg.outline.vectorize import (
    contour_from_mask,
    contours_from_labels,
    simplify,
    straight_lines,
    straighten,
)
from geoiseg.raster import Grid
from geoiseg.segment import Mask

SIZE = 200
PARCELS = {
    "rectangle": shapely.affinity.rotate(shapely.box(25.2, 40.7, 133.4, 121.1), 17),
    "four sides": shapely.Polygon([(20, 30), (150, 22), (172, 110), (60, 160)]),
    "five sides": shapely.Polygon([(30, 30), (150, 40), (180, 100), (120, 170), (40, 140)]),
    "an L": shapely.affinity.rotate(
        shapely.Polygon([(20, 20), (160, 20), (160, 80), (90, 80), (90, 150), (20, 150)]), 8
    ),
    "with a yard": shapely.affinity.rotate(shapely.box(25, 40, 163, 161), 30).difference(
        shapely.affinity.rotate(shapely.box(80, 80, 110, 130), 45)
    ),
}


def burnt(shape: Any) -> np.ndarray:
    y, x = np.mgrid[:SIZE, :SIZE] + 0.5
    return np.asarray(shapely.contains_xy(shape, x, y))


def drawn(shape: Any) -> Any:
    return contour_from_mask(burnt(shape), Affine.identity())


def off(one: Any, other: Any) -> float:
    return float(shapely.hausdorff_distance(one.boundary, other.boundary, 0.05))


@pytest.mark.parametrize("parcel", PARCELS.values(), ids=PARCELS.keys())
def test_a_parcel_gets_its_own_corners_back(parcel: Any) -> None:
    found = straighten(drawn(parcel), 2.0)
    assert shapely.get_num_coordinates(found) == shapely.get_num_coordinates(parcel)
    assert off(found, parcel) < 0.35
    assert off(found, parcel) < 0.5 * off(simplify(drawn(parcel), 2.0, 0.02), parcel)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.5, 1.5, 4.0]))
def test_whatever_comes_stays_near_valid_and_of_its_area(seed: int, tolerance: float) -> None:
    draw = np.random.default_rng(seed)
    noise = draw.random((24, 24)) < draw.uniform(0.3, 0.7)
    mask = noise.repeat(4, 0).repeat(4, 1)
    shape = contour_from_mask(mask, Affine.identity())
    if shape is None:
        return
    found = straighten(shape, tolerance, 0.02)
    assert found.is_valid
    assert found.area == pytest.approx(shape.area, rel=0.02)
    assert shapely.hausdorff_distance(found, shape) <= 2 * tolerance + 1e-9
    assert shapely.get_num_geometries(found) == shapely.get_num_geometries(shape)
    assert shapely.get_num_coordinates(found) <= shapely.get_num_coordinates(shape)


def test_neighbours_share_the_edge_and_its_corners() -> None:
    y, x = np.mgrid[:SIZE, :SIZE] + 0.5
    labels = (1 + (y > 0.3 * x + 70) + 2 * (x > 95 + 0.2 * y)).astype(np.int32)
    labels[:12], labels[-12:], labels[:, :12], labels[:, -12:] = 0, 0, 0, 0
    shapes, ids = contours_from_labels(labels, Affine(2, 0, 5e5, 0, -2, 4.5e6))
    frame = gpd.GeoDataFrame({"label": ids.astype(str)}, geometry=shapes, crs="EPSG:32631")
    cleaned, _ = clean(frame, CleanOptions(straight=3.0))
    assert shapely.coverage_is_valid(cleaned.geometry.to_numpy())
    assert shapely.get_num_coordinates(cleaned.geometry.to_numpy()).max() <= 8
    assert cleaned.area.to_numpy() == pytest.approx(frame.area.to_numpy(), rel=0.01)


def test_as_an_option_it_goes_by_pixels_of_the_mask() -> None:
    mask = Mask(
        burnt(PARCELS["four sides"]),
        Grid("EPSG:32631", Affine(5, 0, 5e5, 0, -5, 4.5e6), (SIZE, SIZE)),
    )
    found = outline(mask, OutlineOptions(straight=2))
    assert len(found.exterior.coords) == 5
    assert found.area == pytest.approx(PARCELS["four sides"].area * 25, rel=0.005)
    assert not OutlineOptions(straight=2).is_exact
    with pytest.raises(PromptError, match="straight is 0 to 100"):
        OutlineOptions(straight=-1)


def test_open_lines_keep_their_ends_and_nothing_changes_at_0() -> None:
    x = np.linspace(0, 100, 201)
    wavy = shapely.linestrings(np.column_stack([x, np.where(x < 50, x, 100 - x) + np.sin(x)]))
    (found,) = straight_lines(np.array([wavy]), np.array([2.0]))
    xy = shapely.get_coordinates(found)
    assert len(xy) == 3
    np.testing.assert_allclose(xy[[0, -1]], shapely.get_coordinates(wavy)[[0, -1]])
    np.testing.assert_allclose(xy[1], (50, 50), atol=1.0)
    assert straight_lines(np.array([wavy]), np.array([0.0]))[0].equals(wavy)
    box = shapely.box(0, 0, 1, 1)
    assert straighten(box, 0) is box
    with pytest.raises(GeoreferenceError, match="tolerance is a length"):
        straighten(box, -1)
