"""Run the demonstration: prompts, objects, layers, a picture and a report."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from geoiseg.demo.picture import Mark, Shape, draw, label_colors
from geoiseg.demo.places import smooth_places
from geoiseg.demo.report import ReportData, ReportRow, machine_facts, write_report
from geoiseg.demo.scene import Scene, make_scene
from geoiseg.errors import ExportError, PromptError
from geoiseg.files import write_picture
from geoiseg.models import DEFAULT_MODEL, Model
from geoiseg.outline import OutlineOptions
from geoiseg.prompting import Box, Point, Prompt, Scribble
from geoiseg.raster import Grid, Raster, open_raster
from geoiseg.segment import EmbeddingCache, Step
from geoiseg.session import Session
from geoiseg.tiled import ObjectResult, PromptedObject, segment_objects

PICTURE_SIDE = 1600
"""Longest side of the picture, in pixels."""
SCREEN_GSD = 2.0
"""Metres per pixel at which the lake and the fields are clicked, as one would on a screen."""
CLICKS = 5
"""Objects that are clicked on a raster of the user's own."""


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What to run the demonstration on."""

    out: Path
    """Folder for all files; made if it is not there."""
    raster: str | None = None
    """The user's own raster; None makes a scene."""
    model: str | Model = DEFAULT_MODEL
    size: int = 2048
    """Side of the made scene in pixels."""
    seed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class DemoResult:
    """What the demonstration made."""

    session: Session
    results: list[ObjectResult]
    iou: dict[str, float]
    """IoU with the truth by object; empty where there is none."""
    files: tuple[Path, ...]
    report: Path
    seconds: float


def run_demo(
    options: DemoOptions,
    tell: Callable[[str], Any] = lambda _: None,
    on_done: Callable[[int, int], Any] = lambda _done, _total: None,
) -> DemoResult:
    """Segment some objects and write everything into ``options.out``.

    Args:
        options: What to run on.
        tell: Called with each stage in words.
        on_done: Called after each object with how many are done, and of how many.

    Raises:
        ExportError: The folder can not be written.
        RasterError: The raster can not be read.
        PromptError: No object was found.
    """
    started = time.perf_counter()
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ExportError(f"can not make the folder {options.out}: {error.strerror}") from error
    scene = None
    if options.raster is None:
        tell(f"making a scene of {options.size} x {options.size} pixels")
        scene = make_scene(options.out / "scene.tif", options.size, options.seed)
    raster = open_raster(str(scene.path) if scene else options.raster)
    outlined = OutlineOptions(simplify=1.0)
    session = Session(raster, options.model, outline=outlined, cache=EmbeddingCache())
    objects = _scene_objects(scene) if scene else _chosen_objects(raster)
    tell(f"segmenting {len(objects)} objects with {session.model.info.name}")
    done: list[ObjectResult] = []

    def count(result: ObjectResult) -> None:
        done.append(result)
        on_done(len(done), len(objects))

    results = segment_objects(session, objects, count, sharpen=True)
    if not any(result.feature_id for result in results):
        raise PromptError(f"no object was found: {results[0].error}")
    tell("writing layers, picture and report")
    iou = {} if scene is None else _iou(scene, session, results)
    files = (*([scene.path] if scene else []), *_layers(session, options.out))
    picture = _picture(session, objects, options.out / "picture.png")
    files = (*files, options.out / "picture.png")
    seconds = time.perf_counter() - started
    data = ReportData(
        title="geoiseg demo",
        source=_source(raster),
        model=session.model.info.name,
        picture=picture,
        rows=tuple(_report_rows(session, results, iou)),
        files=files,
        how_to=how_to(session, Path()),
        seconds_total=seconds,
        machine=machine_facts(),
        summary=_summary(results, iou, made=scene is not None),
    )
    report = write_report(options.out / "report.html", data)
    return DemoResult(session, results, iou, files, report, time.perf_counter() - started)


def _scene_objects(scene: Scene) -> list[PromptedObject]:
    objects = []
    for name, group in groupby(scene.prompts, key=lambda row: row.object):
        rows = list(group)
        gsd = None if name == "sea" or any(row.kind == "box" for row in rows) else SCREEN_GSD
        steps = tuple(Step((_prompt(row.kind, row.xy_crs, row.positive),), gsd) for row in rows)
        objects.append(PromptedObject(name, steps, rows[0].label, {"object": name}))
    return objects


def _prompt(kind: str, xy_crs: tuple[tuple[float, float], ...], positive: bool) -> Prompt:
    if kind == "point":
        return Point(*xy_crs[0], positive)
    if kind == "box":
        return Box(*xy_crs[0], *xy_crs[1])
    return Scribble(xy_crs, positive)


def _chosen_objects(raster: Raster) -> list[PromptedObject]:
    """Return clicks in the middle of smooth areas, seen at the scale of an overview."""
    level = max(0, raster.grid.top_level - 2)
    grid = raster.grid.level(level)
    chip = raster.chip(grid.whole, level)
    places = smooth_places(chip.rgb, chip.valid, CLICKS)
    if not places:
        raise PromptError(f"{raster.name} has no data to click on")
    xy = grid.to_crs(places)
    return [
        PromptedObject(f"click-{n}", (Step((Point(float(x), float(y)),)),), f"click {n}", {})
        for n, (x, y) in enumerate(xy, 1)
    ]


