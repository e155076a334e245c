"""From prompts to a mask: read a chip, embed it, decode the prompts, clean the result.

Holds no state of an object: what a step needs of the step before is handed in, so that
the same steps give the same mask in a session, in a script and at replay.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geoiseg.errors import CancelledError, PromptError
from geoiseg.models import Embedding, Masks, Model, WideningModel, with_care
from geoiseg.prompting import (
    Box,
    Frame,
    PixelPrompts,
    Prompts,
    Region,
    Text,
    around,
    holds,
    level_for_gsd,
    place,
)
from geoiseg.raster import BoolArray, Chip, Raster
from geoiseg.segment.alternatives import by_size, each
from geoiseg.segment.beyond import Beyond
from geoiseg.segment.canvas import Answer
from geoiseg.segment.embeddings import EmbeddingCache, EmbeddingKey, Origin
from geoiseg.segment.embeddings.entry import narrowed
from geoiseg.segment.growing import said_on
from geoiseg.segment.masks import (
    CleanOptions,
    Mask,
    choose,
    clean,
    roughly_clean,
    touched_border,
)
from geoiseg.segment.on_chip import check_data_under, inside, touched, without_data
from geoiseg.segment.outcome import Outcome, Step, changed, drawn_in, since_drawn, taken
from geoiseg.segment.sharpening import Unfinished
from geoiseg.segment.spectra import SHARED, Spectra
from geoiseg.segment.spectral import VERSION, joined
from geoiseg.segment.watch import Watch
from geoiseg.segment.wider import wider

BORDER_SHARE = 0.02
"""A mask on more than this share of a chip's open border is looked at from further away."""
CLEARLY = 0.15
"""The share from which on that is so before the mask is drawn exactly: of 313 masks so judged, one
ended inside after all."""
GIVEN = 3.0
"""Logits of an outline that is the object as it is: sure, but open to correction."""
_VALID = "chip.valid"
"""Name under which a chip's validity travels with its embedding."""


