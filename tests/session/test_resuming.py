"""Opening a project: its object in progress is as it was, or is done again, watched and stopped."""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest

from geoiseg import SegmentMap, Session
from geoiseg.errors import CancelledError
from geoiseg.segment import Outcome, Watch
from geoiseg.segment.coarse import Coarse
from geoiseg.segment.tiles import Tiles
from geoiseg.session.project import load_project, save_project
from tests.flood_model import FloodModel
from tests.segment.test_huge_objects import in_tiles
from tests.session.test_finishing import (
    SIZE,
    Slow,
    at,
    lake,
    on_lake,
    on_river,
    river,
    stop_after,
    until,
)

__all__ = ["in_tiles", "lake", "river"]


def same(one: Any, other: Any) -> bool:
    """Return whether two values are the same to the last bit, whatever they consist of."""
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    names = {Tiles: ["window", "chips", "lost", "full", "whole", "packed"],
             Coarse: ["known", "shape"]}.get(type(one))  # fmt: skip
    if names is None and is_dataclass(one):
        names = [field.name for field in fields(one) if field.name != "milliseconds"]
    if names is None:
        return bool(one == other)
    return type(one) is type(other) and all(
        same(getattr(one, name), getattr(other, name)) for name in names
    )


def looks(path: Path, model: FloodModel | None = None, **how: Any) -> tuple[Session, int]:
    """Return the session of a project, and through how many phases it came back."""
    told: list[str] = []
    session = Session.load(path, model=model or FloodModel(), watch=Watch(told.append), **how)
    return session, len(told)


def without_kept(path: Path) -> Path:
    """Return a project as those of before, which hold the steps alone."""
    older = path.with_name("older.gpkg")
    save_project(replace(load_project(path), kept=None), older)
    return older


def stopped_on(lake: Path) -> Session:
    session = on_lake(lake)
    assert not session.sharpen(watch=stop_after(20))
    return session


