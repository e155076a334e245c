"""Engines without weights on drawn images whose objects are known."""

from __future__ import annotations

import importlib
import pickle

import numpy as np
import pytest

from geoiseg.errors import ModelError, PromptError
from geoiseg.evaluate.metrics import iou
from geoiseg.models.classic import ENGINES
from geoiseg.models.protocol import Embedding, Model
from geoiseg.prompting.pixel import PixelPrompts

SHAPE = (200, 240)
ROWS, COLUMNS = np.indices(SHAPE) + 0.5
DISK = np.hypot(ROWS - 90, COLUMNS - 110) < 45
EVERYWHERE = np.ones(SHAPE, bool)


def engine_of(name: str) -> Model:
    module, _, cls = ENGINES[name].partition(":")
    return getattr(importlib.import_module(module), cls)()


@pytest.fixture(params=sorted(ENGINES))
def engine(request):
    return engine_of(request.param)


def painted(mask, inside=(150, 170, 80), outside=(90, 110, 120), noise=8.0, seed=0):
    colours = np.where(mask[..., None], inside, outside)
    rng = np.random.default_rng(seed)
    return np.clip(colours + rng.normal(0, noise, (*mask.shape, 3)), 0, 255).astype(np.uint8)


def clicks(*placed):
    """Prompts of ``(x, y, positive)`` clicks."""
    points = np.array([place[:2] for place in placed], float).reshape(-1, 2)
    return PixelPrompts(points=points, positive=np.array([place[2] for place in placed], bool))


def mask_of(engine, image, prompts, valid=None, previous=None):
    valid = np.ones(image.shape[:2], bool) if valid is None else valid
    masks = engine.decode(engine.embed(image, valid), prompts, previous)
    assert masks.logits.dtype == np.float32
    assert masks.logits.shape[1:] == image.shape[:2]
    assert np.isfinite(masks.logits).all()
    assert ((masks.scores >= 0) & (masks.scores <= 1)).all()
    return masks.logits[0] > 0


def test_engines_are_models(engine):
    assert isinstance(engine, Model)
    assert engine.info.name in ENGINES
    assert engine.info.family == "classic"


def test_one_click_finds_a_disk(engine):
    assert iou(mask_of(engine, painted(DISK), clicks((110, 90, True))), DISK) > 0.85


def test_a_box_finds_a_disk(engine):
    prompts = PixelPrompts(box=(63, 43, 157, 137))
    assert iou(mask_of(engine, painted(DISK), prompts), DISK) > 0.9


def test_nothing_outside_a_box(engine):
    found = mask_of(engine, painted(DISK), PixelPrompts(box=(63, 43, 110, 90)))
    assert found.any()
    assert not found[90:].any()
    assert not found[:, 110:].any()


def test_scribbles_find_a_disk(engine):
    inside = np.array([[85.0, 90.0], [110.0, 80.0], [135.0, 95.0]])
    outside = np.array([[20.0, 20.0], [220.0, 20.0], [220.0, 180.0], [20.0, 180.0]])
    prompts = PixelPrompts(scribbles=((inside, True), (outside, False)))
    assert iou(mask_of(engine, painted(DISK), prompts), DISK) > 0.9


def test_a_gradient_does_not_hide_a_disk(engine):
    slope = (COLUMNS / SHAPE[1] * 60)[..., None]
    image = np.clip(painted(DISK, noise=5.0) + slope - 30, 0, 255).astype(np.uint8)
    found = mask_of(engine, image, clicks((110, 90, True), (20, 20, False), (220, 180, False)))
    assert iou(found, DISK) > 0.7


def test_a_negative_click_takes_the_next_stripe_away(engine):
    wide = (ROWS > 60) & (ROWS < 140)
    left = wide & (COLUMNS < 120)
    image = painted(wide)
    image[left] = painted(left, inside=(160, 160, 95), seed=3)[left]
    both = clicks((60, 100, True), (180, 100, False), (60, 20, False), (60, 180, False))
    found = mask_of(engine, image, both)
    assert iou(found, left) > 0.8
    assert not found[100, 180]


