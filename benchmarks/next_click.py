"""What a click at the proposed place is worth, beside the best possible and a random one.

    $ python benchmarks/next_click.py --engine tiny --per-scene 6

Each labelled object gets two clicks of the simulated user (the middle of the largest
error). Then three more are made in turn: at the place that ``suggest`` proposes, which
knows nothing of the truth; at the middle of the largest error, which needs the truth; and
at a random place near the object, as one clicks without looking. The truth says in each
case whether the place is on the object. Where nothing is proposed no click is made.
Printed is the mean IoU after two clicks and after five.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from labelled_chips import LabelledChip, labelled_chips
from numpy.typing import NDArray

from geoiseg.evaluate.metrics import iou
from geoiseg.evaluate.simulated_user import next_click
from geoiseg.models.protocol import Embedding, Model
from geoiseg.models.registry import get_model
from geoiseg.prompting.pixel import PixelPrompts
from geoiseg.raster.grid import Grid
from geoiseg.segment.masks import choose
from geoiseg.segment.uncertainty import LookOptions, Uncertainty, jittered, suggest

WAYS = ("proposed", "oracle", "random")


@dataclass
class Object:
    """An object in progress on a bare chip."""

    model: Model
    embedding: Embedding
    chip: LabelledChip
    prompts: PixelPrompts
    logits: NDArray[np.float32] | None = None

    @property
    def mask(self) -> NDArray[np.bool_]:
        shape = self.chip.truth.shape
        return np.zeros(shape, bool) if self.logits is None else self.logits > 0

    @property
    def iou(self) -> float:
        return iou(self.mask, self.chip.truth, self.chip.valid)

    def clicked(self, x: float, y: float) -> Object:
        """Return the object after a click whose sign the truth gives."""
        positive = bool(self.chip.truth[int(y), int(x)])
        prompts = PixelPrompts(
            np.concatenate([self.prompts.points, [[x, y]]]),
            np.append(self.prompts.positive, positive),
        )
        logits, _ = choose(self.model.decode(self.embedding, prompts, self.logits))
        return replace(self, prompts=prompts, logits=logits)


def oracle(one: Object) -> tuple[float, float] | None:
    click = next_click(one.chip.truth, one.mask, np.zeros_like(one.mask), one.chip.valid)
    return None if click is None else click.xy_pixel


def proposed(one: Object) -> tuple[float, float] | None:
    mean = jittered(one.model, one.embedding, one.prompts, one.logits, LookOptions())
    grid = Grid(None, Affine.identity(), one.chip.truth.shape)
    found = suggest(Uncertainty(np.where(one.chip.valid, mean, 0), grid), one.mask, one.prompts)
    return None if found is None else (found.x, found.y)


def random(one: Object, rng: np.random.Generator) -> tuple[float, float] | None:
    rows, columns = np.nonzero(one.mask | one.chip.truth)
    y = rng.uniform(rows.min() - 0.2 * np.ptp(rows), rows.max() + 0.2 * np.ptp(rows) + 1)
    x = rng.uniform(columns.min() - 0.2 * np.ptp(columns), columns.max() + 0.2 * np.ptp(columns))
    height, width = one.mask.shape
    return float(np.clip(x, 0, width - 1)), float(np.clip(y, 0, height - 1))


def measure(model: Model, chip: LabelledChip, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    start = Object(model, model.embed(chip.image, chip.valid), chip, PixelPrompts())
    for _ in range(2):
        place = oracle(start)
        start = start if place is None else start.clicked(*place)
    row: dict[str, Any] = {"two clicks": start.iou}
    for way in WAYS:
        one, made = start, 0
        for _ in range(3):
            choice = {"proposed": proposed, "oracle": oracle}.get(way)
            place = choice(one) if choice else random(one, rng)
            if place is None:
                break
            one, made = one.clicked(*place), made + 1
        row[way], row[f"{way} made"] = one.iou, made
    return row


def main(arguments: list[str] | None = None) -> int:
    default = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
    data = Path(os.environ.get("GEOISEG_TEST_DATA", default))
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=data / "scenes", help="folder of scenes")
    parser.add_argument("--engine", default="tiny")
    parser.add_argument("--per-scene", type=int, default=6, help="most objects of a scene")
    args = parser.parse_args(arguments)
    if not args.data.is_dir():
        print(f"no scenes at {args.data}; set GEOISEG_TEST_DATA or --data", file=sys.stderr)
        return 1
    model = get_model(args.engine)
    chips = labelled_chips(args.data, model.info.chip_size, args.per_scene, 0)
    rows = [measure(model, chip, seed) for seed, chip in enumerate(chips)]
    print(f"{args.engine}, {len(rows)} objects, mean IoU")
    print(f"  after two clicks     {np.mean([row['two clicks'] for row in rows]):.3f}")
    for way in WAYS:
        made = np.mean([row[f"{way} made"] for row in rows])
        figure = np.mean([row[way] for row in rows])
        print(f"  three more, {way:<9}{figure:.3f}  ({made:.1f} made)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
