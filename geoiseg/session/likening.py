"""More like this: by accepted features as examples, or by classes taught with a few clicks."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from geoiseg.errors import PromptError, SessionError
from geoiseg.features import Feature
from geoiseg.models.tiny.words import words_head
from geoiseg.prompting import level_for_gsd
from geoiseg.segment import Watch
from geoiseg.session.finding import Finding
from geoiseg.session.taken import on_accepted
from geoiseg.words import (
    LIMIT,
    Bounds,
    Candidate,
    Classifier,
    LikeEngine,
    Query,
    Search,
    find_area,
    get_like_engine,
    prototypes,
    taught,
)
from geoiseg.words.concept import Examples
from geoiseg.words.examples import around_places, under_outlines
from geoiseg.words.like import FloatArray

log = logging.getLogger(__name__)


class Likening(Finding):
    """Examples become candidates."""

    @property
    def classifier(self) -> Classifier | None:
        """What was taught by ``teach``; kept in the project file."""
        return self._state.classifier

    def more_like(  # noqa: PLR0913 - the public interface
        self,
        label: str | None = None,
        ids: Iterable[int] | None = None,
        limit: int | None = None,
        threshold: float | None = None,
        *,
        within: Bounds | None = None,
        crs: Any = None,
        engine: str = "",
        watch: Watch | None = None,
    ) -> tuple[Candidate, ...]:
        """Look for more objects like accepted ones, and return the candidates, best first.

        What was rejected of the last search is what it should not be like. Ground that accepted
        features have already is left out.

        Args:
            label: Class whose features are the examples; by default those of all classes.
            ids: The examples themselves, instead.
            limit: Most candidates to keep.
            threshold: Least score of a candidate that is shown.
            within: Where to look; all of the raster by default.
            crs: CRS of ``within`` where it is not the raster's.
            engine: ``sam3``, which takes the boxes of the examples, and the label as words;
                by default the network that ships with the package.
            watch: To follow or stop the work.

        Raises:
            SessionError: There is no example.
            PromptError: The engine takes no examples.
            ModelError: The engine is not ready; the message says what is missing.
        """
        with self._lock:
            chosen = self._examples(label, ids)
            last = self.search
            gone = [] if last is None else [c for c in last.candidates if c.number in last.rejected]
            like, unlike = (tuple(one.geometry for one in some) for some in (chosen, gone))
            box = self._bounds(within, crs)
            how: Any
            if engine in ("", LikeEngine.name):
                level = self._level(within, crs)
                near, far = (under_outlines(self._searcher, s, level) for s in (like, unlike))
                how = LikeEngine(prototypes(near, far))
            else:
                examples = Examples(self.raster.grid, like, unlike)
                how = get_like_engine(engine, self.model, examples, label or "")
            text = label or chosen[0].label or "the examples"
            count = LIMIT if limit is None else limit
            name, line = engine or LikeEngine.name, self.options.line
            query = Query(text, "", name, box, self.gsd, count, line)
            search = self._searcher.run(query, self.model, watch, how)
            return self._show(search, threshold)

    def _examples(self, label: str | None, ids: Iterable[int] | None) -> list[Feature]:
        """Return the accepted features of a class, or those named by id."""
        wanted = None if ids is None else set(ids)
        chosen = [
            one
            for one in self.accepted
            if (wanted is None or one.id in wanted) and (label is None or one.label == label)
        ]
        if not chosen:
            kind = "feature" if label is None else f"feature of class {label!r}"
            raise SessionError(f"there is no example yet: accept a {kind} first")
        return chosen

    def teach(self, places: Iterable[tuple[float, float, str]], *, crs: Any = None) -> Classifier:
        """Fit a classifier to a few labelled places, and keep it; undone in one step.

        Places without data are left out and logged.

        Args:
            places: ``x, y, label`` each; of two classes at least, one may be ``other``.
            crs: CRS of the places where it is not the raster's.

        Raises:
            PromptError: A place is outside the raster, there are not two classes, or one of
                them has no place with data.
        """
        with self._lock:
            listed = [(self._place(x, y, crs), str(label)) for x, y, label in places]
            xy = np.array([place for place, _ in listed], np.float64).reshape(-1, 2)
            cells = around_places(self._searcher, xy, self._level(None, None))
            labels = [label for _, label in listed]
            cells, labels = _with_data(cells, labels, self.raster.name)
            known = taught(cells, labels, str(words_head().card["sha256"]))
            self._history.push(replace(self._state, classifier=known))
            self._autosave("the classifier is taught here but not in the file")
            return known

    def find_class(
        self,
        label: str,
        limit: int | None = None,
        threshold: float | None = None,
        *,
        within: Bounds | None = None,
        crs: Any = None,
        watch: Watch | None = None,
    ) -> tuple[Candidate, ...]:
        """Look for a class that was taught, and return the candidates, best first.

        Args:
            label: One of ``session.classifier.labels``.
            limit: Most candidates to keep.
            threshold: Least score of a candidate that is shown.
            within: Where to look; all of the raster by default.
            crs: CRS of ``within`` where it is not the raster's.
            watch: To follow or stop the work.

        Raises:
            SessionError: Nothing was taught yet.
            PromptError: The classifier does not know the class.
        """
        with self._lock:
            if self.classifier is None:
                raise SessionError("nothing was taught yet: session.teach([(x, y, label), ...])")
            engine, box = LikeEngine(self.classifier, label), self._bounds(within, crs)
            count = LIMIT if limit is None else limit
            query = Query(label, "", "like", box, self.gsd, count, self.options.line)
            return self._show(self._searcher.run(query, self.model, watch, engine), threshold)

    def _show(self, search: Search, threshold: float | None) -> tuple[Candidate, ...]:
        """Make a search present, without what lies on accepted features."""
        least = search.threshold if threshold is None else threshold
        taken = on_accepted(search.candidates, self.accepted)
        search = replace(search, threshold=least, gone=taken)
        self._history.push(
            replace(self._state, search=search, picked=None, steps=(), outcome=None, editing=None)
        )
        return search.shown

    def _level(self, within: Bounds | None, crs: Any) -> int:
        """Return the level at which an area is looked at."""
        if self.gsd is not None:
            return level_for_gsd(self.raster.grid, self.gsd)
        return find_area(self.raster.grid, self._bounds(within, crs), None).level


def _with_data(
    cells: list[FloatArray], labels: list[str], name: str
) -> tuple[list[FloatArray], list[str]]:
    """Return the places that have data, and their labels.

    Raises:
        PromptError: A class has none.
    """
    for number, (own, label) in enumerate(zip(cells, labels, strict=True), 1):
        if not len(own):
            log.warning("place %d, %s, has no data in %s: left out", number, label, name)
    kept = [(own, label) for own, label in zip(cells, labels, strict=True) if len(own)]
    lost = [label for label in labels if label not in {kind for _, kind in kept}]
    if lost:
        raise PromptError(f"no place of class {lost[0]!r} has data in {name}")
    return [own for own, _ in kept], [label for _, label in kept]
