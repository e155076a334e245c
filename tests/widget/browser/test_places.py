"""Where things are drawn, in whatever frame, view, theme and size of window."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import combinations
from typing import Any

import pytest
from affine import Affine

from tests.widget.browser.harness import (
    DISCS,
    GEOGRAPHIC,
    TURNED,
    UTM,
    MapPage,
    Server,
    lonlat,
    write_scene,
)

Open = Callable[..., MapPage]
NEW = "from geoiseg.widget.segment_map import SegmentMap\n"
GROUND = (60, 110, 50)


def close(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    return max(abs(p - q) for p, q in zip(a, b, strict=True)) < 30


@pytest.mark.parametrize(
    ("name", "crs", "transform"),
    [("turned", "EPSG:32633", TURNED), ("geographic", "EPSG:4326", GEOGRAPHIC)],
)
def test_colours_lie_where_they_belong(
    open_map: Open, voila: Server, name: str, crs: str, transform: Affine
) -> None:
    write_scene(voila.folder / f"{name}.tif", crs, transform)
    m = open_map(voila, NEW + f"m = SegmentMap('{name}.tif', project=False)")
    m.page.wait_for_timeout(1200)
    for x, y, radius, colour in (DISCS["blue"], DISCS["orange"], DISCS["grey"]):
        for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            for share, expected in ((0.85, colour), (1.15, GROUND)):
                place = lonlat(transform, crs, x + dx * radius * share, y + dy * radius * share)
                seen = m.colour(*m.at(*place))
                assert close(seen, expected), (x, y, dx, dy, share, seen, expected)
    blue = lonlat(transform, crs, *DISCS["blue"][:2])
    m.click(*blue)
    state = m.until(lambda s: s["centre"])
    assert abs(state["centre"][0] - blue[0]) < 1e-4
    assert abs(state["centre"][1] - blue[1]) < 1e-4
    m.page.wait_for_timeout(600)
    x, y, radius, colour = DISCS["blue"]
    painted = m.colour(*m.at(*lonlat(transform, crs, x + 0.6 * radius, y)))
    assert not close(painted, colour), "the mask is not painted over the disc"
    outside = m.colour(*m.at(*lonlat(transform, crs, x + 1.4 * radius, y)))
    assert close(outside, GROUND)


def test_raster_without_crs_is_clicked_in_pixels(open_map: Open, voila: Server) -> None:
    write_scene(voila.folder / "plain.tif", None, Affine.identity())
    m = open_map(voila, "import geoiseg.raster.grid as g\n" + NEW
                 + "probe.reproject_geometry = lambda shape, a, b: shape\n"
                 "m = SegmentMap('plain.tif', project=False)")  # fmt: skip
    box = m.map.bounding_box()
    m.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    state = m.until(lambda s: s["centre"])
    x, y = DISCS["blue"][:2]  # rows go down: y is negative, as a GIS shows it
    assert state["centre"] == pytest.approx((x, -y), abs=8)


def test_two_views_stay_in_step(open_map: Open, voila: Server) -> None:
    path = voila.folder / "twice.tif"
    write_scene(path, "EPSG:32633", UTM)
    m = open_map(
        voila,
        NEW + "m = SegmentMap('twice.tif', project=False)\nm.map.layout.height = '380px'\n"
        "display(m)",
    )
    assert m.page.locator(".leaflet-container").count() == 2
    m.page.wait_for_function("document.querySelectorAll('.geoiseg-ui .gs-rail').length === 2")
    m.page.wait_for_timeout(1000)
    m.click(*lonlat(UTM, "EPSG:32633", *DISCS["blue"][:2]))
    m.until(lambda s: s["centre"])
    m.page.wait_for_function(
        "document.querySelectorAll('.leaflet-image-layer[data-seq]').length >= 2"
    )
    m.key("b")
    m.page.wait_for_function(
        "[...document.querySelectorAll('.geoiseg-map')].every(e => e.dataset.tool === 'box')"
    )
    m.key("Enter")
    m.until(lambda s: s["features"])
    m.page.wait_for_function(
        "[...document.querySelectorAll('.leaflet-container')].every("
        "e => e.querySelectorAll('.leaflet-overlay-pane path').length >= 1)"
    )
    second = m.page.locator(".leaflet-container").nth(1)
    second.locator("button[data-name=zoom-in]").click()
    m.until(lambda s: s["zoom"] == 17)
    m.page.wait_for_timeout(600)
    scales = m.page.locator(".leaflet-control-scale-line").all_inner_texts()
    assert len(set(scales)) == 1


def test_without_subshells(open_map: Open, lab: Server) -> None:
    folder = lab.folder / "settings" / "@jupyterlab" / "apputils-extension"
    setting = folder / "kernels-settings.jupyterlab-settings"
    setting.write_text(json.dumps({"commsOverSubshells": "disabled"}))
    try:
        write_scene(lab.folder / "main-thread.tif", "EPSG:32633", UTM)
        m = open_map(
            lab,
            "import threading, json, pathlib\n" + NEW
            + "m = SegmentMap('main-thread.tif', project=False)\nheard = m.bridge.heard\n"
            "def note(message):\n"
            "    pathlib.Path('thread.txt').write_text(threading.current_thread().name)\n"
            "    heard(message)\n"
            "m.bridge.heard = note",
        )  # fmt: skip
        m.click(*lonlat(UTM, "EPSG:32633", *DISCS["blue"][:2]))
        m.until(lambda s: s["centre"])
        m.key("Enter")
        m.until(lambda s: s["features"])
        assert (lab.folder / "thread.txt").read_text() == "MainThread"
    finally:
        setting.unlink()


PARTS = ".gs-rail, .gs-menu, .gs-panel, .gs-chip, .gs-line, .gs-bar, .leaflet-control-scale"


def boxes(page: Any) -> list[dict[str, Any]]:
    return page.evaluate(
        """selector => [...document.querySelectorAll(selector)].filter(e => e.offsetParent
        && getComputedStyle(e).visibility !== 'hidden').map(e => {
            const {left, top, right, bottom} = e.getBoundingClientRect();
            return {name: e.className + ' ' + e.textContent.slice(0, 20), left, top, right, bottom}
        })""",
        PARTS,
    )


def overlaps(parts: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [
        (a["name"], b["name"])
        for a, b in combinations(parts, 2)
        if min(a["right"], b["right"]) - max(a["left"], b["left"]) > 1
        and min(a["bottom"], b["bottom"]) - max(a["top"], b["top"]) > 1
    ]


@pytest.mark.parametrize(
    ("size", "theme"), [((1400, 1000), "light"), ((900, 600), "dark")], ids=["large", "small"]
)
def test_nothing_overlaps(open_map: Open, voila: Server, size: tuple[int, int], theme: str) -> None:
    write_scene(voila.folder / "layout.tif", "EPSG:32633", UTM)
    m = open_map(
        voila,
        NEW + "m = SegmentMap('layout.tif', project=False,"
        " classes=['field', 'water', 'building', 'orchard'])",
        size=size,
        query=f"?theme={theme}",
        tiles=2,
    )
    check = lambda: (m.page.wait_for_timeout(150), overlaps(boxes(m.page)))[1]  # noqa: E731
    assert check() == []
    m.click(*lonlat(UTM, "EPSG:32633", *DISCS["blue"][:2]))
    m.until(lambda s: s["centre"] and "phase" not in s["status"])
    assert check() == []
    for panel in ("layers", "settings", "files", "help"):
        m.press(panel)
        m.page.wait_for_selector(f".gs-panel[data-name={panel}]:visible")
        assert check() == [], panel
        view, inner = m.map.bounding_box(), m.page.locator(".gs-panel").bounding_box()
        assert inner["y"] + inner["height"] <= view["y"] + view["height"] + 1
    m.press("help")
    chosen = m.page.locator(".gs-rail button.gs-on").evaluate_all(
        "all => all.map(e => e.dataset.name)"
    )
    assert chosen == ["point"]
    assert m.page.locator(".gs-chip.gs-on").inner_text().startswith("field")
    assert contrast(m.page, ".gs-rail button") > 4.5
    assert contrast(m.page, ".gs-bar .gs-what") > 4.5


def contrast(page: Any, selector: str) -> float:
    """Return the WCAG contrast between an element's text and the card below it."""
    colours = (
        page.locator(selector)
        .nth(1 if "rail" in selector else 0)
        .evaluate(
            """e => { const card = e.closest('.gs-card');
        return [getComputedStyle(e).color, getComputedStyle(card).backgroundColor] }"""
        )
    )
    lights = []
    for colour in colours:
        values = [float(v) / 255 for v in colour[colour.index("(") + 1 : -1].split(",")[:3]]
        linear = [v / 12.92 if v <= 0.03928 else ((v + 0.055) / 1.055) ** 2.4 for v in values]
        lights.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    return (max(lights) + 0.05) / (min(lights) + 0.05)
