"""Intelligent scissors on the map without a browser: messages in, border and object out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely

from geoiseg import SegmentMap, open_raster
from geoiseg.errors import PromptError
from tests.conftest import Disk
from tests.segment.test_scissors import around
from tests.widget.test_widget_map import on_map, settle

ZOOM = 17


@pytest.fixture
def m(disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    made = SegmentMap(disk.path, model="region-growing", project=False)
    made.tool = "wire"
    yield made
    made.close()


def place(m: SegmentMap, disk: Disk, degrees: float) -> list[float]:
    xy = m.session.raster.grid.to_crs(around(disk, degrees))[0]
    return on_map(m, (float(xy[0]), float(xy[1])))


def tell(m: SegmentMap, **message: Any) -> None:
    m.bridge.receive(None, message, [])
    m.wire.wait()
    settle(m)


def click(m: SegmentMap, at: list[float], *, negative: bool = False) -> None:
    tell(m, kind="click", at=at, zoom=ZOOM, negative=negative)


def count(sent: dict[str, bytes], name: str) -> int:
    return len(np.frombuffer(sent.get(name, b""), "<f8")) // 2


def test_a_double_click_closes_the_border(m: SegmentMap, disk: Disk) -> None:
    assert m.wire_bar.state == {"on": True, "follows": "pixel"}
    assert m.bridge.hover_ms > 0
    assert not m.bridge.prompting
    click(m, place(m, disk, 0))
    click(m, place(m, disk, 0))  # a double click too early
    assert count(m.wire_bar.border, "clicks") == 1
    tell(m, kind="move", at=place(m, disk, 100), zoom=ZOOM)
    assert count(m.wire_bar.ahead, "path") > 5
    path = np.frombuffer(m.wire_bar.ahead["path"], "<f8").reshape(-1, 2)
    assert np.allclose(path[[0, -1], ::-1], [place(m, disk, 0), place(m, disk, 100)], atol=1e-7)
    click(m, place(m, disk, 120))
    assert m.wire_bar.ahead == {}
    click(m, place(m, disk, 240))
    assert m.session.steps == ()
    click(m, place(m, disk, 240))
    assert m.wire_bar.border == {}
    truth = disk.truth.sum() * abs(m.session.raster.grid.transform.determinant)
    assert m.geometry.area == pytest.approx(truth, rel=0.08)
    assert m.session.prompts.items[-1].by == "wire"
    assert m.toolbar.status["error"] == ""


def test_so_does_a_click_on_the_first_one_or_enter(m: SegmentMap, disk: Disk) -> None:
    for degrees in (0, 120, 240, 0):
        click(m, place(m, disk, degrees))
    first = m.geometry
    for degrees in (0, 120, 240):
        click(m, place(m, disk, degrees))
    tell(m, kind="do", name="accept")
    assert len(m.session.accepted) == 0
    assert m.geometry.equals_exact(first, 1e-9)
    tell(m, kind="do", name="accept")
    assert len(m.session.accepted) == 1


def test_clicks_are_taken_back_and_the_border_dropped(m: SegmentMap, disk: Disk) -> None:
    for degrees in (0, 60, 120, 180):
        click(m, place(m, disk, degrees))
    click(m, place(m, disk, 300), negative=True)
    tell(m, kind="do", name="undo")
    tell(m, kind="do", name="delete")
    assert count(m.wire_bar.border, "clicks") == 1
    tell(m, kind="do", name="cancel")
    assert m.wire_bar.border == {}
    assert not m.wire.begun
    tell(m, kind="do", name="undo")  # the session's own again
    assert m.toolbar.status["error"] == ""


def test_what_it_follows_is_chosen(m: SegmentMap, disk: Disk) -> None:
    tell(m, kind="choose", what="follows", name="hybrid")
    assert m.wire.follows == m.wire_bar.state["follows"] == "hybrid"
    tell(m, kind="choose", what="follows", name="/etc/passwd")
    assert m.wire.follows == "hybrid"
    with pytest.raises(PromptError, match="pixel, superpixel, hybrid"):
        m.wire.follows = "edges"
    m.tool = "point"
    assert not m.wire_bar.state["on"]


def test_beside_the_raster_is_one_clear_line(m: SegmentMap, disk: Disk) -> None:
    click(m, [0.0, 0.0])
    assert "outside the raster" in m.toolbar.status["error"]
    click(m, place(m, disk, 0))
    click(m, place(m, disk, 90))
    tell(m, kind="move", at=[0.0, 0.0], zoom=ZOOM)
    assert m.wire_bar.ahead == {}
    tell(m, kind="move", at=None, zoom=ZOOM)
    tell(m, kind="do", name="accept")
    assert "3 clicks or more" in m.toolbar.status["error"]
    assert count(m.wire_bar.border, "clicks") == 2


def test_a_border_is_dropped_when_other_bands_are_segmented(m: SegmentMap, disk: Disk) -> None:
    click(m, place(m, disk, 0))
    m.session.raster = open_raster(disk.path)
    tell(m, kind="move", at=place(m, disk, 90), zoom=ZOOM)
    assert m.wire_bar.border == m.wire_bar.ahead == {}
    assert m.toolbar.status["error"] == ""


def test_a_traced_object_by_code(m: SegmentMap, disk: Disk) -> None:
    clicks = [tuple(xy) for xy in m.session.raster.grid.to_crs(around(disk, 0, 120, 240))]
    m.trace(clicks, follows="superpixel")
    truth = disk.truth.sum() * abs(m.session.raster.grid.transform.determinant)
    assert m.geometry.area == pytest.approx(truth, rel=0.1)
    square = shapely.box(*m.geometry.bounds)
    m.draw(square)
    assert m.geometry.equals(square)
