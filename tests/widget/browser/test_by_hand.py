"""Outlines corrected by hand with the mouse, and looked at in the file that Python writes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely

from geoiseg.session.project import load_project
from tests.widget.browser.harness import (
    DISCS,
    PATIENCE,
    UTM,
    MapPage,
    Server,
    lonlat,
    write_scene,
)

Open = Callable[..., MapPage]
CRS = "EPSG:32633"
CODE = """
import geopandas, numpy, shapely
from geoiseg.widget.segment_map import SegmentMap
m = SegmentMap('{name}.tif', project='{name}.gpkg', classes=['field', 'water'])
grid = m.session.raster.grid
def plot(left, top, right, bottom):
    return shapely.Polygon(grid.to_crs([(left, top), (right, top), (right, bottom), (left, bottom)]))
shapes = {shapes}
m.session.snap = {snap}
m.add_features(geopandas.GeoDataFrame({{'label': ['field'] * len(shapes)}}, geometry=shapes,
                                      crs=grid.crs))
"""
MOVES = """async ([x, y]) => {
  const map = document.querySelector(".geoiseg-map"), below = document.elementFromPoint(x, y);
  const drawn = () => Number(map.dataset.handDrawn), first = drawn(), begun = performance.now();
  for (let n = 1; n <= 100; n++) {
    const place = { clientX: x + n / 2, clientY: y + n / 2, pointerId: 1, buttons: 1, bubbles: true };
    below.dispatchEvent(new PointerEvent("pointermove", place));
    await new Promise(requestAnimationFrame);
  }
  const seconds = (performance.now() - begun) / 1000, box = map.getBoundingClientRect();
  const moving = map.querySelectorAll(".geoiseg-hand canvas")[1];
  const colour = (k) => [...moving.getContext("2d").getImageData(x + k - box.left, y + k - box.top, 1, 1).data];
  return [drawn() - first, seconds, colour(50), colour(25), colour(70)];
}"""
"""Moves the pointer at each frame, as the page draws them, and looks at what is drawn there."""
FIELDS = "[plot(400, 300, 800, 700), plot(800, 300, 1200, 700)]"


def at(x: float, y: float) -> tuple[float, float]:
    return lonlat(UTM, CRS, x, y)


def square(left: float, top: float, right: float, bottom: float) -> shapely.Polygon:
    """Return a rectangle of pixels in the CRS."""
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    return shapely.Polygon([UTM @ one for one in corners])


def shot(m: MapPage, name: str) -> None:
    if folder := os.environ.get("GEOISEG_SHOTS"):
        m.page.screenshot(path=Path(folder) / f"{name}.png")


class Scene:
    """A map with fields, one of them selected, and the file behind it."""

    def __init__(self, open_map: Open, server: Server, name: str, snap: float = 0.0,
                 shapes: str = FIELDS) -> None:  # fmt: skip
        write_scene(server.folder / f"{name}.tif", CRS, UTM)
        self.file = server.folder / f"{name}.gpkg"
        self.m = open_map(server, CODE.format(name=name, shapes=shapes, snap=snap))

    def select(self, x: float, y: float) -> None:
        self.m.use("pick", "v")
        self.m.click(*at(x, y))
        self.m.until(lambda state: state["selected"] is not None)

    def shapes(self) -> list[Any]:
        return [one.geometry for one in load_project(self.file).features]

    def until(self, fits: Callable[[list[Any]], Any]) -> list[Any]:
        """Return the outlines in the file as soon as they fit."""
        self.m.until(lambda _: fits(self.shapes()))
        return self.shapes()

    def over(self, x: float, y: float, what: str) -> None:
        """Rest the cursor at a place until the page says what is below it."""
        column, row = self.m.at(*at(x, y))
        below = self.m.page.locator(f".geoiseg-map.gs-over-{what}")
        end = time.monotonic() + PATIENCE
        while not below.count():  # outlines may come after the cursor
            assert time.monotonic() < end, f"no {what} below the cursor"
            self.m.page.mouse.move(column + 1, row)
            self.m.page.mouse.move(column, row)
            self.m.page.wait_for_timeout(200)


def close(one: Any, other: Any, share: float = 0.01) -> bool:
    return bool(shapely.symmetric_difference(one, other).area < share * other.area)


@pytest.mark.parametrize("kind", ["lab", "voila"])
def test_vertices_are_moved_added_and_deleted(
    open_map: Open, request: pytest.FixtureRequest, kind: str
) -> None:
    s = Scene(open_map, request.getfixturevalue(kind), f"vertices-{kind}", snap=1.0)
    m, before = s.m, s.shapes()
    s.select(600, 500)
    m.use("vertex", "a")
    s.over(800, 700, "vertex")
    shot(m, f"vertex-{kind}")
    m.drag(at(800, 700), at(860, 760))
    moved = s.until(lambda now: not now[0].equals_exact(before[0]))
    corner = np.array(UTM @ (860, 760))
    for shape in moved:  # the neighbour's corner was the same, and follows
        assert np.linalg.norm(shapely.get_coordinates(shape) - corner, axis=1).min() < 2
    assert shapely.coverage_is_valid(np.array(moved))
    s.over(600, 300, "edge")
    m.drag(at(600, 300), at(600, 200))
    added = s.until(lambda now: len(shapely.get_coordinates(now[0])) == 6)
    assert shapely.dwithin(added[0], shapely.Point(UTM @ (600, 205)), 2)
    s.over(600, 200, "vertex")
    m.page.keyboard.press("Delete")
    m.page.keyboard.press("Delete")  # no vertex is there any more: nothing is deleted
    deleted = s.until(lambda now: len(shapely.get_coordinates(now[0])) == 5)
    assert close(deleted[0], moved[0], 1e-6)
    assert len(deleted) == 2
    m.page.mouse.move(*m.at(*at(600, 450)))
    m.page.wait_for_function("() => !document.querySelector('.gs-over-vertex')")
    m.page.keyboard.press("Delete")
    m.key("Control+z")
    m.key("Control+z")
    m.key("Control+z")
    s.until(lambda now: now[0].equals_exact(before[0]) and now[1].equals_exact(before[1]))
    if kind == "lab":  # in Voila the others have a map of their own
        m.key("Escape")
        m.until(lambda state: state["selected"] is None)
        strokes_cut_fill_and_move(s)


def test_strokes_cut_fill_and_move(open_map: Open, voila: Server) -> None:
    strokes_cut_fill_and_move(Scene(open_map, voila, "strokes"))


def strokes_cut_fill_and_move(s: Scene) -> None:
    m, first = s.m, square(400, 300, 800, 700)
    s.select(600, 500)
    m.page.get_by_label("Brush width").fill("30")  # metres: 60 pixels of the raster
    m.page.get_by_label("Brush width").press("Enter")
    m.page.wait_for_function("() => document.querySelector('.gs-width input').value === '30'")
    m.use("brush", "q")
    m.drag(at(400, 400), at(330, 400))
    stroke = shapely.LineString([UTM @ (400, 400), UTM @ (330, 400)]).buffer(15)
    wanted = first.union(stroke)
    s.until(lambda now: close(now[0], wanted))
    shot(m, "brush")
    m.drag(at(400, 600), at(500, 600), button="right")
    bite = shapely.LineString([UTM @ (400, 600), UTM @ (500, 600)]).buffer(15)
    wanted = wanted.difference(bite)
    s.until(lambda now: close(now[0], wanted))
    m.use("hole", "o")
    ring = [(600, 400), (700, 400), (700, 500), (600, 500), (600, 405)]
    m.drag(*(at(*one) for one in ring))
    holed = wanted.difference(square(600, 400, 700, 500))
    s.until(lambda now: close(now[0], holed))
    shot(m, "hole")
    m.click(*at(650, 450))
    s.until(lambda now: close(now[0], wanted) and not now[0].interiors)
    m.use("split", "k")
    m.drag(at(300, 500), at(900, 500))
    now = s.until(lambda now: len(now) == 3)
    assert close(shapely.union(now[0], now[2]), wanted)
    m.use("move-outline", "m")
    place = now[0].centroid
    m.drag(at(600, 400), at(640, 440))
    moved = s.until(lambda now: now[0].centroid.distance(place) > 10)
    assert (moved[0].centroid.x - place.x, place.y - moved[0].centroid.y) == pytest.approx(
        (20, 20), abs=2
    )
    assert moved[0].area == pytest.approx(now[0].area)
    m.key("Control+z")
    s.until(lambda shapes: shapes[0].equals_exact(now[0]))
    m.use("merge", "g")
    m.click(*at(600, 650))
    merged = s.until(lambda now: len(now) == 2)
    assert close(merged[0], wanted)


def test_the_object_in_progress_is_corrected_and_accepted(open_map: Open, voila: Server) -> None:
    s = Scene(open_map, voila, "progress", shapes="[plot(20, 20, 60, 60)]")
    m = s.m
    assert not m.page.locator(".gs-hand-bar").is_visible()
    x, y, radius, _ = DISCS["blue"]
    m.click(*at(x, y))
    state = m.until(lambda now: now["area"])
    m.page.wait_for_selector(".gs-hand-bar")
    m.use("brush", "q")
    m.key("]")
    m.page.wait_for_function("() => document.querySelector('.gs-width input').value === '12.5'")
    m.drag(at(x - radius + 20, y), at(x - radius - 80, y))
    grown = m.until(lambda now: now["area"] > state["area"] + 300)
    shot(m, "progress")
    assert grown["steps"][-1] == ["region", True]
    m.key("Control+z")
    m.until(lambda now: now["area"] == state["area"])
    m.key("Control+y")
    m.until(lambda now: now["area"] == grown["area"])
    m.key("Enter")
    s.until(lambda now: len(now) == 2 and now[1].area == pytest.approx(grown["area"], rel=1e-9))


def test_ten_thousand_vertices_are_dragged(open_map: Open, voila: Server) -> None:
    many = ("[shapely.Polygon(grid.to_crs(numpy.column_stack([700 + (300 + 20 * numpy.sin(60 * t))"
            " * numpy.cos(t), 600 + (300 + 20 * numpy.sin(60 * t)) * numpy.sin(t)])))"
            " for t in [numpy.linspace(0, 2 * numpy.pi, 10000, endpoint=False)]]")  # fmt: skip
    s = Scene(open_map, voila, "many", shapes=many)
    [before] = s.shapes()
    s.select(700, 600)
    s.m.use("vertex", "a")
    s.over(1000, 600, "vertex")
    s.m.page.mouse.down()
    x, y = s.m.at(*at(1000, 600))
    # In the page: as quick as it can draw.
    frames, seconds, *seen = s.m.page.evaluate(MOVES, [x, y])
    print(f"10,000 vertices: {frames} frames, {frames / seconds:.0f} a second")
    s.m.page.mouse.move(*s.m.at(*at(1100, 700)))
    s.m.page.mouse.up()
    [now] = s.until(lambda shapes: not shapes[0].equals_exact(before))
    assert frames > 50
    assert seen == [[255, 23, 68, 255], [255, 234, 0, 255], [0, 0, 0, 0]]  # vertex, edge, nothing
    assert len(shapely.get_coordinates(now)) >= 10_001  # and where the outline now meets itself
    assert shapely.dwithin(now, shapely.Point(UTM @ (1100, 700)), 3)
    shot(s.m, "many")
