"""``geoiseg map``: a whole raster, of any size, to a layer."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import click

from geoiseg.cli.again import command_again
from geoiseg.cli.options import (
    Bands,
    bands_option,
    chosen_options,
    columns_option,
    model_option,
)
from geoiseg.errors import PromptError
from geoiseg.plain_json import json_text
from geoiseg.raster import open_raster
from geoiseg.tiled import MODES, MapOptions, MapReport, hold_memory, ledger_path, segment_raster
from geoiseg.words import WordsOptions

_Command = TypeVar("_Command", bound=Callable[..., Any])
_AUTOMATIC = "geoiseg.automatic_options"


def _keep(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    """Put an option aside that says how objects are found, for ``_automatic``."""
    if value is not None:
        context.meta.setdefault(_AUTOMATIC, {})[str(parameter.name)] = value


def _parse_scales(context: click.Context, parameter: click.Parameter, value: str | None) -> None:
    """Put the reductions of a text such as ``4,2,1`` aside, or fail with a usage error."""
    if value is None:
        return
    try:
        scales = tuple(int(part) for part in value.split(","))
    except ValueError:
        reason = f"give reductions with commas, e.g. 4,2,1; got {value!r}"
        raise click.BadParameter(reason, context, parameter) from None
    _keep(context, parameter, scales)


def automatic_options(command: _Command) -> _Command:
    """Give a command the options that say how objects are found; see ``_automatic``."""
    for name, kind, text in (
        ("--batch", int, "Points that are asked together. [default: 16]"),
        ("--max-hidden", float, "Share of a mask that better ones may cover. [default: 0.5]"),
        ("--min-stability", float, "Least IoU of looser and tighter masks."),
        ("--min-score", float, "Least IoU that the model must predict; fast: 0.35."),
        ("--spacing", int, "Pixels between the points asked. [default: 64]"),
    ):
        decorate = click.option(name, type=kind, expose_value=False, callback=_keep, help=text)
        command = decorate(command)
    decorate = click.option(
        "--scales", expose_value=False, callback=_parse_scales, metavar="N,N,…",
        help="Reductions to look at, for large objects and small ones; with --mode fast or best"
        " by default what a few places of a large raster ask for. [default: 4,2,1]",
    )  # fmt: skip
    return decorate(command)


def _automatic() -> dict[str, Any]:
    """Return what the user of the running command says of how objects are to be found."""
    return dict(click.get_current_context().meta.get(_AUTOMATIC, {}))


@click.command(name="map")
@click.argument("raster")
@click.argument("out", type=click.Path(path_type=Path))
@model_option
@click.option(
    "--prompts",
    type=click.Path(path_type=Path),
    help="A vector file, an object a row. [default: look for all objects]",
)
@click.option("--text", help="Look for what these words name, e.g. water, instead of all objects.")
@click.option("--negative", default="", help="With --text: words for what it should not be.")
@click.option("--like", type=click.Path(path_type=Path),
              help="Look for objects like the polygons of this file (positive 0: unlike them).",
              )  # fmt: skip
@click.option("--taught", type=click.Path(path_type=Path),
              help="A project with a classifier; --text then names one of its classes.",
              )  # fmt: skip
@click.option("--engine", default="", help="Engine of words. [default: the one that ships]")
@click.option("--threshold", type=float, help="Least score of what --text or --like finds.")
@click.option(
    "--aoi", type=click.Path(path_type=Path), help="A vector file with the area of interest."
)
@click.option(
    "--gsd", type=click.FloatRange(min=0, min_open=True),
    help="Metres per pixel to work at. [default: RASTER's own; with --prompts as the object fits]",
)  # fmt: skip
@click.option("--detail", type=click.Choice(["native", "seen"]),
              help="With --prompts: objects to their end, their borders at the raster's resolution"
              " (or --gsd); or as they were seen. [default: native]")  # fmt: skip
@bands_option
@click.option("--label", default="", help="Label of every object found.")
@click.option(
    "--window", type=int,
    help="Pixels across of a window. [default: 2048, lattice the model's chip]",
)  # fmt: skip
@click.option("--overlap", default=128, show_default=True, help="Pixels that windows share.")
@click.option(
    "--tile", default=1024, show_default=True,
    help="Pixels across that are done at a time; the result is the same.",
)  # fmt: skip
@click.option(
    "--min-area", default=64, show_default=True, help="Least area of an object in pixels."
)
@automatic_options
@click.option("--mode", type=click.Choice(MODES),
              help="fast: one look at each window; best: and what is in doubt asked for again;"
              " lattice: points asked one by one. [default: fast, if the model has dense heads]",
              )  # fmt: skip
@click.option("--coverage", is_flag=True,
              help="A partition of the objects' ground: no gaps, no overlaps, borders shared.",
              )  # fmt: skip
@click.option("--simplify", default=0.0, show_default=True,
              help="With --coverage: pixels by which borders may move, both sides alike.",
              )  # fmt: skip
@columns_option
@click.option("--scheduler", help="serial, threads, processes, dask, or tcp://host:port.")
@click.option("--workers", type=click.IntRange(min=1), help="How many. [default: 1]")
@click.option("--keep-embeddings", is_flag=True,
              help="Keep what is encoded on disk for the next run; see geoiseg cache.",
              )  # fmt: skip
@click.option("--resume", is_flag=True, help="Go on with a run that was interrupted.")
@click.option("--labels", type=click.Path(path_type=Path),
              help="Drawn objects, by which to report precision, recall, F1 and mAP.",
              )  # fmt: skip
@click.option("--quicklook", type=click.Path(path_type=Path), help="Also write a PNG to look at.")
@click.option("--json", "as_json", is_flag=True, help="Report as JSON on standard output.")
def map_raster(  # noqa: PLR0913 - click hands options over one by one
    *,
    raster: str,
    out: Path,
    model: str,
    prompts: Path | None,
    text: str | None,
    negative: str,
    like: Path | None,
    taught: Path | None,
    engine: str,
    threshold: float | None,
    aoi: Path | None,
    gsd: float | None,
    detail: str | None,
    bands: Bands,
    label: str,
    window: int | None,
    overlap: int,
    tile: int,
    min_area: int,
    mode: str | None,
    coverage: bool,
    simplify: float,
    columns: str,
    scheduler: str | None,
    workers: int | None,
    keep_embeddings: bool,
    resume: bool,
    labels: Path | None,
    quicklook: Path | None,
    as_json: bool,
) -> None:
    """Find the objects of RASTER, or those that PROMPTS marks or --text names; write them to OUT.

    OUT is .gpkg, .parquet or .tif. What is done is kept beside it until all is done: after
    an interruption, run the same command with --resume. What fails is reported, and the
    exit code is then 1.
    """
    if detail is not None and prompts is None:
        raise click.UsageError("--detail is of objects that --prompts marks: give both, or neither")
    options = MapOptions(
        gsd=gsd, detail=detail, window=window, overlap=overlap, tile=tile, min_area=min_area,
        aoi=aoi, label=label, automatic=_automatic(), mode=mode, running=chosen_options(),
        words=_words(text, negative, engine, threshold, (like, taught)),
        labels=labels, keep_embeddings=keep_embeddings, coverage=coverage, simplify=simplify,
        columns=columns,
    )  # fmt: skip
    again = command_again()
    hold_memory()
    try:
        report = segment_raster(
            open_raster(raster, bands), out, model=model, prompts=prompts, scheduler=scheduler,
            workers=workers, options=options, resume=resume, quicklook=quicklook,
        )  # fmt: skip
    except KeyboardInterrupt:
        if ledger_path(out).exists():
            click.echo(f"geoiseg: stopped; go on with: {again}", err=True)
            sys.exit(130)
        raise
    _tell(replace(report, redo=again), as_json=as_json)


def _tell(report: MapReport, *, as_json: bool) -> None:
    """Print what was done; fail where something is missing."""
    click.echo(json_text(report.to_dict(), indent=2) if as_json else report.text())
    if report.failures:
        raise PromptError(
            f"{len(report.failures)} parts of the raster failed; do them again with: {report.redo}"
        )
    if report.missing:
        sys.exit(1)


def _words(
    text: str | None,
    negative: str,
    engine: str,
    threshold: float | None,
    files: tuple[Path | None, Path | None],
) -> WordsOptions | None:
    """Return what is looked for in words or by example; None where it is all objects."""
    like, taught = (None if path is None else str(path) for path in files)
    if text is None and like is None and taught is None:
        if negative or engine or threshold is not None:
            raise PromptError("--negative, --engine and --threshold go with --text or --like")
        return None
    return WordsOptions(text or "", negative, engine, threshold, like, taught)
