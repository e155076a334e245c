"""From prompts to a mask: read a chip, embed it, decode the prompts, clean the result.

Holds no state of an object: what a step needs of the step before is handed in, so that
the same steps give the same mask in a session, in a script and at replay.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoiseg.errors import CancelledError, NoDataError, PromptError
from geoiseg.models import Embedding, Model
from geoiseg.prompting import (
    Box,
    Frame,
    PixelPrompts,
    Point,
    Prompt,
    Prompts,
    Region,
    Scribble,
    Text,
    around,
    holds,
    level_for_gsd,
    place,
)
from geoiseg.raster import BoolArray, Chip, Grid, Raster
from geoiseg.segment.embeddings import EmbeddingCache, EmbeddingKey, Origin
from geoiseg.segment.embeddings.entry import narrowed
from geoiseg.segment.growing import Canvas, GrowOptions, Look, amend, grow
from geoiseg.segment.masks import (
    CleanOptions,
    Mask,
    choose,
    clean,
    prompted_pixels,
    roughly_clean,
    touched_border,
)
from geoiseg.segment.sharpening import Refine, SharpenOptions, sharpen
from geoiseg.segment.spectra import SHARED, Spectra
from geoiseg.segment.spectral import VERSION, joined

BORDER_SHARE = 0.02
"""A mask on more than this share of a chip's open border is looked at from further away."""
SETTLED_STEPS, SETTLED_CHANGE = 2, 0.02
"""An object is settled when each of so many last steps changed less than this share of it."""
GIVEN = 3.0
"""Logits of an outline that is the object as it is: sure, but open to correction."""
_VALID = "chip.valid"
"""Name under which a chip's validity travels with its embedding."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing the user did: prompts given together, and the scale they were given at."""

    prompts: tuple[Prompt, ...]
    gsd: float | None = None
    """Ground size of a pixel in metres to work at; None finds it."""
    grow: int = 0
    """Chips up to which the object is followed beyond its own; 0 where that is not the step."""
    spectral: int = VERSION
    """Which version of the model in all bands is asked besides the network; 0 asks none."""
    sharpen: int = 0
    """Chips up to which the border is looked at more finely than the object was seen; 0 where
    that is not the step."""


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """An object after some steps."""

    mask: Mask
    logits: NDArray[np.float16]
    """``(y, x)`` of the chip, before cleaning: what the next step refines."""
    frame: Frame
    milliseconds: dict[str, float] = field(default_factory=dict)
    """Wall time of ``read``, ``embed`` and ``decode``."""
    changes: tuple[float, ...] = ()
    """Of each step after the first, how much of the mask it changed: 1 less the IoU of
    the masks before and after it, 0..1."""

    grown: Canvas | None = None
    """The object beyond its chip, where it was followed; there are no logits then."""
    empty: tuple[Prompt, ...] = ()
    """Points and strokes that say where the object is, and lie where the chip has no data."""
    drawn: Any = None
    """The outline as it was drawn by hand, a shapely geometry in the raster's CRS; None where
    the mask says it."""

    def check_data(self, prompts: tuple[Prompt, ...], name: str) -> None:
        """Make sure that where prompts say the object is, there is data.

        Args:
            prompts: Of those that led to the object.
            name: Of the raster.

        Raises:
            NoDataError: One of them lies where there is none.
        """
        empty = tuple(one for one in self.empty if any(one is said for said in prompts))
        if empty:
            raise NoDataError(_no_data(name), empty)

    @property
    def settled(self) -> bool:
        """Whether the last steps changed hardly anything, so that more of them may not help."""
        last = self.changes[-SETTLED_STEPS:]
        return len(last) == SETTLED_STEPS and max(last) < SETTLED_CHANGE


@dataclass(slots=True)
class Watch:
    """What a long operation tells, and how it is stopped."""

    tell: Callable[[str], None] = lambda _: None
    """Called with what is going on: ``reading``, ``encoding``, ``decoding``."""
    cancelled: Callable[[], bool] = lambda: False
    """Asked between the phases whether to stop."""
    milliseconds: dict[str, float] = field(default_factory=dict)
    """Wall time of each phase, added up."""

    def phase(self, name: str) -> None:
        """Say what comes next.

        Raises:
            CancelledError: The user has asked to stop.
        """
        if self.cancelled():
            raise CancelledError(f"stopped before {name}")
        self.tell(name)

    def spent(self, name: str, since: float) -> None:
        """Add the time since ``since`` to a phase."""
        elapsed = (time.perf_counter() - since) * 1e3
        self.milliseconds[name] = self.milliseconds.get(name, 0.0) + elapsed


