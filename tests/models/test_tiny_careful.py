"""Several clicks are answered with care: refined once more, and seen from other sides, too."""

from __future__ import annotations

import re
from dataclasses import replace
from importlib import resources

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoiseg.errors import ModelError, PromptError
from geoiseg.models import Augmented, CarefulModel
from geoiseg.models.tiny import between, careful, outputs
from geoiseg.models.tiny.afar import Reading
from geoiseg.models.tiny.careful import SURE, meant_by_all, turned, turned_prompts
from geoiseg.models.tiny.earlier import first_folder
from geoiseg.models.tiny.inputs import VALID, validity
from geoiseg.models.tiny.look import Draft, Look
from geoiseg.models.tiny.model import TinyModel, first_generation
from geoiseg.prompting import PixelPrompts
from geoiseg.raster import Window
from tests.models.test_tiny import EVERYWHERE, SHAPE, clicks, ditch, painted

ROWS, COLUMNS = np.mgrid[: SHAPE[0], : SHAPE[1]] + 0.5
LAKE = np.hypot((ROWS - 75) / 34, (COLUMNS - 100) / 62) < 1


@pytest.fixture(scope="module")
def model():
    return TinyModel(threads=1)


@pytest.fixture(scope="module")
def embedded(model):
    return model.embed(painted(LAKE, noise=20.0), EVERYWHERE)


SAID = clicks((100.5, 75.5, True), (150.5, 80.5, True), (60.5, 70.5, True), (100.5, 12.5, False))


def some(count):
    """The first so many of the clicks."""
    return PixelPrompts(SAID.points[:count], SAID.positive[:count])


def said(count):
    """Where the first so many lie, and whether each is on the object."""
    return SAID.points[:count], SAID.positive[:count]


def alone(number):
    """One of the clicks."""
    return PixelPrompts(SAID.points[number : number + 1], SAID.positive[number : number + 1])


def test_it_is_a_model_that_takes_care(model):
    assert isinstance(model, CarefulModel)
    assert not isinstance(Augmented(model, "flip"), CarefulModel)


def test_a_first_click_and_a_box_are_answered_as_ever(model, embedded):
    boxed = PixelPrompts(SAID.points, SAID.positive, box=(30.0, 35.0, 170.0, 115.0))
    for prompts in (some(1), boxed):
        wanted, found = (ask(embedded, prompts) for ask in (model.decode, model.decode_with_care))
        np.testing.assert_array_equal(found.logits, wanted.logits)
        np.testing.assert_array_equal(found.scores, wanted.scores)


def test_the_answer_to_two_clicks_is_refined_once_more(model, embedded):
    known = model.decode(embedded, some(1)).logits[0]
    first = model.drafted(embedded, some(2), known).masks(EVERYWHERE).logits[0]
    draft = model.drafted(embedded, some(2), first).modest(some(2), EVERYWHERE)
    again = draft.finished(embedded, some(2))
    wanted = again.masks(EVERYWHERE).logits[0]
    found = model.decode_with_care(embedded, some(2), known).logits[0]
    np.testing.assert_array_equal(found, wanted)
    assert (model.decode(embedded, some(2), known).logits[0] != found).any()


def test_without_a_mask_what_a_click_means_and_all_agree_with_is_refined(model, embedded):
    meant = meant_by_all(model, embedded, some(4))
    assert all((meant[int(y), int(x)] > 0) == on for (x, y), on in zip(*said(4), strict=True))
    readings = [one for n in range(3) for one in model.readings(embedded, alone(n))]
    assert any((one.logits == meant).all() for one in readings)
    for count in (2, 3, 4):
        before = meant_by_all(model, embedded, some(count))
        wanted = model.decode_with_care(embedded, some(count), before)
        found = model.decode_with_care(embedded, some(count))
        np.testing.assert_array_equal(found.logits, wanted.logits)


