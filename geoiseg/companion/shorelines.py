"""Shorelines of polygons or in a raster, and their change between dates: a long job."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geoiseg.companion.fields import Fields
from geoiseg.companion.jobs import Told, becoming, heed, vectors_at
from geoiseg.errors import GeoreferenceError
from geoiseg.segment import Watch


@dataclass(frozen=True, slots=True)
class Measuring:
    """How change is measured along transects."""

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
            raise GeoreferenceError("a tide correction takes both tides and the beach's slope")
        if self.spacing is not None and self.transects is not None:
            raise GeoreferenceError("give a spacing or transects that are there, not both")
        if not self.wanted and (self.table is not None or self.tides is not None):
            raise GeoreferenceError("distances need transects: give a spacing, or transects")

    @property
    def read(self) -> tuple[Path | None, ...]:
        """The files that are read for it."""
        return self.baseline, self.transects, self.tides

    @property
    def wanted(self) -> bool:
        """Whether change is measured at all."""
        return self.spacing is not None or self.transects is not None


def shoreline(fields: Fields, watch: Watch, tell: Told) -> dict[str, Any]:
    """Write shorelines, or transects with rates of change, and return how long or many."""
    from geoiseg.files import appended, check_apart, check_layer_free, export_features

    out, append = vectors_at(fields.path("out")), fields.flag("append")
    source, raster = fields.path("input", None), fields.text("raster", None)
    if (source is None) == (raster is None):
        raise GeoreferenceError("give polygons or lines, or a raster with an index: one of both")
    date = fields.text("date", "date")
    drawing: Any = _from_layer(fields, date) if raster is None else _from_raster(fields, date)
    measuring = _measuring(fields)
    more = becoming(fields, out)
    fields.done()
    ground = drawing.extent if source is not None else drawing[0].near
    for one in (out, measuring.table):
        check_apart(one, source, raster, ground, *measuring.read)
    check_layer_free(out)
    if source is not None:
        lines, facts = _drawn(source, drawing, measuring, watch, tell)
    else:
        lines, facts = _seen(str(raster), drawing, tell)
    heed(watch)
    if append:
        lines = appended(lines, out)
    facts |= {"out": str(out), "lines": len(lines)}
    if measuring.wanted:
        tell(0.6, "measuring the change along transects")
        lines = _measured(lines, date, measuring)
        facts |= {"transects": len(lines), "measured": int(lines["epr"].notna().sum())}
    else:
        facts["length_m"] = float(lines["length_m"].sum())
    heed(watch)
    tell(0.9, f"writing {len(lines)} lines")
    export_features(lines, out, **more)
    return facts


def _from_layer(fields: Fields, date: str) -> Any:
    """Return how lines are drawn of polygons."""
    from geoiseg.files import LineOptions

    between = fields.names("between")
    if len(between) not in (0, 2):
        raise GeoreferenceError(f"between names two classes, got {', '.join(between)}")
    return LineOptions(
        extent=fields.path("extent", None),
        between=(between[0], between[1]) if between else None,
        column=fields.text("column", "label"),
        date=date,
        margin=float(fields.number("margin", 0.0)),
        deviation=float(fields.number("deviation", 0.0)),
        centre=fields.flag("centre"),
    )


def _from_raster(fields: Fields, date: str) -> tuple[Any, tuple[int | str, ...] | None]:
    """Return how lines are drawn in a raster, and what its bands are."""
    from geoiseg.files import RasterLineOptions
    from geoiseg.outline.shoreline import WaterlineOptions

    drawing = WaterlineOptions(
        fields.text("index", "mndwi"),
        fields.number("threshold", None),
        fields.text("method", "otsu"),
        fields.whole("reach", 5),
    )
    options = RasterLineOptions(
        drawing,
        near=fields.path("near", None),
        label=fields.text("label", None),
        column=fields.text("column", "label"),
        when=fields.text("on", None),
        date=date,
        least=float(fields.number("least", 0.0)),
    )
    return options, fields.bands("bands") or None


def _measuring(fields: Fields) -> Measuring:
    return Measuring(
        fields.number("spacing", None),
        fields.number("length", None),
        fields.text("side", "both"),
        fields.text("pick", "nearest"),
        fields.path("baseline", None),
        fields.path("transects", None),
        fields.path("table", None),
        fields.path("tides", None),
        fields.number("slope", None),
        float(fields.number("tide_level", 0.0)),
    )


def _drawn(
    source: Path, options: Any, measuring: Measuring, watch: Watch, tell: Told
) -> tuple[Any, dict[str, Any]]:
    """Return the lines of a layer, and a line for what was left out."""
    from geoiseg.files import drawn, read_layer, usable

    tell(0.05, f"reading {source.name}")
    frame, told = usable(read_layer(source), options, with_rates=measuring.wanted)
    heed(watch)
    tell(0.2, f"drawing the lines of {len(frame)} features")
    lines = drawn(frame, source, options)
    if not len(lines):
        raise GeoreferenceError("there is no shoreline inside the extent")
    return lines, {"problems": [f"{one}: left out" for one in told]}


def _seen(raster: str, drawing: Any, tell: Told) -> tuple[Any, dict[str, Any]]:
    """Return the lines in a raster, and what is known of them."""
    from geoiseg.files import drawn_from_raster
    from geoiseg.raster import open_raster

    options, bands = drawing
    tell(0.05, f"reading {raster}")
    with open_raster(raster, bands) as opened:
        lines = drawn_from_raster(opened, options)
    if not len(lines):
        raise GeoreferenceError(f"{raster} has no line of water where it was looked for")
    said = {name: float(lines[name].iloc[0]) for name in ("threshold", "error_px", "error_m")}
    known = {name: value if math.isfinite(value) else None for name, value in said.items()}
    return lines, {"index": str(lines["index"].iloc[0]), **known, "problems": []}


def _measured(lines: Any, date: str, how: Measuring) -> Any:
    """Return transects with the rates of change, and write the table of distances."""
    from geoiseg.files import TideOptions, cast, crossed, given_transects
    from geoiseg.outline.shoreline import TransectOptions, distances, rates

    if how.spacing is None:
        assert how.transects is not None  # noqa: S101 - see ``wanted``
        ways = given_transects(how.transects, lines.crs)
    else:
        spaced = TransectOptions(how.spacing, float(how.length or 10 * how.spacing), how.side)
        ways = cast(lines, spaced, date, how.baseline)
    tide = None
    if how.tides is not None and how.slope is not None:
        tide = TideOptions(how.tides, how.slope, how.tide_level)
    points = crossed(ways, lines, date, how.pick, tide)
    if how.table is not None:
        _write(distances(points, date), how.table)
    return rates(ways, points)


def _write(table: Any, path: Path) -> None:
    from geoiseg.atomic import written
    from geoiseg.errors import ExportError

    try:
        with written(path) as target:
            table.to_csv(target, float_format="%.2f")
    except OSError as error:
        raise ExportError(f"can not write {path}: {error}") from error
