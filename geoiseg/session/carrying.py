"""Objects of one raster on the next: carried by their place, their colours and the model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import shapely

from geoiseg.errors import SessionError
from geoiseg.features import Feature, kinds_of
from geoiseg.features.kinds import joined
from geoiseg.raster import Grid, Raster, measure, open_raster
from geoiseg.segment import Watch
from geoiseg.segment.dates import Shift
from geoiseg.session.drift import DRIFTED, FIRST, KEPT, Drift, date_in
from geoiseg.session.following import Seen
from geoiseg.session.learning import CarryOptions, Teacher
from geoiseg.session.pairing import Pair
from geoiseg.session.reviewing import not_rejected, without_review
from geoiseg.session.sharing import Sharing


@dataclass(frozen=True, slots=True, eq=False)
class Carried:
    """The objects on another raster."""

    session: Any
    """A ``Session`` on that raster with the objects, accepted under their ids; nothing is saved."""
    date: str
    """Of the raster, as it was given."""
    drifts: tuple[Drift, ...]
    """What became of each object, by id."""
    shift: Shift
    """How far the raster lies off the first one; 0 where it was not asked for."""
    appeared: tuple[tuple[str, Any], ...]
    """Class and outline, in the raster's CRS, of what looks like an object and is new."""
    _carrier: Carrier
    _last: Mapping[int, Any]

    @property
    def queue(self) -> tuple[int, ...]:
        """Ids of the objects to look at: those that drifted, vanished, or lie outside."""
        return tuple(one.object for one in self.drifts if one.change != KEPT)

    @property
    def features(self) -> gpd.GeoDataFrame:
        """One row for each object, in the CRS of the first raster and moved back by the shift.

        Columns: ``object``, ``label``, ``date``, what changed, ``area_m2``, ``shift_m``,
        ``source``, the user's own. What is not there has no geometry.
        """
        own = {one.id: one for one in self.session.accepted}
        first = self._carrier.origin
        rows, shapes = [], []
        for drift in self.drifts:
            feature = own.get(drift.object)
            shape = None
            if feature is not None:
                grid = self.session.raster.grid
                shape = self._carrier.back(feature.geometry, grid, self.shift)
            known = self._carrier.features[drift.object]
            rows.append(_row(drift, self.date, known, shape, first.raster.grid.crs,
                             self.shift, self.session.raster.name))  # fmt: skip
            shapes.append(shape)
        return gpd.GeoDataFrame(rows, geometry=np.array(shapes, object), crs=first.raster.grid.crs)

    @property
    def new(self) -> tuple[tuple[str, Any], ...]:
        """What appeared, in the CRS of the first raster and moved back by the shift."""
        grid = self.session.raster.grid
        return tuple(
            (label, self._carrier.back(shape, grid, self.shift)) for label, shape in self.appeared
        )

    def carry(
        self, raster: Any, date: str = "", *, options: CarryOptions | None = None,
        watch: Watch | None = None,
    ) -> Carried:  # fmt: skip
        """Carry the objects on, from where they are here, by what was learnt on the first raster.

        Arguments and errors are those of ``Session.carry``.
        """
        carrier = self._carrier if options is None else self._carrier.with_options(options)
        return carrier.to(raster, self._last, date, watch)


@dataclass(frozen=True, slots=True, eq=False)
class Carrier:
    """A session whose objects are carried to other rasters."""

    teacher: Teacher
    way: tuple[Seen, ...] = ()
    """Rasters that they came by."""

    @classmethod
    def of(cls, session: Sharing, options: CarryOptions) -> Carrier:
        """Return a carrier of all accepted features but those that a review has rejected.

        Raises:
            SessionError: There are none.
        """
        features = not_rejected(session.accepted)
        if not features:
            raise SessionError("there is nothing to carry yet: accept a feature first")
        plain = (replace(one, attributes=without_review(one)) for one in features)
        return cls(Teacher(session, options, {one.id: _as_drawn(one) for one in plain}))

    @property
    def origin(self) -> Sharing:
        """The session on the first raster."""
        return self.teacher.origin

    @property
    def features(self) -> Mapping[int, Feature]:
        """The objects by id."""
        return self.teacher.features

    def with_options(self, options: CarryOptions) -> Carrier:
        """Return a carrier of the same objects that carries them otherwise."""
        return Carrier(Teacher(self.origin, options, self.features), self.way)

    def to(
        self, raster: Any, before: Mapping[int, Any], date: str, watch: Watch | None = None
    ) -> Carried:
        """Return the objects on another raster.

        Args:
            raster: What ``open_raster`` takes, or what it returned.
            before: Outlines of the date before by id, in the first raster's CRS.
            date: Of the raster; empty for what its name says.
            watch: To follow or stop the work.
        """
        watch = watch or Watch()
        session = self._session_on(raster)
        date = date or date_in(session.raster.name) or ""
        pair = Pair.of(self.teacher, session, before, watch, self.way)
        found: list[Feature] = []
        drifts: list[Drift] = []
        appeared: list[tuple[str, Any]] = []
        for count, (number, feature) in enumerate(self.features.items(), 1):
            watch.phase(f"object {count} of {len(self.features)}")
            drift, made, new = pair.carried(feature, before[number], watch)
            drifts.append(drift)
            found.extend([] if made is None else [made])
            appeared.extend((feature.label, shape) for shape in new)
        drifts = _with_merged(drifts, found)
        said = {one.object: one for one in drifts}
        features = [_saying(one, said[one.id], date) for one in found]
        kinds = joined(self.origin._state.kinds, kinds_of(_all_attributes(features)))  # noqa: SLF001
        session._replace_features(tuple(features), kinds)  # noqa: SLF001
        grid = session.raster.grid
        last = dict(before) | {
            one.id: self.back(_as_drawn(one).geometry, grid, pair.shift) for one in features
        }
        return Carried(session, date, tuple(drifts), pair.shift,
                       _apart(appeared, features), replace(self, way=pair.way), last)  # fmt: skip

    def back(self, geometry: Any, grid: Grid, shift: Shift) -> Any:
        """Return an outline of another raster in the frame of the first one."""
        own = self.origin.raster.grid
        same = own.crs is None or own.crs == grid.crs
        here = own.bring(geometry, None if same else grid.crs)
        return shapely.transform(here, lambda xy: xy - shift.step)

    def _session_on(self, raster: Any) -> Any:
        first = self.origin
        there = _opened(raster, first.raster)
        kind: Any = type(first)
        session = kind(there, first.model, gsd=first.gsd, outline=first.options,
                              cache=first._cache)  # noqa: SLF001  # fmt: skip
        if (first.raster.grid.crs is None) != (session.raster.grid.crs is None):
            raise SessionError(
                f"{session.raster.name} and {first.raster.name} can not be laid on each other:"
                " one of them has no CRS"
            )
        session.classes, session.schema = first.classes, first.schema
        session.snap, session.all_bands = first.snap, first.all_bands
        return session


