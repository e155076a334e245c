"""Constants in the source that are fitted to the shipped weights."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from geoiseg.atomic import written
from geoiseg.errors import GeoisegError


def line(weights: Sequence[float]) -> str:
    """Return numbers as they stand in the source, two digits after the point."""
    return "(" + ", ".join(f"{round(one, 2):g}" for one in weights) + ")"


def put(path: Path, name: str, weights: Sequence[float]) -> None:
    """Put weights in the place of those of a constant in a source file.

    Args:
        path: Of the source.
        name: Of the constant.
        weights: What it becomes.

    Raises:
        GeoisegError: The constant is not there once.
    """
    pattern = re.compile(rf"^{name} = \([^)]*\)$", re.MULTILINE)
    text, count = pattern.subn(f"{name} = {line(weights)}", path.read_text(encoding="utf-8"))
    if count != 1:
        raise GeoisegError(f"{path} sets {name} {count} times; it should once")
    with written(path) as target:
        target.write_text(text, encoding="utf-8")
