"""How far a run is: megapixels done, their rate, and the time that is left."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

from tqdm.auto import tqdm

from geoiseg.console import bar_options

MEGA = 1e6

Told = Callable[[int, int, str], None]
"""Takes the pixels that are done, those of the whole run, and a text about it in one line."""


class Progress(Protocol):
    """Is told of every tile or group that is done or given up."""

    def done(self, pixels: int, parts: int, failed: int) -> None:
        """Say that one more tile or group is done.

        Args:
            pixels: Of it.
            parts: Windows or groups that are done by now.
            failed: That were given up by now.
        """

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None: ...  # fmt: skip


def progress_of(pixels: int, done: int, wanted: bool | Told | None) -> Progress:
    """Return who is told of a run.

    Args:
        pixels: Of the whole run.
        done: Of those that an earlier run has done.
        wanted: A callable; or whether to show a bar, None where there is somebody to see it.
    """
    if callable(wanted):
        return Calls(pixels, done, wanted)
    return Bar(pixels, done, wanted)


class Bar:
    """A bar in the terminal or the notebook; none where the output is a file or a pipe."""

    def __init__(self, pixels: int, done: int, shown: bool | None) -> None:
        if shown is None and in_notebook():
            shown = True  # tqdm would take the notebook's output for a file
        self._bar = tqdm(
            total=round(pixels / MEGA, 3),
            initial=round(done / MEGA, 3),
            unit="Mpx",
            **bar_options(shown),
            smoothing=0.1,
            bar_format="{percentage:3.0f}%|{bar}| {n:.1f}/{total:.1f} Mpx"
            " [{elapsed}<{remaining}, {rate_fmt}{postfix}]",
        )

    def done(self, pixels: int, parts: int, failed: int) -> None:
        """Move the bar."""
        self._bar.set_postfix_str(counted(parts, failed), refresh=False)
        self._bar.update(pixels / MEGA)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:  # fmt: skip
        self._bar.close()


class Calls:
    """Calls whoever asked to be told: at once, and then for each tile or group.

    What the callable raises ends the run.
    """

    def __init__(self, pixels: int, done: int, tell: Told) -> None:
        self._total, self._before, self._tell = pixels, done, tell
        self._done = done
        self._since = time.monotonic()

    def done(self, pixels: int, parts: int, failed: int) -> None:
        """Call it."""
        self._done += pixels
        self._call(f", {counted(parts, failed)}{self._left()}")

    def _call(self, more: str) -> None:
        share = f"{self._done / MEGA:.1f} of {self._total / MEGA:.1f} Mpx"
        self._tell(self._done, self._total, share + more)

    def _left(self) -> str:
        """Return how long the rest takes at the rate of this run; nothing where none is left."""
        rest, made = self._total - self._done, self._done - self._before
        if rest <= 0 or made <= 0:
            return ""
        seconds = (time.monotonic() - self._since) * rest / made
        return f", {tqdm.format_interval(seconds)} left"

    def __enter__(self) -> Self:
        self._call(" done by an earlier run" if self._before else "")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:  # fmt: skip
        pass


def counted(parts: int, failed: int) -> str:
    """Return in words how many windows or groups are done and given up."""
    return f"{parts} done" + (f", {failed} failed" if failed else "")


def in_notebook() -> bool:
    """Return whether this process is the kernel of a notebook."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(shell, "kernel")
