"""What long work tells, and how it is stopped."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from geoiseg.errors import CancelledError

if TYPE_CHECKING:
    from geoiseg.prompting import Frame
    from geoiseg.raster import BoolArray


@dataclass(slots=True)
class Watch:
    """What a long operation tells, and how it is stopped."""

    tell: Callable[[str], None] = lambda _: None
    """Called with what is going on: ``reading``, ``encoding``, ``decoding``."""
    cancelled: Callable[[], bool] = lambda: False
    """Asked between the phases whether to stop."""
    show: Callable[[Frame, BoolArray], None] = lambda *_: None
    """Called with the object as far as it is, as ``(y, x)`` on a window of a level, while it is
    followed or sharpened; it changes afterwards."""
    milliseconds: dict[str, float] = field(default_factory=dict)
    """Wall time of each phase, added up."""

    def phase(self, name: str) -> None:
        """Say what comes next.

        Raises:
            CancelledError: The user has asked to stop.
        """
        if self.cancelled():
            raise CancelledError(f"stopped before {name}")
        self.tell(name)

    def spent(self, name: str, since: float) -> None:
        """Add the time since ``since`` to a phase."""
        elapsed = (time.perf_counter() - since) * 1e3
        self.milliseconds[name] = self.milliseconds.get(name, 0.0) + elapsed
