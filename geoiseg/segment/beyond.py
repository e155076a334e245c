"""Objects past their one chip: followed from chip to chip, and sharpened along their border."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from geoiseg.errors import PromptError
from geoiseg.prompting import (
    Frame,
    PixelPrompts,
    Point,
    Prompts,
    Scribble,
    around,
    level_for_gsd,
)
from geoiseg.raster import BoolArray, Grid
from geoiseg.segment.canvas import Answer, Canvas
from geoiseg.segment.growing import GrowOptions, Look, amend, decided, grow
from geoiseg.segment.masks import Mask
from geoiseg.segment.outcome import Outcome, Step, changed
from geoiseg.segment.sharpening import Refine, SharpenOptions, Unfinished, sharpen
from geoiseg.segment.tiles import FineMask, Tiles
from geoiseg.segment.watch import Watch

SHOWN = 16_000_000
"""Pixels at which an object that is kept in tiles is shown, at most."""
ANEW = 64_000_000
"""Pixels of the box around an object that is followed anew, at most; else it is sharpened."""
Decide = Callable[
    [Frame, PixelPrompts, NDArray[np.float32] | None, Watch], tuple[Answer, BoolArray]
]
"""Answers prompts on a chip, given ``(y, x)`` logits of what is thought there if anything is: the
``(y, x)`` logits of the mask, and where there is data."""


@dataclass(frozen=True, slots=True)
class Beyond:
    """How objects are looked at on chips beside their own."""

    grid: Grid
    """Of the raster."""
    chip_size: int
    decide: Decide
    partly: bool = False
    """Whether following that is stopped leaves the object as far as it came."""
    resume: Unfinished | None = None
    """What was stopped before, for sharpening to go on with."""

    def followed(
        self, steps: tuple[Step, ...], said: Prompts, before: Outcome, start: Outcome, watch: Watch
    ) -> Outcome:
        """Return the object followed beyond its chip, or changed there by what was said last.

        Args:
            steps: All steps, the last one to be taken now.
            said: All that they say.
            before: The object before the last step.
            start: The object before it was followed, on the chip from which it is.
            watch: To follow or stop the work.

        Raises:
            PromptError: What was said last is no point or stroke on a chip.
            CancelledError: The user asked to stop.
        """
        last, look = steps[-1], self._looking(watch)
        if not last.grow:
            return self._amended(self._around(last, before.level), said, before, look, watch)
        partly = self.partly and not last.closer  # a part of what was seen whole is worse
        options = GrowOptions(chips=last.grow, partly=partly, watch=watch, logits=start.told)
        if last.closer:
            unseen = replace(watch, show=lambda *_: None)
            options = replace(options, watch=unseen, pixels=ANEW)
        frame, mask = start.frame, start.mask.array
        canvas = grow(frame, mask, said, self.grid, look, self.chip_size, options)
        return self._made(Frame(frame.level, canvas.window), canvas, before, watch)

    def _amended(
        self, frame: Frame, said: Prompts, before: Outcome, look: Look, watch: Watch
    ) -> Outcome:
        """Return the object decided anew on the chip that holds what was said last."""
        grid, rim, left = self.grid, self.chip_size // 8, before.unfinished
        canvas: Canvas | Tiles
        if before.fine is not None:
            canvas = amend(before.fine.array, frame, said, grid, look, rim=rim)
        else:
            known = before.grown or Canvas.of(before.frame.window, before.mask.array, before.told)
            canvas = amend(known, frame, said, grid, look, rim=rim)
        if left is not None:  # the rest of the border is to be looked at yet
            canvas.full = True
            left = left.amended(canvas, decided(frame, grid, rim), grid)
        made = self._made(Frame(frame.level, canvas.window), canvas, before, watch)
        return replace(made, unfinished=left)

    def sharpened(
        self, steps: tuple[Step, ...], said: Prompts, before: Outcome, watch: Watch
    ) -> Outcome:
        """Return the object with its border as fine as the raster has it.

        Args:
            steps: All steps, the last one to be taken now.
            said: All that they say.
            before: The object before the last step.
            watch: To follow or stop the work.

        Raises:
            CancelledError: The user asked to stop before anything was done.
        """
        last = steps[-1]
        middle = None
        if last.middle is not None:
            x, y = self.grid.to_pixel([last.middle])[0].tolist()
            middle = (float(x), float(y))
        wanted = level_for_gsd(self.grid, last.gsd)
        resume = self.resume or (before.unfinished if last.onward else None)
        options = SharpenOptions(wanted, last.sharpen, middle=middle, watch=watch, resume=resume)
        found = sharpen(
            before.frame, before.mask.array, said, self.grid, self.refining(watch),
            self.chip_size, options,
        )  # fmt: skip
        made = self._made(found.frame, found.canvas, before, watch)
        return replace(made, unfinished=found.unfinished)

    def refining(self, watch: Watch) -> Refine:
        """Return what answers prompts on the chips along a border."""

        def refine(
            frame: Frame, pixel: PixelPrompts, thought: NDArray[np.float32]
        ) -> tuple[Answer, BoolArray]:
            return self.decide(frame, pixel, thought, watch)

        return refine

    def _looking(self, watch: Watch) -> Look:
        """Return what answers prompts on the chips that an object is followed through."""
        count = 0

        def look(frame: Frame, pixel: PixelPrompts) -> tuple[Answer, BoolArray]:
            nonlocal count
            count += 1
            watch.phase(f"following, chip {count}")
            if not pixel.positive.any():
                nothing = np.zeros(frame.window.shape, bool)
                return nothing, nothing
            return self.decide(frame, pixel, None, watch)

        return look

    def _around(self, step: Step, level: int) -> Frame:
        """Return the chip around what a step says."""
        if not all(isinstance(item, (Point, Scribble)) for item in step.prompts):
            raise PromptError(
                "refine an object that was followed beyond its chip with points and strokes"
            )
        vertices = Prompts(step.prompts).outline_pixels(self.grid)
        low, high = vertices.min(axis=0).tolist(), vertices.max(axis=0).tolist()
        frame = around(self.grid, level, self.chip_size, (*low, *high))
        if max(frame.window.shape) > self.chip_size:
            raise PromptError(
                "refine an object that was followed beyond its chip with shorter strokes"
            )
        return frame

    def _made(self, frame: Frame, canvas: Canvas | Tiles, before: Outcome, watch: Watch) -> Outcome:
        fine = None
        if isinstance(canvas, Tiles):
            fine = FineMask(canvas, frame.grid(self.grid), frame.level)
            frame, canvas = self._from_afar(fine, canvas)
        mask = Mask(canvas.mask, frame.grid(self.grid), before.mask.score)
        changes = (*before.changes, changed(before.mask, mask))
        none = np.zeros((0, 0), np.float16)
        logits, drawn = none if canvas.logits is None else canvas.logits, None
        if frame == before.frame and np.array_equal(mask.array, before.mask.array):
            logits, drawn = before.logits, before.drawn  # it ends on its chip: its outline stays
        took = dict(watch.milliseconds)
        return Outcome(mask, logits, frame, took, changes, canvas, drawn=drawn, fine=fine)

    def _from_afar(self, fine: FineMask, tiles: Tiles) -> tuple[Frame, Canvas]:
        """Return an object in tiles on the finest level on which one array holds it."""
        level = fine.level + 1
        while level < self.grid.top_level and tiles.window.height * tiles.window.width > SHOWN << (
            2 * (level - fine.level)
        ):
            level += 1
        window, mask = fine.seen_from(level, self.grid)
        canvas = Canvas.of(window, mask)
        canvas.chips, canvas.lost, canvas.full = tiles.chips, tiles.lost, tiles.full
        return Frame(level, window), canvas
