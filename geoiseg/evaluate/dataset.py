"""Labelled rasters to evaluate on: folders of scenes, or a user's raster and layer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import shapely

from geoiseg.errors import GeoreferenceError, PromptError, VectorError
from geoiseg.files import read_frame, rows_said
from geoiseg.raster import Raster, open_raster

IMAGE, LABELS, PROVENANCE = "image.tif", "labels.geojson", "provenance.json"


@dataclass(frozen=True, slots=True, eq=False)
class LabelledObject:
    """One object whose true outline is known."""

    scene: str
    number: int
    """Row of the object in its layer, from 0."""
    family: str
    """Kind of object: the layer's ``family`` column, else the first word of the scene."""
    geometry: Any
    """Shapely Polygon or MultiPolygon in the raster's CRS."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelledScene:
    """A raster with its labelled objects."""

    name: str
    raster: Raster
    objects: tuple[LabelledObject, ...]
    left_out: tuple[str, ...] = ()
    """A line that names rows of the labels that are no objects on the raster."""


def scenes(dataset: Path, labels: Path | None = None, limit: int | None = None, seed: int = 0
           ) -> Iterator[LabelledScene]:  # fmt: skip
    """Yield the labelled scenes of a dataset, by name.

    Args:
        dataset: A folder of scenes, one scene (``image.tif`` and ``labels.geojson``), or
            a raster, of which ``labels`` is the reference layer.
        labels: Reference polygons of a single raster.
        limit: At most so many objects of a scene, chosen at random.
        seed: Of the choice.

    Raises:
        PromptError: There is no labelled scene.
    """
    found = _pairs(dataset, labels)
    if not found:
        raise PromptError(
            f"{dataset} has no labelled scene: give folders of {IMAGE} and {LABELS},"
            " or a raster and --labels"
        )
    for image, layer in found:
        yield _scene(image, layer, limit, seed)


def _pairs(dataset: Path, labels: Path | None) -> list[tuple[Path, Path]]:
    if labels is not None:
        return [(dataset, labels)]
    folders = [dataset, *sorted(path for path in dataset.glob("*") if path.is_dir())]
    return [
        (folder / IMAGE, folder / LABELS)
        for folder in folders
        if (folder / IMAGE).exists() and (folder / LABELS).exists()
    ]


def _scene(image: Path, layer: Path, limit: int | None, seed: int) -> LabelledScene:
    provenance = image.parent / PROVENANCE
    facts = json.loads(provenance.read_text()) if provenance.exists() else {}
    bands = tuple(band + 1 for band in facts["rgb"]) if "rgb" in facts else None
    name = image.parent.name if image.name == IMAGE else image.stem
    return labelled(open_raster(image, bands), name, layer, limit, seed)


def labelled(
    raster: Raster, name: str, labels: Path, limit: int | None = None, seed: int = 0
) -> LabelledScene:
    """Return a raster that is open with the objects of its reference layer.

    Args:
        raster: The raster.
        name: Of the scene.
        labels: Reference polygons.
        limit: At most so many objects, chosen at random.
        seed: Of the choice.

    Raises:
        PromptError: There are no labels to be read.
    """
    objects, told = _objects(labels, raster, name)
    if limit is not None and len(objects) > limit:
        chosen = np.sort(np.random.default_rng(seed).choice(len(objects), limit, replace=False))
        objects = [objects[index] for index in chosen]
    return LabelledScene(name, raster, tuple(objects), tuple(told))


def _objects(layer: Path, raster: Raster, name: str) -> tuple[list[LabelledObject], list[str]]:
    """Return the objects on the raster, and lines that name the other rows."""
    if not layer.exists():
        raise PromptError(f"{layer} does not exist")
    try:
        frame = read_frame(layer)
    except VectorError as error:
        raise PromptError(f"can not read labels from {layer}: {error}") from error
    if not isinstance(frame, gpd.GeoDataFrame):
        raise PromptError(f"{layer} has no geometry")
    footprint = raster.grid.footprint
    objects: list[LabelledObject] = []
    others: dict[str, list[int]] = {}
    for number, row in enumerate(frame.to_dict("records")):
        geometry = row[frame.geometry.name]
        if geometry is None or geometry.is_empty:
            others.setdefault("no geometry", []).append(number)
            continue
        if geometry.geom_type not in {"Polygon", "MultiPolygon"}:
            others.setdefault("no polygon", []).append(number)
            continue
        inside = _part_inside(geometry, frame.crs, raster, footprint)
        if inside.is_empty:
            others.setdefault("no ground on the raster", []).append(number)
            continue
        family = str(row.get("family") or name.partition("_")[0])
        objects.append(LabelledObject(name, number, family, inside))
    told = [line for what, numbers in others.items() for line in rows_said(numbers, what)]
    return objects, told


def _part_inside(geometry: Any, source: Any, raster: Raster, footprint: Any) -> Any:
    """Return what of a polygon lies on a raster, as polygons; empty where none does."""
    try:
        moved = raster.grid.bring(geometry, source)
    except GeoreferenceError:  # it has no place in the raster's CRS
        return shapely.Polygon()
    inside = shapely.intersection(shapely.make_valid(moved, method="structure"), footprint)
    if inside.geom_type in {"Polygon", "MultiPolygon"}:
        return inside
    parts = [part for part in shapely.get_parts(inside) if part.geom_type == "Polygon"]
    return shapely.union_all(parts) if parts else shapely.Polygon()
