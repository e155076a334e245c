"""Borders of large objects at the raster's own resolution."""

from __future__ import annotations

import contextlib
from pathlib import Path

import cv2
import geopandas as gpd
import numpy as np
import pytest
import shapely
from affine import Affine
from rasterio.features import rasterize

from geoiseg import SegmentMap, Session
from geoiseg.cli import main
from geoiseg.errors import CancelledError, PromptError, SessionError
from geoiseg.prompting.framing import Frame
from geoiseg.prompting.prompts import Point, Prompts
from geoiseg.segment import Watch
from geoiseg.segment.sharpening import SharpenOptions, sharpen
from geoiseg.session.prompt_rows import step_of
from geoiseg.tiled.batch import segment_objects
from geoiseg.tiled.prompt_file import read_prompts
from tests.conftest import UTM, write_raster
from tests.flood_model import FloodModel

SIZE = 1800


def lake_truth(size: int = SIZE) -> np.ndarray:
    """A lake with bays too small for a coarse look, and an island in it."""
    y, x = np.mgrid[:size, :size] + 0.5
    dx, dy = x - size / 2, y - size / 2
    angle = np.arctan2(dy, dx)
    shore = size * (0.36 + 0.03 * np.sin(5 * angle) + 0.003 * np.sin(60 * angle))
    return (np.hypot(dx, dy) < shore) & (np.hypot(dx - 200, dy) > 150)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    truth = lake_truth()
    ground, water = (
        np.array(rgb, np.uint8)[:, None, None] for rgb in ((70, 90, 60), (40, 60, 110))
    )
    pixels = np.where(truth, water, ground)
    return write_raster(tmp_path_factory.mktemp("lake") / "lake.tif", pixels), truth


def start(path: Path, model: FloodModel | None = None) -> Session:
    session = Session(path, model or FloodModel())
    middle = session.raster.grid.to_crs([[SIZE * 0.3, SIZE / 2]])[0]
    session.add_point(*middle)
    return session


def on_raster(session: Session) -> np.ndarray:
    """Return ``(y, x)`` the object on the raster's own grid."""
    mask, shape = session.mask, session.raster.grid.shape
    level = session.outcome.frame.level
    large = cv2.resize(mask.array.astype(np.uint8), None, fx=2**level, fy=2**level,
                       interpolation=cv2.INTER_NEAREST)  # fmt: skip
    row, col = (start << level for start in (mask_window(session).row, mask_window(session).col))
    whole = np.zeros((row + large.shape[0], col + large.shape[1]), bool)
    whole[row:, col:] = large > 0
    out = np.zeros(shape, bool)
    rows, cols = (min(a, b) for a, b in zip(shape, whole.shape, strict=True))
    out[:rows, :cols] = whole[:rows, :cols]
    return out


def mask_window(session: Session):
    return session.outcome.frame.window


def wrong(found: np.ndarray, truth: np.ndarray) -> int:
    return int(np.count_nonzero(found != truth))


def test_the_border_of_a_large_object_becomes_exact(lake: tuple[Path, np.ndarray]) -> None:
    session = start(lake[0])
    coarse = session.outcome
    assert coarse.frame.level >= 2
    assert session.is_coarse
    before = wrong(on_raster(session), lake[1])
    assert before > 5000
    assert session.sharpen()
    assert session.outcome.frame.level == 0
    assert not session.is_coarse
    # Bays deeper than what a coarse pixel can tell are all that may be missed.
    assert wrong(on_raster(session), lake[1]) < before / 50
    assert session.sharpen(), "there is nothing left to do"
    assert len(session.steps) == 2
    session.undo()
    assert session.outcome is coarse


def test_its_cost_follows_the_border(lake: tuple[Path, np.ndarray]) -> None:
    session = start(lake[0])
    session.sharpen()
    side = session.segmenter.model.info.chip_size
    every = (SIZE / (side / 2)) ** 2
    assert 20 < session.outcome.grown.chips < 0.75 * every


def test_gsd_says_how_sharp(lake: tuple[Path, np.ndarray]) -> None:
    session = Session(lake[0], FloodModel(), gsd=None)
    session.add_point(*session.raster.grid.to_crs([[SIZE * 0.3, SIZE / 2]])[0])
    seen = session.outcome.frame.level
    fine = sharpen(
        session.outcome.frame, session.mask.array, session.prompts, session.raster.grid,
        session.segmenter.beyond.refining(Watch()), 256, SharpenOptions(level=1),
    )  # fmt: skip
    assert seen > fine.frame.level == 1
    assert fine.canvas.mask.shape == fine.canvas.window.shape


