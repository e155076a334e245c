"""``geoiseg evaluate``: how many clicks a model needs."""

from __future__ import annotations

from pathlib import Path

import click
from click.core import ParameterSource
from tqdm import tqdm

from geoiseg.atomic import check_place
from geoiseg.cli.options import chosen_model, gsd_option, model_option
from geoiseg.console import bar_options
from geoiseg.errors import PromptError
from geoiseg.evaluate.border import trace_scene
from geoiseg.evaluate.dataset import scenes
from geoiseg.evaluate.outside import LAYOUTS
from geoiseg.evaluate.protocol import EvaluationOptions, ObjectScore, evaluate_scene
from geoiseg.evaluate.published import PublishedOptions, row_of, score_set
from geoiseg.evaluate.summary import as_json, as_text, summarise
from geoiseg.evaluate.users import USERS
from geoiseg.models import Model
from geoiseg.plain_json import json_text
from geoiseg.segment import WIRE_LEVELS


@click.command()
@click.argument("dataset", type=click.Path(path_type=Path))
@click.option(
    "--dataset",
    "public",
    type=click.Choice(tuple(LAYOUTS)),
    help="DATASET is the folder of this public set, as it is unpacked.",
)
@model_option
@gsd_option
@click.option("--labels", type=click.Path(path_type=Path), help="Reference layer of one raster.")
@click.option(
    "--clicks",
    type=click.IntRange(1),
    default=20,
    show_default=True,
    help="Most clicks on an object.",
)
@click.option("--limit", type=click.IntRange(1), help="Most objects of a scene.")
@click.option(
    "--seed", default=0, show_default=True, help="Another seed: other objects, other clicks."
)
@click.option(
    "--user",
    type=click.Choice(USERS),
    default="centre",
    show_default=True,
    help="Who clicks: in the exact middle, or near it and with mistakes.",
)
@click.option(
    "--border",
    type=click.Choice(WIRE_LEVELS),
    help="Follow borders by intelligent scissors instead of asking a model, along this.",
)
@click.option("--report", type=click.Path(path_type=Path), help="Also write an HTML report.")
@click.option("--json", "as_json_", is_flag=True, help="As JSON.")
def evaluate(  # noqa: PLR0913 - click hands options over one by one
    *,
    dataset: Path,
    public: str | None,
    model: str,
    gsd: float | None,
    labels: Path | None,
    clicks: int,
    limit: int | None,
    seed: int,
    user: str,
    border: str | None,
    report: Path | None,
    as_json_: bool,
) -> None:
    """Let a simulated user click on the labelled objects of DATASET.

    DATASET is a folder of scenes (image.tif and labels.geojson), one scene, or a raster
    together with --labels. The clicks go through a session, in map coordinates, each in the
    middle of the largest error, or near it and now and then wrong as people's are (--user
    realistic).

    With --dataset, the pictures of a public set are clicked on one by one, by the protocol of
    RITM, and the row that papers print is printed; --limit is then that of the whole set.

    With --border no model is asked: each object's border is clicked on, where it was followed
    worst, and followed by intelligent scissors from click to click.
    """
    if public is not None:
        _refuse_with_public(gsd=gsd, labels=labels, report=report, border=border)
        how = PublishedOptions(user, seed, limit, clicks)
        _public(public, dataset, chosen_model(model), how, as_json_=as_json_)
        return
    if report is not None:
        check_place(report)
    engine = _engine(model, border)
    listed = list(scenes(dataset, labels, limit, seed))
    for scene in listed:
        for line in scene.left_out:
            click.echo(f"geoiseg: {scene.name}: {line}: left out", err=True)
    if not any(scene.objects for scene in listed):
        raise PromptError(
            f"no label of {labels or dataset} is a polygon on the raster; is its CRS right?"
        )
    options = EvaluationOptions(max_clicks=clicks, gsd=gsd, user=user, seed=seed)
    scores: list[ObjectScore] = []
    total = sum(len(scene.objects) for scene in listed)
    with tqdm(total=total, unit="object", **bar_options()) as bar:
        for scene in listed:
            found = (
                trace_scene(scene, border or "", options) if engine is None
                else evaluate_scene(scene, engine, options)
            )  # fmt: skip
            for score in found:
                scores.append(score)
                bar.update()
    rows = summarise(scores, seed)
    name = f"live-wire:{border}" if engine is None else engine.info.name
    if report is not None:
        from geoiseg.evaluate.report import write_evaluation

        write_evaluation(report, name, scores, listed, rows, user)
    if as_json_:
        document = {"model": name, "user": user, "groups": as_json(rows)}
        click.echo(json_text(document, indent=2))
    else:
        click.echo(f"{name} on {dataset}, user {user}\n{as_text(rows)}")


def _refuse_with_public(**given: object) -> None:
    for name, value in given.items():
        if value is not None:
            raise click.UsageError(f"--{name} says nothing of a public set's pictures")


def _engine(model: str, border: str | None) -> Model | None:
    """Return the model, or none where borders are followed; what is said of one is refused then."""
    if border is None:
        return chosen_model(model)
    context = click.get_current_context()
    for name in ("model", "gsd", "augment", "device", "precision", "backend"):
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT:
            raise click.UsageError(f"--{name} says nothing of borders, which no model follows")
    return None


def _public(
    name: str, folder: Path, model: Model, how: PublishedOptions, *, as_json_: bool
) -> None:
    """Print the row of a public set."""
    with tqdm(unit="picture", **bar_options()) as bar:

        def told(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        scores = score_set(name, folder, model, how, told)
    if not scores:
        raise PromptError(f"no picture of {folder} has an object")
    row = row_of(scores)
    if as_json_:
        document = {"model": model.info.name, "dataset": name, "user": how.user, **row.as_json()}
        click.echo(json_text(document, indent=2))
    else:
        click.echo(row.as_text(model.info.name, f"{name}, {how.user} clicks"))
