"""A look at a few places of a large raster, by which the reductions of all windows are chosen.

What the closest look adds is counted in objects, what one from further away adds in what a cut
is worth: small objects need the one, large objects the other, and each costs time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from geoiseg.errors import GeoisegError
from geoiseg.models import DenseMaps, Model
from geoiseg.raster import Window
from geoiseg.segment import SHARE, EmbeddingCache, Segmenter
from geoiseg.tiled.dense import cells_of, lattice_of
from geoiseg.tiled.options import DenseOptions
from geoiseg.tiled.scales import LEAST_CELLS, Lattice, Objects, found_at, joined
from geoiseg.tiled.window import Views, WindowJob

SIDE = 1024
"""Side of a place in pixels."""
PART = 16
"""One part in so many of the raster is looked at, at most."""
FEWEST, MOST = 2, 8
"""Places; a raster too small for the fewest, or with too little to see, is looked at at all
reductions."""
ENOUGH = 0.9
"""Share of the objects to be expected that has to be found without a closer look for none to be
taken. A lower one would lose fields: with two thirds of them left, F1 falls by 0.1."""
GAIN = 0.03
"""Share by which a look from further away has to make a cut worth more to be taken."""
STEP = 0.618
"""Share of all windows from one place to the next: spreads any number of them evenly."""


@dataclass(frozen=True, slots=True)
class Choice:
    """At which reductions a raster is looked at."""

    scales: tuple[int, ...]
    """Coarse ones first."""
    why: str

    def text(self) -> str:
        """Return it in one line."""
        return f"windows seen at reductions of {', '.join(map(str, self.scales))}: {self.why}"


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """What was found at a place at each reduction alone, on the cells of its own resolution."""

    found: dict[int, Objects]
    least: float
    """Cells of an object."""

    def cut(self, scales: Sequence[int]) -> Objects:
        """Return what is found at some reductions together."""
        coarse_first = sorted(scales, reverse=True)
        whole: Objects | None = None
        for factor in coarse_first:
            now = self.found[factor]
            if factor != coarse_first[-1]:
                now = _large(now, LEAST_CELLS * factor**2)
            whole = now if whole is None else joined(now, whole)
        if whole is None:
            raise ValueError("a place is looked at once at least")
        return _large(whole, self.least)


Look = Callable[[Sequence[Window]], Sequence[Place | None]]
"""Says what is found at places; None where there is nothing to see or one can not be read."""


def expected(places: Sequence[Place], scales: Sequence[int]) -> float:
    """Return how many objects are likely right: the sum of the scores."""
    return sum(float(place.cut(scales).scores.sum()) for place in places)


def worth(places: Sequence[Place], scales: Sequence[int]) -> float:
    """Return what the cuts are worth: scores, weighted by area as in a cut."""
    cuts = [place.cut(scales) for place in places]
    return sum(float(cut.scores @ _areas(cut) ** SHARE) for cut in cuts)


def chosen(places: Sequence[Place], scales: Sequence[int]) -> Choice:
    """Return at which of some reductions to look at a raster, by some places of it."""
    kept = sorted(scales, reverse=True)
    whole = expected(places, kept)
    told = [f"by {len(places)} places of {SIDE} px"]
    while len(kept) > 1 and whole > 0:
        share = expected(places, kept[:-1]) / whole
        told.append(f"without {kept[-1]}, {share:.0%} of the objects are expected")
        if share < ENOUGH:
            break
        kept.pop()
    for factor in kept[:-1]:
        rest = [other for other in kept if other != factor]
        gain = worth(places, kept) / max(worth(places, rest), 1e-9) - 1
        told.append(f"{factor} adds {gain:.1%} to what they are worth")
        if gain < GAIN:
            kept = rest
    return Choice(tuple(kept), "; ".join(told))


def choose(job: WindowJob, numbers: Sequence[int], look: Look) -> Choice:
    """Return at which reductions to look at all windows of a run.

    The same whatever the tiles, the workers and their number.

    Args:
        job: The run, by dense heads.
        numbers: Of the windows that are wanted.
        look: Looks at places, here or elsewhere.
    """
    scales = job.automatic.scales
    many = places_for(sum(_size(job.plan.core(number)) for number in numbers))
    if not many or len(scales) < 2:
        return Choice(scales, "a raster too small to choose by a few places of it")
    places: list[Place] = []
    left = _windows(job, numbers, many)
    while len(places) < many and (some := list(islice(left, many - len(places)))):
        places += [place for place in look(some) if place is not None]
    if len(places) < FEWEST or not expected(places, scales):
        return Choice(scales, "too little was found at a few places to choose by")
    return chosen(places, scales)


def looks_by(job: WindowJob, model: Model, cache: EmbeddingCache | None = None) -> Look:
    """Return what looks at places here, one after the other.

    Args:
        job: The run, by dense heads.
        model: Of the run.
        cache: Where what was encoded before is looked for.
    """

    def look(windows: Sequence[Window]) -> list[Place | None]:
        return [looked_at(job, model, window, cache) for window in windows]

    return look


def places_for(pixels: int) -> int:
    """Return how many places of so many pixels are looked at; 0 where they are too few."""
    many = pixels // (PART * SIDE**2)
    return 0 if many < FEWEST else min(many, MOST)


def looked_at(
    job: WindowJob, model: Model, window: Window, cache: EmbeddingCache | None
) -> Place | None:
    """Return what is found at a place at each reduction; None where there is nothing to see.

    What can not be looked at fails with its own window, which is tried again and told of.
    """
    try:
        return _looked_at(job, model, window, cache)
    except GeoisegError:
        return None


def _looked_at(
    job: WindowJob, model: Model, window: Window, cache: EmbeddingCache | None
) -> Place | None:
    """Do what :func:`looked_at` does, and raise what goes wrong."""
    finding = job.automatic
    if not isinstance(finding, DenseOptions):
        raise TypeError("a lattice of points has its own reductions")
    sparing = replace(job, automatic=replace(finding, best=False), keep_embeddings=False)
    views = Views(sparing, window, Segmenter(job.raster, model, cache or EmbeddingCache(0)))
    if views.allowed().mean() < 0.5:
        return None
    near, lattice = views.seen(1), None
    found: dict[int, Objects] = {}
    for factor in job.automatic.scales:
        view = views.seen(factor)
        maps: DenseMaps = views.said(view, factor, _everywhere, None)
        lattice = lattice or lattice_of(near, maps.scale)
        ground = maps.interior * cells_of(view.valid, maps.interior.shape, maps.scale)
        found[factor], _ = found_at(view, maps, ground, job.automatic.min_score, lattice, last=True)
    return Place(found, job.min_area / _cell(lattice))


def _windows(job: WindowJob, numbers: Sequence[int], many: int) -> Iterator[Window]:
    """Yield the middles of windows spread over the raster.

    They are more than are wanted, as some may lie where there is no data.
    """
    count = len(numbers)
    seen: set[int] = set()
    for step in range(8 * many):
        at = int((0.5 + step * STEP) % 1 * count)
        if at in seen:
            continue
        seen.add(at)
        core = job.plan.core(numbers[at])
        height, width = min(SIDE, core.height), min(SIDE, core.width)
        top, left = core.row + (core.height - height) // 2, core.col + (core.width - width) // 2
        yield Window(top, left, height, width)


def _everywhere(_part: Window) -> bool:
    return True


def _size(window: Window) -> int:
    return window.height * window.width


def _cell(lattice: Lattice | None) -> float:
    return 1.0 if lattice is None else float(lattice.scale**2)


def _areas(found: Objects) -> NDArray[np.float64]:
    """Return ``(n,)`` cells of each object."""
    return np.bincount(found.labels.ravel(), minlength=len(found.scores) + 1)[1:].astype(float)


def _large(found: Objects, least: float) -> Objects:
    """Return the objects of so many cells at least."""
    kept = np.concatenate([[False], _areas(found) >= least])
    number = np.where(kept, np.cumsum(kept), 0).astype(np.int32)
    return Objects(number[found.labels], found.scores[kept[1:]])
