"""What was asked in words, and what was found: values that a session can go back to."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray

from geoiseg.errors import PromptError
from geoiseg.models import Embedding, Model, get_model
from geoiseg.models.tiny.afar import halved
from geoiseg.outline import Line, contours_from_labels, polygons_from_labels
from geoiseg.prompting import Frame, Region, Text
from geoiseg.raster import Raster, Window
from geoiseg.segment import EmbeddingCache, Segmenter, Watch
from geoiseg.segment.physics import odds_of
from geoiseg.words.embedded import EmbeddedWords
from geoiseg.words.engine import THRESHOLD, WordEngine
from geoiseg.words.engines import get_engine
from geoiseg.words.view import (
    FROM_AFAR,
    Area,
    Bounds,
    Odds,
    View,
    factor_for,
    find_area,
    gsd_of,
)
from geoiseg.words.vocabulary import check_text

LIMIT = 1000
"""Candidates that are kept, the most likely ones."""


@dataclass(frozen=True, slots=True)
class Query:
    """What is looked for, where, and by what."""

    text: str
    negative: str = ""
    """What it should not be; empty for nothing."""
    engine: str = ""
    """Name of the engine; empty for the default."""
    within: Bounds | None = None
    """Bounds of where to look, in the raster's CRS; None is all of the raster."""
    gsd: float | None = None
    """Metres per pixel to work at; None finds it."""
    limit: int = LIMIT
    """Candidates to keep."""
    line: Line = "contour"
    """Along what their outlines run."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", check_text(self.text))
        if self.negative:
            object.__setattr__(self, "negative", check_text(self.negative))
        if not 1 <= self.limit <= LIMIT:
            raise PromptError(f"limit is 1 to {LIMIT} candidates, got {self.limit}")


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """An object that was found."""

    number: int
    """From 1 on, the most likely first."""
    geometry: Any
    """Shapely Polygon or MultiPolygon in the raster's CRS; neighbours share their borders."""
    score: float
    """How sure the engine is, 0..1."""
    area: int
    """In pixels of the level that was looked at."""


@dataclass(frozen=True, slots=True, eq=False)
class Search:
    """A query, what was found, and what became of it."""

    query: Query
    candidates: tuple[Candidate, ...]
    engine: str
    """Name and weights of the engine, ``name@hash``."""
    gsd: float
    """Metres per pixel that was worked at."""
    threshold: float = THRESHOLD
    """Least score of what is shown."""
    gone: frozenset[int] = frozenset()
    """Numbers of candidates that were accepted."""
    rejected: frozenset[int] = frozenset()
    """Numbers of candidates that were rejected."""
    note: str = ""
    """What was understood, in one line."""
    by: str = ""
    """Indices and thresholds that told it apart, where no network did."""
    milliseconds: dict[str, float] = field(default_factory=dict)
    """Wall time of what was done."""

    @property
    def shown(self) -> tuple[Candidate, ...]:
        """The candidates above the threshold that are still open, the most likely first."""
        closed = self.gone | self.rejected
        return tuple(
            one
            for one in self.candidates
            if one.score >= self.threshold and one.number not in closed
        )

    def find(self, number: int) -> Candidate:
        """Return an open candidate by its number.

        Raises:
            PromptError: There is none.
        """
        for one in self.candidates:
            if one.number == number and number not in self.gone | self.rejected:
                return one
        known = ", ".join(str(one.number) for one in self.shown[:10]) or "none"
        raise PromptError(f"there is no open candidate {number!r}; shown are: {known}")

    def at(self, x: float, y: float) -> Candidate | None:
        """Return the smallest candidate shown at a place in the raster's CRS, or None."""
        here = shapely.Point(x, y)
        found = [one for one in self.shown if one.geometry.intersects(here)]
        return min(found, key=lambda one: one.area) if found else None

    def prompts(self, candidate: Candidate) -> tuple[Text, Region]:
        """Return a candidate as prompts: what was asked, and the outline that answers."""
        query = self.query
        said = Text(query.text, query.negative, self.engine, candidate.score, query.within)
        return said, Region(candidate.geometry, given=True)


