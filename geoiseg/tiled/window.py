"""One window: read once, embedded, prompted, painted, traced. What every driver runs."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.features import rasterize

from geoiseg.errors import ModelError, RasterError
from geoiseg.models import DenseMaps, DenseModel, Embedding, Model, QuickModel, ReadingModel
from geoiseg.outline import polygons_from_labels
from geoiseg.prompting import Frame
from geoiseg.raster import BoolArray, Chip, Raster, Window
from geoiseg.segment import EmbeddingCache, Segmenter
from geoiseg.segment.embeddings import EmbeddingKey
from geoiseg.segment.segmenter import unpacked
from geoiseg.tiled.automatic import View, find_objects
from geoiseg.tiled.candidates import Placement
from geoiseg.tiled.dense import Labels, Wanted, find_dense
from geoiseg.tiled.doubt import asked_again
from geoiseg.tiled.looks import MARGIN, Look, look_at, margin_for
from geoiseg.tiled.options import DenseOptions, Finding
from geoiseg.tiled.plan import WindowPlan
from geoiseg.tiled.reading import read_parts
from geoiseg.tiled.sighted import Sighted
from geoiseg.tiled.wording import Wording, find_words

T = TypeVar("T")
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
    """The part of an object that lies in the core of a window."""

    label: int
    """In the label image of its window, from 1."""
    wkb: bytes
    """Polygon or MultiPolygon in whole pixels of the level."""
    area: int
    """In pixels of the level."""
    score: float
    """The model's own estimate of the mask's IoU, 0..1."""


@dataclass(frozen=True, slots=True)
class WindowResult:
    """All that a window hands on; no pixels of the raster."""

    number: int
    pieces: tuple[Piece, ...] = ()
    bands: dict[tuple[int, int], PackedLabels] = field(default_factory=dict)
    """Labels around each seam, by the numbers of its two windows."""
    labels: PackedLabels | None = None
    """Labels of the core, where a label raster is wanted."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Wall time of ``read``, ``find`` and ``trace``."""


@dataclass(frozen=True, slots=True, eq=False)
class WindowJob:
    """What all windows of a run have in common. Pickled, so parameters only."""

    raster: Raster
    level: int
    plan: WindowPlan
    automatic: Finding
    """How all objects are found."""
    min_area: int
    aoi: bytes | None = None
    """Area of interest in pixels of the level, WKB."""
    keep_labels: bool = False
    """Whether the labels of the cores are wanted."""
    words: Wording | None = None
    """What is looked for, instead of all objects."""
    keep_embeddings: bool = False
    """Whether what is encoded is written to disk."""
    in_floats: bool = False
    """Whether a model that reads in 8-bit integers is not to, as the run did not begin so."""


def segment_window(
    job: WindowJob, model: Model, number: int, cache: EmbeddingCache | None = None
) -> WindowResult:
    """Return the objects of one window.

    Args:
        job: The raster, the plan and the options.
        model: Finds the objects.
        number: Of the window in the plan.
        cache: Where what was encoded before is looked for.

    Raises:
        RasterError: The pixels can not be read.
        ModelError: The model failed.
    """
    window = job.plan.window(number)
    views = Views(job, window, Segmenter(job.raster, model, cache or EmbeddingCache(0)))
    allowed = views.allowed()
    if not allowed.any():
        return WindowResult(number, seconds={"read": views.seconds})
    started = time.perf_counter() - views.seconds
    labels, scores = _found(job, model, views, allowed)
    found = time.perf_counter()
    core = job.plan.core(number)
    middle = _cut(labels, core, window)
    pieces = tuple(_pieces(middle, core, scores))
    bands = {
        (seam.first, seam.second): PackedLabels.of(_cut(labels, seam.band, window))
        for seam in job.plan.seams_of(number)
    }
    kept = PackedLabels.of(middle) if job.keep_labels else None
    spent = {
        "read": views.seconds,
        "find": found - started - views.seconds,
        "trace": time.perf_counter() - found,
    }
    return WindowResult(number, pieces, bands, kept, spent)


