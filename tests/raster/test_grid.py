"""Grids: both ways between pixels and the map, levels, chips, boxes between CRSs."""

from __future__ import annotations

import math

import numpy as np
import pyproj
import pytest
import rasterio
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st

from geoiseg.errors import GeoreferenceError
from geoiseg.raster.crs import reproject_xy
from geoiseg.raster.grid import ChipPlan, Grid, Window
from geoiseg.raster.places import box_outline

UTM = pyproj.CRS("EPSG:32631")
LONLAT = pyproj.CRS("EPSG:4326")

finite = st.floats(-1e6, 1e6, allow_nan=False)
scales = st.floats(1e-3, 1e3).flatmap(lambda s: st.sampled_from([s, -s]))


@st.composite
def transforms(draw: st.DrawFn) -> Affine:
    """Rotated, sheared, anisotropic, south-up: whatever can be inverted well."""
    return (
        Affine.translation(draw(finite), draw(finite))
        @ Affine.rotation(draw(st.floats(-180, 180)))
        @ Affine.shear(draw(st.floats(-40, 40)), 0)
        @ Affine.scale(draw(scales), draw(scales))
    )


shapes = st.tuples(st.integers(1, 5000), st.integers(1, 5000))


@given(transforms(), shapes, st.lists(st.tuples(finite, finite), min_size=1, max_size=5))
def test_pixels_come_back_from_the_map(transform: Affine, shape, points) -> None:
    grid = Grid(UTM, transform, shape)
    xy = np.array(points)
    back = grid.to_pixel(grid.to_crs(xy))
    step = math.sqrt(abs(transform.determinant))
    reach = max(1.0, np.abs(grid.to_crs(xy)).max() / step, np.abs(xy).max())
    np.testing.assert_allclose(back, xy, atol=1e-9 * reach * max(1, *grid.pixel_size) / step + 1e-6)


@given(transforms(), shapes)
def test_map_positions_are_rasterios(transform: Affine, shape) -> None:
    grid = Grid(UTM, transform, shape)
    x, y = rasterio.transform.xy(transform, 3, 7, offset="ul")
    np.testing.assert_allclose(grid.to_crs([(7, 3)])[0], (x, y), rtol=1e-12, atol=1e-9)


