"""The project file: one GeoPackage from which a session comes back and can be replayed.

Layers: ``features`` (the accepted objects), ``prompts`` (what the user did, object by
object and step by step; ``geoiseg segment`` takes it as its PROMPTS) and the table
``geoiseg`` (raster, bands, stretch, model, options, classes, version). Layers and styles that
others have put into the same file are left alone.
"""

from __future__ import annotations

import json
import logging
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import shapely

from geoiseg.atomic import why_failed, written
from geoiseg.errors import (
    ExportError,
    GeoisegError,
    ProjectError,
    PromptError,
    VectorError,
)
from geoiseg.features import (
    FIXED_COLUMNS,
    Feature,
    Kinds,
    Schema,
    free_names,
    kinds_of_columns,
    plain_value,
    renamed_in_words,
    to_frame,
)
from geoiseg.features.feature import now
from geoiseg.features.kinds import ANY
from geoiseg.files import (
    FORMS,
    embed_style,
    fitted,
    list_layers,
    read_frame,
    style_of,
    write_frames,
)
from geoiseg.files.keeping import FEATURES, META, PROMPTS, is_project
from geoiseg.outline import Line, OutlineOptions
from geoiseg.raster import BETWEEN, Stretch, as_crs, moved_beside, raster_is_there
from geoiseg.segment import Step
from geoiseg.session.drawn import as_drawn, drawn_of
from geoiseg.session.prompt_rows import prompt_rows, steps_of
from geoiseg.words import Classifier

log = logging.getLogger(__name__)

FORMAT = 1
"""Version of the project file's structure."""
STORED = ("text", "bool", "date", "float32", "float64", "int8", "int16", "int32", "int64", "uint8",
          "uint16", "uint32")  # fmt: skip
"""Kinds of the user's columns that a GeoPackage has a type for that loses nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class Project:
    """All that a project file holds."""

    raster: str
    """Path or URL of the raster."""
    bands: tuple[int | str, ...]
    stretch: Stretch | None
    crs: Any
    """pyproj CRS of the raster, or None."""
    model: str
    weights: str
    """Hash of the weights the model had."""
    gsd: float | None
    options: OutlineOptions
    features: tuple[Feature, ...]
    steps: tuple[Step, ...]
    """The object in progress."""
    classes: tuple[tuple[str, str], ...] = ()
    """``(name, colour)`` of each class, in order; older files have none."""
    classifier: Classifier | None = None
    """Classes that were taught by a few clicks; older files have none."""
    schema: Schema = field(default_factory=Schema)
    """The fields of each class; older files have none."""
    snap: float = 0.0
    """Metres within which a new feature takes over its neighbours' borders."""
    kinds: Kinds = field(default_factory=dict)
    """Types of the user's columns; older files have none."""
    editing: int | None = None
    """Id of the feature that the object in progress refines; older files do not say."""
    kept: dict[str, Any] | None = None
    """The object in progress as it was, see ``session.kept``; None where it is soon replayed."""


def save_project(project: Project, path: Path) -> None:
    """Write a project file; a crash leaves the old file or the new one.

    Raises:
        ExportError: It can not be written, or is not a file of ours to overwrite.
    """
    if path.suffix.lower() != ".gpkg":
        raise ExportError(f"a project file is a GeoPackage: {path.name!r} must end in .gpkg")
    with written(path) as target:
        try:
            if path.exists():
                _check_ours(path)
                shutil.copyfile(path, target)
            features, columns, _ = fitted(_feature_rows(project), FORMS[".gpkg"])
            values = {**_meta(project), "columns": json.dumps(columns)}
            meta = pd.DataFrame({"key": list(values), "value": list(values.values())})
            write_frames([features], target, layer=FEATURES, geometry_type="MultiPolygon",
                         promote_to_multi=True)  # fmt: skip
            objects: list[Any] = [(one.id, one.label, one.steps) for one in project.features]
            rows = prompt_rows([*objects, (None, None, project.steps)], project.crs)
            write_frames([rows], target, layer=PROMPTS, geometry_type="Unknown")
            write_frames([meta], target, layer=META)
            style = style_of(features, project.classes)
            if style is not None:
                embed_style(target, FEATURES, style)
        except VectorError as error:
            raise _failed(path, target, error) from error
        except GeoisegError:
            raise
        except (sqlite3.Error, RuntimeError, ValueError) as error:
            raise _failed(path, target, error) from error


def _feature_rows(project: Project) -> gpd.GeoDataFrame:
    """Return one row per feature; what a GeoPackage has no type for stays plain text."""
    kinds = {n: kind if kind in (*STORED, ANY) else "" for n, kind in project.kinds.items()}
    return project.schema.typed(to_frame(project.features, project.crs, kinds))