def _found(
    job: WindowJob, model: Model, views: Views, allowed: BoolArray
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Return labels of a window's objects and the scores of these, by the way of the job."""
    window, how = views.window, job.automatic
    if job.words is not None:
        ground = (job.raster, job.level, window, allowed)
        return find_words(job.words, model, views.seen(1), ground)
    if not isinstance(how, DenseOptions):
        origin = (window.row, window.col)
        return find_objects(model, views.encoded, allowed, origin, how, job.min_area)
    if not isinstance(model, DenseModel):
        raise ModelError(f"{model.info.name} says it has dense heads, but has no method for them")
    return find_dense(views, allowed, how, job.min_area)


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """A window at one reduction as the model has seen it, now or in an earlier run."""

    kept: Embedding
    valid: BoolArray
    place: Placement

    def embedding(self, model: Model) -> Embedding:  # noqa: ARG002 - as a View has it
        """Return what the model knows of it."""
        return self.kept


class Views:
    """A window at the reductions that are asked for; counts the time that reading takes."""

    def __init__(self, job: WindowJob, window: Window, segmenter: Segmenter) -> None:
        self._job, self.window, self._segmenter = job, window, segmenter
        self._seen: dict[int, View] = {}
        self._sights: list[Sighted] = []
        self._most = MARGIN if job.words is not None else margin_for(job.automatic)
        self.seconds = 0.0

    def allowed(self) -> BoolArray:
        """Return ``(y, x)`` where objects may be; little work where there is no data."""
        if self._job.words is None and isinstance(self._job.automatic, DenseOptions):
            view = self.seen(1)  # which is wanted in any case
            left, top = (-round(side) for side in view.place.corner)
            valid = view.valid[top : top + self.window.height, left : left + self.window.width]
        else:
            _, valid = self._timed(lambda: self._job.raster.read(self.window, self._job.level))
        return valid & _within(self._job.aoi, self.window) if valid.any() else valid

    def seen(self, factor: int) -> View:
        """Return the window and its surroundings at a reduction.

        Damage beyond the window is no reason to give it up: then it is looked at alone.
        """
        if factor not in self._seen:
            try:
                look = self._look(factor, self._most)
                chip = self._read(look)
            except RasterError:
                look = self._look(factor, 0)
                chip = self._read(look)
            self._seen[factor] = View(chip.rgb, chip.valid, look.place)
        return self._seen[factor]

    def encoded(self, factor: int) -> Encoded:
        """Return the same encoded, from the cache where it is."""
        try:
            return self._encoded(self._look(factor, self._most))
        except RasterError:
            return self._encoded(self._look(factor, 0))

    def said(self, view: View, factor: int, wanted: Wanted, known: DenseMaps | None) -> DenseMaps:
        """Return what the model says of a view, part by part."""
        frame = self._look(factor, self._margin(view, factor)).frame
        return read_parts(partial(self._part, view, frame), view.valid, wanted, known)

    def asked(
        self, found: Labels, ground: tuple[BoolArray, BoolArray], least: tuple[float, int]
    ) -> Labels:
        """Return objects of which those in doubt were asked for, and open ground besides."""
        return asked_again(self._segmenter.model, self._sights, found, ground, least)

    def _part(self, view: View, frame: Frame, part: Window) -> DenseMaps:
        """Return what the model says of a part of a view, encoded before or now.

        Where it is asked besides, what it encoded is kept until the window is done.
        """
        model, job = self._segmenter.model, self._job
        if not isinstance(model, DenseModel):
            raise ModelError(f"{model.info.name} says it has dense heads, but has none")
        asking = isinstance(job.automatic, DenseOptions) and job.automatic.best
        there = Window(frame.window.row + part.row, frame.window.col + part.col, *part.shape)
        key = self._segmenter.key(Frame(frame.level, there))
        kept = self._timed(lambda: self._segmenter.cache.get(key))
        seen = view.rgb[part.slices], view.valid[part.slices]
        if kept is None and not job.keep_embeddings:
            if isinstance(model, ReadingModel) and not asking and not job.in_floats:
                return model.read(*seen)
            if isinstance(model, QuickModel) and not job.in_floats:
                embedding = model.embed_quickly(*seen)
            else:
                embedding = model.embed(*seen)
        else:
            if kept is None:
                kept = self._kept(key, self._timed(lambda: job.raster.chip(there, frame.level)))
            embedding = unpacked(kept)[0]
        if asking:
            self._sights.append(_sighted(view, part, embedding))
        return model.dense(embedding)

    def _margin(self, view: View, factor: int) -> int:
        """Return what a view shows around the window."""
        shown = self._look(factor, self._most).frame.window.shape
        return self._most if view.valid.shape == shown else 0

    def _encoded(self, look: Look) -> Encoded:
        cache = self._segmenter.cache
        key = self._segmenter.key(look.frame)
        kept = self._timed(lambda: cache.get(key))
        if kept is None:
            kept = self._kept(key, self._read(look))
        return Encoded(*unpacked(kept), look.place)

    def _kept(self, key: EmbeddingKey, chip: Chip) -> Embedding:
        """Return a chip encoded, and keep that where it is wanted."""
        segmenter, disk = self._segmenter, self._segmenter.cache.disk
        made = segmenter.encode(chip)
        if self._job.keep_embeddings and disk is not None and key.origin is not None:
            disk.keep(key, made)
        return made

    def _look(self, factor: int, margin: int) -> Look:
        return look_at(self._job.raster.grid, self._job.level, self.window, factor, margin)

    def _read(self, look: Look) -> Chip:
        raster = self._job.raster
        return self._timed(lambda: raster.chip(look.frame.window, look.frame.level))

    def _timed(self, read: Callable[[], T]) -> T:
        started = time.perf_counter()
        try:
            return read()
        finally:
            self.seconds += time.perf_counter() - started


def _sighted(view: View, part: Window, embedding: Embedding) -> Sighted:
    """Return what was encoded of a part of a view, with its place over the window."""
    (across, down), (x, y) = view.place.zoom, view.place.corner
    corner = (x + part.col * across, y + part.row * down)
    rows, columns = view.valid.shape
    reach = Window(-part.row, -part.col, rows, columns)
    return Sighted(embedding, part.shape, Placement(view.place.zoom, corner), reach)


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
