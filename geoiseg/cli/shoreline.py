"""``geoiseg shoreline``: borders of polygons or in rasters, centre lines, change between dates."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import click
import geopandas as gpd
import pandas as pd

from geoiseg.atomic import written
from geoiseg.errors import ExportError, GeoreferenceError
from geoiseg.files import (
    LineOptions,
    RasterLineOptions,
    TideOptions,
    appended,
    cast,
    check_apart,
    check_format,
    check_layer_free,
    crossed,
    drawn,
    drawn_from_raster,
    export_features,
    given_transects,
    read_layer,
    usable,
)
from geoiseg.outline.shoreline import TransectOptions, WaterlineOptions, distances, rates
from geoiseg.outline.shoreline.cut import METHODS
from geoiseg.outline.shoreline.transects import PICKS, SIDES
from geoiseg.plain_json import json_text
from geoiseg.raster import open_raster

T = TypeVar("T")
_METRES = click.FloatRange(min=0)
_LENGTH = click.FloatRange(min=0, min_open=True)
_PATH = click.Path(path_type=Path)


@dataclass(frozen=True, slots=True)
class Measuring:
    """How change is measured."""

    date: str
    spacing: float | None
    length: float | None
    side: str
    pick: str
    baseline: Path | None
    transects: Path | None
    table: Path | None
    tides: Path | None
    slope: float | None
    tide_level: float

    def __post_init__(self) -> None:
        if (self.tides is None) != (self.slope is None):
            raise click.UsageError("a tide correction takes both --tides and --slope")
        if self.spacing is not None and self.transects is not None:
            raise click.UsageError("give --spacing or --transects, not both")
        if not self.wanted and (self.table is not None or self.tides is not None):
            raise click.UsageError("distances need transects: --spacing or --transects")

    @property
    def wanted(self) -> bool:
        """Whether it is measured at all."""
        return self.spacing is not None or self.transects is not None

    def ways(self, lines: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
        """Return the transects."""
        if self.spacing is None:
            assert self.transects is not None  # noqa: S101 - see ``wanted``
            return given_transects(self.transects, lines.crs)
        how = TransectOptions(self.spacing, self.length or 10 * self.spacing, self.side)
        return cast(lines, how, self.date, self.baseline)

    @property
    def tide(self) -> TideOptions | None:
        """How distances are brought to one level of the sea; None where they are not."""
        if self.tides is None or self.slope is None:
            return None
        return TideOptions(self.tides, self.slope, self.tide_level)


@click.command()
@click.argument("source", metavar="IN", type=_PATH)
@click.argument("out", type=_PATH)
@click.option("--index", help="IN is a raster: draw where this passes its threshold, below a"
              " pixel; high on water, e.g. mndwi or ndwi.")  # fmt: skip
@click.option(
    "--threshold", type=float, help="Where water begins. [default: found near the border]"
)
@click.option("--method", type=click.Choice(METHODS), default="otsu", show_default=True,
              help="How the threshold is found.")  # fmt: skip
@click.option("--near", type=_PATH, help="Polygons of the water, e.g. a project: look for the line"
              " near their border alone.")  # fmt: skip
@click.option("--label", help="Only those of this class.")
@click.option("--reach", type=click.IntRange(min=1), default=5, show_default=True,
              help="Pixels on either side of the border.")  # fmt: skip
@click.option("--least", type=_METRES, default=0.0, show_default=True,
              help="Metres of the shortest line.")  # fmt: skip
@click.option("--bands", help="What the bands of the raster are, e.g. green=2,nir=4.")
@click.option("--sensor", help="What took the raster, e.g. sentinel-2-l2a.")
@click.option("--on", "when", help="Date of the raster, e.g. 2024-05-17 or 2024-05-17T10:30.")
@click.option("--append", is_flag=True, help="Keep the lines that are in OUT, and add to them.")
@click.option("--layer", help="Layer of IN. [default: features, else the first]")
@click.option("--extent", type=_PATH,
              help="Polygons of the valid ground: their boundary is no shore.")  # fmt: skip
@click.option(
    "--between", nargs=2, metavar="A B", help="Two classes: only the boundary between them."
)
@click.option("--column", default="label", show_default=True, help="Column of the class.")
@click.option("--margin", type=_METRES, default=0.0, show_default=True,
              help="Metres within which a line is on --extent's boundary, or shared.")  # fmt: skip
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
@click.option("--baseline", type=_PATH,
              help="Lines to cast transects from. [default: the oldest]")  # fmt: skip
@click.option("--transects", type=_PATH, help="Transects that are there, each from land to sea.")
@click.option("--table", type=_PATH,
              help="Write the distances to this CSV: dates by transects.")  # fmt: skip
@click.option("--tides", type=_PATH, help="CSV of date and tide in metres, to correct distances.")
@click.option("--slope", type=_LENGTH, help="Of the beach, rise over run, e.g. 0.08.")
@click.option("--tide-level", type=float, default=0.0, show_default=True,
              help="Metres of the sea that distances are brought to.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Report as JSON on standard output.")
def shoreline(source: Path, out: Path, *, as_json: bool, **given: Any) -> None:
    """Draw the shorelines of IN, and write them to OUT.

    IN has polygons, or lines already, or with --index is a raster, in which the line is drawn below
    a pixel. With a column of dates there is one shoreline for each, and with --spacing or
    --transects OUT has transects with their change: net movement (nsm_m), envelope (sce_m), end
    point rate (epr) and linear regression rate (lrr) in metres a year. OUT is .gpkg, .shp,
    .geojson, .fgb or .parquet.
    """
    if check_format(out) == ".tif":
        raise ExportError(f"{out.name!r}: lines are written as vectors; use e.g. .gpkg")
    measuring = _of(Measuring, given)
    check_layer_free(out)
    check_apart(out, source, layer=given["layer"])
    read = [given[name] for name in ("extent", "near", "baseline", "transects", "tides")]
    check_apart(out, *read)
    check_apart(given["table"], source, *read)
    told: list[str] = []
    if given["index"]:
        lines = _from_raster(source, given)
    else:
        lines, told = _from_layer(source, given, with_rates=measuring.wanted)
    for line in told:
        click.echo(f"geoiseg: {line}: left out", err=True)
    facts: dict[str, Any] = {"out": str(out), "lines": len(lines), "left_out": told}
    if given["index"]:
        facts |= _known(lines)
    if given["append"]:
        lines = appended(lines, out)
    if not measuring.wanted:
        export_features(lines, out)
        facts["length_m"] = float(lines["length_m"].sum())
        said = f"{len(lines)} lines of {facts['length_m'] / 1000:.1f} km written to {out}"
    else:
        ways = measuring.ways(lines)
        points = crossed(ways, lines, measuring.date, measuring.pick, measuring.tide)
        result = rates(ways, points)
        export_features(result, out)
        if measuring.table is not None:
            _write_table(distances(points, measuring.date), measuring.table)
        facts |= _summary(result)
        said = f"{len(result)} transects written to {out}, {facts['measured']} of them with a rate"
    if given["index"]:
        said += (
            f"; {facts['index']} > {facts['threshold']:.3f}, the line may be off by"
            f" {facts['error_px']:.2f} pixels"
        )
        said += "" if facts["error_m"] is None else f" ({facts['error_m']:.1f} m)"
    click.echo(json_text(facts, indent=2) if as_json else said)


def _of(kind: type[T], given: dict[str, Any]) -> T:
    """Return the options of one kind out of all."""
    return kind(**{one.name: given[one.name] for one in fields(kind)})  # type: ignore[arg-type]


def _from_layer(
    source: Path, given: dict[str, Any], *, with_rates: bool
) -> tuple[gpd.GeoDataFrame, list[str]]:
    """Return the lines of a layer, and a line for each sort of rows that none are drawn of."""
    if given["near"] is not None or given["when"] is not None:
        raise click.UsageError("--near and --on go with a raster and --index")
    options = _of(LineOptions, given)
    frame, told = usable(read_layer(source, given["layer"]), options, with_rates=with_rates)
    lines = drawn(frame, source, options)
    if not len(lines):
        raise GeoreferenceError(f"{source} has no shoreline inside the extent")
    return lines, told


def _from_raster(source: Path, given: dict[str, Any]) -> gpd.GeoDataFrame:
    drawing = WaterlineOptions(given["index"], given["threshold"], given["method"], given["reach"])
    names = ("near", "label", "column", "when", "date", "least")
    options = RasterLineOptions(drawing, **{name: given[name] for name in names})
    with open_raster(source, given["bands"], sensor=given["sensor"]) as raster:
        lines = drawn_from_raster(raster, options)
    if not len(lines):
        raise GeoreferenceError(f"{source} has no line of water where it was looked for")
    return lines


def _known(lines: gpd.GeoDataFrame) -> dict[str, Any]:
    """Return what is known of the lines of a raster, ready for JSON."""
    values = {name: float(lines[name].iloc[0]) for name in ("threshold", "error_px", "error_m")}
    known = {name: value if math.isfinite(value) else None for name, value in values.items()}
    return {"index": str(lines["index"].iloc[0]), **known}


def _write_table(table: pd.DataFrame, path: Path) -> None:
    try:
        with written(path) as target:
            table.to_csv(target, float_format="%.2f")
    except OSError as error:
        raise ExportError(f"can not write {path}: {error}") from error


def _summary(result: gpd.GeoDataFrame) -> dict[str, Any]:
    """Return counts and medians, ready for JSON."""
    middle = {f"median_{name}": result[name].median() for name in ("nsm_m", "epr", "lrr")}
    return {
        "transects": len(result),
        "measured": int(result["epr"].notna().sum()),
        **{name: None if pd.isna(value) else float(value) for name, value in middle.items()},
    }
