"""A border in progress: followed from click to click, and on to wherever is pointed at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import ArrayLike

from geoiseg.errors import PromptError
from geoiseg.prompting import level_for_gsd
from geoiseg.raster import Raster, Window
from geoiseg.segment.livewire import WIRE_LEVELS, LiveWire, Path, enclosed

LONGEST = 768
"""Longest side in pixels of what is looked at for one stretch; a longer one is seen coarser."""
SMALLEST = 384
"""Shortest side, so that most stretches from one click are found on one look."""
ROOM = 64
"""Pixels around a stretch within which its path may run."""
EDGE = 16
"""Pixels from the edge of a look within which nothing is looked for."""
STAIRS = 0.5
"""Pixels by which a path may leave those it runs through: takes the stairs away."""


@dataclass(frozen=True, slots=True, eq=False)
class _Look:
    """A part of the raster in which paths are found."""

    wire: LiveWire
    level: int
    low: Path
    """``(2,)`` first column and row in pixels of the level."""
    high: Path
    """``(2,)`` the ends; both may lie beyond the raster."""
    origin: Path
    """``(2,)`` column and row of the picture's corner, in pixels of the level."""

    def holds(self, places: Path) -> bool:
        """Return whether places, in pixels of the level, lie well inside."""
        return bool((places >= self.low + EDGE).all() and (places <= self.high - EDGE).all())


class Scissors:
    """Intelligent scissors on a raster. Places are ``x, y`` in pixels of the whole raster.

    Each stretch keeps the level of the pyramid at which it was found: what was seen is what
    stays. One caller at a time.
    """

    def __init__(self, raster: Raster, follows: str = "pixel") -> None:
        """Begin with no click.

        Args:
            raster: The raster.
            follows: One of ``WIRE_LEVELS``; changed by ``follow``.

        Raises:
            PromptError: There is no such level.
        """
        self.raster = raster
        self._grid = raster.grid
        self._clicks: list[Path] = []
        self._pieces: list[Path] = []
        self._look: _Look | None = None
        self.follows = ""
        self.follow(follows)

    @property
    def clicks(self) -> tuple[Path, ...]:
        """``(2,)`` each click so far."""
        return tuple(self._clicks)

    @property
    def path(self) -> Path:
        """``(k, 2)`` what was followed so far, from the first click to the last."""
        return np.concatenate([self._clicks[0][None], *self._pieces]) if self._clicks else _none()

    def follow(self, follows: str) -> None:
        """Follow edges of the picture, borders of superpixels, or either, from now on.

        Raises:
            PromptError: There is no such level.
        """
        if follows not in WIRE_LEVELS:
            raise PromptError(f"a live wire follows {', '.join(WIRE_LEVELS)}, got {follows!r}")
        if follows != self.follows:
            self.follows, self._look = follows, None

    def add(self, xy_pixel: ArrayLike, gsd: float | None = None) -> None:
        """Click: the border is followed there from the last click.

        Args:
            xy_pixel: Where.
            gsd: Ground size in metres of the pixels to look at; None takes the finest.

        Raises:
            PromptError: The place lies outside of the raster.
        """
        if self._clicks:
            piece = self.to(xy_pixel, gsd)
            self._pieces.append(piece)
            self._clicks.append(piece[-1])
        else:
            self._clicks.append(self._inside(xy_pixel))

    def to(self, xy_pixel: ArrayLike, gsd: float | None = None) -> Path:
        """Return ``(k, 2)`` the border from the last click to a place; empty without clicks.

        The arguments are those of ``add``.

        Raises:
            PromptError: The place lies outside of the raster.
        """
        place = self._inside(xy_pixel)
        if not self._clicks:
            return _none()
        return self._between(self._clicks[-1], place, gsd)

    def back(self) -> bool:
        """Take the last click back, and say whether there was one."""
        if not self._clicks:
            return False
        self._clicks.pop()
        if self._pieces:
            self._pieces.pop()
        return True

    def polygon(self, gsd: float | None = None) -> Any:
        """Return what the border encloses as a Polygon in the raster's CRS, its ends joined.

        Args:
            gsd: As ``add`` takes it, for the last stretch.

        Raises:
            PromptError: There are fewer than three clicks, or nothing is enclosed.
        """
        if len(self._clicks) < 3:
            raise PromptError(f"a border wants 3 clicks or more, got {len(self._clicks)}")
        last = self._between(self._clicks[-1], self._clicks[0], gsd)
        whole = np.concatenate([self.path, last])
        new = np.r_[True, np.any(np.diff(whole, axis=0) != 0, axis=1)]
        return enclosed(self._grid.to_crs(whole[new]))

    def _between(self, start: Path, end: Path, gsd: float | None) -> Path:
        """Return ``(k, 2)`` the border from after one place to another, which it ends at."""
        ends = np.stack([start, end])
        look = self._look_at(ends, level_for_gsd(self._grid, gsd))
        scale = self._scale(look.level)
        limit = np.array(look.wire.shape[::-1], np.float64)
        first, last = np.clip(ends * scale - look.origin, 0, limit).tolist()
        found = (look.wire.path((first[0], first[1]), (last[0], last[1])) + look.origin) / scale
        found[0], found[-1] = start, end
        if len(found) < 2:
            return found
        kept = shapely.simplify(shapely.LineString(found), STAIRS / float(scale.min()))
        return np.asarray(shapely.get_coordinates(kept)[1:])

    def _look_at(self, ends: Path, level: int) -> _Look:
        """Return a part of the raster that holds both ends, the last one where it does."""
        span = float(np.ptp(ends, axis=0).max())
        while (span * self._scale(level).max() + 2 * ROOM) > LONGEST and level < (
            self._grid.top_level
        ):
            level += 1
        places = ends * self._scale(level)
        look = self._look
        if look is not None and look.level == level and look.holds(places):
            return look
        side = max(SMALLEST, float(np.ptp(places, axis=0).max()) + 2 * ROOM)
        low = np.floor(places.mean(axis=0) - side / 2)
        high = low + np.ceil(side)
        rows = (int(low[1]), int(low[0]), int(high[1] - low[1]), int(high[0] - low[0]))
        window = Window(*rows).intersection(self._grid.level(level).whole)
        chip = self.raster.chip(window, level)
        origin = np.maximum(low, 0)
        self._look = _Look(LiveWire(chip.rgb, self.follows), level, low, high, origin)
        return self._look

    def _scale(self, level: int) -> Path:
        """Return ``(2,)`` pixels of a level per pixel of the raster."""
        grid = self._grid.level(level)
        return np.array([grid.width / self._grid.width, grid.height / self._grid.height])

    def _inside(self, xy_pixel: ArrayLike) -> Path:
        place = np.asarray(xy_pixel, np.float64).reshape(2)
        if not ((place >= 0).all() and (place <= self._grid.shape[::-1]).all()):
            raise PromptError(f"({place[0]:g}, {place[1]:g}) lies outside the raster")
        return place


def _none() -> Path:
    return np.empty((0, 2))
