"""A real QGIS with the plugin as it is packed, and a profile of its own, for the tests."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geoiseg.companion.plugin_zip import NAME, write_zip
from tests.conftest import missing

DRIVE = Path(__file__).parent / "drive.py"
PROCESS = Path(__file__).parent / "process.py"
PYTHON = "/usr/bin/python3"
"""Has PyQGIS where Debian's QGIS is installed."""


def program(*names: str) -> str:
    """Return the first program that is there, or go without as the tests may."""
    for name in names:
        found = shutil.which(name)
        if found:
            return found
    return missing(f"{names[0]} is not installed: apt-get install qgis python3-qgis xvfb")


@dataclass(frozen=True)
class Qgis:
    """A profile in which the plugin is installed from its zip."""

    folder: Path
    python: str = sys.executable
    """Has geoiseg; where empty, the plugin has to set it up itself."""
    networked: bool = True

    @classmethod
    def made(cls, folder: Path, packed: Path | None = None, **how: Any) -> Qgis:
        program("qgis.bin", "qgis")
        plugins = folder / "profiles/default/python/plugins"
        plugins.mkdir(parents=True)
        with zipfile.ZipFile(packed or write_zip(folder / "plugin.zip")) as archive:
            archive.extractall(plugins)
        settings = folder / "profiles/default/QGIS/QGIS3.ini"
        settings.parent.mkdir()
        settings.write_text(
            f"[PythonPlugins]\n{NAME}=true\n\n[qgis]\ncheckVersion=false\n"
            "enableMacros=SessionOnly\nnewProjectDefault=false\n"
        )
        return cls(folder, **how)

    @property
    def surroundings(self) -> dict[str, str]:
        """The environment of QGIS: as a user's, that knows nothing of the tests' own."""
        own = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        own.pop("VIRTUAL_ENV", None)
        run = self.folder / "run"
        run.mkdir(mode=0o700, exist_ok=True)
        return {
            **own,
            "HOME": str(self.folder),
            "XDG_RUNTIME_DIR": str(run),
            "QGIS_CUSTOM_CONFIG_PATH": str(self.folder),
            "GEOISEG_PYTHON": self.python,
            "PYTHONWARNINGS": "ignore::DeprecationWarning",
        }

    def process(self, *arguments: str, **surroundings: str) -> subprocess.CompletedProcess[str]:
        """Run ``qgis_process``."""
        command = program("qgis_process.bin", "qgis_process")  # Debian's wrapper adds an option
        return subprocess.run(
            [command, *arguments], capture_output=True, text=True, timeout=600, check=False,
            env={**self.surroundings, "QT_QPA_PLATFORM": "offscreen", **surroundings},
        )  # fmt: skip

    def run(self, algorithm: str, **parameters: Any) -> dict[str, Any]:
        """Run an algorithm, and return its results."""
        given = [f"--{name}={value}" for name, value in parameters.items()]
        done = self.process("--json", "run", algorithm, *given)
        assert done.returncode == 0, done.stdout + done.stderr
        return dict(json.loads(done.stdout[done.stdout.index("{") :])["results"])

    def script(self, *arguments: str) -> dict[str, Any]:
        """Run ``tests/qgis/process.py`` in QGIS's Python, and return what it saw."""
        plugins = self.folder / "profiles/default/python/plugins"
        done = subprocess.run(
            [program(PYTHON), str(PROCESS), str(plugins), *arguments],
            capture_output=True, text=True, timeout=600, check=False,
            env={**self.surroundings, "QT_QPA_PLATFORM": "offscreen"},
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return dict(json.loads(done.stdout.splitlines()[-1]))

    def drive(self, steps: list[dict[str, Any]], **job: Any) -> dict[str, Any]:
        """Let a user do ``steps`` in the whole QGIS, and return what was seen after each."""
        plan, out = self.folder / "drive.json", self.folder / "seen.json"
        out.unlink(missing_ok=True)
        plan.write_text(json.dumps({**job, "steps": steps, "out": str(out)}))
        command = [
            program("xvfb-run"), "-a", "-s", "-screen 0 1280x800x24", program("qgis.bin", "qgis"),
            "--nologo", "--noversioncheck", "--code", str(DRIVE),
        ]  # fmt: skip
        if not self.networked:
            command = [program("unshare"), "--map-root-user", "--net", *command]
        own = {**self.surroundings, "GEOISEG_DRIVE": str(plan)}
        for name in ("QT_QPA_PLATFORM", "DISPLAY", "WAYLAND_DISPLAY"):
            own.pop(name, None)
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=600, check=False, env=own
        )
        assert out.exists(), done.stdout[-3000:] + done.stderr[-3000:]
        answer: dict[str, Any] = json.loads(out.read_text())
        assert "error" not in answer, answer["error"]
        return answer
