"""What was said step by step, and the object that came of it: values that are handed on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geoiseg.errors import NoDataError
from geoiseg.prompting import Frame, Prompt, Region, Text
from geoiseg.segment.canvas import Canvas
from geoiseg.segment.masks import Mask
from geoiseg.segment.spectral import VERSION
from geoiseg.segment.tiles import FineMask

if TYPE_CHECKING:
    from geoiseg.segment.sharpening import Unfinished

SETTLED_STEPS, SETTLED_CHANGE = 2, 0.02
"""An object is settled when each of so many last steps changed less than this share of it."""
LEFT_OUT, SINCE = 2.0, 5
"""Pixels said to be the object, for each that its mask kept, from which on the others are held to
be none of it; and the version of asking bands since which that is so."""


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
    choice: int | None = None
    """Which of the alternatives to take, the smallest is 0; None where that is not the step."""
    middle: tuple[float, float] | None = None
    """``x, y`` in the raster's CRS from which sharpening goes outwards, where it did not come to
    its end; None for the first prompt."""
    onward: bool = False
    """Whether it goes on with sharpening that was stopped before more was said of the object."""
    closer: bool = False
    """Whether an object that was seen from further away is followed anew at ``gsd``, from what was
    said first."""


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
    """The object beyond its chip, where it was followed; the logits then are those of the chips
    that it was seen on, for its outline alone, and none where it is very large."""
    empty: tuple[Prompt, ...] = ()
    """Points and strokes that say where the object is, and lie where the chip has no data."""
    asked: int = 0
    """How bands were asked that the model does not see, as ``Step.spectral`` says it."""
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
            raise NoDataError(no_data(name), empty)

    fine: FineMask | None = None
    """The object at a resolution at which it is too large for one array; ``mask`` is it seen from
    further away."""
    unfinished: Unfinished | None = None
    """How to go on where sharpening was stopped."""

    @property
    def best(self) -> Mask | FineMask:
        """The object at the finest resolution at which it is known."""
        return self.mask if self.fine is None else self.fine

    @property
    def level(self) -> int:
        """The level of the pyramid at which the object is known."""
        return self.frame.level if self.fine is None else self.fine.level

    @property
    def told(self) -> NDArray[np.float16] | None:
        """``(y, x)`` the logits of the mask's pixels; None where an object went beyond its chip."""
        return self.logits if self.logits.shape == self.mask.array.shape else None

    @property
    def to_refine(self) -> NDArray[np.float32]:
        """``(y, x)`` logits of the mask for the model to refine.

        Bands that the model did not see may say the same of much more than the object: where that
        is larger than it, what was left out of the mask is held to be none of it.
        """
        logits = self.logits.astype(np.float32)
        if self.asked >= SINCE and np.count_nonzero(logits > 0) > LEFT_OUT * self.mask.array.sum():
            return np.copysign(logits, np.where(self.mask.array, np.float32(1), np.float32(-1)))
        return logits

    @property
    def settled(self) -> bool:
        """Whether the last steps changed hardly anything, so that more of them may not help."""
        last = self.changes[-SETTLED_STEPS:]
        return len(last) == SETTLED_STEPS and max(last) < SETTLED_CHANGE


def taken(steps: tuple[Step, ...]) -> Region | None:
    """Return the outline that is the object as it is, where it is all that was said."""
    if len(steps) != 1:
        return None
    places = [item for item in steps[0].prompts if not isinstance(item, Text)]
    only = places[0] if len(places) == 1 else None
    return only if isinstance(only, Region) and only.given else None


def drawn_in(step: Step) -> Region | None:
    """Return the outline that somebody drew by hand in a step."""
    found = [item for item in step.prompts if isinstance(item, Region) and item.by]
    return found[-1] if found else None


def since_drawn(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """Return the steps from the last outline by hand on: what was said before is in it."""
    drawn = [number for number, step in enumerate(steps) if drawn_in(step) is not None]
    return steps[drawn[-1] :] if drawn else steps


def changed(before: Mask, after: Mask) -> float:
    """Return 1 less the IoU of two masks; 1 where they are of different chips."""
    if before.grid != after.grid:
        return 1.0
    union = int((before.array | after.array).sum())
    return 1.0 - int((before.array & after.array).sum()) / union if union else 0.0


def no_data(name: str) -> str:
    """Return what to tell of prompts where a raster has no data."""
    return f"there is no data under the prompts in {name}; choose another place"