@given(transforms(), shapes, st.integers(0, 6))
def test_every_level_covers_the_same_ground(transform: Affine, shape, level: int) -> None:
    grid = Grid(UTM, transform, shape)
    coarse = grid.level(level)
    assert coarse.shape == tuple(-(-n // 2**level) for n in shape)
    scale = np.abs(grid.corners).max()
    np.testing.assert_allclose(coarse.corners, grid.corners, atol=1e-9 * scale + 1e-9)


@given(shapes, st.integers(0, 100), st.integers(0, 100))
def test_window_grid_moves_the_origin(shape, row: int, col: int) -> None:
    grid = Grid(UTM, Affine(2, 0, 1000, 0, -3, 2000), shape)
    part = grid.window(Window(row, col, 5, 6))
    np.testing.assert_allclose(part.to_crs([(0, 0)]), grid.to_crs([(col, row)]))
    assert part.shape == (5, 6)


def test_equal_grids_are_one_key() -> None:
    one = Grid("EPSG:32631", Affine(1, 0, 5, 0, -1, 6), (3, 4))
    same = Grid(UTM, Affine(1, 0, 5, 0, -1, 6), (3, 4))
    other = Grid(UTM, Affine(1, 0, 5, 0, -1, 7), (3, 4))
    assert {one: "a"}[same] == "a"
    assert one != other


@pytest.mark.parametrize(
    ("transform", "shape", "says"),
    [
        (Affine(0, 0, 5, 0, 0, 6), (3, 4), "inverted"),
        (Affine(1, 2, 5, 2, 4, 6), (3, 4), "inverted"),
        (Affine(math.nan, 0, 5, 0, 1, 6), (3, 4), "damaged"),
        (Affine(1, 0, 5, 0, 1, 6), (-1, 4), r"\(-1, 4\)"),
    ],
)
def test_a_senseless_grid_is_refused_with_its_values(transform, shape, says: str) -> None:
    with pytest.raises(GeoreferenceError, match=says):
        Grid(UTM, transform, shape)


def test_unknown_crs_is_quoted() -> None:
    with pytest.raises(GeoreferenceError, match="EPSG:99999999"):
        Grid("EPSG:99999999", Affine.identity(), (1, 1))


def test_pixel_size_in_metres() -> None:
    utm = Grid(UTM, Affine(2, 0, 500_000, 0, -2, 4_500_000), (100, 100))
    assert utm.pixel_size_metres() == pytest.approx(2, rel=1e-3)
    degrees = Grid(LONLAT, Affine(1e-4, 0, 5, 0, -1e-4, 60), (10, 10))
    north_south = 1e-4 * 111_412  # metres per degree of latitude at 60 degrees
    east_west = 1e-4 * 55_800
    assert degrees.pixel_size_metres() == pytest.approx(
        math.sqrt(north_south * east_west), rel=1e-3
    )
    mercator = Grid("EPSG:3857", Affine(1, 0, 0, 0, -1, 8_399_738), (10, 10))  # 60 degrees north
    assert mercator.pixel_size_metres() == pytest.approx(0.5, rel=5e-3)
    assert Grid(None, Affine.identity(), (10, 10)).pixel_size_metres() is None


def test_rotated_pixel_size_is_the_edge_not_its_shadow() -> None:
    turned = Affine.translation(5e5, 4.5e6) @ Affine.rotation(30) @ Affine.scale(3, -3)
    grid = Grid(UTM, turned, (10, 10))
    assert grid.pixel_size == pytest.approx((3, 3))
    assert not grid.is_axis_aligned


def test_positions_from_another_crs() -> None:
    grid = Grid(UTM, Affine(10, 0, 500_000, 0, -10, 4_500_000), (100, 100))
    lon, lat = pyproj.Transformer.from_crs(UTM, LONLAT, always_xy=True).transform(
        500_255, 4_499_745
    )
    np.testing.assert_allclose(grid.to_pixel([(lon, lat)], LONLAT), [(25.5, 25.5)], atol=1e-6)


def test_positions_without_a_crs_are_refused_only_when_one_is_given() -> None:
    grid = Grid(None, Affine.identity(), (10, 10))
    np.testing.assert_array_equal(grid.to_pixel([(3, 4)]), [(3, 4)])
    with pytest.raises(GeoreferenceError, match="has no CRS"):
        grid.to_pixel([(3, 4)], LONLAT)


def test_a_place_beyond_the_projection_is_refused() -> None:
    with pytest.raises(GeoreferenceError, match="no place in"):
        reproject_xy([(0, 95)], LONLAT, UTM)


def test_a_box_bends_between_crs() -> None:
    """A wide box in degrees reaches further north in UTM than its corners do."""
    grid = Grid(UTM, Affine(1000, 0, 0, 0, -1000, 6_500_000), (2000, 1000))
    box = (0.0, 50.0, 6.0, 52.0)  # symmetric about the zone's central meridian at 3 degrees
    corners = grid.to_pixel([(0, 50), (6, 50), (0, 52), (6, 52)], LONLAT)
    x0, y0, x1, y1 = grid.box_to_pixel(box, LONLAT)
    dense = grid.to_pixel(box_outline(*box), LONLAT)
    assert y1 == pytest.approx(dense[:, 1].max())
    assert y1 > corners[:, 1].max() + 4  # the southern edge sags below its corners
    assert x0 < x1
    assert y0 < y1


@given(
    st.tuples(st.integers(1, 3000), st.integers(1, 3000)),
    st.sampled_from([64, 128, 512]),
    st.data(),
)
def test_every_half_chip_box_lies_in_its_chip(shape, size: int, data: st.DataObject) -> None:
    plan = ChipPlan(shape, size)
    extent = [data.draw(st.floats(0, min(size / 2, n))) for n in (shape[1], shape[0])]
    x0 = data.draw(st.floats(0, shape[1] - extent[0]))
    y0 = data.draw(st.floats(0, shape[0] - extent[1]))
    chip = plan.around(x0, y0, x0 + extent[0], y0 + extent[1])
    near = Window(chip.row, chip.col, chip.height, chip.width)
    low, high = np.array([near.col, near.row]), np.array([near.stop[1], near.stop[0]])
    assert (np.array([x0, y0]) >= low - 1e-6).all()
    assert (np.array([x0 + extent[0], y0 + extent[1]]) <= high + 1e-6).all()
    assert chip in set(plan), "a chip is one of the lattice's"


@given(st.tuples(st.integers(1, 700), st.integers(1, 700)), st.sampled_from([64, 128]))
def test_chips_cover_the_level_and_stay_inside(shape, size: int) -> None:
    seen = np.zeros(shape, bool)
    for chip in ChipPlan(shape, size):
        assert chip.intersection(Window(0, 0, *shape)) == chip
        assert chip.shape == (min(size, shape[0]), min(size, shape[1]))
        seen[chip.slices] = True
    assert seen.all()


def test_a_point_keeps_a_quarter_chip_from_inner_borders() -> None:
    chip = ChipPlan((4000, 4000), 512).around(1234, 2345, 1234, 2345)
    assert 128 <= 1234 - chip.col <= 384
    assert 128 <= 2345 - chip.row <= 384


def test_window_intersection_and_containment() -> None:
    one, other = Window(0, 0, 10, 10), Window(5, 8, 10, 10)
    assert one.intersection(other) == Window(5, 8, 5, 2)
    assert one.intersection(Window(20, 20, 3, 3)).shape == (0, 0)
    np.testing.assert_array_equal(one.contains([(10, 10), (10.1, 3)]), [True, False])
    with pytest.raises(GeoreferenceError, match="negative"):
        Window(0, 0, -1, 3)


def test_levels_by_pixel_size() -> None:
    grid = Grid(UTM, Affine(2, 0, 0, 0, -2, 0), (4096, 4096))
    assert [grid.level_for_size(size) for size in (1, 2, 4, 7, 1e9)] == [0, 0, 1, 2, 4]
    assert grid.top_level == 4
    with pytest.raises(GeoreferenceError, match="-1"):
        grid.level(-1)


def test_footprint_in_another_crs_is_dense() -> None:
    grid = Grid(UTM, Affine(1000, 0, 300_000, 0, -1000, 5_500_000), (500, 500))
    footprint = grid.footprint_in(LONLAT)
    assert len(footprint.exterior.coords) > 100
    assert footprint.is_valid
