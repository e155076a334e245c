"""The object in progress: made of all its steps at each request, so that nothing is kept here.

Whoever asks holds the steps. What was answered before is only remembered to be quick: a
companion that has just been started gives the same answers.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import shapely

from geoiseg.companion.fields import Fields
from geoiseg.companion.pipe import RequestError
from geoiseg.companion.sent import SENT
from geoiseg.companion.shapes import shape_of
from geoiseg.errors import CancelledError
from geoiseg.features import compactness
from geoiseg.models import DEFAULT_MODEL, get_model
from geoiseg.outline import outline
from geoiseg.prompting import Prompts, check_inside, level_for_gsd, prompt_from_dict
from geoiseg.raster import measure, open_raster
from geoiseg.segment import (
    Outcome,
    Segmenter,
    Step,
    Watch,
    default_cache,
    look,
    since_drawn,
    suggest,
    touched_border,
)
from geoiseg.segment.alternatives import alike
from geoiseg.segment.outcome import taken
from geoiseg.session.finishing import Finisher

REMEMBERED = 16
"""Answers that are kept, so that a click costs one step and undo none; some MB each."""
OPEN = 4
"""Rasters that stay open."""

Told = Callable[[float | None, str], None]


@dataclass(frozen=True, slots=True)
class Finish:
    """Follows and sharpens the object as far as that needs no asking: see ``Session.finish``.

    It is drawn at the raster's own resolution.
    """


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What is asked about an object."""

    key: tuple[Any, ...]
    segmenter: Segmenter
    steps: tuple[Step, ...]
    """What was said, without what an object is finished by."""
    given: tuple[Step | Finish, ...] = ()
    """What was said."""


