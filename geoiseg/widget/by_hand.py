"""Corrections by hand on the map: what the mouse does with the tools, and the same as a method."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from geoiseg.errors import GeoisegError, SessionError
from geoiseg.widget.channel.actions import BRUSH, ERASER, HOLE, MERGE, MOVE, SPLIT, VERTEX

if TYPE_CHECKING:
    from geoiseg.widget.channel.messages import Drag, VertexChange

METHODS = ("move_vertex", "add_vertex", "delete_vertex", "brush", "erase", "cut_hole", "fill_hole",
           "move", "split", "merge")  # fmt: skip
"""Methods of a session that correct an outline by hand."""
TAP = 4
"""Screen pixels: a shorter drag is a click."""


class HandTools:
    """What the page does with the tools by hand, turned into methods of the session."""

    def __init__(self, owner: Any) -> None:
        """Make them for a ``BaseMap``."""
        self._map = owner

    @property
    def target(self) -> int | None:
        """Id of the accepted feature to correct; None for the object in progress.

        Raises:
            SessionError: There is neither.
        """
        owner = self._map
        if owner.session.outcome is not None:
            return None
        if owner.selected is None:
            raise SessionError("select a feature first (V), or begin an object: then correct it")
        return int(owner.selected)

    def click(self, hit: int | None) -> None:
        """Act on a click with a tool by hand: it selects what is hit, or merges it."""
        owner = self._map
        if owner.tool == MERGE and hit is not None and (
            owner.session.outcome is not None or owner.selected is not None
        ):  # fmt: skip
            target = self.target
            owner.correct("merge", [hit], target, wait=False)
        elif owner.session.outcome is None:
            owner.select(hit)
        else:
            owner.refresh()

    def drag(self, drag: Drag) -> None:
        """Act on a stroke with a tool by hand."""
        owner, target = self._map, self.target
        xy = [owner.frame.xy(place) for place in drag.at]
        how: dict[str, Any] = {"crs": owner.frame.crs, "wait": False}
        if owner.tool in (BRUSH, ERASER):
            off = owner.tool == ERASER or drag.negative
            owner.correct("erase" if off else "brush", xy, owner.brush, target, **how)
        elif owner.tool == SPLIT:
            owner.correct("split", xy, target, **how)
        elif owner.tool == HOLE and (len(xy) < 4 or _is_tap(drag) or _is_dab(xy)):
            owner.correct("fill_hole", xy[0], target, **how)
        elif owner.tool == HOLE:
            owner.correct("cut_hole", xy, target, **how)
        elif owner.tool == MOVE and _is_tap(drag):
            owner.refresh()  # takes away the mark that the page drew
        elif owner.tool == MOVE:
            owner.correct("move", xy[0], xy[-1], target, **how)

    def vertex(self, change: VertexChange) -> None:
        """Act on a vertex that was moved, added or deleted."""
        owner, target = self._map, self.target
        try:
            at = owner.frame.xy(change.at)
            to = None if change.to is None else owner.frame.xy(change.to)
        except GeoisegError:
            self.forget()
            self.show()
            raise
        places = (at,) if change.what == "delete" else (at, to)
        owner.correct(f"{change.what}_vertex", *places, target, crs=owner.frame.crs, wait=False)

    def forget(self) -> None:
        """Have the vertices sent anew: the page has drawn a change that was refused."""
        self._shown = None
        self._sent += 1

    def show(self) -> None:
        """Show the bar, and the vertices while their tool is in use."""
        owner = self._map
        hand, session = owner.hand, owner.session
        on = session.outcome is not None or owner.selected is not None
        renderer = owner.frame.renderer
        west, south, east, north = renderer.bounds_lonlat
        ground = owner.frame.gsd(((south + north) / 2, (west + east) / 2), 0)
        unit = "units" if session.raster.grid.crs is None else "m"
        hand.state = {"tool": owner.tool, "on": on, "width": owner.brush, "unit": unit,
                      "ground": ground}  # fmt: skip
        outline: Any = None
        if owner.tool == VERTEX and on:
            target = self.target
            outline = session.geometry if target is None else owner.feature(target).geometry
        if outline is not self._shown:
            self._shown = outline
            placed = {} if outline is None else self._rings(outline)
            hand.outline = placed and placed | {"sent": self._sent}

    _shown: Any = None
    _sent: int = 0
    """Counts outlines that are sent again though nothing has changed."""

    def _rings(self, outline: Any) -> dict[str, Any]:
        """Return an outline as the page takes it; empty where it has no place on the map."""
        rings = [ring for part in shapely.get_parts(outline)
                 for ring in (part.exterior, *part.interiors)]  # fmt: skip
        xy = np.concatenate([shapely.get_coordinates(ring)[:-1] for ring in rings])
        placed = shapely.get_coordinates(self._map.frame.on_map(shapely.multipoints(xy)))
        if len(placed) != len(xy):
            return {}
        counts = [len(ring.coords) - 1 for ring in rings]
        return {"rings": counts, "xy": placed.astype("<f8").tobytes()}


def _is_dab(xy: list[tuple[float, float]]) -> bool:
    """Return whether a stroke comes back without any ground in it."""
    return bool(shapely.Polygon(xy).area == 0)


def _is_tap(drag: Drag) -> bool:
    """Return whether a stroke is a click during which the mouse hardly moved."""
    lat, lon = np.array(drag.at).T
    north = np.ptp(lat) / max(1e-6, float(np.cos(np.radians(lat[0]))))
    return bool(np.hypot(north, np.ptp(lon)) * 256 / 360 * 2**drag.zoom < TAP)
