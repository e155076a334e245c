"""The sliders of the panel that fill holes, drop parts and move borders, accepted ones too."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.widget.browser.harness import DISCS, UTM, MapPage, Server, lonlat, write_scene

Open = Callable[..., MapPage]
CRS = "EPSG:32633"
CODE = """
from geoiseg.widget.segment_map import SegmentMap
m = SegmentMap('reshape.tif', classes=['water'])
"""


def shot(m: MapPage, name: str) -> None:
    if folder := os.environ.get("GEOISEG_SHOTS"):
        m.page.screenshot(path=Path(folder) / f"{name}.png")


def test_borders_move_at_once_in_the_panel(open_map: Open, voila: Server) -> None:
    write_scene(voila.folder / "reshape.tif", CRS, UTM)
    m = open_map(voila, CODE)
    place = lonlat(UTM, CRS, *DISCS["blue"][:2])
    m.click(*place)
    drawn = m.until(lambda s: s["area"])["area"]
    m.press("settings")
    slider = m.page.get_by_label("Move border")
    assert not m.page.get_by_label("Accepted ones too").count()
    slider.focus()
    m.page.keyboard.press("ArrowRight")
    grown = m.until(lambda s: s["area"] != drawn)["area"]
    assert grown > drawn

    m.key("Enter")
    state = m.until(lambda s: len(s["features"]) == 1)
    assert state["features"][0]["area"] == pytest.approx(grown, rel=1e-6)
    m.page.get_by_label("Accepted ones too").check()
    slider = m.page.get_by_label("Move border")
    slider.focus()
    m.page.keyboard.press("ArrowRight")
    more = m.until(lambda s: s["features"][0]["area"] > grown)["features"][0]["area"]
    assert more - grown == pytest.approx(grown - drawn, rel=0.1)
    m.page.wait_for_selector(".gs-line:visible >> text=1 accepted feature reshaped")
    shot(m, "reshape-panel")
    m.key("Control+z")
    m.until(lambda s: s["features"][0]["area"] == pytest.approx(grown, rel=1e-6))
