"""``geoiseg segment``: from a raster and a file of prompts to a layer."""

from __future__ import annotations

import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from geoiseg.atomic import check_place
from geoiseg.cli.options import (
    Bands,
    bands_option,
    chosen_model,
    chosen_options,
    gsd_option,
    model_option,
)
from geoiseg.cli.refine import refine_options, refine_outlines, wants_refining
from geoiseg.console import bar_options
from geoiseg.errors import PromptError
from geoiseg.features import read_schema
from geoiseg.files import check_apart, check_format, check_layer_free, check_replaceable
from geoiseg.outline import Line, OutlineOptions
from geoiseg.plain_json import json_text
from geoiseg.raster import open_raster
from geoiseg.segment import Watch
from geoiseg.session import Session, line_of_project
from geoiseg.tiled import (
    MapOptions,
    ObjectResult,
    PromptedObject,
    read_prompts,
    segment_objects,
)


@click.command()
@click.argument("raster")
@click.argument("prompts", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@model_option
@gsd_option
@click.option("--detail", type=click.Choice(["native", "seen"]),
              help="Objects larger than a chip: to their end, their borders at the raster's"
              " resolution (or --gsd); or as they were seen. [default: native; those of a"
              " project as their steps say]")  # fmt: skip
@bands_option
@click.option("--layer", help="Layer of PROMPTS. [default: prompts of a project, else the first]")
@click.option("--simplify", default=0.0, show_default=True, help="Tolerance in pixels.")
@click.option("--smooth", default=0, show_default=True, help="Rounds of corner cutting.")
@click.option("--square", is_flag=True, help="Make right angles, for buildings.")
@click.option("--straight", default=0.0, show_default=True,
              help="Straight edges at any angle, for parcels: how far outlines stray from them, in"
              " pixels; 1.5 to 3.")  # fmt: skip
@click.option("--outline", "line", type=click.Choice(["contour", "pixels"]),
              help="Between the centres of pixels without stairs, or along their edges."
              " [default: contour; for a project, its own]",
              )  # fmt: skip
@click.option("--holes", default=0.0, help="Fill holes of less ground, in square metres.")
@click.option("--parts", default=0.0, help="Drop parts of less ground, in square metres.")
@click.option("--grow", default=0.0, help="Move outlines outwards by metres; below 0: inwards.")
@click.option("--project", type=click.Path(path_type=Path), help="Also keep a project file.")
@click.option("--schema", type=click.Path(path_type=Path),
              help="JSON file with the fields of each class.")  # fmt: skip
@click.option("--snap", type=click.FloatRange(min=0), default=0.0, show_default=True,
              help="Metres within which an object takes over its neighbours' borders.")  # fmt: skip
@click.option("--qgis", type=click.Path(path_type=Path),
              help="Also write a QGIS project (.qgz) with raster and objects.")  # fmt: skip
@refine_options
@click.option("--json", "as_json", is_flag=True, help="Report as JSON on standard output.")
def segment(raster: str, prompts: Path, out: Path, **given: Any) -> None:
    """Segment the objects that PROMPTS marks on RASTER, and write them to OUT.

    PROMPTS is any vector file: points (column positive, 1 or 0), polygons (column kind, box
    or region), lines as scribbles. Rows with the same object make one object. OUT is .gpkg,
    .shp, .geojson, .fgb, .parquet, or .tif for a mask.

    With --refine, PROMPTS are polygons that others drew, whose borders move to RASTER; each
    says how far, and whether it still fits.
    """
    names = {field.name for field in fields(Asked)}
    asked = Asked(**{name: value for name, value in given.items() if name in names})
    refining = {name: value for name, value in given.items() if name not in names}
    if wants_refining(refining):
        how = MapOptions(gsd=asked.gsd, outline=asked.outline(prompts), running=chosen_options())
        files = (open_raster(raster, asked.bands), prompts, out)
        not_with_it = (refining, asked.of_a_session())
        refine_outlines(files, asked.model, how, not_with_it, as_json=asked.as_json)
        return
    _check_outputs((out, asked.project, asked.qgis), (raster, prompts), asked.layer)
    session = asked.session(raster, prompts)
    objects = read_prompts(prompts, session.raster.grid, asked.gsd, asked.layer)
    sharpen = None if asked.detail is None else asked.detail == "native"
    results = _segmented(session, objects, sharpen=sharpen)
    problems = _told_problems(results, quiet=asked.as_json)
    found = [result for result in results if result.feature_id is not None]
    if not found:
        reason = results[0].error if results else "stopped before the first"
        raise PromptError(f"no object was found: {reason}")
    session.export(out, project=asked.qgis or False)
    if asked.project is not None:
        session.save(asked.project)
    if asked.as_json:
        click.echo(json_text(report(session, results, out), indent=2))
    else:
        click.echo(f"{len(found)} of {len(objects)} objects written to {out}")
    if len(found) < len(objects) or problems:
        sys.exit(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the user said besides the files, by the names of the options."""

    model: str
    gsd: float | None
    detail: str | None
    bands: Bands
    layer: str | None
    simplify: float
    smooth: int
    square: bool
    straight: float
    line: Line | None
    holes: float
    parts: float
    grow: float
    project: Path | None
    schema: Path | None
    snap: float
    qgis: Path | None
    as_json: bool

    def outline(self, prompts: Path) -> OutlineOptions:
        """Return how outlines are drawn; along what a project does where prompts are of one."""
        line = self.line or line_of_project(prompts) or "contour"
        return OutlineOptions(self.simplify, self.smooth, self.square, line=line,
                              holes=self.holes, parts=self.parts, grow=self.grow,
                              straight=self.straight)  # fmt: skip

    def of_a_session(self) -> dict[str, Any]:
        """Return what goes with a session only, by option; None where it was not said."""
        return {"--layer": self.layer, "--project": self.project, "--schema": self.schema,
                "--snap": self.snap or None, "--qgis": self.qgis}  # fmt: skip

    def session(self, raster: str, prompts: Path) -> Session:
        """Return a session on a raster."""
        made = Session(open_raster(raster, self.bands), chosen_model(self.model), gsd=self.gsd,
                       outline=self.outline(prompts))  # fmt: skip
        made.snap = self.snap
        if self.schema is not None:
            made.schema = read_schema(self.schema)
        return made


def _segmented(
    session: Session, objects: list[PromptedObject], *, sharpen: bool | None
) -> list[ObjectResult]:
    """Return what became of the objects, with a bar; of those that were done, if it is stopped."""
    results: list[ObjectResult] = []
    with tqdm(total=len(objects), unit="object", **bar_options()) as bar:

        def keep(result: ObjectResult) -> None:
            results.append(result)
            bar.set_postfix_str("", refresh=False)
            bar.update()

        def tell(phase: str) -> None:
            if "chip" in phase:  # of an object that is larger than one: what takes long
                bar.set_postfix_str(phase)

        try:
            segment_objects(session, objects, keep, sharpen=sharpen, watch=Watch(tell))
        except KeyboardInterrupt:
            click.echo(f"geoiseg: stopped after {len(results)} objects", err=True)
    return results


def _told_problems(results: list[ObjectResult], *, quiet: bool) -> list[str]:
    """Return what was not done, a line each; said on standard error unless ``quiet``."""
    problems = [result.problem for result in results if result.problem]
    for problem in [] if quiet else problems:
        click.echo(f"geoiseg: {problem}", err=True)
    return problems


def _check_outputs(
    made: tuple[Path, Path | None, Path | None], inputs: tuple[str, Path], layer: str | None
) -> None:
    """Make sure, before the work, that all can be written and nothing that is there is lost."""
    out, _, qgis = made
    check_format(out)
    for one in made:
        if one is not None:
            check_place(one)
    check_layer_free(out)
    for one in made:
        check_apart(one, *inputs, layer=layer)
    check_replaceable(qgis)


def report(session: Session, results: list[ObjectResult], out: Path) -> dict[str, Any]:
    """Return what was done, ready for JSON."""
    by_id = session.features.set_index("id")
    rows = []
    for result in results:
        row: dict[str, Any] = {"object": result.name, "label": result.label, "error": result.error,
                               "left_out": list(result.left_out)}  # fmt: skip
        if result.feature_id is not None:
            feature = by_id.loc[result.feature_id]
            row |= {
                "id": result.feature_id,
                "score": result.score,
                "area_m2": _number(feature["area_m2"]),
                "perimeter_m": _number(feature["perimeter_m"]),
                "compactness": _number(feature["compactness"]),
                "milliseconds": {k: round(v, 1) for k, v in result.milliseconds.items()},
            }
        rows.append(row)
    return {
        "out": str(out),
        "raster": session.raster.name,
        "model": session.model.info.name,
        "found": sum(result.feature_id is not None for result in results),
        "objects": rows,
    }


def _number(value: float) -> float | None:
    return None if value != value else float(value)  # noqa: PLR0124 - NaN is not JSON
