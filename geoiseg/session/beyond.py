"""The object in progress past its one chip: followed, and its border sharpened, also by itself.

What is done by itself after a prompt (see :class:`Pace`) is kept as steps of its own, counted in
chips, so that a project says what was done and is replayed without it being decided again. The
object as it was before is kept beside it: a prompt that means the whole of it goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from geoiseg.errors import CancelledError, SessionError
from geoiseg.prompting import Point, Prompt, Prompts, Scribble, holds, level_for_gsd
from geoiseg.segment import Outcome, Step, Watch, since_drawn
from geoiseg.segment.growing import MOST_CHIPS
from geoiseg.segment.outcome import taken
from geoiseg.session.core import Core, Seen, State
from geoiseg.session.finishing import (
    Finisher,
    Pace,
    after,
    anew,
    as_far,
    ends_unsaid,
    is_coarse,
    is_cut,
    sharpening,
)

Detail = Literal["native", "seen"]


class GoingOn(Core):
    """An object that goes on beyond its chip, or was seen from further away."""

    follow: bool = True
    """Whether an object that its chip cuts is followed without being asked, as far as keeps a click
    under about a second, and one that was seen from further away is followed anew at the raster's
    resolution when it is finished, where it is small enough: see :class:`Pace`."""
    detail: Detail = "native"
    """What ``accept`` keeps: the object followed and sharpened to the raster's own resolution (or
    ``gsd``), or as it was seen."""

    def grow(
        self,
        chips: int = 300,
        *,
        closer: bool = False,
        native: bool = False,
        watch: Watch | None = None,
    ) -> bool:
        """Follow the object beyond the border of its chip until it ends: one step to undo.

        Args:
            chips: How many chips to look at, at most; called again, it goes on.
            closer: Begin anew at the raster's own resolution, or at ``gsd``, on the chip around
                what was said first, where the object was seen from further away. A sea or a lake
                is often found better so, at the cost of its area.
            native: With ``closer``: at the raster's own resolution, whatever the prompts were
                given at.
            watch: To follow or stop the work; stopped, the object is as before.

        Returns:
            Whether the object ends within the limit.

        Raises:
            SessionError: There is no object in progress, or ``chips`` is not positive.
            PromptError: ``closer``, and nothing is seen of the object there.
            CancelledError: ``watch`` asked to stop.
        """
        if not 1 <= chips <= MOST_CHIPS:
            raise SessionError(f"chips is a number of chips to look at, got {chips}")
        with self._lock:
            state = self._state
            if state.outcome is None:
                raise SessionError("there is no object to follow yet: add a point or a box first")
            done = state.outcome.grown.chips if state.outcome.grown else 0
            near = state.steps[-1].closer
            said, seen = (state.steps, state.outcome) if near else self._plain(state)
            begun = [one for one in since_drawn(said) if one.closer]
            if near and not is_cut(state.outcome, self.raster.grid):
                return True
            if begun and (near or not closer):
                step = replace(begun[-1], grow=done + chips)
            elif closer:
                step = anew(said[-1], chips, native=native)
            else:
                step = replace(after(said), grow=done + chips)
            outcome = self.segmenter.run((*said, step), seen, watch)
            self._history.push(replace(state, steps=(*said, step), outcome=outcome))
            return outcome.grown is None or not outcome.grown.full

    def sharpen(
        self,
        chips: int = 1000,
        *,
        native: bool = False,
        middle: tuple[float, float] | None = None,
        watch: Watch | None = None,
        onward: bool = True,
    ) -> bool:
        """Look along the border of an object seen from further away: one step to undo.

        A large object is found on a coarse level; this goes along its border alone, at the
        raster's own resolution or at ``gsd``, from the first prompt outwards. Stopped in the
        middle, what is sharp stays and the rest is as it was seen; called again, it goes on
        from there, after the object was corrected or the project loaded, too.

        Args:
            chips: How many chips to look at, at most.
            native: At the raster's own resolution, whatever the prompts were given at.
            middle: ``x, y`` in the raster's CRS from which to go outwards instead.
            watch: To follow or stop the work; stopped before the first chip, the object is
                as before.
            onward: Whether sharpening that was stopped before more was said of the object is gone
                on with; else it is begun anew from the object as it is.

        Returns:
            Whether the whole border is as fine as it can be.

        Raises:
            SessionError: There is no object in progress, or ``chips`` is not positive.
            CancelledError: ``watch`` asked to stop before anything was done.
        """
        if not 1 <= chips <= MOST_CHIPS:
            raise SessionError(f"chips is a number of chips to look at, got {chips}")
        with self._lock:
            state = self._state
            if state.outcome is None:
                raise SessionError("there is no object to sharpen yet: add a point or a box first")
            before, left = state.steps, state.outcome.unfinished
            segmenter = replace(self.segmenter, resume=left)
            if left is not None and (onward or before[-1].sharpen):
                before, step = _going_on(before, chips, middle)
            elif not self.coarser(native=native):
                return True
            else:
                segmenter = self.segmenter
                step = sharpening(before[-1], chips, native=native, middle=middle)
            outcome = segmenter.run((*before, step), state.outcome, watch)
            steps = (*before, as_far(step, outcome))
            self._history.push(replace(state, steps=steps, outcome=outcome))
            return outcome.grown is None or not outcome.grown.full

    def finish(
        self,
        *,
        native: bool = False,
        middle: tuple[float, float] | None = None,
        watch: Watch | None = None,
        keep: Callable[[], bool] = lambda: True,
    ) -> bool:
        """Follow the object to its end and sharpen its border, as far as that needs no asking.

        One step to undo, whose limits are those of :class:`Pace`; what was drawn by hand or taken
        over from elsewhere stays as it is. Stopped, it is as far as it came. Nobody else waits
        while it is at work: what is changed meanwhile holds, and this is dropped.

        Args:
            native: At the raster's own resolution, whatever the prompts were given at.
            middle: ``x, y`` in the raster's CRS from which sharpening goes outwards.
            watch: To follow or stop the work.
            keep: Asked when it is stopped whether it stays as far as it came.

        Returns:
            Whether there is nothing left to do.
        """
        watch = watch or Watch()
        begun = self._state
        if begun.outcome is None or begun.outcome.mask.is_empty or self._is_given(begun):
            return True
        steps, outcome = self._plain(begun)
        if outcome is None or self._is_finished(begun, native=native):
            return True
        if begun.outcome.unfinished is not None:
            made = self._resumed(begun, watch, middle)
        else:
            finisher = Finisher(self.segmenter, self.follow, native, middle)
            made = finisher.finish(steps, outcome, watch)
        done = made is None or made[1].grown is None or not made[1].grown.full
        if watch.cancelled():
            done = False
        if made is None or (watch.cancelled() and not keep()):
            return done
        with self._lock:
            sooner = watch.cancelled() and _chips(made[0]) < _chips(begun.steps)
            if self._state is not begun or sooner:
                return False  # another object by now, or stopped before it was as far as before
            if begun.before is None and begun.outcome.unfinished is not None:
                steps, outcome = begun.steps, begun.outcome
            seen = Seen(steps, outcome, made[1], apart=True)
            now = replace(begun, steps=made[0], outcome=made[1], seen=seen)
            if begun.before is not None and begun.before.apart:
                self._history.present = now  # taken up again: still one step
            else:
                self._history.push(now)
        return done

    def _is_finished(self, state: State, *, native: bool) -> bool:
        """Return whether an object was finished by itself before, to its end."""
        outcome, before = state.outcome, state.before
        if outcome is None or before is None or not before.apart:
            return False
        stopped = outcome.grown is not None and outcome.grown.full
        return not stopped and not self.coarser(native=native)

    def _resumed(
        self, begun: State, watch: Watch, middle: tuple[float, float] | None
    ) -> tuple[tuple[Step, ...], Outcome] | None:
        """Return the object with its sharpening gone on with; None where it was stopped at once."""
        if begun.outcome is None:
            return None
        before, step = _going_on(begun.steps, Pace.of(self.model.info).sharpen, middle)
        segmenter = replace(self.segmenter, resume=begun.outcome.unfinished)
        try:
            outcome = segmenter.run((*before, step), begun.outcome, watch)
        except CancelledError:
            return None
        return (*before, as_far(step, outcome)), outcome

    def _followed(
        self, steps: tuple[Step, ...], outcome: Outcome | None, watch: Watch | None
    ) -> tuple[tuple[Step, ...], Outcome | None, Seen | None]:
        """Return steps and object after a click, followed as far as a click may take."""
        if outcome is None or not ends_unsaid(steps) or not is_cut(outcome, self.raster.grid):
            return steps, outcome, None
        step = replace(after(steps), grow=Pace.of(self.model.info).at_once)
        found = self.segmenter.run((*steps, step), outcome, watch)
        return (*steps, step), found, Seen(steps, outcome, found)

    # -- what there is ---------------------------------------------------------------

    def _plain(self, state: State) -> tuple[tuple[Step, ...], Outcome | None]:
        """Return steps and object without what was done by itself."""
        seen = state.before
        return (state.steps, state.outcome) if seen is None else (seen.steps, seen.outcome)

    def begin_with(
        self, prompts: tuple[Prompt, ...], gsd: float | None
    ) -> tuple[tuple[Step, ...], Outcome | None]:
        """Return the steps and the object that prompts given now go on from.

        Points and strokes on what was followed or sharpened by itself change their surroundings
        alone, where they lie beyond the chip that the object was seen on, are given at a finer
        scale, or take something of what was followed anew; else the object is seen again with all
        that was said.
        """
        state = self._state
        steps, outcome = self._plain(state)
        if outcome is None or outcome is state.outcome:
            return state.steps, state.outcome
        grid = self.raster.grid
        finer = gsd is not None and level_for_gsd(grid, gsd) < outcome.frame.level
        beyond = not holds(outcome.frame, grid, Prompts(prompts))
        local = all(isinstance(one, (Point, Scribble)) for one in prompts)
        takes = state.steps[-1].closer and not any(one.positive for one in prompts)
        here = local and (finer or beyond or takes)
        return (state.steps, state.outcome) if here else (steps, outcome)

    @property
    def first_seen(self) -> Outcome | None:
        """The object in progress as the model answered, before it was followed by itself."""
        return self._plain(self._state)[1]

    @property
    def is_coarse(self) -> bool:
        """Whether the object was seen from further away than was asked: see ``sharpen``."""
        return self.coarser()

    def coarser(self, *, native: bool = False) -> bool:
        """Return whether the object was seen from further away than was asked.

        Args:
            native: Whether than the raster's own resolution, whatever was asked.
        """
        state = self._state
        if state.outcome is None:
            return False
        return is_coarse(state.steps, state.outcome, self.raster.grid, native=native)

    @property
    def goes_on(self) -> bool:
        """Whether the object meets its chip's border where the raster goes on: see ``grow``."""
        outcome = self._state.outcome
        return outcome is not None and is_cut(outcome, self.raster.grid)

    def _is_given(self, state: State) -> bool:
        """Return whether the object is as somebody drew it, or as it was accepted."""
        outcome, steps = state.outcome, since_drawn(state.steps)
        if outcome is None or outcome.drawn is not None or taken(steps) is not None:
            return True
        editing = [one for one in state.features if one.id == state.editing]
        return bool(editing) and editing[0].steps == state.steps


def _chips(steps: tuple[Step, ...]) -> int:
    """Return through how many chips an object was followed and sharpened."""
    return sum(step.grow + step.sharpen for step in steps)


def _going_on(
    steps: tuple[Step, ...], chips: int, middle: tuple[float, float] | None
) -> tuple[tuple[Step, ...], Step]:
    """Return the steps before the one that goes on with sharpening that was stopped, and that one.

    It is the same step, or one of its own where more was said of the object since.
    """
    last = steps[-1]
    if last.sharpen:
        return steps[:-1], replace(last, sharpen=last.sharpen + chips)
    stopped = next(step for step in reversed(steps) if step.sharpen)
    return steps, replace(stopped, sharpen=chips, middle=middle, onward=True)
