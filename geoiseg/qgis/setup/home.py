"""The folder of the user's profile that holds the environment, and which one is in use.

Each environment is made in a folder of its own and only named once it answers, so that one
that failed, or was stopped, takes nothing from the one before.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import threading
from pathlib import Path
from typing import Any, Dict, List, Optional
from uuid import uuid4

NAME = "geoiseg"
"""Of the folder in QGIS's profile."""
CURRENT = "current.json"
"""Names the environment in use and what it was made of."""
TOOLS = "tools"
"""Folder of what is needed on the way alone."""
ASIDE = "old-"
"""Begins the names of folders that are being removed."""
SWEEPER = "geoiseg-sweeper"
"""Name of the threads that remove them."""
NEEDED = 900 << 20
"""Bytes that setting up takes, with what is downloaded on the way."""
STATES = ("none", "ready", "older", "broken")


class Home:
    """The environments in a folder.

    Args:
        folder: Made with the first environment.
        windows: Whether Pythons lie where Windows has them.
    """

    def __init__(self, folder: Path, windows: bool = os.name == "nt") -> None:
        self.folder = folder
        self._windows = windows

    @property
    def current(self) -> Dict[str, Any]:
        """What the environment in use was made of: ``folder``, ``version``, ``made``."""
        try:
            said = json.loads((self.folder / CURRENT).read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return said if isinstance(said, dict) and isinstance(said.get("folder"), str) else {}

    @property
    def python(self) -> Optional[Path]:
        """The Python of the environment in use; None where there is none."""
        name = self.current.get("folder")
        return self.python_in(self.folder / name) if name else None

    def python_in(self, folder: Path) -> Path:
        """Return where an environment has its Python."""
        return folder / "Scripts" / "python.exe" if self._windows else folder / "bin" / "python"

    def state(self, stamp: str) -> str:
        """Return one of :data:`STATES`, as a plugin of that stamp sees the environment."""
        python = self.python
        if python is None:
            return "none"
        if not python.exists():
            return "broken"
        return "ready" if self.current.get("stamp") == stamp else "older"

    def next_folder(self) -> Path:
        """Return a folder for another environment, that does not exist."""
        numbers = [0]
        for path in self._environments():
            tail = path.name.rpartition("-")[2]
            numbers.append(int(tail) if tail.isdigit() else 0)
        return self.folder / f"env-{max(numbers) + 1}"

    def use(self, folder: Path, stamp: str, version: str) -> None:
        """Name an environment as the one in use, and remove all others."""
        said = {"folder": folder.name, "stamp": stamp, "version": version}
        beside = self.folder / f"{CURRENT}.new"
        beside.write_text(json.dumps(said) + "\n", "utf-8")
        beside.replace(self.folder / CURRENT)
        self.tidy()

    def tidy(self) -> None:
        """Set aside what is left of environments that are not in use, and remove it.

        Those are thousands of files, for which no window should stand still.
        """
        kept = self.current.get("folder")
        for path in [*self._environments(), self.folder / TOOLS]:
            if path.name != kept:
                with contextlib.suppress(OSError):  # what a program still holds goes another time
                    path.rename(self.folder / f"{ASIDE}{uuid4().hex[:4]}")
        self.sweep()

    def sweep(self) -> None:
        """Remove what was set aside, beside everything else."""
        left = list(self.folder.glob(f"{ASIDE}*"))
        if left:
            removing = threading.Thread(target=_remove_all, args=(left,), name=SWEEPER, daemon=True)
            removing.start()

    def remove(self) -> None:
        """Remove everything.

        Raises:
            OSError: Something can not be removed.
        """
        wait_for_sweepers()
        if self.folder.is_dir():
            (self.folder / CURRENT).unlink(missing_ok=True)
            shutil.rmtree(self.folder)

    def room(self) -> int:
        """Return the free bytes where the environment goes.

        Raises:
            OSError: The folder can not be made or written to.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        probe = self.folder / ".probe"
        probe.write_bytes(b"geoiseg")
        probe.unlink()
        return shutil.disk_usage(self.folder).free

    def size(self) -> int:
        """Return the bytes that the folder takes."""
        files = (path for path in self.folder.rglob("*") if not path.is_symlink())
        return sum(path.stat().st_size for path in files if path.is_file())

    def _environments(self) -> List[Path]:
        return sorted(self.folder.glob("env-*")) if self.folder.is_dir() else []


def wait_for_sweepers() -> None:
    """Wait until everything that was set aside is removed."""
    for thread in threading.enumerate():
        if thread.name == SWEEPER:
            thread.join()


def _remove_all(folders: List[Path]) -> None:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
