"""Nobody is told: what a click, a model and each dependency leave in a home, and whom they ask.

Everything runs in a process of its own with an empty home. Files are looked for there; what
Python asks for is seen by an audit hook, what libraries ask for below it by ``strace``.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from geoiseg.quiet import VARIABLES

ROOT = Path(__file__).parents[1]
HOOK = """
import sys
def _seen(event, arguments):
    if event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.connect", "socket.sendto"):
        if not str(arguments).startswith("(<socket.socket") or "AF_UNIX" not in str(arguments[0]):
            print("ASKED", event, arguments[-1] if "connect" in event else arguments[:2], flush=True)
sys.addaudithook(_seen)
"""
CLICK = """
import time, numpy as np, rasterio, geoiseg
from rasterio.transform import from_origin
pixels = np.full((3, 96, 96), 60, "uint8"); pixels[:, 30:60, 20:70] = 180
with rasterio.open("e.tif", "w", driver="GTiff", count=3, height=96, width=96, dtype="uint8",
                   crs="EPSG:32631", transform=from_origin(5e5, 5e6, 10, 10)) as made:
    made.write(pixels)
session = geoiseg.Session("e.tif", project="p.gpkg")
session.add_point(500450, 4999550)
session.accept("field"); session.export("o.gpkg")
time.sleep({seconds})
"""
NETWORK = re.compile(r"(connect|sendto|sendmsg|sendmmsg)\(.*(AF_INET6?|htons\(53\))")


@dataclass(frozen=True, slots=True)
class Left:
    """What a process left behind."""

    files: list[str]
    """In its home, those of geoiseg left out."""
    asked: list[str]
    """Hosts and sockets."""


def run(code: str, folder: Path, **variables: str) -> Left:
    home = folder / "home"
    home.mkdir()
    kept = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": str(home)}
    command = [sys.executable, "-c", HOOK + code]
    trace = folder / "trace.txt"
    if shutil.which("strace"):
        command = ["strace", "-f", "-s", "128", "-e", "trace=%network", "-o", str(trace), *command]
    done = subprocess.run(
        command, cwd=folder, env={**kept, **variables}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    asked = [line for line in done.stdout.splitlines() if line.startswith("ASKED")]
    if trace.exists():
        asked += [line for line in trace.read_text().splitlines() if NETWORK.search(line)]
    made = (path for path in home.rglob("*") if path.is_file() and "geoiseg" not in path.parts)
    return Left(sorted(str(path.relative_to(home)) for path in made), asked)


@pytest.mark.slow
def test_a_session_tells_nobody(tmp_path: Path) -> None:
    """By itself onnxruntime asks for its maker's host some nine seconds after it is loaded."""
    left = run(CLICK.format(seconds=12), tmp_path)
    assert left == Left([], [])


def test_a_click_leaves_nothing_of_others(tmp_path: Path) -> None:
    left = run(CLICK.format(seconds=0), tmp_path)
    assert left == Left([], [])


def test_somebody_else_may_have_loaded_it_first(tmp_path: Path) -> None:
    """What is heeded at its import alone is told once more."""
    code = "import geoiseg, os; os.environ.clear(); from geoiseg.quiet import quiet_onnxruntime\n"
    left = run(code + "quiet_onnxruntime(); import os; print(os.environ['ORT_DISABLE_TELEMETRY'])",
               tmp_path)  # fmt: skip
    assert left == Left([], [])


@pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="needs openvino")
def test_openvino_tells_nobody(tmp_path: Path) -> None:
    graph = next((ROOT / "geoiseg" / "models" / "tiny").rglob("*.onnx"))
    code = (
        "from pathlib import Path; from geoiseg.models.exported.runtimes import openvino_runner\n"
        f"openvino_runner(Path({str(graph)!r}), 'fp32')\nimport openvino_telemetry"
    )
    assert run(code, tmp_path) == Left([], [])


@pytest.mark.skipif(importlib.util.find_spec("openvino_telemetry") is None, reason="needs openvino")
def test_what_reports_is_seen_here(tmp_path: Path) -> None:
    """OpenVINO by itself: or else nothing above would say anything."""
    left = run("import openvino", tmp_path, XDG_CACHE_HOME="")
    assert any("intel" in name for name in left.files)


QUIET = ["rasterio", "pyproj", "shapely", "geopandas", "pyogrio", "cv2", "skimage", "PIL", "scipy",
         "ipywidgets", "ipyleaflet", "anywidget", "xarray", "rioxarray", "pyarrow.parquet",
         "geopandas.io.arrow", "torch", "transformers", "huggingface_hub", "timm", "safetensors",
         "open_clip", "dask.distributed", "fsspec", "voila.app", "jupyterlab.labapp"]  # fmt: skip
"""All that geoiseg uses, whether it is installed with it or with an extra."""


@pytest.mark.slow
def test_no_dependency_asks_anybody_when_it_is_loaded(tmp_path: Path) -> None:
    there = [name for name in QUIET if importlib.util.find_spec(name.split(".")[0]) is not None]
    code = f"import geoiseg, importlib\nfor name in {there!r}: importlib.import_module(name)\n"
    left = run(code + "from geoiseg.quiet import quiet_onnxruntime; quiet_onnxruntime()", tmp_path)
    assert not left.asked
    made_again = ("matplotlib", "torch", "jupyter", "fontconfig")  # caches of a library's own
    assert not [name for name in left.files if not any(one in name for one in made_again)]


def test_the_libraries_are_told_in_their_own_words() -> None:
    """The switches that geoiseg sets are the ones that those libraries read."""
    assert {name: os.environ.get(name) for name in VARIABLES} == VARIABLES
    hub = pytest.importorskip("huggingface_hub.constants")
    assert hub.HF_HUB_DISABLE_TELEMETRY


def test_jupyterlab_is_opened_without_asking_for_news() -> None:
    labapp = pytest.importorskip("jupyterlab.labapp")
    from geoiseg.cli.lab import QUIET as ARGUMENTS

    app = labapp.LabApp()
    app.parse_command_line(list(ARGUMENTS))
    assert app.news_url is None
    assert app.check_for_updates_class.__name__ == "NeverCheckForUpdate"


def test_nothing_is_loaded_past_the_switch() -> None:
    """No module of the package imports what reports but by ``geoiseg.quiet``."""
    wrong = [
        str(path.relative_to(ROOT))
        for path in (ROOT / "geoiseg").rglob("*.py")
        if path.name != "quiet.py"
        and re.search(
            r'^\s*(import (onnxruntime|openvino)|from (onnxruntime|openvino)\b)'
            r'|(require|import_module)\("(onnxruntime|openvino)"', path.read_text(), re.MULTILINE
        )
    ]  # fmt: skip
    assert not wrong
