"""The simulated user at work on a session, in map coordinates, chip choice included.

The truth and the session's mask are compared on a grid of their own around the object, so
that it does not matter at which pyramid level the session worked. What a mask covers beyond
that grid counts as wrong all the same.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.features import rasterize

from geoiseg.errors import GeoisegError
from geoiseg.evaluate.dataset import LabelledObject, LabelledScene
from geoiseg.evaluate.metrics import boundary_iou, clicks_to
from geoiseg.evaluate.users import User, make_user
from geoiseg.models import Model
from geoiseg.raster import BoolArray, Grid, Raster, Window
from geoiseg.segment import EmbeddingCache, Mask
from geoiseg.session import Session

VIEW = 1024
"""Longest side in pixels of the grid on which an object is compared."""
ROOM = 4.0
"""Width of that grid as a multiple of the object's, where the raster is large enough."""


@dataclass(frozen=True, slots=True)
class EvaluationOptions:
    """How an evaluation is run."""

    max_clicks: int = 20
    stop_at: float | None = 0.9
    """IoU at which clicking ends, after at least five clicks; None never ends early."""
    gsd: float | None = None
    """Metres per pixel to work at; None lets the session choose."""
    user: str = "centre"
    """Who clicks, one of ``users.USERS``."""
    seed: int = 0
    """Of the user's chance; each object has its own."""


@dataclass(frozen=True, slots=True, eq=False)
class ObjectScore:
    """How the clicks on one object went."""

    scene: str
    number: int
    family: str
    pixels: int
    """Area of the object in pixels of the raster."""
    ious: tuple[float, ...]
    """IoU after each click, padded with the last."""
    box_iou: float
    """IoU from one tight box."""
    boundary_iou: float
    """Of the last mask (Cheng et al., 2021; 2 % of the grid's diagonal)."""
    boundary_metres: tuple[float, float]
    """Distance from the last outline to the true one: mean and 95th percentile."""
    click_ms: tuple[float, ...]
    """Wall time of each click after the first, encoding excluded."""
    first_ms: float
    """Wall time of the first click: reading, encoding and decoding."""
    drawn: Any = None
    """The last outline, in the raster's CRS."""
    errors: tuple[str, ...] = field(default=())
    """What went wrong, in words."""


def evaluate_scene(
    scene: LabelledScene, model: Model, options: EvaluationOptions
) -> Iterator[ObjectScore]:
    """Yield a score for each object of a scene."""
    for item in scene.objects:
        yield evaluate_object(scene.raster, item, model, options)


def evaluate_object(
    raster: Raster, item: LabelledObject, model: Model, options: EvaluationOptions
) -> ObjectScore:
    """Return how a simulated user fares with one object.

    Args:
        raster: The scene's raster.
        item: The object with its true outline.
        model: The engine.
        options: Clicks, scale.
    """
    ground, valid = compared_ground(raster, item.geometry)
    truth = burned(item.geometry, ground) & valid
    session = Session(raster, model, gsd=options.gsd, cache=EmbeddingCache())
    session.follow = False  # it is the answer on one chip that is measured
    user = make_user(options.user, options.seed, item.number, *item.scene.encode())
    ious, spent, errors = _clicks(session, user, (ground, truth, valid), options)
    last = session.mask
    edges = (0.0, (math.nan, math.nan)) if last is None else (
        boundary_iou(on_grid(last, ground), truth, valid),
        outline_error(session.geometry, item.geometry, raster.grid, ground),
    )  # fmt: skip
    pixels = item.geometry.area / abs(raster.grid.transform.determinant)
    return ObjectScore(
        scene=item.scene,
        number=item.number,
        family=item.family,
        pixels=round(pixels),
        ious=tuple(ious + [ious[-1] if ious else 0.0] * (options.max_clicks - len(ious))),
        box_iou=_from_box(raster, item, model, options, (ground, truth, valid)),
        boundary_iou=edges[0],
        boundary_metres=edges[1],
        click_ms=tuple(spent[1:]),
        first_ms=spent[0] if spent else math.nan,
        drawn=session.geometry,
        errors=tuple(errors),
    )


def _clicks(
    session: Session,
    user: User,
    view: tuple[Grid, BoolArray, BoolArray],
    options: EvaluationOptions,
) -> tuple[list[float], list[float], list[str]]:
    """Return IoU and milliseconds after each click, and what failed."""
    ground, truth, valid = view
    ious: list[float] = []
    spent: list[float] = []
    errors: list[str] = []
    clicked = np.zeros_like(truth)
    drawn = np.zeros_like(truth)
    for _ in range(options.max_clicks):
        click = user.next(truth, drawn, clicked, valid)
        if click is None:
            break
        column, row = click.xy_pixel
        clicked[int(row), int(column)] = True
        x, y = ground.to_crs([click.xy_pixel])[0]
        started = time.perf_counter()
        try:
            session.add_point(float(x), float(y), click.positive)
        except GeoisegError as error:
            errors.append(str(error))
        spent.append((time.perf_counter() - started) * 1e3)
        if session.mask is not None:
            drawn = on_grid(session.mask, ground) & valid
        ious.append(_iou(session.mask, drawn, truth, ground))
        if len(ious) >= 5 and options.stop_at is not None and max(ious) >= options.stop_at:
            break
    return ious, spent, errors


