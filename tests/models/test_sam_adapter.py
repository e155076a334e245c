"""The adapter against segment-anything's own predictor: same pixels, same prompts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.conftest import needed

torch = needed("torch")

from geoiseg.errors import ModelError, PromptError
from geoiseg.models.protocol import BatchModel, Model
from geoiseg.models.sam import load_sam
from geoiseg.models.sam.frames import FILL, Frame
from geoiseg.models.sam.tokens import OUTLINE_LOGIT
from geoiseg.prompting.pixel import PixelPrompts
from tests.sam_reference import (
    EXACT,
    iou,
    picture,
    reference,
    relative_error,
    saved,
)

SHAPES = [(256, 256), (100, 180), (300, 700), (500, 333), (256, 131), (40, 40)]
BACKENDS = ["torch", "segment-anything"]


@pytest.fixture(scope="module")
def theirs():
    return reference()


@pytest.fixture(scope="module")
def checkpoint(theirs, tmp_path_factory):
    return saved(theirs, tmp_path_factory.mktemp("sam"))


@pytest.fixture(scope="module", params=BACKENDS)
def model(request, checkpoint):
    return load_sam(checkpoint, None, "small", replace(EXACT, backend=request.param))


@pytest.fixture(scope="module")
def fast(checkpoint):
    return load_sam(checkpoint, None, "small", EXACT)


class Oracle:
    """segment-anything's predictor, asked in our frame."""

    def __init__(self, network, image: np.ndarray) -> None:
        from segment_anything import SamPredictor

        self.predictor = SamPredictor(network)
        self.predictor.set_image(image)
        rows, columns = self.predictor.input_size
        self.scale = np.array([columns / image.shape[1], rows / image.shape[0]])

    def ask(self, points=None, labels=None, box=None, **rest):
        """Return logits on the chip and scores; coordinates are ours.

        The predictor scales what it is given and adds half a pixel of its image.
        """
        shift = 0.5 / self.scale
        logits, scores, _ = self.predictor.predict(
            point_coords=None if points is None else np.asarray(points) - shift,
            point_labels=labels,
            box=None if box is None else np.asarray(box) - np.tile(shift, 2),
            return_logits=True,
            **rest,
        )
        return logits, scores


def clicks(points, positive, **rest) -> PixelPrompts:
    return PixelPrompts(np.array(points, float), np.array(positive, bool), **rest)


def whole(shape) -> np.ndarray:
    return np.ones(shape, bool)


def assert_same(masks, logits, scores) -> None:
    assert masks.logits.shape == logits.shape
    assert relative_error(masks.logits, logits) < 1e-4
    for ours, wanted in zip(masks.logits, logits, strict=True):
        assert iou(ours > 0, wanted > 0) > 0.995
    assert np.allclose(masks.scores, np.clip(scores, 0, 1), atol=1e-4)


@pytest.mark.parametrize("shape", SHAPES)
def test_masks_are_the_predictors(model, theirs, shape):
    image = picture(shape)
    oracle = Oracle(theirs, image)
    embedding = model.embed(image, whole(shape))
    features = oracle.predictor.features[0].numpy()
    assert relative_error(embedding.arrays["features"], features) < 1e-4
    x, y = shape[1] * 0.4, shape[0] * 0.6
    box = (shape[1] * 0.2, shape[0] * 0.1, shape[1] * 0.7, shape[0] * 0.9)

    one = oracle.ask([[x, y]], [1], multimask_output=True)
    best = np.argsort(-one[1])
    assert_same(model.decode(embedding, clicks([[x, y]], [True])), one[0][best], one[1][best])

    two = [[x, y], [x / 2, y / 2]]
    wanted = oracle.ask(two, [1, 0], multimask_output=False)
    assert_same(model.decode(embedding, clicks(two, [True, False])), *wanted)

    wanted = oracle.ask(box=box, multimask_output=False)
    assert_same(model.decode(embedding, PixelPrompts(box=box)), *wanted)

    wanted = oracle.ask(two, [1, 0], box=box, multimask_output=False)
    assert_same(model.decode(embedding, clicks(two, [True, False], box=box)), *wanted)

    last = model.decode(embedding, PixelPrompts(box=box)).logits[0]
    low = Frame(shape, 256).mask_input(last, outside=-OUTLINE_LOGIT)
    wanted = oracle.ask(two, [1, 0], mask_input=low[None], multimask_output=False)
    assert_same(model.decode(embedding, clicks(two, [True, False]), last), *wanted)


