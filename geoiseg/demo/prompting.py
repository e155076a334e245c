"""Prompts that a user might make on the demonstration scene, found from its truth."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray

from geoiseg.demo.noise import Field
from geoiseg.demo.plan import Plan

XY = tuple[float, float]
Kind = Literal["point", "box", "scribble"]

FIELDS = 6
"""Fields that get prompts."""


@dataclass(frozen=True, slots=True)
class TruthRow:
    """One object of the scene."""

    name: str
    """Unique, e.g. ``field-12``."""
    label: str
    """``sea``, ``lake`` or ``field``."""
    kind: str
    """What it is in detail: the crop of a field, else the label."""
    geometry: shapely.Geometry
    """Polygon or MultiPolygon in the scene's CRS."""


@dataclass(frozen=True, slots=True)
class PromptRow:
    """One prompt for one object."""

    object: str
    """Name of the object, as in the truth."""
    label: str
    """Label to give to the result."""
    kind: Kind
    positive: bool
    """False for a point or a scribble that is not in the object."""
    xy_crs: tuple[XY, ...]
    """One position, the two corners of a box (lower left, upper right), or a line."""


def _row(name: str, label: str, kind: Kind, xy_crs: tuple[XY, ...]) -> PromptRow:
    return PromptRow(object=name, label=label, kind=kind, positive=True, xy_crs=xy_crs)


def suggest(truth: tuple[TruthRow, ...], plan: Plan, transform: Affine) -> tuple[PromptRow, ...]:
    """Return prompts for the sea, the lake and about six fields.

    Args:
        truth: The objects.
        plan: The labels they come from.
        transform: Pixels of the labels to the CRS.
    """
    prompts: list[PromptRow] = []
    outlines = {row.name: row.geometry for row in truth}
    if "sea" in outlines:
        prompts += _at_sea(outlines["sea"], plan.inland, transform)
    if "lake" in outlines:
        prompts.append(_row("lake", "lake", "point", (_middle(outlines["lake"]),)))
    scene = shapely.box(*_bounds(plan, transform))
    styles: tuple[tuple[Kind, ...], ...] = (
        ("box",),
        ("point",),
        ("point", "box"),
        ("scribble", "box"),
        ("box",),
        ("point", "box"),
    )
    for row, kinds in zip(_pick(truth, scene), itertools.cycle(styles)):
        for kind in kinds:
            xy_crs = _place(row.geometry, kind, scene)
            prompts.append(_row(row.name, row.label, kind, xy_crs))
    return tuple(prompts)


def _bounds(plan: Plan, transform: Affine) -> tuple[float, float, float, float]:
    height, width = plan.labels.shape
    west, north = transform @ (0, 0)
    east, south = transform @ (width, height)
    return west, south, east, north


def _middle(geometry: shapely.Geometry) -> XY:
    """Return the point of a geometry that is farthest from its outline."""
    point = shapely.maximum_inscribed_circle(geometry, tolerance=2.0).coords[0]
    return float(point[0]), float(point[1])


def _widest(geometry: shapely.Geometry) -> float:
    return float(shapely.maximum_inscribed_circle(geometry, tolerance=2.0).length)


def _at_sea(sea: shapely.Geometry, inland: Field, transform: Affine) -> list[PromptRow]:
    """Return a scribble along the coast, a click in deep water, and one on the land."""
    rows = [_row("sea", "sea", "point", (_middle(sea),))]
    xy_pixel = _offshore(inland, 120.0)[:: max(1, inland.shape[0] // 64)]
    if len(xy_pixel) > 1:
        line = shapely.LineString([transform @ (x, y) for x, y in xy_pixel])
        kept = shapely.intersection(line, sea.simplify(6.0).buffer(-51.0))
        longest = max(shapely.get_parts(kept), key=lambda part: float(part.length))
        stroke = tuple((float(x), float(y)) for x, y in shapely.get_coordinates(longest))
        if len(stroke) > 1:
            rows.append(_row("sea", "sea", "scribble", stroke))
    ashore = _offshore(inland, -30.0)
    if len(ashore):
        x, y = transform @ tuple(ashore[len(ashore) // 2])
        rows.append(replace(rows[0], positive=False, xy_crs=((float(x), float(y)),)))
    return rows


def _offshore(inland: Field, distance: float) -> NDArray[np.float64]:
    """Return ``(n, 2)`` pixel centres, one a row, where land begins to be ``distance`` metres off.

    Rows in the tenth nearest to the upper and lower edges are left out; a negative distance
    is on the land.
    """
    out = inland < -distance
    rows = np.arange(inland.shape[0])
    column = inland.shape[1] - 1 - np.argmax(out[:, ::-1], axis=1)
    margin = inland.shape[0] // 10
    kept = out.any(axis=1) & (rows >= margin) & (rows < len(rows) - margin)
    return np.asarray(np.column_stack([column + 0.5, rows + 0.5])[kept], dtype=np.float64)


def _pick(truth: tuple[TruthRow, ...], scene: shapely.Geometry) -> list[TruthRow]:
    """Return medium, compact fields well inside the scene, far from one another."""
    inner = scene.buffer(-0.08 * (scene.bounds[2] - scene.bounds[0]))
    good = [row for row in truth if row.label == "field" and _is_good(row.geometry, inner)]
    if not good:
        return []
    at = np.array([row.geometry.centroid.coords[0] for row in good])
    chosen = [int(np.argmin(((at - at.mean(axis=0)) ** 2).sum(axis=1)))]
    while len(chosen) < min(FIELDS, len(good)):
        distance = np.hypot(*(at[:, None] - at[None, chosen]).transpose(2, 0, 1)).min(axis=1)
        seen = {good[k].kind for k in chosen}
        known = np.array([row.kind in seen for row in good])
        chosen.append(int(np.argmax(distance * np.where(known, 0.55, 1.0))))
    return [good[k] for k in chosen]


def _is_good(field: shapely.Geometry, inner: shapely.Geometry) -> bool:
    solid = field.area / shapely.convex_hull(field).area
    boxy = field.area / shapely.envelope(field).area
    medium = 4.5e4 < field.area < 16e4 and solid > 0.88 and boxy > 0.5
    return bool(medium and inner.contains(field) and _widest(field) > 65.0)


def _place(field: shapely.Geometry, kind: Kind, scene: shapely.Geometry) -> tuple[XY, ...]:
    """Return the coordinates of one prompt of a kind on a field."""
    if kind == "point":
        return (_middle(field),)
    if kind == "box":
        xmin, ymin, xmax, ymax = field.buffer(6.0).intersection(scene).bounds
        return (xmin, ymin), (xmax, ymax)
    x, y = _middle(field)
    reach = 0.55 * _widest(field)
    angles = np.linspace(-0.9, 0.9, 7) * np.pi
    swing = np.column_stack([np.linspace(-1, 1, 7), 0.35 * np.sin(angles)])
    return tuple((float(x + dx), float(y + dy)) for dx, dy in swing * reach)
