"""``python -m geoiseg.training.readings``: fits how tiny weighs what a click may mean.

Clicks on objects of labelled scenes, on the chip that a session would show of each; for every
reading of a click, what is known of it and its IoU with the object, drawn at the chip's
resolution. Fitted on the places that train, judged on those held out.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from geoiseg.errors import GeoisegError
from geoiseg.evaluate.metrics import iou
from geoiseg.evaluate.users import USERS, make_user
from geoiseg.models.protocol import Embedding
from geoiseg.models.tiny import afar
from geoiseg.models.tiny.model import TinyModel
from geoiseg.prompting import PixelPrompts
from geoiseg.raster import BoolArray
from geoiseg.training.constants import line, put
from geoiseg.training.cuts.fit import fitted
from geoiseg.training.scene import Scene
from geoiseg.training.scenes import read_scenes

SMALLEST = 100
"""Fewest pixels of an object in its scene."""
ROOM = 0.95
"""Greatest extent of an object as a share of its chip; a larger one is shown coarser."""
Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Readings of one click, and how good they are."""

    looks: Doubles
    """``(n, l)`` what is known of each; the first is the chip's own answer."""
    iou: Doubles
    """``(n,)`` with the object."""

    def chosen(self, weights: Sequence[float]) -> float:
        """Return the IoU of the likeliest reading by some weights."""
        return float(self.iou[int(afar.expected(self.looks, weights).argmax())])


@dataclass(frozen=True, slots=True, eq=False)
class Clicked:
    """All readings of one click."""

    family: str
    deep: bool
    """Whether tiny itself would look from further away."""
    near: Judged
    """Seen as it is and from afar."""
    every: Judged
    """Seen from further away, too."""

    def chosen(self, weights: Sequence[float], further: Sequence[float]) -> float:
        """Return the IoU of the likeliest reading by weights of two views, and of all."""
        if self.deep:
            return self.every.chosen(further)
        return self.near.chosen(weights)


@click.command()
@click.option("--data", type=click.Path(path_type=Path, exists=True), required=True,
              help="Labelled scenes, as for training tiny.")  # fmt: skip
@click.option("--model", type=click.Path(path_type=Path, exists=True),
              help="Folder with tiny's graphs and card. [default: those that ship]")  # fmt: skip
@click.option("--objects", type=int, default=60, show_default=True, help="Most of a family.")
@click.option("--write", is_flag=True,
              help="Put what is better by the places held out into the source.")  # fmt: skip
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--threads", type=int, default=1, show_default=True, help="CPU threads.")
def main(
    data: Path, model: Path | None, objects: int, write: bool, seed: int, threads: int
) -> None:
    """Fit how the readings of a click are weighed to the weights of tiny.

    Some ten minutes on one core.
    """
    cv2.setNumThreads(threads)
    started = time.process_time()
    tiny = TinyModel(model, threads)
    try:
        held = list(clicked(tiny, data, objects, seed, held_out=True))
        learnt = list(clicked(tiny, data, objects, seed, held_out=False))
    except GeoisegError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"the chip's own answer: IoU {own(held):.3f}; the best reading: {best(held):.3f}")
    click.echo(f"without a look from further away: IoU {worth_near(held, afar.WEIGHTS):.3f}")
    kept: dict[str, tuple[float, ...]]
    kept = {"WEIGHTS": afar.WEIGHTS, "FURTHER_WEIGHTS": afar.FURTHER_WEIGHTS}
    known = worth(held, *kept.values())
    click.echo(f"as they are {', '.join(map(line, kept.values()))}: IoU {known:.3f}")
    for name, parts in (
        ("WEIGHTS", [(one.family, one.near) for one in learnt]),
        ("FURTHER_WEIGHTS", [(one.family, one.every) for one in learnt]),
    ):
        weights = tuple(round(one, 2) for one in fit(parts))
        found = worth(held, *(kept | {name: weights}).values())
        click.echo(f"{name} fitted {line(weights)}: IoU {found:.3f}")
        if write and found > known:
            put(Path(afar.__file__), name, weights)
            kept[name], known = weights, found
    click.echo(f"{time.process_time() - started:.0f} CPU-s")


def clicked(
    model: TinyModel, folder: Path, most: int, seed: int = 0, *, held_out: bool
) -> Iterator[Clicked]:
    """Yield first clicks on objects of labelled scenes.

    Args:
        model: The network.
        folder: Data folder that training reads.
        most: Objects of a family, of all its scenes in turn.
        seed: Of the choice, and of the users' chance.
        held_out: Of the places that are held out of training, or of all others.
    """
    families: dict[str, list[list[tuple[Scene, int]]]] = defaultdict(list)
    for scene in read_scenes(folder, held_out=held_out):
        areas = np.bincount(np.maximum(scene.ids, 0).ravel())
        rng = np.random.default_rng([seed, *scene.name.encode()])
        numbers = [n for n in scene.kinds if n < len(areas) and areas[n] >= SMALLEST]
        families[scene.family].append([(scene, int(n)) for n in rng.permutation(numbers)[:most]])
    for family, scenes in sorted(families.items()):
        for scene, number in tqdm(list(_in_turn(scenes, most)), desc=family):
            found = _clicked(model, scene, number, seed)
            if found is not None:
                yield found


