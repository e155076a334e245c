"""Objects followed beyond their chip."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from geoiseg import SegmentMap, Session
from geoiseg.errors import CancelledError, PromptError, SessionError
from geoiseg.prompting.framing import Frame
from geoiseg.prompting.prompts import Prompts
from geoiseg.raster.grid import ChipPlan, Window
from geoiseg.segment import Watch
from geoiseg.segment.growing import Canvas, GrowOptions, Lattice, grow
from geoiseg.tiled.batch import segment_objects
from geoiseg.tiled.prompt_file import read_prompts
from tests.conftest import write_raster
from tests.flood_model import FloodModel

SIZE = 1500


def river_truth(size: int = SIZE) -> np.ndarray:
    """A band that winds through the whole picture and meets two of its sides."""
    y, x = np.mgrid[:size, :size] + 0.5
    middle = size / 2 + size * 0.28 * np.sin(x / size * 4 * np.pi)
    return np.abs(y - middle) < 45


@pytest.fixture(scope="module")
def river(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    truth = river_truth()
    ground, water = (
        np.array(rgb, np.uint8)[:, None, None] for rgb in ((70, 90, 60), (40, 60, 110))
    )
    pixels = np.where(truth, water, ground)
    return write_raster(tmp_path_factory.mktemp("river") / "river.tif", pixels), truth


class Careful(FloodModel):
    """Answers with the pixels of the point's colour, but for those near negative points."""

    def decode(self, embedding, prompts, previous=None):
        masks = super().decode(embedding, prompts, previous)
        y, x = np.mgrid[: embedding.shape[0], : embedding.shape[1]] + 0.5
        for off in prompts.points[~prompts.positive]:
            if not masks.logits[0, int(off[1]), int(off[0])] > 0:
                continue
            masks.logits[0, np.hypot(x - off[0], y - off[1]) < 20] = -8
        return masks


