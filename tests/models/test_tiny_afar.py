"""A single click is looked at from afar, too, and what it may mean is weighed."""

from __future__ import annotations

import re
from importlib import resources

import numpy as np
import pytest

from geoiseg.evaluate.metrics import iou
from geoiseg.models.tiny import afar
from geoiseg.models.tiny.afar import Reading
from geoiseg.models.tiny.model import TinyModel, first_generation
from geoiseg.prompting import PixelPrompts

SHAPE = (300, 401)
Y, X = np.mgrid[: SHAPE[0], : SHAPE[1]]


@pytest.fixture(scope="module")
def model():
    return TinyModel(threads=1)


def disk(row, col, radius):
    return np.hypot(Y - row, X - col) < radius


def reading(mask, score=0.8, times=1):
    return Reading(np.where(mask, 6, -6).astype(np.float32), score, times)


def click(x, y):
    return PixelPrompts(points=np.array([[x, y]], float), positive=np.array([True]))


def test_a_chip_from_afar_is_the_mean_of_what_has_data():
    pixels = np.zeros((3, 3, 3), np.uint8)
    valid = np.zeros((3, 3), bool)
    for row, col, value in ((0, 0, 10), (0, 1, 13), (1, 1, 20), (2, 2, 200)):
        pixels[row, col], valid[row, col] = value, True
    half, seen = afar.halved(pixels, valid)
    np.testing.assert_array_equal(seen, [[True, False], [False, True]])
    np.testing.assert_array_equal(half[..., 0], [[14, 0], [0, 200]])  # 43 / 3, rounded


def test_logits_from_afar_lie_where_they_were_seen():
    small = np.full((150, 201), -6, np.float32)
    small[50:100, 60:120] = 6
    large = afar.enlarged(small, SHAPE)
    assert large.shape == SHAPE
    truth = np.zeros(SHAPE, bool)
    truth[100:200, 120:240] = True
    assert iou(large > 0, truth) > 0.97


def test_readings_that_agree_outweigh_one_that_scores_more():
    whole, corner = disk(150, 200, 90), disk(150, 200, 30)
    readings = [
        reading(corner, 0.85), reading(whole, 0.8), reading(disk(150, 202, 91), 0.8, 2),
        reading(disk(152, 200, 88), 0.7, 2),
    ]  # fmt: skip
    first, second = afar.weighed(readings, np.array([200.0, 150.0]))
    assert iou(first.logits > 0, whole) > 0.9
    assert iou(second.logits > 0, corner) == 1, "the others are nearly the first"
    assert 0 < second.score < first.score < 1


def test_a_view_has_one_vote_however_many_of_its_readings_say_the_same():
    """Three readings from afar of a pair of disks are no three witnesses against one disk."""
    one, pair = disk(150, 120, 40), disk(150, 120, 40) | disk(150, 300, 40)
    readings = [reading(one, 0.9), *(reading(pair, 0.85, 2) for _ in range(3)),
                reading(one, 0.85, 2)]  # fmt: skip
    best, *_ = afar.weighed(readings, np.array([120.0, 150.0]))
    np.testing.assert_array_equal(best.logits > 0, one)


def test_what_holds_nothing_is_no_reading():
    nothing = reading(np.zeros(SHAPE, bool))
    assert afar.weighed([nothing], np.array([9.0, 9.0])) == []
    kept = afar.weighed([nothing, reading(disk(150, 200, 50))], np.array([200.0, 150.0]))
    assert len(kept) == 1


def test_a_click_on_what_is_large_is_answered_by_three_views_and_drawn_at_the_chips_resolution(
    model,
):
    truth = disk(150, 200, 60)
    noise = np.random.default_rng(5).normal(0, 6, (*SHAPE, 3))
    colours = np.where(truth[..., None], (150, 170, 80), (90, 110, 120)) + noise
    embedding = model.embed(np.clip(colours, 0, 255).astype(np.uint8), np.ones(SHAPE, bool))
    readings = model.readings(embedding, click(200, 150))
    assert {one.times for one in readings} == {1, 2, 4}
    masks = model.decode(embedding, click(200, 150))
    assert len(masks.logits) <= afar.MOST
    assert (np.diff(masks.scores) <= 0).all()
    assert iou(masks.logits[0] > 0, truth) > 0.95
    assert masks.logits[0, 150, 200] > 0


