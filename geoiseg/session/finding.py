"""Objects found by words: shown as candidates, kept, rejected, or refined with clicks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import count
from typing import Any

import shapely

from geoiseg.errors import PromptError, SessionError
from geoiseg.features import Feature, check_attribute_names, kinds_of, plain_value
from geoiseg.features.kinds import joined
from geoiseg.outline import OutlineOptions, outline
from geoiseg.prompting import Box, Point, Prompts
from geoiseg.raster import eastward
from geoiseg.segment import Step, Watch
from geoiseg.session.accepting import Accepting
from geoiseg.session.taken import on_accepted, over_accepted
from geoiseg.words import LIMIT, Bounds, Candidate, Query, Search, Searcher


class Finding(Accepting):
    """Words become candidates, candidates become features. Every step can be undone."""

    _searcher: Searcher

    def add_text(  # noqa: PLR0913 - the public interface
        self,
        text: str,
        negative: str | None = None,
        limit: int | None = None,
        threshold: float | None = None,
        *,
        within: Bounds | None = None,
        crs: Any = None,
        engine: str = "",
        watch: Watch | None = None,
    ) -> tuple[Candidate, ...]:
        """Look for what words name, and return the candidates, the most likely first.

        Boxes of the object in progress limit where to look, its points choose among what is
        found; they are then done with (undo brings them back). What lies by more than half on
        accepted features is left out.

        Args:
            text: What to look for, e.g. ``water`` or ``irrigated field``.
            negative: What it should not be.
            limit: Most candidates to keep.
            threshold: Least score of a candidate that is shown, 0..1; the engine's own by
                default. Changed later by ``threshold``, without looking again.
            within: ``xmin, ymin, xmax, ymax`` of where to look; all of the raster by default.
            crs: CRS of ``within`` where it is not the raster's.
            engine: Name of the engine; by default the model itself where it takes words, else
                the one that ships with the package.
            watch: To follow or stop the work.

        Raises:
            PromptError: The text is empty, too long, or names nothing that the engine knows.
            ModelError: The engine is not ready; the message says what is missing.
        """
        with self._lock:
            state = self._state
            said = Prompts(tuple(item for step in state.steps for item in step.prompts))
            box = self._bounds(within, crs) or self._drawn(said)
            query = Query(
                text,
                negative or "",
                engine,
                box,
                self.gsd,
                LIMIT if limit is None else limit,
                self.options.line,
            )
            search = self._searcher.run(query, self.model, watch)
            search = replace(
                search,
                gone=on_accepted(search.candidates, state.features),
                threshold=search.threshold if threshold is None else _checked(threshold),
                rejected=_elsewhere(search.candidates, said.of(Point)),
            )
            self._history.push(
                replace(state, search=search, picked=None, steps=(), outcome=None, editing=None)
            )
            return search.shown

    @property
    def search(self) -> Search | None:
        """What was looked for last, with all candidates; None where nothing was."""
        return self._state.search

    @property
    def picked(self) -> int | None:
        """Number of the candidate that is the object in progress, if it is one."""
        return self._state.picked

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """The candidates at or above the threshold that are still open, best first."""
        return () if self.search is None else self.search.shown

    @property
    def threshold(self) -> float:
        """Least score of the candidates that are shown."""
        return self._searched().threshold

    @threshold.setter
    def threshold(self, value: float) -> None:
        with self._lock:
            search = self._searched()
            if _checked(value) != search.threshold:
                self._keep_search(replace(search, threshold=float(value)))

    def reject(self, number: int) -> None:
        """Leave a candidate out; what is looked for next by example is unlike it.

        Raises:
            PromptError: There is no such open candidate.
        """
        with self._lock:
            search = self._searched()
            search.find(number)
            self._keep_search(replace(search, rejected=search.rejected | {number}))

    def clear_search(self) -> None:
        """Drop the candidates."""
        with self._lock:
            if self._state.search is not None:
                self._history.push(replace(self._state, search=None, picked=None))

    def candidate_at(self, x: float, y: float, crs: Any = None) -> Candidate | None:
        """Return the smallest candidate shown at a place, or None."""
        if self.search is None:
            return None
        return self.search.at(*self._place(x, y, crs))

    def refine_candidate(self, number: int, *, watch: Watch | None = None) -> None:
        """Take a candidate as the object in progress: clicks change it, ``accept`` keeps it.

        Raises:
            PromptError: There is no such open candidate.
        """
        with self._lock:
            search = self._searched()
            steps = (Step(search.prompts(search.find(number)), search.gsd),)
            outcome = self.segmenter.run(steps, None, watch)
            self._history.push(
                replace(self._state, steps=steps, outcome=outcome, editing=None, picked=number)
            )

    def pick(self, x: float, y: float, crs: Any = None, *, watch: Watch | None = None) -> int:
        """Take the candidate at a place as the object in progress, and return its number.

        Raises:
            PromptError: No candidate is shown there.
        """
        found = self.candidate_at(x, y, crs)
        if found is None:
            raise PromptError(f"no candidate is shown at ({x:g}, {y:g})")
        self.refine_candidate(found.number, watch=watch)
        return found.number

    def accept_candidate(self, number: int, label: str | None = None, **attributes: Any) -> int:
        """Keep a candidate as it is, and return its id among the features.

        Args:
            number: Of the candidate.
            label: Class; the words by default.
            **attributes: The user's own columns.

        Raises:
            PromptError: There is no such open candidate.
            SessionError: Other features have all of its ground.
        """
        return self._accept_all([self._searched().find(number)], label, attributes)[0]

    def accept_candidates(
        self,
        threshold: float | None = None,
        label: str | None = None,
        *,
        within: Bounds | None = None,
        crs: Any = None,
        watch: Watch | None = None,
        **attributes: Any,
    ) -> list[int]:
        """Keep all candidates shown, in one step, and return their ids.

        With ``snap`` each takes over the borders of features and candidates before it; one of
        whose ground nothing is left stays a candidate. Without it those stay that lie by more
        than half on features accepted before, or cover more than half of one: accept them one
        by one.

        Args:
            threshold: Least score; that of the search by default.
            label: Class; the words by default.
            within: Only those that meet this box.
            crs: CRS of ``within`` where it is not the raster's.
            watch: To follow or stop the work; what is stopped accepts none.
            **attributes: The user's own columns.

        Raises:
            SessionError: There is none to accept, or other features have all of their ground.
            CancelledError: It was stopped.
        """
        search = self._searched()
        if threshold is not None:
            search = replace(search, threshold=_checked(threshold))
        box = self._bounds(within, crs)
        area = None if box is None else shapely.box(*box)
        chosen = [c for c in search.shown if area is None or c.geometry.intersects(area)]
        if not chosen:
            raise SessionError("there is no candidate to accept; lower the threshold")
        over = frozenset[int]() if self.snap else over_accepted(chosen, self.accepted)
        free = [c for c in chosen if c.number not in over]
        if not free:
            raise SessionError(
                "accepted features have this ground already: accept a candidate by itself,"
                " or set snap to fit them in"
            )
        return self._accept_all(free, label, attributes, watch)

    # -- inside ----------------------------------------------------------------------

    def _accept_all(
        self,
        chosen: Iterable[Candidate],
        label: str | None,
        attributes: dict[str, Any],
        watch: Watch | None = None,
    ) -> list[int]:
        check_attribute_names(attributes)
        with self._lock:
            search = self._searched()
            state, listed = self._state, list(chosen)
            name, _, weights = search.engine.partition("@")
            ids = count(max((feature.id for feature in self.accepted), default=0) + 1)
            plain = {key: plain_value(value) for key, value in attributes.items()}
            filled = self.schema.completed(label or search.query.text, plain, lenient=True)
            features, gone = state.features, set(search.gone)
            refused = SessionError("there is no candidate to accept")
            watch = watch or Watch()
            for number, candidate in enumerate(listed, 1):
                watch.phase(f"accepting {number} of {len(listed)}")
                steps = (Step(search.prompts(candidate), search.gsd),)
                geometry = self._drawn_outline(candidate, steps, self.options)
                drawn = None
                if self.options.reshapes:
                    drawn = self._drawn_outline(candidate, steps, self.options.unshaped)
                try:
                    geometry, features = self._among(geometry, features)
                except SessionError as error:
                    refused = error
                    continue
                features = (*features, Feature(
                    next(ids), geometry, label or search.query.text,
                    {**filled, **provenance(search, candidate)}, steps, candidate.score, name,
                    weights, search.gsd, self.raster.name, drawn=drawn,
                ))  # fmt: skip
                gone.add(candidate.number)
            new = features[len(state.features) :]
            if not new:
                raise refused
            state = replace(state, search=replace(search, gone=frozenset(gone)))
            if state.picked in gone:
                state = replace(state, steps=(), outcome=None, picked=None)
            kinds = joined(state.kinds, kinds_of(attributes))
            self._history.push(replace(state, features=features, kinds=kinds))
            numbers = self._autosave("the candidates are accepted here but not in the file")
            return [numbers.get(feature.id, feature.id) for feature in new]

    def _drawn_outline(
        self, candidate: Candidate, steps: tuple[Step, ...], options: OutlineOptions
    ) -> Any:
        """Return a candidate's outline as options draw outlines."""
        if options.is_exact and options.line == self._searched().query.line:
            return candidate.geometry
        mask = self.segmenter.run(steps).mask
        return outline(mask, options) or candidate.geometry

    def _searched(self) -> Search:
        search = self._state.search
        if search is None:
            raise SessionError("nothing was looked for yet: session.add_text('water') does")
        return search

    def _keep_search(self, search: Search) -> None:
        self._history.push(replace(self._state, search=search))

    def _place(self, x: float, y: float, crs: Any) -> tuple[float, float]:
        moved = self.raster.grid.bring_xy([(x, y)], crs)[0].tolist()
        return float(moved[0]), float(moved[1])

    def _bounds(self, within: Bounds | None, crs: Any) -> Bounds | None:
        """Return a box in the raster's CRS around one in another."""
        if within is None:
            return None
        grid = self.raster.grid
        xmin, ymin, xmax, ymax = within
        xy = grid.box_in((xmin, ymin, eastward(xmin, xmax, crs or grid.crs), ymax), crs)
        low, high = xy.min(axis=0).tolist(), xy.max(axis=0).tolist()
        return float(low[0]), float(low[1]), float(high[0]), float(high[1])

    def _drawn(self, said: Prompts) -> Bounds | None:
        """Return the bounds of the boxes of the object in progress, if there are any."""
        crs = self.raster.grid.crs
        shapes = [box.geometry(crs) for box in said.of(Box)]
        if not shapes:
            return None
        xmin, ymin, xmax, ymax = shapely.total_bounds(shapes).tolist()
        return xmin, ymin, xmax, ymax


def provenance(search: Search, candidate: Candidate) -> dict[str, Any]:
    """Return the columns that say how a candidate was found."""
    query = search.query
    said = {"words": query.text, "words_score": candidate.score, "words_engine": search.engine}
    more = {"words_negative": query.negative, "words_by": search.by}
    return said | {name: value for name, value in more.items() if value}


def _checked(threshold: float) -> float:
    if not 0 <= threshold <= 1:
        raise PromptError(f"a threshold is 0 to 1, got {threshold!r}")
    return float(threshold)


def _elsewhere(candidates: tuple[Candidate, ...], points: tuple[Point, ...]) -> frozenset[int]:
    """Return the numbers of candidates that points rule out."""
    on = [shapely.Point(point.x, point.y) for point in points if point.positive]
    off = [shapely.Point(point.x, point.y) for point in points if not point.positive]
    return frozenset(
        one.number
        for one in candidates
        if (on and not any(one.geometry.intersects(place) for place in on))
        or any(one.geometry.intersects(place) for place in off)
    )
