"""The first five minutes of a stranger: from the sources to a first polygon, in new environments.

    $ python benchmarks/first_minutes.py FOLDER [--only demo|app|lab|qgis]...

Makes FOLDER, and there does what the README says: `make demo`; `pip install '.[app]'`, then
`geoiseg app` on the demonstration's scene in a Chromium until a click was accepted, and
`geoiseg lab` until the quick start shows its map; QGIS with the plugin from its zip, set up by
its button, until a click is a feature of a new layer. Prints seconds and, what counts where the
machine is shared, CPU seconds of each step with all that it started. Needs the `dev` extra,
Chromium, pip, a package index, and for QGIS what its tests need.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.qgis.qgis_app import Qgis
from tests.widget.browser.harness import CHROMIUM, FLAGS

ROOT = Path(__file__).parents[1]
PATIENCE = 300
WAYS = ("demo", "app", "lab", "qgis")
QUIET = ["--quiet", "--disable-pip-version-check"]


def adopt() -> None:
    """Be the parent of what outlives its own, so that its time is counted, too (Linux)."""
    ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER


def measured(name: str, work: Callable[[], Any]) -> None:
    """Do a step and print what it took."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    work()
    psutil.wait_procs(psutil.Process().children(), timeout=60)
    took, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"{name:48s}{took:8.1f} s{cpu:8.1f} CPU-s", flush=True)