def test_the_likeliest_of_what_clicks_mean_counts(embedded):
    class Sure:
        """Says that a click means its left half, or all, and is surer of the latter."""

        def readings(self, embedding, prompts):
            left, whole = (np.full(SHAPE, -5, np.float32) for _ in range(2))
            left[:, :100], whole[20:130, 20:180] = 5, 8
            return [Reading(left, 0.2), Reading(whole, 0.9)]

    def meant(*points):
        return meant_by_all(Sure(), embedded, clicks(*points))

    both = ((50.5, 75.5, True), (150.5, 75.5, True))
    assert meant(*both)[75, 150] == 8
    assert meant(*both, (10.5, 10.5, False))[75, 150] == 8
    assert meant(both[0], (150.5, 75.5, False))[75, 150] == -5
    assert meant(*both, (100.5, 75.5, False)) is None
    assert meant((50.5, 75.5, False), (150.5, 75.5, False)) is None
    dark = embedded.shape[0] - 1
    holed = EVERYWHERE.copy()
    holed[dark] = False
    there = replace(embedded, arrays={**embedded.arrays, VALID: holed.astype(np.float16)})
    nowhere = clicks(*both, (150.5, dark + 0.5, True))  # a click on no data says nothing
    assert meant_by_all(Sure(), embedded, nowhere) is None
    assert meant_by_all(Sure(), there, nowhere)[75, 150] == 8
    drawn = replace(clicks(*both), scribbles=((np.array([[5.0, 5.0]]), False),))
    assert meant_by_all(Sure(), embedded, drawn) is None


@pytest.mark.parametrize("count", [3, 4])
def test_from_the_third_click_on_three_ways_to_look_count_alike(model, embedded, count):
    prompts = some(count)
    known = model.decode(embedded, some(1)).logits[0]
    draft = model.drafted(embedded, prompts, known)
    first = draft.masks(EVERYWHERE).logits[0]
    there = model.embed(turned(painted(LAKE, noise=20.0)), turned(EVERYWHERE))
    other = model.drafted(there, turned_prompts(prompts, SHAPE), turned(first))
    back = turned(other.masks(EVERYWHERE).logits[0])
    smaller = model.embed(*between.reduced(painted(LAKE, noise=20.0), EVERYWHERE))
    third = model.drafted(smaller, between.seen(prompts), between.reduced_logits(first))
    seen = third.look.masks(validity(smaller)).logits[0]
    answers = (first, back, between.enlarged_logits(seen, SHAPE))
    mean = np.mean([np.clip(one, -SURE, SURE) for one in answers], axis=0)
    found = model.decode_with_care(embedded, prompts, known).logits[0]
    apart = (found > 0) != (mean > 0)  # by the outline, which is moved to the colours
    assert apart.sum() < 0.03 * (found > 0).sum()
    for (x, y), positive in zip(prompts.points.astype(int), prompts.positive, strict=True):
        assert (found[y, x] > 0) == positive
    mask = found > 0
    assert (mask & LAKE).sum() > 0.95 * (mask | LAKE).sum()
    seen = turned_prompts(prompts, SHAPE)
    from_there = model.decode_with_care(there, seen, turned(known)).logits[0] > 0
    alike = (turned(from_there) & mask).sum() / (turned(from_there) | mask).sum()
    assert alike > 0.97


def test_a_stroke_that_leaves_the_chip_keeps_its_course():
    stroke = np.array([[-20.0, 30.0], [40.5, 60.5], [230.0, 90.0]])
    said = PixelPrompts(SAID.points, SAID.positive, scribbles=((stroke, True),))
    (moved, positive), *_ = turned_prompts(said, SHAPE).scribbles
    assert positive
    np.testing.assert_allclose(moved, np.array(SHAPE[::-1]) - stroke, atol=2e-3)


