"""How an object is finished by itself: followed to its end, and its border made sharp."""

from __future__ import annotations

from dataclasses import dataclass, replace

from geoiseg.errors import CancelledError, PromptError
from geoiseg.models import ModelInfo
from geoiseg.prompting import Box, Region, level_for_gsd
from geoiseg.raster import Grid
from geoiseg.segment import Outcome, Segmenter, Step, Watch, since_drawn, touched_border
from geoiseg.session.nearby import believed, chips_over

LIGHT = 20_000_000
"""Parameters below which a model takes tenths of a second for a chip on a processor."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How many chips are looked at without being asked for.

    Counted in chips, never in seconds, so that the same clicks give the same object anywhere.
    """

    at_once: int
    """Chips that an object is followed through as part of a click."""
    follow: int
    """Chips that it is followed through in all, when it is finished."""
    sharpen: int
    """Chips along its border, when it is finished."""

    @classmethod
    def of(cls, model: ModelInfo) -> Pace:
        """Return what keeps a click with a model under about a second on a processor."""
        return cls(4, 100, 1000) if model.parameters < LIGHT else cls(1, 12, 60)


@dataclass(frozen=True, slots=True)
class Finisher:
    """Finishes objects on a raster.

    What was done is steps of its own, counted in chips, so that it is replayed without being
    decided again.
    """

    segmenter: Segmenter
    follow: bool = True
    """Whether what its chip cuts is followed, and what was seen from afar is followed anew."""
    native: bool = False
    """Whether the raster's own resolution is wanted, whatever the prompts were given at."""
    middle: tuple[float, float] | None = None
    """``x, y`` in the raster's CRS from which sharpening goes outwards."""

    def finish(
        self, steps: tuple[Step, ...], outcome: Outcome, watch: Watch
    ) -> tuple[tuple[Step, ...], Outcome] | None:
        """Return the object with the steps that finish it; None where nothing was to be done.

        Stopped, it is as far as it came.

        Args:
            steps: What was said.
            outcome: The object after that.
            watch: To follow or stop the work.
        """
        plain, said, grid = outcome, steps, self.segmenter.raster.grid
        pace = Pace.of(self.segmenter.model.info)
        segmenter = replace(self.segmenter, partly=True)
        try:
            if self.follow and ends_unsaid(steps) and is_cut(outcome, grid):
                step = replace(after(steps), grow=pace.follow)
                outcome = segmenter.run((*steps, step), outcome, watch)
                steps = (*steps, as_far(step, outcome))
            near = self._from_nearby(said, outcome, pace.follow, watch)
            if near is not None:
                return near
            coarse = is_coarse(steps, outcome, grid, native=self.native)
            if coarse and not watch.cancelled():
                step = sharpening(steps[-1], pace.sharpen, native=self.native, middle=self.middle)
                outcome = segmenter.run((*steps, step), outcome, watch)
                steps = (*steps, as_far(step, outcome))
        except CancelledError:
            pass
        return None if outcome is plain else (steps, outcome)

    def _from_nearby(
        self, said: tuple[Step, ...], seen: Outcome, chips: int, watch: Watch
    ) -> tuple[tuple[Step, ...], Outcome] | None:
        """Return the object followed anew at the resolution that is wanted, with its steps.

        None where that is not to be done, takes too many chips, or is not to be believed.

        Args:
            said: What the user said.
            seen: The object from afar.
            chips: How many may be looked at.
            watch: To follow or stop the work.
        """
        raster, size = self.segmenter.raster, self.segmenter.model.info.chip_size
        step = anew(said[-1], chips, native=self.native)
        levels = seen.level - level_for_gsd(raster.grid, step.gsd)
        if not (self.follow and ends_unsaid(said)) or levels <= 0 or is_cut(seen, raster.grid):
            return None
        if chips_over(seen.mask.array, levels, size) > chips or watch.cancelled():
            return None
        try:
            found = self.segmenter.run((*said, step), seen, watch)
        except PromptError:
            return None
        return ((*said, step), found) if believed(found, seen, said, raster) else None


def is_coarse(steps: tuple[Step, ...], outcome: Outcome, grid: Grid, *, native: bool) -> bool:
    """Return whether an object was seen from further away than was asked, or is sharp in part.

    Args:
        steps: That led to it.
        outcome: The object.
        grid: The raster's full-resolution grid.
        native: Whether than the raster's own resolution, whatever was asked.
    """
    wanted = 0 if native else level_for_gsd(grid, steps[-1].gsd)
    return not outcome.mask.is_empty and (outcome.level > wanted or outcome.unfinished is not None)


def is_cut(outcome: Outcome, grid: Grid) -> bool:
    """Return whether an object meets the border of what was looked at where the raster goes on."""
    if outcome.mask.is_empty:
        return False
    if outcome.grown is not None:
        return outcome.grown.full
    return touched_border(outcome.mask.array, outcome.frame.open_sides(grid)) > 0


def ends_unsaid(steps: tuple[Step, ...]) -> bool:
    """Return whether nothing says where the object ends: no box, outline or choice."""
    own = since_drawn(steps)
    said = [item for step in own for item in step.prompts]
    told = any(step.choice is not None or step.grow or step.sharpen for step in own)
    return not told and not any(isinstance(item, (Box, Region)) for item in said)


def after(steps: tuple[Step, ...]) -> Step:
    """Return a step at the scale of the last, to be filled in."""
    return Step((), steps[-1].gsd, spectral=steps[-1].spectral)


def anew(last: Step, chips: int, *, native: bool) -> Step:
    """Return the step that follows an object anew, at the raster's resolution or the last one's."""
    gsd = None if native else last.gsd
    return Step((), gsd, chips, last.spectral, closer=True)


def sharpening(last: Step, chips: int, *, native: bool, middle: tuple[float, float] | None) -> Step:
    """Return the step that sharpens an object to the raster's or the last step's resolution."""
    gsd = None if native else last.gsd
    return Step((), gsd, spectral=last.spectral, sharpen=chips, middle=middle)


def as_far(step: Step, outcome: Outcome) -> Step:
    """Return a step that does the same again at replay: as far as it came, where it was stopped."""
    grown = outcome.grown
    if grown is None or not grown.full:
        return replace(step, middle=None)  # the order changes nothing of the whole
    if step.grow:
        return replace(step, grow=max(1, grown.chips))
    return replace(step, sharpen=max(1, grown.chips))
