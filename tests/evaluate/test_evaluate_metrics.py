"""Metrics and the simulated user against values worked out by hand."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from geoiseg.evaluate import metrics
from geoiseg.evaluate.simulated_user import (
    Click,
    ClickOptions,
    box_of,
    click_embedding,
    next_click,
    run_clicks,
)
from geoiseg.models.protocol import Embedding, Masks


def square(shape, rows, columns):
    mask = np.zeros(shape, bool)
    mask[slice(*rows), slice(*columns)] = True
    return mask


def test_iou_and_dice_of_shifted_squares():
    a, b = square((10, 10), (0, 4), (0, 4)), square((10, 10), (2, 6), (0, 4))
    assert metrics.iou(a, b) == pytest.approx(8 / 24)
    assert metrics.dice(a, b) == pytest.approx(16 / 32)
    assert metrics.precision_recall(a, b) == (0.5, 0.5)


def test_invalid_pixels_do_not_count():
    a, b = square((10, 10), (0, 4), (0, 4)), square((10, 10), (2, 6), (0, 4))
    valid = square((10, 10), (2, 4), (0, 10))
    assert metrics.iou(a, b, valid) == 1.0


def test_empty_masks_agree_and_an_empty_guess_does_not():
    empty, full = np.zeros((5, 5), bool), np.ones((5, 5), bool)
    assert metrics.iou(empty, empty) == 1.0
    assert metrics.dice(empty, empty) == 1.0
    assert metrics.iou(empty, full) == 0.0
    assert metrics.precision_recall(empty, full) == (1.0, 0.0)
    assert metrics.precision_recall(full, empty) == (0.0, 1.0)


@given(arrays(bool, (7, 9)), arrays(bool, (7, 9)))
def test_iou_is_symmetric_and_below_dice(a, b):
    assert metrics.iou(a, b) == metrics.iou(b, a)
    assert 0 <= metrics.iou(a, b) <= metrics.dice(a, b) <= 1


def test_boundary_distance_is_a_share_of_the_diagonal():
    assert metrics.boundary_distance((300, 400)) == 10
    assert metrics.boundary_distance((100, 1000)) == 20  # sqrt(h * w) would say 6
    assert metrics.boundary_distance((3, 5)) == 1


def test_boundary_band_of_a_square_is_its_frame():
    mask = square((20, 20), (5, 15), (5, 15))
    band = metrics.boundary_band(mask, 2)
    assert np.array_equal(band, mask & ~square((20, 20), (7, 13), (7, 13)))


def test_boundary_band_counts_the_image_edge():
    assert metrics.boundary_band(np.ones((6, 6), bool), 1).sum() == 20


def test_boundary_iou_sees_an_outline_that_iou_forgives():
    truth, guess = (
        square((200, 200), (20, 180), (20, 180)),
        square((200, 200), (24, 176), (24, 176)),
    )
    assert metrics.iou(guess, truth) > 0.9
    assert metrics.boundary_iou(guess, truth) < 0.3
    assert metrics.boundary_iou(truth, truth, distance=3) == 1.0


def test_boundary_band_refuses_no_width():
    with pytest.raises(ValueError, match="at least 1 pixel"):
        metrics.boundary_band(np.ones((3, 3), bool), 0)


@pytest.mark.parametrize(
    ("a", "b", "match"),
    [
        (np.zeros((2, 2), bool), np.zeros((2, 3), bool), "one shape"),
        (np.zeros((2, 2)), np.zeros((2, 2), bool), "bool"),
    ],
)
def test_masks_of_other_kinds_are_refused(a, b, match):
    with pytest.raises(ValueError, match=match):
        metrics.iou(a, b)


def test_clicks_to_and_failures():
    ious = [0.2, 0.86, 0.84, 0.9]
    assert metrics.clicks_to(ious, 0.85) == 2
    assert metrics.clicks_to(ious, 0.95, limit=4) == 4
    assert metrics.failed(ious, 0.95)
    assert not metrics.failed(ious, 0.9, limit=4)  # at the last click: a success all the same
    assert metrics.failed(ious, 0.9, limit=3)


def test_first_click_is_the_middle_of_the_object():
    truth = square((11, 11), (2, 9), (3, 8))
    nothing = np.zeros_like(truth)
    click = next_click(truth, nothing, nothing)
    assert click is not None
    assert click.positive
    # width 5: depth 3 in the middle column, first in raster order on row 4
    assert click.xy_pixel == (5.5, 4.5)
    assert click.reach == 3.0


def test_click_goes_to_the_largest_error():
    truth = square((30, 30), (10, 20), (10, 20))
    mask = square((30, 30), (13, 20), (10, 20)) | square((30, 30), (22, 30), (0, 8))
    click = next_click(truth, mask, np.zeros_like(truth))
    assert click is not None
    assert not click.positive
    assert click.xy_pixel == (3.5, 25.5)


def test_a_tie_is_negative():
    truth, mask = square((9, 20), (2, 7), (2, 7)), square((9, 20), (2, 7), (12, 17))
    click = next_click(truth, mask, np.zeros_like(truth))
    assert click == Click((14.5, 4.5), False, 3.0)


def test_the_image_edge_ends_an_error():
    truth = square((9, 9), (0, 5), (0, 5))
    click = next_click(truth, np.zeros_like(truth), np.zeros_like(truth))
    assert click is not None
    assert click.xy_pixel == (2.5, 2.5)


def test_clicked_pixels_are_not_clicked_again():
    truth = square((7, 7), (2, 5), (2, 5))
    nothing = np.zeros_like(truth)
    clicked = square((7, 7), (3, 4), (3, 4))
    click = next_click(truth, nothing, clicked)
    assert click is not None
    assert click.xy_pixel == (2.5, 2.5)
    assert next_click(truth, nothing, truth) is None


def test_a_perfect_mask_needs_no_click():
    truth = square((7, 7), (2, 5), (2, 5))
    assert next_click(truth, truth, np.zeros_like(truth)) is None


def test_errors_without_data_do_not_count():
    truth = square((7, 7), (2, 5), (2, 5))
    nothing = np.zeros_like(truth)
    assert next_click(truth, nothing, nothing, ~truth) is None


@dataclass
class Oracle:
    """A fake engine that draws a disk of the true object around each positive click."""

    truth: np.ndarray
    radius: float
    calls: list = field(default_factory=list)
    info = SimpleNamespace(name="oracle")

    def embed(self, image, valid):
        return Embedding("oracle", valid.shape, {})

    def decode(self, embedding, prompts, previous=None):
        self.calls.append((prompts.points.copy(), previous))
        y, x = np.indices(self.truth.shape) + 0.5
        near = np.zeros_like(self.truth)
        for px, py in prompts.points[prompts.positive]:
            near |= np.hypot(x - px, y - py) <= self.radius
        logits = np.where(near & self.truth, 5.0, -5.0).astype(np.float32)
        return Masks(logits[None], np.array([0.7], np.float32))


def chip(shape):
    return np.zeros((*shape, 3), np.uint8), np.ones(shape, bool)


def test_run_gives_all_clicks_and_the_last_logits():
    truth = square((40, 60), (10, 30), (10, 50))
    model = Oracle(truth, 12)
    run = run_clicks(model, *chip(truth.shape), truth, ClickOptions(max_clicks=6))
    assert run.ious.shape == (6,)
    assert (np.diff(run.ious) >= 0).all()
    assert run.ious[0] < run.ious[-1] <= 1.0
    assert [len(points) for points, _ in model.calls] == list(range(1, len(run.clicks) + 1))
    assert model.calls[0][1] is None
    assert model.calls[1][1].shape == truth.shape
    assert run.scores[0] == pytest.approx(0.7)


def test_run_ends_when_perfect_and_keeps_the_last_iou():
    truth = square((20, 20), (5, 15), (5, 15))
    run = run_clicks(Oracle(truth, 50), *chip(truth.shape), truth, ClickOptions(max_clicks=7))
    assert len(run.clicks) == 1
    assert run.ious.tolist() == [1.0] * 7


def test_run_stops_at_a_target_but_not_before_the_promised_clicks():
    truth = square((60, 60), (0, 60), (0, 60))
    options = ClickOptions(max_clicks=20, stop_at=0.05, stop_after=3)
    run = click_embedding(
        Oracle(truth, 10), Embedding("oracle", (60, 60), {}), truth, None, options
    )
    assert len(run.clicks) == 3
    assert run.ious[2] == run.ious[19]


def test_an_empty_object_is_found_at_once():
    truth = np.zeros((8, 8), bool)
    run = run_clicks(Oracle(truth, 3), *chip(truth.shape), truth, ClickOptions(max_clicks=3))
    assert run.clicks == ()
    assert run.ious.tolist() == [1.0] * 3


@given(st.floats(0.1, 1), st.integers(0, 99))
def test_jitter_stays_within_the_error(jitter, seed):
    truth = square((40, 40), (12, 26), (12, 30))
    options = ClickOptions(max_clicks=1, jitter=jitter, seed=seed)
    run = run_clicks(Oracle(truth, 4), *chip(truth.shape), truth, options)
    x, y = run.clicks[0].xy_pixel
    assert truth[int(y), int(x)]


@pytest.mark.parametrize("wrong", [{"max_clicks": 0}, {"threshold": 1.0}, {"jitter": -0.1}])
def test_options_are_checked(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ClickOptions(**wrong)


def test_box_of_is_tight():
    assert box_of(square((20, 30), (3, 7), (10, 25))) == (10.0, 3.0, 25.0, 7.0)
    with pytest.raises(ValueError, match="no box"):
        box_of(np.zeros((4, 4), bool))