def start(path: Path, truth: np.ndarray) -> Session:
    session = Session(path, Careful(), gsd=2.0)
    row = int(np.flatnonzero(truth[:, SIZE // 2]).mean())
    session.add_point(*session.raster.grid.to_crs([[SIZE // 2 + 0.5, row + 0.5]])[0])
    return session


def iou(session: Session, truth: np.ndarray) -> float:
    mask = session.mask
    whole = np.zeros_like(truth)
    corner = session.raster.grid.to_pixel(mask.grid.to_crs([[0.0, 0.0]]))[0].round().astype(int)
    rows, cols = mask.array.shape
    whole[corner[1] : corner[1] + rows, corner[0] : corner[0] + cols] = mask.array
    return np.count_nonzero(whole & truth) / np.count_nonzero(whole | truth)


def test_a_river_is_followed_to_both_its_ends(river: tuple[Path, np.ndarray]) -> None:
    session = start(*river)
    before = session.outcome
    assert iou(session, river[1]) < 0.6
    assert session.goes_on
    assert session.grow()
    assert not session.goes_on
    assert iou(session, river[1]) == 1
    assert session.outcome.grown.chips > 8
    outline = session.geometry
    assert outline.is_valid
    assert len(shapely.get_parts(outline)) == 1, "no seam"
    assert session.undo()
    assert session.outcome is before
    session.redo()
    with pytest.raises(SessionError, match="followed"):
        session.uncertainty()


def test_a_limit_is_told_and_growing_goes_on(river: tuple[Path, np.ndarray]) -> None:
    session = start(*river)
    assert not session.grow(chips=2)
    short = session.geometry.area
    assert session.outcome.grown.full
    assert session.grow(chips=100)
    assert session.geometry.area > 1.5 * short
    assert iou(session, river[1]) == 1


def test_a_click_afterwards_changes_one_place_only(river: tuple[Path, np.ndarray]) -> None:
    session = start(*river)
    session.grow()
    grown, outcome = session.geometry, session.outcome
    row = int(np.flatnonzero(river[1][:, 200]).mean())
    off = session.raster.grid.to_crs([[200.5, row + 0.5]])[0]
    session.add_point(*off, positive=False)
    changed = session.geometry.symmetric_difference(grown)
    assert changed.area == pytest.approx(np.pi * 40**2, rel=0.1), "a disk of 20 pixels of 2 m"
    assert changed.distance(shapely.Point(off)) == 0
    assert shapely.Point(off).buffer(43).contains(changed)
    session.undo()
    assert session.outcome is outcome


def test_what_can_not_refine_it_is_refused_in_one_line(river: tuple[Path, np.ndarray]) -> None:
    session = start(*river)
    session.grow()
    before = session.outcome
    left, bottom, right, top = session.geometry.bounds
    with pytest.raises(PromptError, match="points and strokes"):
        session.add_box(left, bottom, right, top)
    with pytest.raises(PromptError, match="shorter strokes"):
        session.add_scribble([(left + 1, top - 1), (right - 1, bottom + 1)])
    assert session.outcome is before


def test_it_is_saved_and_replayed(river: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    session = start(*river)
    session.grow()
    outline = session.geometry
    session.accept("river")
    session.edit(1)
    assert session.geometry.equals(outline), "editing takes it up as it was"
    session.save(tmp_path / "river.gpkg")
    again = Session.load(tmp_path / "river.gpkg", model=Careful())
    assert again.geometry.equals(outline)
    assert again.accepted[0].steps[-1].grow == session.steps[-1].grow
    # and as a file of prompts for another session
    objects = read_prompts(tmp_path / "river.gpkg", session.raster.grid.crs)
    other = Session(river[0], Careful())
    (result,) = segment_objects(other, objects[:1])
    assert result.error is None
    assert other.accepted[0].geometry.equals(outline)


def test_it_can_be_stopped_and_leaves_the_object_as_it_was(river: tuple[Path, np.ndarray]) -> None:
    session = start(*river)
    before = session.outcome
    told: list[str] = []
    with pytest.raises(CancelledError):
        session.grow(watch=Watch(told.append, lambda: len(told) > 6))
    assert session.outcome is before
    assert any("following, chip" in text for text in told)


def test_an_object_that_ends_on_its_chip_stays(disk: object) -> None:
    session = Session(disk.path, "superpixel-walk")
    session.add_point(*disk.centre)
    before = session.geometry
    assert not session.goes_on
    assert session.grow()
    assert session.geometry.equals(before)


def test_on_the_map(river: tuple[Path, np.ndarray]) -> None:
    session = start(*river)
    m = SegmentMap(session=session)
    try:
        assert m.toolbar.state["can_grow"]
        short = m.geometry.area
        m.grow()
        assert m.geometry.area > 1.5 * short
        assert "Followed over" in m.toolbar.status["note"]
        assert not m.toolbar.state["can_grow"]
        m.undo()
        assert m.geometry.area == short
    finally:
        m.close()


def test_there_must_be_an_object(disk: object) -> None:
    session = Session(disk.path, "superpixel-walk")
    with pytest.raises(SessionError, match="no object"):
        session.grow()
    session.add_point(*disk.centre)
    with pytest.raises(SessionError, match="chips"):
        session.grow(chips=0)


def test_where_the_answer_contradicts_what_is_known_the_object_ends() -> None:
    """A model that says the opposite of what is known in every next chip."""
    import geoiseg.raster.grid

    grid = geoiseg.raster.grid.Grid(None, geoiseg.raster.grid.Affine.identity(), (600, 600))
    truth = np.zeros((600, 600), bool)
    truth[280:320] = True

    def opposite(frame: Frame, prompts: object) -> tuple[np.ndarray, np.ndarray]:
        part = ~truth[frame.window.slices]
        return part, np.ones_like(part)

    frame = Frame(0, Window(128, 128, 256, 256))
    canvas = grow(
        frame, truth[frame.window.slices], Prompts(()), grid, opposite, 256, GrowOptions(chips=50)
    )
    assert canvas.lost > 0
    assert not canvas.full
    whole = np.zeros_like(truth)
    whole[canvas.window.slices] = canvas.mask
    assert not (whole & ~truth).any()


@given(st.integers(2, 700), st.integers(2, 700), st.sampled_from([32, 64, 128]))
def test_each_pixel_is_decided_by_one_chip_that_holds_it(rows: int, cols: int, size: int) -> None:
    lattice = Lattice((rows, cols), size)
    times = np.zeros((rows, cols), np.int64)
    down, across = ChipPlan((rows, cols), size).count
    for row in range(down):
        for col in range(across):
            owned = lattice.owned(row, col)
            times[owned.slices] += 1
            assert owned.intersection(lattice.chip(row, col)) == owned
    assert (times == 1).all()


def test_a_canvas_grows_and_keeps_what_it_knows() -> None:
    canvas = Canvas.of(Window(10, 10, 4, 4), np.ones((4, 4), bool))
    canvas.put(Window(12, 12, 4, 6), np.zeros((4, 6), bool))
    assert canvas.window == Window(10, 10, 6, 8)
    assert canvas.mask.sum() == 16, "what was decided first stays"
    assert canvas.known.sum() == 16 + 24 - 4
    canvas.put(Window(0, 0, 2, 2), np.ones((2, 2), bool))
    assert canvas.window == Window(0, 0, 16, 18)
    assert canvas.mask.sum() == 20
