"""The crops of a training: of features, of those held out, and of ordinary places."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geoiseg.errors import ModelError
from geoiseg.training.own.crops import (
    COARSEST,
    FEWEST,
    FINEST,
    SIDE,
    Cutter,
    Example,
    Look,
    encoded,
    varied,
)
from geoiseg.training.own.material import Source
from geoiseg.training.own.ordinary import made_views, ordinary, rasters_views
from geoiseg.training.own.pupil import Pupil, looking

CROPS_EACH = (4, 16)
"""Crops of each feature, at least and at most."""
HELD_SHARES = (0.3, 0.65)
"""Extents of features held out as shares of the crops that show when to end."""

Tell = Callable[[str, int, int], object]
"""Told what is being done, and how much of it is done of how much."""


@dataclass(frozen=True, slots=True)
class Amounts:
    """How many crops there are."""

    crops: int
    """Of features, in all."""
    ordinary: int
    """Of ordinary places of the rasters, and as many of made scenes."""
    seed: int
    """Of all chance."""


@dataclass(frozen=True, slots=True, eq=False)
class Lessons:
    """What a pupil learns from."""

    own: list[Example]
    """Crops of features."""
    known: list[Example]
    """Crops of ordinary places, on which the answers are to stay."""
    held: list[Example]
    """Crops of features held out: which weights are taken and when training ends goes by them."""


def counter(tell: Tell, what: str, whole: int) -> Callable[[], None]:
    """Return what counts one more of so many each time that it is called."""
    done = 0
    tell(what, done, whole)

    def count() -> None:
        nonlocal done
        done += 1
        tell(what, done, whole)

    return count


def read_lessons(
    sources: Sequence[Source], held: Sequence[NDArray[np.bool_]], before: Pupil, shipped: Path,
    amounts: Amounts, tell: Tell,
) -> Lessons:  # fmt: skip
    """Return the crops of a training, always the same ones for the same arguments.

    Args:
        sources: Rasters with their features.
        held: For each ``(n,)`` True where a feature is held out.
        before: What learns, before it does.
        shipped: Folder of the encoder.
        amounts: How many.
        tell: Told how far it is.

    Raises:
        RasterError: A raster can not be read.
        ModelError: Each feature lies under another one.
    """
    rng = np.random.default_rng([amounts.seed, 11])
    look = looking(before, shipped)
    teachers = [
        Cutter(one.raster, one.shapes, (~out).tolist())
        for one, out in zip(sources, held, strict=True) if len(one.shapes)
    ]  # fmt: skip
    count = int(sum((~out).sum() for out in held))
    each = int(np.clip(amounts.crops // count, *CROPS_EACH))
    reading = counter(tell, "reading", each * count + 2 * amounts.ordinary)
    own = []
    held_crops: list[Example] = []
    for one, out in zip(sources, held, strict=True):
        if not len(one.shapes):
            continue
        shown = Cutter(one.raster, one.shapes, [True] * len(one.shapes))
        learning = Cutter(one.raster, one.shapes, (~out).tolist())
        for number in range(len(one.shapes)):
            if out[number]:
                held_crops += _held_crops(shown, number, look, rng)
                continue
            for _ in range(each):
                view = varied(learning.around(number, rng), rng)
                if (view.ids == number + 1).sum() >= FEWEST:  # another one may lie upon it
                    own.append(encoded(look, view, number + 1))
                reading()
    if not own:
        raise ModelError("no feature can be seen: each lies under another one; delete the upper"
                         " ones, or cut them out, and train again")  # fmt: skip
    known = ordinary(before, look, rasters_views(teachers, rng), amounts.ordinary, rng,
                     apart=True, tell=reading)  # fmt: skip
    known += ordinary(before, look, made_views(rng, amounts.ordinary), amounts.ordinary, rng,
                      apart=False, tell=reading)  # fmt: skip
    return Lessons(own, known, held_crops)


def _held_crops(cutter: Cutter, number: int, look: Look, rng: np.random.Generator) -> list[Example]:
    """Return crops that show a feature which is held out smaller and larger."""
    fitting = SIDE / cutter.extent(number)
    zooms = [float(np.clip(share * fitting, COARSEST, FINEST)) for share in HELD_SHARES]
    views = [cutter.around(number, rng, zoom, 0.3) for zoom in zooms]
    return [encoded(look, view, number + 1) for view in views]
