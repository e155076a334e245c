"""A chip seen from a third further away: of each four pixels three are left."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoiseg.evaluate.metrics import iou
from geoiseg.models.tiny import between
from geoiseg.prompting import PixelPrompts


def by_area(side):
    """Rows of a table that says how much of each pixel of a side lies in each of the view."""
    view = -(-3 * side // 4)
    edges = np.arange(view + 1) * 4 / 3
    low, high = edges[:-1, None], edges[1:, None]
    pixels = np.arange(side)
    return np.clip(np.minimum(high, pixels + 1) - np.maximum(low, pixels), 0, 1)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 13), st.integers(1, 13), st.integers(0, 99))
def test_a_pixel_is_the_mean_of_what_it_covers_and_has_data(rows, columns, seed):
    rng = np.random.default_rng(seed)
    valid = rng.random((rows, columns)) > 0.3
    pixels = rng.integers(0, 256, (rows, columns, 3), np.uint8) * valid[..., None]
    image, seen = between.reduced(pixels.astype(np.uint8), valid)
    down, across = by_area(rows), by_area(columns)
    covered = down @ valid @ across.T
    np.testing.assert_array_equal(seen, covered > 1e-9)
    for band in range(3):
        mean = (down @ pixels[..., band] @ across.T)[seen] / covered[seen]
        np.testing.assert_allclose(image[..., band][seen], mean, atol=0.5 + 1e-6)
    assert not image[~seen].any()


def test_a_single_colour_stays_as_it_is():
    pixels = np.full((9, 7, 3), (0, 128, 255), np.uint8)
    image, seen = between.reduced(pixels, np.ones((9, 7), bool))
    assert image.shape == (7, 6, 3)
    assert (image == (0, 128, 255)).all()
    assert seen.all()


@pytest.mark.parametrize("shape", [(160, 200), (157, 203), (4, 5), (1, 1)])
def test_a_mask_comes_back_where_it_was(shape):
    y, x = np.mgrid[: shape[0], : shape[1]]
    truth = np.hypot((y - shape[0] / 2) / 0.3, (x - shape[1] / 2) / 0.4) < shape[0]
    logits = np.where(truth, 6, -6).astype(np.float32)
    there = between.reduced_logits(logits)
    assert there.shape == tuple(-(-3 * side // 4) for side in shape)
    assert there.dtype == np.float32
    back = between.enlarged_logits(there, shape)
    assert back.shape == shape
    assert iou(back > 0, truth) > (0.97 if shape[0] > 100 else 0.4)


def test_a_slope_stays_a_slope():
    """What is a quarter of a pixel off at the borders of the view would show here."""
    slope = np.broadcast_to(np.arange(40, dtype=np.float32), (8, 40))
    there = between.reduced_logits(slope)
    middles = (np.arange(30) + 0.5) * between.TIMES - 0.5
    np.testing.assert_allclose(there[0], middles, atol=0.1)
    back = between.enlarged_logits(there, (8, 40))
    np.testing.assert_allclose(back[:, 1:-1], slope[:, 1:-1], atol=0.1)


def test_points_and_strokes_lie_where_they_lay():
    stroke = np.array([[0.0, 4.0], [8.0, 2.0]])
    said = PixelPrompts(np.array([[4.0, 8.0]]), np.array([True]), scribbles=((stroke, False),))
    there = between.seen(said)
    np.testing.assert_allclose(there.points, [[3, 6]])
    ((moved, sign),) = there.scribbles
    np.testing.assert_allclose(moved, [[0, 3], [6, 1.5]])
    assert not sign
