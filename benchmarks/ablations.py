"""What each part of the second generation's training brings: short runs that lack one of them.

    $ python benchmarks/ablations.py DATA/train --steps 150 --folder runs/ablations

Every run makes the same steps from the same seed and from what of the first generation's weights
fits, and is judged on objects of places held out, as ``families.py`` judges. Far from what hours
give, but alike for all. A run that was stopped goes on where it was. Needs the ``train`` extra.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from families import families
from held_out import HeldOut, held_out

from geoiseg.evaluate.simulated_user import ClickOptions
from geoiseg.models.tiny.model import TinyModel
from geoiseg.training import loop
from geoiseg.training.bank import SceneBank
from geoiseg.training.banked import load_bank, save_bank
from geoiseg.training.export import export
from geoiseg.training.material import collect
from geoiseg.training.options import TrainingOptions, has_half

EARLIER = Path(__file__).parents[1] / "geoiseg/training/record/weights.npz"
NEW_FAMILIES = (
    "coast", "island", "delta", "lake", "river", "ship", "forest", "photo", "tree",
)  # fmt: skip
"""Those whose places came with the second generation."""
SHOWN = ("IoU@1", "IoU@3", "IoU@5", "box", "NoC@85")


def whole(trainer: loop.Trainer) -> None:
    """Leave nothing out."""


def without_backbone(trainer: loop.Trainer) -> None:
    """Begin the trunk at random, and let all of it learn as fast as the rest."""
    torch.manual_seed(1)
    for module in trainer.net.encoder.trunk.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                torch.nn.init.zeros_(module.bias)
    trainer.average.load_state_dict(trainer.net.state_dict())
    trainer.options = replace(trainer.options, thaw=(0.0, 0.0), trunk_rates=(1.0, 1.0))
    for group in trainer.optimiser.param_groups:
        group["factor"] = 1.0


def without_new_places(trainer: loop.Trainer) -> None:
    """Draw no object of the families that came with the second generation."""
    trainer.bank.reweigh(dict.fromkeys(NEW_FAMILIES, 0.0))


def without_regions(trainer: loop.Trainer) -> None:
    """Draw no region that was found by colour alone, the self-supervised part."""
    trainer.bank.reweigh({"segment": 0.0})


VARIANTS: dict[str, tuple[Callable[[loop.Trainer], None], dict[str, float]]] = {
    "all": (whole, {}),
    "no ImageNet backbone": (without_backbone, {}),
    "no new places": (without_new_places, {}),
    "no alternatives": (whole, {"OTHERS_WEIGHT": 0.0}),
    "no regions by colour": (without_regions, {}),
    "no dense heads": (whole, {"DENSE_WEIGHT": 0.0}),
}
"""What is done to a run before it begins, and the weights of losses that it changes."""


class OneAnswer(TinyModel):
    """A network whose alternatives learnt nothing: they are not asked."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, threads=1)
        self._graphs.has_others = False


def trained(name: str, args: argparse.Namespace) -> Path:
    """Return the folder of a variant's model, trained now if it is not there yet."""
    folder = args.folder / name.replace(" ", "-")
    if (folder / "model" / "card.json").exists():
        return folder / "model"
    options = TrainingOptions(
        steps=args.steps, batch=10, rate=1.2e-3, average=0.98, seed=args.seed,
        procedural=args.procedural, save_every=2.0, half=has_half("cpu"),
    )  # fmt: skip
    kept = args.folder / "bank.pt"
    if not kept.exists():
        args.folder.mkdir(parents=True, exist_ok=True)
        save_bank(SceneBank(collect(options, args.data, 0, folder / "regions"), CPU), kept)
    prepare, weights = VARIANTS[name]
    for what, weight in {"OTHERS_WEIGHT": OTHERS, "DENSE_WEIGHT": DENSE, **weights}.items():
        setattr(loop, what, weight)
    trainer = loop.Trainer(options, load_bank(kept, CPU), folder)
    checkpoint = folder / "checkpoint.pt"
    if not checkpoint.exists():
        trainer.begin(EARLIER)
    prepare(trainer)
    if checkpoint.exists():
        trainer.resume(checkpoint)
    trainer.run()
    export(checkpoint, folder / "model")
    return folder / "model"


CPU = torch.device("cpu")
OTHERS, DENSE = loop.OTHERS_WEIGHT, loop.DENSE_WEIGHT


def judged(name: str, folder: Path, trials: list[HeldOut], clicks: int) -> dict[str, float]:
    """Return the figures of a variant, and keep them beside its model."""
    path = folder / "figures.json"
    if path.exists():
        return dict(json.loads(path.read_text()))
    model = OneAnswer(folder) if name == "no alternatives" else TinyModel(folder, threads=1)
    found = families(model, trials, ClickOptions(max_clicks=clicks, stop_at=0.9), "centre")["all"]
    path.write_text(json.dumps(found))
    return found


def line(name: str, row: dict[str, Any]) -> str:
    """Return a variant's figures as a row of Markdown."""
    cells = [f"{row[key]:.1f}" if key == "NoC@85" else f"{row[key]:.3f}" for key in SHOWN]
    return f"| {name} | " + " | ".join(cells) + " |"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of the scenes for training")
    parser.add_argument("--folder", type=Path, default=Path("runs/ablations"))
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--procedural", type=int, default=120)
    parser.add_argument("--objects", type=int, default=8, help="most objects of a family")
    parser.add_argument("--clicks", type=int, default=10)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--variant", action="append", choices=VARIANTS, help="that alone")
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)
    trials = list(held_out(args.data, args.objects))
    print("| | " + " | ".join(SHOWN) + " |\n|---|" + "--:|" * len(SHOWN))
    for name in args.variant or VARIANTS:
        print(line(name, judged(name, trained(name, args), trials, args.clicks)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
