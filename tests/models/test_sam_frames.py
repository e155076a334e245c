"""Where a chip's pixels lie in the network's image, and where masks lie on the chip."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoiseg.errors import ModelError
from geoiseg.models.sam.frames import DEVIATION, FILL, MEAN, Frame

SHAPES = [(1024, 1024), (512, 512), (300, 700), (1500, 900), (64, 1024), (1024, 333), (7, 5)]


def ramps(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return the x and the y of every pixel's centre, as the share of the chip's sides."""
    y, x = (np.arange(length) + 0.5 for length in shape)
    whole = np.broadcast_to
    return whole(x / shape[1], shape), whole(y[:, None] / shape[0], shape)


@pytest.mark.parametrize("shape", SHAPES)
def test_longest_side_fills_the_square(shape):
    frame = Frame(shape)
    assert max(frame.content) == 1024
    for length, inside in zip(shape, frame.content, strict=True):
        assert abs(inside - length * 1024 / max(shape)) <= 0.5
    assert frame.low == tuple(-(-length // 4) for length in frame.content)


@pytest.mark.parametrize("shape", SHAPES)
def test_corners_of_the_chip_are_corners_of_its_part_of_the_square(shape):
    frame = Frame(shape)
    rows, columns = frame.content
    corners = np.array([[0.0, 0.0], [shape[1], shape[0]]])
    # The network adds the half pixel again that counts from pixel centres to corners.
    assert np.allclose(frame.to_network(corners) + 0.5, [[0, 0], [columns, rows]])


@pytest.mark.parametrize("shape", SHAPES)
def test_a_mask_comes_back_without_shift(shape):
    """Logits that are a place's own coordinate must come back as the chip's coordinates."""
    frame = Frame(shape)
    rows, columns = frame.content
    at = (np.arange(256) + 0.5) * 4
    low = np.stack([np.tile(at / columns, (256, 1)), np.tile(at[:, None] / rows, (1, 256))])
    back = frame.to_chip(low.astype(np.float32))
    assert back.shape == (2, *shape)
    for axis, (found, wanted) in enumerate(zip(back, ramps(shape), strict=True)):
        # At borders there is nothing to interpolate with: values stay what they were.
        side = (columns, rows)[axis]
        inner = (wanted * side > 4) & (wanted * side < min(side, 1022) - 2)
        assert inner.any() or shape == (7, 5)
        assert np.abs(found - wanted)[inner].max(initial=0) < 1e-4


@pytest.mark.parametrize("shape", SHAPES[:-1])
def test_a_previous_mask_goes_in_without_shift(shape):
    frame = Frame(shape)
    rows, columns = frame.content
    for axis, ramp in enumerate(ramps(shape)):
        low = frame.mask_input(ramp, outside=0)
        assert low.shape == (256, 256)
        side = (columns, rows)[axis]
        wanted = (np.arange(256) + 0.5) * 4 / side
        line = low[rows // 8] if axis == 0 else low[:, columns // 8]
        inner = (wanted * side > 8) & (wanted * side < side - 8)
        assert np.abs(line - wanted)[inner].max() < 2e-3


@pytest.mark.parametrize("shape", SHAPES)
def test_padding_of_mask_prompts_has_the_value_asked_for(shape):
    frame = Frame(shape)
    low = frame.mask_input(np.ones(shape, np.float32), outside=-8)
    rows, columns = frame.content
    assert np.allclose(low[: rows // 4, : columns // 4], 1)
    assert (low[frame.low[0] :] == -8).all()
    assert (low[:, frame.low[1] :] == -8).all()


@pytest.mark.parametrize("shape", SHAPES[:-1])
def test_a_mask_that_goes_in_again_is_the_networks_own(shape):
    frame = Frame(shape)
    noise = np.random.default_rng(0).normal(size=(256, 256)).astype(np.float32)
    low = cv2.GaussianBlur(noise, (0, 0), 4) * 50
    again = frame.mask_input(frame.to_chip(low[None])[0], outside=-8)
    rows, columns = (side - 1 for side in frame.low)
    ours, wanted = again[1:rows, 1:columns], low[1:rows, 1:columns]
    assert ((ours > 0) & (wanted > 0)).sum() > 0.97 * ((ours > 0) | (wanted > 0)).sum()
    assert np.linalg.norm(ours - wanted) < 0.03 * np.linalg.norm(wanted)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 400), st.integers(1, 400), st.integers(1, 16))
def test_mask_and_back_agree_on_whole_blocks(rows, columns, blocks):
    """What is in the middle of a large block stays what it was, whatever the chip's shape."""
    frame = Frame((rows, columns), side=256)
    mask = np.zeros((rows, columns), np.float32) - 4
    mask[:, : max(1, columns * blocks // 16)] = 4
    back = frame.to_chip(frame.mask_input(mask, outside=-4)[None])[0]
    assert back.shape == mask.shape
    far = np.abs(np.arange(columns) + 0.5 - columns * blocks // 16) > 8 * frame.low_scale + 1
    assert ((back > 0) == (mask > 0))[:, far].all()


def test_pixels_are_normalised_and_padded_with_the_mean():
    image = np.zeros((20, 40, 3), np.uint8)
    image[..., 0], image[..., 1] = 255, 10
    values = Frame((20, 40), side=64).pixel_values(image)
    assert values.shape == (3, 64, 64)
    wanted = [(v - m) / d for v, m, d in zip((255, 10, 0), MEAN, DEVIATION, strict=True)]
    assert np.allclose(values[:, :32].transpose(1, 2, 0), wanted, atol=1e-5)
    assert (values[:, 32:] == 0).all()


@pytest.mark.parametrize("shape", [(300, 300), (128, 90), (40, 64)])
def test_pixels_are_scaled_without_shift(shape):
    frame = Frame(shape, side=128)
    image = np.stack([ramp * 255 for ramp in (*ramps(shape), ramps(shape)[0])], axis=-1)
    values = frame.pixel_values(np.round(image).astype(np.uint8))
    rows, columns = frame.content
    for axis, wanted in enumerate(ramps((rows, columns))):
        seen = (values[axis, :rows, :columns] * DEVIATION[axis] + MEAN[axis]) / 255
        assert np.abs(seen - wanted)[4:-4, 4:-4].max() < 1.1 / 255


def test_pixels_without_data_are_the_mean():
    image = np.full((32, 32, 3), 255, np.uint8)
    valid = np.ones((32, 32), bool)
    valid[:, 16:] = False
    values = Frame((32, 32), side=32).pixel_values(image, valid)
    colour = np.round(values[:, 0, 31] * DEVIATION + MEAN)
    assert colour.tolist() == list(FILL)
    assert (values[:, :, :16] > 1).all()


def test_what_is_no_image_is_refused():
    frame = Frame((8, 8), side=32)
    with pytest.raises(ModelError, match=r"\(y, x, 3\) uint8, got \(8, 8\) float64"):
        frame.pixel_values(np.zeros((8, 8)))
    with pytest.raises(ModelError, match="validity"):
        frame.pixel_values(np.zeros((8, 8, 3), np.uint8), np.ones((4, 4), bool))
    with pytest.raises(ModelError, match="the chip is"):
        frame.pixel_values(np.zeros((9, 8, 3), np.uint8))
