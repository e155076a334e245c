"""``geoiseg models``: what there is to segment with, and how its weights come here."""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from geoiseg.cli.options import Bands, bands_option, chosen_options, running_options
from geoiseg.console import bar_options, can_ask
from geoiseg.errors import GeoisegError, UnknownModelError, WeightsError
from geoiseg.models import DEFAULT_MODEL
from geoiseg.models.listing import Listed, built_in
from geoiseg.models.registry import models as all_models
from geoiseg.models.tiny.earlier import FIRST, first_folder, missing_first
from geoiseg.models.weights.bundle import bundle, install_file, is_bundle, unbundle
from geoiseg.models.weights.catalogue import (
    CATALOGUE,
    HUB_PREFIX,
    Checkpoint,
    from_hub,
    readable,
)
from geoiseg.models.weights.download import Listener
from geoiseg.models.weights.pull import PullOptions, pull
from geoiseg.models.weights.store import installed, missing_packages, verify
from geoiseg.plain_json import json_text

EXTRA = "pip install 'geoiseg[sam]'"
accept_option = click.option(
    "--accept-licence", is_flag=True, help="Accept what a licence forbids, without being asked."
)


class Console(Listener):
    """Tells the user how it gets on, on standard error."""

    def say(self, line: str) -> None:
        """Write one line."""
        if sys.stderr is not None:
            tqdm.write(f"geoiseg: {line}", file=sys.stderr)

    @contextmanager
    def bar(self, name: str, total: int, done: int) -> Iterator[Callable[[int], Any]]:
        """Show a bar, where there is a terminal."""
        with tqdm(total=total or None, initial=done, desc=name, unit="B", unit_scale=True,
                  leave=False, **bar_options()) as shown:  # fmt: skip
            yield shown.update


@click.group(invoke_without_command=True)
@click.pass_context
def models(context: click.Context) -> None:
    """List the models; get, check, pack and export their weights."""
    if context.invoked_subcommand is None:
        context.invoke(list_models)


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def list_models(as_json: bool = False) -> None:
    """List all models: family, size, licence, and what is still needed to use them."""
    listed = all_models()
    if as_json:
        rows = [{**asdict(m), "default": m.name == DEFAULT_MODEL} for m in listed]
        click.echo(json_text(rows, indent=2))
        return
    name, licence = (max(len(getattr(m, column)) for m in listed) for column in ("name", "licence"))
    for model in listed:
        mark = "*" if model.name == DEFAULT_MODEL else " "
        size = readable(model.bytes) if model.bytes else "-"
        click.echo(
            f"{mark} {model.name:<{name}}  {model.family:<8} {size:>8}"
            f"  {model.licence:<{licence}}  {_needs(model)}"
        )
    click.echo(
        f"\n* the default.  pull: geoiseg models pull NAME.  extra: {EXTRA}."
        "\nA checkpoint can also be given by its path, or as hf:organisation/name."
    )


def _needs(model: Listed) -> str:
    if model.is_ready:
        return "ready"
    return f"needs {model.state.replace(', ', ' and ')}{' (licence)' if model.notice else ''}"


@models.command("pull")
@click.argument("names", nargs=-1)
@click.option("--from", "source", type=click.Path(path_type=Path, dir_okay=False),
              help="A bundle, or the checkpoint itself, instead of the network.")  # fmt: skip
@click.option("--force", is_flag=True, help="Fetch again what is here already.")
@accept_option
def pull_weights(
    names: tuple[str, ...], source: Path | None, force: bool, accept_licence: bool
) -> None:
    """Get the weights of NAMES, once: checked by hash, resumed where they stopped.

    NAMES are those of: geoiseg models list, or hf:organisation/name.
    """
    options, console = PullOptions(_asking(accept_licence), force), Console()
    if source is not None and is_bundle(source):
        unbundle(source, names, options, console)
        return
    if not names:
        raise click.UsageError("say which model: geoiseg models pull NAME")
    checkpoints = [_checkpoint(name) for name in names]
    if source is not None and len(checkpoints) != 1:
        raise click.UsageError("--from with a checkpoint takes exactly one name")
    for checkpoint in checkpoints:
        if source is not None:
            install_file(checkpoint, source, options, console)
        else:
            _pull(checkpoint, options, console)
        missing = missing_packages(checkpoint)
        if missing:
            console.say(f"to run {checkpoint.name}, {' and '.join(missing)} must be there: {EXTRA}")


def _pull(checkpoint: Checkpoint, options: PullOptions, console: Console) -> None:
    try:
        pull(checkpoint, options, console)
    except KeyboardInterrupt:
        console.say("what came is kept, the same command goes on from there")
        raise