def test_what_was_seen_from_afar_is_drawn_at_the_chips_resolution(model, monkeypatch):
    truth = disk(150, 200, 60)
    colours = np.where(truth[..., None], (150, 170, 80), (90, 110, 120)).astype(np.uint8)
    embedding = model.embed(colours, np.ones(SHAPE, bool))
    coarse = reading(disk(152, 203, 58), times=2)
    others = [reading(disk(150, 200, 61), 0.5), reading(disk(150, 200, 20), 0.4)]
    monkeypatch.setattr(afar, "weighed", lambda *_: [coarse, *others])
    masks = model.decode(embedding, click(200, 150))
    assert iou(coarse.logits > 0, truth) < 0.95 < iou(masks.logits[0] > 0, truth)
    assert len(masks.logits) == 2, "what is as the answer is drawn now is no other"


def test_what_clearly_goes_on_beyond_the_chip_is_not_drawn_and_else_is_as_ever(model, monkeypatch):
    truth = disk(150, 200, 60)
    colours = np.where(truth[..., None], (150, 170, 80), (90, 110, 120)).astype(np.uint8)
    embedding = model.embed(colours, np.ones(SHAPE, bool))
    shown = []
    inside = model.decode_inside(embedding, click(200, 150), lambda one: bool(shown.append(one)))
    decoded = model.decode(embedding, click(200, 150))
    np.testing.assert_array_equal(inside.logits, decoded.logits)
    np.testing.assert_array_equal(inside.scores, decoded.scores)
    assert iou(shown[0] > 0, truth) > 0.9
    monkeypatch.setattr(TinyModel, "drawn", lambda *_: pytest.fail("drawn all the same"))
    assert model.decode_inside(embedding, click(200, 150), lambda _: True) is None


def test_what_is_small_from_afar_is_not_looked_at_from_further_away(model):
    """Sixteen pixels of the chip are eight of the view from afar."""
    for radius, deep in ((13, False), (22, True)):
        found = [reading(disk(150, 200, radius), times=times) for times in (1, 2)]
        assert afar.is_deep(found, np.array([200.0, 150.0])) == deep
    assert not afar.is_deep([reading(np.zeros(SHAPE, bool))], np.array([9.0, 9.0]))
    truth = disk(150, 200, 12)
    colours = np.where(truth[..., None], (150, 170, 80), (90, 110, 120)).astype(np.uint8)
    embedding = model.embed(colours, np.ones(SHAPE, bool))
    readings = model.readings(embedding, click(200, 150))
    assert {one.times for one in readings} == {1, 2}
    every = model.readings(embedding, click(200, 150), all_views=True)
    assert {one.times for one in every} == {1, 2, 4}


def test_what_was_seen_from_further_away_is_weighed_in_its_own_way():
    near = [reading(disk(150, 200, 60)), reading(disk(150, 200, 62), times=2)]
    every = [*near, reading(disk(150, 200, 58), times=4)]
    assert afar.weights_of(near) == afar.WEIGHTS
    assert afar.weights_of(every) == afar.FURTHER_WEIGHTS


def test_neither_small_chips_nor_the_first_generation_are_looked_at_from_afar(model, monkeypatch):
    monkeypatch.setattr(TinyModel, "from_afar", lambda *_: pytest.fail("looked at from afar"))
    image = np.full((100, 140, 3), 90, np.uint8)
    image[30:70, 40:90] = 160
    larger = np.kron(image, np.ones((2, 2, 1), np.uint8))
    for one, chip, times in ((model, image, 1), (first_generation(), larger, 2)):
        said = click(65 * times, 50 * times)
        masks = one.decode(one.embed(chip, np.ones(chip.shape[:2], bool)), said)
        assert iou(masks.logits[0] > 0, chip[..., 0] > 100) > 0.8


def test_the_page_weighs_readings_alike():
    """The twin of the module in JavaScript has the same numbers."""
    page = (resources.files("geoiseg.web") / "page" / "engine" / "afar.js").read_text("utf-8")
    for name in ("WEIGHTS", "FURTHER_WEIGHTS"):
        (found,) = re.findall(rf"^const {name} = \[(.*)\];$", page, re.MULTILINE)
        assert tuple(float(one) for one in found.split(",")) == getattr(afar, name)
    for name in ("DEEP", "NARROWEST", "TIMES", "VIEWS"):
        (found,) = re.findall(rf"^(?:export )?const {name} = (.*);$", page, re.MULTILINE)
        assert float(found) == getattr(afar, name)
