"""Intelligent scissors on the map: clicks on a border, which is followed to the cursor."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geoiseg.errors import GeoisegError
from geoiseg.raster import Raster
from geoiseg.segment import WIRE_LEVELS, Scissors
from geoiseg.widget.channel.actions import WIRE

if TYPE_CHECKING:
    from geoiseg.widget.channel.messages import Click, Move
    from geoiseg.widget.channel.wire import WireBar

log = logging.getLogger(__name__)

NEAR = 6
"""Screen pixels within which a click is on another one."""
LEAST = 3
"""Clicks that enclose something."""
Place = tuple[float, float]


class WireTool:
    """What the page does with the tool, followed in a thread of its own: no model is asked.

    A second click on the last one, as a double click is, or one on the first, closes the border.
    """

    def __init__(self, owner: Any, bar: WireBar) -> None:
        """Make it for a ``BaseMap``."""
        self._map, self._bar = owner, bar
        self._pool = ThreadPoolExecutor(1, "geoiseg-wire")
        self._scissors: Scissors | None = None
        self._places: list[Place] = []
        self._cursor: Move | None = None
        self._waits = False
        self._follows = WIRE_LEVELS[0]

    @property
    def begun(self) -> bool:
        """Whether there is a border in progress."""
        return bool(self._places)

    @property
    def follows(self) -> str:
        """What borders are followed along: ``pixel``, ``superpixel`` or ``hybrid``."""
        return self._follows

    @follows.setter
    def follows(self, level: str) -> None:
        Scissors(self._map.session.raster, level)  # refuses what is none
        self._follows = level
        self.show()

    # -- what the page does ------------------------------------------------------------

    def click(self, click: Click) -> None:
        """Follow the border to a click, close it, or, with a negative one, go back."""
        self._submit(self._back if click.negative else lambda: self._click(click))

    def hover(self, move: Move) -> None:
        """Show the border from the last click to the cursor; only the last place counts."""
        self._cursor = move
        if self.begun and not self._waits:
            self._waits = True
            self._submit(self._ahead)

    def do(self, name: str) -> bool:
        """Act on a command that is about the border in progress, and say whether it is."""
        acts = {"accept": self._close, "undo": self._back, "delete": self._back,
                "cancel": self._drop}  # fmt: skip
        if not self.begun or name not in acts:
            return False
        self._submit(acts[name])
        return True

    def wait(self) -> None:
        """Return once all that was asked for is done."""
        self._pool.submit(lambda: None).result()

    def close(self) -> None:
        """Stop."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def show(self) -> None:
        """Show the bar while the tool is in use."""
        self._bar.state = {"on": self._map.tool == WIRE, "follows": self._follows}

    # -- in the thread -----------------------------------------------------------------

    def _submit(self, run: Callable[[], Any]) -> None:
        def safely() -> None:
            try:
                run()
            except GeoisegError as error:
                log.info("%s", error)
                self._map.show_error(str(error))
            except Exception as error:
                log.exception("the border can not be followed")
                self._map.show_error(f"the border can not be followed: {error}")

        self._pool.submit(safely)

    def _click(self, click: Click) -> None:
        if self._places and self._is_near(click.at, self._places[-1], click.zoom):
            if len(self._places) >= LEAST:
                self._close()
            return
        if len(self._places) >= LEAST and self._is_near(click.at, self._places[0], click.zoom):
            self._close()
            return
        self._scissors_now().add(self._pixel(click.at), self._map.scale_at(click.at, click.zoom))
        self._places.append(click.at)
        self._draw()

    def _ahead(self) -> None:
        self._waits = False
        move = self._cursor
        if move is None or move.at is None or not self.begun:
            self._bar.ahead = {}
            return
        gsd = self._map.scale_at(move.at, move.zoom)
        try:
            scissors = self._scissors_now()
            if not self._places:  # it was followed on another raster
                self._draw()
                return
            path = np.vstack([scissors.clicks[-1], scissors.to(self._pixel(move.at), gsd)])
        except GeoisegError as error:  # beside the raster
            log.debug("no border ahead: %s", error)
            self._bar.ahead = {}
            return
        self._bar.ahead = {"path": self._sent(path)}

    def _back(self) -> None:
        if self._scissors is None or not self._places:
            return
        self._scissors.back()
        self._places.pop()
        self._draw()
        self._ahead()

    def _drop(self) -> None:
        self._scissors, self._places = None, []
        self._draw()

    def _close(self) -> None:
        """Make what the border encloses the object in progress."""
        if self._scissors is None:
            return
        owner = self._map
        at = self._places[-1]
        polygon = self._scissors.polygon(owner.scale_at(at, owner.map.zoom))
        self._drop()
        owner.draw(polygon, tool=WIRE, wait=False)

    def _draw(self) -> None:
        self._bar.ahead = {}
        scissors = self._scissors
        if scissors is None or not scissors.clicks:
            self._bar.border = {}
            return
        clicks = self._sent(np.array(scissors.clicks))
        self._bar.border = {"clicks": clicks, "path": self._sent(scissors.path)}

    # -- places ------------------------------------------------------------------------

    def _scissors_now(self) -> Scissors:
        """Return the border in progress; a new one where there is none, or on another raster."""
        raster: Raster = self._map.session.raster
        if self._scissors is None or self._scissors.raster is not raster:
            self._scissors, self._places = Scissors(raster, self._follows), []
        self._scissors.follow(self._follows)
        return self._scissors

    def _pixel(self, at: Place) -> NDArray[np.float64]:
        xy: NDArray[np.float64] = self._map.frame.pixel(at)[0]
        return xy

    def _sent(self, xy_pixel: NDArray[np.float64]) -> bytes:
        """Return places as the page takes them."""
        grid = self._map.session.raster.grid
        placed = self._map.frame.on_map(shapely.multipoints(grid.to_crs(xy_pixel)))
        return bytes(shapely.get_coordinates(placed).astype("<f8").tobytes())

    def _is_near(self, at: Place, other: Place, zoom: float) -> bool:
        """Return whether two places are the same to somebody who looks at the screen."""
        ends = np.array([self._map.frame.xy(at), self._map.frame.xy(other)])
        beside = np.array(self._map.frame.xy((at[0], at[1] + 360 / 256 / 2**zoom)))
        pixel = float(np.hypot(*(beside - ends[0])))
        squeeze = 1.0
        if self._map.frame.crs is not None:
            squeeze = max(1e-6, float(np.cos(np.radians(at[0]))))
        gap = (ends[1] - ends[0]) / (1.0, squeeze)
        return bool(np.hypot(*gap) <= NEAR * pixel)
