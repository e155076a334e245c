"""Clicks that engines need on bare chips of labelled objects, family by family.

    $ python benchmarks/clicks.py --engine superpixel-walk --engine grabcut --per-scene 20

Reads the labelled scenes under GEOISEG_TEST_DATA (default ../shared/data beside the
repository). Fields, buildings, water and the Dubai classes are told apart; IoU@k never
stops early; NoC counts an object that is never reached with the limit, and failures count
it once more by itself. Times are CPU time of this process, the median over all clicks.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from labelled_chips import LabelledChip, labelled_chips

from geoiseg.evaluate.metrics import boundary_iou, clicks_to, failed, iou
from geoiseg.evaluate.simulated_user import ClickOptions, box_of, click_embedding
from geoiseg.evaluate.users import USERS, make_user
from geoiseg.models.protocol import Masks, Model, with_care
from geoiseg.models.registry import get_model
from geoiseg.prompting.pixel import PixelPrompts

TARGET = 0.85
COLUMNS = (
    ("objects", "d"),
    ("iou@1", ".3f"),
    ("iou@3", ".3f"),
    ("iou@5", ".3f"),
    ("box iou", ".3f"),
    ("box biou", ".3f"),
    ("NoC10@85", ".2f"),
    ("NoC20@85", ".2f"),
    ("fail10", ".1%"),
    ("fail20", ".1%"),
    ("ms/click", ".0f"),
    ("embed ms", ".0f"),
)


class Timed:
    """A model whose answers to clicks are timed, one by one."""

    def __init__(self, model: Model) -> None:
        self.info = model.info
        self.embed = model.embed
        self._model = model
        self.times: list[float] = []
        """CPU time of each answer in milliseconds."""

    def decode(self, *given: Any) -> Masks:
        """Return the model's answer."""
        start = time.process_time()
        masks = with_care(self._model)(*given)
        self.times.append(1000 * (time.process_time() - start))
        return masks


def measure(
    model: Model, chip: LabelledChip, options: ClickOptions, who: str = "centre"
) -> tuple[dict[str, float], list[float]]:
    """Return all figures of one engine on one object, and the time of each click in ms."""
    start = time.process_time()
    embedding = model.embed(chip.image, chip.valid)
    embedded = time.process_time()
    timed = Timed(model)
    user = make_user(who, options.seed, chip.index, *chip.scene.encode())
    run = click_embedding(timed, embedding, chip.truth, chip.valid, options, user.next)
    box = make_user(who, options.seed, chip.index).box(box_of(chip.truth))
    boxed = model.decode(embedding, PixelPrompts(box=box)).logits[0] > 0
    ious = run.ious
    limits = [limit for limit in (10, 20) if limit <= options.max_clicks]
    figures = {
        **{f"iou@{k}": float(ious[min(k, len(ious)) - 1]) for k in (1, 3, 5)},
        "box iou": iou(boxed, chip.truth, chip.valid),
        "box biou": boundary_iou(boxed, chip.truth, chip.valid),
        **{f"NoC{n}@85": clicks_to(ious, TARGET, n) for n in limits},
        **{f"fail{n}": float(failed(ious, TARGET, n)) for n in limits},
        "drop@3": float(max(ious[0] - ious[min(2, len(ious) - 1)], 0.0)),
        "score error": float(abs(run.scores[0] - ious[0])) if len(run.scores) else 0.0,
        "embed ms": 1000 * (embedded - start),
    }
    return figures, timed.times


def summary(rows: list[tuple[dict[str, float], list[float]]]) -> dict[str, float]:
    """Return the means of a family's figures, the medians of its times."""
    figures = {name: float(np.mean([row[name] for row, _ in rows])) for name in rows[0][0]}
    figures["ms/click"] = float(np.median([ms for _, times in rows for ms in times]))
    figures["embed ms"] = float(np.median([row["embed ms"] for row, _ in rows]))
    return {"objects": len(rows), **figures}


def print_table(engine: str, families: dict[str, dict[str, float]]) -> None:
    width = max(map(len, families))
    columns = [(name, form) for name, form in COLUMNS if name in families["all"]]
    print(f"\n{engine}\n{'':{width}}  " + "  ".join(f"{name:>8}" for name, _ in columns))
    for family, figures in families.items():
        cells = "  ".join(f"{format(figures[name], form):>8}" for name, form in columns)
        print(f"{family:{width}}  {cells}")


def parse(arguments: list[str] | None) -> argparse.Namespace:
    default = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
    data = Path(os.environ.get("GEOISEG_TEST_DATA", default))
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=data / "scenes", help="folder of scenes")
    parser.add_argument("--engine", action="append", help="engine, may be given several times")
    parser.add_argument("--per-scene", type=int, default=1000, help="most objects of a scene")
    parser.add_argument("--family", action="append", help="only families that begin so")
    parser.add_argument("--clicks", type=int, default=20, help="most clicks on an object")
    parser.add_argument("--jitter", type=float, default=0.0, help="0..1, how far off centre")
    parser.add_argument("--user", choices=USERS, default="centre", help="who clicks")
    parser.add_argument("--full", action="store_true", help="go on clicking beyond the target")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    args = parse(arguments)
    if not args.data.is_dir():
        print(f"no scenes at {args.data}; set GEOISEG_TEST_DATA or --data", file=sys.stderr)
        return 1
    options = ClickOptions(
        max_clicks=args.clicks,
        stop_at=None if args.full else TARGET,
        jitter=args.jitter,
        seed=args.seed,
    )
    report: dict[str, Any] = {}
    for engine in args.engine or ["superpixel-walk", "grabcut"]:
        model = get_model(engine)
        rows = defaultdict(list)
        for chip in labelled_chips(args.data, model.info.chip_size, args.per_scene, args.seed):
            if not args.family or chip.family.startswith(tuple(args.family)):
                rows[chip.family].append(measure(model, chip, options, args.user))
        families = {name: summary(rows[name]) for name in sorted(rows)}
        families["all"] = summary([row for family in rows.values() for row in family])
        families["mean of families"] = {
            name: float(np.mean([families[family][name] for family in rows]))
            for name in families["all"]
        } | {"objects": len(rows)}
        report[engine] = families
        if not args.json:
            print_table(engine, families)
    if args.json:
        print(json.dumps(report, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
