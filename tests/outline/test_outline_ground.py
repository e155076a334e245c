"""Outlines without stairs, and holes, parts and width in ground units."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from rasterio.features import rasterize

from geoiseg.errors import PromptError
from geoiseg.outline import OutlineOptions, outline
from geoiseg.raster import Grid
from geoiseg.segment import Mask

EDGE = 2.0


def masked(array: np.ndarray, edge: float = EDGE) -> Mask:
    return Mask(array, Grid("EPSG:32631", Affine(edge, 0, 5e5, 0, -edge, 45e5), array.shape))


def blocks() -> np.ndarray:
    """A block of 40 x 30 pixels with a hole of 5 x 4 and one of 10 x 10, and one of 6 x 3."""
    array = np.zeros((60, 80), bool)
    array[5:35, 10:50] = True
    array[10:14, 15:20] = False
    array[20:30, 30:40] = False
    array[50:53, 60:66] = True
    return array


@settings(max_examples=40, deadline=None)
@given(arrays.arrays(bool, st.tuples(st.integers(1, 14), st.integers(1, 14))))
def test_a_contour_gives_the_mask_back(array: np.ndarray) -> None:
    mask = masked(array)
    shape = outline(mask, OutlineOptions(line="contour"))
    if not array.any():
        assert shape is None
        return
    assert shape.is_valid
    burned = rasterize([shape], array.shape, transform=mask.grid.transform) > 0
    np.testing.assert_array_equal(burned, array)


@settings(max_examples=60, deadline=None)
@given(
    arrays.arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12))),
    st.integers(0, 2**32 - 1),
)
def test_so_it_does_where_logits_say_otherwise(array: np.ndarray, seed: int) -> None:
    """As of a mask that was cleaned, edited, or ends where there is no data."""
    draw = np.random.default_rng(seed)
    valid = draw.random(array.shape) < 0.8
    logits = draw.normal(0, 4, array.shape).astype(np.float16)
    mask = masked(array & valid)
    shape = outline(mask, None, logits)
    if mask.is_empty:
        assert shape is None
        return
    assert shape.is_valid
    burned = rasterize([shape], array.shape, transform=mask.grid.transform) > 0
    np.testing.assert_array_equal(burned, mask.array)


def test_a_disk_has_no_stairs() -> None:
    y, x = np.mgrid[:200, :200] + 0.5
    array = np.hypot(x - 100, y - 100) < 70
    stairs, smooth = (
        outline(masked(array), OutlineOptions(line=line)) for line in ("pixels", "contour")
    )
    circle = 2 * np.pi * 70 * EDGE
    assert stairs.length > 1.2 * circle
    assert smooth.length == pytest.approx(circle, rel=0.01)
    assert smooth.area == pytest.approx(array.sum() * EDGE**2, rel=0.005)


@pytest.mark.parametrize("line", ["pixels", "contour"])
def test_small_holes_and_parts_go_by_their_ground(line: str) -> None:
    mask = masked(blocks())
    hole, wide, part = 20 * 4, 100 * 4, 18 * 4
    whole = outline(mask, OutlineOptions(line=line))
    assert len(whole.geoms) == 2
    filled = outline(mask, OutlineOptions(line=line, holes=hole * 1.2))
    assert [len(one.interiors) for one in filled.geoms] == [1, 0]
    assert filled.area - whole.area == pytest.approx(hole, rel=0.12)
    full = outline(mask, OutlineOptions(line=line, holes=wide * 1.2, parts=part * 1.2))
    assert full.geom_type == "Polygon"
    assert not full.interiors
    assert full.area == pytest.approx(40 * 30 * 4, rel=0.01)
    large = outline(mask, OutlineOptions(line=line, parts=1e9))
    assert large.geom_type == "Polygon", "the largest part stays whatever its size"


def test_it_moves_by_metres_wherever_it_lies() -> None:
    square = np.zeros((80, 80), bool)
    square[20:60, 20:60] = True
    mask = masked(square)
    wide = outline(mask, OutlineOptions(line="pixels", grow=6))
    assert wide.area == pytest.approx(80**2 + 4 * 80 * 6 + np.pi * 36, rel=0.002)
    small = outline(mask, OutlineOptions(line="pixels", grow=-6))
    assert small.area == pytest.approx(68**2, rel=1e-3)
    assert wide.contains(outline(mask))
    assert outline(mask, OutlineOptions(grow=-50)) is None
    # Far north a degree of longitude is short: the same metres are more degrees there.
    north = Mask(square, Grid("EPSG:4326", Affine(4e-5, 0, 20, 0, -2e-5, 60.0), square.shape))
    before, after = outline(north), outline(north, OutlineOptions(grow=10))
    left = before.bounds[0] - after.bounds[0]
    down = before.bounds[1] - after.bounds[1]
    assert left * 111_320 * np.cos(np.radians(60)) == pytest.approx(10, rel=0.02)
    assert down * 111_320 == pytest.approx(10, rel=0.02)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"line": "stairs"}, "pixels or contour"),
        ({"holes": -1}, "holes is 0 or more square metres"),
        ({"parts": float("nan")}, "parts is 0 or more square metres"),
        ({"grow": float("inf")}, "grow is at most"),
    ],
)
def test_what_makes_no_sense_is_said(given: dict, said: str) -> None:
    with pytest.raises(PromptError, match=said):
        OutlineOptions(**given)


def test_all_together_stay_valid() -> None:
    rng = np.random.default_rng(3)
    for _ in range(10):
        array = rng.random((40, 40)) < 0.6
        shape = outline(
            masked(array), OutlineOptions(1.0, 1, line="contour", holes=20, parts=20, grow=1.5)
        )
        assert shape.is_valid
        assert isinstance(shape, (shapely.Polygon, shapely.MultiPolygon))
