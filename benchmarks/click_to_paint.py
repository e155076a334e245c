"""From click to painted mask, model time excluded, beside a bare ImageOverlay update.

python -m benchmarks.click_to_paint [--clicks 30]

Voila and JupyterLab each serve one notebook with two maps: the product's, and a plain
ipyleaflet Map whose click handler sets the URL of an ImageOverlay. Both show masks of the
same size. A real Chromium clicks them in turns; a page-side observer notes when the new
image has been painted.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from tests.widget.browser.harness import (
    CHROMIUM,
    FLAGS,
    UTM,
    MapPage,
    Server,
    launch,
    load,
    notebook,
    stop,
    write_scene,
)  # fmt: skip

CODE = """
import base64, json, time, pathlib
import ipyleaflet, ipywidgets
import probe
from geoiseg.widget.segment_map import SegmentMap

m = SegmentMap("scene.tif", project=False)
m.preview = False
m.map.layout.height = "400px"
spent = []
run = m._perform
def timed(change, watch, job):
    # all that is the model's: reading, encoding, decoding
    def change_timed(watch):
        started = time.perf_counter()
        done = change(watch)
        spent.append((time.perf_counter() - started) * 1e3)
        pathlib.Path("spent.json").write_text(json.dumps(spent))
        return done
    return run(change_timed, watch, job)
m._perform = timed

bare = ipyleaflet.Map(center=m.map.center, zoom=m.map.zoom, layers=(), max_zoom=30)
bare.layout.height = "400px"
overlay = ipyleaflet.ImageOverlay(url=BLANK, bounds=((0, 0), (0, 0)), opacity=0.5)
bare.add(overlay)
masks = []
def clicked(**event):
    if event.get("type") == "click" and m.bridge.mask:
        png = bytes(m.bridge.mask["png"]) + bytes([len(masks) % 256])
        masks.append(1)
        with overlay.hold_sync():
            overlay.bounds = m.bridge.mask["bounds"]
            overlay.url = "data:image/png;base64," + base64.b64encode(png).decode()
bare.on_interaction(clicked)
ipywidgets.VBox([m, bare])
""".replace(
    "BLANK", repr("data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
)
"""The notebook: a map of ours and a bare one."""

WATCH = """() => {
  const times = window.times = {};
  document.addEventListener('pointerup', e => {
    const box = e.target.closest('.leaflet-container');
    if (box) { times.click = performance.now(); times.box = box; times.painted = null; }
  }, true);
  new MutationObserver(changes => {
    for (const {target} of changes) {
      if (!target.matches('img.leaflet-image-layer')) continue;
      if (target.src.startsWith('data:image/gif')) continue;
      if (target.closest('.leaflet-container') !== times.box || times.painted) continue;
      const click = times.click;
      target.decode().then(() => requestAnimationFrame(() => requestAnimationFrame(() => {
        if (times.click === click && !times.painted) times.painted = performance.now();
      })), () => 0);
    }
  }).observe(document.body, {subtree: true, attributes: true, attributeFilter: ['src']});
}"""


def measure(server: Server, browser: Any, clicks: int) -> dict[str, Any]:
    """Return milliseconds of every click on both maps, and of the model."""
    write_scene(server.folder / "scene.tif", "EPSG:32633", UTM)
    book = notebook(server.folder / "clicks.ipynb", CODE)
    page = browser.new_context(viewport={"width": 1200, "height": 1000}).new_page()
    shown = MapPage(page, server, book, server.folder / "state.json")
    load(shown)
    shown.tiles_loaded(4)
    page.wait_for_timeout(4000)  # chips of the view are encoded ahead meanwhile
    page.evaluate(WATCH)
    ours, bare, model = [], [], []
    maps = [page.locator(".leaflet-container").nth(n) for n in (0, 1)]
    for n in range(clicks + 1):
        for place, times in ((maps[0], ours), (maps[1], bare)):
            place.scroll_into_view_if_needed()
            box = place.bounding_box()
            x = box["x"] + box["width"] / 2 + (n * 37) % 80 - 40
            page.mouse.click(x, box["y"] + box["height"] / 2 + (n * 23) % 60 - 30)
            page.wait_for_function("() => window.times.painted", timeout=20_000)
            times.append(page.evaluate("() => window.times.painted - window.times.click"))
            page.wait_for_timeout(250)
        model.append(json.loads((server.folder / "spent.json").read_text())[-1])
        maps[0].press("Escape")
        page.wait_for_timeout(250)
    return {"ours": ours[1:], "bare": bare[1:], "model": model[1:]}


def report(kind: str, times: dict[str, list[float]]) -> dict[str, float]:
    """Print and return the medians of one front end."""
    without = [
        max(0.0, one - model) for one, model in zip(times["ours"], times["model"], strict=True)
    ]
    figures = {
        "with_model_ms": statistics.median(times["ours"]),
        "model_ms": statistics.median(times["model"]),
        "ours_ms": statistics.median(without),
        "bare_ms": statistics.median(times["bare"]),
    }
    figures["ratio"] = figures["ours_ms"] / figures["bare_ms"]
    print(f"{kind:6} " + "  ".join(f"{name} {value:.2f}" for name, value in figures.items()))
    return figures


def main() -> None:
    """Measure both front ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clicks", type=int, default=30)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    figures = {}
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for kind in ("voila", "lab"):
            home = Path(folder) / kind
            home.mkdir()
            server = launch(kind, home)
            try:
                figures[kind] = report(kind, measure(server, browser, options.clicks))
            finally:
                stop(server)
        browser.close()
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