def test_an_outline_is_refined_with_the_box_around_it(fast, theirs):
    shape = (200, 256)
    image, mask = picture(shape), np.zeros(shape, bool)
    mask[30:120, 50:200] = True
    embedding = fast.embed(image, whole(shape))
    low = Frame(shape, 256).mask_input(np.where(mask, 8.0, -8.0), outside=-8, sharp=True)
    oracle = Oracle(theirs, image)
    wanted = oracle.ask(box=(50, 30, 200, 120), mask_input=low[None], multimask_output=False)
    assert_same(fast.decode(embedding, PixelPrompts(mask=mask)), *wanted)
    point = clicks([[100.0, 60.0]], [True], mask=mask)
    wanted = oracle.ask([[100, 60]], [1], mask_input=low[None], multimask_output=False)
    assert_same(fast.decode(embedding, point), *wanted)
    with pytest.raises(PromptError, match="no pixel"):
        fast.decode(embedding, PixelPrompts(mask=np.zeros(shape, bool)))
    with pytest.raises(PromptError, match="mask to refine"):
        fast.decode(embedding, PixelPrompts(mask=np.ones((3, 3), bool)))


def test_pixels_without_data_look_like_the_mean(fast, theirs):
    shape = (180, 256)
    image, valid = picture(shape), whole(shape)
    valid[:, 150:] = False
    filled = np.where(valid[..., None], image, np.array(FILL, np.uint8))
    oracle = Oracle(theirs, filled)
    embedding = fast.embed(image, valid)
    assert relative_error(embedding.arrays["features"], oracle.predictor.features[0]) < 1e-4
    noise = image.copy()
    noise[:, 150:] = 255 - noise[:, 150:]
    again = fast.embed(noise, valid)
    assert np.array_equal(again.arrays["features"], embedding.arrays["features"])


def test_scribbles_become_points_along_them(fast, theirs):
    shape = (256, 256)
    image = picture(shape)
    embedding = fast.embed(image, whole(shape))
    stroke = np.array([[20.0, 40.0], [116.0, 40.0]])
    given = PixelPrompts(scribbles=((stroke, True),))
    wanted = Oracle(theirs, image).ask([[44, 40], [92, 40]], [1, 1], multimask_output=False)
    assert_same(fast.decode(embedding, given), *wanted)
    dot = PixelPrompts(scribbles=((np.array([[30.0, 40.0]]), True),))
    wanted = Oracle(theirs, image).ask([[30, 40]], [1], multimask_output=True)
    best = np.argsort(-wanted[1])
    assert_same(fast.decode(embedding, dot), wanted[0][best], wanted[1][best])


