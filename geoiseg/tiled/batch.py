"""Many prompted objects on one raster, one after the other: the engine of ``segment``."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from geoiseg.errors import GeoreferenceError, ModelError, PromptError, RasterError, SessionError
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


def segment_objects(
    session: Session,
    objects: Iterable[PromptedObject],
    on_done: Callable[[ObjectResult], Any] = lambda _: None,
) -> list[ObjectResult]:
    """Return what became of each object; those found are accepted in the session.

    An object whose prompts or pixels are at fault does not stop the others.

    Args:
        session: Without an object in progress.
        objects: What a prompts file says.
        on_done: Called after each object.
    """
    results = []
    for item in objects:
        session.know_kinds(item.kinds)
        result = _segment(session, item)
        results.append(result)
        on_done(result)
    return results


def _segment(session: Session, item: PromptedObject) -> ObjectResult:
    session.clear()
    times: dict[str, float] = {}
    try:
        gsd = session.gsd
        try:
            for step in item.steps:
                session.gsd = step.gsd
                if step.prompts:
                    session.add(step.prompts)
                if step.grow:
                    session.grow(step.grow)
                for phase, spent in (
                    session.outcome.milliseconds if session.outcome else {}
                ).items():
                    times[phase] = times.get(phase, 0.0) + spent
        finally:
            session.gsd = gsd
        started = time.perf_counter()
        if session.geometry is None:
            raise PromptError("nothing was found at the prompts; add a point or a box")
        times["outline"] = (time.perf_counter() - started) * 1e3
        score = session.outcome.mask.score if session.outcome else None
        feature_id = session.accept(item.label, **item.attributes)
    except (PromptError, GeoreferenceError, ModelError, RasterError, SessionError) as error:
        session.clear()
        return ObjectResult(item.name, item.label, None, str(error))
    return ObjectResult(item.name, item.label, feature_id, None, score, times)