@models.command("unbundle")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.argument("names", nargs=-1)
@click.option("--force", is_flag=True, help="Replace what is here already.")
@accept_option
def unbundle_weights(file: Path, names: tuple[str, ...], force: bool, accept_licence: bool) -> None:
    """Install the weights in a bundle, all or those of NAMES."""
    unbundle(file, names, PullOptions(_asking(accept_licence), force), Console())


@models.command("bundle")
@click.argument("names", nargs=-1, required=True)
@click.argument("out", type=click.Path(path_type=Path, dir_okay=False))
def bundle_weights(names: tuple[str, ...], out: Path) -> None:
    """Pack the weights of NAMES for a machine without a network into OUT, a .zip or .tar.

    A list of packages and a README come with them.
    """
    for name in names:
        known = CATALOGUE.get(name)
        if known is not None and known.notice:
            click.echo(f"geoiseg: {name}: {known.notice}", err=True)
    bundle(names, out, Console())
    click.echo(f"{', '.join(names)} packed into {out} ({readable(out.stat().st_size)})")


@models.command("verify")
@click.argument("names", nargs=-1)
def verify_weights(names: tuple[str, ...]) -> None:
    """Hash the weights that are here again, all or those of NAMES."""
    here = installed()
    for name in names:
        if name not in here:
            raise WeightsError(f"the weights of {name!r} are not in the store")
    damaged = False
    for name in names or here:
        size = sum(path.stat().st_size for path in here[name].iterdir() if path.is_file())
        try:
            with Console().bar(name, size, 0) as advance:
                verify(here[name], advance)
        except GeoisegError as error:
            damaged = True
            click.echo(f"geoiseg: {error}", err=True)
        else:
            click.echo(f"{name}: as it should be")
    if not here:
        click.echo("there are no weights in the store")
    if damaged:
        sys.exit(1)


@models.command("export")
@click.argument("name")
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--int8", "kind", type=click.Choice(("weights", "static")),
              help="8-bit image encoder: weights alone, or static arithmetic, calibrated on"
              " --raster. Refused where its masks differ from fp32's.")  # fmt: skip
@click.option("--raster", help="Of the user's own: chips to calibrate int8 and to measure it on.")
@bands_option
@running_options
def export(name: str, out: Path, kind: str | None, raster: str | None, bands: Bands) -> None:
    """Write the model NAME as graphs for onnxruntime and OpenVINO into the new folder OUT.

    OUT is then a model by its path; --backend says, when it is used, which of them runs it.
    With --int8, NAME can also be a folder that was exported before.
    """
    exported = importlib.import_module("geoiseg.models.exported")
    if kind is None:
        if raster is not None:
            raise click.UsageError("--raster is for --int8")
        exported.export_model(name, out, chosen_options())
        click.echo(f"{name} exported; use it with: --model {out}")
        return
    if kind == "static" and raster is None:
        raise click.UsageError("--int8 static is calibrated on a raster of yours: --raster FILE")
    from geoiseg.models.exported.card import read_card
    from geoiseg.models.exported.chips import int8_on
    from geoiseg.raster import open_raster

    Console().say("making int8 and comparing its masks with those of fp32; this takes minutes")
    trial = int8_on(kind, None if raster is None else open_raster(raster, bands=bands))
    exported.export_model(name, out, chosen_options(), trial)
    found = read_card(out).int8 or {}
    click.echo(
        f"{name} exported as int8 ({kind}): masks have an IoU of {found['iou']:.3f} with fp32's"
        f" ({found['worst']:.3f} at worst, {found['prompts']} prompts on {found['origin']});"
        f" use it with: --model {out}"
    )


def _checkpoint(name: str) -> Checkpoint:
    if name in CATALOGUE:
        return CATALOGUE[name]
    if name.startswith(HUB_PREFIX):
        return from_hub(name)
    if name == FIRST and first_folder() is None:
        raise missing_first()
    if name in {model.name for model in built_in()}:
        raise WeightsError(f"{name} ships with geoiseg: there is nothing to pull")
    close = difflib.get_close_matches(name, CATALOGUE, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    raise UnknownModelError(
        f"there are no weights {name!r}; {hint}known are: {', '.join(CATALOGUE)};"
        " or hf:organisation/name"
    )


def _asking(accepted: bool) -> Callable[[str], bool]:
    """Return what shows a notice and asks for consent, where somebody is there to ask."""

    def ask(notice: str) -> bool:
        if accepted:
            click.echo(f"geoiseg: {notice} Accepted by --accept-licence.", err=True)
            return True
        if not can_ask():
            return False
        click.echo(notice, err=True)
        return click.confirm("Do you accept that?", abort=True, err=True)

    return ask
