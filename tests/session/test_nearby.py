"""Objects that were seen from afar, followed anew from nearby, and whether that is believed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from geoiseg import Session
from geoiseg.errors import CancelledError
from geoiseg.prompting import Frame, Point
from geoiseg.raster import Window, open_raster
from geoiseg.segment import Mask, Outcome, Step
from geoiseg.segment.canvas import Canvas
from geoiseg.session.nearby import believed, chips_over
from geoiseg.tiled.batch import segment_objects
from geoiseg.tiled.prompt_file import read_prompts
from tests.flood_model import FloodModel
from tests.segment.test_sharpening import lake_truth
from tests.session.test_finishing import SIZE, at, painted, stop_after

POND = slice(735, 795), slice(370, 430)


@pytest.fixture(scope="module")
def two_lakes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    """A lake and a smaller one, held together by what no coarse look sees."""
    truth = lake_truth(SIZE)
    truth[POND] = True
    truth[700:736, 400] = True
    return painted(tmp_path_factory.mktemp("nearby") / "two.tif", truth), truth


def on_it(path: Path) -> Session:
    session = Session(path, FloodModel())
    session.add_point(*at(session, SIZE * 0.18, SIZE / 2))
    return session


def whole_of(session: Session) -> np.ndarray:
    found, window = np.zeros((SIZE, SIZE), bool), session.outcome.frame.window
    found[window.row : window.stop[0], window.col : window.stop[1]] = session.mask.array
    return found


def test_what_is_finished_is_followed_anew_and_replayed(
    two_lakes: tuple[Path, np.ndarray], tmp_path: Path
) -> None:
    path, truth = two_lakes
    session = on_it(path)
    seen = session.outcome
    assert seen.level > 0
    assert session.finish()
    last = session.steps[-1]
    assert (last.closer, last.gsd, last.sharpen) == (True, None, 0)
    assert (whole_of(session) == truth).all(), "what is behind the narrows too"
    shape = session.geometry
    session.save(tmp_path / "lake.gpkg")
    assert Session.load(tmp_path / "lake.gpkg", model=FloodModel()).geometry.equals(shape)
    session.undo()
    assert session.outcome is seen
    session.accept("lake")
    session.save(tmp_path / "lake.gpkg")
    other = Session(path, FloodModel())
    segment_objects(other, read_prompts(tmp_path / "lake.gpkg", other.raster.grid))
    assert other.accepted[0].geometry.equals(shape)
    other.edit(1)
    assert other.steps[-1].closer
    other.add_point(*at(other, SIZE * 0.2, SIZE / 2))
    assert other.outcome.level == 0, "more that is said of it changes its surroundings alone"


def test_one_that_is_stopped_is_as_it_was(two_lakes: tuple[Path, np.ndarray]) -> None:
    session = on_it(two_lakes[0])
    seen = session.outcome
    assert not session.finish(watch=stop_after(3))
    assert session.outcome is seen
    with pytest.raises(CancelledError):
        session.grow(closer=True, watch=stop_after(3))


def test_where_it_is_not_believed_the_border_is_sharpened(
    two_lakes: tuple[Path, np.ndarray],
) -> None:
    path, truth = two_lakes
    session = on_it(path)
    session.add_point(*at(session, 400, 765), positive=False)
    session.finish()
    assert session.steps[-1].sharpen
    assert not whole_of(session)[POND].any()
    assert (whole_of(session) == truth)[:700].mean() > 0.99


def test_it_can_be_asked_for(two_lakes: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    path, truth = two_lakes
    session = on_it(path)
    assert not session.grow(3, closer=True)
    assert session.goes_on
    assert session.grow(100)
    assert (whole_of(session) == truth).all()
    assert [step.grow for step in session.steps] == [0, 3, 103]
    shape = session.geometry
    assert session.grow(), "nothing is left to do"
    assert len(session.steps) == 3
    session.accept("lake")
    session.save(tmp_path / "asked.gpkg")
    other = Session(path, FloodModel())
    segment_objects(other, read_prompts(tmp_path / "asked.gpkg", other.raster.grid))
    assert other.accepted[0].geometry.equals(shape)
    assert [step.grow for step in other.accepted[0].steps] == [0, 3, 103]
    [whole] = read_prompts(tmp_path / "asked.gpkg", other.raster.grid)
    headless = replace(whole, steps=whole.steps[1:], origins=whole.origins[1:])
    [told] = segment_objects(other, [headless])
    assert "there is no object to follow yet" in told.problem


def test_what_is_taken_from_it_leaves_the_rest(two_lakes: tuple[Path, np.ndarray]) -> None:
    session = on_it(two_lakes[0])
    assert session.finish()
    assert session.finish(), "it is not done again"
    session.add_point(*at(session, 20, 400), positive=False)
    assert [step.closer for step in session.steps] == [False, True, False]
    assert whole_of(session)[POND].all()


class Tired(FloodModel):
    """Sees what three first looks find, and nothing after that."""

    looks = 0

    def __init__(self):
        super().__init__()
        self.info = replace(self.info, weights_hash="tired")

    def decode(self, embedding, prompts, previous=None):
        found = super().decode(embedding, prompts, previous)
        self.looks += 1
        return found if self.looks <= 3 else replace(found, logits=-np.abs(found.logits))


def test_a_model_that_sees_nothing_from_nearby_leaves_it_as_it_was_seen(
    two_lakes: tuple[Path, np.ndarray], tmp_path: Path
) -> None:
    session = on_it(two_lakes[0])
    seen = session.geometry
    session.finish()
    session.save(tmp_path / "near.gpkg")
    again = Session.load(tmp_path / "near.gpkg", model=Tired())
    assert again.outcome.level > 0
    assert again.geometry.equals(seen)


@pytest.mark.parametrize(
    ("change", "negative", "same"),
    [
        ("nothing", False, True),
        ("more water", False, True),
        ("more water", True, False),
        ("land", False, False),
        ("less water", False, False),
        ("a point missed", False, False),
        ("no end", False, False),
    ],
)
def test_what_is_believed(tmp_path: Path, change: str, negative: bool, same: bool) -> None:
    water = np.zeros((400, 400), bool)
    water[100:300, 50:350] = True
    path = painted(tmp_path / "water.tif", water)
    raster = open_raster(path)
    seen = water.copy()
    seen[:, 250:] = change == "less water"
    seen &= water | (change == "less water")
    seen[:100] = seen[300:] = False
    found = {"more water": water, "land": np.roll(seen, 40, 0) | seen}.get(change, seen).copy()
    if change == "less water":
        found[:, 250:] = False
    if change == "a point missed":
        found[180:220, 80:120] = False
    near = outcome(raster, found, grown=True)
    near.grown.full = change == "no end"
    points = [Point(*raster.grid.to_crs([[100, 200]])[0].tolist())]
    if negative:
        points.append(Point(*raster.grid.to_crs([[20, 20]])[0].tolist(), positive=False))
    said = (Step(tuple(points)),)
    assert believed(near, outcome(raster, seen), said, raster) == same


def outcome(raster, mask: np.ndarray, *, grown: bool = False) -> Outcome:
    window = Window(0, 0, *mask.shape)
    canvas = Canvas.of(window, mask) if grown else None
    return Outcome(
        Mask(mask, raster.grid, 0.9), np.zeros(mask.shape, np.float16), Frame(0, window),
        grown=canvas,
    )  # fmt: skip


def test_chips_are_counted_where_the_object_is() -> None:
    mask = np.zeros((256, 256), bool)
    mask[:64, :64] = mask[200, 200] = True
    assert chips_over(mask, 2, 256) == 5
    assert chips_over(~mask & False, 2, 256) == 0


def test_following_what_was_sharpened_leaves_it_where_it_is(
    two_lakes: tuple[Path, np.ndarray],
) -> None:
    session = on_it(two_lakes[0])
    before = session.geometry
    session.sharpen()
    session.grow()
    assert session.geometry.equals(before)