@dataclass(frozen=True, slots=True, eq=False)
class Segmenter:
    """A raster and a model, ready to turn prompts into masks."""

    raster: Raster
    model: Model
    cache: EmbeddingCache = field(default_factory=EmbeddingCache)
    cleaning: CleanOptions = field(default_factory=CleanOptions)
    spectra: Spectra = SHARED
    """All bands of chips, for steps that ask them."""
    asking: int = VERSION
    """How the step in hand asks them, 0 not at all; ``run`` sees to it."""
    careful: bool = True
    """Whether several clicks may take more time for a better answer, where the model can."""
    partly: bool = False
    """Whether following an object that is stopped leaves it as far as it came."""
    resume: Unfinished | None = None
    """Sharpening that was stopped, for the next step to go on with."""

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
        steps = since_drawn(steps)
        prompts = Prompts(tuple(item for step in steps for item in step.prompts))
        if not prompts.has_positive:
            raise PromptError("say first where the object is: a point on it, or a box around it")
        if self.asking != steps[-1].spectral:
            return replace(self, asking=steps[-1].spectral).run(steps, before, watch)
        last = steps[-1]
        gsd = last.gsd
        by_hand = drawn_in(last)
        if by_hand is not None:
            return replace(self._as_given(by_hand, gsd, watch), drawn=by_hand.polygon)
        followed = before is not None and before.grown is not None
        if last.sharpen or last.grow or (followed and last.choice is None):
            return self._beyond(steps, prompts, before, watch)
        if last.choice is not None:
            return self._chosen(steps, before, watch)
        region = taken(steps)
        if region is not None:
            return self._as_given(region, gsd, watch)
        frame = self._frame(prompts, gsd, before)
        if gsd is None and not prompts.of(Box) and not prompts.of(Region):
            outcome = self._whole(frame, prompts, before, watch)
        else:
            outcome = self._decode(frame, prompts, before, watch)
        if watch.cancelled():  # what nobody waits for any more must not change anything
            raise CancelledError("stopped: the answer came too late")
        changes = () if before is None else (*before.changes, changed(before.mask, outcome.mask))
        return replace(outcome, milliseconds=dict(watch.milliseconds), changes=changes)

    def replay(self, steps: tuple[Step, ...], watch: Watch | None = None) -> Outcome | None:
        """Return the object after all ``steps``, taken one by one as the user did.

        None where no step says where the object is.

        Raises:
            CancelledError: The user asked to stop.
        """
        outcome: Outcome | None = None
        for n in range(1, len(steps) + 1):
            if any(prompt.positive for step in steps[:n] for prompt in step.prompts):
                try:
                    outcome = self.run(steps[:n], outcome, watch)
                except PromptError:
                    if not steps[n - 1].closer or outcome is None:
                        raise
                    # This model sees nothing of it from nearby: it stays as it was seen.
                if watch is not None and watch.cancelled():  # sharpening ends as far as it came
                    raise CancelledError("stopped before all steps were taken")
        return outcome

    def _as_given(self, region: Region, gsd: float | None, watch: Watch) -> Outcome:
        """Return an outline as the object, on a chip around it; nothing is decoded.

        One by hand is kept vertex by vertex: where it is larger than a chip, its mask is coarser.

        Raises:
            PromptError: No pixel of the raster lies within it.
        """
        grid, level = self.raster.grid, level_for_gsd(self.raster.grid, gsd)
        vertices = np.clip(Prompts((region,)).outline_pixels(grid), 0, grid.shape[::-1])
        low, high = vertices.min(axis=0).tolist(), vertices.max(axis=0).tolist()
        size = self.model.info.chip_size
        frame = around(grid, level, size, (*low, *high))
        if region.by and max(frame.window.shape) > size:
            frame = place(grid, Prompts((region,)), size, level)
        chip = frame.grid(grid)
        array = Prompts((region,)).to_pixel(chip).mask
        if frame.level > level and array is not None and not array.any():
            array = touched(region, chip)  # what is thin is between the centres of coarse pixels
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
        info = self.model.info
        return place(grid, prompts, info.chip_size, lowest, any_shape=info.any_shape)

    def alternatives(
        self, steps: tuple[Step, ...], outcome: Outcome, watch: Watch | None = None
    ) -> tuple[Outcome, ...]:
        """Return what else the steps may mean: a part, the whole, a group; the smallest first.

        Those are the answers of the model on the object's chip to all that was said, without
        those that are nearly another one.

        Args:
            steps: What was said.
            outcome: The object in question; none of one that was followed beyond its chip.
            watch: To follow or stop the work.
        """
        if outcome.grown is not None:
            return ()
        steps = since_drawn(steps)
        if taken(tuple(step for step in steps if step.prompts)) is not None:
            return (outcome,)
        if self.asking != steps[-1].spectral:
            return replace(self, asking=steps[-1].spectral).alternatives(steps, outcome, watch)
        watch = watch or Watch()
        said = Prompts(tuple(item for step in steps for item in step.prompts))
        embedding, valid, pixel = self.view(outcome.frame, said, watch)
        watch.phase("decoding")
        return by_size(
            self._read(outcome.frame, logits, score, valid, pixel)
            for logits, score in each(self.model.decode(embedding, pixel))
        )

    def _chosen(self, steps: tuple[Step, ...], before: Outcome | None, watch: Watch) -> Outcome:
        """Return one of the alternatives to the object before the last step.

        Of a model that has fewer answers than that which was asked then, the largest.
        """
        if before is None or before.grown is not None:
            raise PromptError("choose among answers before the object is followed or sharpened")
        found, number = self.alternatives(steps, before, watch), steps[-1].choice or 0
        if watch.cancelled():
            raise CancelledError("stopped: the answer came too late")
        if not found:
            return before
        chosen = found[min(number, len(found) - 1)]
        return replace(chosen, empty=before.empty, changes=before.changes)

    @property
    def beyond(self) -> Beyond:
        """How objects are looked at on chips beside their own."""
        size = self.model.info.chip_size
        return Beyond(self.raster.grid, size, self._decided, self.partly, self.resume)

    def _beyond(
        self, steps: tuple[Step, ...], said: Prompts, before: Outcome | None, watch: Watch
    ) -> Outcome:
        """Return the object followed beyond its chip, sharpened, or changed there."""
        last = steps[-1]
        if before is None:
            done = "sharpen" if last.sharpen else "follow"
            raise PromptError(f"there is no object to {done} yet: add a point or a box first")
        beyond = self.beyond
        if last.sharpen:
            return beyond.sharpened(steps, said, before, watch)
        start = before
        if last.closer:
            start = self._from_nearby(last, said, watch)
        elif last.grow and before.grown is not None:  # as it was before it was followed
            own = tuple(step for step in steps[:-1] if not step.grow and not step.sharpen)
            start = self.replay(own, watch) or before
        return beyond.followed(steps, said, before, start, watch)

    def _from_nearby(self, last: Step, said: Prompts, watch: Watch) -> Outcome:
        """Return the object on the chip around what was said first, at a step's own resolution.

        Raises:
            PromptError: That is larger than a chip there, or nothing is seen of the object.
        """
        grid, size = self.raster.grid, self.model.info.chip_size
        level = level_for_gsd(grid, last.gsd)
        on = [one for one in said.items if one.positive and not isinstance(one, Text)]
        frame = place(grid, Prompts((on[0],)), size, level) if on else None
        if frame is not None and frame.level == level:
            there = said_on(said, frame, grid)
            found = self._decode(frame, there, None, watch) if there.has_positive else None
            if found is not None and not found.mask.is_empty:
                return found
        raise PromptError("the object is not seen from nearby; sharpen it, or add a point on it")

    def _decided(
        self, frame: Frame, pixel: PixelPrompts, thought: NDArray[np.float32] | None, watch: Watch
    ) -> tuple[Answer, BoolArray]:
        """Return ``(y, x)`` logits of what prompts mean on a chip, and where it has data."""
        try:
            embedding, valid = self.embed(frame, watch)
        except PromptError:  # nothing but nodata there
            nothing = np.zeros(frame.window.shape, bool)
            return nothing, nothing
        started = time.perf_counter()
        logits, _ = choose(self.model.decode(embedding, pixel, thought))
        logits = self.with_bands(frame, logits, valid, pixel)
        watch.spent("decode", started)
        return np.where(valid, logits, -GIVEN).astype(np.float32), valid

    def _whole(
        self, frame: Frame, prompts: Prompts, before: Outcome | None, watch: Watch
    ) -> Outcome:
        """Return the object seen from the first level at which it ends inside its chip."""
        grid = self.raster.grid
        while True:
            may_go_on = frame.level < grid.top_level
            outcome = self._decode(frame, prompts, before, watch, may_go_on=may_go_on)
            sides = frame.open_sides(grid)
            if not may_go_on or touched_border(outcome.mask.array, sides) <= BORDER_SHARE:
                return outcome
            frame, before = wider(grid, outcome, prompts, self.model.info), outcome

    def _decode(
        self,
        frame: Frame,
        prompts: Prompts,
        before: Outcome | None,
        watch: Watch,
        *,
        may_go_on: bool = False,
    ) -> Outcome:
        """Return the object on a chip; only sketched where it may go on and clearly does."""
        embedding, valid, pixel = self.view(frame, prompts, watch)
        grid = frame.grid(self.raster.grid)
        check_data_under(pixel, valid, prompts, self.raster.name)
        watch.phase("decoding")
        started = time.perf_counter()
        known = None if before is None or before.frame != frame else before.to_refine
        if may_go_on and known is None:
            outcome = self._unless_beyond(frame, embedding, valid, pixel)
        else:
            masks = self._asked(embedding, pixel, known)
            outcome = self._read(frame, *choose(masks), valid, pixel)
        watch.spent("decode", started)
        empty = () if valid.all() else tuple(without_data(prompts, grid, valid))
        return replace(outcome, empty=empty)

    def _unless_beyond(
        self, frame: Frame, embedding: Embedding, valid: BoolArray, pixel: PixelPrompts
    ) -> Outcome:
        """Return the object on a chip as it is first seen; a sketch if it clearly goes on."""
        if len(pixel.points) > 1 or not isinstance(self.model, WideningModel):
            return self._read(frame, *choose(self._asked(embedding, pixel)), valid, pixel)
        sketch: Outcome | None = None

        def goes_on(logits: NDArray[np.float32]) -> bool:
            nonlocal sketch
            sketch = self._read(frame, logits, 0.0, valid, pixel)
            return touched_border(sketch.mask.array, frame.open_sides(self.raster.grid)) > CLEARLY

        masks = self.model.decode_inside(embedding, pixel, goes_on)
        if masks is None and sketch is not None:
            return sketch
        return self._read(frame, *choose(masks or self._asked(embedding, pixel)), valid, pixel)

    def _asked(
        self, embedding: Embedding, pixel: PixelPrompts, known: NDArray[np.float32] | None = None
    ) -> Masks:
        """Return what the model answers a user, with care where it can."""
        ask = with_care(self.model) if self.careful else self.model.decode
        return ask(embedding, pixel, known)

    def _read(
        self,
        frame: Frame,
        logits: NDArray[np.float32],
        score: float,
        valid: BoolArray,
        pixel: PixelPrompts,
    ) -> Outcome:
        """Return the object that ``(y, x)`` logits of the model stand for on a chip."""
        told = self.with_bands(frame, logits, valid, pixel)
        array = clean((told > 0) & valid, valid, pixel, self.cleaning)
        kept = np.clip(told, -1000, 1000).astype(np.float16)
        found = Mask(array, frame.grid(self.raster.grid), score)
        asked = 0 if told is logits else self.asking  # the model sees all bands there are
        return Outcome(found, kept, frame, asked=asked)

    def with_bands(
        self, frame: Frame, logits: NDArray[np.float32], valid: BoolArray, pixel: PixelPrompts
    ) -> NDArray[np.float32]:
        """Return ``(y, x)`` log-odds joined with what the bands say that the model did not see."""
        bands = self.spectra.of(self.raster, frame, self.asking) if self.asking else None
        if bands is None:
            return logits
        mask = roughly_clean((logits > 0) & valid, valid, pixel, self.cleaning)
        return joined(logits, mask, pixel, bands, self.asking)

    def view(
        self, frame: Frame, prompts: Prompts, watch: Watch | None = None
    ) -> tuple[Embedding, BoolArray, PixelPrompts]:
        """Return a chip's embedding, its valid pixels, and the prompts in its pixel frame."""
        embedding, valid = self.embed(frame, watch)
        grid = frame.grid(self.raster.grid)
        return embedding, valid, inside(prompts.to_pixel(grid), grid)

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


def _place(name: str) -> str:
    """Return a local path in full, anything else as it is."""
    return str(Path(name).absolute()) if Path(name).exists() else name
