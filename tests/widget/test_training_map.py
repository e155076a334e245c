"""A model of one's own from the map: begun, followed and stopped while clicks go on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import needed

needed("ipyleaflet")
needed("torch")
needed("onnx")

from geoiseg.errors import ExportError, ModelError, SessionError
from geoiseg.home import home
from geoiseg.training.own.judge import Score
from geoiseg.training.own.make import Own
from geoiseg.widget.channel.messages import Choose, Do
from geoiseg.widget.segment_map import SegmentMap
from geoiseg.widget.training import _said
from tests.training.test_training_own import project


def until(fits: Callable[[], object]) -> None:
    """Wait for a thread to come so far."""
    ends = time.monotonic() + 120
    while not fits():
        assert time.monotonic() < ends
        time.sleep(0.02)


@pytest.fixture
def m(tmp_path: Path) -> Iterator[SegmentMap]:
    session, _ = project(tmp_path / "rings.gpkg", 8)
    shown = SegmentMap(session=session)
    yield shown
    shown.close()


def test_it_is_stopped_and_clicks_go_on_meanwhile(m: SegmentMap) -> None:
    m.toolbar.heard(Choose("train", "discs"))
    assert m.toolbar.state["training"]["running"]
    until(lambda: m.toolbar.state["training"].get("what"))
    with pytest.raises(SessionError, match="is being trained"):
        m.train("others")
    m.add_point(500_000 + 2 * 60, 4_500_000 - 2 * 60)
    assert m.session.outcome is not None
    m.toolbar.heard(Do("stop-training"))
    until(lambda: not m.toolbar.state["training"]["running"])
    assert "it goes on from there" in m.toolbar.state["training"]["said"]
    assert not (home() / "own" / "discs").exists()
    assert not m.stop_training()


def test_what_can_not_be_is_told_at_once(m: SegmentMap, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is a model already"):
        m.train("tiny")
    (tmp_path / "there").mkdir()
    with pytest.raises(ExportError, match="is there already"):
        m.train(f"{tmp_path}/there")
    m.toolbar.heard(Choose("train", "../x"))
    assert "not a path" in m.toolbar.status["error"]
    m.session.review([1, 2, 3], "rejected")
    m.toolbar.heard(Choose("train", "discs"))
    assert "5 features are too few" in m.toolbar.status["error"]
    assert not m.toolbar.state["training"]["running"]


def test_what_came_of_it_is_a_line() -> None:
    before, after = Score(4, 5.0, 0.6, 0.7), Score(4, 3.0, 0.8, 0.9)
    own = Own(Path("x"), 16, before, after, written=True)
    assert _said("roofs", own) == (
        "roofs is in the list of models; on 4 features held out: 5.0 to 3.0 clicks,"
        " IoU at the first 0.60 to 0.80"
    )
    assert "did not help" in _said("roofs", Own(Path("x"), 16, before, before))
    assert _said("roofs", ModelError("no")) == "no"
