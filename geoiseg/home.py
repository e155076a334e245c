"""Where geoiseg keeps what it may make or fetch again: weights and embeddings."""

from __future__ import annotations

import os
import sys
from pathlib import Path

VARIABLE = "GEOISEG_HOME"
"""Environment variable that names the folder."""


def home() -> Path:
    r"""Return the folder for caches: ``GEOISEG_HOME``, or the platform's own place.

    It need not exist. By default ``~/.cache/geoiseg`` (``XDG_CACHE_HOME`` is heeded),
    ``~/Library/Caches/geoiseg`` on macOS, ``%LOCALAPPDATA%\geoiseg`` on Windows.
    """
    chosen = os.environ.get(VARIABLE)
    if chosen:
        return Path(chosen).expanduser().absolute()
    user = Path(os.path.expanduser("~"))  # noqa: PTH111 - Path.home() fails where there is none
    if sys.platform == "darwin":
        return user / "Library" / "Caches" / "geoiseg"
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return (Path(local) if local else user / "AppData" / "Local") / "geoiseg"
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base and Path(base).is_absolute() else user / ".cache") / "geoiseg"