def _in_turn(scenes: Sequence[list[tuple[Scene, int]]], most: int) -> Iterator[tuple[Scene, int]]:
    """Yield up to ``most`` objects, one of each scene and again."""
    rounds = max((len(objects) for objects in scenes), default=0)
    every = [objects[k] for k in range(rounds) for objects in scenes if k < len(objects)]
    yield from every[:most]


def _clicked(model: TinyModel, scene: Scene, number: int, seed: int) -> Clicked | None:
    """Return the readings of a click on an object; None where the user finds nothing to click."""
    rows, columns = np.nonzero(scene.ids == number)
    low = np.array([columns.min(), rows.min()])
    high = np.array([columns.max(), rows.max()]) + 1
    side = model.info.chip_size
    times = 1
    while (high - low).max() > ROOM * side * times:
        times *= 2
    middle = (low + high) // 2
    size = np.minimum(side * times, scene.ids.shape[::-1])
    left, top = np.clip(middle - size // 2, 0, np.array(scene.ids.shape[::-1]) - size)
    window = np.s_[top : top + size[1], left : left + size[0]]
    image, valid, known, truth = _shown(scene, number, window, times)
    user = make_user(USERS[number % len(USERS)], seed, number, *scene.name.encode())
    nothing = np.zeros_like(truth)
    said = user.next(truth & known, nothing, nothing, known)
    if said is None or not said.positive:
        return None
    prompts = PixelPrompts(points=np.array([said.xy_pixel]), positive=np.array([True]))
    return _judged(model, model.embed(image, valid), prompts, scene.family, truth, known)


def _judged(
    model: TinyModel,
    embedding: Embedding,
    prompts: PixelPrompts,
    family: str,
    truth: BoolArray,
    known: BoolArray,
) -> Clicked | None:
    """Return the readings of a click on a chip; None where none holds anything.

    Args:
        model: The network.
        embedding: Of the chip.
        prompts: The click.
        family: Of its object.
        truth: ``(y, x)`` the object.
        known: ``(y, x)`` where labels tell of it.
    """
    xy = prompts.points[0]
    every = afar.holding(model.readings(embedding, prompts, all_views=True))
    near = [reading for reading in every if reading.times <= afar.TIMES]
    if not near:
        return None
    drawn = [model.drawn(embedding, prompts, reading) for reading in every]
    ious = np.array([iou(reading.logits > 0, truth, known) for reading in drawn])
    return Clicked(
        family,
        len(near) < len(every) and afar.is_deep(near, xy),
        Judged(afar.looks(near, xy), ious[: len(near)]),
        Judged(afar.looks(every, xy), ious),
    )


def _shown(
    scene: Scene, number: int, window: tuple[slice, slice], times: int
) -> tuple[NDArray[np.uint8], NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """Return a chip, where it has data, where labels tell of it, and the object on it."""
    ids = scene.ids[window]
    size = (max(1, ids.shape[1] // times), max(1, ids.shape[0] // times))

    def reduced(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_AREA), np.uint8)

    valid = reduced(255 * scene.valid[window].astype(np.uint8)) > 127
    known = reduced(255 * (ids >= 0).astype(np.uint8)) > 127
    truth = reduced(255 * (ids == number).astype(np.uint8)) > 127
    return reduced(scene.image[window]), valid, known & valid, truth & known & valid


def fit(parts: Sequence[tuple[str, Judged]]) -> tuple[float, ...]:
    """Return log-odds of the IoU of a reading, every family weighing the same.

    Args:
        parts: Family and readings of each click.
    """
    counts: dict[str, int] = defaultdict(int)
    for family, one in parts:
        counts[family] += len(one.iou)
    weight = np.concatenate([np.full(len(one.iou), 1 / counts[family]) for family, one in parts])
    looks = np.concatenate([one.looks for _, one in parts])
    return fitted(looks, np.concatenate([one.iou for _, one in parts]), weight)


def worth(clicks: Sequence[Clicked], weights: Sequence[float], further: Sequence[float]) -> float:
    """Return the IoU of the likeliest readings by some weights, the mean of the families."""
    return _mean(clicks, [one.chosen(weights, further) for one in clicks])


def worth_near(clicks: Sequence[Clicked], weights: Sequence[float]) -> float:
    """Return the IoU of the likeliest readings of two views, the mean of the families."""
    return _mean(clicks, [one.near.chosen(weights) for one in clicks])


def own(clicks: Sequence[Clicked]) -> float:
    """Return the IoU of the chip's own answers, the mean of the families."""
    return _mean(clicks, [float(one.near.iou[0]) for one in clicks])


def best(clicks: Sequence[Clicked]) -> float:
    """Return the IoU of the best readings, the mean of the families."""
    return _mean(clicks, [float(one.every.iou.max()) for one in clicks])


def _mean(clicks: Sequence[Clicked], ious: Sequence[float]) -> float:
    families: dict[str, list[float]] = defaultdict(list)
    for one, value in zip(clicks, ious, strict=True):
        families[one.family].append(value)
    return float(np.mean([np.mean(own) for own in families.values()]))


if __name__ == "__main__":
    main()
