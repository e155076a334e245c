"""``geoiseg train``: a model of one's own, from the accepted features of projects."""

from __future__ import annotations

import importlib
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from geoiseg.cli.projects import session_of
from geoiseg.console import bar_options
from geoiseg.errors import ModelError, require
from geoiseg.models.naming import place_for_new
from geoiseg.plain_json import json_text


@click.command()
@click.argument("projects", metavar="PROJECT...", nargs=-1, required=True,
                type=click.Path(path_type=Path))  # fmt: skip
@click.option("--out", required=True, help="Name of the model, e.g. roofs; or with a slash in it a"
              " new folder, e.g. ./roofs.")  # fmt: skip
@click.option("--held", type=click.FloatRange(0.1, 0.5), default=0.25, show_default=True,
              help="Share of the features that is held out, to measure on.")  # fmt: skip
@click.option("--steps", type=click.IntRange(1, 5000), default=160, show_default=True,
              help="Of training, at most; it ends early where no more is gained.")  # fmt: skip
@click.option("--encoder", is_flag=True, help="Let the encoder's last stages learn, too, at a"
              " smaller rate.")  # fmt: skip
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True,
              help="Of all chance.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Report as JSON on standard output.")
def train(
    projects: tuple[Path, ...], out: str, *, held: float, steps: int, encoder: bool, seed: int,
    as_json: bool,
) -> None:  # fmt: skip
    """Train tiny on the accepted features of each PROJECT.

    It takes minutes on a CPU, and needs: pip install 'geoiseg[train]'. Some features are held out:
    a simulated user clicks on them with the model as it was and as it is now. Only a model that
    takes fewer clicks there is written, and only one that goes on doing well elsewhere. A name is
    then a model everywhere: --model roofs.
    """
    folder = _place(out)
    for module in ("torch", "onnx"):
        require(module, "train")
    making = importlib.import_module("geoiseg.training.own.make")
    material = importlib.import_module("geoiseg.training.own.material")
    learning = importlib.import_module("geoiseg.training.own.learn")
    making.check_free(folder)
    sources = [material.source_of(session_of(project)) for project in projects]
    learn = learning.LearnOptions(steps=steps, seed=seed)
    options = making.OwnOptions(held, seed, learn=learn, encoder=encoder)
    with tqdm(unit="", **bar_options()) as bar:

        def tell(what: str, done: int, whole: int) -> None:
            bar.set_description(what, refresh=False)
            bar.total, bar.n = whole, done
            bar.refresh()

        try:
            own = making.make_own(sources, folder, options, tell)
        except KeyboardInterrupt:
            tqdm.write("geoiseg: what is learnt is kept; the same command goes on from there",
                       file=sys.stderr)  # fmt: skip
            raise
    if as_json:
        facts = asdict(own) | {"model": out if own.written else None, "folder": str(folder)}
        click.echo(json_text(facts, indent=2))
    else:
        click.echo(_table(own))
    if not own.written:
        raise ModelError(
            f"training on these {own.features} features did not help on the others: nothing was"
            " written; accept more, or more alike, and train again"
        )
    if not as_json:
        click.echo(f"{out}: use it with --model {out if folder.name == out else folder}")


def _place(out: str) -> Path:
    """Return the folder of the model that is asked for, or fail as usage."""
    try:
        return place_for_new(out)
    except ModelError as error:
        raise click.UsageError(f"--out: {error}") from error


def _table(own: Any) -> str:
    """Return what was measured, before and after."""
    before, after = own.before, own.after
    rows = [
        ("", "before", "after"),
        ("clicks to IoU 0.85", f"{before.clicks:.1f}", f"{after.clicks:.1f}"),
        ("IoU, 1 click", f"{before.iou1:.3f}", f"{after.iou1:.3f}"),
        ("IoU, 3 clicks", f"{before.iou3:.3f}", f"{after.iou3:.3f}"),
    ]
    if own.old is not None:
        rows.append(("old scene, 1 click", f"{own.old[0]:.3f}", f"{own.old[1]:.3f}"))
    lines = [f"{what:<20} {one:>7} {other:>7}" for what, one, other in rows]
    said = f"learnt from {own.features} features, measured on {before.objects} that were held out"
    return "\n".join([said, *lines])
