"""Tab on the map: the next answer where there is an object, the next button where there is none."""

from __future__ import annotations

from collections.abc import Callable

from tests.widget.browser.harness import DISCS, UTM, MapPage, Server, lonlat, write_scene

Open = Callable[..., MapPage]
CRS = "EPSG:32633"
CODE = """
from geoiseg.widget.segment_map import SegmentMap
m = SegmentMap('choose.tif', classes=['water'])
"""
FOCUSED = "document.activeElement.classList.contains('geoiseg-map')"


def test_tab_asks_for_the_next_answer(open_map: Open, voila: Server) -> None:
    write_scene(voila.folder / "choose.tif", CRS, UTM)
    m = open_map(voila, CODE)
    m.click(*lonlat(UTM, CRS, *DISCS["blue"][:2]))
    m.until(lambda s: s["area"])
    assert m.page.evaluate(FOCUSED)
    m.page.keyboard.press("Tab")
    note = m.until(lambda s: s["status"]["note"])["status"]["note"]
    assert note.startswith(("Answer ", "The model sees no other answer"))
    assert m.page.evaluate(FOCUSED)
    m.key("Escape")
    m.until(lambda s: not s["area"])
    for _ in range(100):  # until the page, too, knows that there is no object
        m.key("Tab")
        if not m.page.evaluate(FOCUSED):
            return
        m.page.wait_for_timeout(100)
    raise AssertionError("Tab does not go on to the buttons")
