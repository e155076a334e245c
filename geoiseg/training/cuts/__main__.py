"""``python -m geoiseg.training.cuts``: fits how maps choose their objects to the weights there."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import click
import cv2
import numpy as np

from geoiseg.errors import GeoisegError
from geoiseg.models import ModelOptions
from geoiseg.models.tiny.model import TinyModel
from geoiseg.segment import WEIGHTS, hierarchy
from geoiseg.tiled import doubt
from geoiseg.tiled.options import DenseOptions
from geoiseg.training.constants import line, put
from geoiseg.training.cuts.doubts import asked
from geoiseg.training.cuts.fit import Figures, figures, fitted, weights_of
from geoiseg.training.cuts.views import Rows, Seen, View, rows_of, seen, views

EXPONENTS = (0.2, 0.3, 0.4, 0.5)
"""Of a region's area in what it counts; the best by the places held out is taken."""
ASKED = 20
"""Views in which the model is asked for what is in doubt."""


@click.command()
@click.option("--data", type=click.Path(path_type=Path, exists=True), required=True,
              help="Labelled scenes, as for training tiny.")  # fmt: skip
@click.option("--model", type=click.Path(path_type=Path, exists=True),
              help="Folder with tiny's graphs and card. [default: those that ship]")  # fmt: skip
@click.option("--write", is_flag=True,
              help="Put what is better by the places held out into the source.")  # fmt: skip
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--threads", type=int, default=1, show_default=True, help="CPU threads.")
def main(data: Path, model: Path | None, write: bool, seed: int, threads: int) -> None:
    """Fit the scores of regions and of answers to the weights of tiny.

    Fits on the scenes that train, and says how good maps of the places held out are with what
    is in the source and with what was fitted. About two minutes on one core.
    """
    cv2.setNumThreads(threads)
    started = time.process_time()
    try:
        exact = ModelOptions(precision="fp32")
        _run(
            TinyModel(model, threads, options=exact),
            data,
            write=write,
            rng=np.random.default_rng(seed),
        )
    except GeoisegError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{time.process_time() - started:.0f} CPU-s")


def _run(model: TinyModel, data: Path, *, write: bool, rng: np.random.Generator) -> None:
    held = [one for one in (seen(model, view) for view in views(data, held_out=True)) if one]
    least = DenseOptions().min_score
    before = figures(held, WEIGHTS, least)
    _told("as they are", WEIGHTS, before)
    shown: list[View] = []
    parts = []
    for view in views(data, held_out=False):
        one = seen(model, view)
        if one is not None:
            parts.append((view.family, rows_of(one)))
            shown.append(view)
    weights, after = _fitted(parts, held, least)
    better = after.worth > before.worth
    kept = weights if better else WEIGHTS
    click.echo(
        f"{'better' if better else 'no better; left'} ({before.worth:.3f} -> {after.worth:.3f})"
    )
    fine = [view for view in shown if view.reduction == 1]
    chosen = [fine[i] for i in sorted(rng.permutation(len(fine))[:ASKED])]
    estimate, iou = asked(model, chosen, kept, rng)
    odds = fitted(estimate, iou, np.ones(len(iou)))
    click.echo(f"answers: {len(iou)}, mean IoU {iou.mean():.2f}, log-odds {line(odds)}")
    if write:
        if better:
            put(Path(hierarchy.__file__), "WEIGHTS", weights)
        put(Path(doubt.__file__), "ODDS", odds)


def _fitted(
    parts: list[tuple[str, Rows]], held: Sequence[Seen], least: float
) -> tuple[tuple[float, ...], Figures]:
    """Return the best of some fits and how good maps are by it."""
    looks = np.concatenate([rows.looks for _, rows in parts])
    iou = np.concatenate([rows.iou for _, rows in parts])
    found = []
    for exponent in EXPONENTS:
        raw = fitted(looks, iou, weights_of(parts, exponent))
        weights = tuple(round(one, 2) for one in raw)
        found.append((weights, figures(held, weights, least)))
        _told(f"area^{exponent}", *found[-1])
    return max(found, key=lambda one: one[1].worth)


def _told(name: str, weights: Sequence[float], said: Figures) -> None:
    each = ", ".join(f"{family} {f1:.3f}" for family, f1 in said.by_family.items())
    click.echo(f"{name}: {line(weights)}: F1 {said.f1:.3f}, AP {said.ap50:.3f} ({each})")


if __name__ == "__main__":
    main()
