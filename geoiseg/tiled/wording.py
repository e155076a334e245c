"""Words, examples and taught classes as what a whole raster is mapped by."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np

from geoiseg.errors import PromptError, VectorError
from geoiseg.features import plain_value
from geoiseg.files import blank_rows, left_out, read_frame, there
from geoiseg.models import Model
from geoiseg.prompting import Frame
from geoiseg.raster import BoolArray, Raster, Window
from geoiseg.segment import EmbeddingCache
from geoiseg.session import load_project
from geoiseg.tiled.automatic import View as Near
from geoiseg.words import (
    Area,
    Classifier,
    Labels,
    LikeEngine,
    Prototypes,
    Searcher,
    WordEngine,
    WordsOptions,
    get_engine,
    get_like_engine,
    prototypes,
    view_of,
)
from geoiseg.words.concept import Examples
from geoiseg.words.embedded import EmbeddedWords
from geoiseg.words.examples import under_outlines


@dataclass(frozen=True, slots=True, eq=False)
class Wording:
    """What is looked for, ready for every window. Pickled, so parameters only."""

    options: WordsOptions
    how: Prototypes | Classifier | Examples | None = None
    by: str = ""
    """Indices and thresholds that tell it apart, where no network does."""

    def engine(self, model: Model) -> WordEngine:
        """Return the engine in this process."""
        if self.how is None:
            return get_engine(self.options.engine, model)
        if isinstance(self.how, Examples):
            return get_like_engine(self.options.engine, model, self.how, self.options.text)
        return LikeEngine(self.how, self.options.text)

    @property
    def label(self) -> str:
        """What objects are called where nobody says."""
        return self.options.text or "like the examples"


def read_wording(options: WordsOptions, raster: Raster, level: int, model: Model) -> Wording:
    """Return what is looked for, with everything checked that can be.

    Raises:
        GeoisegError: The words are unknown, or a file can not be used.
    """
    wording = Wording(options)
    if options.project is not None:
        known = load_project(Path(options.project)).classifier
        if known is None:
            raise PromptError(f"{options.project} has no classifier: teach one in a session first")
        wording = replace(wording, how=known)
    elif options.like is not None:
        wording = replace(wording, how=_like(options, raster, level))
    engine = wording.engine(model)
    asked = engine.ask(wording.label, options.negative)
    if isinstance(engine, EmbeddedWords):
        engine.check(asked, raster)
        wording = replace(wording, by=engine.by(asked, raster))
    return wording


def _like(options: WordsOptions, raster: Raster, level: int) -> Prototypes | Examples:
    """Return what the examples of a file are to the engine."""
    path = Path(str(options.like))
    wanted, unwanted = _polygons(path, raster)
    if options.engine not in ("", LikeEngine.name):
        if not options.text.strip():
            raise PromptError(
                f"{options.engine} compares with examples within one window only; say besides what"
                " they are called, by which it looks elsewhere: --text"
            )
        return Examples(raster.grid, tuple(wanted), tuple(unwanted))
    searcher = Searcher(raster, EmbeddingCache())
    like, unlike = (under_outlines(searcher, some, level) for some in (wanted, unwanted))
    if not like:
        raise PromptError(f"no example of {path} lies on {raster.name}")
    return prototypes(like, unlike)


def _polygons(path: Path, raster: Raster) -> tuple[list[Any], list[Any]]:
    """Return the polygons of a file in the raster's CRS: examples, and what is unlike them."""
    if not there(path):
        raise PromptError(f"{path} does not exist")
    try:
        frame = read_frame(path)
    except (VectorError, ValueError) as error:
        raise PromptError(f"can not read examples from {path}: {error}") from error
    if not isinstance(frame, gpd.GeoDataFrame) or not len(frame):
        raise PromptError(f"{path} holds no polygon to take as an example")
    blank = blank_rows(frame)
    left_out(path.name, blank, "no geometry")
    sides: dict[bool, list[Any]] = {True: [], False: []}
    for number, row in enumerate(frame.to_dict("records")):
        shape = row[frame.geometry.name]
        if number in blank:
            continue
        if shape.geom_type not in {"Polygon", "MultiPolygon"}:
            raise PromptError(
                f"examples are polygons; row {number + 1} of {path} is a {shape.geom_type}"
            )
        if frame.crs is not None and raster.grid.crs is not None:
            shape = raster.grid.bring(shape, frame.crs)
        sign = plain_value(row.get("positive"))
        sides[sign is None or bool(sign)].append(shape)
    return sides[True], sides[False]


def find_words(
    wording: Wording, model: Model, near: Near, ground: tuple[Raster, int, Window, BoolArray]
) -> Labels:
    """Return labels and scores of the objects of a window, the best object is 1.

    Args:
        wording: What is looked for.
        model: Of the run.
        near: The window with its surroundings, at its own scale.
        ground: The raster, the level, the window, and ``(y, x)`` where objects may be.
    """
    raster, level, window, allowed = ground
    left, top = (int(side) for side in near.place.corner)
    rows, columns = near.valid.shape
    frame = Frame(level, Window(window.row + top, window.col + left, rows, columns))
    view = view_of(frame, near.rgb, near.valid, raster)
    engine = wording.engine(model)
    asked = engine.ask(wording.label, wording.options.negative)
    labels, scores = engine.look(asked, Area(level, window), [(window, view)])
    least = wording.options.threshold
    good = scores >= (engine.threshold if least is None else least)
    number = np.concatenate([[0], np.where(good, np.cumsum(good), 0)]).astype(np.int32)
    return np.where(allowed, number[labels], 0).astype(np.int32), scores[good]
