"""The first five minutes of a stranger: from the sources to a first polygon, in a new environment.

    $ python benchmarks/first_minutes.py FOLDER [--without app]

Makes FOLDER, installs into an environment there as the README says, runs the demonstration, and
opens `geoiseg app` on its scene in a Chromium until a click was accepted. Prints seconds and, where
the machine is shared, what counts: CPU seconds of each step with all that it started. Needs the
`dev` extra, Chromium, pip and a package index.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[1]
FLAGS = ["--no-sandbox", "--disable-dev-shm-usage"]


def measured(name: str, work: Callable[[], None]) -> None:
    """Do a step and print what it took."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    work()
    took, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"{name:44s}{took:8.1f} s{cpu:8.1f} CPU-s", flush=True)


def run(*command: object, folder: Path) -> None:
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    env |= {"HOME": str(folder / "home"), "PIP_CACHE_DIR": str(folder / "cache")}
    done = subprocess.run(
        [str(one) for one in command],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{command} ended with {done.returncode}: {done.stderr[-2000:]}")


def click(folder: Path, scene: Path) -> None:
    """Start the app, click in the middle of the map, accept, and wait for the project file."""
    program, log = folder / "venv" / "bin" / "geoiseg", folder / "app.log"
    with log.open("w") as file:
        app = subprocess.Popen(
            [program, "app", str(scene), "--no-browser", "--port", "0"],
            cwd=folder, stdout=file, stderr=file, env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
    try:
        url = None
        while url is None:
            if app.poll() is not None:
                raise SystemExit(f"geoiseg app ended: {log.read_text()}")
            time.sleep(0.1)
            url = re.search(r"http://\S+token=\S+", log.read_text())
        with sync_playwright() as player:
            where = os.environ.get("GEOISEG_CHROMIUM") or shutil.which("chromium")
            browser = player.chromium.launch(executable_path=where, args=FLAGS)
            page = browser.new_page(viewport={"width": 1000, "height": 700})
            page.set_default_timeout(120_000)
            page.goto(url.group())
            page.wait_for_selector(".leaflet-tile-loaded")
            page.mouse.click(560, 340)
            page.wait_for_selector(".leaflet-image-layer[src^='blob']", state="attached")
            page.keyboard.press("Enter")
            while not list(folder.glob("**/scene*.gpkg")):
                page.wait_for_timeout(100)
            browser.close()
    finally:
        for process in psutil.Process(app.pid).children(recursive=True):
            process.send_signal(signal.SIGINT)
        app.send_signal(signal.SIGINT)
        app.wait(60)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--without", choices=["app"])
    options = parser.parse_args()
    folder = options.folder.absolute()
    folder.mkdir()
    (folder / "home").mkdir()
    python, demo = folder / "venv" / "bin" / "python", folder / "demo"
    geoiseg = folder / "venv" / "bin" / "geoiseg"
    quiet = ["install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    steps: list[tuple[str, list[object]]] = [
        ("make an environment", [sys.executable, "-m", "venv", "venv"]),
        ("pip install .", [python, "-m", "pip", *quiet, ROOT]),
        ("geoiseg demo, the first time", [geoiseg, "demo", "--out", demo]),
        ("geoiseg demo, again", [geoiseg, "demo", "--out", folder / "again"]),
        ("geoiseg doctor", [geoiseg, "doctor"]),
    ]
    if options.without != "app":
        steps.append(("pip install '.[app]'", [python, "-m", "pip", *quiet, f"{ROOT}[app]"]))
    for name, command in steps:
        measured(name, lambda command=command: run(*command, folder=folder))
    if options.without != "app":
        measured("geoiseg app to an accepted polygon", lambda: click(folder, demo / "scene.tif"))


if __name__ == "__main__":
    main()
