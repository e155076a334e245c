"""Objects that are followed and sharpened by themselves, and what is kept of it."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from geoiseg import SegmentMap, Session
from geoiseg.errors import CancelledError, ModelError, PromptError
from geoiseg.models.registry import get_model
from geoiseg.prompting import Box, Point
from geoiseg.segment import Watch
from geoiseg.session.finishing import Pace
from geoiseg.session.prompt_rows import step_of
from geoiseg.tiled.batch import segment_objects
from geoiseg.tiled.prompt_file import read_prompts
from geoiseg.widget.worker import Job
from tests.conftest import write_raster
from tests.flood_model import FloodModel
from tests.segment.test_growing import river_truth
from tests.segment.test_sharpening import lake_truth

SIZE = 800


def painted(path: Path, truth: np.ndarray) -> Path:
    ground, water = (
        np.array(rgb, np.uint8)[:, None, None] for rgb in ((70, 90, 60), (40, 60, 110))
    )
    return write_raster(path, np.where(truth, water, ground))


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return painted(tmp_path_factory.mktemp("finish") / "lake.tif", lake_truth(SIZE))


@pytest.fixture(scope="module")
def river(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return painted(tmp_path_factory.mktemp("finish") / "river.tif", river_truth(SIZE))


def at(session: Session, col: float, row: float) -> list[float]:
    return session.raster.grid.to_crs([[col, row]])[0].tolist()


def on_lake(path: Path) -> Session:
    session = Session(path, FloodModel())
    session.follow = False  # its border is sharpened then
    session.add_point(*at(session, SIZE * 0.18, SIZE / 2))
    return session


def on_river(path: Path, **how: bool) -> Session:
    session = Session(path, FloodModel(), gsd=2.0)
    row = int(np.flatnonzero(river_truth(SIZE)[:, SIZE // 2]).mean())
    session.add([_point(session, SIZE / 2, row)], **how)
    return session


def _point(session: Session, col: float, row: float, *, on: bool = True) -> Point:
    return Point(*at(session, col, row), on)


def stop_after(count: int) -> Watch:
    told: list[str] = []
    return Watch(told.append, lambda: sum("chip" in one for one in told) >= count)


def test_a_click_follows_what_its_chip_cuts_through_a_few_chips(river: Path) -> None:
    alone = on_river(river, follow=False)
    assert alone.goes_on
    assert alone.outcome.grown is None
    session = on_river(river)
    pace = Pace.of(session.model.info)
    assert [step.grow for step in session.steps] == [0, pace.at_once]
    assert session.outcome.grown.chips == pace.at_once
    assert session.mask.array.sum() > 1.5 * alone.mask.array.sum()
    session.undo()
    assert session.outcome is None, "it is part of the click"
    session.follow = False
    session.add([_point(session, SIZE / 2, SIZE / 2)])
    assert len(session.steps) == 1


def test_a_heavy_model_looks_at_fewer_chips() -> None:
    info = get_model("tiny").info
    assert Pace.of(info).at_once == 4
    assert Pace.of(replace(info, parameters=90_000_000)).at_once == 1


def test_more_clicks_go_on_from_the_object_as_it_was_first_seen(river: Path) -> None:
    session = on_river(river)
    seen = session.first_seen
    assert seen is not session.outcome
    row = int(np.flatnonzero(river_truth(SIZE)[:, SIZE // 2 + 20]).mean())
    session.add([_point(session, SIZE / 2 + 20, row)])  # on its own chip
    assert [bool(step.prompts) for step in session.steps] == [True, True, False]
    far = np.argwhere(session.mask.array)[0] + (session.outcome.frame.window.row,
                                                session.outcome.frame.window.col)  # fmt: skip
    session.add([_point(session, float(far[1]) + 0.5, float(far[0]) + 0.5)])
    assert [bool(step.prompts) for step in session.steps] == [True, True, False, True]


def test_what_a_click_may_mean_is_asked_of_its_own_chip(river: Path) -> None:
    session = on_river(river)
    assert len(session.alternatives) == 1
    assert session.uncertainty().grid == session.first_seen.mask.grid


def test_boxes_say_where_an_object_ends(river: Path) -> None:
    session = Session(river, FloodModel(), gsd=2.0)
    (x0, y1), (x1, y0) = at(session, 300, 300), at(session, 500, 500)
    row = int(np.flatnonzero(river_truth(SIZE)[:, SIZE // 2]).mean())
    session.add([Box(x0, y0, x1, y1), _point(session, SIZE / 2, row)])
    assert session.goes_on
    assert len(session.steps) == 1


def test_accept_follows_and_sharpens_in_one_step(lake: Path, river: Path) -> None:
    session = on_lake(lake)
    coarse = session.outcome
    assert session.is_coarse
    session.accept("lake")
    kept = session.accepted[0]
    assert [step.sharpen for step in kept.steps] == [0, 1000]
    session.undo()
    assert session.outcome.frame.level == 0
    session.undo()
    assert session.outcome is coarse
    session.detail = "seen"
    session.accept("lake")
    assert len(session.accepted[0].steps) == 1
    whole = on_river(river)
    whole.accept("river")
    assert whole.accepted[0].steps[-1].grow == Pace.of(whole.model.info).follow


def test_accept_can_be_watched_and_stopped(lake: Path) -> None:
    session = on_lake(lake)
    with pytest.raises(CancelledError, match="as far as it came, not accepted"):
        session.accept("lake", watch=stop_after(8))
    assert not session.accepted
    chips = session.outcome.grown.chips
    told: list[str] = []
    session.accept("lake", watch=Watch(told.append), depth=3)
    assert told[0].startswith(f"sharpening, chip {chips + 1} of"), "it went on from there"
    assert session.accepted[0].attributes == {"depth": 3}
    again = on_lake(lake)
    again.accept("lake")
    assert session.accepted[0].geometry.equals(again.accepted[0].geometry)
    session.detail = "seen"
    session.add_point(*at(session, SIZE * 0.18, SIZE / 2))
    number = session.accept("lake", watch="hourly")
    assert session.accepted[number - 1].attributes["watch"] == "hourly", "a column of this name"


def test_a_batch_tells_what_it_does_with_an_object_and_is_stopped(
    lake: Path, tmp_path: Path
) -> None:
    session = on_lake(lake)
    session.save(tmp_path / "lake.gpkg")
    objects = read_prompts(tmp_path / "lake.gpkg", session.raster.grid)
    other, told = Session(lake, FloodModel()), []
    other.follow = False
    segment_objects(other, objects, sharpen=True, watch=Watch(told.append))
    assert any(one.startswith("sharpening, chip 2 of") for one in told)
    with pytest.raises(CancelledError, match="stopped amid object"):
        segment_objects(other, objects, sharpen=True, watch=stop_after(8))
    assert len(other.accepted) == 1


def test_it_is_stopped_resumed_and_still_one_step(lake: Path, tmp_path: Path) -> None:
    session = on_lake(lake)
    coarse = session.outcome
    middle = tuple(at(session, SIZE * 0.8, SIZE / 2))
    assert not session.finish(middle=middle, watch=stop_after(5), keep=lambda: False)
    assert session.outcome is coarse
    assert not session.finish(middle=middle, watch=stop_after(12))
    part = session.steps[-1]
    assert part.middle == middle
    assert part.sharpen == session.outcome.grown.chips >= 5
    outline = session.geometry
    session.save(tmp_path / "part.gpkg")
    again = Session.load(tmp_path / "part.gpkg", model=FloodModel())
    assert again.geometry.equals(outline), "from the same middle outwards"
    assert session.finish()
    assert session.steps[-1].middle is None
    whole = session.geometry
    session.undo()
    assert session.outcome is coarse
    other = on_lake(lake)
    other.sharpen()
    assert other.geometry.equals(whole), "in whichever order"


def test_what_is_changed_meanwhile_holds(lake: Path) -> None:
    session = on_lake(lake)

    def tell(_: str) -> None:
        if session.outcome is not None:
            session.clear()

    assert not session.finish(watch=Watch(tell))
    assert session.outcome is None


def test_objects_of_projects_are_done_as_they_say(lake: Path, tmp_path: Path) -> None:
    session = on_lake(lake)
    session.detail = "seen"
    seen = session.geometry
    session.accept("lake")
    session.save(tmp_path / "old.gpkg")
    objects = read_prompts(tmp_path / "old.gpkg", session.raster.grid)
    assert objects[0].recorded
    for wanted, same in ((None, True), (False, True), (True, False)):
        other = Session(lake, FloodModel())
        segment_objects(other, objects, sharpen=wanted)
        assert other.accepted[0].geometry.equals(seen) == same
    session.edit(1)
    session.detail = "native"
    session.accept()
    assert session.accepted[0].geometry.equals(seen), "nothing more was said"


def test_a_middle_that_is_none_is_told() -> None:
    assert step_of([{"kind": "sharpen", "chips": 3, "middle": [1.5, 2]}], None).middle == (1.5, 2.0)
    with pytest.raises(PromptError, match="outwards"):
        step_of([{"kind": "sharpen", "chips": 3, "middle": ["a", 2]}], None)


def test_the_map_goes_on_by_itself(lake: Path) -> None:
    session = Session(lake, FloodModel())
    with contextlib.closing(SegmentMap(session=session, project=False)) as m:
        m.add_point(*at(session, SIZE * 0.18, SIZE / 2))
        assert session.outcome is not None
        done(m)
        assert session.outcome.frame.level == 0
        assert "chips from nearby" in m.toolbar.status["note"]
        assert "phase" not in m.toolbar.status
        m.undo()
        assert session.outcome.frame.level > 0
        assert not m.finishing, "what was undone is not done again"
        m.accept("lake")
        assert session.accepted[0].steps[-1].closer


def done(m: SegmentMap) -> None:
    while m.finishing:
        m._background.future.exception(30)
        m._worker.submit(lambda _: None).future.result(30)


def test_the_map_can_be_told_to_wait_until_it_is_asked(lake: Path) -> None:
    session = Session(lake, FloodModel())
    with contextlib.closing(SegmentMap(session=session, project=False)) as m:
        m.use_detail("seen")
        m.add_point(*at(session, SIZE * 0.18, SIZE / 2))
        assert not m.finishing
        m.accept("lake")
        assert len(session.accepted[0].steps) == 1


class Slow(FloodModel):
    """Leaves time to do something else between two chips."""

    def __init__(self) -> None:
        super().__init__(pause=0.05)


def test_esc_on_the_map_keeps_what_is_sharp(lake: Path) -> None:
    session = Session(lake, Slow())
    with contextlib.closing(SegmentMap(session=session, project=False)) as m:
        m.add_point(*at(session, SIZE * 0.18, SIZE / 2))
        seen, background = session.outcome, m._background
        until(lambda: chip_of(background) >= 4)
        assert m.toolbar.status["phase"].startswith(("sharpening", "following"))
        m.cancel()
        done(m)
        assert session.outcome is not seen
        assert session.outcome.grown.full
        m.accept("lake")
        assert len(session.accepted) == 1
        last = session.accepted[0].steps[-1]
        assert 0 < last.grow + last.sharpen < 100, "what is there is taken"


def test_undo_on_the_map_takes_back_what_is_being_done(lake: Path) -> None:
    session = Session(lake, Slow())
    with contextlib.closing(SegmentMap(session=session, project=False)) as m:
        m.add_point(*at(session, SIZE * 0.18, SIZE / 2))
        seen, background = session.outcome, m._background
        until(lambda: chip_of(background) >= 4)
        m.undo()
        done(m)
        assert session.outcome is seen
        m.undo()
        assert session.outcome is None


def test_other_work_comes_first_and_it_goes_on_after(lake: Path) -> None:
    session = Session(lake, Slow())
    with contextlib.closing(SegmentMap(session=session, project=False)) as m:
        m.add_point(*at(session, SIZE * 0.18, SIZE / 2))
        background = m._background
        until(lambda: chip_of(background) >= 4)
        m._ask(lambda _: None, wait=True)
        assert background.stopped
        done(m)
        assert not session.outcome.grown.full
        m.undo()
        assert session.outcome.grown is None, "still one step"


def test_what_was_stopped_before_it_began_keeps_nothing_waiting(lake: Path) -> None:
    session = Session(lake, FloodModel())
    with contextlib.closing(SegmentMap(session=session, project=False)) as m:
        m.use_detail("seen")
        m.add_point(*at(session, SIZE * 0.18, SIZE / 2))
        free = threading.Event()
        m._worker.submit(lambda _: free.wait(30))
        m.use_detail("native")
        first = m._background
        m.add_point(*at(session, SIZE * 0.2, SIZE / 2), wait=False)
        free.set()
        m._worker.submit(lambda _: None).future.result(30)
        assert m._background is not first
        done(m)
        assert session.outcome.level == 0


def test_undo_before_it_has_begun_takes_the_click_back(lake: Path) -> None:
    session = Session(lake, FloodModel())
    with contextlib.closing(SegmentMap(session=session, project=False)) as m:
        m.use_detail("seen")
        m.add_point(*at(session, SIZE * 0.18, SIZE / 2))
        free = threading.Event()
        m._worker.submit(lambda _: free.wait(30))
        m.use_detail("native")
        m.undo(wait=False)
        free.set()
        m._worker.submit(lambda _: None).future.result(30)
        assert session.outcome is None


def test_it_goes_on_after_a_request_that_is_refused(lake: Path) -> None:
    session = Session(lake, Slow())
    with contextlib.closing(SegmentMap(session=session, project=False)) as m:
        m.add_point(*at(session, SIZE * 0.18, SIZE / 2))
        background = m._background
        until(lambda: chip_of(background) >= 4)
        with pytest.raises(PromptError):
            m.add_point(0.0, 0.0)
        assert background.stopped
        done(m)
        assert not session.outcome.grown.full


class Failing(FloodModel):
    """Answers clicks, and fails along borders."""

    def decode(self, embedding, prompts, previous=None):
        if previous is not None:
            raise ModelError("out of memory")
        return super().decode(embedding, prompts, previous)


def test_why_it_is_not_finished_is_told_and_what_is_there_is_kept(lake: Path) -> None:
    session = Session(lake, Failing())
    session.follow = False
    with contextlib.closing(SegmentMap(session=session, project=False)) as m:
        m.add_point(*at(session, SIZE * 0.18, SIZE / 2))
        seen = session.geometry
        done(m)
        assert "not finished: out of memory" in m.toolbar.status["error"]
        m.accept("lake")
        assert session.accepted[0].geometry.equals(seen)


def chip_of(job: Job) -> int:
    found = re.search(r"chip (\d+)", job.phase)
    return int(found[1]) if found else 0


def until(there) -> None:
    end = time.monotonic() + 30
    while not there():
        assert time.monotonic() < end
        time.sleep(0.01)
