"""``geoiseg segment --refine``: outlines that others drew, moved to a raster."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import click

from geoiseg.cli.again import command_again
from geoiseg.errors import PromptError
from geoiseg.plain_json import json_text
from geoiseg.raster import Raster
from geoiseg.tiled import MapOptions, RefineOptions, ledger_path, segment_raster

_Command = TypeVar("_Command", bound=Callable[..., Any])


def refine_options(command: _Command) -> _Command:
    """Give a command the options of ``--refine``."""
    for decorate in reversed((
        click.option("--refine", is_flag=True,
                     help="PROMPTS are polygons of others: move their borders to RASTER."),
        click.option("--min-same", type=click.FloatRange(0, 1),
                     help="With --refine: least IoU with the outline drawn. [default: 0.5]"),
        click.option("--max-moved", type=click.FloatRange(0, min_open=True),
                     help="With --refine: metres by which a border may move. [default: any]"),
        click.option("--columns", type=click.Choice(("geoiseg", "fiboa")),
                     help="With --refine: whose names columns have. [default: geoiseg]"),
        click.option("--scheduler",
                     help="With --refine: serial, threads, processes, dask, or tcp://host:port."),
        click.option("--workers", type=click.IntRange(min=1),
                     help="With --refine: how many. [default: 1]"),
        click.option("--resume", is_flag=True,
                     help="With --refine: go on with a run that was interrupted."),
    )):  # fmt: skip
        command = decorate(command)
    return command


def wants_refining(given: Mapping[str, Any]) -> bool:
    """Return whether outlines are to be refined.

    Raises:
        PromptError: Something is said that goes with ``--refine`` only.
    """
    more = [
        name for name, value in given.items() if name != "refine" and value not in (None, False)
    ]
    if more and not given["refine"]:
        said = ", ".join("--" + name.replace("_", "-") for name in more)
        raise PromptError(f"{said}: of --refine, which is not there; add it or leave them out")
    return bool(given["refine"])


def refine_outlines(
    files: tuple[Raster, Path, Path],
    model: str,
    options: MapOptions,
    said: tuple[Mapping[str, Any], Mapping[str, Any]],
    *,
    as_json: bool,
) -> None:
    """Refine the outlines of a file and say what became of them.

    Args:
        files: The raster, the outlines, and where to write.
        model: Name of the model.
        options: How it runs and outlines are drawn.
        said: The options of ``--refine``, and others by name that do not go with it.
        as_json: Whether the report is JSON.
    """
    given, others = said
    left = [name for name, value in others.items() if value is not None]
    if left:
        raise PromptError(f"{', '.join(left)}: not with --refine; leave it out")
    raster, outlines, out = files
    fits = {} if given["min_same"] is None else {"min_same": given["min_same"]}
    columns = given["columns"] or options.columns
    refining = RefineOptions(**fits, most=given["max_moved"])
    options = replace(options, refine=refining, columns=columns)
    again = command_again()
    try:
        report = segment_raster(
            raster, out, model=model, prompts=outlines, scheduler=given["scheduler"],
            workers=given["workers"], options=options, resume=given["resume"],
        )  # fmt: skip
    except KeyboardInterrupt:
        if ledger_path(out).exists():
            click.echo(f"geoiseg: stopped; go on with: {again}", err=True)
            sys.exit(130)
        raise
    report = replace(report, redo=again)
    click.echo(json_text(report.to_dict(), indent=2) if as_json else report.text())
    if not report.complete:
        sys.exit(1)
