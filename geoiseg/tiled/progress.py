"""How far a run is: megapixels done, their rate, and the time that is left."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Self

from tqdm.auto import tqdm

MEGA = 1e6


class Progress:
    """A bar in the terminal or the notebook; none where the output is a file or a pipe.

    Args:
        pixels: Of the whole run.
        done: Of those that an earlier run has done.
        shown: Whether to show it; None where there is somebody to see it.
    """

    def __init__(self, pixels: int, done: int, shown: bool | None) -> None:
        if shown is None and in_notebook():
            shown = True  # tqdm would take the notebook's output for a file
        disable = None if shown is None else not shown
        self._bar = tqdm(
            total=round(pixels / MEGA, 3),
            initial=round(done / MEGA, 3),
            unit="Mpx",
            disable=disable,
            file=sys.stderr,
            smoothing=0.1,
            bar_format="{percentage:3.0f}%|{bar}| {n:.1f}/{total:.1f} Mpx"
            " [{elapsed}<{remaining}, {rate_fmt}{postfix}]",
        )

    def done(self, pixels: int, parts: int, failed: int) -> None:
        """Say that one more tile or group is done.

        Args:
            pixels: Of it.
            parts: Windows or groups that are done by now.
            failed: That were given up by now.
        """
        self._bar.set_postfix_str(f"{parts} done" + (f", {failed} failed" if failed else ""),
                                  refresh=False)  # fmt: skip
        self._bar.update(pixels / MEGA)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:  # fmt: skip
        self._bar.close()


def in_notebook() -> bool:
    """Return whether this process is the kernel of a notebook."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(shell, "kernel")
