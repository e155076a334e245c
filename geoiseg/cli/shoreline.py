"""``geoiseg shoreline``: boundaries and centre lines of polygons, and change between dates."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from geoiseg.cli.vector_file import polygons_in, read_layer
from geoiseg.errors import ExportError, GeoreferenceError
from geoiseg.export import check_format, export_features
from geoiseg.shoreline import (
    TransectOptions,
    boundary_lines,
    centre_lines,
    crossings,
    rates,
    smooth_lines,
    transects,
)
from geoiseg.shoreline.transects import PICKS, SIDES

_METRES = click.FloatRange(min=0)
_LENGTH = click.FloatRange(min=0, min_open=True)


@dataclass(frozen=True, slots=True)
class LineOptions:
    """How lines are drawn from polygons."""

    extent: Path | None
    between: tuple[str, str] | None
    column: str
    date: str
    margin: float
    deviation: float
    centre: bool


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
    frame = read_layer(source, layer)
    lines = drawn(frame, source, options)
    if not len(lines):
        raise GeoreferenceError(f"{source} has no shoreline inside the extent")
    facts: dict[str, Any] = {"out": str(out), "lines": len(lines)}
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
    click.echo(json.dumps(facts, indent=2) if as_json else said)


def drawn(frame: gpd.GeoDataFrame, source: Path, options: LineOptions) -> gpd.GeoDataFrame:
    """Return lines with their length, and their date where there is one.

    Raises:
        GeoisegError: A column or a class is missing, or there are no polygons.
    """
    dated = options.date in frame
    groups = frame.groupby(options.date, sort=True) if dated else [(None, frame)]
    found = []
    for when, rows in groups:
        lines = _lines(rows, source, options)
        lines = smooth_lines(lines, options.deviation, frame.crs)
        table: dict[str, Any] = {options.date: when} if dated else {}
        lengths = [_metres(line, frame.crs) for line in lines]
        found.append(gpd.GeoDataFrame({**table, "length_m": lengths}, geometry=list(lines),
                                      crs=frame.crs))  # fmt: skip
    filled = [lines for lines in found if len(lines)] or found[:1]
    return gpd.GeoDataFrame(pd.concat(filled, ignore_index=True), crs=frame.crs)


def _lines(rows: gpd.GeoDataFrame, source: Path, options: LineOptions) -> Any:
    shapes = np.asarray(rows.geometry.array, dtype=object)
    if np.isin(shapely.get_type_id(shapes), (1, 5)).all():
        return shapely.get_parts(shapes)
    other = extent = None
    if options.between:
        if options.column not in rows:
            known = ", ".join(map(str, rows.columns))
            raise GeoreferenceError(f"there is no column {options.column!r}; there is: {known}")
        labels = rows[options.column].astype(str)
        one, two = (rows[labels == name] for name in options.between)
        for name, chosen in zip(options.between, (one, two), strict=True):
            if not len(chosen):
                known = ", ".join(sorted(labels.unique()))
                raise GeoreferenceError(f"there is no class {name!r}; there is: {known}")
        rows, other = one, polygons_in(two, source)
    if options.extent is not None:
        ground = read_layer(options.extent)
        moved = (
            ground.to_crs(rows.crs) if ground.crs is not None and rows.crs is not None else ground
        )
        extent = polygons_in(moved, options.extent)
    shape = polygons_in(rows, source)
    if options.centre:
        return centre_lines(shape, crs=rows.crs)
    return boundary_lines(shape, other=other, extent=extent, margin=options.margin, crs=rows.crs)


def changed(
    lines: gpd.GeoDataFrame, how: TransectOptions, date: str, pick: str, baseline: Path | None
) -> gpd.GeoDataFrame:
    """Return transects with their change between dates."""
    if date not in lines:
        raise GeoreferenceError(
            f"change needs a column of dates; there is no {date!r} (see --date)"
        )
    if baseline is not None:
        given = read_layer(baseline)
        same = given.crs is None or lines.crs is None
        base = shapely.union_all((given if same else given.to_crs(lines.crs)).geometry.to_numpy())
    else:
        oldest = lines[lines[date] == lines[date].min()]
        longest = oldest.geometry[oldest["length_m"].idxmax()]
        base = smooth_lines([longest], how.spacing / 2, lines.crs)[0]
    base = shapely.line_merge(base) if isinstance(base, shapely.MultiLineString) else base
    ways = transects(base, how, lines.crs)
    return rates(ways, crossings(ways, lines, date, pick))


def _metres(line: Any, crs: Any) -> float:
    alone = np.array([line], dtype=object)
    if crs is not None and crs.is_geographic:
        return float(crs.get_geod().geometry_length(line))
    from geoiseg.coverage.frame import Frame

    return float(shapely.length(Frame.of(alone, crs, 0.0).into(alone))[0])


def _summary(result: gpd.GeoDataFrame) -> dict[str, Any]:
    """Return counts and medians, ready for JSON."""
    middle = {f"median_{name}": result[name].median() for name in ("nsm_m", "epr", "lrr")}
    return {
        "transects": len(result),
        "measured": int(result["epr"].notna().sum()),
        **{name: None if pd.isna(value) else float(value) for name, value in middle.items()},
    }
