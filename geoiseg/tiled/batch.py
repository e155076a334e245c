"""Many prompted objects on one raster, one after the other: the engine of ``segment``."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from geoiseg.errors import (
    CancelledError,
    GeoreferenceError,
    ModelError,
    NoDataError,
    PromptError,
    RasterError,
    SessionError,
)
from geoiseg.segment import Step, Watch
from geoiseg.session import Session
from geoiseg.tiled.prompt_file import PromptedObject


@dataclass(frozen=True, slots=True, eq=False)
class ObjectResult:
    """What became of one object."""

    name: str
    label: str
    feature_id: int | None
    """Id in the session; None where nothing was found or the prompts were at fault."""
    error: str | None = None
    """One line on why there is no feature."""
    score: float | None = None
    milliseconds: dict[str, float] = field(default_factory=dict)
    """Wall time of each phase."""
    title: str = ""
    """What to call it in messages: its name, with its rows."""
    left_out: tuple[str, ...] = ()
    """A line for each of its rows that was left out; the object was made of the others."""

    @property
    def reason(self) -> str:
        """Why it was not done, or not of all its rows; empty where it was."""
        if self.error is not None:
            return self.error
        return f"without {'; without '.join(self.left_out)}" if self.left_out else ""

    @property
    def problem(self) -> str:
        """What was not done and why, in one line; empty where all was."""
        title = self.title or f"object {self.name}"
        return f"{title}: {self.reason}" if self.reason else ""


def segment_objects(
    session: Session,
    objects: Iterable[PromptedObject],
    on_done: Callable[[ObjectResult], Any] = lambda _: None,
    *,
    sharpen: bool | None = False,
    watch: Watch | None = None,
) -> list[ObjectResult]:
    """Return what became of each object; those found are accepted in the session.

    An object whose prompts or pixels are at fault does not stop the others.

    Args:
        session: Without an object in progress.
        objects: What a prompts file says.
        on_done: Called after each object.
        sharpen: Whether objects that their chip cuts are followed, and the borders of those that
            were seen from further away gone along at the raster's resolution; None: but not those
            of a project, whose steps are done as they say, as always where these say it.
        watch: Told what is being done with an object, and asked whether to stop.

    Raises:
        CancelledError: ``watch`` asked to stop; objects that were done are accepted.
    """
    results = []
    for item in objects:
        session.know_kinds(item.kinds)
        result = _segment(session, item, sharpen, watch or Watch())
        results.append(result)
        on_done(result)
    return results


def _segment(
    session: Session, item: PromptedObject, sharpen: bool | None, watch: Watch
) -> ObjectResult:
    session.clear()
    times: dict[str, float] = {}
    lost = list(item.faults)
    try:
        gsd = session.gsd
        try:
            for number, step in enumerate(item.steps):
                session.gsd = step.gsd
                if step.prompts:
                    lost += _add(session, step, item.origins[number : number + 1], watch)
                if step.choice is not None:
                    session.choose(step.choice, watch=_anew(watch))
                _go_beyond(session, step, watch)
                _add_times(times, session)
            told = any(step.grow or step.sharpen for step in item.steps)
            wanted = not item.recorded if sharpen is None else sharpen
            if wanted and not told:
                session.finish(watch=_anew(watch))
                _add_times(times, session)
            if watch.cancelled():
                raise CancelledError(f"stopped amid object {item.name}")
        finally:
            session.gsd = gsd
        started = time.perf_counter()
        if session.geometry is None:
            nothing = "nothing was found at the prompts; add a point or a box"
            if len(item.rows) == 1:
                lost = [line.removeprefix(f"row {item.rows[0]}: ") for line in lost]
            raise PromptError("; ".join(lost) if session.outcome is None and lost else nothing)
        times["outline"] = (time.perf_counter() - started) * 1e3
        score = session.outcome.mask.score if session.outcome else None
        feature_id = session.accept_as_seen(item.label, **item.attributes)
    except (PromptError, GeoreferenceError, ModelError, RasterError, SessionError) as error:
        session.clear()
        return ObjectResult(item.name, item.label, None, str(error), title=item.title)
    return ObjectResult(
        item.name, item.label, feature_id, None, score, times, item.title, tuple(lost)
    )


def _go_beyond(session: Session, step: Step, watch: Watch) -> None:
    """Follow or sharpen the object in progress as a step says, through as many chips in all."""
    grown = session.outcome.grown if session.outcome else None
    done = grown.chips if grown else 0
    if step.closer:
        done = done if done and session.steps[-1].closer else 0
        _follow_anew(session, step, step.grow - done, watch)
    elif step.grow > done:
        session.grow(step.grow - done, watch=_anew(watch))
    if step.sharpen:
        session.sharpen(
            step.sharpen, native=step.gsd is None, middle=step.middle, watch=_anew(watch),
            onward=step.onward,
        )  # fmt: skip


def _follow_anew(session: Session, step: Step, chips: int, watch: Watch) -> None:
    """Follow the object in progress anew; where nothing is seen of it so, sharpen its border."""
    native = step.gsd is None
    try:
        if chips > 0:
            session.grow(chips, closer=True, native=native, watch=_anew(watch))
    except PromptError:
        session.sharpen(native=native, watch=_anew(watch))


def _anew(watch: Watch) -> Watch:
    """Return a watch that is the same but for the time spent."""
    return replace(watch, milliseconds={})


def _add_times(times: dict[str, float], session: Session) -> None:
    for phase, spent in (session.outcome.milliseconds if session.outcome else {}).items():
        times[phase] = times.get(phase, 0.0) + spent


def _add(
    session: Session, step: Step, origins: tuple[tuple[int, ...], ...], watch: Watch
) -> list[str]:
    """Give the prompts of a step, and return a line for each that lies where there is no data.

    Those are left out.
    """
    rows = origins[0] if origins and origins[0] else (0,) * len(step.prompts)
    said = list(zip(step.prompts, rows, strict=True))
    lost = []
    while said:
        try:
            session.add([prompt for prompt, _ in said], follow=False, watch=_anew(watch))
        except NoDataError as error:
            if not origins or not error.prompts:
                raise
            gone = [(one, row) for one, row in said if one in error.prompts]
            if not gone:
                raise
            lost += [f"row {row}: {error}" for _, row in gone]
            said = [pair for pair in said if pair not in gone]
        else:
            break
    return lost
