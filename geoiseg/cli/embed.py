"""``geoiseg embed``: encode a raster ahead of the clicks."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from geoiseg.cli.options import Bands, bands_option, chosen_model, model_option
from geoiseg.console import bar_options, can_ask
from geoiseg.errors import RasterError
from geoiseg.models import Model
from geoiseg.plain_json import json_text
from geoiseg.raster import Raster, open_raster
from geoiseg.segment import DiskStore, RemoteStore, default_store
from geoiseg.segment.embeddings.settings import is_url, size_text
from geoiseg.tiled import EmbedOptions, EmbedSummary, Estimate, MapOptions, embed_raster, read_area

ASK_SECONDS = 120.0
ASK_BYTES = 1 << 30
"""Work that takes longer or more room than this is begun only when the user says so."""


def parse_levels(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[int, ...] | None:
    """Return pyramid levels of a text such as ``0``, ``0,2`` or ``0-3``."""
    if value is None:
        return None
    levels: list[int] = []
    try:
        for part in value.split(","):
            first, _, last = part.partition("-")
            levels.extend(range(int(first), int(last or first) + 1))
    except ValueError:
        levels = []
    if not levels:
        raise click.BadParameter(f"give levels, e.g. 0-2; got {value!r}", context, parameter)
    return tuple(levels)


@click.command()
@click.argument("raster")
@model_option
@bands_option
@click.option("--level", "levels", callback=parse_levels,
              help="Pyramid levels, e.g. 0-2. [default: all that clicks may ask for]")  # fmt: skip
@click.option("--gsd", type=click.FloatRange(min=0, min_open=True),
              help="The level for sessions with this --gsd, in metres per pixel.")  # fmt: skip
@click.option("--aoi", type=click.Path(path_type=Path), help="Vector file: only clicks in it.")
@click.option("--overlap/--no-overlap", default=True, show_default=True,
              help="All chips, or a quarter of them for a quarter of the clicks.")  # fmt: skip
@click.option("--for-map", is_flag=True,
              help="The windows of geoiseg map with its default options, not chips for clicks.",
              )  # fmt: skip
@click.option("--workers", type=click.IntRange(1), default=2, show_default=True,
              help="Threads that read ahead.")  # fmt: skip
@click.option("--to", "place", metavar="FOLDER|URL",
              help="Another folder than the user's own cache, or a URL, e.g. s3://bucket/team.",
              )  # fmt: skip
@click.option("-y", "--yes", is_flag=True, help="Do not ask, however long it takes.")
@click.option("--json", "as_json", is_flag=True, help="Report as JSON on standard output.")
def embed(  # noqa: PLR0913 - click hands options over one by one
    *,
    raster: str,
    model: str,
    bands: Bands,
    levels: tuple[int, ...] | None,
    gsd: float | None,
    aoi: Path | None,
    overlap: bool,
    for_map: bool,
    workers: int,
    place: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Encode RASTER ahead, so that clicks need neither its pixels nor the model's encoder.

    Goes on where it was stopped. Chips lie on the lattice that clicks use, so they overlap
    by half; the windows of geoiseg map are others (--for-map). See: geoiseg cache.
    """
    if levels is not None and gsd is not None:
        raise click.UsageError("give either --level or --gsd, not both")
    source = open_raster(raster, bands)
    area = None if aoi is None else read_area(aoi, source.grid)
    if for_map:
        if levels is not None or not overlap:
            raise click.UsageError("--for-map takes --gsd and --aoi, not --level or --no-overlap")
        mapped = MapOptions(gsd=gsd, aoi=area)
        options = EmbedOptions(workers=workers, for_map=mapped)
    else:
        options = EmbedOptions(levels, gsd, area, overlap, workers)
    summary = _embed(source, chosen_model(model), options, place, ask=not yes)
    if as_json:
        report = {**asdict(summary), "folder": str(summary.folder), "raster": raster,
                  "model": model, "stopped": summary.done < summary.chips}  # fmt: skip
        click.echo(json_text(report, indent=2))
    else:
        click.echo(_told(summary))
    if summary.done < summary.chips:
        sys.exit(130)
    if summary.failed:
        raise RasterError(f"{summary.failed} chips can not be read: {summary.error}")


def _embed(
    source: Raster, model: Model, options: EmbedOptions, place: str | None, *, ask: bool
) -> EmbedSummary:
    """Return how far it got; Ctrl-C keeps what is done."""
    store = _store(place)
    last: list[EmbedSummary] = []
    with tqdm(unit="chip", **bar_options(), smoothing=0.1) as bar:

        def approve(estimate: Estimate) -> bool:
            click.echo(
                f"geoiseg: {estimate.missing} of {estimate.chips} chips to encode,"
                f" up to {size_text(estimate.nbytes)}, about {_duration(estimate.seconds)}",
                err=True,
            )
            large = estimate.seconds > ASK_SECONDS or estimate.nbytes > ASK_BYTES
            return not (ask and large and can_ask()) or click.confirm("Go on?", err=True)

        def show(summary: EmbedSummary) -> Any:
            last[:] = [summary]
            bar.total = summary.chips
            bar.update(summary.done - bar.n)

        try:
            return embed_raster(source, model, options, store=store, approve=approve, on_chip=show)
        except KeyboardInterrupt:
            if not last:
                raise
            return last[0]


def _store(place: str | None) -> DiskStore | RemoteStore | None:
    if place is None:
        return default_store()
    if is_url(place):
        return RemoteStore(place)
    return default_store(Path(place).expanduser().absolute())


def _told(summary: EmbedSummary) -> str:
    parts = [f"{summary.made} of {summary.chips} chips encoded"]
    for count, what in ((summary.there, "were there"), (summary.empty, "have no data")):
        if count:
            parts.append(f"{count} {what}")
    if summary.done < summary.chips:
        parts.append("stopped; the same command goes on from here")
    return f"{', '.join(parts)}; {summary.folder}"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
