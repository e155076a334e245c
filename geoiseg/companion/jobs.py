"""The long jobs: from files to a file, as the commands of the same names do them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from geoiseg.companion.fields import Fields
from geoiseg.companion.shapes import shape_of
from geoiseg.errors import CancelledError, ExportError, PromptError
from geoiseg.models import DEFAULT_MODEL, ModelOptions, get_model
from geoiseg.raster import open_raster
from geoiseg.segment import Watch

Told = Callable[[float | None, str], None]
LISTED = 20
"""Objects that were not found which an answer names."""


def segment(fields: Fields, watch: Watch, tell: Told) -> dict[str, Any]:
    """Write the objects that a file of prompts marks, and return how many were found."""
    from geoiseg.atomic import check_place
    from geoiseg.features import read_schema
    from geoiseg.files import check_apart, check_format, check_layer_free
    from geoiseg.session import Session, line_of_project
    from geoiseg.tiled import ObjectResult, read_prompts, segment_objects

    raster, prompts, out = fields.text("raster"), fields.path("prompts"), fields.path("out")
    bands, gsd = fields.bands("bands") or None, fields.number("gsd", None)
    shape = shape_of(fields, line_of_project(prompts) or "contour")
    sharp = {"native": True, "seen": False}.get(fields.text("detail", "auto"))
    snap, schema = fields.number("snap", 0.0), fields.path("schema", None)
    name, running = model_of(fields)
    more = becoming(fields, out)
    fields.done()
    check_format(out)
    check_place(out)
    check_apart(out, raster, prompts)
    check_layer_free(out)
    tell(0.0, f"opening {raster}")
    model = get_model(name, running)
    session = Session(open_raster(raster, bands), model, gsd=gsd, outline=shape)
    session.snap = float(snap)
    if schema is not None:
        session.schema = read_schema(schema)
    objects = read_prompts(prompts, session.raster.grid, gsd)
    results: list[ObjectResult] = []

    def keep(result: ObjectResult) -> None:
        results.append(result)
        tell(len(results) / len(objects), f"{len(results)} of {len(objects)} objects")
        heed(watch)

    def told(phase: str) -> None:
        if "chip" in phase:  # what takes long
            done = len(results)
            tell(done / len(objects), f"{done} of {len(objects)} objects; {phase}")

    heed(watch)
    watch.tell = told
    segment_objects(session, objects, keep, sharpen=sharp, watch=watch)
    lost = [result for result in results if result.feature_id is None]
    if len(lost) == len(results):
        raise PromptError(f"no object was found: {lost[0].error if lost else 'there are none'}")
    session.export(out, **more)
    problems = [result.problem for result in results if result.problem]
    shown = problems[:LISTED]
    if len(problems) > LISTED:
        shown.append(f"... and {len(problems) - LISTED} more objects")
    return {
        "out": str(out), "found": len(results) - len(lost), "objects": len(objects),
        "problems": shown,
    }  # fmt: skip


def map_raster(fields: Fields, watch: Watch, tell: Told) -> dict[str, Any]:
    """Write the objects of a whole raster, and return how many there are."""
    from geoiseg.tiled import MapOptions, ledger_path, segment_raster

    raster, out = fields.text("raster"), fields.path("out")
    bands, resume = fields.bands("bands") or None, fields.flag("resume")
    again = fields.flag("again")  # a companion died on this very request
    how = {"scheduler": fields.text("scheduler", None), "workers": fields.whole("workers", None)}
    look = fields.path("quicklook", None)
    asked = {
        "spacing": fields.whole("spacing", None),
        "min_score": fields.number("min_score", None),
        "min_stability": fields.number("min_stability", None),
        "max_hidden": fields.number("max_hidden", None),
        "scales": fields.numbers("scales") or None,
        "batch": fields.whole("batch", None),
    }
    cutting: dict[str, Any] = {
        "gsd": fields.number("gsd", None),
        "window": fields.whole("window", None),
        "overlap": fields.whole("overlap", 128),
        "tile": fields.whole("tile", 1024),
        "min_area": fields.whole("min_area", 64),
        "mode": fields.text("mode", None),
        "aoi": fields.path("aoi", None),
        "label": fields.text("label", ""),
        "words": _words(fields),
        "labels": fields.path("labels", None),
        "keep_embeddings": fields.flag("keep_embeddings"),
        "coverage": fields.flag("coverage"),
        "simplify": float(fields.number("simplify", 0.0)),
    }
    name, running = model_of(fields)
    fields.done()
    tell(0.0, f"opening {raster}")
    given: dict[str, Any] = {key: value for key, value in asked.items() if value is not None}
    options = MapOptions(automatic=given, running=running, **cutting)

    def progress(done: int, total: int, text: str) -> None:
        tell(done / total if total else 1.0, text)
        heed(watch)

    report = segment_raster(
        open_raster(raster, bands), out, model=name, options=options, progress=progress,
        resume=resume or (again and ledger_path(out).exists()), quicklook=look, **how,
    )  # fmt: skip
    return {
        "out": str(out), "objects": report.objects, "area_m2": report.area_m2,
        "failed": len(report.failures), "problems": report.problems(),
        "said": [] if report.quality is None else report.quality.text().splitlines(),
    }  # fmt: skip


def refine(fields: Fields, watch: Watch, tell: Told) -> dict[str, Any]:
    """Write the outlines of a file, moved to the raster, and return how many still fit."""
    from geoiseg.tiled import MapOptions, RefineOptions, ledger_path, segment_raster

    raster, outlines, out = fields.text("raster"), fields.path("input"), fields.path("out")
    bands, gsd = fields.bands("bands") or None, fields.number("gsd", None)
    resume, again = fields.flag("resume"), fields.flag("again")
    how = {"scheduler": fields.text("scheduler", None), "workers": fields.whole("workers", None)}
    shape = shape_of(fields, "contour")
    same, most = fields.number("min_same", None), fields.number("max_moved", None)
    name, running = model_of(fields)
    fields.done()
    tell(0.0, f"opening {raster}")
    fits = RefineOptions(most=most) if same is None else RefineOptions(float(same), most=most)
    options = MapOptions(gsd=gsd, outline=shape, running=running, refine=fits)

    def progress(done: int, total: int, text: str) -> None:
        tell(done / total if total else 1.0, text)
        heed(watch)

    report = segment_raster(
        open_raster(raster, bands), out, model=name, prompts=outlines, options=options,
        progress=progress, resume=resume or (again and ledger_path(out).exists()), **how,
    )  # fmt: skip
    told = report.refined
    return {
        "out": str(out), "objects": report.objects, "fit": 0 if told is None else told.fit,
        "moved_m": None if told is None else told.moved_m, "problems": report.problems(),
    }  # fmt: skip


def clean(fields: Fields, watch: Watch, tell: Told) -> dict[str, Any]:
    """Write the polygons of a file as a clean coverage, and return what was changed."""
    from geoiseg.features import measured_anew
    from geoiseg.files import export_features, read_layer, rows_said
    from geoiseg.outline.coverage import CleanOptions
    from geoiseg.outline.coverage import clean as clean_coverage

    source, out = fields.path("input"), vectors_at(fields.path("out"))
    options = CleanOptions(
        rule=fields.text("rule", "order"),
        classes=fields.names("classes"),
        column=fields.text("column", None),
        gap=float(fields.number("gap", 0.0)),
        sliver=fields.number("sliver", None),
        simplify=float(fields.number("simplify", 0.0)),
        straight=float(fields.number("straight", 0.0)),
        smooth=fields.whole("smooth", 0),
        square=fields.flag("square"),
        max_area_change=float(fields.number("max_change", 0.01)),
    )
    more = becoming(fields, out)
    fields.done()
    tell(0.05, f"reading {source.name}")
    frame = read_layer(source)
    heed(watch)
    tell(0.2, f"cleaning {len(frame)} features")
    cleaned, report = clean_coverage(frame, options)
    heed(watch)
    tell(0.9, f"writing {len(cleaned)} features")
    export_features(measured_anew(cleaned), out, **more)
    lost = (*rows_said(report.blank, "no geometry"), *rows_said(report.lost, "no ground left"))
    problems = [f"{line}: left out" for line in lost]
    return {"out": str(out), "features": len(cleaned), "report": str(report), "problems": problems}


def _words(fields: Fields) -> Any:
    """Return what is looked for in words or by example; None where it is all objects."""
    from geoiseg.words import WordsOptions

    text, negative = fields.text("text", ""), fields.text("negative", "")
    engine, threshold = fields.text("engine", ""), fields.number("threshold", None)
    like, taught = fields.text("like", None), fields.text("taught", None)
    if text or like or taught:
        return WordsOptions(text, negative, engine, threshold, like, taught)
    if negative or engine or threshold is not None:
        raise PromptError("negative, engine and threshold go with a text or with examples")
    return None


def heed(watch: Watch) -> None:
    """Stop where the asker has called it off.

    Raises:
        CancelledError: It has.
    """
    if watch.cancelled():
        raise CancelledError("stopped")


def model_of(fields: Fields) -> tuple[str, ModelOptions]:
    """Return the name of the model that is asked for, and how it runs."""
    running = ModelOptions(
        fields.text("device", "auto"), fields.text("precision", "auto"),
        fields.text("backend", "auto"),
    )  # fmt: skip
    return fields.text("model", DEFAULT_MODEL), running


def becoming(fields: Fields, out: Path) -> dict[str, Any]:
    """Return what the asker is going to make of a GeoPackage, as ``export_features`` takes it."""
    suffix = fields.text("becomes", "")
    if suffix and out.suffix.lower() != ".gpkg":
        raise ExportError(f"only a GeoPackage can become another file, not {out.name!r}")
    return {"becomes": suffix} if suffix else {}


def vectors_at(out: Path) -> Path:
    """Return a place for vectors.

    Raises:
        ExportError: It is one of a raster.
    """
    from geoiseg.files import check_format

    if check_format(out) == ".tif":
        raise ExportError(f"{out.name!r}: this is written as vectors; use e.g. .gpkg")
    return out