class Objects:
    """Answers to prompts on a few open rasters."""

    def __init__(self) -> None:
        self._open: OrderedDict[tuple[Any, ...], Segmenter] = OrderedDict()
        self._answers: OrderedDict[tuple[Any, ...], Outcome | None] = OrderedDict()
        self._ends: OrderedDict[tuple[Any, ...], tuple[Step, ...]] = OrderedDict()

    def open(self, fields: Fields, watch: Watch, tell: Told) -> dict[str, Any]:
        """Return facts about a raster, once it and the model are ready for the first click."""
        tell(None, "opening")
        view = self.view(fields, with_steps=False)
        fields.done()
        watch.phase("opening")
        raster, model = view.segmenter.raster, view.segmenter.model
        _ = raster.stretch  # found once, before the first click waits for it
        return {
            "name": raster.name,
            "bands": list(raster.bands),
            "shape": list(raster.grid.shape),
            "crs": None if raster.grid.crs is None else raster.grid.crs.to_wkt(),
            "gsd": raster.grid.pixel_size_metres(),
            "model": model.info.name,
        }

    def answer(self, fields: Fields, watch: Watch, tell: Told) -> dict[str, Any]:
        """Return the object that the steps stand for, in the raster's CRS.

        ``wkb`` is hexadecimal; None where nothing says yet where the object is, or where
        nothing was found.
        """
        view = self.view(fields)
        options = shape_of(fields)
        fields.done()
        watch.tell = lambda text: tell(None, text)
        view = self._ended(view, watch)
        outcome = self._outcome(view, watch)
        if outcome is None:
            return {"wkb": None}
        mask, raster = outcome.mask, view.segmenter.raster
        shape = outline(outcome.best, options, outcome.told)
        if shape is None:
            return {"wkb": None}
        area, perimeter = measure(shape, raster.grid.crs)
        sides = outcome.frame.open_sides(raster.grid)
        goes_on = (
            outcome.grown.full
            if outcome.grown is not None
            else touched_border(mask.array, sides) > 0
        )
        return {
            "wkb": shapely.to_wkb(shape, hex=True),
            "score": mask.score,
            "area_m2": _finite(area),
            "perimeter_m": _finite(perimeter),
            "compactness": _finite(compactness(area, perimeter)),
            "gsd": outcome.best.grid.pixel_size_metres(),
            "settled": outcome.settled,
            "goes_on": goes_on,
            "coarse": outcome.level > 0 or outcome.unfinished is not None,
            "model": view.segmenter.model.info.name,
            "milliseconds": {name: round(t, 1) for name, t in outcome.milliseconds.items()},
        }

    def alternatives(self, fields: Fields, watch: Watch, tell: Told) -> dict[str, Any]:
        """Return what the steps may mean, the smallest first, and which of it the object is.

        A step ``{"choose": n}`` takes one of them. ``choice`` is None where there is none.
        """
        view = self.view(fields)
        options = shape_of(fields)
        fields.done()
        watch.tell = lambda text: tell(None, text)
        view = self._ended(view, watch)
        outcome = self._outcome(view, watch)
        found = () if outcome is None else view.segmenter.alternatives(view.steps, outcome, watch)
        crs = view.segmenter.raster.grid.crs
        answers = []
        for one in found:
            shape = outline(one.mask, options, one.told)
            answers.append(
                {
                    "wkb": None if shape is None else shapely.to_wkb(shape, hex=True),
                    "score": one.mask.score,
                    "area_m2": None if shape is None else _finite(measure(shape, crs)[0]),
                }
            )
        like = [0.0 if outcome is None else alike(one, outcome) for one in found]
        return {"answers": answers, "choice": like.index(max(like)) if like else None}

    def suggest(self, fields: Fields, watch: Watch, tell: Told) -> dict[str, Any]:
        """Return where a click would help most, in the raster's CRS; None where none would."""
        view = self.view(fields)
        fields.done()
        view = self._ended(view, watch)
        outcome = self._outcome(view, watch)
        if outcome is None or outcome.grown is not None or outcome.mask.is_empty:
            return {"at": None}
        tell(None, "looking where the model is unsure")
        prompts = Prompts(tuple(item for step in view.steps for item in step.prompts))
        seen = look(view.segmenter, prompts, outcome, None, watch)
        place = suggest(seen, outcome.mask.array, prompts.to_pixel(seen.grid))
        return {"at": None if place is None else [place.x, place.y]}

    def hover(self, fields: Fields, watch: Watch, tell: Told) -> dict[str, Any]:  # noqa: ARG002
        """Return the outline that the last of the steps would give; it is not remembered.

        ``wkb`` is None where there would be none. Mistakes are no news under a moving mouse.
        """
        view = self.view(fields)
        options = shape_of(fields)
        fields.done()
        view = self._ended(view, watch)
        before = self._outcome(View(view.key, view.segmenter, view.steps[:-1]), watch)
        positive = any(item.positive for step in view.steps for item in step.prompts)
        if not view.steps or not positive:
            return {"wkb": None}
        outcome = replace(view.segmenter, careful=False).run(view.steps, before, watch)
        shape = outline(outcome.mask, options, outcome.told)
        milliseconds = {name: round(t, 1) for name, t in outcome.milliseconds.items()}
        wkb = None if shape is None else shapely.to_wkb(shape, hex=True)
        return {"wkb": wkb, "milliseconds": milliseconds}

    def view(self, fields: Fields, *, with_steps: bool = True) -> View:
        """Return what is asked about: a raster, opened once, and steps that lie on it.

        Raises:
            GeoisegError: It can not be opened, or a step is none.
        """
        name, bands = SENT.place(fields.text("raster")), fields.bands("bands") or None
        model = fields.text("model", DEFAULT_MODEL)
        key = (name, bands, model, _stamp(name))
        if key not in self._open:
            self._open[key] = Segmenter(open_raster(name, bands), get_model(model), default_cache())
            while len(self._open) > OPEN:
                self._open.popitem(last=False)
        self._open.move_to_end(key)
        segmenter = self._open[key]
        given = tuple(map(step_of, fields.items("steps"))) if with_steps else ()
        raster = segmenter.raster
        steps = tuple(one for one in given if isinstance(one, Step))
        for step in steps:
            level_for_gsd(raster.grid, step.gsd)
            for prompt in step.prompts:
                check_inside(prompt, raster.grid, raster.name)
        return View(key, segmenter, steps, given)

    def _ended(self, view: View, watch: Watch) -> View:
        """Return what is asked, with the steps by which the object is finished in their places.

        Raises:
            CancelledError: The user has asked to stop.
        """
        steps: tuple[Step, ...] = ()
        for one in view.given:
            near = [step for step in steps if step.closer]
            if isinstance(one, Step):
                again = bool(one.grow and near)
                steps = (*steps, replace(near[-1], grow=one.grow) if again else one)
                continue
            key = (view.key, steps)
            if key not in self._ends:
                self._ends[key] = self._finish(replace(view, steps=steps), watch)
                while len(self._ends) > REMEMBERED:
                    self._ends.popitem(last=False)
            steps = self._ends[key]
        return replace(view, steps=steps)

    def _finish(self, view: View, watch: Watch) -> tuple[Step, ...]:
        """Return the steps that led to an object, and those that finish it."""
        outcome = self._outcome(view, watch)
        if outcome is None or outcome.mask.is_empty:
            return view.steps
        if outcome.drawn is not None or taken(since_drawn(view.steps)) is not None:
            return view.steps  # as somebody drew it
        made = Finisher(view.segmenter, native=True).finish(view.steps, outcome, watch)
        if watch.cancelled():
            raise CancelledError("stopped: the object is as it was")
        if made is None:
            return view.steps
        self._answers[view.key, made[0]] = made[1]
        return made[0]

    def _outcome(self, view: View, watch: Watch) -> Outcome | None:
        """Return the object after all steps, made from the longest beginning that is known."""
        steps = view.steps
        known = len(steps)
        while known and (view.key, steps[:known]) not in self._answers:
            known -= 1
        outcome = self._answers[view.key, steps[:known]] if known else None
        for count in range(known + 1, len(steps) + 1):
            if any(prompt.positive for step in steps[:count] for prompt in step.prompts):
                outcome = view.segmenter.run(steps[:count], outcome, watch)
                if count == len(steps):  # what was said before is in the user's project
                    outcome.check_data(steps[-1].prompts, view.segmenter.raster.name)
            self._answers[view.key, steps[:count]] = outcome
            while len(self._answers) > REMEMBERED:
                self._answers.popitem(last=False)
        return outcome