class Searcher:
    """Looks for words on one raster. Keeps what makes the next word fast.

    Args:
        raster: The raster.
        cache: Where embeddings are kept.
    """

    def __init__(self, raster: Raster, cache: EmbeddingCache) -> None:
        self.raster = raster
        self.cache = cache

    def run(
        self,
        query: Query,
        model: Model,
        watch: Watch | None = None,
        engine: WordEngine | None = None,
    ) -> Search:
        """Return what is found.

        Args:
            query: What to look for.
            model: The session's model: segments what detectors only box, and answers itself
                where it takes words.
            watch: To follow or stop the work.
            engine: Instead of the one that the query names.

        Raises:
            PromptError: The engine does not know the words, or there is no data.
            ModelError: The engine is not ready; the message says what is missing.
            CancelledError: ``watch`` asked to stop.
        """
        started = time.perf_counter()
        watch = watch or Watch()
        engine = engine or get_engine(query.engine, model)
        ask = engine.ask(query.text, query.negative)
        by = ""
        if isinstance(engine, EmbeddedWords):
            engine.check(ask, self.raster)
            by = engine.by(ask, self.raster)
        area = find_area(self.raster.grid, query.within, query.gsd)
        labels, scores = engine.look(ask, area, self.views(area, watch))
        watch.spent("find", started)
        candidates = outlined(labels, scores, area, self.raster, query)
        return Search(
            query,
            candidates,
            f"{engine.name}@{engine.weights}",
            gsd_of(self.raster.grid, area.level),
            engine.threshold,
            note=f"{ask.note}, by {by}" if by else ask.note,
            by=by,
            milliseconds=dict(watch.milliseconds),
        )

    def views(self, area: Area, watch: Watch) -> Iterator[tuple[Window, View]]:
        """Yield the cores of an area and the chips around them; those without data are left out.

        Raises:
            PromptError: There is no data at all.
        """
        empty = True
        for number, core in enumerate(area.cores, 1):
            watch.phase(f"looking, part {number} of {len(area.cores)}")
            view = self.view(area.frame(core, self.raster.grid))
            if view.valid.any():
                empty = False
                yield core, view
        if empty:
            raise PromptError(f"there is no data in {self.raster.name} where to look")

    def view(self, frame: Frame) -> View:
        """Return a chip of the raster."""
        chip = self.raster.chip(frame.window, frame.level)
        tiny = Segmenter(self.raster, get_model("tiny"), self.cache)

        def embed(factor: float) -> Embedding:
            if factor == 1:
                return tiny.embed(frame)[0]
            return embedded_at(tiny.model, chip.rgb, chip.valid, factor)

        key = f"{self.raster.source_id}/{self.raster.bands}/{self.raster.stretch}/{frame}"
        factor = factor_for(self.raster.grid, frame.level)
        return View(frame, chip.rgb, chip.valid, key, factor, embed, odds_at(self.raster, frame))


def odds_at(raster: Raster, frame: Frame) -> Odds:
    """Return what gives the log-odds of kinds on a chip by the raster's indices, each once."""

    @cache
    def odds(kind: str) -> NDArray[np.float32] | None:
        return odds_of(raster, kind, frame.window, frame.level)

    return odds


def view_of(frame: Frame, rgb: NDArray[np.uint8], valid: NDArray[np.bool_], raster: Raster) -> View:
    """Return a chip whose pixels are at hand; nothing of it is kept.

    Args:
        frame: Where it is.
        rgb: ``(y, x, 3)``.
        valid: ``(y, x)``.
        raster: Of which it is.
    """
    factor = factor_for(raster.grid, frame.level)

    def embed(times: float) -> Embedding:
        return embedded_at(get_model("tiny"), rgb, valid, times)

    return View(frame, rgb, valid, "", factor, embed, odds_at(raster, frame))


def embedded_at(
    model: Model, rgb: NDArray[np.uint8], valid: NDArray[np.bool_], factor: float
) -> Embedding:
    """Return the embedding of a chip shown at another size.

    Args:
        model: ``tiny``.
        rgb: ``(y, x, 3)``.
        valid: ``(y, x)`` True where there is data.
        factor: How many times as large it is shown: a whole number, or a half.

    Raises:
        ValueError: The factor is neither.
    """
    if factor == 1:
        return model.embed(rgb, valid)
    if factor == FROM_AFAR:
        return model.embed(*halved(rgb * valid[..., None], valid))
    if factor < 1 or factor != int(factor):
        raise ValueError(f"a chip is shown 1, 2, ... times as large, or at half, not {factor}")
    size = (valid.shape[1] * int(factor), valid.shape[0] * int(factor))
    large = cv2.resize(rgb, size, interpolation=cv2.INTER_CUBIC)
    known = cv2.resize(valid.view(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    return model.embed(np.asarray(large, np.uint8), known > 0)


def outlined(
    labels: NDArray[np.int32], scores: NDArray[np.float64], area: Area, raster: Raster, query: Query
) -> tuple[Candidate, ...]:
    """Return the objects of a label image as candidates, best first.

    Args:
        labels: ``(y, x)`` of the area, the best object is 1.
        scores: Of each label.
        area: Where it lies.
        raster: The raster.
        query: How many to keep, and how they are outlined.
    """
    labels = np.where(labels > query.limit, 0, labels).astype(np.int32)
    grid = area.grid(raster.grid)
    trace = contours_from_labels if query.line == "contour" else polygons_from_labels
    shapes, numbers = trace(labels, grid.transform)
    areas = np.bincount(labels.ravel(), minlength=len(scores) + 1)
    found = sorted(zip(numbers.tolist(), shapes, strict=True))
    return tuple(
        Candidate(n, shape, round(float(scores[n - 1]), 4), int(areas[n])) for n, shape in found
    )
