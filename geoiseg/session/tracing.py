"""The object in progress is drawn: as an outline, or along a border from click to click."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import shapely

from geoiseg.errors import PromptError
from geoiseg.outline import by_hand
from geoiseg.segment import WireOptions, live_wire
from geoiseg.session.by_hand import ByHand, Place


class Tracing(ByHand):
    """An object may begin with an outline instead of with a model's answer."""

    def draw(self, outline: Any, crs: Any = None, *, tool: str = "draw") -> None:
        """Make an outline the object in progress with all its vertices: one step to undo.

        It takes the place of what was in progress. Prompts afterwards refine it.

        Args:
            outline: Shapely Polygon or MultiPolygon.
            crs: Its CRS where it is not the raster's.
            tool: What it was drawn with, for the project file.

        Raises:
            PromptError: It is no polygon with an area, or does not meet the raster.
        """
        if getattr(outline, "geom_type", None) not in {"Polygon", "MultiPolygon"}:
            raise PromptError(f"draw a shapely Polygon or MultiPolygon, got {outline!r:.60}")
        grid = self.raster.grid
        placed = grid.bring(outline, crs)
        if not shapely.intersects(placed, grid.footprint):
            raise PromptError("the outline lies outside of the raster")
        with self._lock:
            self._history.push(self._after(self._drawn_step(tool, by_hand.whole(placed))))

    def trace(self, clicks: Iterable[Place], crs: Any = None, *, follows: str = "pixel") -> None:
        """Follow a border through clicks on it (intelligent scissors); ``draw`` what it encloses.

        Args:
            clicks: ``x, y`` in order, three or more; the last is joined to the first.
            crs: CRS of the clicks where it is not the raster's.
            follows: ``pixel``: edges of the picture, ``superpixel``: borders of superpixels, or
                ``hybrid``: either.

        Raises:
            PromptError: There are too few clicks, one lies outside of the raster, or nothing is
                enclosed.
        """
        places = [(float(x), float(y)) for x, y in clicks]
        self.draw(live_wire(self.raster, places, crs, WireOptions(follows)), tool="wire")
