"""The end of a run: what its ledger holds as a file, and what is told of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import shapely

from geoiseg.atomic import written
from geoiseg.errors import PromptError
from geoiseg.files import begin_with, export_features, write_picture
from geoiseg.raster import measure
from geoiseg.tiled.assemble import number_objects, objects
from geoiseg.tiled.fiboa import as_fiboa
from geoiseg.tiled.judged import Quality
from geoiseg.tiled.ledger import Ledger
from geoiseg.tiled.options import OWN_COLUMNS
from geoiseg.tiled.prepare import Run
from geoiseg.tiled.prompted import items_frame
from geoiseg.tiled.quicklook import QuickLook
from geoiseg.tiled.report import FailedArea, MapReport, MissingObject, Refined
from geoiseg.tiled.shared import sharing
from geoiseg.tiled.worker import peak_memory
from geoiseg.tiled.writer import (
    Provenance,
    frames,
    write_gpkg,
    write_label_raster,
    write_parquet,
)


@dataclass(slots=True)
class Tally:
    """What was counted while results came back."""

    pixels: int = 0
    peak: int = 0
    area_m2: float = 0.0
    objects: int = 0
    quality: Quality | None = None
    """By labels."""
    refined: Refined | None = None
    """Outlines."""


def write(run: Run, ledger: Ledger, tally: Tally, quicklook: Path | None) -> None:
    """Write the output and the picture, and count what is in them.

    Raises:
        ExportError: The output can not be written.
        PromptError: Not one object of the prompts was found.
    """
    look = None if quicklook is None else QuickLook(run.raster, run.level)
    if run.groups is None:
        tally.objects = _write_found(run, ledger, tally, look)
        tally.quality = None if run.judge is None else run.judge.quality()
    else:
        tally.objects = _write_prompted(run, ledger, tally)
    if look is not None and quicklook is not None:
        write_picture(look.picture, quicklook)


def _write_found(run: Run, ledger: Ledger, tally: Tally, look: QuickLook | None) -> int:
    least = 1 if run.options.coverage else run.options.min_area
    count = number_objects(ledger, run.plan, least)
    info = run.model.info
    about = Provenance(run.options.label, info.name, info.weights_hash,
                       run.grid.pixel_size_metres(), run.raster.name)  # fmt: skip
    if run.wording is not None:
        engine, said = run.wording.engine(run.model), run.wording.options
        about = replace(about, label=about.label or run.wording.label, model=engine.name,
                        weights=engine.weights, words=run.wording.label,
                        negative=said.negative, by=run.wording.by)  # fmt: skip
    found = objects(ledger)
    if run.options.coverage:
        found = sharing(found, run.options.simplify)
    if run.judge is not None:
        found = run.judge.passing(found)
    if look is not None:
        found = look.passing(found)
    suffix = run.out.suffix.lower()
    with written(run.out) as target:
        if suffix == ".tif":
            for item in found:
                moved = shapely.transform(item.geometry, run.grid.to_crs)
                tally.area_m2 += _positive(measure(moved, run.grid.crs)[0])
            write_label_raster(ledger, run.plan, run.grid, target, count)
            return count
        begin_with(run.out, target)
        tables: Iterator[Any] = (_counted(table, tally) for table in frames(found, run.grid, about))
        if run.options.columns != OWN_COLUMNS:
            tables = map(as_fiboa, tables)
        writer: Callable[..., int] = write_gpkg if suffix == ".gpkg" else write_parquet
        return writer(tables, target)


def _counted(table: Any, tally: Tally) -> Any:
    tally.area_m2 += float(table["area_m2"].sum())
    return table


def _positive(area: float) -> float:
    return area if area > 0 else 0.0


def _write_prompted(run: Run, ledger: Ledger, tally: Tally) -> int:
    kinds = next((item.kinds for group in run.groups or () for item in group.objects), {})
    frame = items_frame(ledger.items(), run.raster.grid.crs, kinds)
    if not len(frame):
        reason = next((item.error for item in ledger.items() if item.error), "every tile failed")
        raise PromptError(f"no object was found: {reason}")
    tally.area_m2 = float(frame["area_m2"].astype(float).sum())
    if run.options.refine is not None:
        tally.refined = _refined(frame, run.raster.grid.pixel_size_metres())
    if run.options.columns != OWN_COLUMNS:
        frame = as_fiboa(frame)
    export_features(frame, run.out, grid=run.raster.grid)
    return len(frame)


def _refined(frame: Any, metres: float | None) -> Refined:
    good = frame["fits"].astype(bool)
    moved = frame.loc[good, "moved_m"].dropna().astype(float)
    middle = float(moved.median()) if len(moved) else None
    return Refined(len(frame), int(good.sum()), middle, "px" if metres is None else "m")


def report(run: Run, ledger: Ledger, tally: Tally, seconds: float) -> MapReport:
    """Return what was done, what failed and what was not found."""
    failures = tuple(
        FailedArea(part.number, run.bounds(part.number), part.error, part.attempts)
        for part in ledger.failures()
    )
    missing = tuple(MissingObject(i.name, i.error) for i in ledger.items() if i.error is not None)
    return MapReport(
        out=run.out,
        raster=run.raster.name,
        model=run.model.info.name,
        tiles=len(run.tasks(run.numbers)),
        windows=0 if run.groups is not None else len(run.numbers),
        objects=tally.objects,
        area_m2=tally.area_m2,
        megapixels=tally.pixels / 1e6,
        seconds=seconds,
        peak_mb=max(tally.peak, peak_memory()) / 1e6,
        phases=ledger.seconds(),
        failures=failures,
        missing=missing,
        quality=tally.quality,
        refined=tally.refined,
        scales=run.choice.scales if run.choice else (),
        looked=run.choice.text() if run.choice else "",
    )
