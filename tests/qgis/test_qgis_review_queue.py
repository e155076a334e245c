"""The order of a review in QGIS, without QGIS: as a session has it."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely

from geoiseg import Session
from geoiseg.features import reviewed as ours
from geoiseg.features.feature import now as our_now
from geoiseg.qgis import reviewed
from geoiseg.qgis.review_queue import Queue
from geoiseg.qgis.reviewed import Item, Wanted, flags_of, score_of, state_and_own
from geoiseg.session.reviewing import own_flags, state_of, user_name
from tests.conftest import write_raster


def test_states_columns_and_times_are_those_of_geoiseg() -> None:
    for name in ("TO_CHECK", "CHECKED", "REJECTED", "STATES", "STATE", "BY", "AT", "COLUMNS"):
        assert getattr(reviewed, name) == getattr(ours, name)
    assert len(reviewed.now()) == len(our_now())
    assert reviewed.now()[-6:] == our_now()[-6:] == "+00:00"
    assert list(reviewed.columns_for("checked", "Ann", "x")) == list(ours.COLUMNS)
    assert set(reviewed.columns_for("to check", "Ann", "x").values()) == {None}
    assert reviewed.columns_for("rejected", "", "x")["review_by"] is None


def test_who_reviews_is_named_or_the_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(reviewed.VARIABLE, raising=False)
    monkeypatch.setenv("LOGNAME", "Zoë")
    assert reviewed.reviewer() == user_name() == "Zoë"
    for named, who in ((" Ann ", "Ann"), ("", "")):
        monkeypatch.setenv(reviewed.VARIABLE, named)
        assert reviewed.reviewer() == user_name() == who

    def nobody() -> str:
        raise KeyError("no such user")

    monkeypatch.delenv(reviewed.VARIABLE)
    monkeypatch.setattr("getpass.getuser", nobody)
    assert reviewed.reviewer() == user_name() == ""


@pytest.fixture
def session(tmp_path: Path) -> Session:
    """Sixty features with every mixture of flags, scores, classes and states."""
    raster = write_raster(tmp_path / "scene.tif", np.ones((3, 400, 400), np.uint8))
    draw = random.Random(3)
    rows = [
        {
            "label": draw.choice(["roof", "pond", ""]),
            "score": draw.choice([None, 0.25, 0.5, 0.9]),
            "flags": draw.choice(["", None, "drifted", "goes on, drifted", "moved  moved"]),
            "fits": draw.choice([True, False]),
            "review": draw.choice([None, "to check", "Checked", "rejected"]),
        }
        for _ in range(60)
    ]
    boxes = [
        shapely.box(500_000 + 12 * n, 4_499_500, 500_009 + 12 * n, 4_499_509) for n in range(60)
    ]
    session = Session(raster, "grabcut")
    session.add_features(gpd.GeoDataFrame(rows, geometry=boxes, crs=32631))
    assert not {flag for found in session.flags.values() for flag in found} & {"small", "invalid"}
    return session


def item_of(one: Any) -> Item:
    columns = one.attributes
    state, own = state_and_own(columns.get("review"))
    flags = flags_of(columns.get("flags"), columns.get("fits"))
    assert flags == tuple(dict.fromkeys(own_flags(one)))
    assert state == state_of(one)
    score = score_of(one.score, columns.get("score_1"))
    return Item(one.id, one.id, state, one.label, flags, score, own)


WANTED = [
    {},
    {"state": None},
    {"state": "rejected", "flag": True},
    {"flag": False},
    {"flag": "goes on", "state": None},
    {"label": "pond"},
    {"label": ""},
    {"min_score": 0.3},
    {"max_score": 0.5, "state": None},
    {"min_score": 0.3, "max_score": 0.6, "label": "roof", "flag": "unfit", "state": None},
]


@pytest.mark.parametrize("wanted", WANTED, ids=str)
def test_order_filters_and_steps_are_those_of_a_session(session: Session, wanted: Any) -> None:
    queue = Queue()
    queue.fill(map(item_of, session.accepted))
    names = {"min_score": "least", "max_score": "most"}
    queue.wanted = Wanted(**{names.get(name, name): value for name, value in wanted.items()})
    assert queue.left == session.queue(**wanted)
    assert queue.shown == session.queue(**{**wanted, "state": None})
    assert sum(queue.counts().values()) == len(queue.shown)
    for one in (None, *session.accepted):
        here, number = (None, None) if one is None else (item_of(one), one.id)
        after, before = queue.beside(here, 1), queue.beside(here, -1)
        assert (after and after.fid) == session.next_to_check(number, **wanted)
        assert (before and before.fid) == session.previous_to_check(number, **wanted)
    for place, fid in enumerate(queue.shown, 1):
        item = queue.get(fid)
        assert item is not None
        assert queue.place(item) == place


def test_what_changes_is_sorted_in() -> None:
    queue = Queue()
    assert queue.beside(None, 1) is None
    assert (queue.shown, queue.labels(), queue.flags()) == ([], [], [])
    queue.fill(Item(n, n, score=n / 10) for n in range(1, 5))
    queue.put(Item(-2, -2, score=0.1))
    assert queue.left == [1, -2, 2, 3, 4]  # what is not saved comes after what is
    queue.put(Item(1, 1, "checked", score=0.1))
    assert queue.left == [-2, 2, 3, 4]
    assert queue.shown == [1, -2, 2, 3, 4]
    queue.put(Item(3, 3, score=0.3, flags=("moved",), label="pond"))
    assert queue.left == [3, -2, 2, 4]
    gone = queue.get(2)
    queue.drop([2, 99])
    assert gone is not None
    assert queue.place(gone) is None
    after = queue.beside(gone, 1)
    assert after is not None
    assert after.fid == 4  # goes on from where it was
    assert (queue.labels(), queue.flags()) == (["", "pond"], ["moved"])


def test_a_column_of_somebody_else_s_is_no_state() -> None:
    assert state_and_own("Checked ") == ("checked", "")
    assert state_and_own(None) == ("to check", "")
    assert state_and_own("by Bob") == ("to check", "by Bob")
    assert state_and_own(7) == ("to check", "7")
    assert score_of(None, 0.5) == 0.5
    assert score_of("0.5") is None
    assert score_of(float("nan")) is None
