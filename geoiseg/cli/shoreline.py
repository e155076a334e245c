"""``geoiseg shoreline``: boundaries and centre lines of polygons, and change between dates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import geopandas as gpd
import pandas as pd

from geoiseg.errors import ExportError, GeoreferenceError
from geoiseg.files import (
    LineOptions,
    changed,
    check_apart,
    check_format,
    check_layer_free,
    drawn,
    export_features,
    read_layer,
    usable,
)
from geoiseg.outline.shoreline import TransectOptions
from geoiseg.outline.shoreline.transects import PICKS, SIDES
from geoiseg.plain_json import json_text

_METRES = click.FloatRange(min=0)
_LENGTH = click.FloatRange(min=0, min_open=True)


@click.command()
@click.argument("source", metavar="IN", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--layer", help="Layer of IN. [default: features, else the first]")
@click.option("--extent", type=click.Path(path_type=Path),
              help="Polygons of the valid ground: their boundary is no shore.")  # fmt: skip
@click.option("--between", nargs=2, help="Two classes: only the boundary between them.")
@click.option("--column", default="label", show_default=True, help="Column of the class.")
@click.option("--margin", type=_METRES, default=0.0, show_default=True,
              help="Metres within which lines count as the same: 1.5 pixels.")  # fmt: skip
@click.option("--deviation", type=_METRES, default=0.0, show_default=True,
              help="Metres that smoothing may move the line.")  # fmt: skip
@click.option("--centre", is_flag=True, help="Centre lines, for rivers.")
@click.option("--date", default="date", show_default=True, help="Column of the date.")
@click.option("--spacing", type=_LENGTH, help="Metres between transects: OUT is their rates.")
@click.option("--length", type=_LENGTH, help="Metres they reach. [default: ten times the spacing]")
@click.option("--side", type=click.Choice(SIDES), default="both", show_default=True,
              help="Side of the baseline that counts positive.")  # fmt: skip
@click.option("--pick", type=click.Choice(PICKS), default="nearest", show_default=True,
              help="Which of several crossings counts.")  # fmt: skip
@click.option("--baseline", type=click.Path(path_type=Path),
              help="Lines to cast transects from. [default: the oldest]")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Report as JSON on standard output.")
def shoreline(  # noqa: PLR0913 - click hands options over one by one
    source: Path, out: Path, *, layer: str | None, spacing: float | None, length: float | None,
    side: str, pick: str, baseline: Path | None, as_json: bool, **drawing: Any,
) -> None:  # fmt: skip
    """Draw the shorelines of the polygons of IN, and write them to OUT.

    With a column of dates there is one shoreline for each, and with --spacing OUT has
    transects with their change: net movement (nsm_m), envelope (sce_m), end point rate (epr)
    and linear regression rate (lrr) in metres a year. IN may have lines already. OUT is
    .gpkg, .shp, .geojson, .fgb or .parquet.
    """
    if check_format(out) == ".tif":
        raise ExportError(f"{out.name!r}: lines are written as vectors; use e.g. .gpkg")
    options = LineOptions(**drawing)
    check_layer_free(out)
    check_apart(out, source, layer=layer)
    check_apart(out, options.extent, baseline)
    frame, told = usable(read_layer(source, layer), options, with_rates=spacing is not None)
    for line in told:
        click.echo(f"geoiseg: {line}: left out", err=True)
    lines = drawn(frame, source, options)
    if not len(lines):
        raise GeoreferenceError(f"{source} has no shoreline inside the extent")
    facts: dict[str, Any] = {"out": str(out), "lines": len(lines), "left_out": told}
    if spacing is None:
        export_features(lines, out)
        facts["length_m"] = float(lines["length_m"].sum())
        said = f"{len(lines)} lines of {facts['length_m'] / 1000:.1f} km written to {out}"
    else:
        how = TransectOptions(spacing, length or 10 * spacing, side)
        result = changed(lines, how, options.date, pick, baseline)
        export_features(result, out)
        facts |= _summary(result)
        said = f"{len(result)} transects written to {out}, {facts['measured']} of them with a rate"
    click.echo(json_text(facts, indent=2) if as_json else said)


def _summary(result: gpd.GeoDataFrame) -> dict[str, Any]:
    """Return counts and medians, ready for JSON."""
    middle = {f"median_{name}": result[name].median() for name in ("nsm_m", "epr", "lrr")}
    return {
        "transects": len(result),
        "measured": int(result["epr"].notna().sum()),
        **{name: None if pd.isna(value) else float(value) for name, value in middle.items()},
    }
