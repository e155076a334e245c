"""Servers, pages and a scene of which every object is known."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine

CHROMIUM = os.environ.get("GEOISEG_CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-component-update",
    "--disable-background-networking",
    "--disable-sync",
]
HERE = Path(__file__).parent
PATIENCE = 30.0
"""Seconds until something that should happen counts as not happening."""


# -- a scene of which every object is known ----------------------------------------------

DISCS = {
    "yellow": (400, 300, 120, (200, 180, 90)),
    "blue": (800, 600, 160, (40, 60, 150)),
    "orange": (1250, 350, 110, (190, 90, 60)),
    "grey": (350, 900, 140, (170, 170, 170)),
    "sand": (1200, 900, 180, (220, 210, 120)),
}
"""Column, row, radius in pixels and colour of the discs on the scene."""


def paint(width: int = 1600, height: int = 1200) -> np.ndarray:
    """Return ``(3, y, x)`` uint8: coloured discs on green, with a little noise."""
    image = np.zeros((3, height, width), np.float32)
    image += np.array([60, 110, 50], np.float32)[:, None, None]
    rows, cols = np.mgrid[:height, :width]
    for x, y, radius, colour in DISCS.values():
        inside = (cols - x) ** 2 + (rows - y) ** 2 < radius**2
        image[:, inside] = np.array(colour, np.float32)[:, None]
    noise = np.random.default_rng(1).normal(0, 4, image.shape)
    return np.clip(image + noise, 1, 255).astype(np.uint8)


def write_scene(path: Path, crs: str | None, transform: Affine) -> Path:
    image = paint()
    options = {"nodata": 0, "tiled": True, "compress": "deflate", "dtype": "uint8"}
    with rasterio.open(
        path, "w", driver="GTiff", width=image.shape[2], height=image.shape[1], count=3,
        crs=crs, transform=transform, **options,
    ) as target:  # fmt: skip
        target.write(image)
    return path


UTM = Affine(0.5, 0, 500000, 0, -0.5, 5200000)
TURNED = Affine.translation(500000, 5200000) @ Affine.rotation(30) @ Affine.scale(0.5, -0.5)
GEOGRAPHIC = Affine(6e-6, 0, 15.0, 0, -6e-6, 46.95)


def lonlat(transform: Affine, crs: str, x: float, y: float) -> tuple[float, float]:
    """Return the place of a pixel position of a scene, by pyproj alone."""
    import pyproj

    east, north = transform @ (x, y)
    if crs == "EPSG:4326":
        return east, north
    return pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(east, north)


# -- servers -----------------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def notebook(path: Path, *cells: str) -> Path:
    """Write a notebook of code cells."""
    import nbformat

    book = nbformat.v4.new_notebook()
    book.cells = [nbformat.v4.new_code_cell(cell) for cell in cells]
    book.metadata["kernelspec"] = {
        "name": "python3", "display_name": "Python 3", "language": "python",
    }  # fmt: skip
    nbformat.write(book, path)
    return path


@dataclass
class Server:
    """A running server with a folder of its own."""

    kind: str
    folder: Path
    port: int
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def api(self, path: str, method: str = "GET") -> Any:
        request = urllib.request.Request(f"{self.url}/api/{path}", method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read()
            return json.loads(text) if text else None


def environment(folder: Path) -> dict[str, str]:
    path = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
    own = {name: str(folder / name.lower()) for name in ("JUPYTER_CONFIG_DIR", "IPYTHONDIR")}
    extra = {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", "JUPYTER_PREFER_ENV_PATH": "1"}
    return {**os.environ, **own, **extra}


def launch(kind: str, folder: Path, *options: str) -> Server:
    port = free_port()
    if kind == "lab":
        quiet = folder / "settings" / "@jupyterlab" / "apputils-extension"
        quiet.mkdir(parents=True)
        settings = {"fetchNews": "false", "checkForUpdates": False}
        (quiet / "notification.jupyterlab-settings").write_text(json.dumps(settings))
        command = [
            "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1",
            f"--port={port}", "--IdentityProvider.token=", "--ServerApp.password=",
            f"--ServerApp.root_dir={folder}", "--ServerApp.disable_check_xsrf=True", f"--LabApp.user_settings_dir={folder / 'settings'}",
        ]  # fmt: skip
    else:
        command = [
            "-m", "voila", str(folder), "--no-browser", f"--port={port}", "--Voila.ip=127.0.0.1",
        ]  # fmt: skip
    with (folder / f"{kind}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, *command, *options],
            cwd=folder, env=environment(folder), stdout=log, stderr=log,
        )  # fmt: skip
    server = Server(kind, folder, port, process)
    end = time.monotonic() + 180
    while time.monotonic() < end:
        try:
            urllib.request.urlopen(server.url, timeout=5)
        except urllib.error.HTTPError:
            return server
        except OSError:
            assert process.poll() is None, (folder / f"{kind}.log").read_text()[-2000:]
            time.sleep(0.2)
        else:
            return server
    raise TimeoutError((folder / f"{kind}.log").read_text()[-2000:])


def stop(server: Server) -> None:
    server.process.terminate()
    try:
        server.process.wait(15)
    except subprocess.TimeoutExpired:
        server.process.kill()


# -- the browser -------------------------------------------------------------------------


@dataclass
class MapPage:
    """A page with a map on it, and the state that its kernel writes."""

    page: Any
    server: Server
    book: Path
    state_path: Path
    query: str = ""
    outside: list[str] = field(default_factory=list)
    """Requests that went anywhere but to the server."""

    @property
    def state(self) -> dict[str, Any]:
        return json.loads(self.state_path.read_text())

    def until(self, fits: Callable[[dict[str, Any]], Any], patience: float = PATIENCE) -> Any:
        """Return the state as soon as it fits."""
        end = time.monotonic() + patience
        while time.monotonic() < end:
            if self.state_path.exists():
                state = self.state
                if fits(state):
                    return state
            self.page.wait_for_timeout(50)
        raise AssertionError(f"never came to be; the last state was {self.state}")

    @property
    def map(self) -> Any:
        return self.page.locator(".leaflet-container").first

    def at(self, lon: float, lat: float) -> tuple[float, float]:
        """Return where a place is on the page, from the centre and zoom that Python holds."""
        state, box = self.state, self.map.bounding_box()
        x, y = mercator(lon, lat, state["zoom"])
        cx, cy = mercator(state["center"][1], state["center"][0], state["zoom"])
        return box["x"] + box["width"] / 2 + x - cx, box["y"] + box["height"] / 2 + y - cy

    def click(self, lon: float, lat: float, **how: Any) -> None:
        self.page.mouse.click(*self.at(lon, lat), **how)

    def drag(self, *places: tuple[float, float], button: str = "left") -> None:
        """Press at the first place, go along the others, let go at the last."""
        spots = [self.at(*place) for place in places]
        mouse = self.page.mouse
        mouse.move(*spots[0])
        mouse.down(button=button)
        for spot in spots[1:]:
            mouse.move(*spot, steps=6)
        mouse.up(button=button)

    def key(self, name: str) -> None:
        self.map.focus()
        self.page.keyboard.press(name)

    def use(self, tool: str, key: str) -> None:
        """Choose a tool by its key, and wait until the page and the kernel know."""
        self.key(key)
        self.page.wait_for_function(
            "name => document.querySelector('.geoiseg-map').dataset.tool === name", arg=tool
        )
        self.until(lambda state: state["tool"] == tool)

    def press(self, name: str) -> None:
        """Press a button of the toolbar."""
        self.page.locator(f'.geoiseg-ui button[data-name="{name}"]:visible').first.click()

    def colour(self, x: float, y: float) -> tuple[int, int, int]:
        """Return what the page shows at a place of it, red, green and blue."""
        import io

        from PIL import Image

        clip = {"x": round(x), "y": round(y), "width": 1, "height": 1}
        shot = Image.open(io.BytesIO(self.page.screenshot(clip=clip))).convert("RGB")
        red, green, blue = shot.getpixel((0, 0))
        return red, green, blue

    def tiles_loaded(self, count: int = 4, patience: float = PATIENCE) -> None:
        self.page.wait_for_function(
            "n => { const all = [...document.querySelectorAll('.leaflet-tile')];"
            " return all.filter(t => t.classList.contains('leaflet-tile-loaded') && t.naturalWidth"
            " > 1).length >= n }",
            arg=count, timeout=patience * 1000,
        )  # fmt: skip


def mercator(lon: float, lat: float, zoom: float) -> tuple[float, float]:
    """Return the position in world pixels at a zoom."""
    size = 256 * 2**zoom
    sine = np.sin(np.radians(lat))
    return (
        (lon + 180) / 360 * size,
        float((0.5 - np.log((1 + sine) / (1 - sine)) / (4 * np.pi)) * size),
    )


def run_all(page: Any) -> None:
    """Run all cells of the notebook that is open in JupyterLab."""
    page.wait_for_selector(
        ".jp-Notebook-ExecutionIndicator[data-status=idle]", timeout=60_000, state="attached"
    )
    started = "() => /\\[[*\\d]+\\]/.test(document.querySelector('.jp-InputPrompt').textContent)"
    asked: list[str] = []
    for _ in range(15):  # what is run before the kernel has answered can get lost
        for dialog in page.query_selector_all(".jp-Dialog"):  # of a JupyterLab that is busy
            asked.append(dialog.inner_text())
            button = dialog.query_selector("button.jp-mod-accept") or dialog.query_selector(
                "button"
            )
            if button is not None:
                button.click(timeout=4000)
        try:
            page.click("text=Run >> nth=0", timeout=4000)
            page.click("text=Run All Cells >> nth=0", timeout=4000)
            page.wait_for_function(started, timeout=4000)
        except Exception as error:
            if "Timeout" not in str(error):
                raise
        else:
            return
    raise AssertionError(f"JupyterLab does not run the notebook; it asked {asked}")


def told(page: Any) -> dict[str, Any]:
    """Return what a page of JupyterLab shows: its kernel's state, its cells, its outputs."""
    return dict(
        page.evaluate(
            """() => {
              const texts = (one) => [...document.querySelectorAll(one)].map((e) => e.innerText);
              const mark = document.querySelector('.jp-Notebook-ExecutionIndicator');
              return {
                kernel: mark && mark.dataset.status,
                cells: texts('.jp-InputPrompt'),
                outputs: texts('.jp-OutputArea-output').map((text) => text.slice(0, 400)),
                dialogs: texts('.jp-Dialog'),
              };
            }"""
        )
    )