def _failed(path: Path, target: Path, error: Exception) -> ExportError:
    return ExportError(f"can not save {path}: {why_failed(error, target)}")


def _check_ours(path: Path) -> None:
    """Make sure that nobody else's layers would be overwritten."""
    try:
        tables = {name for name, _ in list_layers(path)}
    except (VectorError, ValueError) as error:
        raise ExportError(f"{path} is there and is no GeoPackage; choose another name") from error
    if META not in tables and tables & {FEATURES, PROMPTS}:
        raise ExportError(f"{path} has a layer {FEATURES!r} that is not ours; choose another name")


def _meta(project: Project) -> dict[str, str]:
    from geoiseg.version import __version__

    stretch = project.stretch
    values: dict[str, Any] = {
        "format": FORMAT,
        "version": __version__,
        "raster": project.raster,
        "bands": list(project.bands),
        "stretch": None if stretch is None else [list(stretch.low), list(stretch.high)],
        "crs": None if project.crs is None else project.crs.to_wkt(),
        "model": project.model,
        "weights": project.weights,
        "gsd": project.gsd,
        "outline": asdict(project.options),
        "classes": [list(item) for item in project.classes],
        "classifier": None if project.classifier is None else project.classifier.to_dict(),
        "schema": project.schema.to_dict(),
        "snap": project.snap,
        "kinds": dict(project.kinds),
        "drawn": drawn_of(project.features),
        "editing": project.editing,
        "kept": project.kept,
    }
    return {key: json.dumps(value) for key, value in values.items()}


def load_project(path: Path) -> Project:
    """Return what a project file holds.

    Raises:
        ProjectError: The file is missing, damaged, newer, or no project of geoiseg.
    """
    if not path.exists():
        raise ProjectError(f"{path} does not exist")
    if not is_project(path):
        raise ProjectError(f"{path} is no project of geoiseg: it has no table {META!r}")
    try:
        meta = read_frame(path, META)
        values = {
            key: json.loads(text) for key, text in zip(meta["key"], meta["value"], strict=True)
        }
        if values["format"] > FORMAT:
            raise ProjectError(
                f"{path} was made by geoiseg {values['version']}, which is newer; upgrade geoiseg"
            )
        stretch = values["stretch"]
        steps = steps_of(read_frame(path, PROMPTS))
        schema = Schema.from_dict(values.get("schema", {}))
        editing, kept = values.get("editing"), values.get("kept")
        table = _own_names(read_frame(path, FEATURES), values.get("columns", {}))
        kinds = _kinds(table, values.get("kinds", {}))
        return Project(
            raster=values["raster"],
            bands=tuple(values["bands"]),
            stretch=None if stretch is None else Stretch(*(tuple(side) for side in stretch)),
            crs=as_crs(values["crs"]),
            model=values["model"],
            weights=values["weights"],
            gsd=values["gsd"],
            options=_outline(values),
            features=as_drawn(
                tuple(_features(table, kinds, schema, steps)), values.get("drawn", {})
            ),
            steps=steps.get(None, ()),
            classes=_classes(values.get("classes", [])),
            classifier=_classifier(values.get("classifier")),
            schema=schema,
            snap=float(values.get("snap", 0.0)),
            kinds=kinds,
            editing=editing if isinstance(editing, int) else None,
            kept=kept if isinstance(kept, dict) else None,
        )
    except ProjectError:
        raise
    except (
        GeoisegError,
        KeyError,
        TypeError,
        ValueError,
        RuntimeError,
    ) as error:
        reason = " ".join(str(error).split())
        raise ProjectError(f"{path} is damaged and can not be loaded: {reason}") from error


def _outline(values: dict[str, Any]) -> OutlineOptions:
    """Return how outlines are drawn; older files do not name the line and mean the pixels'."""
    return OutlineOptions(**{"line": "pixels", **values["outline"]})


