"""What is computed before it is asked for: chips of the view, and a preview under the cursor."""

from __future__ import annotations

import logging
import statistics
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

from geoiseg.errors import GeoisegError
from geoiseg.prompting import Frame, Point, localise
from geoiseg.segment import Step, Watch
from geoiseg.session import Session
from geoiseg.widget.ahead import chips_of_view
from geoiseg.widget.channel.actions import NEGATIVE, POINT, WIRE
from geoiseg.widget.channel.messages import Move, View
from geoiseg.widget.drawing.labels import Labels
from geoiseg.widget.drawing.scene import Scene
from geoiseg.widget.frame import MapFrame
from geoiseg.widget.worker import Job, Urgency

log = logging.getLogger(__name__)

QUICK_MS = 60.0
"""A preview is shown by default where the model decodes faster than this."""
HOVER_MS = 70
"""Least time between two previews."""
WIRE_MS = 40
"""Least time between two looks for the border under the cursor."""
REST = 0.4
"""Seconds for which a view must stay before its chips are encoded."""
SLOW_ENCODING_MS = 1500.0
"""A model that takes longer than this encodes only the chip in the middle of the view."""


class Watched(Protocol):
    """What a lookout asks of the map it looks out for."""

    scene: Scene
    tool: str
    label: str

    @property
    def session(self) -> Session:
        """The session behind the map."""
        ...

    @property
    def frame(self) -> MapFrame:
        """Between the map and the raster that is segmented."""
        ...

    @property
    def labels(self) -> Labels:
        """The classes and their colours."""
        ...

    @property
    def busy(self) -> bool:
        """Whether anything that was asked for still runs."""
        ...

    @property
    def untouched(self) -> bool:
        """Whether the map still shows what ``fit`` made it show."""
        ...

    def scale_at(self, at: tuple[float, float], zoom: float) -> float | None:
        """Return the ground size of a screen pixel at a place."""
        ...

    def submit(self, run: Callable[[Watch], Any], urgency: Urgency) -> Job:
        """Have the worker do something that nobody waits for."""
        ...

    def fit(self) -> None:
        """Show the whole of the first raster."""
        ...

    def refresh(self) -> None:
        """Show the session as it is now."""
        ...


