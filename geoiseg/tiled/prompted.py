"""Objects that a file of prompts names, in groups that lie in the same tile.

Each object is segmented as in a session, at the level and on the chip where it fits, so
that it has no seams however large it is; a group shares the embeddings of its chips.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from geoiseg.errors import PromptError
from geoiseg.features import FIXED_COLUMNS, Kinds, compactness, plain_value
from geoiseg.features.kinds import typed_column
from geoiseg.models import Model
from geoiseg.outline import OutlineOptions
from geoiseg.prompting import Prompts
from geoiseg.raster import Grid, Raster, measure
from geoiseg.session import Session
from geoiseg.tiled.batch import segment_objects
from geoiseg.tiled.ledger import Item
from geoiseg.tiled.options import RefineOptions
from geoiseg.tiled.plan import WindowPlan
from geoiseg.tiled.prompt_file import PromptedObject
from geoiseg.tiled.refined import refine

LARGEST_GROUP = 64
"""Objects that are done, and lost with a worker, together."""


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Some objects of one tile."""

    positions: tuple[int, ...]
    """Of each object in the file, from 0."""
    objects: tuple[PromptedObject, ...]
    bounds: tuple[float, float, float, float]
    """Of the prompts, in the raster's CRS."""


@dataclass(frozen=True, slots=True, eq=False)
class GroupJob:
    """What all groups of a run have in common. Pickled, so parameters only."""

    raster: Raster
    gsd: float | None
    refine: RefineOptions | None = None
    """Where the objects are outlines to refine: what still fits."""
    outline: OutlineOptions = field(default_factory=lambda: OutlineOptions(line="pixels"))
    """As the outlines of all other maps: a run that is resumed has one sort of line."""
    sharpen: bool | None = None
    """As ``segment_objects`` takes it."""


@dataclass(frozen=True, slots=True)
class GroupResult:
    """What became of the objects of a group."""

    number: int
    items: tuple[Item, ...]
    seconds: dict[str, float]


def segment_group(job: GroupJob, model: Model, number: int, group: Group) -> GroupResult:
    """Return what became of the objects of a group, whether found or not.

    Args:
        job: The raster.
        model: Segments the objects.
        number: Of the group.
        group: The objects.
    """
    started = time.perf_counter()
    session = Session(job.raster, model, gsd=job.gsd, outline=job.outline)
    if job.refine is not None:
        done = _refined(session, group, job.refine)
        return GroupResult(number, done, {"find": time.perf_counter() - started})
    results = segment_objects(session, group.objects, sharpen=job.sharpen)
    rows = {row["id"]: row for row in session.features.to_dict("records")}
    items = []
    for position, result in zip(group.positions, results, strict=True):
        where = result.title.removeprefix(f"object {result.name}")
        told = f"{result.reason}{where}" if result.reason else None
        if result.feature_id is None:
            items.append(Item(position, result.name, told))
            continue
        items.append(_item(position, result.name, told, rows[result.feature_id]))
    return GroupResult(number, tuple(items), {"find": time.perf_counter() - started})


def _item(position: int, name: str, told: str | None, row: dict[str, Any]) -> Item:
    outline = shapely.to_wkb(row.pop("geometry"))
    plain = {name: plain_value(value) for name, value in row.items()}
    return Item(position, name, told, json.dumps(plain, default=bytes.hex), outline)


def _refined(session: Session, group: Group, options: RefineOptions) -> tuple[Item, ...]:
    """Return what became of the outlines of a group."""
    found, items = [refine(session, item, options) for item in group.objects], []
    rows = {row["id"]: row for row in session.features.to_dict("records")}
    for position, item, (result, now) in zip(group.positions, group.objects, found, strict=True):
        if now is None:
            items.append(Item(position, item.name, result.reason))
            continue
        info, grid = session.model.info, session.raster.grid
        blank = {"label": item.label, **item.attributes, "model": info.name,
                 "weights": info.weights_hash, "source": session.raster.name}  # fmt: skip
        row = rows.get(result.feature_id or 0, blank)
        area, around = measure(now.geometry, grid.crs)
        sizes = {"area_m2": area, "perimeter_m": around, "compactness": compactness(area, around)}
        row = {**row, **sizes, **now.columns(), "score": now.score, "geometry": now.geometry}
        items.append(_item(position, item.name, None, row))
    return tuple(items)


def grouped(
    objects: Sequence[PromptedObject], grid: Grid, level: int, plan: WindowPlan, aoi: Any = None
) -> list[Group]:
    """Return the objects in groups, those of one tile together, tiles in order.

    Args:
        objects: Of the file.
        grid: The raster's grid.
        level: Of the plan.
        plan: How the raster is cut.
        aoi: Area of interest in pixels of the level; objects elsewhere are left out.

    Returns:
        Objects without a place, which say in vain where they are, go with the first group.

    Raises:
        PromptError: No object is left.
    """
    at_level = grid.level(level)
    by_tile: dict[int, list[tuple[int, NDArrayXY]]] = {}
    nowhere: list[int] = []
    for position, item in enumerate(objects):
        said = Prompts(tuple(prompt for step in item.steps for prompt in step.prompts))
        xy = said.outline_pixels(at_level)
        if not len(xy):
            if not item.faults:
                raise PromptError(f"{item.title}: words alone do not say where to look")
            nowhere.append(position)
            continue
        if aoi is not None and not shapely.intersects(aoi, _hull(xy)):
            continue
        middle = (xy.min(axis=0) + xy.max(axis=0)) / 2
        by_tile.setdefault(plan.window_of(*middle.tolist()), []).append((position, xy))
    if not by_tile:
        faults = [f"{objects[at].title}: {objects[at].faults[0]}" for at in nowhere]
        nothing = "no object of the prompts lies in the area of interest"
        raise PromptError(faults[0] if faults else nothing)
    groups = []
    for tile in sorted(by_tile):
        for start in range(0, len(by_tile[tile]), LARGEST_GROUP):
            members = by_tile[tile][start : start + LARGEST_GROUP]
            positions = tuple(position for position, _ in members)
            xy = at_level.to_crs(np.concatenate([xy for _, xy in members]))
            low, high = xy.min(axis=0).tolist(), xy.max(axis=0).tolist()
            groups.append(Group(positions, tuple(objects[p] for p in positions), (*low, *high)))
    first = groups[0]
    lost = tuple(objects[position] for position in nowhere)
    groups[0] = replace(
        first, positions=(*first.positions, *nowhere), objects=(*first.objects, *lost)
    )
    return groups


NDArrayXY = np.ndarray[Any, np.dtype[np.float64]]


def _hull(xy: NDArrayXY) -> Any:
    return shapely.multipoints(xy).convex_hull


def items_frame(items: Sequence[Item], crs: Any, kinds: Kinds) -> gpd.GeoDataFrame:
    """Return the objects that were found as a table, numbered by their place in the file.

    Args:
        items: Of the file, in order.
        crs: Of the outlines.
        kinds: Types of the user's columns.
    """
    found = [item for item in items if item.wkb is not None]
    rows = [
        {**json.loads(item.properties), "id": number} for number, item in enumerate(found, start=1)
    ]
    names = dict.fromkeys([*FIXED_COLUMNS, *(name for row in rows for name in row)])
    table = pd.DataFrame(
        {name: typed_column([row.get(name) for row in rows], kinds.get(name)) for name in names}
    )
    shapes = shapely.from_wkb([item.wkb for item in found])
    return gpd.GeoDataFrame(table, geometry=np.asarray(shapes, object), crs=crs)