def note_outside(shown: MapPage, url: str) -> None:
    if not url.startswith(
        (shown.server.url, "data:", "blob:", shown.server.url.replace("http", "ws"))
    ):
        shown.outside.append(url)


RAIL = ".leaflet-container .geoiseg-ui .gs-rail button"


def shows_map(page: Any, patience: float) -> bool:
    """Return whether a map comes within some seconds; what failed in the kernel is raised."""
    try:
        page.wait_for_selector(f"{RAIL}, .jp-RenderedText .ansi-red-fg", timeout=1000 * patience)
    except Exception as error:
        if "Timeout" not in str(error):
            raise
        return False
    assert page.locator(RAIL).count(), page.locator(".jp-OutputArea").all_inner_texts()
    return True


def load(shown: MapPage) -> None:
    """Open the notebook in the browser and run it."""
    server, page = shown.server, shown.page
    if server.kind == "voila":
        address = f"{server.url}/voila/render/{shown.book.name}{shown.query}"
        page.goto(address, wait_until="domcontentloaded")
        assert shows_map(page, 120), page.inner_text("body")
        return
    page.goto(f"{server.url}/lab/tree/{shown.book.name}?reset", wait_until="domcontentloaded")
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
    run_all(page)
    end, idle = time.monotonic() + 200, 0
    while not shows_map(page, 1):
        state = told(page)
        assert time.monotonic() < end, f"JupyterLab shows no map: {state}"
        # A JupyterLab that is busy may lose a cell, and says [*] or [ ] though the next one has run.
        # Not too soon: cells that run twice change the map under the test.
        idle = idle + 1 if state["kernel"] == "idle" else 0
        if idle > 40:
            run_all(page)
            idle = 0
