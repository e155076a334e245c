"""Training material: the scenes on disk, the procedural ones, and regions found by colour."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from itertools import groupby, repeat
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from geoiseg.training.class_maps import ClassMap
from geoiseg.training.options import TrainingOptions
from geoiseg.training.procedural.scenes import make_scene
from geoiseg.training.scene import Scene
from geoiseg.training.scenes import read_scenes
from geoiseg.training.segments import segment_scene

log = logging.getLogger(__name__)
First = TypeVar("First")
Result = TypeVar("Result")


def collect(options: TrainingOptions, folder: Path | None, rank: int = 0) -> Iterator[Scene]:
    """Yield all scenes of a run, always in the same order.

    Args:
        options: How many procedural scenes, and whether regions count.
        folder: Data folder; None trains on procedural scenes alone.
        rank: Number of this process; each makes procedural scenes of its own.
    """
    if folder is not None:
        labelled = list(read_scenes(folder, held_out=False))
        yield from labelled
        if options.segments:
            whole = [next(layers) for _, layers in groupby(labelled, key=lambda s: s.name)]
            regions = _spread(segment_scene, whole, options.workers, "regions")
            for scene, found in zip(whole, regions, strict=True):
                # What came back from another process holds a copy of the image; the
                # bank stores an image once if it is the same object.
                yield replace(found, image=scene.image, valid=scene.valid)
    first = options.seed * 100_000 + 10_000 * rank
    seeds = [first + k for k in range(options.procedural)]
    yield from _spread(procedural_scene, seeds, options.workers, "scenes")


def procedural_scene(seed: int, size: int = 640) -> Scene:
    """Return the procedural scene of a seed."""
    canvas = make_scene(seed, size)
    name, image = f"procedural_{seed}", canvas.as_bytes()
    kinds = dict(zip(canvas.targets, repeat("procedural")))
    known = ClassMap.empty(canvas.ids.shape)
    # Of the bare ground all is possible but what is drawn on it; a wood may stand in a field.
    known.say(canvas.ids == 0, no="water building")
    for number, named in canvas.classes.items():
        known.say(canvas.ids == number, yes=named, no="*")
    valid = canvas.ids >= 0
    about = "procedural", name, known.present, known.known
    return Scene(name, image, valid, canvas.ids, kinds, *about)


def _spread(
    work: Callable[[First], Result], items: Iterable[First], workers: int, what: str
) -> Iterator[Result]:
    """Yield ``work(item)`` in order, computed by several processes."""
    todo = list(items)
    if workers <= 1 or len(todo) < 4:
        yield from (work(item) for item in tqdm(todo, desc=what, disable=len(todo) < 4))
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from tqdm(pool.map(work, todo, chunksize=2), total=len(todo), desc=what)
