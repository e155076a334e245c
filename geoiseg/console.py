"""Where a program tells its user how it gets on: a terminal, a pipe, or nothing at all.

Without a console (``pythonw``, services, ``2>&-``) Python has None for its streams.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any


def bar_options(shown: bool | None = None) -> dict[str, Any]:
    """Return what a tqdm bar is made with so that it never ends a run.

    Args:
        shown: Whether to show it; None where standard error is a terminal.
    """
    if _lost(sys.stderr):
        return {"disable": True}
    return {"file": sys.stderr, "disable": None if shown is None else not shown}


def can_ask() -> bool:
    """Return whether there is somebody to answer a question."""
    return not _lost(sys.stdin) and sys.stdin.isatty()


@contextlib.contextmanager
def streams() -> Iterator[None]:
    """Have something to write to while a command runs, if it leads nowhere.

    A number that standard error does not hold would be given to the next file that is opened,
    and what a library writes to standard error would go into that file.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    before = sys.stdout, sys.stderr
    with contextlib.ExitStack() as stack:
        for name in ("stdout", "stderr"):
            if _lost(getattr(sys, name)):
                nowhere = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
                setattr(sys, name, stack.enter_context(nowhere))
        try:
            yield
        finally:
            sys.stdout, sys.stderr = before


def _lost(stream: Any) -> bool:
    return stream is None or bool(getattr(stream, "closed", False))
