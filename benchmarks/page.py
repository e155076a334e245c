"""Clicks on the page without Python beside the same clicks in Python, on one machine.

    $ python benchmarks/page.py

Opens a COG of 2.9 GB (nearly all of it holes) by its address in a Chromium, clicks at places it
has not seen yet and then again near them, and prints seconds, bytes read and memory; then the
same in Python with one thread. All but one of these places are noise, of which the network makes
ragged masks. Then the same on fields and the lake of the demonstration's scene, opened as a file.
A user looks for a second at what a click has drawn: from the second click on, the page encodes then
what a third will need. Needs the `dev` extra and Chromium.
"""

from __future__ import annotations

import os
import shutil

os.environ.setdefault("GEOISEG_THREADS", "1")

import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import psutil
import shapely
from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1]))
import geoiseg
from geoiseg.demo.scene import Scene, make_scene, scene_transform
from geoiseg.models import get_model
from geoiseg.web.site import write_site
from tests.web.large_cog import CENTRE, RADIUS, counting, large_cog
from tests.web.scenes import serving

LOOK = 1.0
"""Seconds for which a user looks at what a click has drawn."""
NOISE = [(CENTRE[0] + dx, CENTRE[1] + dy)
         for dx, dy in ((0, 0), (600, 0), (-600, 0), (0, 600), (0, -600))]  # fmt: skip
"""Where is clicked first on the COG, in pixels: each place needs a chip of its own."""
PAUSES = (0, 8)
"""Seconds that a user looks at the page before a raster is opened; meanwhile it makes ready."""
OBJECTS = 8
"""Those of the demonstration that are clicked on, the lake and the largest fields."""
ADD = """async ([x, y, positive]) => {
  const { ask } = await import("./engine.js");
  const started = performance.now();
  const step = { points: [{ x, y, positive }], box: null, level: 0 };
  await ask("add", step);
  return (performance.now() - started) / 1000;
}"""
CLEAR = """async () => (await import("./engine.js")).ask("clear")"""


Took = list[tuple[float, float]]
"""Wall and CPU seconds of clicks."""
Places = list[tuple[float, float]]
SIZE = 2048
"""Pixels of the demonstration's scene, on a side."""


class Renderers:
    """The processes of a browser's pages, as the browser tells them."""

    def __init__(self, browser: Any) -> None:
        self._channel = browser.new_browser_cdp_session()

    def _told(self) -> list[dict[str, Any]]:
        told = self._channel.send("SystemInfo.getProcessInfo")["processInfo"]
        return [one for one in told if one["type"] == "renderer"]

    def cpu(self) -> float:
        """Return the CPU seconds that they have taken."""
        return sum(one["cpuTime"] for one in self._told())

    def megabytes(self) -> float:
        """Return what the largest holds for itself."""
        return max(psutil.Process(one["id"]).memory_full_info().uss for one in self._told()) / 1e6


def on_objects(scene: Scene) -> list[tuple[float, float]]:
    """Return pixels in the middle of objects."""
    known = [row.geometry for row in scene.truth if row.name != "sea"]
    largest = sorted(known, key=lambda shape: -shape.area)[:OBJECTS]
    middles = [shapely.maximum_inscribed_circle(shape).coords[0] for shape in largest]
    return [~scene_transform(SIZE) @ xy for xy in middles]


def in_the_page(page: Any, renderers: Renderers, places: Places) -> list[Took]:
    """Return what first, second and third clicks took."""

    def click(x: float, y: float) -> tuple[float, float]:
        before = renderers.cpu()
        wall = page.evaluate(ADD, [x, y, True])
        return wall, renderers.cpu() - before

    took: list[Took] = [[], [], []]
    for x, y in places:
        for k in range(3):
            page.wait_for_timeout(1000 * LOOK * (k > 0))
            took[k].append(click(x + 9 * k, y + 7 * (k > 0)))
        page.evaluate(CLEAR)
    return took


def in_python(path: Path, places: Places) -> list[Took]:
    """Return the same for a session with the same clicks."""
    every: list[Took] = [[], [], []]
    session = geoiseg.Session(geoiseg.open_raster(path), model=get_model("tiny"))
    session.gsd = session.raster.grid.pixel_size_metres()  # as the page is asked
    session.follow = False  # which the page does not
    for x, y in places:
        for k in range(3):
            place = session.raster.grid.to_crs([(x + 9 * k, y + 7 * (k > 0))])[0]
            started = time.perf_counter(), time.process_time()
            session.add_point(*place)
            took = time.perf_counter() - started[0], time.process_time() - started[1]
            every[k].append(took)
        session.clear()
    return every


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as player:
        folder = Path(scratch)
        path = large_cog(folder / "large.tif")
        site = write_site(folder / "site").folder
        where = os.environ.get("CHROMIUM") or shutil.which("chromium")
        browser = player.chromium.launch(executable_path=where, args=["--no-sandbox"])
        renderers, opened = Renderers(browser), []
        with serving(site) as address, counting(folder) as (server, counted):
            for pause in PAUSES:
                page = browser.new_context(viewport={"width": 1100, "height": 800}).new_page()
                page.set_default_timeout(120_000)
                page.goto(address)
                page.evaluate("navigator.serviceWorker.ready")
                page.wait_for_timeout(1000 * pause)
                started, before = time.perf_counter(), counted.sent
                page.fill("#url", f"{server}large.tif")
                page.press("#url", "Enter")
                page.wait_for_function(
                    "document.querySelector('#status').textContent.includes('EPSG')"
                )
                page.evaluate(ADD, [CENTRE[0], CENTRE[1] + RADIUS // 2, True])
                opened.append(time.perf_counter() - started)
                read = counted.sent - before
                page.evaluate(CLEAR)
                if pause != PAUSES[-1]:
                    page.context.close()
            took = [in_the_page(page, renderers, NOISE)]
            held = renderers.megabytes()
            scene = make_scene(folder / "scene.tif", SIZE)
            places = on_objects(scene)
            page.set_input_files("#file", scene.path)
            page.wait_for_function(
                "document.querySelector('#status').textContent.includes('scene')"
            )
            took.append(in_the_page(page, renderers, places))
        browser.close()
        own = [in_python(path, NOISE), in_python(scene.path, places)]
    for pause, took_all in zip(PAUSES, opened, strict=True):
        print(f"opened by its address {pause} s after the page came, and clicked: {took_all:.2f} s")
    print(f"read for that: {read / 1e6:.1f} MB")
    print(f"memory of the page: {held:.0f} MB")
    print(f"{'median':32s}{'page':>8s}{'Python':>8s}{'ratio':>7s}")
    rows = [(f"{click} click on {what}", took[n][k], own[n][k])
            for n, what in enumerate(("noise", "objects"))
            for k, click in enumerate(("first", "second", "third"))]  # fmt: skip
    for name, ours, theirs in rows:
        for kind, unit in enumerate(("s", "CPU-s")):
            page_took, python_took = (median(one[kind] for one in some) for some in (ours, theirs))
            ratio = page_took / python_took
            print(f"{f'{name}, {unit}':32s}{page_took:8.2f}{python_took:8.2f}{ratio:7.1f}")


if __name__ == "__main__":
    main()