def line_of_project(path: Path) -> Line | None:
    """Return along what the outlines of a project run; None where a file is no project.

    Raises:
        ProjectError: It is damaged.
    """
    if not (path.exists() and is_project(path)):
        return None
    try:
        meta = read_frame(path, META)
        told = dict(zip(meta["key"], meta["value"], strict=True))
        return _outline({"outline": json.loads(told["outline"])}).line
    except (GeoisegError, KeyError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ProjectError(f"{path} is damaged and can not be loaded: {reason}") from error


def _classes(items: Any) -> tuple[tuple[str, str], ...]:
    """Return the classes that the table holds; older files hold none."""
    classes = tuple((name, colour) for name, colour in items)
    if not all(isinstance(text, str) for item in classes for text in item):
        raise TypeError(f"classes are names with colours, got {items!r:.80}")
    return classes


def _classifier(data: Any) -> Classifier | None:
    return None if data is None else Classifier.from_dict(data)


def _own_names(frame: Any, columns: Any) -> Any:
    """Return the features with the user's names of columns that a GeoPackage could not have."""
    back = {written: name for name, written in dict(columns).items()}
    return frame.rename(columns=back)


def _kinds(frame: Any, saved: Any) -> dict[str, str]:
    """Return the kinds of the user's columns: those saved, else as the file has them."""
    own = [name for name in frame.columns if name not in (*FIXED_COLUMNS, frame.geometry.name)]
    told = {str(name): str(kind) for name, kind in dict(saved).items()}
    there = kinds_of_columns(frame, {name: str(name) for name in own})
    return {name: told.get(name, kind) for name, kind in there.items()}


def _features(
    frame: Any, kinds: Kinds, schema: Schema, steps: dict[int | None, tuple[Step, ...]]
) -> Iterator[Feature]:
    own = [name for name in frame.columns if name not in (*FIXED_COLUMNS, frame.geometry.name)]
    asked = {one.name for one in schema.fields()}
    blank = {name for name in own if name not in asked and frame[name].isna().all()}
    json_columns = {name for name in own if kinds.get(name) == "json"}
    rows = frame.to_dict("records")
    for row, number in zip(rows, _ids(rows), strict=True):
        values = {name: plain_value(row[name]) for name in own}
        attributes = {
            name: json.loads(value) if name in json_columns and isinstance(value, str) else value
            for name, value in values.items()
            if value is not None or name in blank
        }
        said = {name: plain_value(row[name]) for name in FIXED_COLUMNS if name in row}
        yield Feature(
            id=number,
            geometry=_single(row[frame.geometry.name]),
            label=str(said["label"] or ""),
            attributes=attributes,
            steps=steps.get(number, ()),
            score=said["score"],
            model=str(said["model"] or ""),
            weights=str(said["weights"] or ""),
            gsd=said["gsd"],
            source=str(said["source"] or ""),
            created=str(said["created"] or now()),
            updated=str(said["updated"] or now()),
        )


def _ids(rows: list[dict[str, Any]]) -> Iterator[int]:
    """Yield the number of each feature; one that a GIS has drawn or copied gets the next."""
    given = [plain_value(row["id"]) for row in rows]
    used: set[int] = set()
    last = max((int(number) for number in given if number is not None), default=0)
    for number in given:
        if number is None or int(number) in used:
            last += 1
            number = last  # noqa: PLW2901
        used.add(int(number))
        yield int(number)


def _single(geometry: Any) -> Any:
    """Return a MultiPolygon of one part as that part; the layer holds nothing else."""
    parts = shapely.get_parts(geometry)
    return parts[0] if len(parts) == 1 else geometry


def raster_path(name: str, project: Path) -> str:
    """Return where a project's raster is: at its own path, or beside the project file.

    Raises:
        ProjectError: It is at neither place.
    """
    if BETWEEN in name or raster_is_there(name):
        return name
    beside = moved_beside(name, project.absolute().parent)
    if beside is not None:
        return beside
    raise ProjectError(
        f"the raster {name} of {project.name} is not there any more; give its new place:"
        " Session.load(project, raster=...)"
    )


def foreign_features(
    frame: gpd.GeoDataFrame, first: int, label_column: str
) -> tuple[list[Feature], Kinds]:
    """Return the rows of any polygon layer as features with ids from ``first``, and their kinds.

    Raises:
        PromptError: A row is no polygon.
    """
    own = [name for name in frame.columns if name not in (frame.geometry.name, label_column)]
    names = free_names(own)
    if said := renamed_in_words(names):
        log.warning("%s", said)
    features = []
    for number, row in enumerate(frame.to_dict("records"), first):
        geometry = row[frame.geometry.name]
        if geometry is None or geometry.geom_type not in {"Polygon", "MultiPolygon"}:
            kind = "nothing" if geometry is None else f"a {geometry.geom_type}"
            raise PromptError(f"row {number - first + 1} of the layer is {kind}, not a polygon")
        valid = geometry if geometry.is_valid else shapely.make_valid(geometry, method="structure")
        label = plain_value(row.get(label_column))
        attributes = {names[name]: plain_value(row[name]) for name in own}
        features.append(Feature(number, valid, "" if label is None else str(label), attributes))
    return features, kinds_of_columns(frame, names)
