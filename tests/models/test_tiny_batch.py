"""Many prompts on one chip of the small network: as one by one, but on pieces of the chip."""

from __future__ import annotations

import numpy as np
import pytest

from geoiseg.errors import ModelError, PromptError
from geoiseg.evaluate.metrics import iou
from geoiseg.models.protocol import BatchModel, Embedding
from geoiseg.models.tiny.model import TinyModel
from geoiseg.prompting.pixel import PixelPrompts

SHAPE = (611, 705)
ROWS, COLUMNS = np.indices(SHAPE) + 0.5
CENTRES = ((90, 120), (300, 420), (500, 110), (560, 650))
DISKS = [np.hypot(ROWS - row, COLUMNS - col) < 38 for row, col in CENTRES]


@pytest.fixture(scope="module")
def model():
    return TinyModel(threads=1)


@pytest.fixture(scope="module")
def embedded(model):
    mask = np.any(DISKS, axis=0)
    colours = np.where(mask[..., None], (150, 170, 80), (90, 110, 120))
    noise = np.random.default_rng(0).normal(0, 6, (*SHAPE, 3))
    image = np.clip(colours + noise, 0, 255).astype(np.uint8)
    return model.embed(image, np.ones(SHAPE, bool))


def click(row, col):
    return PixelPrompts(np.array([[col, row]], float), np.ones(1, bool))


def enlarged(logits):
    return np.kron(logits > 0, np.ones((2, 2), bool))[: SHAPE[0], : SHAPE[1]]


def test_many_clicks_find_what_each_alone_would(model, embedded):
    assert isinstance(model, BatchModel)
    found = model.decode_batch(embedded, [click(*centre) for centre in CENTRES])
    assert found.logits.shape == (4, 306, 353)
    assert found.scale == 2
    assert found.prompts.tolist() == [0, 1, 2, 3]
    assert ((found.scores >= 0) & (found.scores <= 1)).all()
    for number, disk in enumerate(DISKS):
        mask = enlarged(found.logits[number])
        assert iou(mask, disk) > 0.8
        alone = model.decode(embedded, click(*CENTRES[number])).logits[0] > 0
        assert iou(mask, alone) > 0.85


def test_boxes_and_strokes_are_moved_with_their_piece(model, embedded):
    row, col = CENTRES[3]
    box = PixelPrompts(box=(col - 42, row - 42, col + 42, row + 42))
    stroke = np.array([[col - 20, row], [col + 20, row]], float)
    scribble = PixelPrompts(scribbles=((stroke, True),))
    region = PixelPrompts(mask=DISKS[1])
    found = model.decode_batch(embedded, [box, scribble, region])
    for number, disk in enumerate((DISKS[3], DISKS[3], DISKS[1])):
        assert iou(enlarged(found.logits[number]), disk) > 0.7


def test_a_mask_that_runs_out_of_its_piece_is_looked_at_on_a_larger_one(model):
    band = (ROWS > 280) & (ROWS < 330)
    colours = np.where(band[..., None], (40, 60, 160), (150, 140, 90)).astype(np.uint8)
    embedding = model.embed(colours, np.ones(SHAPE, bool))
    found = model.decode_batch(embedding, [click(305, 350)])
    mask = enlarged(found.logits[0])
    assert mask[305].sum() > 300  # wider than the first piece


def test_what_can_not_be_answered_is_refused(model, embedded):
    with pytest.raises(PromptError, match="no prompt"):
        model.decode_batch(embedded, [PixelPrompts()])
    foreign = Embedding("another:1", embedded.shape, embedded.arrays)
    with pytest.raises(ModelError, match="another:1"):
        model.decode_batch(foreign, [click(5, 5)])
    assert model.decode_batch(embedded, []).logits.shape == (0, 306, 353)


@pytest.mark.parametrize(
    "bad",
    [
        PixelPrompts(box=(0, 0, np.inf, 10)),
        PixelPrompts(points=np.array([[np.inf, 3.0]]), positive=np.array([True])),
        PixelPrompts(points=np.array([[np.nan, 3.0]]), positive=np.array([True])),
        PixelPrompts(scribbles=((np.array([3.0, 4.0]), True),)),
        PixelPrompts(scribbles=((np.array([[3.0, np.inf]]), True),)),
        PixelPrompts(mask=np.ones((700, 800), bool)),
        PixelPrompts(points=np.array([[-50.0, 250.0]]), positive=np.array([True])),
    ],
)
def test_prompts_together_are_refused_as_one_alone_is(model, embedded, bad):
    with pytest.raises(PromptError) as alone:
        model.decode(embedded, bad)
    with pytest.raises(PromptError) as together:
        model.decode_batch(embedded, [bad])
    assert str(together.value) == str(alone.value)


def test_an_outline_of_nothing_finds_nothing(model, embedded):
    nothing = PixelPrompts(mask=np.zeros(SHAPE, bool))
    assert not (model.decode(embedded, nothing).logits > 0).any()
    found = model.decode_batch(embedded, [nothing])
    assert not (found.logits > 0).any()
    assert found.scores.tolist() == [0]
