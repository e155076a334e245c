"""The answers to a vague click, one after the other on the map."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from geoiseg.widget.segment_map import SegmentMap
from tests.session.test_choosing import nested, radius, start

__all__ = ["nested"]


def test_tab_goes_through_them_on_the_map(nested: Path) -> None:
    with contextlib.closing(SegmentMap(session=start(nested))) as m:
        sizes = []
        for _ in range(3):
            m.next_answer()
            sizes.append(radius(m.session))
        assert sizes == pytest.approx([90, 15, 40], rel=0.02)
        assert m.toolbar.status["note"] == "Answer 2 of 3, by size"
