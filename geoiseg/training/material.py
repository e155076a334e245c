"""Training material: the scenes on disk, the procedural ones, and regions found by colour."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import groupby, repeat
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import numpy as np
from tqdm import tqdm

from geoiseg.training.class_maps import SAID, ClassMap
from geoiseg.training.options import TrainingOptions
from geoiseg.training.procedural.canvas import Canvas
from geoiseg.training.procedural.scenes import make_scene
from geoiseg.training.scene import Scene
from geoiseg.training.scenes import read_scenes
from geoiseg.training.segments import segment_once

log = logging.getLogger(__name__)
First = TypeVar("First")
Result = TypeVar("Result")


def collect(
    options: TrainingOptions, folder: Path | None, rank: int = 0, cache: Path | None = None
) -> Iterator[Scene]:
    """Yield all scenes of a run, layer by layer, always in the same order.

    Args:
        options: How many procedural scenes, and whether regions count.
        folder: Data folder; None trains on procedural scenes alone.
        rank: Number of this process; each makes procedural scenes of its own.
        cache: Folder that keeps the regions found; None finds them anew.
    """
    if folder is not None:
        labelled = list(read_scenes(folder, held_out=False))
        yield from labelled
        if options.segments:
            whole = [next(layers) for _, layers in groupby(labelled, key=lambda s: s.name)]
            regions = _spread(partial(segment_once, cache=cache), whole, options.workers, "regions")
            for scene, found in zip(whole, regions, strict=True):
                # What came back from another process holds a copy of the image; the
                # bank stores an image once if it is the same object.
                yield from (replace(one, image=scene.image, valid=scene.valid) for one in found)
    first = options.seed * 100_000 + 10_000 * rank
    seeds = [first + k for k in range(options.procedural)]
    for layers in _spread(procedural_layers, seeds, options.workers, "scenes"):
        yield from layers


def procedural_scene(seed: int, size: int = 640) -> Scene:
    """Return the first layer of the procedural scene of a seed."""
    return procedural_layers(seed, size)[0]


def procedural_layers(seed: int, size: int = 640) -> list[Scene]:
    """Return the layers of the procedural scene of a seed: parts, and wholes if there are any."""
    canvas = make_scene(seed, size)
    name, image = f"procedural_{seed}", canvas.as_bytes()
    kinds = dict(zip(canvas.targets, repeat("procedural")))
    known = _classes_drawn(canvas)
    about = "procedural", name, known.present, known.known
    valid = canvas.ids >= 0
    layers = [Scene(name, image, valid, canvas.ids, kinds, *about)]
    if canvas.wholes is not None and canvas.wholes.any():
        wholes = dict.fromkeys(range(1, int(canvas.wholes.max()) + 1), "procedural")
        layers.append(Scene(name, image, valid, canvas.wholes, wholes, *about))
    return layers


def _classes_drawn(canvas: Canvas) -> ClassMap:
    """Return the classes of what was drawn.

    Of the bare ground all is possible but what is drawn on it; a wood may stand in a field.
    """
    by_number = ClassMap.empty((max(canvas.targets, default=0) + 1,))
    by_number.say(np.arange(len(by_number.known)) == 0, no="water building")
    names = np.array(["", *(canvas.classes.get(n, "") for n in canvas.targets)])
    for named in set(canvas.classes.values()):
        there, gone = SAID["ship"] if named == "ship" else (named, "*")
        by_number.say(names == named, yes=there, no=gone)
    return ClassMap(by_number.present[canvas.ids], by_number.known[canvas.ids])


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
