"""The object in progress: what is said about it, and what the model makes of that."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from geoiseg.errors import PromptError, SessionError
from geoiseg.outline import outline
from geoiseg.prompting import (
    Box,
    Point,
    Prompt,
    Prompts,
    Region,
    Scribble,
    Text,
    check_inside,
    level_for_gsd,
    localise,
)
from geoiseg.raster import eastward
from geoiseg.segment import (
    LookOptions,
    Mask,
    Outcome,
    Step,
    Suggestion,
    Uncertainty,
    Watch,
    look,
    since_drawn,
    suggest,
    touched_border,
)
from geoiseg.segment.growing import MOST_CHIPS
from geoiseg.segment.spectral import VERSION
from geoiseg.session.core import Core


class Prompting(Core):
    """Prompts become a mask and its outline."""

    def add_point(
        self, x: float, y: float, positive: bool = True, crs: Any = None, **how: Any
    ) -> None:
        """Say that a place is on the object, or off it.

        Args:
            x: Easting or longitude.
            y: Northing or latitude.
            positive: True where the place belongs to the object.
            crs: CRS of the coordinates where it is not the raster's.
            **how: ``watch`` (a Watch) to follow or stop the work.

        Raises:
            PromptError: The place is outside the raster, or has no data.
        """
        self.add([Point(float(x), float(y), bool(positive))], crs, **how)

    def add_box(
        self, xmin: float, ymin: float, xmax: float, ymax: float, crs: Any = None, **how: Any
    ) -> None:
        """Say that the object lies in a box, which is upright in ``crs``.

        In longitude and latitude, a box from west to east across the antimeridian may have
        its ``xmin`` above its ``xmax``, as in RFC 7946.

        Raises:
            PromptError: The box has no area or does not meet the raster.
        """
        east = eastward(float(xmin), float(xmax), crs or self.raster.grid.crs)
        self.add([Box(float(xmin), float(ymin), east, float(ymax))], crs, **how)

    def add_scribble(
        self,
        xy: Iterable[Sequence[float]],
        positive: bool = True,
        crs: Any = None,
        **how: Any,
    ) -> None:
        """Say that the places along a stroke are on the object, or off it.

        Raises:
            PromptError: The stroke has no vertex or is outside the raster.
        """
        vertices = tuple((float(x), float(y)) for x, y in xy)
        self.add([Scribble(vertices, bool(positive))], crs, **how)

    def add_region(self, polygon: Any, crs: Any = None, **how: Any) -> None:
        """Give an existing outline, a shapely Polygon or MultiPolygon, to refine.

        Raises:
            PromptError: It has no area or does not meet the raster.
        """
        self.add([Region(polygon)], crs, **how)

    def add(
        self, prompts: Iterable[Prompt], crs: Any = None, *, watch: Watch | None = None
    ) -> None:
        """Give several prompts as one step.

        Raises:
            PromptError: There is none, or one of them can not be used.
            NoDataError: One of them says where the object is, and there is no data.
            CancelledError: ``watch`` asked to stop.
        """
        raster = self.raster
        local = tuple(localise(prompt, crs, raster.grid) for prompt in prompts)
        if not local:
            raise PromptError("give at least one prompt")
        for prompt in local:
            check_inside(prompt, raster.grid, raster.name)
        if all(isinstance(prompt, Text) for prompt in local):
            raise PromptError("words alone name no place: look for them with session.add_text")
        with self._lock:
            state = self._state
            said = Step(local, self.gsd, spectral=VERSION if self.all_bands else 0)
            steps = (*state.steps, said)
            outcome = self._next(steps, watch)
            if outcome is not None:
                outcome.check_data(local, raster.name)
            self._history.push(replace(state, steps=steps, outcome=outcome))

    def _next(self, steps: tuple[Step, ...], watch: Watch | None) -> Outcome | None:
        if not any(prompt.positive for step in steps for prompt in step.prompts):
            return None
        return self.segmenter.run(steps, self._state.outcome, watch)

    def grow(self, chips: int = 300, *, watch: Watch | None = None) -> bool:
        """Follow the object beyond the border of its chip until it ends: one step to undo.

        Args:
            chips: How many chips to look at, at most; called again, it goes on.
            watch: To follow or stop the work; stopped, the object is as before.

        Returns:
            Whether the object ends within the limit.

        Raises:
            SessionError: There is no object in progress, or ``chips`` is not positive.
            CancelledError: ``watch`` asked to stop.
        """
        if not 1 <= chips <= MOST_CHIPS:
            raise SessionError(f"chips is a number of chips to look at, got {chips}")
        with self._lock:
            state = self._state
            if state.outcome is None:
                raise SessionError("there is no object to follow yet: add a point or a box first")
            done = state.outcome.grown.chips if state.outcome.grown else 0
            last = state.steps[-1]
            steps = (*state.steps, Step((), last.gsd, done + chips, last.spectral))
            outcome = self.segmenter.run(steps, state.outcome, watch)
            self._history.push(replace(state, steps=steps, outcome=outcome))
            return outcome.grown is None or not outcome.grown.full

    def sharpen(self, chips: int = 1000, *, watch: Watch | None = None) -> bool:
        """Look along the border of an object seen from further away: one step to undo.

        A large object is found on a coarse level; this goes along its border alone, at the
        raster's own resolution or at ``gsd``, from the first prompt outwards. Stopped in the
        middle, what is sharp stays and the rest is as it was seen; called again, all of it
        is looked at.

        Args:
            chips: How many chips to look at, at most.
            watch: To follow or stop the work; stopped before the first chip, the object is
                as before.

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
            if not self.is_coarse:
                return True
            last = state.steps[-1]
            step = Step((), last.gsd, spectral=last.spectral, sharpen=chips)
            outcome = self.segmenter.run((*state.steps, step), state.outcome, watch)
            grown = outcome.grown
            if grown is not None and grown.full:  # the same again at replay
                step = replace(step, sharpen=max(1, grown.chips))
            steps = (*state.steps, step)
            self._history.push(replace(state, steps=steps, outcome=outcome))
            return grown is None or not grown.full

    @property
    def is_coarse(self) -> bool:
        """Whether the object was seen from further away than was asked: see ``sharpen``."""
        outcome = self.outcome
        if outcome is None or outcome.mask.is_empty:
            return False
        wanted = level_for_gsd(self.raster.grid, self.steps[-1].gsd)
        return outcome.frame.level > wanted

    @property
    def goes_on(self) -> bool:
        """Whether the object meets its chip's border where the raster goes on: see ``grow``."""
        outcome = self.outcome
        if outcome is None or outcome.mask.is_empty:
            return False
        if outcome.grown is not None:
            return outcome.grown.full
        sides = outcome.frame.open_sides(self.raster.grid)
        return touched_border(outcome.mask.array, sides) > 0

    def clear(self) -> None:
        """Drop the object in progress; a feature being refined stays as it was."""
        with self._lock:
            if self._state.steps or self._state.editing is not None:
                self._history.push(
                    replace(self._state, steps=(), outcome=None, editing=None, picked=None)
                )

    @property
    def steps(self) -> tuple[Step, ...]:
        """What was done for the object in progress."""
        return self._state.steps

    @property
    def prompts(self) -> Prompts:
        """All that was said about the object in progress."""
        return Prompts(tuple(item for step in self._state.steps for item in step.prompts))

    @property
    def outcome(self) -> Outcome | None:
        """The object in progress with its chip, logits and timings."""
        return self._state.outcome

    @property
    def mask(self) -> Mask | None:
        """The object in progress as a mask on its chip's grid; None until it is prompted."""
        return None if self._state.outcome is None else self._state.outcome.mask

    @property
    def geometry(self) -> Any:
        """The object in progress as a shapely geometry in the raster's CRS, or None."""
        outcome = self.outcome
        if outcome is None or outcome.drawn is not None:
            return None if outcome is None else outcome.drawn
        return outline(outcome.mask, self._state.options, outcome.told)

    # -- the next click --------------------------------------------------------------

    def uncertainty(
        self, options: LookOptions | None = None, *, watch: Watch | None = None
    ) -> Uncertainty:
        """Return how sure the model is of the object in progress, pixel by pixel.

        Args:
            options: How the prompts are varied to find out.
            watch: To follow or stop the work.

        Raises:
            SessionError: There is no object in progress.
        """
        outcome = self.outcome
        if outcome is None:
            raise SessionError("there is no object yet: add a point or a box first")
        if outcome.grown is not None:
            raise SessionError("an object that was followed beyond its chip is not looked at again")
        return look(self.segmenter, self._standing, outcome, options, watch)

    def suggest_click(self, *, watch: Watch | None = None) -> Suggestion | None:
        """Return where a click would help most; None where none is likely to help enough.

        Whether the place is on the object is for the user to say.

        Raises:
            SessionError: There is no object in progress.
        """
        outcome, prompts = self.outcome, self._standing
        seen = self.uncertainty(watch=watch)
        if outcome is None or seen.grid != outcome.mask.grid:  # it changed meanwhile
            return None
        return suggest(seen, outcome.mask.array, prompts.to_pixel(seen.grid))

    @property
    def _standing(self) -> Prompts:
        """What was said since an outline was drawn by hand, and it: before, other things held."""
        steps = since_drawn(self._state.steps)
        return Prompts(tuple(item for step in steps for item in step.prompts))

    @property
    def settled(self) -> bool:
        """Whether the last clicks changed hardly anything: accept, or say it another way."""
        return self.outcome is not None and self.outcome.settled
