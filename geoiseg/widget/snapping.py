"""Accepted features that take over their neighbours' borders: how near, and what it changed."""

from __future__ import annotations

from collections.abc import Iterable

import shapely

from geoiseg.features import Feature
from geoiseg.outline.coverage import Fitted
from geoiseg.segment import Watch
from geoiseg.session.covering import checked_snap
from geoiseg.widget.labelling import Labelling

NAMED = 3
"""Neighbours that a note names; of more it gives the number."""
ROUNDING = 1e-4
"""Metres by which noding may move a border: what that makes of an area is not worth a word."""


class Snapping(Labelling):
    """An editor whose accepted features may share their borders."""

    @property
    def snap(self) -> float:
        """Metres within which an accepted feature takes over its neighbours' borders; 0 for none.

        In the units of the coordinates where the raster has no CRS. Kept in the project: at
        once where its file exists, and else with the first accept.
        """
        return self.session.snap

    @snap.setter
    def snap(self, width: float) -> None:
        self.use_snap(width, wait=False)

    def use_snap(self, width: float, *, wait: bool = True) -> None:
        """Change how near borders are shared, for what is accepted from now on.

        Raises:
            SessionError: It is no length in metres.
            ExportError: It is changed, but the project file could not be saved.
        """
        chosen = checked_snap(width)

        def change(_: Watch) -> None:
            if chosen != self.session.snap:
                self.session.snap = chosen
                self._save_existing()

        self._ask(change, wait=wait)

    @property
    def _snap_unit(self) -> str:
        return "units" if self.session.raster.grid.crs is None else "m"

    def _fitted_note(self, number: int, before: Iterable[Feature]) -> str:
        """Return what accepting a feature changed of it and of its neighbours, if anything.

        Args:
            number: Its id.
            before: The features as they were.
        """
        fitted = self.session.fitted
        if fitted is None:
            return ""
        known = {one.id: one for one in before}
        moved = [
            one.id
            for one in self.session.accepted
            if one.id != number and one.id in known and one is not known[one.id]
        ]
        pixel = self.session.raster.grid.pixel_size_metres() or 0.0
        unit = "m²" if self._snap_unit == "m" else "square units"
        return told(fitted, moved, unit, pixel**2 / 2)


def told(fitted: Fitted, moved: list[int], unit: str, least: float) -> str:
    """Return in a few words what fitting a feature in changed; empty for nothing.

    Args:
        fitted: The feature among its neighbours.
        moved: Ids of the neighbours that got vertices.
        unit: Of the areas.
        least: Area that is not worth a word.
    """
    least = max(least, ROUNDING * shapely.length(fitted.geometry))
    parts = []
    if fitted.cut > least:
        parts.append(f"{amount(fitted.cut)} {unit} left to neighbours")
    if fitted.filled > least:
        parts.append(f"{amount(fitted.filled)} {unit} of gap filled")
    if moved:
        named = f"feature{'s' if len(moved) > 1 else ''} {', '.join(map(str, moved))}"
        whom = named if len(moved) <= NAMED else f"{len(moved)} features"
        parts.append(f"vertices added to {whom}")
    return "; ".join(parts)


def amount(area: float) -> str:
    """Return an area in two digits, or to the whole unit where it is larger."""
    return f"{area:,.0f}" if area >= 10 else f"{area:.2g}"
