"""Two rasters, and each object of the first one found on the second."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import shapely

from geoiseg.errors import PromptError, SessionError
from geoiseg.features import Feature
from geoiseg.models import FollowingModel
from geoiseg.outline import outline
from geoiseg.prompting import PixelPrompts, Point, Region
from geoiseg.raster import BoolArray, Grid
from geoiseg.segment import CleanOptions, Mask, Step, Watch, clean
from geoiseg.segment.dates import (
    Light,
    Picture,
    Shift,
    box_around,
    burnt,
    light_between,
    moved_back,
    onto,
    picture,
    shared_bands,
    shift_between,
)
from geoiseg.segment.likeness import Likeness, deep_places, meeting, soft_iou
from geoiseg.session.drift import (
    DRIFTED,
    GONE,
    KEPT,
    OUTSIDE,
    VANISHED,
    Drift,
    area_change,
    flags_of,
    overlap,
)
from geoiseg.session.following import Seen, followed
from geoiseg.session.learning import Known, Teacher
from geoiseg.session.sharing import Sharing

log = logging.getLogger(__name__)

FAINT = 0.8
"""IoU with itself below which colours do not even say where a point is sure."""
APPEARED = 0.25
"""Share of the object's area from which on what is alike, and was not, is a candidate."""
PINHOLE, SPECK = 4, 16
"""Holes and parts of fewer pixels are noise."""


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """The first raster and another one."""

    teacher: Teacher
    session: Sharing
    bands: tuple[tuple[Any, ...], tuple[Any, ...]]
    light: Light
    shift: Shift
    way: tuple[Seen, ...] = ()
    """Rasters that the objects came by, this one the last."""

    @classmethod
    def of(
        cls, teacher: Teacher, session: Sharing, before: Mapping[int, Any], watch: Watch,
        way: tuple[Seen, ...] = (),
    ) -> Pair:  # fmt: skip
        """Return the pair, with what lies between their light and their places.

        Raises:
            SessionError: They have no ground or no bands in common.
        """
        first, second = teacher.origin.raster, session.raster
        bands = shared_bands(first, second)
        watch.phase("comparing the rasters")
        room = teacher.options.room
        boxes = np.array([box_around(one, first.grid, room) for one in before.values()])
        box = (*boxes[:, :2].min(axis=0).tolist(), *boxes[:, 2:].max(axis=0).tolist())
        here = picture(first, bands[0], box)
        if here is None:
            raise SessionError(f"no object lies on {first.name}")
        other = None if first.grid.crs == second.grid.crs else first.grid.crs
        corners = here.grid.corners
        ground = (*corners.min(axis=0).tolist(), *corners.max(axis=0).tolist())
        there = picture(second, bands[1], second.grid.box_to_pixel(ground, other))
        if there is None:
            raise SessionError(f"{second.name} does not lie where the objects of {first.name} are")
        there = onto(there, here.grid)
        shift = shift_between(here, there) if teacher.options.register else Shift()
        if shift.believed:
            step = here.grid.to_pixel([(shift.dx, shift.dy)]) - here.grid.to_pixel([(0, 0)])
            there = moved_back(there, (float(step[0, 0]), float(step[0, 1])))
        way = (*way, Seen(second, shift))
        return cls(teacher, session, bands, light_between(here, there), shift, way)

    def carried(
        self, feature: Feature, before: Any, watch: Watch
    ) -> tuple[Drift, Feature | None, tuple[Any, ...]]:
        """Return what became of an object, the object, and outlines of what is like it and new."""
        teacher, grid = self.teacher, self.session.raster.grid
        start = shapely.transform(before, lambda xy: xy + self.shift.step)
        crs = teacher.origin.raster.grid.crs
        there = grid.bring(start, None if crs == grid.crs else crs)
        drift = Drift(feature.id, feature.label, OUTSIDE)
        seen = picture(self.session.raster, self.bands[1],
                       box_around(there, grid, teacher.options.room))  # fmt: skip
        if seen is None or not (burnt(there, seen.grid) & seen.valid).any():
            return drift, None, ()
        known = teacher.known(feature, self.bands[0], watch)
        if known.by_memory:
            mask, steps = self._followed(known, before, seen)
        else:
            mask, steps = self._drawn(known, there, seen, watch)
        options = self.session.options
        geometry = None if mask is None else outline(mask, options.unshaped)
        change = -1.0 if geometry is None else area_change(there, geometry, grid.crs)
        how = "colours" if known.by_colours else "memory" if known.by_memory else "model"
        if mask is None or geometry is None or geometry.is_empty or change < GONE - 1:
            return replace(drift, change=VANISHED, how=how, area_change=-1.0), None, ()
        drift = replace(
            drift, how=how, iou_before=overlap(there, geometry), area_change=change,
            score=mask.score, score_change=mask.score - known.score,
            colour_change=self._colour_change(known, seen, geometry),
        )  # fmt: skip
        flags = flags_of(drift, teacher.options.drift)
        flags += ("goes on",) if _runs_out(geometry, seen, grid) else ()
        drift = replace(drift, flags=flags, change=DRIFTED if flags else KEPT)
        info, drawn, shape = self.session.model.info, None, geometry
        if options.reshapes and feature.drawn is not None:  # as it was on the first raster
            drawn, shape = geometry, outline(mask, options) or geometry
        made = Feature(
            feature.id, shape, feature.label, dict(feature.attributes), steps, mask.score,
            info.name, info.weights_hash, mask.grid.pixel_size_metres(), self.session.raster.name,
            drawn=drawn,
        )  # fmt: skip
        return drift, made, self._appeared(known, seen, geometry)

    def _drawn(
        self, known: Known, there: Any, seen: Picture, watch: Watch
    ) -> tuple[Mask | None, tuple[Step, ...]]:
        """Return the object as a mask, None where nothing is left, and the steps to it."""
        before = burnt(there, seen.grid)
        odds = None if known.likeness is None else self._odds(known.likeness, seen)
        if known.by_colours and odds is not None:
            found = meeting((odds > 0) & seen.valid, before & seen.valid)
            if not found.any():
                return None, ()
            array = _without_specks(found, seen.valid)
            mask = Mask(array, seen.grid, soft_iou(odds, array, seen.valid))
            given = Region(outline(mask, self.session.options.unshaped), given=True)
            return mask, (self.teacher.step((given,), known.feature),)
        sure = before & seen.valid
        if odds is not None and known.likeness is not None and known.likeness.told >= FAINT:
            sure = sure & (odds > 0)
            if np.count_nonzero(sure) < GONE * np.count_nonzero(before):
                return None, ()
        xy = seen.grid.to_crs(deep_places(sure, self.teacher.options.points)).tolist()
        said = (Region(there), *(Point(x, y) for x, y in xy))
        steps = (self.teacher.step(said, known.feature),)
        try:
            outcome = self.session.segmenter.replay(steps, watch)
        except PromptError as error:
            log.warning("object %d: %s", known.feature.id, error)
            return None, ()
        return (None if outcome is None or outcome.mask.is_empty else outcome.mask), steps

    def _followed(
        self, known: Known, before: Any, seen: Picture
    ) -> tuple[Mask | None, tuple[Step, ...]]:
        """Return the object as a mask where the model's memory sees it, and the steps to it."""
        teacher = self.teacher
        model, first = teacher.origin.model, teacher.origin.raster
        assert isinstance(model, FollowingModel)  # noqa: S101 - else nothing is known by memory
        room, shape = teacher.options.room, known.feature.geometry
        found = followed(model, first, shape, self.way, before, room)
        if found is None:
            return None, ()
        crs, grid = first.grid.crs, self.session.raster.grid
        moved = shapely.transform(found[0], lambda xy: xy + self.shift.step)
        there = grid.bring(moved, None if crs == grid.crs else crs)
        array = burnt(there, seen.grid) & seen.valid
        if not array.any():
            return None, ()
        mask = Mask(array, seen.grid, found[1])
        given = Region(outline(mask, self.session.options.unshaped), given=True)
        return mask, (teacher.step((given,), known.feature),)

    def _odds(self, likeness: Likeness, seen: Picture) -> Any:
        """Return ``(y, x)`` log-odds of the object: half as it is, half in the first's light.

        What differs between two dates is in part the light, in part the ground; neither is known.
        """
        return (likeness.odds(seen.values) + likeness.odds(self.light.on(seen.values))) / 2

    def _colour_change(self, known: Known, seen: Picture, geometry: Any) -> float:
        mask = burnt(geometry, seen.grid) & seen.valid
        if known.likeness is None or not mask.any():
            return math.nan
        return known.likeness.colour_change(self.light.on(seen.values), mask)

    def _appeared(self, known: Known, seen: Picture, geometry: Any) -> tuple[Any, ...]:
        """Return outlines of what is like the object, and was not on the first date."""
        if not known.by_colours or known.likeness is None:
            return ()
        raster = self.teacher.origin.raster
        other = None if raster.grid.crs == seen.grid.crs else seen.grid.crs
        corners = seen.grid.corners
        ground = (*corners.min(axis=0).tolist(), *corners.max(axis=0).tolist())
        then = picture(raster, self.bands[0], raster.grid.box_to_pixel(ground, other))
        if then is None:
            return ()
        odds = known.likeness.odds(then.values)[None]
        before = onto(Picture(odds, then.valid, then.grid), seen.grid)
        unlike = before.valid & (before.values[0] < 0)
        own = burnt(geometry, seen.grid)
        new = (self._odds(known.likeness, seen) > 0) & seen.valid & unlike & ~own
        least = max(16.0, APPEARED * np.count_nonzero(own))
        new = _without_specks(new, seen.valid, int(least))
        if not new.any():
            return ()
        shapes = outline(Mask(new, seen.grid), self.session.options)
        return tuple(shapely.get_parts(shapes))


def _without_specks(mask: BoolArray, valid: BoolArray, least: int = 0) -> BoolArray:
    """Return a mask without its small parts and pinholes."""
    nothing = PixelPrompts(points=np.zeros((0, 2)), positive=np.zeros(0, bool))
    options = CleanOptions(PINHOLE, SPECK, only_prompted=False)
    options = replace(options, min_part=least) if least else options
    cleaned = clean(mask, valid, nothing, options)
    return cleaned if not least or np.count_nonzero(cleaned) >= least else np.zeros_like(mask)


def _runs_out(geometry: Any, seen: Picture, grid: Grid) -> bool:
    """Return whether an outline meets the end of what was looked at where the raster goes on."""
    xy = seen.grid.to_pixel(shapely.get_coordinates(geometry))
    ends = np.array(seen.grid.shape[::-1], float)
    full = grid.to_pixel(seen.grid.to_crs(np.array([(0.0, 0.0), ends.tolist()])))
    low, high = xy.min(axis=0) < 0.5, xy.max(axis=0) > ends - 0.5
    inner_low = full.min(axis=0) > 0.5
    inner_high = full.max(axis=0) < np.array(grid.shape[::-1]) - 0.5
    return bool((low & inner_low).any() or (high & inner_high).any())
