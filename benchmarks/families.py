"""How models fare on places held out of training, family by family, in minutes.

    $ python benchmarks/families.py ../shared/data/train --model tiny --model RUN/exported

A model is a name or a folder with the graphs and the card of a small network. One table of
clicks and boxes per model, on chips around a few objects of each family; one of the classes of
pixels, for models with dense heads; and how far probabilities and scores can be believed.
The evaluation scenes play no part.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from held_out import HeldOut, held_out, load
from numpy.typing import NDArray

from geoiseg.errors import WeightsError
from geoiseg.evaluate.metrics import clicks_to, failed, iou
from geoiseg.evaluate.simulated_user import ClickOptions, box_of, click_embedding
from geoiseg.evaluate.users import USERS, make_user
from geoiseg.models import Embedding, Masks, Model, with_care
from geoiseg.models.tiny.words import CLASSES as FIRST_CLASSES
from geoiseg.models.tiny.words import WordsHead
from geoiseg.prompting import PixelPrompts
from geoiseg.training.class_maps import CLASSES
from geoiseg.training.features import OBJECTNESS
from geoiseg.training.scenes import read_scenes

COLUMNS = {
    "objects": "{:.0f}", "NoC@85": "{:.2f}", "NoC@90": "{:.2f}", "failed": "{:.0%}",
    "IoU@1": "{:.3f}", "IoU@3": "{:.3f}", "IoU@5": "{:.3f}", "box": "{:.3f}",
    "calibration": "{:.3f}", "score": "{:.3f}",
}  # fmt: skip
"""Figures and how they are printed. ``calibration`` is the expected calibration error of the
first mask's pixels, ``score`` the mean error of the model's own estimate of its IoU."""
BINS = 10
LARGEST = 768
"""Longest side of the pictures whose classes are asked for; larger ones are shown coarser."""
Bins = NDArray[np.float64]
"""``(BINS, 3)``: pixels, sum of probabilities, pixels that are there."""


class Watched:
    """A model whose first answer is kept: how sure it was of each pixel."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self.info, self.embed = model.info, model.embed
        self.first: NDArray[np.float32] | None = None

    def decode(
        self,
        embedding: Embedding,
        prompts: PixelPrompts,
        previous: NDArray[np.float32] | None = None,
    ) -> Masks:
        """Return the model's answer."""
        masks = with_care(self._model)(embedding, prompts, previous)
        if self.first is None:
            self.first = masks.logits[0]
        return masks


def measure(model: Model, one: HeldOut, options: ClickOptions, who: str) -> dict[str, Any]:
    """Return all figures of one object, and how sure the first mask was, in bins."""
    trial = one.trial
    embedding = model.embed(trial.image, trial.valid)
    user = make_user(who, options.seed, one.number, *one.scene.encode())
    watched = Watched(model)
    run = click_embedding(watched, embedding, trial.truth, trial.valid, options, user.next)
    box = user.box(box_of(trial.truth))
    boxed = model.decode(embedding, PixelPrompts(box=box)).logits[0] > 0
    ious = run.ious
    first = watched.first if watched.first is not None else np.full(trial.truth.shape, -9.0)
    return {
        "NoC@85": clicks_to(ious, 0.85, options.max_clicks),
        "NoC@90": clicks_to(ious, 0.90, options.max_clicks),
        "failed": failed(ious, 0.85, options.max_clicks),
        **{f"IoU@{k}": float(ious[k - 1]) for k in (1, 3, 5)},
        "box": iou(boxed, trial.truth, trial.valid),
        "score": float(np.abs(run.scores - ious[: len(run.scores)]).mean()),
        "bins": binned(1 / (1 + np.exp(-first[trial.valid])), trial.truth[trial.valid]),
    }


def binned(probability: NDArray[Any], there: NDArray[np.bool_]) -> Bins:
    """Return the bins of probabilities of ``(n,)`` pixels."""
    which = np.minimum((probability * BINS).astype(int), BINS - 1)
    columns = (None, probability, there.astype(float))
    return np.stack([np.bincount(which, weight, BINS) for weight in columns], axis=1)


def calibration_error(bins: Bins) -> float:
    """Return the expected calibration error: how far a probability is from the share, 0..1."""
    apart = np.abs(bins[:, 1] - bins[:, 2]).sum()
    return float(apart / max(1.0, bins[:, 0].sum()))


