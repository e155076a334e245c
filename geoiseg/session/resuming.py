"""The object in progress of a project: brought back when it is opened, or later."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from geoiseg.errors import CancelledError
from geoiseg.prompting import localise
from geoiseg.raster import Grid, Raster, open_raster
from geoiseg.segment import Outcome, Step, Watch
from geoiseg.session.core import State
from geoiseg.session.kept import Told, kept_of, key_of, outcome_of
from geoiseg.session.merging import Common, Merged
from geoiseg.session.project import Project, raster_path
from geoiseg.session.sharing import Sharing

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Left:
    """An object in progress that is in the project file, and not here yet."""

    steps: tuple[Step, ...]
    editing: int | None
    kept: Told | None
    written: tuple[Step, ...]
    """The steps as the file has them."""


class Resuming(Sharing):
    """A session that goes on with an object of its project file."""

    _left: Left | None = None
    _last_kept: tuple[Outcome, str, Told | None] | None = None

    @property
    def unreplayed(self) -> tuple[Step, ...]:
        """What was done for the object in progress of the project file, where it is not here.

        That is so where loading was stopped, or told not to replay it. It stays in the file until
        another object is begun, or ``clear`` drops it; ``replay`` brings it back.
        """
        left = self._still_left()
        return () if left is None else left.steps

    @property
    def replays_long(self) -> bool:
        """Whether ``replay`` would look at many chips, and take its time."""
        many = any(step.grow or step.sharpen for step in self.unreplayed)
        return many and self._as_it_was() is None

    def replay(self, *, watch: Watch | None = None) -> bool:
        """Bring back the object in progress of the project file, and say whether there was one.

        Args:
            watch: To follow or stop the work.

        Raises:
            CancelledError: ``watch`` asked to stop; the object stays in the file.
            RasterError: The pixels can not be read.
        """
        with self._lock:
            left, segmenter = self._still_left(), self.segmenter
            outcome = self._as_it_was()
        if left is None:
            return False
        if outcome is None:
            outcome = segmenter.replay(left.steps, watch)
        with self._lock:
            left = self._still_left()
            if left is None:  # another was begun meanwhile
                return False
            steps, number = left.steps, left.editing

            def with_it(state: State) -> State:
                editing = number if number in {one.id for one in state.features} else None
                return replace(state, steps=steps, outcome=outcome, editing=editing)

            self._history.revise(with_it)  # it was there before all that was done since
            self._left = None
            return True

    def clear(self) -> None:
        """Drop the object in progress; a feature being refined stays as it was."""
        with self._lock:
            self._left = None
            super().clear()

    def _still_left(self) -> Left | None:
        """Return what is in the file alone; nothing once another object was begun here."""
        if self._left is not None and self._history.has(lambda state: bool(state.steps)):
            self._left = None
        return self._left

    def _adopt(self, common: Common, theirs: Project, merged: Merged) -> None:
        super()._adopt(common, theirs, merged)
        if self._left is not None and self._left.editing is not None:
            number = merged.numbers.get(self._left.editing, self._left.editing)
            self._left = replace(self._left, editing=number)

    def _edited(self) -> int | None:
        left = self._still_left()
        return super()._edited() if left is None else left.editing

    def _as_it_was(self) -> Outcome | None:
        """Return the object as the file keeps it; None where it has to be replayed."""
        left = self._still_left()
        if left is None or left.kept is None:
            return None
        key = key_of(self.raster, self.model.info, left.written)
        return outcome_of(left.kept, key, self.raster.grid)

    def _progress_to_save(self) -> dict[str, Any]:
        """Return what a project file is to hold of the object in progress."""
        state, left = self._state, self._still_left()
        if left is not None:
            return {"steps": left.written, "editing": left.editing, "kept": left.kept}
        key, last, outcome = "", self._last_kept, state.outcome
        if outcome is not None and outcome.grown is not None:
            key = key_of(self.raster, state.model.info, state.steps)
        if outcome is None or not key:
            kept = None
        elif last is not None and last[0] is outcome and last[1] == key:
            kept = last[2]
        else:
            kept = kept_of(outcome, key)
            self._last_kept = (outcome, key, kept)
        return {"steps": state.steps, "editing": state.editing, "kept": kept}

    def _take_up(self, project: Project, watch: Watch | None, *, replay: bool) -> None:
        """Begin with the object in progress of a project."""
        steps, editing = project.steps, project.editing
        if not steps:
            return
        self._left = Left(as_written(steps, self.raster.grid), editing, project.kept, steps)
        if not replay:
            return
        try:
            self.replay(watch=watch)
        except CancelledError:
            log.warning("the object in progress is not replayed: session.replay() brings it back")


def as_written(steps: tuple[Step, ...], grid: Grid) -> tuple[Step, ...]:
    """Return steps of a file written as the grid's coordinates are: older files count rows."""
    if grid.crs is not None:
        return steps
    return tuple(
        replace(step, prompts=tuple(localise(said, None, grid) for said in step.prompts))
        for step in steps
    )


def raster_of(project: Project, path: Path, raster: Any) -> Raster:
    """Return the raster of a project as it was saved, open.

    Args:
        project: What the file holds.
        path: The file.
        raster: The raster, where it is not where it was; else None.

    Raises:
        ProjectError: It is not there any more.
        RasterError: It can not be opened.
    """
    if raster is None:
        return open_raster(raster_path(project.raster, path), project.bands, project.stretch)
    if isinstance(raster, (str, Path)):
        numbers = [band for band in project.bands if isinstance(band, int)]
        if max(numbers, default=1) <= open_raster(raster).count:
            return open_raster(raster, project.bands, project.stretch)
    return open_raster(raster)
