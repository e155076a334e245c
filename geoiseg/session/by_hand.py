"""Outlines corrected by hand: each correction is one step to undo, and replays as it was drawn."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geoiseg.errors import SessionError
from geoiseg.features import Feature
from geoiseg.outline import by_hand
from geoiseg.prompting import Region
from geoiseg.raster import metres_per_unit
from geoiseg.segment import Step
from geoiseg.segment.spectral import VERSION
from geoiseg.session.neighbours import by_id, each_with, tiny, with_corners, with_shape
from geoiseg.session.reshaping import Reshaping

XY = NDArray[np.float64]
Place = Sequence[float]
Follow = Callable[[Any, Any, tuple[Feature, ...]], tuple[Any, tuple[Feature, ...]]]
"""Of an outline as it was and is, and the other features: the outline and these, once fitted."""
WIDEST = 1e6
"""Metres of the widest brush."""


class ByHand(Reshaping):
    """The object in progress, or an accepted feature, is changed by hand.

    ``feature`` is the id of an accepted one; without it, it is the object in progress. Places are
    in the raster's CRS, or in ``crs``. With ``snap``, neighbours that share the border follow.
    """

    def move_vertex(
        self, at: Place, to: Place, feature: int | None = None, *, crs: Any = None
    ) -> None:
        """Put the vertex nearest to a place somewhere else.

        Raises:
            SessionError: There is no object, or no such feature.
            PromptError: Nothing with an area would be left.
        """
        start, end = self._places([at, to], crs)
        vertex: list[XY] = []

        def change(outline: Any) -> Any:
            vertex[:] = [by_hand.nearest_vertex(outline, start)]
            return by_hand.vertex_moved(outline, vertex[0], end)

        def follow(_: Any, new: Any, others: tuple[Feature, ...]) -> Any:
            return new, each_with(others, vertex[0], lambda shape: by_hand.vertex_moved(
                shape, vertex[0], end))  # fmt: skip

        self._by_hand("vertex", feature, change, follow)

    def add_vertex(
        self, at: Place, to: Place | None = None, feature: int | None = None, *, crs: Any = None
    ) -> None:
        """Put a new vertex on the edge nearest to a place, there or somewhere else.

        Args:
            at: Near the edge.
            to: Where the vertex goes; onto the edge by default.
            feature: Id of an accepted feature.
            crs: CRS of the places where it is not the raster's.

        Raises:
            SessionError: There is no object, or no such feature.
        """
        start = self._places([at], crs)[0]
        end = None if to is None else self._places([to], crs)[0]
        on_edge: list[XY] = []

        def change(outline: Any) -> Any:
            place, border = shapely.Point(start), shapely.boundary(outline)
            on_edge[:] = [shapely.get_coordinates(shapely.shortest_line(border, place))[0]]
            return by_hand.vertex_added(outline, on_edge[0], end)

        def follow(_: Any, new: Any, others: tuple[Feature, ...]) -> Any:
            reach = tiny(new)
            return new, each_with(others, on_edge[0], lambda shape: by_hand.vertex_added(
                shape, on_edge[0], on_edge[0] if end is None else end, reach), reach)  # fmt: skip

        self._by_hand("vertex", feature, change, follow)

    def delete_vertex(self, at: Place, feature: int | None = None, *, crs: Any = None) -> None:
        """Take the vertex nearest to a place away.

        Raises:
            SessionError: There is no object, or no such feature.
            PromptError: Nothing with an area would be left.
        """
        place = self._places([at], crs)[0]
        vertex: list[XY] = []

        def change(outline: Any) -> Any:
            vertex[:] = [by_hand.nearest_vertex(outline, place)]
            return by_hand.vertex_deleted(outline, vertex[0])

        def follow(_: Any, new: Any, others: tuple[Feature, ...]) -> Any:
            return new, each_with(others, vertex[0],
                              lambda shape: by_hand.vertex_deleted(shape, vertex[0]))  # fmt: skip

        self._by_hand("vertex", feature, change, follow)

    def brush(
        self, xy: Iterable[Place], width: float, feature: int | None = None, *, crs: Any = None
    ) -> None:
        """Add the ground of a stroke; with ``snap``, neighbours leave it.

        Args:
            xy: Vertices of the stroke; one is a dab.
            width: Of the brush, in metres on the ground; in units without a CRS.
            feature: Id of an accepted feature.
            crs: CRS of the stroke where it is not the raster's.

        Raises:
            SessionError: There is no object, no such feature, or a neighbour would have no ground.
        """
        ground = self._painted(xy, width, crs)
        self._by_hand("brush", feature, lambda outline: by_hand.whole(
            shapely.union(outline, ground)), self._taking)  # fmt: skip

    def erase(
        self, xy: Iterable[Place], width: float, feature: int | None = None, *, crs: Any = None
    ) -> None:
        """Take the ground of a stroke away; with ``snap``, the neighbour beside it gets it.

        Arguments are those of ``brush``.

        Raises:
            SessionError: There is no object, or no such feature.
            PromptError: Nothing would be left.
        """
        ground = self._painted(xy, width, crs)
        self._by_hand("eraser", feature, lambda outline: by_hand.whole(
            shapely.difference(outline, ground)), self._giving)  # fmt: skip

    def cut_hole(self, xy: Iterable[Place], feature: int | None = None, *, crs: Any = None) -> None:
        """Take the ground inside a ring away.

        Args:
            xy: Vertices of the ring, closed or not.
            feature: Id of an accepted feature.
            crs: CRS of the ring where it is not the raster's.

        Raises:
            SessionError: There is no object, or no such feature.
            PromptError: The ring is off the outline, or holds all of it.
        """
        ring = self._places(xy, crs)
        if len(ring) < 3:
            raise SessionError("a hole needs three vertices at least")
        self._by_hand("hole", feature, lambda outline: by_hand.hole_cut(outline, ring))

    def fill_hole(self, at: Place, feature: int | None = None, *, crs: Any = None) -> None:
        """Fill the hole that a place lies in; with ``snap``, features there leave it.

        Raises:
            SessionError: There is no object, or no such feature.
            PromptError: There is no hole there.
        """
        place = self._places([at], crs)[0]
        self._by_hand("fill", feature, lambda outline: by_hand.hole_filled(outline, place),
                      self._taking)  # fmt: skip

    def move(
        self, start: Place, end: Place, feature: int | None = None, *, crs: Any = None
    ) -> None:
        """Move the whole outline as from one place to another.

        Raises:
            SessionError: There is no object, or no such feature.
            PromptError: It would lie outside of the raster.
        """
        places = self._places([start, end], crs)
        dx, dy = (places[1] - places[0]).tolist()

        def follow(old: Any, new: Any, others: tuple[Feature, ...]) -> Any:
            corners = {tuple(one) for one in shapely.get_coordinates(old).tolist()}

            def pulled(xy: XY) -> XY:
                here = [tuple(one) in corners for one in xy.tolist()]
                return np.asarray(xy + np.array(here, float)[:, None] * (dx, dy))

            near = shapely.intersects([one.geometry for one in others], old)
            pulled_along = tuple(
                with_shape(one, by_hand.whole(shapely.transform(one.geometry, pulled)))
                if so
                else one
                for one, so in zip(others, near.tolist(), strict=True)
            )
            return self._among(new, pulled_along)

        self._by_hand("move", feature, lambda outline: by_hand.moved(
            outline, dx, dy, self.raster.grid.footprint), follow)  # fmt: skip

    def split(
        self, xy: Iterable[Place], feature: int | None = None, *, crs: Any = None
    ) -> list[int]:
        """Cut an outline by a line, and return the ids of its parts, that of the largest first.

        The largest keeps the id, all have its label and attributes. Of the object in progress the
        largest part stays, the rest is cut off, and no id is returned.

        Raises:
            SessionError: There is no object, or no such feature.
            PromptError: The line does not cut it.
        """
        if len(places := self._places(xy, crs)) < 2:
            raise SessionError("a line that splits has two vertices at least: draw it across")
        line = shapely.LineString(places)
        with self._lock:
            if self._in_progress(feature):
                self._by_hand("split", None, lambda outline: by_hand.split(outline, line)[0])
                return []
            old = self._find(feature or 0)
            first, *rest = by_hand.split(old.geometry, line)
            last = max(one.id for one in self.accepted)
            parts = [_drawn(old, first, "split", self.gsd)] + [
                replace(_drawn(old, part, "split", self.gsd), id=number)
                for number, part in enumerate(rest, last + 1)
            ]
            others = tuple(one for one in self.accepted if one is not old)
            if self._snap and others:
                others = with_corners(others, old.geometry, (first, *rest))
            numbers = self._replace_features(by_id((*others, *parts)))
            return [numbers.get(one.id, one.id) for one in parts]

    def merge(self, features: Iterable[int], into: int | None = None) -> int | None:
        """Make several outlines one, and return its id; None for the object in progress.

        Args:
            features: Ids of accepted features; they go.
            into: Id of the one that takes their ground and keeps its label; without it the object
                in progress, or else the first of them.

        Raises:
            SessionError: There is no such feature, or there are not two outlines.
        """
        with self._lock:
            gone = [self._find(number) for number in dict.fromkeys(features)]
            if into is None and self.geometry is None and gone:
                into = gone[0].id
            gone = [one for one in gone if one.id not in (into, self._state.editing)]
            if not gone:
                raise SessionError("merging takes two outlines: name another feature")
            shapes = [one.geometry for one in gone]
            ids = {one.id for one in gone}
            left = tuple(one for one in self.accepted if one.id not in ids)
            if self._in_progress(into):
                step = self._drawn_step("merge", _joined([self.geometry, *shapes]))
                state = self._after(step)
                self._history.push(replace(state, features=left))
                self._autosave("they are merged here but not in the file")
                return None
            kept = self._find(into or 0)
            one = _drawn(kept, _joined([kept.geometry, *shapes]), "merge", self.gsd)
            self._replace_features(tuple(one if other is kept else other for other in left))
            return kept.id

    # -- what all of them do -----------------------------------------------------------

    def _by_hand(
        self, tool: str, feature: int | None, change: Callable[[Any], Any],
        follow: Follow | None = None,
    ) -> None:  # fmt: skip
        """Change an outline as one step to undo.

        Args:
            tool: By which it is done.
            feature: Id of an accepted feature; None for the object in progress.
            change: Of the outline to another one.
            follow: What other features make of it where borders are shared.
        """
        with self._lock:
            if self._in_progress(feature):
                outline = self.geometry
                if outline is None:
                    raise SessionError(
                        "there is no object in progress: name an accepted feature, or add a point"
                    )
                self._history.push(self._after(self._drawn_step(tool, change(outline))))
                return
            old = self._find(feature or 0)
            new = change(old.geometry)
            others = tuple(one for one in self.accepted if one is not old)
            if self._snap and others and follow is not None:
                new, others = follow(old.geometry, new, others)
            self._replace_features(by_id((*others, _drawn(old, new, tool, self.gsd))))

    def _in_progress(self, feature: int | None) -> bool:
        return feature is None or feature == self._state.editing

    def _drawn_step(self, tool: str, outline: Any) -> Step:
        said = (Region(outline, given=True, by=tool),)
        if self.steps:
            return Step(said, self.steps[-1].gsd, spectral=self.steps[-1].spectral)
        return Step(said, self.gsd, spectral=VERSION if self.all_bands else 0)

    def _after(self, step: Step) -> Any:
        """Return the state after a step by hand."""
        state = self._state
        steps = (*state.steps, step)
        outcome = self.segmenter.run(steps, state.outcome)
        return replace(state, steps=steps, outcome=outcome)

    def _places(self, xy: Iterable[Place], crs: Any) -> XY:
        """Return ``(n, 2)`` places in the raster's CRS."""
        places = np.array([(float(x), float(y)) for x, y in xy]).reshape(-1, 2)
        if not len(places) or not np.isfinite(places).all():
            raise SessionError("a correction by hand needs places that are finite numbers")
        return self.raster.grid.bring_xy(places, crs)

    def _painted(self, xy: Iterable[Place], width: float, crs: Any) -> Any:
        if not (math.isfinite(width) and 0 < width <= WIDEST):
            raise SessionError(f"the width of a brush is a positive length in metres, got {width}")
        places = self._places(xy, crs)
        scale = metres_per_unit(self.raster.grid.crs, places.mean(axis=0))
        return by_hand.painted(places, width / 2, scale)

    def _taking(
        self, _: Any, new: Any, others: tuple[Feature, ...]
    ) -> tuple[Any, tuple[Feature, ...]]:
        """Have the others leave the ground of an outline, and share its border."""
        kept = []
        for one in others:
            shape = one.geometry
            if shapely.intersection(shape, new).area > 0:
                shape = shapely.difference(shape, new)
                if shape.area <= tiny(new) ** 2:
                    raise SessionError(
                        f"feature {one.id} would have no ground left: delete it first"
                    )
                shape = by_hand.whole(shape)
            kept.append(with_shape(one, shape))
        return self._among(new, tuple(kept))

    def _giving(
        self, old: Any, new: Any, others: tuple[Feature, ...]
    ) -> tuple[Any, tuple[Feature, ...]]:
        """Have the neighbour with the longest border get each piece of ground that is left."""
        shapes = [one.geometry for one in others]
        for piece in shapely.get_parts(shapely.difference(old, new)):
            border = shapely.boundary(piece)
            shared = [shapely.intersection(border, shapely.boundary(one)).length for one in shapes]
            best = int(np.argmax(shared))
            if shared[best] > tiny(old):
                shapes[best] = by_hand.whole(shapely.union(shapes[best], piece))
        kept = tuple(with_shape(one, shape) for one, shape in zip(others, shapes, strict=True))
        return self._among(new, kept)


def _drawn(feature: Feature, outline: Any, tool: str, gsd: float | None) -> Feature:
    """Return a feature with an outline by hand as its last step."""
    said = (Region(outline, given=True, by=tool),)
    last = feature.steps[-1] if feature.steps else Step((), gsd)
    step = Step(said, last.gsd, spectral=last.spectral)
    return feature.changed(geometry=outline, steps=(*feature.steps, step))


def _joined(shapes: list[Any]) -> Any:
    return by_hand.whole(shapely.union_all(shapes))