def test_an_empty_last_mask_is_as_none(model, embedded):
    nothing = np.full(SHAPE, -5, np.float32)
    for count in (2, 3):
        wanted = model.decode_with_care(embedded, some(count))
        found = model.decode_with_care(embedded, some(count), nothing)
        np.testing.assert_array_equal(found.logits, wanted.logits)


def test_what_is_refused_is_refused_with_care_too(model, embedded):
    with pytest.raises(PromptError, match="outside"):
        model.decode_with_care(embedded, clicks((5.0, 5.0, True), (999.0, 5.0, True)))
    with pytest.raises(ModelError, match="embed the chip again"):
        model.decode_with_care(replace(embedded, model="another"), some(3))
    unknown = model.embed(painted(LAKE), np.zeros(SHAPE, bool))
    assert not (model.decode_with_care(unknown, some(3)).logits[0] > 0).any()


def test_the_other_sides_are_encoded_once(monkeypatch, embedded):
    model = TinyModel(threads=1)
    encoded, embed = [], model.embed
    monkeypatch.setattr(
        model, "embed", lambda image, valid: encoded.append(image.shape) or embed(image, valid)
    )
    three = model.decode_with_care(embedded, some(3))
    assert encoded.count((*SHAPE, 3)) == 1
    assert encoded.count((113, 158, 3)) == 1
    model.decode_with_care(embedded, some(4), three.logits[0])
    assert encoded.count((*SHAPE, 3)) == 1
    assert encoded.count((113, 158, 3)) == 1


def test_an_outline_and_a_narrow_chip_are_seen_from_two_sides(model, embedded, monkeypatch):
    monkeypatch.setattr(TinyModel, "between", lambda *_: pytest.fail("looked at from between"))
    known = np.where(LAKE, 5, -5).astype(np.float32)
    drawn = replace(some(3), mask=LAKE)
    assert (model.decode_with_care(embedded, drawn, known).logits[0] > 0).any()
    narrow = model.embed(painted(LAKE)[20:140], EVERYWHERE[20:140])
    there = PixelPrompts(SAID.points[:3] - [0, 20], SAID.positive[:3])
    assert (model.decode_with_care(narrow, there, known[20:140]).logits[0] > 0).any()