def step_of(given: Any) -> Step | Finish:
    """Return a step of an object: prompts given together, or how far to follow it.

    ``{"finish": true}`` follows and sharpens it by itself, to the raster's own resolution.

    Raises:
        RequestError: It is no step.
        PromptError: One of its prompts is none.
    """
    fields = Fields(given)
    prompts = tuple(map(_prompt, fields.items("prompts")))
    gsd = fields.number("gsd", None)
    grow, sharp = fields.whole("grow", 0), fields.whole("sharpen", 0)
    choice, finish = fields.whole("choose", None), fields.flag("finish")
    fields.done()
    if bool(prompts) + bool(grow) + bool(sharp) + (choice is not None) + finish != 1:
        raise RequestError(
            "a step has prompts, or says how far to follow or to sharpen, to finish, or which"
            f" answer to choose, got {given!r:.60}"
        )
    if finish and gsd is not None:
        raise RequestError(f"an object is finished at the raster's own resolution, got gsd {gsd:g}")
    if finish:
        return Finish()
    if choice is not None and choice < 0:
        raise RequestError(f"an answer is chosen by its number from 0, got {choice}")
    return Step(prompts, None if gsd is None else float(gsd), grow, sharpen=sharp, choice=choice)


def _prompt(given: Any) -> Any:
    if not isinstance(given, Mapping):
        raise RequestError(f"a prompt is an object, got {given!r:.60}")
    return prompt_from_dict(given)


def _stamp(name: str) -> tuple[int, int] | None:
    """Return what changes with a file's content; None where it is no file."""
    try:
        status = os.stat(name)  # noqa: PTH116 - a name may be a URL or a VSI path
    except (OSError, ValueError):
        return None
    return status.st_mtime_ns, status.st_size


def _finite(value: float) -> float | None:
    return None if value != value else float(value)  # noqa: PLR0124 - NaN is not JSON
