"""Intelligent scissors with the mouse: the border under the cursor, closed by a double click."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import shapely

from tests.widget.browser.harness import DISCS, UTM
from tests.widget.browser.test_by_hand import Open, Scene, at, shot

X, Y, RADIUS, _ = DISCS["blue"]


def rim(degrees: float) -> tuple[float, float]:
    angle = np.radians(degrees)
    return at(X + RADIUS * np.cos(angle), Y + RADIUS * np.sin(angle))


def ahead(m: Any) -> str:
    return str(m.page.locator(".geoiseg-wire .gs-ahead").get_attribute("points") or "")


@pytest.mark.parametrize("kind", ["voila"])
def test_a_border_is_followed_and_closed_by_a_double_click(
    open_map: Open, request: pytest.FixtureRequest, kind: str
) -> None:
    s = Scene(open_map, request.getfixturevalue(kind), "wire", shapes="[plot(20, 20, 60, 60)]")
    m = s.m
    bar = m.page.get_by_role("toolbar", name="Follow the border")
    assert not bar.is_visible()
    m.use("wire", "j")
    bar.get_by_role("button", name="hybrid").click()
    m.page.wait_for_selector(".gs-wire-bar button.gs-on[data-name=hybrid]")
    m.click(*rim(0))
    m.page.wait_for_selector(".geoiseg-wire rect", state="attached")
    m.page.mouse.move(*m.at(*rim(100)))
    m.page.wait_for_function(
        "() => (document.querySelector('.geoiseg-wire .gs-ahead').getAttribute('points') ?? '')"
        ".split(' ').length > 5"
    )
    spots = np.array([[float(v) for v in one.split(",")] for one in ahead(m).split()])
    box = m.map.bounding_box()
    middle = np.array(m.at(*at(X, Y))) - (box["x"], box["y"])
    radius = np.hypot(*(np.array(m.at(*rim(0))) - m.at(*at(X, Y))))
    away = np.hypot(*(spots - middle).T) / radius
    assert np.abs(away - 1).max() < 0.06  # along the rim, not straight to the cursor
    for degrees in (120, 200, 280):
        m.click(*rim(degrees))
        m.page.wait_for_function(
            "n => document.querySelectorAll('.geoiseg-wire rect').length === n",
            arg=2 + (120, 200, 280).index(degrees),
        )
    m.page.mouse.move(*m.at(*rim(330)))
    m.page.wait_for_function("() => document.querySelector('.gs-ahead').getAttribute('points')")
    shot(m, "wire")
    m.page.mouse.dblclick(*m.at(*rim(300)))
    disc = shapely.Point(UTM @ (X, Y)).buffer(RADIUS * 0.5)
    state = m.until(lambda now: now["area"])
    assert state["area"] == pytest.approx(disc.area, rel=0.04)
    # The area and the border that is gone come in messages of their own.
    m.page.wait_for_function("() => !document.querySelector('.geoiseg-wire rect')")
    shot(m, "wire-closed")
    m.key("Enter")
    now = s.until(lambda shapes: len(shapes) == 2)
    assert shapely.intersection(now[1], disc).area / shapely.union(now[1], disc).area > 0.95
