"""What is learnt of objects on the raster they are known on, to find them on another one."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import numpy as np
import shapely

from geoiseg.errors import PromptError, SessionError
from geoiseg.features import Feature
from geoiseg.models import FollowingModel
from geoiseg.prompting import Point
from geoiseg.raster import BoolArray, Grid
from geoiseg.segment import Step, Watch
from geoiseg.segment.dates import box_around, burnt, picture
from geoiseg.segment.likeness import Likeness, deep_places, learnt, soft_iou
from geoiseg.session.drift import DriftOptions
from geoiseg.session.sharing import Sharing

log = logging.getLogger(__name__)

How = Literal["auto", "colours", "model"]
ENOUGH = 0.95
"""IoU with itself from which on an object's colours need no comparison with the model."""


@dataclass(frozen=True, slots=True)
class CarryOptions:
    """How objects are carried to another raster."""

    register: bool = False
    """Whether to find how far the raster lies off the first one, and to follow."""
    how: How = "auto"
    """What draws the outlines: the object's colours in all bands, or the model, shown the outline
    and points on its sure inside. ``auto`` takes what finds the object better on the first
    raster, where its outline is known. A model that follows objects by a memory of its own, as
    SAM 2 does, draws them but for ``colours``: shown the object there and each raster since."""
    points: int = 8
    """Points on the sure inside that the model is given."""
    room: float = 0.5
    """How far around an outline is looked, as a share of its size."""
    drift: DriftOptions = field(default_factory=DriftOptions)
    """From where on a change is flagged."""

    def __post_init__(self) -> None:
        if self.how not in get_args(How):
            raise SessionError(f"how is one of {', '.join(get_args(How))}, got {self.how!r}")
        if not 1 <= self.points <= 100:
            raise SessionError(f"points is 1 to 100, got {self.points!r}")
        if not (math.isfinite(self.room) and 0 <= self.room <= 10):
            raise SessionError(f"room is a share of 0 to 10, got {self.room!r}")


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """What was learnt of an object on the first raster."""

    feature: Feature
    likeness: Likeness | None
    by_colours: bool
    """Whether its colours find it better than the model does."""
    score: float
    """How sure it was there, by what draws it."""
    by_memory: bool = False
    """Whether the model follows it by a memory of its own."""


@dataclass(frozen=True, slots=True, eq=False)
class Teacher:
    """A session whose objects are known."""

    origin: Sharing
    """On the first raster."""
    options: CarryOptions
    features: Mapping[int, Feature]
    """The objects by id."""
    _known: dict[tuple[int, tuple[Any, ...]], Known] = field(default_factory=dict)

    def known(self, feature: Feature, bands: tuple[Any, ...], watch: Watch) -> Known:
        """Return what is learnt of an object on the first raster, in some of its bands."""
        key = (feature.id, bands)
        if key not in self._known:
            self._known[key] = self._learn(feature, bands, watch)
        return self._known[key]

    def _learn(self, feature: Feature, bands: tuple[Any, ...], watch: Watch) -> Known:
        raster = self.origin.raster
        box = box_around(feature.geometry, raster.grid, self.options.room)
        seen = picture(raster, bands, box)
        if seen is None:
            return Known(feature, None, by_colours=False, score=math.nan)
        mask = burnt(feature.geometry, seen.grid)
        alike = [one.geometry for one in self.features.values()
                 if one is not feature and one.label == feature.label]  # fmt: skip
        ignored = burnt(shapely.union_all(alike), seen.grid) if alike else None
        likeness = learnt(seen.values, seen.valid, mask, ignored)
        told = 0.0 if likeness is None else likeness.told
        if self.options.how != "colours" and isinstance(self.origin.model, FollowingModel):
            return Known(feature, likeness, by_colours=False, score=1.0, by_memory=True)
        by_colours = likeness is not None and self.options.how != "model"
        score = math.nan
        if self.options.how == "auto" and told < ENOUGH:
            mine, score = self._rehearsed(feature, mask, seen.grid, watch)
            by_colours = by_colours and told >= mine
        if by_colours and likeness is not None:
            score = soft_iou(likeness.odds(seen.values), mask & seen.valid, seen.valid)
        elif math.isnan(score):
            score = self._rehearsed(feature, mask, seen.grid, watch)[1]
        log.info("object %d: told apart by colours %.2f, %s", feature.id, told,
                 "colours" if by_colours else "model")  # fmt: skip
        return Known(feature, likeness, by_colours, score)

    def _rehearsed(
        self, feature: Feature, mask: BoolArray, grid: Grid, watch: Watch
    ) -> tuple[float, float]:
        """Return IoU and score of what the model finds by points on the object's inside."""
        xy = grid.to_crs(deep_places(mask, self.options.points)).tolist()
        step = self.step(tuple(Point(x, y) for x, y in xy), feature)
        try:
            outcome = self.origin.segmenter.replay((step,), watch)
        except PromptError:
            return 0.0, 0.0
        if outcome is None:
            return 0.0, 0.0
        found, known = outcome.mask, burnt(feature.geometry, outcome.mask.grid)
        union = float(np.count_nonzero(found.array | known))
        return np.count_nonzero(found.array & known) / max(union, 1.0), found.score

    def step(self, prompts: tuple[Any, ...], feature: Feature) -> Step:
        """Return a step at the scale that an object was made at."""
        step = Step(prompts, feature.steps[-1].gsd if feature.steps else self.origin.gsd)
        return step if self.origin.all_bands else replace(step, spectral=0)
