"""The tools by hand without a browser: what the page says of them, and what becomes of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely

from geoiseg import SegmentMap
from tests.conftest import UTM
from tests.session.test_by_hand import at, box, path, shape
from tests.widget.test_widget_map import on_map, say

__all__ = ["path"]
RING = box(140, 160, 160, 140)
ZOOM = 17


@pytest.fixture
def m(path: Path) -> Iterator[SegmentMap]:
    """A map of a field with a hole and a triangle; the field is selected."""
    made = SegmentMap(path, model="grabcut", project=path.with_name("p.gpkg"))
    field = box(100, 200, 200, 100).difference(RING)
    triangle = shapely.Polygon([at(300, 300), at(380, 300), at(340, 380)])
    made.add_features(gpd.GeoDataFrame({"label": ["a", "b"]}, geometry=[field, triangle], crs=UTM))
    made.select(1)
    yield made
    made.close()


def shaky_click(m: SegmentMap, x: float, y: float) -> None:
    """Click at a place with a hand that is not quite still: by some tenths of a metre."""
    places = [
        on_map(m, at(x + dx, y + dy)) for dx, dy in ((0, 0), (1, 0), (1, 1), (0, 1), (0.5, 1))
    ]
    say(m, kind="drag", box=False, at=places, zoom=ZOOM, negative=False)


def test_a_click_that_is_not_quite_still_fills_a_hole(m: SegmentMap) -> None:
    m.tool = "hole"
    shaky_click(m, 150, 150)
    assert m.toolbar.status["error"] == ""
    assert shape(m.session, 1).equals(box(100, 200, 200, 100))


def test_a_click_moves_no_outline(m: SegmentMap) -> None:
    m.tool, before, answered = "move-outline", shape(m.session, 1), m.bridge.answered
    shaky_click(m, 120, 120)
    assert shape(m.session, 1) is before
    assert m.bridge.answered > answered  # so that the page takes its mark away
    places = [on_map(m, at(120, 120)), on_map(m, at(150, 120))]
    say(m, kind="drag", box=False, at=places, zoom=ZOOM, negative=False)
    assert shape(m.session, 1).centroid.distance(before.centroid) == pytest.approx(30, abs=0.1)


def test_a_click_with_the_line_that_splits_says_what_to_do(m: SegmentMap) -> None:
    m.tool = "split"
    say(m, kind="drag", box=False, at=[on_map(m, at(120, 120))], zoom=ZOOM, negative=False)
    assert "draw it across" in m.toolbar.status["error"]
    assert "model" not in m.toolbar.status["error"]


def test_the_page_is_told_of_a_vertex_that_stays_where_it_was(m: SegmentMap) -> None:
    m.select(2)
    m.tool = "vertex"
    shown = dict(m.hand.outline)
    assert shown["rings"] == [3]
    flat = {"at": on_map(m, at(340, 380)), "to": on_map(m, at(300, 300))}  # no ground is left
    say(m, kind="vertex", what="move", **flat)
    assert "nothing of the outline" in m.toolbar.status["error"]
    assert m.hand.outline != shown  # a change that the page hears of
    assert m.hand.outline["xy"] == shown["xy"]
    say(m, kind="vertex", what="move", at=flat["at"], to=on_map(m, at(340, 370)))
    assert not np.array_equal(m.hand.outline["xy"], shown["xy"])
