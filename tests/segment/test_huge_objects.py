"""Objects too large for one array: kept in tiles, they are what they would be in one."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pytest
import shapely
from rasterio.features import rasterize

from geoiseg import Session
from geoiseg.segment import Watch, beyond
from geoiseg.segment.sharpening import SharpenOptions
from geoiseg.segment.tiles import Tiles
from geoiseg.tiled.batch import segment_objects
from geoiseg.tiled.prompt_file import read_prompts
from tests.flood_model import FloodModel
from tests.segment.test_sharpening import lake_truth
from tests.session.test_finishing import SIZE, at, lake, on_lake, painted, stop_after

__all__ = ["lake"]


@pytest.fixture
def in_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    small = functools.partial(SharpenOptions, pixels=100_000)
    monkeypatch.setattr(beyond, "SharpenOptions", small)
    monkeypatch.setattr(beyond, "SHOWN", 100_000)


@pytest.fixture(scope="module")
def whole(lake: Path) -> Session:
    session = on_lake(lake)
    session.sharpen()
    assert session.outcome.fine is None
    return session


@pytest.mark.usefixtures("in_tiles")
def test_it_is_the_same_and_shown_from_afar(lake: Path, whole: Session) -> None:
    session = on_lake(lake)
    assert session.sharpen()
    outcome = session.outcome
    assert isinstance(outcome.fine.array, Tiles)
    assert outcome.level == 0 < outcome.frame.level
    assert not session.is_coarse
    assert session.geometry.equals(whole.geometry)
    share = outcome.mask.array.sum() * 4**outcome.frame.level / whole.mask.array.sum()
    assert abs(share - 1) < 0.02
    session.accept("lake")
    assert session.accepted[0].geometry.equals(whole.geometry)
    assert session.accepted[0].gsd == pytest.approx(2.0, rel=0.01)


@pytest.mark.usefixtures("in_tiles")
def test_it_is_stopped_saved_and_resumed(lake: Path, whole: Session, tmp_path: Path) -> None:
    session = on_lake(lake)
    assert not session.sharpen(watch=stop_after(20))
    chips = session.outcome.grown.chips
    assert 10 < chips < whole.outcome.grown.chips
    session.save(tmp_path / "sea.gpkg")
    again = Session.load(tmp_path / "sea.gpkg", model=FloodModel())
    assert again.geometry.equals(session.geometry)
    told: list[str] = []
    assert again.sharpen(watch=Watch(told.append))
    looked_at = [one for one in told if one.startswith("sharpening")]
    assert len(looked_at) == whole.outcome.grown.chips - chips, "what was done is not done again"
    assert again.geometry.equals(whole.geometry)
    assert len(again.steps) == 2


@pytest.mark.usefixtures("in_tiles")
def test_it_is_corrected_where_it_is_sharp(lake: Path) -> None:
    session = on_lake(lake)
    session.sharpen()
    before = session.geometry
    session.add_point(*at(session, SIZE * 0.2, SIZE / 2))
    assert session.outcome.level == 0
    assert isinstance(session.outcome.fine.array, Tiles)
    assert session.geometry.symmetric_difference(before).area < 0.01 * before.area


@pytest.fixture(scope="module")
def lake_and_pond(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    truth = np.zeros((1000, 1000), bool)
    truth[:SIZE, :SIZE] = lake_truth(SIZE)
    truth[920:950, 900:960] = True
    return painted(tmp_path_factory.mktemp("pond") / "pond.tif", truth), truth


@pytest.mark.parametrize("tiles", [False, True])
def test_a_correction_amid_sharpening_leaves_nothing_coarse(
    lake_and_pond: tuple[Path, np.ndarray], tmp_path: Path, request: pytest.FixtureRequest,
    tiles: bool,
) -> None:  # fmt: skip
    if tiles:
        request.getfixturevalue("in_tiles")
    path, truth = lake_and_pond

    def wrong(session: Session) -> int:
        transform = session.raster.grid.transform
        return int((rasterize([session.geometry], truth.shape, transform=transform) != truth).sum())

    session = on_lake(path)
    assert not session.sharpen(watch=stop_after(8))
    session.add_point(*at(session, 930, 935))
    assert session.is_coarse
    coarse = wrong(session)
    assert not session.finish(middle=(5e5, 45e5), watch=stop_after(5))
    corrected = session.geometry
    session.save(tmp_path / "part.gpkg")
    assert Session.load(tmp_path / "part.gpkg", model=FloodModel()).geometry.equals(corrected)
    assert session.finish()
    assert [step.onward for step in session.steps] == [False, False, False, True]
    assert wrong(session) < coarse / 10
    whole = session.geometry
    assert shapely.contains(whole, shapely.Point(at(session, 930, 935)))
    session.accept("lake")
    session.save(tmp_path / "lake.gpkg")
    other = Session(path, FloodModel())
    segment_objects(other, read_prompts(tmp_path / "lake.gpkg", other.raster.grid))
    assert other.accepted[0].geometry.equals(whole)
    session.edit(1)
    assert session.geometry.equals(whole)