def test_what_is_small_is_seen_from_the_other_side_too(model):
    truth = ditch(0, 5)
    embedding = model.embed(painted(truth), EVERYWHERE)
    inside = np.argwhere(truth)[:: len(np.argwhere(truth)) // 4][1:4]
    prompts = clicks(*((x + 0.5, y + 0.5, True) for y, x in inside))
    mask = model.decode_with_care(embedding, prompts).logits[0] > 0
    assert all(mask[y, x] for y, x in inside)
    assert (mask & truth).sum() > 0.7 * (mask | truth).sum()


def test_nothing_that_is_the_object_stays_nothing(model, embedded):
    nowhere = clicks((100.5, 75.5, False), (150.5, 80.5, False), (60.5, 70.5, False))
    assert not (model.decode_with_care(embedded, nowhere).logits[0] > 0).any()


@pytest.mark.skipif(first_folder() is None, reason="its weights are not here")
def test_the_first_generation_answers_as_it_did():
    first = first_generation()
    embedding = first.embed(painted(LAKE, noise=20.0), EVERYWHERE)
    wanted, found = (ask(embedding, SAID) for ask in (first.decode, first.decode_with_care))
    np.testing.assert_array_equal(found.logits, wanted.logits)


def test_the_page_takes_as_much_care():
    """The twin of the module in JavaScript has the same numbers."""
    page = (resources.files("geoiseg.web") / "page" / "engine" / "careful.js").read_text("utf-8")
    for name in ("AGAIN", "TURNED", "MEANT", "SURE", "LEAST"):
        (found,) = re.findall(rf"^(?:export )?const {name} = (.*);$", page, re.MULTILINE)
        assert float(found) == getattr(careful, name)


def lowered(logits, prompts, valid=EVERYWHERE):
    look = Look(Window(0, 0, *SHAPE), logits, 0.9)
    return Draft(look, ()).modest(prompts, valid).look.piece


def test_of_few_clicks_what_is_hardly_likelier_than_not_is_none_of_it():
    valid = EVERYWHERE.copy()
    valid[:, 180:] = False
    logits = np.full(SHAPE, -3, np.float32)
    logits[20:130, 20:190], logits[20:60, 100:110] = 4, 0.3
    for clicked, sure, doubtful in ((some(1), 3.65, -0.05), (some(2), 3.8, 0.1)):
        found = lowered(logits, clicked, valid)
        np.testing.assert_allclose(found[25, 25], sure, atol=1e-6)
        np.testing.assert_allclose(found[25, 105], doubtful, atol=1e-6)
        assert (found[:, 180:] <= -SURE).all()
        assert all(found[int(y), int(x)] > 0 for x, y in clicked.points)
    stroke = ((np.array([[30.0, 30.0], [60.0, 60.0]]), True),)
    for more in (
        some(3), PixelPrompts(box=(30.0, 35.0, 170.0, 115.0)), replace(some(2), mask=LAKE),
        replace(some(2), scribbles=stroke), clicks((150.5, 80.5, False), (60.5, 70.5, False)),
    ):  # fmt: skip
        assert lowered(logits, more, valid) is logits


@pytest.mark.parametrize("count", [1, 2])
def test_what_colours_add_to_an_outline_stays(model, count):
    """It has the least of all logits: lowered after that it would be gone again."""
    truth = np.hypot(ROWS - 75, COLUMNS - 105) < 52
    embedding = model.embed(painted(truth, noise=15.0), EVERYWHERE)
    narrow = np.hypot(ROWS - 75, COLUMNS - 105) < 50.5
    logits = np.where(narrow, 5, -5).astype(np.float32)
    draft = Draft(Look(Window(0, 0, *SHAPE), logits, 0.9), ())
    found = draft.modest(some(count), EVERYWHERE).finished(embedding, some(count))
    mask = found.look.piece > 0
    assert (mask & ~narrow & truth).sum() > 0.8 * (truth & ~narrow).sum()


def test_the_page_is_as_modest():
    page = (resources.files("geoiseg.web") / "page" / "engine" / "outputs.js").read_text("utf-8")
    (found,) = re.findall(r"^const MODEST = \[(.*)\];$", page, re.MULTILINE)
    assert tuple(float(one) for one in found.split(",")) == outputs.MODEST


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_turned_prompts_lie_on_the_turned_pixels(data):
    rows, columns = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 40))
    within = st.tuples(
        *(st.one_of(st.integers(0, side - 1).map(float), st.floats(0, side - 2e-3))
          for side in (columns, rows))
    )  # fmt: skip
    points = np.array(data.draw(st.lists(within, min_size=1, max_size=4)))
    mask = np.zeros((rows, columns), bool)
    mask[0, 0] = True
    said = PixelPrompts(
        points, np.ones(len(points), bool), scribbles=((points.copy(), False),), mask=mask
    )
    there = turned_prompts(said, (rows, columns))
    apart = np.abs(points - np.round(points))  # what is all but a whole number may fall either way
    clear = (apart == 0) | (apart > 1e-9)
    for moved in (there.points, there.scribbles[0][0]):
        assert (moved >= 0).all()
        np.testing.assert_allclose(moved, [columns, rows] - points, atol=2e-3)
        pixels = [columns - 1, rows - 1] - np.floor(points)
        np.testing.assert_array_equal(np.floor(moved)[clear], pixels[clear])
    assert there.mask[-1, -1]
    assert there.mask.sum() == 1
    back = turned_prompts(there, (rows, columns))
    np.testing.assert_allclose(back.points, points, atol=3e-3)
    values = np.arange(rows * columns).reshape(rows, columns)
    np.testing.assert_array_equal(turned(turned(values)), values)