def _as_drawn(feature: Feature) -> Feature:
    """Return a feature as it was before its holes, parts or width were changed."""
    return feature if feature.drawn is None else replace(feature, geometry=feature.drawn)


def _opened(raster: Any, first: Raster) -> Raster:
    """Return a raster, one that is named with its bands chosen as those of the first one are."""
    if isinstance(raster, (str, Path)):
        numbers = [band for band in first.asked if isinstance(band, int)]
        plain = open_raster(raster)
        return open_raster(raster, first.asked) if max(numbers, default=1) <= plain.count else plain
    return open_raster(raster)


def _with_merged(drifts: list[Drift], found: list[Feature]) -> list[Drift]:
    """Return what became of objects, those flagged that are the same ground as another one."""
    if len(found) < 2:
        return drifts
    shapes = np.array([one.geometry for one in found], object)
    one, other = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    merged: set[int] = set()
    for a, b in zip(one.tolist(), other.tolist(), strict=True):
        least = min(shapes[a].area, shapes[b].area)
        if a < b and shapely.intersection(shapes[a], shapes[b]).area > least / 2:
            merged |= {found[a].id, found[b].id}
    return [
        replace(one, flags=(*one.flags, "merged"), change=DRIFTED) if one.object in merged else one
        for one in drifts
    ]


def _saying(feature: Feature, drift: Drift, date: str) -> Feature:
    """Return a feature that says what became of it in its own columns."""
    said = {"date": date, **drift.columns}
    return replace(feature, attributes={**feature.attributes, **said})


def _all_attributes(features: list[Feature]) -> dict[str, Any]:
    return {name: value for one in features for name, value in one.attributes.items()}


def _apart(appeared: list[tuple[str, Any]], features: list[Feature]) -> tuple[tuple[str, Any], ...]:
    """Return candidates that lie on no object, each ground once."""
    taken = shapely.union_all([one.geometry for one in features]) if features else None
    kept: list[tuple[str, Any]] = []
    for label, shape in appeared:
        if taken is None or shapely.intersection(shape, taken).area < shape.area / 2:
            kept.append((label, shape))
            taken = shape if taken is None else shapely.union(taken, shape)
    return tuple(kept)


def _row(
    drift: Drift, date: str, feature: Feature, shape: Any, crs: Any, shift: Shift, source: str
) -> dict[str, Any]:
    area = 0.0 if shape is None else measure(shape, crs)[0]
    own = {
        "object": drift.object,
        "label": drift.label,
        "date": date,
        **drift.columns,
        "score": drift.score,
        "area_m2": area,
        "shift_m": shift.metres,
        "source": source,
    }
    return own | {name: value for name, value in feature.attributes.items() if name not in own}


def first_rows(session: Sharing, date: str) -> gpd.GeoDataFrame:
    """Return the rows of the objects on the first raster, as ``Carried.features`` has them."""
    crs, features = session.raster.grid.crs, not_rejected(session.accepted)
    rows = [
        _row(Drift(one.id, one.label, FIRST, iou_before=1.0, score=one.score or math.nan), date,
             one, one.geometry, crs, Shift(), session.raster.name)
        for one in features
    ]  # fmt: skip
    shapes = np.array([one.geometry for one in features], object)
    return gpd.GeoDataFrame(rows, geometry=shapes, crs=crs)