@dataclass(frozen=True, slots=True, eq=False)
class Segmenter:
    """A raster and a model, ready to turn prompts into masks."""

    raster: Raster
    model: Model
    cache: EmbeddingCache = field(default_factory=EmbeddingCache)
    cleaning: CleanOptions = field(default_factory=CleanOptions)
    spectra: Spectra = SHARED
    """All bands of chips, for steps that ask them."""
    asking: bool = True
    """Whether the step in hand asks them; ``run`` sees to it."""

    def run(
        self, steps: tuple[Step, ...], before: Outcome | None = None, watch: Watch | None = None
    ) -> Outcome:
        """Return the object after the last of ``steps``.

        Args:
            steps: All steps so far, the new one last.
            before: Outcome of all steps but the last, if there was one.
            watch: Told what is going on, and asked whether to stop.

        Raises:
            PromptError: Nothing says where the object is.
            RasterError: The pixels can not be read.
            CancelledError: The user asked to stop.
        """
        watch = watch or Watch()
        steps = _since_drawn(steps)
        prompts = Prompts(tuple(item for step in steps for item in step.prompts))
        if not prompts.has_positive:
            raise PromptError("say first where the object is: a point on it, or a box around it")
        if self.asking != bool(steps[-1].spectral):
            return replace(self, asking=not self.asking).run(steps, before, watch)
        gsd = steps[-1].gsd
        by_hand = _drawn_in(steps[-1])
        if by_hand is not None:
            return replace(self._as_given(by_hand, gsd, watch), drawn=by_hand.polygon)
        if steps[-1].sharpen:
            return self._sharpened(steps, prompts, before, watch)
        if steps[-1].grow or (before is not None and before.grown is not None):
            return self._beyond(steps, prompts, before, watch)
        taken = _taken(steps)
        if taken is not None:
            return self._as_given(taken, gsd, watch)
        frame = self._frame(prompts, gsd, before)
        outcome = self._decode(frame, prompts, before, watch)
        if gsd is None and not prompts.of(Box) and not prompts.of(Region):
            outcome = self._widen(outcome, prompts, watch)
        if watch.cancelled():  # what nobody waits for any more must not change anything
            raise CancelledError("stopped: the answer came too late")
        changes = () if before is None else (*before.changes, _change(before.mask, outcome.mask))
        return replace(outcome, milliseconds=dict(watch.milliseconds), changes=changes)

    def replay(self, steps: tuple[Step, ...], watch: Watch | None = None) -> Outcome | None:
        """Return the object after all ``steps``, taken one by one as the user did.

        None where no step says where the object is.
        """
        outcome: Outcome | None = None
        for n in range(1, len(steps) + 1):
            if any(prompt.positive for step in steps[:n] for prompt in step.prompts):
                outcome = self.run(steps[:n], outcome, watch)
        return outcome

    def _as_given(self, region: Region, gsd: float | None, watch: Watch) -> Outcome:
        """Return an outline as the object, on a chip around it; nothing is decoded.

        Raises:
            PromptError: No pixel of the raster lies within it.
        """
        grid, level = self.raster.grid, level_for_gsd(self.raster.grid, gsd)
        vertices = np.clip(Prompts((region,)).outline_pixels(grid), 0, grid.shape[::-1])
        low, high = vertices.min(axis=0).tolist(), vertices.max(axis=0).tolist()
        frame = around(grid, level, self.model.info.chip_size, (*low, *high))
        chip = frame.grid(grid)
        array = Prompts((region,)).to_pixel(chip).mask
        if array is None or not array.any():
            raise PromptError("the outline holds no pixel of the raster")
        logits = np.where(array, GIVEN, -GIVEN).astype(np.float16)
        return Outcome(Mask(array, chip, 1.0), logits, frame, dict(watch.milliseconds))

    def _frame(self, prompts: Prompts, gsd: float | None, before: Outcome | None) -> Frame:
        grid = self.raster.grid
        lowest = level_for_gsd(grid, gsd)
        in_use = before.frame if before is not None else None
        if in_use and (gsd is None or in_use.level == lowest) and holds(in_use, grid, prompts):
            return in_use
        return place(grid, prompts, self.model.info.chip_size, lowest)

    def _beyond(
        self, steps: tuple[Step, ...], said: Prompts, before: Outcome | None, watch: Watch
    ) -> Outcome:
        """Return the object followed beyond its chip, or changed there by what was said last."""
        if before is None:
            raise PromptError("there is no object to follow yet: add a point or a box first")
        grid, size, level = self.raster.grid, self.model.info.chip_size, before.frame.level
        look = self._looking(watch)
        if steps[-1].grow:
            start = before if before.grown is None else self._start_of(steps[:-1], watch)
            options = GrowOptions(chips=steps[-1].grow)
            canvas = grow(start.frame, start.mask.array, said, grid, look, size, options)
        else:
            if not all(isinstance(item, (Point, Scribble)) for item in steps[-1].prompts):
                raise PromptError(
                    "refine an object that was followed beyond its chip with points and strokes"
                )
            vertices = Prompts(steps[-1].prompts).outline_pixels(grid)
            low, high = vertices.min(axis=0).tolist(), vertices.max(axis=0).tolist()
            frame = around(grid, level, size, (*low, *high))
            if max(frame.window.shape) > size:
                raise PromptError(
                    "refine an object that was followed beyond its chip with shorter strokes"
                )
            canvas = before.grown or Canvas.of(before.frame.window, before.mask.array)
            canvas = amend(canvas, frame, said, grid, look, rim=size // 8)
        frame = Frame(level, canvas.window)
        mask = Mask(canvas.mask, frame.grid(grid), before.mask.score)
        changes = (*before.changes, _change(before.mask, mask))
        nothing = np.zeros((0, 0), np.float16)
        return Outcome(mask, nothing, frame, dict(watch.milliseconds), changes, canvas)

    def _sharpened(
        self, steps: tuple[Step, ...], said: Prompts, before: Outcome | None, watch: Watch
    ) -> Outcome:
        """Return the object with its border as fine as the raster has it."""
        if before is None:
            raise PromptError("there is no object to sharpen yet: add a point or a box first")
        grid, size = self.raster.grid, self.model.info.chip_size
        options = SharpenOptions(level_for_gsd(grid, steps[-1].gsd), steps[-1].sharpen)
        refine = self._refining(watch)
        found = sharpen(before.frame, before.mask.array, said, grid, refine, size, options)
        mask = Mask(found.canvas.mask, found.frame.grid(grid), before.mask.score)
        nothing, changes = np.zeros((0, 0), np.float16), (*before.changes, 1.0)
        return Outcome(mask, nothing, found.frame, dict(watch.milliseconds), changes, found.canvas)

    def _refining(self, watch: Watch) -> Refine:
        """Return what answers prompts on the chips along a border."""
        count = 0

        def refine(
            frame: Frame, pixel: PixelPrompts, thought: NDArray[np.float32]
        ) -> tuple[BoolArray, BoolArray]:
            nonlocal count
            count += 1
            watch.phase(f"sharpening, chip {count}")
            try:
                embedding, valid = self.embed(frame, watch)
            except PromptError:  # nothing but nodata there
                nothing = np.zeros(frame.window.shape, bool)
                return nothing, nothing
            started = time.perf_counter()
            logits, _ = choose(self.model.decode(embedding, pixel, thought))
            logits = self._with_bands(frame, logits, valid, pixel)
            watch.spent("decode", started)
            return np.asarray((logits > 0) & valid), valid

        return refine

    def _start_of(self, steps: tuple[Step, ...], watch: Watch) -> Outcome:
        """Return the object on one chip again, before it was followed."""
        start = self.replay(
            tuple(step for step in steps if not step.grow and not step.sharpen), watch
        )
        if start is None:
            raise PromptError("there is no object to follow yet: add a point or a box first")
        return start

    def _looking(self, watch: Watch) -> Look:
        """Return what answers prompts on the chips that an object is followed through."""
        count = 0

        def look(frame: Frame, pixel: PixelPrompts) -> tuple[BoolArray, BoolArray]:
            nonlocal count
            count += 1
            watch.phase(f"following, chip {count}")
            nothing = np.zeros(frame.window.shape, bool)
            if not pixel.positive.any():
                return nothing, nothing
            try:
                embedding, valid = self.embed(frame, watch)
            except PromptError:  # nothing but nodata there
                return nothing, nothing
            started = time.perf_counter()
            logits, _ = choose(self.model.decode(embedding, pixel))
            logits = self._with_bands(frame, logits, valid, pixel)
            watch.spent("decode", started)
            return np.asarray((logits > 0) & valid), valid

        return look

    def _widen(self, outcome: Outcome, prompts: Prompts, watch: Watch) -> Outcome:
        """Return the object seen from the first level at which it ends inside its chip."""
        grid = self.raster.grid
        while outcome.frame.level < grid.top_level:
            sides = outcome.frame.open_sides(grid)
            if touched_border(outcome.mask.array, sides) <= BORDER_SHARE:
                break
            vertices = np.clip(prompts.outline_pixels(grid), 0, grid.shape[::-1])
            low, high = vertices.min(axis=0).tolist(), vertices.max(axis=0).tolist()
            level = outcome.frame.level + 1
            frame = around(grid, level, self.model.info.chip_size, (*low, *high))
            outcome = self._decode(frame, prompts, outcome, watch)
        return outcome

    def _decode(
        self, frame: Frame, prompts: Prompts, before: Outcome | None, watch: Watch
    ) -> Outcome:
        embedding, valid, pixel = self.view(frame, prompts, watch)
        grid = frame.grid(self.raster.grid)
        _check_data_under(pixel, valid, prompts, self.raster.name)
        watch.phase("decoding")
        started = time.perf_counter()
        previous = None if before is None or before.frame != frame else before.logits
        with_previous = None if previous is None else previous.astype(np.float32)
        logits, score = choose(self.model.decode(embedding, pixel, with_previous))
        logits = self._with_bands(frame, logits, valid, pixel)
        array = clean((logits > 0) & valid, valid, pixel, self.cleaning)
        watch.spent("decode", started)
        kept = np.clip(logits, -1000, 1000).astype(np.float16)
        empty = () if valid.all() else tuple(_without_data(prompts, grid, valid))
        return Outcome(Mask(array, grid, score), kept, frame, empty=empty)

    def _with_bands(
        self, frame: Frame, logits: NDArray[np.float32], valid: BoolArray, pixel: PixelPrompts
    ) -> NDArray[np.float32]:
        """Return ``(y, x)`` log-odds joined with what the bands say that the model did not see."""
        bands = self.spectra.of(self.raster, frame) if self.asking else None
        if bands is None:
            return logits
        mask = roughly_clean((logits > 0) & valid, valid, pixel, self.cleaning)
        return joined(logits, mask, pixel, bands)

    def view(
        self, frame: Frame, prompts: Prompts, watch: Watch | None = None
    ) -> tuple[Embedding, BoolArray, PixelPrompts]:
        """Return a chip's embedding, its valid pixels, and the prompts in its pixel frame."""
        embedding, valid = self.embed(frame, watch)
        grid = frame.grid(self.raster.grid)
        return embedding, valid, _inside(prompts.to_pixel(grid), grid)

    def embed(self, frame: Frame, watch: Watch | None = None) -> tuple[Embedding, BoolArray]:
        """Return the embedding of a chip, from the cache where it is, and its valid pixels."""
        watch = watch or Watch()
        kept = self.cache.get_or_embed(self.key(frame), lambda: self._embed(frame, watch))
        return unpacked(kept)

    def key(self, frame: Frame) -> EmbeddingKey:
        """Return what names the embedding of a chip. Reads no pixels once it is on disk."""
        raster, info, disk = self.raster, self.model.info, self.cache.disk
        # A model whose weights have no name may be another one tomorrow.
        lasting = disk is not None and raster.lasting and bool(info.weights_hash)
        source = raster.source_id
        if disk is not None and lasting and not raster.stretch_known:
            known = disk.stretch(source)
            if known is not None:
                raster.take_stretch(known)
        return EmbeddingKey(
            source,
            raster.stretch,
            frame.level,
            frame.window,
            f"{info.name}@{info.weights_hash}",
            Origin(_place(raster.name), not raster.stretch_given) if lasting else None,
        )

    def _embed(self, frame: Frame, watch: Watch) -> Embedding:
        watch.phase("reading")
        started = time.perf_counter()
        chip: Chip = self.raster.chip(frame.window, frame.level)
        watch.spent("read", started)
        if not chip.valid.any():
            raise PromptError(f"there is no data around the prompts in {self.raster.name}")
        watch.phase("encoding")
        started = time.perf_counter()
        embedding = self.encode(chip)
        watch.spent("embed", started)
        return embedding

    def encode(self, chip: Chip) -> Embedding:
        """Return the embedding of a chip in the form in which it is kept.

        Learned features are in half precision, in memory as on disk, so that a click gives
        the same mask before and after a restart; what an engine without weights computes
        stays as it is.
        """
        embedding = self.model.embed(chip.rgb, chip.valid)
        if self.model.info.parameters and not self.model.info.exact_embedding:
            embedding = narrowed(embedding)
        bits = np.packbits(chip.valid.ravel())
        return replace(embedding, arrays={**embedding.arrays, _VALID: bits})


def unpacked(kept: Embedding) -> tuple[Embedding, BoolArray]:
    """Return the model's own part of what ``Segmenter.encode`` gave, and the valid pixels."""
    bits = kept.arrays[_VALID]
    valid = np.unpackbits(bits, count=kept.shape[0] * kept.shape[1]).reshape(kept.shape)
    own = {name: array for name, array in kept.arrays.items() if name != _VALID}
    return replace(kept, arrays=own), valid.astype(bool)


def _taken(steps: tuple[Step, ...]) -> Region | None:
    """Return the outline that is the object as it is, where it is all that was said."""
    if len(steps) != 1:
        return None
    places = [item for item in steps[0].prompts if not isinstance(item, Text)]
    only = places[0] if len(places) == 1 else None
    return only if isinstance(only, Region) and only.given else None


def _drawn_in(step: Step) -> Region | None:
    """Return the outline that somebody drew by hand in a step."""
    found = [item for item in step.prompts if isinstance(item, Region) and item.by]
    return found[-1] if found else None


def _since_drawn(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """Return the steps from the last outline by hand on: what was said before is in it."""
    drawn = [number for number, step in enumerate(steps) if _drawn_in(step) is not None]
    return steps[drawn[-1] :] if drawn else steps


def _place(name: str) -> str:
    """Return a local path in full, anything else as it is."""
    return str(Path(name).absolute()) if Path(name).exists() else name


def _change(before: Mask, after: Mask) -> float:
    """Return 1 less the IoU of two masks; 1 where they are of different chips."""
    if before.grid != after.grid:
        return 1.0
    union = int((before.array | after.array).sum())
    return 1.0 - int((before.array & after.array).sum()) / union if union else 0.0


def _check_data_under(pixel: PixelPrompts, valid: BoolArray, prompts: Prompts, name: str) -> None:
    marks = prompted_pixels(valid.shape, pixel, positive=True)
    if marks.any() and not valid[marks].any():
        raise NoDataError(_no_data(name), tuple(one for one in prompts.items if one.positive))


def _without_data(prompts: Prompts, grid: Grid, valid: BoolArray) -> Iterator[Prompt]:
    """Yield the points and strokes on the object that have no data under them."""
    for item in prompts.items:
        if isinstance(item, (Point, Scribble)) and item.positive:
            pixel = _inside(Prompts((item,)).to_pixel(grid), grid)
            on = prompted_pixels(valid.shape, pixel, positive=True)
            if on.any() and not valid[on].any():
                yield item


def _no_data(name: str) -> str:
    """Return what to tell of prompts where a raster has no data."""
    return f"there is no data under the prompts in {name}; choose another place"


def _inside(prompts: PixelPrompts, grid: Grid) -> PixelPrompts:
    """Return the prompts clipped to a chip: what sticks out can not be said to a model."""
    far = np.array(grid.shape[::-1], dtype=np.float64)
    last = np.nextafter(far, 0)
    strokes = []
    for stroke, sign in prompts.scribbles:
        if ((stroke >= 0) & (stroke <= far)).all(axis=1).any():
            strokes.append((np.clip(stroke, 0, last), sign))
    box = prompts.box
    if box is not None:
        x0, y0 = np.clip(box[:2], 0, far).tolist()
        x1, y1 = np.clip(box[2:], 0, far).tolist()
        if x0 >= x1 or y0 >= y1:
            raise PromptError(f"the box {box} is not on the chip")
        box = (x0, y0, x1, y1)
    return replace(
        prompts, points=np.clip(prompts.points, 0, last), scribbles=tuple(strokes), box=box
    )
