"""A vague click: the answers of the model, the choice among them, and its replay."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import geoiseg
from geoiseg.cli.main import cli
from geoiseg.companion.objects import step_of as companion_step
from geoiseg.companion.pipe import RequestError
from geoiseg.errors import CancelledError, PromptError, SessionError
from geoiseg.files import read_frame
from geoiseg.models.protocol import Embedding, Masks, ModelInfo
from geoiseg.segment import Watch
from geoiseg.session.prompt_rows import step_of
from tests.conftest import Disk, write_raster

RINGS = (90.0, 40.0, 15.0)
"""Pixels of the radii of a group, a whole and a part around the same place."""


class Nested:
    """A model with as many answers as there are brightnesses about: the second is the first choice.

    Given what it answered before it stays with it, and a click that contradicts it moves on.
    """

    info = ModelInfo("nested", "test", "Apache-2.0", "for tests", 256, "1")

    def embed(self, image, valid):
        return Embedding("nested:1", valid.shape, {"grey": image.mean(axis=2)})

    def decode(self, embedding, prompts, previous=None):
        grey = embedding.arrays["grey"]
        levels = np.unique(grey)[1:]
        logits = np.stack([grey - (level - 5) for level in levels]).astype(np.float32)
        if previous is not None:
            same = [np.mean((one > 0) == (previous > 0)) for one in logits]
            return Masks(logits[[int(np.argmax(same))]], np.array([0.8], np.float32))
        scores = np.array([0.6, 0.9, 0.7][: len(levels)], np.float32)
        return Masks(logits, scores)


@pytest.fixture
def nested(tmp_path: Path) -> Path:
    away = np.hypot(*(np.mgrid[:256, :256] - 127.5))
    grey = 40 + 60 * sum((away < radius).astype(np.uint8) for radius in RINGS)
    return write_raster(tmp_path / "nested.tif", np.repeat(grey[None].astype(np.uint8), 3, 0))


def start(path: Path) -> geoiseg.Session:
    session = geoiseg.Session(path, Nested())
    session.add_point(*session.raster.grid.to_crs([(128, 128)])[0])
    return session


def radius(session: geoiseg.Session) -> float:
    return float(np.sqrt(session.mask.array.sum() / np.pi))


def test_answers_come_by_size_and_are_chosen_undone_and_refined(nested: Path) -> None:
    session = start(nested)
    sizes = [float(np.sqrt(mask.array.sum() / np.pi)) for mask in session.alternatives]
    assert sizes == pytest.approx(sorted(RINGS), rel=0.02)
    assert session.choice == 1
    assert radius(session) == pytest.approx(40, rel=0.02)
    for number, size in ((2, 90), (0, 15), (2, 90)):
        session.choose(number)
        assert session.choice == number
        assert radius(session) == pytest.approx(size, rel=0.02)
        assert len(session.steps) == 2, "a choice takes the place of the one before"
    assert session.undo()
    assert session.choice == 0
    session.redo()
    session.add_point(*session.raster.grid.to_crs([(140, 128)])[0])
    assert radius(session) == pytest.approx(90, rel=0.02), "the next click refines what was chosen"


def test_a_choice_is_saved_replayed_and_segmented_again(nested: Path, tmp_path: Path) -> None:
    session = start(nested)
    session.choose(0)
    shape = session.geometry
    session.accept("part")
    session.save(tmp_path / "p.gpkg")
    again = geoiseg.Session.load(tmp_path / "p.gpkg", model=Nested())
    again.edit(1)
    assert again.choice == 0
    assert again.geometry.equals(shape)
    assert again.steps == session.accepted[0].steps


def test_the_command_line_replays_it_too(disk: Disk, tmp_path: Path) -> None:
    session = geoiseg.Session(disk.path)
    session.add_point(*disk.centre)
    session.choose(len(session.alternatives) - 1)
    session.accept("disk")
    project, out = tmp_path / "p.gpkg", tmp_path / "o.gpkg"
    session.save(project)
    done = CliRunner().invoke(cli, ["segment", str(disk.path), str(project), str(out)])
    assert done.exit_code == 0, done.output
    assert read_frame(out).geometry.iloc[0].equals(session.accepted[0].geometry)


def test_what_can_not_be_chosen_is_said_and_changes_nothing(nested: Path) -> None:
    session = start(nested)
    steps = session.steps
    for wrong in (3, -1, True, 0.5):
        with pytest.raises(SessionError, match="there are 3 answers to choose from"):
            session.choose(wrong)
    assert session.steps == steps
    with pytest.raises(SessionError, match="no object yet"):
        geoiseg.Session(nested, Nested()).choose(0)
    session.grow(2)
    assert session.alternatives == ()
    assert session.choice is None
    with pytest.raises(SessionError, match="before the object is followed"):
        session.choose(0)
    with pytest.raises(PromptError, match="by its number"):
        step_of([{"kind": "choose", "answer": -1}], None)
    assert companion_step({"choose": 0}).choice == 0
    for bad in ({"choose": -1}, {"choose": 1, "grow": 2}):
        with pytest.raises(RequestError):
            companion_step(bad)


def test_a_choice_that_is_stopped_late_changes_nothing(nested: Path) -> None:
    session = start(nested)
    assert len(session.alternatives) == 3
    told: list[str] = []
    watch = Watch(tell=told.append, cancelled=lambda: "decoding" in told)
    steps = session.steps
    with pytest.raises(CancelledError):
        session.choose(0, watch=watch)
    assert session.steps == steps


def test_a_choice_does_not_keep_a_project_from_opening_with_another_model(
    nested: Path, tmp_path: Path
) -> None:
    session = start(nested)
    session.choose(2)
    session.accept("group")
    session.edit(1)
    session.save(tmp_path / "p.gpkg")
    again = geoiseg.Session.load(tmp_path / "p.gpkg", model="grabcut")
    assert again.steps == session.steps
    assert again.choice == len(again.alternatives) - 1
    session.model = "grabcut"
    assert session.geometry.equals(again.geometry)