class Lookout:
    """Keeps the worker useful while nobody has asked for anything."""

    def __init__(self, owner: Watched) -> None:
        self._map = owner
        self.view: View | None = None
        """What the map showed last."""
        self.wish: bool | None = None
        """Whether the user wants a preview; None leaves it to the model's speed."""
        self._decode_ms: deque[float] = deque(maxlen=7)
        self._encode_ms: deque[float] = deque(maxlen=7)
        self._cursor: Move | None = None
        self._drawing = threading.Lock()
        self._preview_job: Job | None = None
        self._timer: threading.Timer | None = None
        self._todo: list[Frame] = []
        self._round = 0

    # -- speed -----------------------------------------------------------------------

    def learn(self, milliseconds: dict[str, float]) -> None:
        """Take note of how long the model took for ``embed`` and ``decode``."""
        for name, kept in (("embed", self._encode_ms), ("decode", self._decode_ms)):
            if name in milliseconds:
                kept.append(milliseconds[name])

    def forget(self) -> None:
        """Start anew: the model has changed."""
        self._decode_ms.clear()
        self._encode_ms.clear()
        if self.view is not None:
            self.look(self.view)

    @property
    def quick(self) -> bool:
        """Whether the model decodes fast enough here for a preview."""
        return bool(self._decode_ms) and statistics.median(self._decode_ms) < QUICK_MS

    @property
    def preview(self) -> bool:
        """Whether there is a preview under the cursor."""
        return self.quick if self.wish is None else self.wish

    @property
    def hover_ms(self) -> int:
        """How often the page shall report the cursor; 0 for never."""
        if self._map.tool == WIRE:
            return WIRE_MS
        return HOVER_MS if self.preview and self._map.tool in (POINT, NEGATIVE) else 0

    # -- preview ---------------------------------------------------------------------

    def hover(self, move: Move) -> None:
        """Show what a click at the cursor would give."""
        self._cursor = move if move.at is not None else None
        if self._cursor is None:
            self.clear_preview()
        elif self.hover_ms and not self._map.busy:
            self._submit_preview()

    def clear_preview(self) -> None:
        """Show no preview, not even one that is being computed, until the cursor moves."""
        with self._drawing:
            self._cursor = None
            self._map.scene.draw_preview(None, self._map.frame, "")

    def _submit_preview(self) -> None:
        job = self._preview_job
        if job is None or job.phase == "done":
            self._preview_job = self._map.submit(self._show_preview, Urgency.PREVIEW)

    def _show_preview(self, watch: Watch) -> None:
        owner, move = self._map, self._cursor
        if move is None or move.at is None or not self.hover_ms:
            return
        session, frame = owner.session, owner.frame
        positive = owner.tool != NEGATIVE
        shown = session.outcome
        try:
            point = localise(Point(*frame.xy(move.at), positive), frame.crs, session.raster.grid)
            if not frame.grid.whole.contains(frame.pixel(move.at)).all():
                return
            step = Step((point,), owner.scale_at(move.at, move.zoom))
            steps, before = session.begin_with((point,), step.gsd)
            if not positive and shown is None:
                return
            quick = replace(session.segmenter, careful=False)
            outcome = quick.run((*steps, step), before, Watch(cancelled=watch.cancelled))
        except GeoisegError as error:
            log.debug("no preview: %s", error)
            return
        if "embed" not in outcome.milliseconds:
            self.learn(outcome.milliseconds)
        with self._drawing:
            if session.outcome is shown and self._cursor is not None and not owner.busy:
                owner.scene.draw_preview(outcome.mask, frame, owner.labels.colour(owner.label))
        if self._cursor is not None and self._cursor != move:
            owner.submit(self._show_preview, Urgency.PREVIEW)

    # -- chips of the view -----------------------------------------------------------

    def look(self, view: View) -> None:
        """Take note of what the map shows, and encode its chips once it rests."""
        first, self.view = self.view is None, view
        if first and self._map.untouched:
            self._map.fit()  # now that the size of the view is known
        if self._timer is not None:
            self._timer.cancel()
        self._timer = threading.Timer(REST, self._plan)
        self._timer.daemon = True
        self._timer.start()

    def _plan(self) -> None:
        if self.view is None:
            return
        owner, session = self._map, self._map.session
        self._round += 1
        this = self._round
        size = session.model.info.chip_size
        self._todo = chips_of_view(session.raster.grid, owner.frame, self.view, size)
        owner.submit(lambda watch: self._encode_one(this, watch), Urgency.IDLE)

    def _encode_one(self, this: int, watch: Watch) -> None:
        """Encode one chip, so that whatever is asked for meanwhile waits for one at most."""
        if this != self._round:
            return
        segmenter = self._map.session.segmenter
        cache = segmenter.cache
        slow = bool(self._encode_ms) and statistics.median(self._encode_ms) > SLOW_ENCODING_MS
        if self._todo and cache.nbytes < cache.memory_limit // 2:
            chip = self._todo.pop(0)
            quiet = Watch(cancelled=watch.cancelled)
            try:
                segmenter.embed(chip, quiet)
            except GeoisegError as error:
                log.debug("not encoded ahead: %s", error)
            self.learn(quiet.milliseconds)
            if not self._decode_ms:
                self._time_decoding(chip)
            if self._todo and not slow:
                self._map.submit(lambda later: self._encode_one(this, later), Urgency.IDLE)

    def _time_decoding(self, chip: Frame) -> None:
        """Find out whether a preview is quick, before the first click."""
        session = self._map.session
        grid = chip.grid(session.raster.grid)
        x, y = grid.to_crs([(grid.width / 2, grid.height / 2)])[0].tolist()
        started = time.perf_counter()
        try:
            outcome = session.segmenter.run((Step((Point(x, y),), grid.pixel_size_metres()),))
        except GeoisegError as error:
            log.debug("decoding not timed after %.1f s: %s", time.perf_counter() - started, error)
            return
        if "embed" not in outcome.milliseconds:
            self.learn(outcome.milliseconds)
            self._map.refresh()

    def close(self) -> None:
        """Plan nothing more."""
        self._round += 1
        if self._timer is not None:
            self._timer.cancel()
