"""One tile: read once, embedded, prompted, painted, traced. What every driver runs."""

from __future__ import annotations

import math
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.features import rasterize

from geoiseg.errors import RasterError
from geoiseg.grid import Window
from geoiseg.models.protocol import BoolArray, Model
from geoiseg.readers import Raster
from geoiseg.tiled.automatic import View, find_objects
from geoiseg.tiled.candidates import Placement
from geoiseg.tiled.options import AutomaticOptions
from geoiseg.tiled.plan import TilePlan
from geoiseg.vectorize import polygons_from_labels

MARGIN = 64
"""Pixels around a tile that the model sees besides, so that it answers the same whatever the
tiling."""
STRIDE = 32
"""Cells of the coarsest features of most networks."""
LIGHT = 1
"""How hard zlib tries: label images are long runs, and more effort gains little."""


@dataclass(frozen=True, slots=True)
class PackedLabels:
    """A label image, compressed: kilobytes where the pixels would be megabytes."""

    shape: tuple[int, int]
    data: bytes

    @classmethod
    def of(cls, labels: NDArray[np.integer[Any]]) -> PackedLabels:
        """Return ``(y, x)`` labels packed."""
        rows, columns = labels.shape
        return cls((rows, columns), zlib.compress(labels.astype("<u4").tobytes(), LIGHT))

    def unpacked(self) -> NDArray[np.int32]:
        """Return the ``(y, x)`` labels."""
        flat = np.frombuffer(zlib.decompress(self.data), "<u4")
        return flat.reshape(self.shape).astype(np.int32)


@dataclass(frozen=True, slots=True)
class Piece:
    """The part of an object that lies in the core of a tile."""

    label: int
    """In the label image of its tile, from 1."""
    wkb: bytes
    """Polygon or MultiPolygon in whole pixels of the level."""
    area: int
    """In pixels of the level."""
    score: float
    """The model's own estimate of the mask's IoU, 0..1."""


@dataclass(frozen=True, slots=True)
class TileResult:
    """All that a tile hands on; no pixels of the raster."""

    number: int
    pieces: tuple[Piece, ...] = ()
    bands: dict[tuple[int, int], PackedLabels] = field(default_factory=dict)
    """Labels around each seam, by the numbers of its two tiles."""
    labels: PackedLabels | None = None
    """Labels of the core, where a label raster is wanted."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Wall time of ``read``, ``find`` and ``trace``."""
    peak: int = 0
    """Most bytes that the process which made it ever held."""


@dataclass(frozen=True, slots=True, eq=False)
class TileJob:
    """What all tiles of a run have in common. Pickled, so parameters only."""

    raster: Raster
    level: int
    plan: TilePlan
    automatic: AutomaticOptions
    min_area: int
    aoi: bytes | None = None
    """Area of interest in pixels of the level, WKB."""
    keep_labels: bool = False
    """Whether the labels of the cores are wanted."""


def segment_tile(job: TileJob, model: Model, number: int) -> TileResult:
    """Return the objects of one tile.

    Args:
        job: The raster, the plan and the options.
        model: Finds the objects.
        number: Of the tile in the plan.

    Raises:
        RasterError: The pixels can not be read.
        ModelError: The model failed.
    """
    window, core = job.plan.window(number), job.plan.core(number)
    started = time.perf_counter()
    near = _view(job, window, 1)
    left, top = (-int(side) for side in near.place.corner)
    here = Window(top, left, window.height, window.width)
    allowed = near.valid[here.slices] & _within(job.aoi, window)
    read = time.perf_counter()
    if not allowed.any():
        return TileResult(number, seconds={"read": read - started})
    origin = (window.row, window.col)
    labels, scores = find_objects(
        model,
        lambda factor: near if factor == 1 else _view(job, window, factor),
        allowed,
        origin,
        job.automatic,
        job.min_area,
    )
    found = time.perf_counter()
    middle = _cut(labels, core, window)
    pieces = tuple(_pieces(middle, core, scores))
    bands = {
        (seam.first, seam.second): PackedLabels.of(_cut(labels, seam.band, window))
        for seam in job.plan.seams_of(number)
    }
    kept = PackedLabels.of(middle) if job.keep_labels else None
    spent = {
        "read": read - started,
        "find": found - read,
        "trace": time.perf_counter() - found,
    }
    return TileResult(number, pieces, bands, kept, spent)


def _view(job: TileJob, window: Window, factor: int) -> View:
    """Return a tile and its surroundings, reduced so that large objects are seen whole.

    Damage beyond the tile is no reason to give it up: then it is looked at alone.
    """
    try:
        return _read(job, window, factor, MARGIN)
    except RasterError:
        return _read(job, window, factor, 0)


def _read(job: TileJob, window: Window, factor: int, margin: int) -> View:
    near, level = job.raster.grid.level(job.level), job.level + factor.bit_length() - 1
    far = job.raster.grid.level(level)
    zoom = (near.width / far.width, near.height / far.height)
    bottom, right = window.stop
    top, left = int(window.row / zoom[1]) - margin, int(window.col / zoom[0]) - margin
    if margin:  # starts on the cells of coarse features, the same ones whatever the tile
        top, left = max(0, top // STRIDE * STRIDE), max(0, left // STRIDE * STRIDE)
    height = math.ceil(bottom / zoom[1]) + margin - top
    width = math.ceil(right / zoom[0]) + margin - left
    around = Window(top, left, height, width).intersection(far.whole)
    chip = job.raster.chip(around, level)
    corner = (around.col * zoom[0] - window.col, around.row * zoom[1] - window.row)
    return View(chip.rgb, chip.valid, Placement(zoom, corner))


def _within(aoi: bytes | None, window: Window) -> BoolArray:
    """Return ``(y, x)`` which pixels of a window have their centre in the area of interest."""
    if aoi is None:
        return np.ones(window.shape, bool)
    bottom, right = window.stop
    part = shapely.clip_by_rect(shapely.from_wkb(aoi), window.col, window.row, right, bottom)
    if part.is_empty:
        return np.zeros(window.shape, bool)
    here = Affine.translation(window.col, window.row)
    burned = rasterize([part], out_shape=window.shape, transform=here, dtype="uint8")
    return np.asarray(burned > 0)


def _cut(labels: NDArray[np.int32], part: Window, window: Window) -> NDArray[np.int32]:
    moved = Window(part.row - window.row, part.col - window.col, part.height, part.width)
    return labels[moved.slices]


def _pieces(
    labels: NDArray[np.int32], core: Window, scores: NDArray[np.float64]
) -> Iterator[Piece]:
    shapes, numbers = polygons_from_labels(labels, Affine.translation(core.col, core.row))
    areas = np.bincount(labels.ravel())
    for label, wkb in zip(numbers, shapely.to_wkb(shapes), strict=True):
        yield Piece(int(label), wkb, int(areas[label]), float(scores[label - 1]))