def test_prompted_pixels_are_obeyed_wherever_they_lie(engine):
    rng = np.random.default_rng(5)
    image = rng.integers(0, 255, (*SHAPE, 3), dtype=np.uint8)
    placed = [
        (x, y, bool(sign))
        for x, y, sign in zip(
            rng.integers(0, 240, 12) + 0.5, rng.integers(0, 200, 12) + 0.5, [1, 0] * 6, strict=True
        )
    ]
    placed += [(50.5, 50.5, True), (51.5, 50.5, False), (240.0, 200.0, True)]
    found = mask_of(engine, image, clicks(*placed))
    for x, y, positive in placed:
        assert found[min(int(y), 199), min(int(x), 239)] == positive


def test_an_outline_is_refined_to_the_edge(engine):
    rough = np.hypot(ROWS - 93, COLUMNS - 106) < 44
    found = mask_of(engine, painted(DISK), PixelPrompts(mask=rough))
    assert iou(found, DISK) > iou(rough, DISK)
    assert iou(found, DISK) > 0.93


def test_a_negative_click_alone_corrects_an_outline(engine):
    other = np.hypot(ROWS - 150, COLUMNS - 200) < 25
    image = painted(DISK | other)
    image[other] = painted(other, inside=(60, 60, 160), seed=2)[other]
    prompts = PixelPrompts(
        points=np.array([[200.5, 150.5]]), positive=np.array([False]), mask=DISK | other
    )
    found = mask_of(engine, image, prompts)
    assert not found[150, 200]
    if engine.info.name != "grabcut":  # a click is too few pixels to change its colours
        assert iou(found, DISK) > 0.85


def test_a_positive_click_extends_an_outline(engine):
    other = np.hypot(ROWS - 150, COLUMNS - 200) < 25
    image = painted(DISK | other)
    prompts = PixelPrompts(points=np.array([[200.5, 150.5]]), positive=np.array([True]), mask=DISK)
    found = mask_of(engine, image, prompts)
    assert found[150, 200]
    assert iou(found & DISK, DISK) > 0.85


def test_the_last_mask_is_refined_where_nothing_else_says_where(engine):
    logits = np.where(DISK, 4.0, -4.0).astype(np.float32)
    found = mask_of(engine, painted(DISK), clicks((20, 20, False)), previous=logits)
    assert iou(found, DISK) > 0.9


def test_negative_clicks_alone_say_nothing(engine):
    image = painted(DISK)
    masks = engine.decode(engine.embed(image, EVERYWHERE), clicks((20, 20, False)))
    assert (masks.logits < 0).all()
    assert masks.scores[0] == 0


def test_invalid_pixels_are_never_part(engine):
    valid = EVERYWHERE.copy()
    valid[80:100, 100:120] = False
    valid[:, :80] = False
    image = painted(DISK)
    for prompts in (
        clicks((140, 90, True), (110, 90, True)),
        PixelPrompts(box=(63, 43, 157, 137)),
        PixelPrompts(mask=DISK),
    ):
        found = mask_of(engine, image, prompts, valid)
        assert found.any()
        assert not found[~valid].any()


def test_answers_repeat(engine):
    image = painted(DISK)
    embedding = engine.embed(image, EVERYWHERE)
    prompts = clicks((110, 90, True), (20, 20, False))
    first = engine.decode(embedding, prompts)
    engine.decode(embedding, clicks((10, 10, True)))
    again = engine.decode(engine.embed(image, EVERYWHERE), prompts)
    assert np.array_equal(first.logits, again.logits)