def summary(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Return the figures of a group of objects."""
    names = [name for name in COLUMNS if name in rows[0]]
    found = {name: float(np.mean([row[name] for row in rows])) for name in names}
    bins = np.sum([row["bins"] for row in rows], axis=0)
    return {"objects": float(len(rows)), "calibration": calibration_error(bins), **found}


def families(model: Model, trials: list[HeldOut], options: ClickOptions, who: str
             ) -> dict[str, dict[str, float]]:  # fmt: skip
    """Return the figures by family, and the mean of families as ``all``."""
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for one in trials:
        rows[one.family].append(measure(model, one, options, who))
    found = {family: summary(own) for family, own in sorted(rows.items())}
    names = next(iter(found.values()))
    mean = {name: float(np.mean([row[name] for row in found.values()])) for name in names}
    return {**found, "all": mean | {"objects": float(len(trials))}}


def class_cells(model: Model, embedding: Embedding) -> dict[str, NDArray[np.float32]]:
    """Return ``(rows, columns)`` probabilities of classes by name; none if it tells none."""
    if "dense" in embedding.arrays:
        logits = embedding.arrays["dense"][..., len(OBJECTNESS) :, :, :].astype(np.float32)
        cells = 1 / (1 + np.exp(-logits.reshape(-1, *logits.shape[-2:])))
        return dict(zip(CLASSES, cells, strict=True))
    try:
        table = WordsHead(getattr(model, "folder", None)).probabilities(embedding)
    except (WeightsError, AttributeError):
        return {}
    named = dict(zip(FIRST_CLASSES, table, strict=True))
    named["bare"] = named.pop("land")
    return {name: cells for name, cells in named.items() if name in CLASSES}


def classes(model: Model, folder: Path) -> dict[str, dict[str, float]]:
    """Return precision, recall, IoU and calibration by class, over what is known of it."""
    counts: dict[str, NDArray[np.float64]] = defaultdict(lambda: np.zeros(3))
    bins: dict[str, Bins] = defaultdict(lambda: np.zeros((BINS, 3)))
    seen: set[str] = set()
    for scene in read_scenes(folder, held_out=True):
        if scene.name in seen or scene.known is None or scene.present is None:
            continue
        seen.add(scene.name)
        share = min(1.0, LARGEST / max(scene.valid.shape))
        size = tuple(round(side * share) for side in scene.valid.shape[::-1])
        image = np.asarray(cv2.resize(scene.image, size, interpolation=cv2.INTER_AREA), np.uint8)
        valid, known, present = (
            cv2.resize(plane, size, interpolation=cv2.INTER_NEAREST)
            for plane in (scene.valid.view(np.uint8), scene.known, scene.present)
        )
        for name, cells in class_cells(model, model.embed(image, valid > 0)).items():
            told = ((known >> CLASSES.index(name)) & 1 > 0) & (valid > 0)
            there = (present >> CLASSES.index(name)) & 1 > 0
            likely = cv2.resize(cells, size, interpolation=cv2.INTER_LINEAR)
            said = likely > 0.5
            both, said_only, true_only = said & there, said & ~there, ~said & there
            counts[name] += [(part & told).sum() for part in (both, said_only, true_only)]
            bins[name] += binned(likely[told], there[told])
    return {
        name: {
            "precision": counts[name][0] / max(1, counts[name][:2].sum()),
            "recall": counts[name][0] / max(1, counts[name][0] + counts[name][2]),
            "IoU": counts[name][0] / max(1, counts[name].sum()),
            "calibration": calibration_error(bins[name]),
        }
        for name in counts
    }


def table(found: dict[str, dict[str, float]], columns: dict[str, str]) -> str:
    """Return figures as Markdown, a group a row."""
    lines = ["| | " + " | ".join(columns) + " |", "|---|" + "--:|" * len(columns)]
    for group, row in found.items():
        cells = [form.format(row[name]) for name, form in columns.items()]
        lines.append(f"| {group} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of the scenes for training")
    parser.add_argument("--model", action="append", help="name or folder, several times")
    parser.add_argument("--objects", type=int, default=8, help="most objects of a family")
    parser.add_argument("--clicks", type=int, default=20, help="most clicks on an object")
    parser.add_argument("--user", choices=USERS, default="centre", help="who clicks")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--trained", action="store_true", help="judge on what trained instead")
    parser.add_argument("--no-classes", action="store_true", help="leave the classes out")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    args = parser.parse_args(arguments)
    trials = list(held_out(args.data, args.objects, args.seed, trained=args.trained))
    options = ClickOptions(max_clicks=args.clicks, stop_at=0.9, seed=args.seed)
    report: dict[str, Any] = {}
    for name in args.model or ["tiny"]:
        model = load(name)
        clicked = families(model, trials, options, args.user)
        print(f"\n**{name}**, user {args.user}\n\n{table(clicked, COLUMNS)}", flush=True)
        told = {} if args.no_classes or args.trained else classes(model, args.data)
        if told:
            columns = dict.fromkeys(next(iter(told.values())), "{:.3f}")
            print(f"\n{table(told, columns)}", flush=True)
        report[name] = {"families": clicked, "classes": told}
    if args.json is not None:
        args.json.write_text(json.dumps(report, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
