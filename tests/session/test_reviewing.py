"""The review: states that survive files, undo and others; a queue with the doubtful first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely

import geoiseg
from geoiseg.errors import CollisionError, SessionError
from geoiseg.features import QualityOptions, Schema
from geoiseg.files import read_layer
from geoiseg.session import reviewing
from tests.conftest import UTM, write_raster

EAST, NORTH = 500_000.0, 4_500_000.0


def box(left: float, top: float, size: float = 50) -> shapely.Polygon:
    return shapely.box(EAST + left, NORTH - top - size, EAST + left + size, NORTH - top)


FIELDS = [box(20, 20), box(120, 20), box(220, 20), box(20, 120)]


def drawn(**columns: list[Any]) -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame({"label": ["a", "b", "a", "b"], **columns}, geometry=FIELDS, crs=UTM)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    data = np.random.default_rng(0).integers(1, 255, (3, 200, 200), dtype=np.uint8)
    return write_raster(tmp_path / "scene.tif", data)


@pytest.fixture
def session(path: Path) -> geoiseg.Session:
    """Four fields of two classes from elsewhere, with scores."""
    session = geoiseg.Session(path, "grabcut", project=path.with_name("p.gpkg"))
    session.add_features(drawn(score=[0.9, 0.4, 0.7, np.nan]))
    session.reviewer = "Ann"
    return session


def states(session: geoiseg.Session) -> list[str]:
    return [reviewing.state_of(one) for one in session.accepted]


def test_a_state_has_who_and_when_and_is_one_step(session: geoiseg.Session) -> None:
    assert states(session) == ["to check"] * 4
    assert "review" not in session.features
    session.review([1, 3])
    session.review(2, "rejected")
    assert states(session) == ["checked", "rejected", "checked", "to check"]
    assert session.review_counts() == {"to check": 1, "checked": 2, "rejected": 1}
    assert session.review_counts("b") == {"to check": 1, "checked": 0, "rejected": 1}
    said = session.accepted[0].attributes
    assert said["review_by"] == "Ann"
    assert said["review_at"].endswith("+00:00")
    assert session.undo()
    assert states(session) == ["checked", "to check", "checked", "to check"]
    assert session.undo()
    assert states(session) == ["to check"] * 4
    assert session.redo()
    session.review(1, "to check")
    assert states(session) == ["to check", "to check", "checked", "to check"]
    assert not set(reviewing.COLUMNS) & set(session.accepted[0].attributes)


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda s: s.review(9), "there is no feature 9"),
        (lambda s: s.review(1, "fine"), "one of to check, checked, rejected; got 'fine'"),
        (lambda s: s.queue(state="done"), "got 'done'"),
        (lambda s: s.queue(min_score=2), "min_score is a score of 0 to 1, got 2"),
        (lambda s: s.queue(max_score="high"), "max_score is a score of 0 to 1, got 'high'"),
    ],
)
def test_what_is_none_is_told_and_changes_nothing(
    session: geoiseg.Session, ask: Any, said: str
) -> None:
    before = session.accepted
    with pytest.raises(SessionError, match=said) as caught:
        ask(session)
    assert "\n" not in str(caught.value)
    assert session.accepted is before


def test_several_are_reviewed_all_or_none(session: geoiseg.Session) -> None:
    with pytest.raises(SessionError):
        session.review([1, 2, 9])
    assert states(session) == ["to check"] * 4


def test_the_name_is_a_setting_or_the_systems(
    session: geoiseg.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.reviewer = None
    monkeypatch.setenv("GEOISEG_REVIEWER", "Ben")
    session.review(1)
    assert session.accepted[0].attributes["review_by"] == "Ben"
    monkeypatch.setenv("GEOISEG_REVIEWER", "")
    session.review(1)
    assert "review_by" not in session.accepted[0].attributes
    monkeypatch.delenv("GEOISEG_REVIEWER")
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "cleo")
    session.review(1)
    assert session.accepted[0].attributes["review_by"] == "cleo"


def test_the_doubtful_come_first(session: geoiseg.Session) -> None:
    assert session.queue() == [2, 3, 1, 4]  # the least score first, without a score last
    session.limits = QualityOptions(min_area=2400)
    assert session.queue() == [2, 3, 1, 4]
    session.erase([(EAST + 15, NORTH - 120), (EAST + 75, NORTH - 120)], 20, 4)
    assert "small" in session.flags[4]
    assert session.queue() == [4, 2, 3, 1]
    assert session.queue(flag="small") == session.queue(flag=True) == [4]
    assert session.queue(flag=False) == [2, 3, 1]
    session.limits = QualityOptions()
    assert "small" not in session.flags[4]


def test_the_queue_is_narrowed(session: geoiseg.Session) -> None:
    assert session.queue(label="a") == [3, 1]
    assert session.queue(label=["a", "b"]) == [2, 3, 1, 4]
    assert session.queue(max_score=0.7) == [2, 3]
    assert session.queue(min_score=0.7) == [3, 1]
    session.review(3)
    session.review(2, "rejected")
    assert session.queue() == [1, 4]
    assert session.queue(state="rejected") == [2]
    assert session.queue(state=None) == [2, 3, 1, 4]


def test_next_and_previous_go_round_what_is_left(session: geoiseg.Session) -> None:
    assert session.next_to_check() == 2
    session.review(2)
    assert session.next_to_check(2) == 3  # from where it was, though it is in the queue no more
    assert session.next_to_check(3) == 1
    assert session.previous_to_check(1) == 3
    assert session.next_to_check(4) == 3  # round again to what was skipped
    assert session.previous_to_check(3) == 4
    assert session.next_to_check(3, label="b") == 4
    assert session.next_to_check(77) == 3
    session.review([1, 3, 4])
    assert session.next_to_check(2) is None
    assert session.previous_to_check() is None
    assert session.next_to_check(2, state="checked") == 3


def test_flags_of_other_commands_feed_the_queue(session: geoiseg.Session) -> None:
    for one in session.accepted:
        session.delete(one.id)
    session.add_features(
        drawn(flags=["", "small parts", "moved, goes on", ""], fits=[True, True, True, False])
    )
    assert list(session.flags.values()) == [
        (), ("small", "parts"), ("moved", "goes on"), ("unfit",),
    ]  # fmt: skip
    assert session.queue() == [2, 3, 4, 1]
    assert session.queue(flag="goes on") == [3]


def test_the_schemas_faults_feed_it(session: geoiseg.Session) -> None:
    session.schema = Schema.from_dict({"a": [{"name": "crop", "kind": "text", "required": True}]})
    assert session.flags[1] == ("missing:crop",)
    assert session.queue() == [3, 1, 2, 4]
    session.relabel(3, crop="rye")
    assert session.flags[3] == ()


def test_states_come_back_with_the_project(session: geoiseg.Session) -> None:
    session.review([1, 2])
    session.review(3, "rejected")
    again = geoiseg.Session.load(session.project)
    assert states(again) == ["checked", "checked", "rejected", "to check"]
    assert again.accepted[0].attributes == session.accepted[0].attributes
    assert again.queue() == [4]
    again.review(4)
    assert states(geoiseg.Session.load(session.project))[3] == "checked"


def test_a_project_without_states_opens_with_all_to_check(session: geoiseg.Session) -> None:
    again = geoiseg.Session.load(session.project)
    assert "review" not in read_layer(Path(session.project))
    assert states(again) == ["to check"] * 4
    assert again.review_counts()["to check"] == 4


@pytest.mark.parametrize("suffix", [".gpkg", ".geojson", ".parquet", ".fgb", ".shp"])
def test_exports_say_the_state_and_bring_it_back(
    session: geoiseg.Session, tmp_path: Path, suffix: str
) -> None:
    session.review(1)
    session.review(2, "rejected")
    out = session.export(tmp_path / f"out{suffix}")
    assert sorted(read_layer(out)["id"]) == [1, 3, 4]
    session.export(out, rejected=True)
    table = read_layer(out).sort_values("id")  # FlatGeobuf has an order of its own
    assert list(table["review"]) == ["checked", "rejected", "to check", "to check"]
    assert list(table["review_by"])[:2] == ["Ann", "Ann"]
    assert str(table["review_at"].iloc[0])[:10] == session.accepted[0].attributes["review_at"][:10]
    other = geoiseg.Session(session.raster, "grabcut")
    other.add_features(table)
    assert states(other) == ["checked", "rejected", "to check", "to check"]
    assert other.queue() == session.queue()


def test_two_reviewers_of_one_project(session: geoiseg.Session) -> None:
    other = geoiseg.Session.load(session.project)
    other.reviewer = "Ben"
    session.review(1)
    other.review(2, "rejected")
    assert states(other) == ["checked", "rejected", "to check", "to check"]
    other.review([1, 3])
    session.review(3)  # both say the same: no collision
    assert states(session) == ["checked", "rejected", "checked", "to check"]
    assert session.accepted[2].attributes["review_by"] == "Ben"
    other.review(4)
    with pytest.raises(CollisionError, match="feature 4"):
        session.review(4, "rejected")
    assert states(session)[3] == "checked"


def test_a_later_review_of_mine_is_not_lost_to_an_older_one(session: geoiseg.Session) -> None:
    session.review(1)
    other = geoiseg.Session.load(session.project)
    other.reviewer = "Ben"
    session.relabel(1, "c")
    other.review(1)
    assert other.accepted[0].label == "c"
    assert other.accepted[0].attributes["review_by"] == "Ben"


def test_a_column_of_the_same_name_is_not_overwritten(path: Path) -> None:
    session = geoiseg.Session(path, "grabcut")
    session.add_features(drawn(review=["good", "Checked", None, "bad"]))
    assert states(session) == ["to check", "checked", "to check", "to check"]
    assert list(session.features["review"])[:2] == ["good", "Checked"]
    with pytest.raises(SessionError, match="column 'review' of its own, 'good': rename it first"):
        session.review([1, 3])
    session.relabel(1, remark="good", review=None)
    session.review([1, 3])
    assert states(session) == ["checked", "checked", "checked", "to check"]


def test_on_another_date_objects_are_to_check_again(path: Path, tmp_path: Path) -> None:
    image = np.full((3, 200, 200), 60, np.uint8)
    image[:, 60:140, 60:140] = np.array([200, 180, 90], np.uint8)[:, None, None]
    noise = np.random.default_rng(2).integers(0, 5, image.shape, dtype=np.uint8)
    first = write_raster(tmp_path / "a_2020.tif", image + noise)
    second = write_raster(tmp_path / "a_2021.tif", image + noise)
    session = geoiseg.Session(first, "grabcut")
    grid = session.raster.grid
    corners = [(60, 60), (140, 60), (140, 140), (60, 140)]
    outline = shapely.Polygon(grid.to_crs(corners))
    session.add_features(gpd.GeoDataFrame({"label": ["a"]}, geometry=[outline], crs=UTM))
    session.review(1)
    carried = session.carry(second)
    assert states(session) == ["checked"]
    assert states(carried.session) == ["to check"]
    assert "review" not in carried.features
    assert carried.session.queue() == [1]


def test_ten_thousand_features_are_no_trouble(path: Path) -> None:
    session = geoiseg.Session(path, "grabcut")
    shapes = [box(2 * (n % 100), 2 * (n // 100), 1.5) for n in range(10_000)]
    frame = gpd.GeoDataFrame({"label": ["a"] * len(shapes)}, geometry=shapes, crs=UTM)
    session.add_features(frame)
    first = session.next_to_check()
    session.review(first or 0)
    flags = session._flagged[1]
    assert session.next_to_check(first) == 2
    assert session._flagged[1][5000][1] is flags[5000][1]  # looked at once