def test_an_embedding_survives_pickling_and_its_image(engine):
    image = painted(DISK)
    embedding = engine.embed(image, EVERYWHERE)
    before = engine.decode(embedding, clicks((110, 90, True))).logits
    image[:] = 0
    assert all(isinstance(array, np.ndarray) for array in embedding.arrays.values())
    copy = Embedding(
        embedding.model, embedding.shape, pickle.loads(pickle.dumps(dict(embedding.arrays)))
    )
    assert np.array_equal(engine.decode(copy, clicks((110, 90, True))).logits, before)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (3, 5), (9, 2), (33, 20)])
@pytest.mark.parametrize("kind", ["flat", "noise"])
def test_small_chips(engine, shape, kind):
    rng = np.random.default_rng(1)
    image = np.full((*shape, 3), 90, np.uint8)
    if kind == "noise":
        image = rng.integers(0, 255, (*shape, 3), dtype=np.uint8)
    whole = np.ones(shape, bool)
    for valid in (whole, ~whole, rng.random(shape) > 0.4):
        found = mask_of(engine, image, clicks((0.5, 0.5, True)), valid)
        assert found[0, 0] == valid[0, 0]
        assert not found[~valid].any()
        last = clicks((0.5, 0.5, True), (shape[1] - 0.5, shape[0] - 0.5, False))
        found = mask_of(engine, image, last, valid)
        assert not found[-1, -1]
        for prompts in (PixelPrompts(box=(0, 0, *shape[::-1])), PixelPrompts(mask=whole)):
            found = mask_of(engine, image, prompts, valid)
            assert not found[~valid].any()


def test_a_flat_chip_is_answered(engine):
    image = np.full((*SHAPE, 3), 127, np.uint8)
    found = mask_of(engine, image, clicks((110, 90, True), (20, 20, False)))
    assert found[90, 110]
    assert not found[20, 20]


@pytest.mark.parametrize(
    ("prompts", "match"),
    [
        (PixelPrompts(), "no prompt"),
        (clicks((-1, 5, True)), "outside the chip"),
        (clicks((5, 200.5, False)), "outside the chip"),
        (clicks((np.nan, 5, True)), "outside the chip"),
        (PixelPrompts(box=(240, 0, 300, 10)), "outside the chip"),
        (PixelPrompts(scribbles=((np.array([[-5.0, -5.0], [-1.0, -9.0]]), True),)), "no vertex"),
        (PixelPrompts(scribbles=((np.array([[np.inf, 5.0]]), True),)), "not finite"),
        (PixelPrompts(scribbles=((np.zeros((0, 2)), True),)), "vertices"),
        (PixelPrompts(mask=np.ones((3, 3), bool)), "chip's shape"),
    ],
)
def test_wrong_prompts_are_refused(engine, prompts, match):
    embedding = engine.embed(painted(DISK), EVERYWHERE)
    with pytest.raises(PromptError, match=match):
        engine.decode(embedding, prompts)


def test_logits_of_another_shape_are_refused(engine):
    embedding = engine.embed(painted(DISK), EVERYWHERE)
    with pytest.raises(PromptError, match="previous logits"):
        engine.decode(embedding, clicks((1, 1, True)), np.zeros((2, 2), np.float32))


def test_wrong_chips_are_refused(engine):
    with pytest.raises(PromptError, match="uint8"):
        engine.embed(np.zeros((4, 4, 3), np.float32), np.ones((4, 4), bool))
    with pytest.raises(PromptError, match="valid"):
        engine.embed(np.zeros((4, 4, 3), np.uint8), np.ones((5, 4), bool))


def test_an_embedding_of_another_engine_is_refused(engine):
    with pytest.raises(ModelError, match="embed the chip again"):
        engine.decode(Embedding("other@1", SHAPE, {}), clicks((1, 1, True)))


def test_engines_load_nothing_before_they_are_asked_for():
    import subprocess
    import sys

    code = "import sys, geoiseg.models.classic; print([m for m in ('cv2','skimage','scipy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
