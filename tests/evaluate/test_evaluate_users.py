"""Simulated users: where they click, how often they err, and that chance repeats itself."""

from __future__ import annotations

import numpy as np
import pytest

from geoiseg.errors import PromptError
from geoiseg.evaluate.simulated_user import ClickOptions, click_embedding, next_click
from geoiseg.evaluate.users import make_user
from geoiseg.models.protocol import Embedding, Masks, ModelInfo

SIDE = 160
NOTHING = np.zeros((SIDE, SIDE), bool)
EVERYWHERE = ~NOTHING


def disk(radius, centre=(80, 80)):
    y, x = np.mgrid[:SIDE, :SIDE] + 0.5
    return np.hypot(y - centre[0], x - centre[1]) < radius


def first_clicks(truth, mask=NOTHING, count=600):
    users = (make_user("realistic", seed) for seed in range(count))
    return [user.next(truth, mask, NOTHING, EVERYWHERE) for user in users]


def offsets(radius):
    clicks = first_clicks(disk(radius))
    return np.array([np.hypot(c.xy_pixel[0] - 80, c.xy_pixel[1] - 80) for c in clicks])


def test_the_centre_user_clicks_in_the_middle():
    user = make_user("centre", 5)
    click = user.next(disk(30), NOTHING, NOTHING, EVERYWHERE)
    assert click == next_click(disk(30), NOTHING, NOTHING, EVERYWHERE)
    assert user.box((1.0, 2.0, 3.0, 4.0)) == (1.0, 2.0, 3.0, 4.0)


def test_clicks_lie_near_the_middle_and_farther_from_it_in_large_objects():
    small, large = offsets(12), offsets(60)
    assert (large < 60).all()
    assert np.median(large) > 3.5 * np.median(small)
    assert 0.2 < np.median(large) / 60 < 0.6
    assert (large < 0.66 * 60).mean() > 0.7
    assert 0.05 < (large > 0.85 * 60).mean() < 0.25
    assert (large > 3).mean() > 0.95


def test_signs_are_wrong_now_and_then():
    clicks = first_clicks(disk(30), count=2000)
    wrong = np.mean([not click.positive for click in clicks])
    assert 0.005 < wrong < 0.03


def test_too_much_is_taken_away_with_negative_clicks():
    clicks = first_clicks(NOTHING, disk(30), 200)
    assert np.mean([click.positive for click in clicks]) < 0.04
    assert all(disk(30)[int(c.xy_pixel[1]), int(c.xy_pixel[0])] for c in clicks)


def test_other_errors_are_clicked_sometimes():
    truth = disk(30, (50, 50)) | disk(12, (130, 130))
    far = np.mean([c.xy_pixel[0] > 100 for c in first_clicks(truth, count=2000)])
    assert 0.001 < far < 0.03


def test_some_clicks_are_doubled_beside_the_first():
    doubles = 0
    for seed in range(300):
        user = make_user("realistic", seed)
        one = user.next(disk(40), NOTHING, NOTHING, EVERYWHERE)
        # Whether or not the second click is needed, a doubled one is made.
        two = user.next(disk(40), disk(40), NOTHING, EVERYWHERE)
        if two is not None:
            doubles += 1
            assert two.positive == one.positive
            assert np.hypot(*np.subtract(two.xy_pixel, one.xy_pixel)) < 12
    assert 3 <= doubles <= 30


def test_nothing_is_left_to_correct():
    user = make_user("realistic", 3)
    assert user.next(disk(20), disk(20), NOTHING, EVERYWHERE) is None
    assert user.next(disk(20), NOTHING, NOTHING, ~disk(20)) is None


def test_errors_of_single_pixels_are_clicked_too():
    truth = NOTHING.copy()
    truth[7, 9] = True
    for seed in range(30):
        click = make_user("realistic", seed).next(truth, NOTHING, NOTHING, EVERYWHERE)
        assert click.xy_pixel == (9.5, 7.5)


def test_the_seeds_decide():
    def series(*seeds):
        user = make_user("realistic", *seeds)
        return [user.next(disk(40), NOTHING, NOTHING, EVERYWHERE) for _ in range(20)]

    assert series(1, 2) == series(1, 2)
    assert series(1, 2) != series(1, 3)


def test_boxes_are_a_little_off():
    boxes = np.array([make_user("realistic", s).box((0.0, 0.0, 100.0, 50.0)) for s in range(400)])
    off = boxes - (0, 0, 100, 50)
    assert off.std(axis=0) == pytest.approx([3, 1.5, 3, 1.5], rel=0.15)
    assert np.abs(off.mean(axis=0)).max() < 0.6


def test_an_unknown_user_is_said_to_be():
    with pytest.raises(PromptError, match="centre, realistic"):
        make_user("hasty")


def test_a_user_can_click_on_a_bare_chip():
    class All:
        info = ModelInfo("all", "test", "Apache-2.0", "everything", 160, "1")

        def decode(self, embedding, prompts, previous=None) -> Masks:
            return Masks(np.full((1, SIDE, SIDE), 5, np.float32), np.array([0.5], np.float32))

    embedding = Embedding("all", (SIDE, SIDE), {})
    user = make_user("realistic", 4)
    options = ClickOptions(max_clicks=3)
    run = click_embedding(All(), embedding, disk(30), EVERYWHERE, options, user.next)
    again = make_user("realistic", 4)
    first = again.next(disk(30), NOTHING, NOTHING, EVERYWHERE)
    assert run.clicks[0] == first
    assert not run.clicks[1].positive
