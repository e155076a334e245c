"""Engines looked through mirrors and at other scales."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from geoiseg.cli import main
from geoiseg.errors import ModelError, UnknownModelError
from geoiseg.models import Augmented, Embedding, Masks, Model, ModelInfo, get_model
from geoiseg.models.augmented import KINDS, View
from geoiseg.prompting.pixel import PixelPrompts
from geoiseg.segment.uncertainty import LookOptions, jittered
from tests.evaluate.test_evaluate_outside import berkeley
from tests.models.test_classic_engines import DISK, EVERYWHERE, clicks, mask_of, painted

SHAPE = (60, 80)


class Slope:
    """Says of each pixel how red it is, less something that knows left from right."""

    def __init__(self, lean: float = 0.0) -> None:
        self.lean = lean
        self.asked: list[PixelPrompts] = []

    info = ModelInfo("slope", "test", "Apache-2.0", "red", weights_hash="1")

    def embed(self, image: np.ndarray, valid: np.ndarray) -> Embedding:
        return Embedding(
            "slope@1", valid.shape, {"red": image[..., 0].copy(), "valid": valid.copy()}
        )

    def decode(
        self, embedding: Embedding, prompts: PixelPrompts, previous: np.ndarray | None = None
    ) -> Masks:
        embedding.check_made_by("slope@1")
        self.asked.append(prompts)
        red = embedding.arrays["red"].astype(np.float32) / 32 - 4
        red += self.lean * np.linspace(-1, 1, red.shape[1], dtype=np.float32)
        return Masks(red[None], np.array([0.5], np.float32))


def chip(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (*SHAPE, 3), dtype=np.uint8)


ALL = PixelPrompts(
    points=np.array([[10.0, 20.0], [70.0, 5.0]]),
    positive=np.array([True, False]),
    box=(5.0, 2.0, 60.0, 50.0),
    scribbles=((np.array([[3.0, 4.0], [30.0, 40.0]]), True),),
    mask=np.arange(60 * 80).reshape(60, 80) % 7 == 0,
)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_prompts_keep_to_their_pixels(kind: str) -> None:
    engine = Slope()
    model = Augmented(engine, kind)
    image = chip()
    model.decode(model.embed(image, np.ones(SHAPE, bool)), ALL)
    for view, said in zip(KINDS[kind], engine.asked, strict=True):
        seen = view.of(image, SHAPE)
        factor = np.array(seen.shape[1::-1]) / np.array(SHAPE[::-1])
        for before, after in zip(ALL.points, said.points, strict=True):
            placed = before * factor
            placed[0] = seen.shape[1] - placed[0] if view.across else placed[0]
            placed[1] = seen.shape[0] - placed[1] if view.down else placed[1]
            assert np.allclose(after, placed)
        assert said.box is not None
        assert said.box[2] - said.box[0] == pytest.approx(55 * factor[0])
        assert said.box[0] < said.box[2]
        assert said.mask is not None
        assert said.mask.shape == seen.shape[:2]
        assert len(said.scribbles) == 1
        assert np.array_equal(said.positive, ALL.positive)


@pytest.mark.parametrize("view", KINDS["flip"])
def test_mirrors_come_back_exactly(view: View) -> None:
    plane = np.random.default_rng(1).normal(size=SHAPE).astype(np.float32)
    assert np.array_equal(view.back(np.asarray(view.of(plane, SHAPE)), SHAPE), plane)


def test_an_engine_without_a_side_is_as_it_was() -> None:
    engine = Slope()
    model, image, valid = Augmented(engine, "flip"), chip(), np.ones(SHAPE, bool)
    alone = engine.decode(engine.embed(image, valid), clicks((10, 20, True)))
    embedding = model.embed(image, valid)
    both = model.decode(embedding, clicks((10, 20, True)))
    assert np.allclose(both.logits, alone.logits, atol=1e-4)
    assert both.scores == pytest.approx(alone.scores)
    assert model.variance(embedding, clicks((10, 20, True))).max() < 1e-10


def test_what_leans_to_a_side_is_set_upright_and_doubted() -> None:
    model, image, valid = Augmented(Slope(lean=3.0), "flip"), chip(), np.ones(SHAPE, bool)
    prompts = clicks((10, 20, True))
    there = model.decode(model.embed(image, valid), prompts).logits[0]
    mirrored = clicks((70, 20, True))
    back = model.decode(model.embed(image[:, ::-1], valid), mirrored).logits[0]
    assert np.allclose(there, back[:, ::-1], atol=1e-3)
    spread = model.variance(model.embed(image, valid), prompts)
    assert spread.shape == SHAPE
    assert spread[:, 0].mean() > 10 * spread[:, 39:41].mean()
    assert spread.max() <= 0.25
    # The variance is part of what the session calls uncertainty.
    mean = jittered(model, model.embed(image, valid), prompts, None, LookOptions())
    assert (mean * (1 - mean) >= spread - 1e-5).all()


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_it_is_a_model_and_finds_a_disk(kind: str) -> None:
    model = get_model(f"region-growing+{kind}")
    assert isinstance(model, Model)
    assert model.info.name == f"region-growing+{kind}"
    assert model.info.weights_hash == f"1+{kind}"
    found = mask_of(model, painted(DISK), clicks((110, 90, True)))
    assert (found & DISK).sum() / (found | DISK).sum() > 0.9
    valid = EVERYWHERE.copy()
    valid[:, :100] = False
    assert not mask_of(model, painted(DISK), clicks((120, 90, True)), valid)[:, :99].any()


def test_embeddings_travel_and_belong_to_one_kind() -> None:
    flips, scales = get_model("region-growing+flip"), get_model("region-growing+scale")
    embedding = flips.embed(painted(DISK), EVERYWHERE)
    again = pickle.loads(pickle.dumps(embedding))
    one, two = (flips.decode(e, clicks((110, 90, True))).logits for e in (embedding, again))
    assert np.array_equal(one, two)
    with pytest.raises(ModelError, match="embed the chip again"):
        scales.decode(embedding, clicks((110, 90, True)))


def test_wrong_kinds_and_names() -> None:
    with pytest.raises(ModelError, match="augment is one of flip, scale"):
        Augmented(Slope(), "turn")
    with pytest.raises(UnknownModelError, match="no model 'nothing'"):
        get_model("nothing+flip")


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    berkeley(tmp_path)
    main(["evaluate", str(tmp_path), "--dataset", "berkeley", "--augment", "flip", "--clicks", "2",
          "-m", "region-growing", "--json"])  # fmt: skip
    assert json.loads(capsys.readouterr().out)["model"] == "region-growing+flip"