def _iou(scene: Scene, session: Session, results: Iterable[ObjectResult]) -> dict[str, float]:
    found = {feature.id: feature.geometry for feature in session.accepted}
    scores = {}
    for result in results:
        truth = scene.truth_of(result.name)
        mine = found.get(result.feature_id) if result.feature_id is not None else None
        if mine is None:
            scores[result.name] = 0.0
            continue
        scores[result.name] = float(mine.intersection(truth).area / mine.union(truth).area)
    return scores


def _layers(session: Session, out: Path) -> list[Path]:
    files = [session.save(out / "objects.gpkg"), session.export(out / "objects.shp")]
    if session.raster.grid.crs is not None:
        files.append(session.export(out / "objects.geojson"))
    files.append(session.export(out / "mask.tif"))
    return files


def _picture(session: Session, objects: list[PromptedObject], path: Path) -> Any:
    raster = session.raster
    level = raster.grid.level_for_size(
        float(np.sqrt(np.prod(raster.grid.pixel_size))) * max(raster.grid.shape) / PICTURE_SIDE
    )
    while max(raster.grid.level(level).shape) > 1.5 * PICTURE_SIDE:
        level += 1
    chip = raster.chip(raster.grid.level(level).whole, level)
    colors = label_colors([feature.label for feature in session.accepted])
    shapes = [
        Shape(_to_pixels(one.geometry, chip.grid), one.label, colors[one.label])
        for one in session.accepted
    ]
    marks = [
        _mark(prompt, chip.grid)
        for item in objects
        for step in item.steps
        for prompt in step.prompts
    ]
    picture = draw(
        chip.rgb,
        shapes,
        marks,
        chip.grid.pixel_size_metres(),
        f"geoiseg · {session.model.info.name}",
    )
    write_picture(picture, path)
    return picture


def _to_pixels(geometry: Any, grid: Grid) -> Any:
    return shapely.transform(geometry, grid.to_pixel)


def _mark(prompt: Prompt, grid: Grid) -> Mark:
    shape = prompt.geometry(grid.crs)
    if isinstance(prompt, Box):
        x0, y0, x1, y1 = grid.box_to_pixel(prompt.corners, prompt.crs)
        return Mark("box", ((x0, y0), (x1, y1)))
    xy = tuple((float(x), float(y)) for x, y in grid.to_pixel(shapely.get_coordinates(shape)))
    return Mark("point" if isinstance(prompt, Point) else "scribble", xy, prompt.positive)


def _report_rows(
    session: Session, results: list[ObjectResult], iou: dict[str, float]
) -> Iterable[ReportRow]:
    table = session.features.set_index("id")
    colors = label_colors([feature.label for feature in session.accepted])
    for result in results:
        if result.feature_id is None:
            yield ReportRow(result.name, result.label, f"not found: {result.error}", 0, 0)
            continue
        row, spent = table.loc[result.feature_id], result.milliseconds
        yield ReportRow(
            name=result.name,
            label=result.label,
            prompts=_in_words(row),
            area_m2=float(row["area_m2"]),
            perimeter_m=float(row["perimeter_m"]),
            score=result.score,
            iou=iou.get(result.name),
            read_ms=spent.get("read", 0.0),
            encode_ms=spent.get("embed", 0.0),
            decode_ms=spent.get("decode", 0.0),
            vectorise_ms=spent.get("outline", 0.0),
            color=colors[result.label],
        )


def _in_words(row: Any) -> str:
    clicks = int(row["positive_points"] + row["negative_points"])
    parts = [(clicks, "click"), (int(row["boxes"]), "box"), (int(row["scribbles"]), "scribble")]
    plural = {"click": "clicks", "box": "boxes", "scribble": "scribbles"}
    return ", ".join(f"{n} {word if n == 1 else plural[word]}" for n, word in parts if n)


def _source(raster: Raster) -> str:
    metres = raster.grid.pixel_size_metres()
    size = f"{raster.grid.width} x {raster.grid.height} px"
    crs = raster.grid.crs.to_string()[:40] if raster.grid.crs else "no CRS"
    pixel = f", {metres:.3g} m" if metres else ""
    return f"{Path(raster.name).name}, {size}{pixel}, {crs}"


def _summary(results: list[ObjectResult], iou: dict[str, float], made: bool) -> str:
    found = sum(result.feature_id is not None for result in results)
    text = f"{found} of {len(results)} objects found."
    if iou:
        text += f" Mean IoU with the truth of the made scene: {np.mean(list(iou.values())):.2f}."
    return text if made else f"{text} The clicks were chosen without you: try your own."


def how_to(session: Session, out: Path) -> tuple[tuple[str, str], ...]:
    """Return headings and what to type, to go on in a notebook, a shell or QGIS.

    Args:
        session: With its features accepted.
        out: Where the files are, as seen from where the reader is.
    """
    project, raster = out / "objects.gpkg", session.raster.name
    if Path(raster).name == "scene.tif":
        raster = str(out / "scene.tif")
    notebook = f'import geoiseg\nsession = geoiseg.Session.load("{project}")\nsession.features'
    shell = f"geoiseg segment {raster} {project} again.gpkg"
    qgis = f"Layer > Add Layer > Add Vector Layer: {project}, then drag {raster} onto the map"
    return (
        ("In a notebook", notebook),
        ("In QGIS", qgis),
        ("The same prompts again, from a shell", shell),
    )
