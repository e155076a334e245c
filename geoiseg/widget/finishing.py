"""Objects on a map that are followed and sharpened by themselves, behind the user's back.

The first answer is drawn at once. Then the worker goes on with it while nobody waits for anything:
chip by chip, from the middle of the view outwards, drawn as it comes. Whatever the user does next
comes first; what does not change the object lets it be taken up again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from geoiseg.errors import CancelledError
from geoiseg.prompting import Frame
from geoiseg.raster import BoolArray
from geoiseg.segment import Mask, Outcome, Step, Watch
from geoiseg.session.beyond import Detail
from geoiseg.widget.choosing import Choosing
from geoiseg.widget.looks import Looks
from geoiseg.widget.worker import Job, Urgency

SHOWN_EVERY, SHARE = 0.8, 0.1
"""Least seconds between two pictures of an object that becomes sharp, and the greatest share of the
time that they may take."""


class Finishing(Choosing, Looks):
    """A map that goes on with an object once its first answer is drawn."""

    detail: Detail = "native"
    """``native``: objects are followed to their end and sharpened to the raster's own resolution
    by themselves; ``seen``: when they are asked to."""
    accept_waits: bool = True
    """Whether *accept* waits until that is done; else it keeps what is there."""
    _background: Job | None = None
    _keeps: bool = True
    _given_up: Outcome | None = None
    """The object that the user did not want to be gone on with."""
    _gives_up: bool = False
    _left: Outcome | None = None
    """The object that something else came before."""

    @property
    def finishing(self) -> bool:
        """Whether an object is being followed or sharpened by itself."""
        job = self._background
        if job is None or (job.stopped and not job.begun):  # that one never will be
            return False
        return job.phase != "done"

    @property
    def _shown_job(self) -> Job | None:
        """What the page is told to be going on."""
        job, asked = self._background, self._current_job
        if job is None or not self.finishing or job.stopped:
            return asked
        return job if job.begun or asked is None else asked

    def use_detail(self, detail: Detail, *, waits: bool | None = None) -> None:
        """Say whether objects are followed and sharpened by themselves, and whether accept waits.

        Args:
            detail: ``native`` or ``seen``.
            waits: Whether *accept* waits until it is done; None leaves it.
        """
        self.detail = detail
        self.accept_waits = self.accept_waits if waits is None else waits
        if detail == "seen":
            self._pause(keep=True)
        else:
            self._go_on()
        self.refresh()

    # -- in the background -----------------------------------------------------------

    @property
    def _native(self) -> bool:
        """Whether the raster's own resolution is wanted, and not one that the user has fixed."""
        return self._fixed_gsd is None

    def _view_middle(self) -> tuple[float, float] | None:
        """Return the middle of the view in the raster's CRS; None where it is not on the map."""
        view, frame = self.lookout.view, self.frame
        if view is None:
            return None
        at = ((view.south + view.north) / 2, (view.west + view.east) / 2)
        x, y = self.session.raster.grid.to_crs(frame.pixel(at))[0].tolist()
        return (x, y) if abs(x) < 1e30 and abs(y) < 1e30 else None  # not where it is NaN

    def _prompted(self) -> None:
        self._given_up = self._left = None
        self._go_on()

    def _go_on(self) -> None:
        """Have the worker go on with the object, once all else that was asked for is done."""
        session, outcome = self.session, self.session.outcome
        if self.detail == "seen" or outcome is None or outcome is self._given_up:
            return
        if self.finishing or not (session.goes_on or session.coarser(native=self._native)):
            return
        self._keeps, self._gives_up = True, False
        worker = self._worker

        def run(watch: Watch) -> None:
            self._finish(watch, lambda: worker.serve(Urgency.PREVIEW))

        self._background = worker.later(run, Urgency.FINISHING, notify=lambda _: self._show_jobs())

    def _finish(self, watch: Watch, between: Callable[[], None]) -> None:
        session, begun = self.session, self.session.outcome
        drawn, tell = _Pictures(self._draw_partly), watch.tell

        def told(phase: str) -> None:
            if phase not in ("reading", "encoding", "decoding"):
                tell(phase)
                between()

        watch.tell, watch.show = told, drawn.show
        try:
            middle = self._view_middle()
            whole = session.finish(
                native=self._native, middle=middle, watch=watch, keep=lambda: self._keeps
            )
        except CancelledError:
            raise
        except Exception as error:
            self._given_up = session.outcome  # accept takes what is there
            self._show_error(f"the object is not finished: {error}")
            raise
        finally:
            stopped = watch.cancelled()
            self._left = session.outcome if stopped and not self._gives_up else None
            self._given_up = session.outcome if stopped and self._gives_up else self._given_up
            if drawn.any:
                self.scene.forget_mask()
            self.refresh()
        if session.outcome is not begun:
            self._say(_done(session.steps, session.outcome, whole=whole))

    def _draw_partly(self, frame: Frame, array: BoolArray) -> None:
        if self.session.outcome is None:
            return
        grid = frame.grid(self.session.raster.grid)
        colour = self.labels.colour(self.label)
        self.scene.draw_partly(Mask(array, grid, 0.0), self.frame, colour)

    def _pause(self, *, keep: bool) -> bool:
        """Stop what goes on in the background, and say whether anything did."""
        job = self._background
        if job is None or job.phase == "done" or job.stopped:
            return False
        self._keeps = keep
        job.stop()
        self._left = self.session.outcome
        return True

    # -- what the user does meanwhile ------------------------------------------------

    def _ask(
        self, change: Callable[[Watch], Any], *, wait: bool, stoppable: bool = False,
        patient: bool = False,
    ) -> Any:  # fmt: skip
        """Run a change of the session before all that goes on in the background.

        Args:
            change: What is to be done.
            wait: Whether to return when it is done.
            stoppable: Whether it heeds its watch.
            patient: Whether it waits until the object is finished.
        """
        if not patient:
            self._pause(keep=True)

        def and_on(watch: Watch) -> Any:
            try:
                return change(watch)
            finally:  # what is refused changes nothing either
                left = self._left
                if left is not None and self.session.outcome is left and not watch.cancelled():
                    self._go_on()

        return super()._ask(and_on, wait=wait, stoppable=stoppable)

    def stop(self) -> bool:
        """Stop the model, or what goes on in the background; say whether it was at work."""
        if self._pause(keep=True):
            self._give_up()
            return True  # an accept that waits for it takes what is there
        return super().stop()

    def undo(self, *, wait: bool = True) -> None:
        """Go back one step; what is being computed just now is that step."""
        job = self._background
        if self._pause(keep=False):
            self._give_up()
            if job is not None and job.begun:  # else nothing of it has been seen yet
                return
        super().undo(wait=wait)

    def _give_up(self) -> None:
        """Do not go on with the object by itself, as far as it is then."""
        self._left, self._gives_up = None, True
        self._given_up = self.session.outcome

    def finish_first(self, watch: Watch) -> None:
        """Follow and sharpen the object before it is accepted, if that is wanted."""
        outcome = self.session.outcome
        if self.detail == "native" and self.accept_waits and outcome is not self._given_up:
            self.session.finish(native=self._native, middle=self._view_middle(), watch=watch)

    def sharpen(self, *, wait: bool = True) -> None:
        """Look along the border of an object seen from further away; undone in one step.

        At the raster's own resolution, or at ``gsd`` where the map's session was given one.
        Stopped in the middle, what is sharp stays.

        Raises:
            SessionError: There is no object in progress.
        """

        def change(watch: Watch) -> None:
            session = self.session
            if session.outcome is not None and not session.coarser(native=self._native):
                self._say("The border is as sharp as the raster already")
                return
            middle = self._view_middle()
            whole = session.sharpen(native=self._native, middle=middle, watch=watch)
            self._say(_done(session.steps, session.outcome, whole=whole))

        self._ask(change, wait=wait, stoppable=True)


class _Pictures:
    """Draws an object as it becomes sharp, now and then.

    Args:
        draw: Draws it.
    """

    def __init__(self, draw: Callable[[Frame, BoolArray], None]) -> None:
        self._draw = draw
        self._next = time.monotonic() + SHOWN_EVERY
        self.any = False

    def show(self, frame: Frame, array: BoolArray) -> None:
        begun = time.monotonic()
        if begun < self._next:
            return
        self._draw(frame, array)
        self.any = True
        now = time.monotonic()
        self._next = now + max(SHOWN_EVERY, (now - begun) / SHARE)


def _done(steps: tuple[Step, ...], outcome: Outcome | None, *, whole: bool) -> str:
    """Return what to tell of an object that was looked at chip by chip."""
    chips = outcome.grown.chips if outcome is not None and outcome.grown else 0
    rest = "" if whole else "; the rest is as it was seen: D sharpens all, F follows further"
    where = "from nearby" if steps and steps[-1].closer else "along the border"
    return f"Looked at {chips} {'chip' if chips == 1 else 'chips'} {where}{rest}"
