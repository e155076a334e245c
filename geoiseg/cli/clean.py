"""``geoiseg clean``: any polygons to a clean coverage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from geoiseg.errors import ExportError
from geoiseg.features import measured_anew
from geoiseg.files import check_format, export_features, read_layer, rows_said
from geoiseg.outline.coverage import CleanOptions
from geoiseg.outline.coverage import clean as clean_coverage
from geoiseg.outline.coverage.options import RULES
from geoiseg.plain_json import json_text

_METRES = click.FloatRange(min=0)


@click.command()
@click.argument("source", metavar="IN", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--layer", help="Layer of IN. [default: features, else the first]")
@click.option("--rule", type=click.Choice(RULES), default="order", show_default=True,
              help="Who keeps an overlap: the earlier row, the higher score, the smaller area, or "
                   "the class named first.")  # fmt: skip
@click.option("--classes", help="For --rule class: the strongest first, e.g. building,field.")
@click.option("--column", help="Column of the score or class. [default: score or label]")
@click.option("--gap", type=_METRES, default=0.0, show_default=True,
              help="Close gaps narrower than so many metres.")  # fmt: skip
@click.option("--sliver", type=_METRES, help="Give away detached parts narrower. [default: gap]")
@click.option("--simplify", type=_METRES, default=0.0, show_default=True,
              help="Metres that borders may move to lose vertices.")  # fmt: skip
@click.option("--straight", type=_METRES, default=0.0, show_default=True,
              help="Straight edges at any angle, for parcels: metres that borders stray from them.",
              )  # fmt: skip
@click.option("--smooth", type=click.IntRange(0, 5), default=0, show_default=True,
              help="Rounds of corner cutting.")  # fmt: skip
@click.option("--square", is_flag=True, help="Make right angles first, for buildings.")
@click.option("--max-change", type=click.FloatRange(0, 1), default=0.01, show_default=True,
              help="Share of each area that simplifying and smoothing may change.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Report as JSON on standard output.")
def clean(
    source: Path, out: Path, *, layer: str | None, classes: str | None, as_json: bool,
    max_change: float, **options: Any,
) -> None:  # fmt: skip
    """Make the polygons of IN a clean coverage, and write them to OUT.

    Overlaps are resolved by the rule, gaps and slivers below a width go to the neighbour of
    the longest border, shared borders become the same vertex by vertex, and all are
    simplified and smoothed together. Widths are metres on the ground in any CRS; without a
    CRS they are in the units of the file. OUT is .gpkg, .shp, .geojson, .fgb or .parquet.
    """
    _check(out)
    frame = read_layer(source, layer)
    named = tuple(name.strip() for name in classes.split(",")) if classes else ()
    chosen = CleanOptions(classes=named, max_area_change=max_change, **options)
    cleaned, report = clean_coverage(frame, chosen)
    export_features(measured_anew(cleaned), out)
    for line in (
        *rows_said(report.blank, "no geometry"),
        *rows_said(report.lost, "no ground left"),
    ):
        click.echo(f"geoiseg: {line}: left out", err=True)
    if as_json:
        click.echo(json_text({"out": str(out), **report.as_dict()}, indent=2))
    else:
        click.echo(f"{report}; {len(cleaned)} of {len(frame)} features written to {out}")


def _check(out: Path) -> None:
    if check_format(out) == ".tif":
        raise ExportError(f"{out.name!r}: a coverage is written as vectors; use e.g. .gpkg")