@pytest.mark.parametrize("how", ["sharpened", "in tiles", "corrected", "followed"])
def test_it_is_as_it_was_and_as_it_is_replayed(
    how: str, lake: Path, river: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if how == "in tiles":
        request.getfixturevalue("in_tiles")
    session = on_river(river) if how == "followed" else stopped_on(lake)
    if how == "corrected":
        session.add_point(*at(session, SIZE * 0.2, SIZE / 2))
    session.save(tmp_path / "work.gpkg")
    again, phases = looks(tmp_path / "work.gpkg")
    other, many = looks(without_kept(tmp_path / "work.gpkg"))
    assert phases == 0 < many
    assert isinstance(again.outcome, Outcome)
    assert same(again.outcome, session.outcome)
    assert same(other.outcome, session.outcome)
    assert again.steps == session.steps
    if how != "followed":
        assert again.outcome.unfinished is not None
        assert again.sharpen()
        assert session.sharpen()
        assert same(again.outcome, session.outcome)


def test_what_has_changed_or_is_damaged_is_replayed(lake: Path, tmp_path: Path) -> None:
    session = stopped_on(lake)
    path = session.save(tmp_path / "work.gpkg")
    newer = FloodModel()
    newer.info = replace(newer.info, weights_hash="2")
    assert looks(path, newer)[1] > 0
    project = load_project(path)
    assert project.kept is not None
    text = json.dumps(project.kept)
    mask = project.kept["grown"]["mask"]
    for damaged in (
        text.replace(mask["data"], mask["data"][: len(mask["data"]) // 8 * 4]),
        text.replace(json.dumps(mask["shape"]), "[99999999, 99999999]"),
        text.replace('"full"', '"empty"'),
        text.replace(json.dumps(mask["shape"]), f"[{2**63}, 1]"),
    ):
        save_project(replace(project, kept=json.loads(damaged)), tmp_path / "damaged.gpkg")
        again, phases = looks(tmp_path / "damaged.gpkg")
        assert phases > 0
        assert same(again.outcome, session.outcome)


def test_stopped_all_else_is_there_and_nothing_is_lost(
    lake: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    session = stopped_on(lake)
    steps, outcome = session.steps, session.outcome
    session.add_features(gpd.GeoDataFrame(geometry=[session.geometry], crs=session.raster.grid.crs))
    path = without_kept(session.save(tmp_path / "work.gpkg"))
    part = Session.load(path, model=FloodModel(), watch=stop_after(5))
    assert "session.replay()" in caplog.text
    assert part.outcome is None
    assert part.unreplayed == steps
    part.relabel(1, "lake")
    whole, _ = looks(path)
    assert [one.label for one in whole.accepted] == ["lake"]
    assert same(whole.outcome, outcome)
    assert part.replay()
    assert same(part.outcome, outcome)
    assert not part.unreplayed
    assert not part.replay()
    other = Session.load(path, model=FloodModel(), replay=False)
    other.add_point(*at(other, SIZE * 0.18, SIZE / 2))
    other.save()
    assert len(load_project(path).steps) == len(other.steps) != len(steps), "another was begun"


def test_it_stays_in_the_file_until_another_is_begun_or_it_is_dropped(
    lake: Path, tmp_path: Path
) -> None:
    session = stopped_on(lake)
    path = session.save(tmp_path / "work.gpkg")
    begun = Session.load(path, model=FloodModel(), replay=False)
    begun.add_point(*at(begun, SIZE * 0.18, SIZE / 2))
    begun.accept("lake")
    assert not begun.unreplayed
    assert not load_project(path).steps
    session.save(tmp_path / "other.gpkg")
    dropped = Session.load(tmp_path / "other.gpkg", model=FloodModel(), replay=False)
    dropped.clear()
    dropped.save()
    assert not load_project(tmp_path / "other.gpkg").steps


def test_brought_back_late_it_is_there_however_far_one_goes_back(
    lake: Path, tmp_path: Path
) -> None:
    session = stopped_on(lake)
    session.add_features(gpd.GeoDataFrame(geometry=[session.geometry], crs=session.raster.grid.crs))
    path = session.save(tmp_path / "work.gpkg")
    again = Session.load(path, model=FloodModel(), replay=False)
    again.relabel(1, "lake")
    assert again.replay()
    assert again.undo()
    assert again.accepted[0].label != "lake"
    assert again.steps == session.steps
    assert load_project(path).steps == session.steps


def test_what_is_being_edited_is_known_when_others_have_changed_the_file(
    lake: Path, tmp_path: Path
) -> None:
    session = on_lake(lake)
    shape = session.geometry
    session.accept_as_seen("lake")
    session.add_features(gpd.GeoDataFrame(geometry=[shape], crs=session.raster.grid.crs))
    session.edit(1)
    path = session.save(tmp_path / "work.gpkg")
    here, there = (Session.load(path, model=FloodModel(), replay=False) for _ in range(2))
    there.relabel(2, "other")
    here.relabel(1, "mine")
    found = load_project(path)
    assert [one.label for one in found.features] == ["mine", "other"]
    assert found.editing == 1


def test_a_map_tells_of_it_and_is_stopped(lake: Path, tmp_path: Path) -> None:
    session = stopped_on(lake)
    path = without_kept(session.save(tmp_path / "work.gpkg"))
    with contextlib.closing(SegmentMap(lake, Slow(), project=path)) as m:
        until(lambda: "sharpening" in m.toolbar.status.get("phase", ""))
        m.cancel()
        until(lambda: not m.busy and "not replayed" in m.toolbar.status["note"])
        assert m.session.outcome is None
        m.replay()
        assert same(m.session.outcome, session.outcome)
        assert m.toolbar.state["has_object"]
        assert "not replayed" not in m.toolbar.status["note"]


def test_another_model_and_taking_up_are_told_and_stopped_without_loss(lake: Path) -> None:
    session = on_lake(lake)
    assert session.sharpen()
    model, sharp = session.model, session.outcome
    with pytest.raises(CancelledError):
        session.use_model(FloodModel(), watch=stop_after(3))
    assert session.model is model
    assert session.outcome is sharp
    session.use_model(FloodModel(), watch=stop_after(1000))
    assert session.model is not model
    assert same(session.outcome, sharp)
    number = session.accept_as_seen("lake")
    session.add_point(*at(session, SIZE * 0.18, SIZE / 2))
    steps, seen, shape = session.steps, session.outcome, session.accepted[0].geometry
    with pytest.raises(CancelledError):
        session.edit(number, watch=stop_after(3))
    assert (session.steps, session.outcome, session.editing) == (steps, seen, None)
    assert session.accepted[0].geometry.equals(shape)
    session.edit(number)
    assert same(session.outcome, sharp)


class Lingering(FloodModel):
    """Leaves time to stop it, on chips that are kept, too."""

    def decode(self, *given):
        time.sleep(0.08)
        return super().decode(*given)


def test_esc_on_the_map_stops_another_model_and_taking_up(lake: Path) -> None:
    session = on_lake(lake)
    assert session.sharpen()
    sharp, other = session.outcome, Lingering()
    with contextlib.closing(SegmentMap(session=session, project=False)) as m:

        def stopped() -> None:
            until(lambda: "chip" in m.toolbar.status.get("phase", ""))
            m.cancel()
            until(lambda: not m.busy and not m.toolbar.status.get("phase"))

        m.use_model(other, wait=False)
        stopped()
        assert session.model is not other
        assert session.outcome is sharp
        m.use_model(other)
        assert same(session.outcome, sharp)
        number = session.accept_as_seen("lake")
        m.edit(number, wait=False)
        stopped()
        assert session.outcome is None
        assert session.editing is None
        assert [one.id for one in session.accepted] == [number]