def test_it_is_saved_and_replayed(lake: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    session = start(lake[0])
    session.sharpen()
    outline = session.geometry
    session.accept("lake")
    session.edit(1)
    assert session.geometry.equals(outline)
    session.save(tmp_path / "lake.gpkg")
    again = Session.load(tmp_path / "lake.gpkg", model=FloodModel())
    assert again.geometry.equals(outline)
    objects = read_prompts(tmp_path / "lake.gpkg", session.raster.grid.crs)
    other = Session(lake[0], FloodModel())
    (result,) = segment_objects(other, objects[:1])
    assert result.error is None
    assert other.accepted[0].geometry.equals(outline)


def test_stopped_in_the_middle_what_is_sharp_stays(
    lake: tuple[Path, np.ndarray], tmp_path: Path
) -> None:
    session = start(lake[0])
    coarse, before = session.outcome, wrong(on_raster(session), lake[1])
    told: list[str] = []

    def stop_at(count: int) -> Watch:
        told.clear()
        return Watch(told.append, lambda: sum("sharpening" in one for one in told) > count)

    with pytest.raises(CancelledError):
        session.sharpen(watch=stop_at(0))
    assert session.outcome is coarse
    assert not session.sharpen(watch=stop_at(20))
    assert 0 < wrong(on_raster(session), lake[1]) < before
    outline, chips = session.geometry, session.steps[-1].sharpen
    assert chips == session.outcome.grown.chips > 10
    session.save(tmp_path / "part.gpkg")
    again = Session.load(tmp_path / "part.gpkg", model=FloodModel())
    assert again.geometry.equals(outline), "it is the same as far as it came"


def test_it_can_be_corrected_where_it_is_sharp(lake: tuple[Path, np.ndarray]) -> None:
    session = start(lake[0])
    session.sharpen()
    before = session.mask.array.copy()
    session.add_point(*session.raster.grid.to_crs([[SIZE * 0.2, SIZE / 2]])[0])
    assert session.outcome.frame.level == 0
    assert np.count_nonzero(session.mask.array != before) < 0.01 * before.sum()


class Stubborn(FloodModel):
    """Answers a chip with all that it did not ask for."""

    def decode(self, embedding, prompts, previous=None):
        masks = super().decode(embedding, prompts, previous)
        return masks if previous is None else type(masks)(-masks.logits, masks.scores)


def test_answers_that_contradict_what_is_sure_are_not_believed(
    lake: tuple[Path, np.ndarray],
) -> None:
    session = start(lake[0], Stubborn())
    before = wrong(on_raster(session), lake[1])
    session.sharpen()
    grown = session.outcome.grown
    assert grown.lost == grown.chips > 0
    assert wrong(on_raster(session), lake[1]) < 1.2 * before


def test_what_can_not_be_sharpened_is_said_in_a_line(lake: tuple[Path, np.ndarray]) -> None:
    session = Session(lake[0], FloodModel())
    with pytest.raises(SessionError, match="no object to sharpen yet"):
        session.sharpen()
    session = start(lake[0])
    with pytest.raises(SessionError, match="number of chips"):
        session.sharpen(0)
    with pytest.raises(PromptError, match="sharpened through 1 to"):
        step_of([{"kind": "sharpen", "chips": 0}], None)


def test_an_object_cut_by_its_chip_is_not_cut_there_again(tmp_path: Path) -> None:
    truth = np.zeros((900, 900), bool)
    truth[:, 300:] = True
    ground, water = (np.array(rgb, np.uint8)[:, None, None] for rgb in ((70, 90, 60), (40, 60, 90)))
    path = write_raster(tmp_path / "half.tif", np.where(truth, water, ground))
    session = Session(path, FloodModel())
    frame = Frame(1, session.raster.grid.level(1).whole)
    grid = session.raster.grid.level(1)
    seen = truth[::2, ::2].copy()
    said = Prompts((Point(*session.raster.grid.to_crs([[600.0, 450.0]])[0], True),))
    refine = session.segmenter.beyond.refining(Watch())
    found = sharpen(frame, seen, said, session.raster.grid, refine, 256)
    assert grid.shape == seen.shape
    top, left = found.frame.window.row, found.frame.window.col
    rows, cols = found.canvas.mask.shape
    np.testing.assert_array_equal(found.canvas.mask, truth[top : top + rows, left : left + cols])


def test_on_the_map(lake: tuple[Path, np.ndarray]) -> None:
    session = start(lake[0])
    with contextlib.closing(SegmentMap(session=session)) as m:
        assert m.toolbar.state["can_sharpen"]
        m.sharpen()
        assert not m.toolbar.state["can_sharpen"]
        assert "chips along the border" in m.toolbar.status["note"]
        m.sharpen()
        assert "as sharp as the raster already" in m.toolbar.status["note"]
        m.undo()
        assert m.toolbar.state["can_sharpen"]


def test_from_the_command_line(lake: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    rows, cols = (np.flatnonzero(lake[1].any(axis)) for axis in (1, 0))
    box = shapely.box(
        5e5 + 2 * cols[0], 45e5 - 2 * rows[-1], 5e5 + 2 * cols[-1], 45e5 - 2 * rows[0]
    )
    gpd.GeoDataFrame(geometry=[box], crs=UTM).to_file(tmp_path / "box.gpkg")
    found = {}
    for detail in ("native", "seen"):
        out = tmp_path / f"{detail}.gpkg"
        main(["segment", str(lake[0]), str(tmp_path / "box.gpkg"), str(out), "--model",
              "grabcut", "--detail", detail])  # fmt: skip
        (shape,) = gpd.read_file(out).geometry
        burned = rasterize([shape], (SIZE, SIZE), transform=Affine(2, 0, 5e5, 0, -2, 45e5)) > 0
        found[detail] = wrong(burned, lake[1])
    assert found["native"] < found["seen"] / 4
