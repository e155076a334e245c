"""Objects of the places that are held out of training, the same number of each family."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from labelled_chips import labelled_chips

from geoiseg.models import Model
from geoiseg.models.registry import get_model
from geoiseg.models.tiny.model import TinyModel
from geoiseg.training.scene import Scene
from geoiseg.training.scenes import read_scenes
from geoiseg.training.validate import Trial, trial_of

SMALLEST, SHOWN = 100, 60
"""Fewest pixels of an object in its scene, and on its chip."""


class HeldOut(NamedTuple):
    """One object of a place that no model was trained on."""

    family: str
    scene: str
    number: int
    trial: Trial


def load(name: str) -> Model:
    """Return a model by its name, or the small network of a folder with its graphs and card."""
    folder = Path(name)
    return TinyModel(folder, threads=1) if (folder / "card.json").exists() else get_model(name)


def held_out(folder: Path, most: int, seed: int = 0, *, trained: bool = False) -> Iterator[HeldOut]:
    """Yield up to ``most`` objects of each family, from all of its scenes and kinds in turn.

    Args:
        folder: Data folder that training reads.
        most: Objects of a family.
        seed: Of the choice.
        trained: Take the places that do train instead: what is better there was learnt by heart.
    """
    groups: dict[str, dict[tuple[str, str], list[tuple[Scene, int]]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for scene in read_scenes(folder, held_out=not trained):
        areas = np.bincount(np.maximum(scene.ids, 0).ravel())
        for number, kind in scene.kinds.items():
            if areas[number] >= SMALLEST:
                groups[scene.family][kind, scene.name].append((scene, number))
    for family, queues in sorted(groups.items()):
        rng = np.random.default_rng([seed, *family.encode()])
        shuffled = [[objects[i] for i in rng.permutation(len(objects))]
                    for _, objects in sorted(queues.items(), key=lambda one: one[0])]  # fmt: skip
        order = [shuffled[i] for i in rng.permutation(len(shuffled))]
        made = 0
        while made < most and any(order):
            for queue in order:
                if queue and made < most:
                    scene, number = queue.pop()
                    trial = trial_of(scene, scene.kinds[number], number)
                    if trial.truth.sum() >= SHOWN:
                        made += 1
                        yield HeldOut(family, scene.name, number, trial)


def outside(folder: Path, most: int, seed: int = 0) -> Iterator[HeldOut]:
    """Yield up to ``most`` objects of each scene of an evaluation folder.

    Args:
        folder: Folder of scenes with ``image.tif`` and ``labels.geojson``.
        most: Objects of a scene.
        seed: Of the choice.
    """
    for chip in labelled_chips(folder, 384, most, seed):
        trial = Trial(chip.family, chip.image, chip.valid, chip.truth)
        yield HeldOut(chip.family, chip.scene, chip.index, trial)
