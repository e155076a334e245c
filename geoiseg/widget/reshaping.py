"""Holes, parts and the width of outlines on the map."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from geoiseg.segment import Watch
from geoiseg.widget.snapping import Snapping

SHAPES = ("holes", "parts", "grow")
"""What is changed in ground units."""


class Reshaping(Snapping):
    """An editor whose outlines change their shape at once, accepted ones too."""

    def reshape(
        self, accepted: bool | Iterable[int] = False, *, wait: bool = True, **shape: float
    ) -> int:
        """Fill holes, drop small parts, move borders: see ``Session.reshape``.

        Args:
            accepted: Whether accepted features change too, or the ids of those that are to.
            wait: Whether to return only when it is done.
            **shape: ``holes`` and ``parts`` in square metres, ``grow`` in metres.

        Returns:
            How many accepted features have another shape; 0 where it is not waited for.

        Raises:
            PromptError: A number is out of its range.
            SessionError: Nothing would be left of a feature.
        """

        def change(_: Watch) -> int:
            many = self.session.reshape(accepted, **shape)
            if many:
                self._say(f"{many} accepted feature{'s' if many > 1 else ''} reshaped")
            return many

        found: int | None = self._ask(change, wait=wait)
        return found or 0

    @property
    def shape(self) -> dict[str, Any]:
        """What the sliders show: the values, and the metres of a pixel that they go by."""
        options, grid = self.session.options, self.session.raster.grid
        size = grid.pixel_size_metres() or float(max(grid.pixel_size))
        return {name: getattr(options, name) for name in SHAPES} | {"pixel": size}
