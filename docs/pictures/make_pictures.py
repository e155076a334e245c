"""Make the pictures of the map for README and manual, from the real widget in a real browser.

    python docs/pictures/make_pictures.py [OUT] [--only NAME]

Needs the development environment and a Chromium (GEOISEG_CHROMIUM). What is clicked is
chosen from the made scene's truth, and nothing is drawn into the pictures but a cursor.
"""

from __future__ import annotations

import argparse
import io
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
from PIL import Image

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

from geoiseg.demo.scene import CRS, make_scene  # noqa: E402
from tests.widget.browser.harness import (  # noqa: E402
    CHROMIUM,
    FLAGS,
    MapPage,
    Server,
    launch,
    load,
    notebook,
    stop,
)

CLASSES = {"stubble": "#ffb300", "bare soil": "#ec407a", "crop": "#43a047", "lake": "#2979ff"}
FIELDS = {
    (586074, 5789914, 586459, 5790593): "bare soil",
    (585157, 5788778, 585483, 5789179): "stubble",
    (586708, 5791080, 587002, 5791476): "stubble",
    (584834, 5789424, 585084, 5789890): "crop",
    (584744, 5790836, 585072, 5791254): "stubble",
}
LAKE = (587490, 5790920)
FIELD, BEYOND = (585193, 5789647), (584967, 5789660)
"""A click in a field that takes its neighbour, too, and where to say so."""
BESIDE = (586592, 5791117)
"""A click in a field west of the lake."""
SETUP = """\
import geoiseg
m = geoiseg.SegmentMap("scene.tif", project=False, classes={classes!r})
m.simplify = 1.0
for box, label in {fields!r}.items():
    m.add_box(*box, gsd=2)
    m.accept(label)
m.label = {label!r}
m.map.layout.height = {height!r}
m.map.center, m.map.zoom = {center!r}, {zoom}
import probe
probe.watch(m, {state!r})
"""
PATIENCE = 180_000
"""Milliseconds that a page may take on a busy machine."""
BARE = """
  body { overflow: hidden; }
  body, .jp-OutputArea-output, .jp-OutputArea-child, .jp-Cell, .jp-Cell-outputWrapper,
  #rendered_cells, .widget-vbox { padding: 0 !important; margin: 0 !important; }
  .jp-OutputPrompt { display: none !important; }
"""
CURSOR = """() => {
  const c = document.createElement('div');
  c.id = 'cursor';
  c.innerHTML = '<svg width="24" height="24" viewBox="0 0 24 24"><path d="M4 2l6 18 3-7 7-3z" '
    + 'fill="#fff" stroke="#111" stroke-width="1.5"/></svg>';
  c.style.cssText = 'position:fixed;left:0;top:0;z-index:99999;pointer-events:none';
  document.body.append(c);
  addEventListener('pointermove', e =>
    c.style.transform = `translate(${e.clientX - 4}px, ${e.clientY - 2}px)`, true);
}"""


def lonlat(x: float, y: float) -> tuple[float, float]:
    """Return longitude and latitude of a place of the scene."""
    to = pyproj.Transformer.from_crs(CRS, "EPSG:4326", always_xy=True)
    lon, lat = to.transform(x, y)
    return float(lon), float(lat)


@dataclass
class Shot:
    """What a page is to show."""

    name: str
    size: tuple[int, int]
    query: str = ""
    label: str = "lake"
    center: tuple[float, float] = (585_900, 5_790_150)
    zoom: int = 15
    fields: dict[tuple[int, int, int, int], str] = field(default_factory=lambda: dict(FIELDS))
    classes: dict[str, str] = field(default_factory=lambda: dict(CLASSES))


