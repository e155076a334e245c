"""The object in progress: what is said about it, and what the model makes of that."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import shapely

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
)
from geoiseg.segment.spectral import VERSION
from geoiseg.session.beyond import GoingOn


class Prompting(GoingOn):
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
        self,
        prompts: Iterable[Prompt],
        crs: Any = None,
        *,
        watch: Watch | None = None,
        follow: bool | None = None,
    ) -> None:
        """Give several prompts as one step.

        Args:
            prompts: At least one.
            crs: CRS of the coordinates where it is not the raster's.
            watch: To follow or stop the work.
            follow: Whether an object that its chip cuts is followed; by default as ``follow``
                of the session says.

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
            begun, before = self.begin_with(local, self.gsd)
            steps, seen = (*begun, said), None
            outcome = self._next(steps, before, watch)
            if outcome is not None:
                outcome.check_data(local, raster.name)
            if self.follow if follow is None else follow:
                steps, outcome, seen = self._followed(steps, outcome, watch)
            self._history.push(replace(state, steps=steps, outcome=outcome, seen=seen))

    def _next(
        self, steps: tuple[Step, ...], before: Outcome | None, watch: Watch | None
    ) -> Outcome | None:
        if not any(prompt.positive for step in steps for prompt in step.prompts):
            return None
        return self.segmenter.run(steps, before, watch)

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
        options = self._state.options
        return outline(outcome.best, options, outcome.told, self._in_sight(outcome))

    def _in_sight(self, outcome: Outcome) -> tuple[Any, ...]:
        """Return the accepted outlines on the object's chip, whose rows its walls stand in."""
        state = self._state
        if not state.options.square:
            return ()
        others = [one.geometry for one in state.features if one.id != state.editing]
        there = np.array([one for one in others if one is not None], object)
        seen = shapely.box(*outcome.best.grid.bounds)
        return tuple(there[shapely.intersects(there, seen)]) if len(there) else ()

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
        outcome = self.first_seen
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
        outcome, prompts = self.first_seen, self._standing
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
        seen = self.first_seen
        return seen is not None and seen.settled
