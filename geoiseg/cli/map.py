"""``geoiseg map``: a whole raster, of any size, to a layer."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from geoiseg.cli.options import bands_option, chosen_model, chosen_options, gsd_option, model_option
from geoiseg.errors import PromptError
from geoiseg.readers import open_raster
from geoiseg.tiled import AutomaticOptions, MapOptions, segment_raster
from geoiseg.tiled.ledger import ledger_path


@click.command(name="map")
@click.argument("raster")
@click.argument("out", type=click.Path(path_type=Path))
@model_option
@click.option(
    "--prompts",
    type=click.Path(path_type=Path),
    help="A vector file, an object a row. [default: look for all objects]",
)
@click.option(
    "--aoi", type=click.Path(path_type=Path), help="A vector file with the area of interest."
)
@gsd_option
@bands_option
@click.option("--label", default="", help="Label of every object found.")
@click.option("--tile", default=1024, show_default=True, help="Side of a tile in pixels.")
@click.option("--overlap", default=128, show_default=True, help="Pixels that tiles share.")
@click.option(
    "--min-area", default=64, show_default=True, help="Least area of an object in pixels."
)
@click.option("--spacing", type=int, help="Pixels between the points asked. [default: 64]")
@click.option("--min-score", type=float, help="Least IoU that the model must predict.")
@click.option("--min-stability", type=float, help="Least IoU of looser and tighter masks.")
@click.option("--scheduler", help="serial, threads, processes, dask, or tcp://host:port.")
@click.option("--workers", type=click.IntRange(min=1), help="How many. [default: 1]")
@click.option("--resume", is_flag=True, help="Go on with a run that was interrupted.")
@click.option("--quicklook", type=click.Path(path_type=Path), help="Also write a PNG to look at.")
@click.option("--json", "as_json", is_flag=True, help="Report as JSON on standard output.")
def map_raster(  # noqa: PLR0913 - click hands options over one by one
    *,
    raster: str,
    out: Path,
    model: str,
    prompts: Path | None,
    aoi: Path | None,
    gsd: float | None,
    bands: tuple[int, ...] | None,
    label: str,
    tile: int,
    overlap: int,
    min_area: int,
    spacing: int | None,
    min_score: float | None,
    min_stability: float | None,
    scheduler: str | None,
    workers: int | None,
    resume: bool,
    quicklook: Path | None,
    as_json: bool,
) -> None:
    """Find the objects of RASTER, or those that PROMPTS marks, and write them to OUT.

    OUT is .gpkg, .parquet or .tif. What is done is kept beside it until all is done: after
    an interruption, run the same command with --resume. Tiles that fail are reported, and
    the exit code is then 1.
    """
    loaded = chosen_model(model)
    asked = {"spacing": spacing, "min_score": min_score, "min_stability": min_stability}
    given: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    options = MapOptions(
        gsd=gsd, tile=tile, overlap=overlap, min_area=min_area, aoi=aoi, label=label,
        automatic=AutomaticOptions.for_family(loaded.info.family, **given),
        running=chosen_options(),
    )  # fmt: skip
    again = _again()
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
    report = replace(report, redo=again)
    if as_json:
        click.echo(json.dumps(report.to_dict(), indent=2))
    else:
        click.echo(report.text())
    if report.failures:
        raise PromptError(
            f"{len(report.failures)} of {report.tiles} tiles failed; do them again with: {again}"
        )
    if report.missing:
        sys.exit(1)


def _again() -> str:
    """Return the command that was given, with --resume."""
    given = [argument for argument in sys.argv[1:] if argument != "--resume"]
    return shlex.join(["geoiseg", *given, "--resume"])