def open_page(browser: Any, server: Server, shot: Shot, scale: float = 1.0) -> MapPage:
    """Return a page with the map of a shot, its tiles drawn."""
    lon, lat = lonlat(*shot.center)
    state = server.folder / f"{shot.name}.json"
    code = SETUP.format(
        classes=shot.classes, fields=shot.fields, label=shot.label, state=str(state),
        center=(lat, lon), zoom=shot.zoom, height="100vh",
    )  # fmt: skip
    book = notebook(server.folder / f"{shot.name}.ipynb", code + "m")
    context = browser.new_context(
        viewport={"width": shot.size[0], "height": shot.size[1]}, device_scale_factor=scale
    )
    shown = MapPage(context.new_page(), server, book, state, shot.query)
    shown.page.set_default_navigation_timeout(PATIENCE)
    load(shown)
    shown.page.add_style_tag(content=BARE)
    shown.tiles_loaded(6)
    shown.page.wait_for_timeout(2500)
    return shown


def still(browser: Any, server: Server, out: Path, theme: str) -> None:
    """Save one picture of the map with a lake in progress."""
    shot = Shot(f"map-{theme}", (1280, 800), f"?theme={theme}", center=(585_950, 5_790_475))
    shown = open_page(browser, server, shot)
    shown.click(*lonlat(*LAKE))
    shown.until(lambda state: state["centre"])
    at_rest(shown, ".gs-line")
    picture = shot_of(shown)
    picture.save(out / f"{shot.name}.jpg", quality=85, optimize=True, progressive=True)


def wire(browser: Any, server: Server, out: Path) -> None:
    """Save one picture of a lake's border that is being followed."""
    from geoiseg import Session

    session = Session(server.folder / "scene.tif", gsd=4)
    session.add_point(*LAKE)
    border = max(session.geometry.geoms, key=lambda part: part.area).exterior if (
        session.geometry.geom_type == "MultiPolygon") else session.geometry.exterior  # fmt: skip
    clicks = [border.interpolate(share, normalized=True) for share in np.arange(9) / 14]
    shown = open_page(browser, server, Shot("wire", (1000, 640), center=LAKE, zoom=16))
    shown.page.evaluate(CURSOR)
    shown.use("wire", "j")
    shown.page.get_by_role("button", name="hybrid").click()
    for number, place in enumerate(clicks):
        spot = shown.at(*lonlat(place.x, place.y))
        shown.page.mouse.move(*spot)
        if number < len(clicks) - 1:
            shown.page.mouse.click(*spot)
        shown.page.wait_for_timeout(1000)
    picture = shot_of(shown)
    picture.save(out / "wire.jpg", quality=85, optimize=True, progressive=True)


def at_rest(shown: MapPage, gone: str = ".gs-line .gs-spin") -> None:
    """Wait until nothing is computed, or no note is left, and the page shows what came of it."""
    shown.page.wait_for_timeout(900)
    shown.page.wait_for_selector(gone, state="hidden", timeout=PATIENCE)
    shown.page.wait_for_timeout(900)


def shot_of(shown: MapPage) -> Image.Image:
    """Return what a page shows."""
    return Image.open(io.BytesIO(shown.page.screenshot())).convert("RGB")


class Film:
    """Frames and how long each is shown."""

    def __init__(self, shown: MapPage) -> None:
        self._shown = shown
        self._frames: list[Image.Image] = []
        self._milliseconds: list[int] = []

    def hold(self, milliseconds: int) -> None:
        """Add what the page shows now."""
        self._frames.append(shot_of(self._shown))
        self._milliseconds.append(milliseconds)

    def move(self, start: tuple[float, float], end: tuple[float, float], frames: int = 8) -> None:
        """Move the mouse and film it."""
        for k in range(1, frames + 1):
            t = k / frames
            t = t * t * (3 - 2 * t)
            x, y = (a + (b - a) * t for a, b in zip(start, end, strict=True))
            self._shown.page.mouse.move(x, y)
            self.hold(50)

    def wait(self, fits: Callable[[dict[str, Any]], Any]) -> None:
        """Wait until the kernel's state fits and the page shows it."""
        self._shown.until(fits)
        at_rest(self._shown)

    def save(self, path: Path) -> None:
        """Write the film as an animated WebP."""
        first, *rest = self._frames
        first.save(
            path, save_all=True, append_images=rest, duration=self._milliseconds, loop=0,
            quality=75, method=4, minimize_size=True,
        )  # fmt: skip


