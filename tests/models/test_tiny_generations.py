"""Generations of the small network that ship side by side, and the readings of a vague click."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest

import geoiseg
from geoiseg.cli import doctor
from geoiseg.companion.spoken.desk import Desk
from geoiseg.errors import WeightsError
from geoiseg.home import home
from geoiseg.models import listing, registry
from geoiseg.models.protocol import Masks
from geoiseg.models.registry import name_then
from geoiseg.models.tiny import FILES, earlier, hash_of_card
from geoiseg.models.tiny.look import LESS, SAME, Look
from geoiseg.models.tiny.model import TinyModel, first_generation
from geoiseg.prompting import PixelPrompts
from geoiseg.raster import Window
from geoiseg.session import load_project, resumed
from tests.cli.test_cli import run

FOLDER = Path(earlier.__file__).parent


@pytest.fixture
def without_first(monkeypatch, tmp_path):
    """The package as a wheel brings it: of the first generation it has the card alone."""
    card = tmp_path / "package"
    card.mkdir()
    shutil.copy(earlier.CARD_FOLDER / "card.json", card)
    for module in (earlier, listing):
        monkeypatch.setattr(module, "CARD_FOLDER", card)
    monkeypatch.setattr(registry, "_loaded", {})


def disk(radius, side=96):
    y, x = np.mgrid[:side, :side] + 0.5
    return np.where(np.hypot(x - side / 2, y - side / 2) < radius, 4.0, -4.0).astype(np.float32)


def test_other_readings_follow_the_answer_where_they_differ():
    whole, valid = Window(0, 0, 96, 96), np.ones((96, 96), bool)
    answer = Look(whole, disk(20), 0.8)
    others = tuple(
        Look(whole, disk(radius), score) for radius, score in ((20.5, 0.9), (40, 0.7), (8, 0.95))
    )
    masks = answer.with_others(others, valid)
    areas = (masks.logits > 0).sum((1, 2)).tolist()
    assert areas == [int((disk(r) > 0).sum()) for r in (20, 8, 40)]
    np.testing.assert_allclose(masks.scores, [0.8, 0.8 - LESS, 0.7])
    assert (20 / 20.5) ** 2 > SAME > (20 / 40) ** 2


def test_an_empty_reading_is_none():
    whole, valid = Window(0, 0, 96, 96), np.ones((96, 96), bool)
    masks = Look(whole, disk(20), 0.8).with_others((Look(whole, disk(-1), 0.7),), valid)
    assert len(masks.logits) == 1


def test_both_generations_answer_a_click_and_know_their_own_embeddings():
    now, then = geoiseg.get_model("tiny"), geoiseg.get_model("tiny-1")
    assert (now.info.name, then.info.name) == ("tiny", "tiny-1")
    image = np.full((96, 128, 3), 60, np.uint8)
    image[20:60, 30:80] = (200, 180, 90)
    said = PixelPrompts(np.array([[55.0, 40.0]]), np.array([True]))
    valid, truth = np.ones((96, 128), bool), np.zeros((96, 128), bool)
    truth[20:60, 30:80] = True
    for model in (now, then):
        masks = model.decode(model.embed(image, valid), said)
        assert isinstance(masks, Masks)
        assert masks.scores.argmax() == 0
        found = masks.logits[0] > 0
        assert (found & truth).sum() > 0.8 * (found | truth).sum()


def test_weights_of_old_have_their_name_now():
    now, then = TinyModel(), first_generation()
    assert now.info.weights_hash != then.info.weights_hash
    assert name_then("tiny", then.info.weights_hash) == "tiny-1"
    assert name_then("tiny", now.info.weights_hash) == "tiny"
    assert name_then("tiny", "") == "tiny"
    assert name_then("tiny", "f" * 64) == "tiny"
    assert name_then("grabcut", "2") == "grabcut"


def test_a_project_of_the_first_generation_goes_on_with_it_and_says_so(disk, tmp_path):
    path = tmp_path / "old.gpkg"
    session = geoiseg.Session(disk.path, "tiny-1")
    session.add_point(*disk.centre)
    before = session.geometry
    session.save(path)
    with contextlib.closing(sqlite3.connect(path)) as database:  # as it was called then
        database.execute("UPDATE geoiseg SET value = ? WHERE key = 'model'", ('"tiny"',))
        database.commit()
    again = geoiseg.Session.load(path)
    assert again.model.info.name == "tiny-1"
    assert again.geometry.equals(before)
    with contextlib.closing(geoiseg.SegmentMap(disk.path, project=path)) as shown:
        assert shown.model == "tiny-1"
        assert "with tiny-1, the weights that it was made with" in shown.toolbar.status["note"]


def test_without_its_weights_nothing_accepted_is_lost_and_one_line_says_how_they_are_had(
    disk, tmp_path, capsys, request
):
    path = tmp_path / "old.gpkg"
    session = geoiseg.Session(disk.path, "tiny-1", project=path)
    session.add_point(*disk.centre)
    session.accept("pond")
    session.add_point(*disk.centre)
    accepted, going_on = session.accepted[0].geometry, session.geometry
    session.save()
    shutil.copy(path, tmp_path / "whole.gpkg")
    request.getfixturevalue("without_first")
    place = home() / "weights" / "tiny-1"
    line = f"copy the folder {earlier.SOURCE} of geoiseg's repository or source distribution to {place},"
    for ask in (lambda: geoiseg.get_model("tiny-1"), lambda: geoiseg.Session.load(path)):
        with pytest.raises(WeightsError) as caught:
            ask()
        assert line in str(caught.value)
        assert "\n" not in str(caught.value)
    assert "tiny-1" not in geoiseg.model_names()
    code, _, err = run(capsys, "models", "pull", "tiny-1")
    assert (code, line in err) == (1, True)
    assert "needs a folder of geoiseg's source" in run(capsys, "models")[1]
    assert "tiny-1, for old projects, is not here" in doctor._weights().text
    said = "with tiny instead of its own model: the weights of tiny-1 are not here"
    code, text, err = run(capsys, "review", path)
    assert (code, "pond" in text, said in err) == (0, True, True)
    told = Desk().open_raster(str(disk.path), str(path))
    assert (told["model"], told["objects"], said in told["note"]) == ("tiny", 1, True)
    with contextlib.closing(geoiseg.SegmentMap(disk.path, project=path)) as shown:
        assert shown.model == "tiny"
        assert shown.session.accepted[0].geometry.equals(accepted)
        assert said in shown.toolbar.status["note"]
    going, _ = resumed(path, replay=False)
    going.relabel(1, "lake")
    assert (load_project(path).features[0].label, load_project(path).model) == ("lake", "tiny-1")
    shutil.copytree(FOLDER / "first", place)
    again = geoiseg.Session.load(tmp_path / "whole.gpkg")
    assert again.model.info.name == "tiny-1"
    assert again.geometry.equals(going_on)
    (place / "decoder.onnx").write_bytes(b"no graph")
    registry._loaded.clear()
    with pytest.raises(WeightsError, match="copy the folder anew"):
        geoiseg.get_model("tiny-1")


def test_a_model_that_was_trained_again_under_its_name_is_loaded_again():
    folder = home() / "own" / "roofs"
    for source in (FOLDER, FOLDER / "first"):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        card = json.loads((source / "card.json").read_text())
        hashes = {name: card["sha256"][name] for name in FILES}
        for name in FILES:
            shutil.copy(source / name, folder)
        (folder / "card.json").write_text(
            json.dumps({**card, "family": "tiny-own", "sha256": hashes})
        )
        for name in ("roofs", str(folder)):
            model = geoiseg.get_model(name)
            assert model.info.weights_hash == hash_of_card(card)
            assert geoiseg.get_model(name) is model
        assert hash_of_card(card) in geoiseg.get_model("roofs+flip").info.weights_hash