def _from_box(
    raster: Raster,
    item: LabelledObject,
    model: Model,
    options: EvaluationOptions,
    view: tuple[Grid, BoolArray, BoolArray],
) -> float:
    ground, truth, valid = view
    session = Session(raster, model, gsd=options.gsd, cache=EmbeddingCache())
    user = make_user(options.user, options.seed, item.number, *item.scene.encode())
    try:
        session.add_box(*user.box(item.geometry.bounds))
    except GeoisegError:
        return 0.0
    if session.mask is None:
        return 0.0
    return _iou(session.mask, on_grid(session.mask, ground) & valid, truth, ground)


def _iou(mask: Mask | None, drawn: BoolArray, truth: BoolArray, ground: Grid) -> float:
    """Return the IoU, with what lies beyond the compared grid counted as wrong."""
    if mask is None:
        return 0.0
    scale = abs(mask.grid.transform.determinant / ground.transform.determinant)
    beyond = max(0.0, float(mask.array.sum()) * scale - _inside_pixels(mask, ground) * scale)
    union = float((drawn | truth).sum()) + beyond
    return float((drawn & truth).sum()) / union if union else 1.0


def _inside_pixels(mask: Mask, ground: Grid) -> float:
    """Return how many of the mask's pixels have their centre on the compared grid."""
    rows, cols = np.nonzero(mask.array)
    xy = ground.to_pixel(mask.grid.to_crs(np.column_stack([cols + 0.5, rows + 0.5])))
    inside = (xy >= 0).all(axis=1) & (xy < ground.shape[::-1]).all(axis=1)
    return float(inside.sum())


def compared_ground(raster: Raster, geometry: Any) -> tuple[Grid, BoolArray]:
    """Return the grid on which an object is compared, and where it has data."""
    grid = raster.grid
    vertices = grid.to_pixel(shapely.get_coordinates(geometry))
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    room = (ROOM - 1) / 2 * max(float((high - low).max()), 32.0)
    level = 0
    while max((high - low + 2 * room).clip(max=np.array(grid.shape[::-1]))) / (1 << level) > VIEW:
        level += 1
    coarse = grid.level(level)
    scale = np.array([coarse.width / grid.width, coarse.height / grid.height])
    first = np.floor((low - room) * scale).astype(int)
    size = np.ceil((high + room) * scale).astype(int) - first
    window = Window(int(first[1]), int(first[0]), int(size[1]), int(size[0]))
    inside = window.intersection(coarse.whole)
    _, valid = raster.read(inside, level)
    return coarse.window(inside), valid


def burned(geometry: Any, grid: Grid) -> BoolArray:
    """Return ``(y, x)`` the pixels of a grid whose middle a geometry in its CRS covers.

    Of one that covers none, those that it touches.
    """
    how = {"out_shape": grid.shape, "transform": grid.transform, "dtype": "uint8"}
    found = rasterize([geometry], **how)
    if not found.any():  # smaller than a pixel
        found = rasterize([geometry], all_touched=True, **how)
    return np.asarray(found, dtype=bool)


def on_grid(mask: Mask, grid: Grid) -> BoolArray:
    """Return ``(y, x)`` the mask sampled at the pixel centres of another grid of its CRS."""
    rows, cols = np.indices(grid.shape) + 0.5
    xy = mask.grid.to_pixel(grid.to_crs(np.column_stack([cols.ravel(), rows.ravel()])))
    col, row = np.floor(xy).astype(int).T
    inside = (col >= 0) & (row >= 0) & (col < mask.grid.width) & (row < mask.grid.height)
    sampled = np.zeros(grid.height * grid.width, dtype=bool)
    sampled[inside] = mask.array[row[inside], col[inside]]
    return sampled.reshape(grid.shape)


def outline_error(drawn: Any, truth: Any, grid: Grid, ground: Grid) -> tuple[float, float]:
    """Return mean and 95th percentile of the distance from one outline to the other, in metres."""
    if drawn is None or drawn.is_empty:
        return math.nan, math.nan
    centre = grid.to_pixel([shapely.get_coordinates(truth.centroid)[0]])[0]
    metres = grid.pixel_size_metres(centre) or 1.0
    mine, theirs = (shapely.transform(shape, grid.to_pixel).boundary for shape in (drawn, truth))
    step = max(1.0, abs(ground.transform.determinant / grid.transform.determinant) ** 0.5)
    places = shapely.get_coordinates(shapely.segmentize(mine, step))
    distances: NDArray[np.float64] = shapely.distance(shapely.points(places), theirs) * metres
    return float(distances.mean()), float(np.percentile(distances, 95))


def noc(score: ObjectScore, threshold: float) -> int:
    """Return the number of clicks to an IoU, or the most that were allowed."""
    return clicks_to(score.ious, threshold, len(score.ious))
