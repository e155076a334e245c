"""Figures on scenes held out of training: clicks of the simulated user, and boxes.

Only these choose between checkpoints and settings; the evaluation scenes play no part.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from geoiseg.evaluate.metrics import clicks_to, iou
from geoiseg.evaluate.simulated_user import ClickOptions, box_of, click_embedding
from geoiseg.models import Model
from geoiseg.prompting import PixelPrompts
from geoiseg.training.material import procedural_scene
from geoiseg.training.scene import Scene
from geoiseg.training.scenes import read_scenes

CHIP = 384
"""Side of the square chips."""
ROOM = 0.6
"""Greatest extent of an object as a share of the chip; a larger one is shown coarser."""
FIRST_SEED = 90_000_000
"""Seeds of procedural scenes from here on are not used by training."""


class Trial(NamedTuple):
    """One object to be segmented."""

    kind: str
    image: NDArray[np.uint8]
    valid: NDArray[np.bool_]
    truth: NDArray[np.bool_]


def make_trials(folder: Path | None, per_scene: int = 6, procedural: int = 12) -> list[Trial]:
    """Return the trials, always the same ones for the same arguments.

    Args:
        folder: Data folder whose held-out scenes are used; None for procedural ones only.
        per_scene: Objects per scene.
        procedural: Number of procedural scenes, two objects each.
    """
    scenes = [] if folder is None else list(read_scenes(folder, held_out=True))
    trials = [trial for scene in scenes for trial in _trials_of(scene, per_scene)]
    for seed in range(procedural):
        trials += _trials_of(procedural_scene(FIRST_SEED + seed), 2)
    return trials


def validate(model: Model, trials: list[Trial], clicks: int = 10) -> dict[str, dict[str, float]]:
    """Return mean figures by kind of object, and over all kinds as ``all``.

    The figures are the IoU after 1, 3 and 5 clicks and from a box, and the clicks to 85 %
    (at most ``clicks``).

    Args:
        model: What to judge.
        trials: Objects.
        clicks: Clicks per object.
    """
    options = ClickOptions(max_clicks=clicks, stop_at=0.85, stop_after=5)
    found: dict[str, list[list[float]]] = defaultdict(list)
    for trial in tqdm(trials, desc="validation"):
        embedding = model.embed(trial.image, trial.valid)
        run = click_embedding(model, embedding, trial.truth, trial.valid, options)
        boxed = model.decode(embedding, PixelPrompts(box=box_of(trial.truth)))
        from_box = iou(boxed.logits[0] > 0, trial.truth, trial.valid)
        steps = [float(run.ious[k]) for k in (0, 2, 4)]
        row = [*steps, from_box, float(clicks_to(run.ious, 0.85, clicks)), float(len(run.clicks))]
        found[trial.kind].append(row)
    names = ("iou1", "iou3", "iou5", "box", "noc85")
    result = {}
    for kind, rows in sorted(found.items()):
        means = np.mean(rows, axis=0).tolist()
        result[kind] = {"objects": float(len(rows)), **dict(zip(names, means, strict=False))}
    over = {name: float(np.mean([row[name] for row in result.values()])) for name in names}
    result["all"] = {"objects": float(len(trials)), **over}
    return result


def _trials_of(scene: Scene, most: int) -> Iterator[Trial]:
    rng = np.random.default_rng([len(scene.name), *scene.name.encode()])
    by_kind: dict[str, list[int]] = defaultdict(list)
    areas = np.bincount(np.maximum(scene.ids, 0).ravel())
    for number, kind in scene.kinds.items():
        if number < len(areas) and areas[number] >= 200:
            by_kind[kind].append(number)
    each = max(1, round(most / max(1, len(by_kind))))
    for kind, numbers in sorted(by_kind.items()):
        for number in rng.permutation(numbers)[:each]:
            trial = trial_of(scene, kind, int(number))
            if trial.truth.sum() >= 60:
                yield trial


def trial_of(scene: Scene, kind: str, number: int) -> Trial:
    """Return an object in the middle of a chip, shown coarser if it is large."""
    rows, columns = np.nonzero(scene.ids == number)
    extent = max(np.ptp(rows), np.ptp(columns)) + 1
    shrink = max(1.0, extent / (ROOM * CHIP))
    side = min(round(CHIP * shrink), *scene.ids.shape)
    middle = (rows.min() + rows.max()) // 2, (columns.min() + columns.max()) // 2
    top, left = (
        int(np.clip(place - side // 2, 0, length - side))
        for place, length in zip(middle, scene.ids.shape, strict=True)
    )
    window = np.s_[top : top + side, left : left + side]
    size = round(side / shrink)
    shrunk = cv2.resize(scene.image[window], (size, size), interpolation=cv2.INTER_AREA)
    image = np.asarray(shrunk, np.uint8)
    covered = (scene.ids[window] == number).astype(np.float32)
    truth = cv2.resize(covered, (size, size), interpolation=cv2.INTER_AREA) >= 0.5
    seen = scene.valid[window] & (scene.ids[window] >= 0)
    valid = cv2.resize(seen.astype(np.uint8), (size, size), interpolation=cv2.INTER_NEAREST) > 0
    return Trial(kind, image, valid, truth & valid)