def film(browser: Any, server: Server, out: Path) -> None:
    """Save the story of two clicks: click, refine, accept."""
    only = {"field": "#ffd600"}
    shot = Shot("film", (900, 560), label="field", center=(585_400, 5_789_700), zoom=15)
    shot = replace(shot, fields={}, classes=only)
    shown = open_page(browser, server, shot)
    shown.page.evaluate(CURSOR)
    reel = Film(shown)
    rest = (450.0, 450.0)
    inside, beyond = (shown.at(*lonlat(*place)) for place in (FIELD, BEYOND))
    shown.page.mouse.move(*rest)
    reel.hold(900)
    reel.move(rest, inside)
    shown.page.mouse.click(*inside)
    reel.wait(lambda state: state["centre"])
    reel.hold(1400)
    reel.move(inside, beyond)
    shown.page.mouse.click(*beyond, button="right")
    reel.wait(lambda state: len(state["steps"]) == 2)
    reel.hold(1600)
    reel.move(beyond, rest, frames=5)
    shown.page.keyboard.press("Enter")
    reel.wait(lambda state: len(state["features"]) == 1 and not state["steps"])
    reel.hold(2400)
    reel.save(out / "click-refine-accept.webp")


def lab(browser: Any, out: Path, folder: Path) -> None:
    """Save the quick-start notebook in JupyterLab."""
    server = launch("lab", folder)
    try:
        shutil.copy(folder.parent / "voila" / "scene.tif", folder / "scene.tif")
        lon, lat = lonlat(*LAKE)
        state = folder / "lab.json"
        book = notebook(
            folder / "lakes.ipynb",
            "import geoiseg\n\n"
            'm = geoiseg.SegmentMap("scene.tif", project=False, classes=["lake", "field"])\n'
            f"m.map.center, m.map.zoom = ({lat:.4f}, {lon:.4f}), 15\nm",
            'm.features[["id", "label", "area_m2", "perimeter_m"]]',
            f"import probe\nprobe.watch(m, {str(state)!r})",
        )
        context = browser.new_context(viewport={"width": 1280, "height": 860})
        shown = MapPage(context.new_page(), server, book, state)
        shown.page.set_default_navigation_timeout(PATIENCE)
        load(shown)
        shown.tiles_loaded(6)
        page = shown.page
        page.keyboard.press("Control+b")
        page.wait_for_timeout(2500)
        shown.click(lon, lat)
        shown.until(lambda now: now["centre"])
        at_rest(shown)
        shown.key("Enter")
        shown.until(lambda now: now["features"])
        shown.key("2")
        shown.until(lambda now: now["label"] == "field")
        shown.click(*lonlat(*BESIDE))
        shown.until(lambda now: now["centre"])
        at_rest(shown, ".gs-line")
        picture = shot_of(shown)
        picture.save(out / "notebook.jpg", quality=85, optimize=True, progressive=True)
    finally:
        stop(server)


def main() -> None:
    """Make all pictures, or one."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("out", nargs="?", type=Path, default=HERE)
    parser.add_argument("--only", choices=["light", "dark", "film", "lab", "wire"])
    options = parser.parse_args()
    from playwright.sync_api import sync_playwright

    wanted = [options.only] if options.only else ["light", "dark", "film", "lab", "wire"]
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        root = Path(folder) / "voila"
        root.mkdir()
        (Path(folder) / "lab").mkdir()
        make_scene(root / "scene.tif", 2048)
        server = launch("voila", root)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            for name in wanted:
                if name == "film":
                    film(browser, server, options.out)
                elif name == "wire":
                    wire(browser, server, options.out)
                elif name == "lab":
                    lab(browser, options.out, Path(folder) / "lab")
                else:
                    still(browser, server, options.out, name)
                print(f"made {name}")
        finally:
            browser.close()
            stop(server)
    for file in sorted(options.out.glob("*.*")):
        print(f"{file.stat().st_size / 1024:8.0f} KiB  {file.name}")


if __name__ == "__main__":
    main()
