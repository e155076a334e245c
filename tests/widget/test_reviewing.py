"""The review on the map, by its methods and by the page's messages given by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely

from geoiseg import SegmentMap
from geoiseg.errors import SessionError
from geoiseg.session.project import load_project
from geoiseg.session.reviewing import state_of
from geoiseg.widget.channel.messages import MessageError, ReviewFilter, parse
from tests.conftest import UTM, write_raster
from tests.widget.test_widget_map import say

EAST, NORTH = 500_000.0, 4_500_000.0
SCORES = [0.9, 0.4, 0.7, 0.6]
PLACES = [(20, 20), (300, 20), (20, 300), (300, 300)]
"""Metres east and south of the corner; pixels are 2 m."""


@pytest.fixture
def m(tmp_path: Path) -> Any:
    """Four features of two classes; the second is the most doubtful one."""
    data = np.random.default_rng(0).integers(40, 60, (3, 400, 400), dtype=np.uint8)
    for x, y in PLACES:
        data[:, y // 2 : y // 2 + 10, x // 2 : x // 2 + 10] += 120
    path = write_raster(tmp_path / "scene.tif", data)
    made = SegmentMap(path, project=tmp_path / "p.gpkg", classes=["a", "b"])
    shapes = [shapely.box(EAST + x, NORTH - y - 20, EAST + x + 20, NORTH - y) for x, y in PLACES]
    columns = {"label": ["a", "b", "a", "b"], "score": SCORES}
    made.add_features(gpd.GeoDataFrame(columns, geometry=shapes, crs=UTM))
    yield made
    made.close()


def states(m: SegmentMap) -> list[str]:
    return [state_of(one) for one in m.session.accepted]


def drawn(m: SegmentMap) -> dict[int, dict[str, Any]]:
    """Return the style of each feature that is on the map."""
    return {
        one["properties"]["id"]: one["properties"]["style"]
        for group in m.scene.features.layers
        for one in group.data["features"]
    }


def test_next_selects_the_most_doubtful_and_shows_it(m: SegmentMap) -> None:
    assert m.review_bar.state == {"open": False, "count": 4}
    m.review_next()
    assert m.selected == 2
    centre = m.frame.on_map(m.feature(2).geometry).centroid
    assert tuple(m.map.center) == pytest.approx((centre.y, centre.x), abs=1e-5)
    assert m.map.zoom > m._fitted[2]
    state = m.review_bar.state
    assert state["at"] | {"flags": []} == {
        "id": 2, "label": "b", "score": 0.4, "state": "to check", "by": "", "when": "",
        "flags": [], "note": "",
    }  # fmt: skip
    assert state["counts"] == {"to check": 4, "checked": 0, "rejected": 0}
    m.review_next()
    assert m.selected == 4
    m.review_previous()
    assert m.selected == 2


def test_the_keys_check_reject_and_go_on(m: SegmentMap) -> None:
    m.session.reviewer = "Ann"
    say(m, kind="do", name="review-next")
    say(m, kind="do", name="review-checked")
    assert m.selected == 4
    say(m, kind="do", name="review-rejected")
    assert m.selected == 3
    assert states(m) == ["to check", "checked", "to check", "rejected"]
    assert m.review_bar.state["counts"] == {"to check": 2, "checked": 1, "rejected": 1}
    assert [one.attributes.get("review_by") for one in load_project(m.session.project).features] \
        == [None, "Ann", None, "Ann"]  # fmt: skip
    m.select(4)
    say(m, kind="do", name="review-rejected")
    assert states(m)[3] == "to check"
    assert m.selected == 4  # taken back, it stays
    m.undo()
    assert states(m)[3] == "rejected"
    m.select(1)
    say(m, kind="do", name="review-checked")
    say(m, kind="do", name="review-checked")
    assert m.selected is None
    assert "Nothing is left to review" in m.toolbar.status["note"]
    assert m.review_bar.state["counts"]["to check"] == 0


def test_rejected_features_are_dimmed(m: SegmentMap) -> None:
    m.review("rejected", 3)
    m.review("checked", 4)
    styles = drawn(m)
    assert styles[3]["dashArray"]
    assert styles[3]["opacity"] < 1
    assert "dashArray" not in styles[4]
    assert "dashArray" not in styles[1]


def test_what_is_filtered_is_neither_shown_nor_hit_nor_reviewed(m: SegmentMap) -> None:
    wanted = {"label": "a", "flag": None, "min_score": None, "max_score": 0.8, "state": "to check"}
    m.select(2)
    say(m, kind="review", **wanted)
    assert set(drawn(m)) == {3}
    assert m.selected is None
    place = m.frame.on_map(m.feature(2).geometry).centroid
    say(m, kind="do", name="pick")
    say(m, kind="click", at=[place.y, place.x], zoom=18, negative=False)
    assert m.selected is None
    m.review_next()
    assert m.selected == 3
    assert m.review_bar.state["only"] == wanted
    say(m, kind="do", name="review")  # the bar is closed: all are shown
    assert set(drawn(m)) == {1, 2, 3, 4}
    assert m.hidden == frozenset()


def test_the_states_to_go_through_hide_nothing(m: SegmentMap) -> None:
    m.review("rejected", 1)
    m.show_only(state="rejected")
    assert set(drawn(m)) == {1, 2, 3, 4}
    m.review_next()
    assert m.selected == 1


def test_a_refined_feature_is_selected_again(m: SegmentMap) -> None:
    m.review_next()
    m.edit()
    with pytest.raises(SessionError, match="accept or cancel the object in progress first"):
        m.review_next()
    m.accept()
    assert m.selected == 2
    m.review()
    assert states(m)[1] == "checked"


def test_without_features_it_says_so(m: SegmentMap) -> None:
    for number in range(1, 5):
        m.delete(number)
    m.review_next()
    assert "no features to review" in m.toolbar.status["note"]
    with pytest.raises(SessionError, match="select a feature first"):
        m.review()


def test_the_message_is_checked() -> None:
    good = {"kind": "review", "label": "a ", "flag": "", "min_score": 0.5, "max_score": None,
            "state": "checked"}  # fmt: skip
    assert parse(good) == ReviewFilter("a ", "", 0.5, None, "checked")
    assert parse({"kind": "review"}) == ReviewFilter(None, None, None, None, None)
    bad = [{"label": 3}, {"flag": ["x"]}, {"min_score": 2}, {"max_score": float("nan")},
           {"max_score": True}, {"state": "done"}, {"label": "x" * 100_000}]  # fmt: skip
    for change in bad:
        with pytest.raises(MessageError):
            parse({**good, **change})