@dataclass(frozen=True)
class Stranger:
    """Somebody who has Python, pip and make, and nothing in the caches."""

    folder: Path

    @property
    def scripts(self) -> Path:
        """Where `make demo` puts the programs."""
        return self.folder / "venv" / "bin"

    @property
    def surroundings(self) -> dict[str, str]:
        """The environment: nothing of ours, so that files compiled once are kept as usual."""
        own = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        return {
            **own, "HOME": str(home), "PIP_CACHE_DIR": str(home / "pip"),
            "UV_CACHE_DIR": str(home / "uv"), "PYTHONUNBUFFERED": "1",
        }  # fmt: skip

    def run(self, *command: object, where: Path | None = None) -> None:
        done = subprocess.run(
            [str(one) for one in command], cwd=where or self.folder, env=self.surroundings,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise SystemExit(f"{command} ended with {done.returncode}: {done.stderr[-2000:]}")

    def make(self, *what: object) -> None:
        demo = [f"DEMO_ENV={self.folder / 'venv'}", f"OUT={self.folder / 'demo'}"]
        self.run("make", "--silent", *what, *demo, where=ROOT)

    @contextmanager
    def page(self, *command: object) -> Iterator[Any]:
        """Start a server of geoiseg's, and yield a browser's page at the address it prints."""
        log = self.folder / f"{command[0]}.log"
        with log.open("w") as file:
            server = subprocess.Popen(
                [self.scripts / "geoiseg", *map(str, command), "--no-browser"],
                cwd=self.folder, stdout=file, stderr=file, env=self.surroundings,
            )  # fmt: skip
        try:
            with sync_playwright() as player:
                browser = player.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
                page = browser.new_page(viewport={"width": 1000, "height": 700})
                page.set_default_timeout(1000 * PATIENCE)
                page.goto(self._address(server, log), wait_until="domcontentloaded")
                yield page
                browser.close()
        finally:
            for process in psutil.Process(server.pid).children(recursive=True):
                process.send_signal(signal.SIGINT)
            server.terminate()
            server.wait(60)

    def _address(self, server: subprocess.Popen[bytes], log: Path) -> str:
        end = time.monotonic() + PATIENCE
        while server.poll() is None and time.monotonic() < end:
            found = re.search(r"http://\S+token=[\w-]+", log.read_text())
            if found:
                return found.group()
            time.sleep(0.1)
        raise SystemExit(f"no address from a server of geoiseg: {log.read_text()[-2000:]}")


def demo(stranger: Stranger) -> None:
    """Do what the README's first lines say."""
    measured("make demo: the environment", lambda: stranger.make(stranger.folder / "venv" / "core"))
    measured("make demo: the demonstration", lambda: stranger.make("demo"))
    geoiseg = stranger.scripts / "geoiseg"
    measured("geoiseg demo, again", lambda: stranger.run(geoiseg, "demo", "--out", "again"))
    measured("geoiseg doctor", lambda: stranger.run(geoiseg, "doctor"))


def app(stranger: Stranger) -> None:
    """Install what shows maps, and accept a polygon in a page of its own."""
    pip = [stranger.scripts / "python", "-m", "pip", "install", *QUIET]
    measured("pip install '.[app]'", lambda: stranger.run(*pip, f"{ROOT}[app]"))
    scene = shutil.copy(stranger.folder / "demo" / "scene.tif", stranger.folder / "my.tif")
    measured("geoiseg app my.tif to an accepted polygon", lambda: accept(stranger, Path(scene)))


def lab(stranger: Stranger) -> None:
    """See the map of the quick start, in what `app` has installed."""
    settings = stranger.folder / "home" / ".jupyter" / "jupyter_server_config.json"
    settings.parent.mkdir(exist_ok=True)
    settings.write_text(json.dumps({"ServerApp": {"allow_root": True}}))
    measured("geoiseg lab to the quick start's map", lambda: quick_start(stranger))


def accept(stranger: Stranger, scene: Path) -> None:
    with stranger.page("app", scene, "--port", "0") as page:
        page.wait_for_selector(".leaflet-tile-loaded")
        page.mouse.click(560, 340)
        page.wait_for_selector(".leaflet-image-layer[src^='blob']", state="attached")
        page.keyboard.press("Enter")
        end = time.monotonic() + PATIENCE
        while not list(stranger.folder.glob("my*.gpkg")):
            if time.monotonic() > end:
                raise SystemExit("nothing was accepted")
            page.wait_for_timeout(100)


def quick_start(stranger: Stranger) -> None:
    with stranger.page("lab", "notebooks") as page:
        asked = page.locator(".jp-Dialog button.jp-mod-accept")
        page.add_locator_handler(asked, lambda button: button.first.click())
        idle = ".jp-Notebook-ExecutionIndicator[data-status=idle]"
        page.wait_for_selector(idle, state="attached")
        page.click("text=Run >> nth=0")
        page.click("text=Run All Cells >> nth=0")
        page.wait_for_selector(".leaflet-tile-loaded")


def qgis(stranger: Stranger) -> None:
    """Have QGIS's button set geoiseg up, click on the scene, and accept into a new layer."""
    profile = stranger.folder / "qgis"
    profile.mkdir()
    scene = stranger.folder / "demo" / "scene.tif"
    job = {"raster": str(scene), "canvas_crs": "EPSG:32631"}
    app = Qgis.made(profile, python="")
    measured(
        "QGIS: the button sets up", lambda: app.drive([{"do": "offered"}, {"do": "set_up"}], **job)
    )
    steps: list[dict[str, Any]] = [
        {"do": "activate"},
        {"do": "new_layer"},
        {"do": "click", "xy": (586_048, 5_789_952)},
        {"do": "key", "key": "enter"},
    ]

    def accepted() -> None:
        if not app.drive(steps, **job)["seen"][-1]["features"]:
            raise SystemExit("nothing was accepted in QGIS")

    measured("QGIS: from its start to a polygon in a layer", accepted)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--only", action="append", choices=WAYS, help="with what others left in FOLDER"
    )
    options = parser.parse_args()
    folder = options.folder.absolute()
    folder.mkdir(exist_ok=bool(options.only))
    stranger = Stranger(folder)
    adopt()
    for way, steps in zip(WAYS, (demo, app, lab, qgis), strict=True):
        if way in (options.only or WAYS):
            steps(stranger)


if __name__ == "__main__":
    main()
