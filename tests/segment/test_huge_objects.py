"""Objects too large for one array: kept in tiles, they are what they would be in one."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest

from geoiseg import Session
from geoiseg.segment import Watch, beyond
from geoiseg.segment.sharpening import SharpenOptions
from geoiseg.segment.tiles import Tiles
from tests.flood_model import FloodModel
from tests.session.test_finishing import SIZE, at, lake, on_lake, stop_after

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