@pytest.mark.parametrize("shape", [(256, 256), (300, 700), (90, 60)])
def test_many_objects_at_once_are_each_on_its_own(model, shape):
    embedding = model.embed(picture(shape), whole(shape))
    random = np.random.default_rng(5)
    spots = random.uniform(0, shape[::-1], (12, 2))
    prompts: list[PixelPrompts] = [clicks([spot], [True]) for spot in spots]
    prompts[3] = PixelPrompts(box=(3, 4, shape[1] / 2, shape[0] / 2))
    prompts[5] = clicks(spots[:2], [True, False], box=(1, 2, 30, 40))
    prompts[7] = clicks(spots[:3], [True, False, True])
    prompts[9] = PixelPrompts(mask=np.eye(*shape, dtype=bool))
    found = model.decode_batch(embedding, prompts)
    frame = Frame(shape, 256)
    assert found.scale == pytest.approx(max(shape) / 64)
    assert found.logits.shape[1:] == frame.low
    assert found.logits.shape[1] * found.scale >= shape[0]
    assert found.prompts.tolist() == sorted(found.prompts.tolist())
    for number, prompt in enumerate(prompts):
        alone = model.decode(embedding, prompt)
        own = found.prompts == number
        assert own.sum() == len(alone.scores)
        assert np.allclose(found.scores[own], alone.scores, atol=1e-4)
        uncropped = np.zeros((own.sum(), 64, 64), np.float32)
        uncropped[:, : frame.low[0], : frame.low[1]] = found.logits[own]
        for ours, wanted in zip(frame.to_chip(uncropped), alone.logits, strict=True):
            inner = np.s_[: int(shape[0] - 2 * found.scale), : int(shape[1] - 2 * found.scale)]
            assert relative_error(ours[inner], wanted[inner]) < 1e-4


def test_nothing_asked_nothing_answered(fast):
    embedding = fast.embed(picture((64, 50)), whole((64, 50)))
    none = fast.decode_batch(embedding, [])
    assert none.logits.shape == (0, 64, 50)
    with pytest.raises(PromptError, match="there is no prompt"):
        fast.decode(embedding, PixelPrompts())
    with pytest.raises(PromptError, match="there is no prompt"):
        fast.decode_batch(embedding, [PixelPrompts()])


def test_embeddings_travel_in_float16(fast):
    shape = (256, 200)
    embedding = fast.embed(picture(shape), whole(shape))
    assert embedding.arrays["features"].dtype == np.float32
    small = {name: array.astype(np.float16) for name, array in embedding.arrays.items()}
    prompts = clicks([[100.0, 90.0], [20.0, 30.0]], [True, False])
    exact = fast.decode(embedding, prompts).logits[0]
    rounded = fast.decode(replace(embedding, arrays=small), prompts).logits[0]
    assert iou(exact > 0, rounded > 0) > 0.99


def test_chips_embedded_together_are_embedded_alike(fast):
    chips = [(picture(shape, seed), whole(shape)) for seed, shape in enumerate(SHAPES)]
    for (image, valid), together in zip(chips, fast.embed_many(chips), strict=True):
        alone = fast.embed(image, valid)
        assert together.shape == valid.shape
        assert np.allclose(together.arrays["features"], alone.arrays["features"], atol=1e-4)


def test_it_is_a_model_that_says_what_it_is(model, checkpoint):
    from geoiseg.models.weights.store import file_hash

    assert isinstance(model, Model)
    assert isinstance(model, BatchModel)
    assert model.info.weights_hash == file_hash(checkpoint)
    assert (model.info.name, model.info.family, model.info.chip_size) == ("small", "sam", 256)
    assert "cpu in fp32" in model.info.description
    assert model.info.parameters > 4_000_000


def test_another_models_embedding_is_refused(fast):
    embedding = fast.embed(picture((32, 32)), whole((32, 32)))
    with pytest.raises(ModelError, match="embed the chip again"):
        fast.decode(replace(embedding, model="other:1"), clicks([[1.0, 1.0]], [True]))
    with pytest.raises(ModelError, match="uint8"):
        fast.embed(np.zeros((4, 4, 3)), whole((4, 4)))


@pytest.mark.usefixtures("bf16")
def test_bfloat16_masks_are_near_and_marked(checkpoint, fast):
    half = load_sam(checkpoint, None, "small", replace(EXACT, precision="bf16"))
    assert half.info.weights_hash == fast.info.weights_hash + "+bf16"
    image = picture((256, 256))
    exact, near = (m.embed(image, whole((256, 256))) for m in (fast, half))
    assert relative_error(near.arrays["features"], exact.arrays["features"]) < 2e-2
    with pytest.raises(ModelError, match="embed the chip again"):
        fast.decode(near, clicks([[1.0, 1.0]], [True]))
