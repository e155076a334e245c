"""Words on a map: what is looked for, the candidates, and what is done with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from geoiseg.errors import SessionError
from geoiseg.widget.looks import Looks

if TYPE_CHECKING:
    from geoiseg.words import Bounds, Candidate


class Wording(Looks):
    """A map on which words become candidates."""

    def add_text(  # noqa: PLR0913 - the session's own, and whether to wait
        self,
        text: str,
        negative: str | None = None,
        limit: int | None = None,
        threshold: float | None = None,
        *,
        within: Bounds | None = None,
        crs: Any = None,
        engine: str = "",
        wait: bool = True,
    ) -> tuple[Candidate, ...]:
        """Look for what words name, by default within what the map shows.

        Args:
            text: What to look for.
            negative: What it should not be.
            limit: Most candidates to keep.
            threshold: Least score of a candidate that is shown.
            within: Where to look; else a box that was drawn, else what the map shows.
            crs: CRS of ``within`` where it is not the raster's.
            engine: Name of the engine.
            wait: Whether to return only when it is done (and nothing otherwise).

        Raises:
            PromptError: The text is empty, too long, or names nothing that the engine knows.
            ModelError: The engine is not ready.
        """
        session = self.session
        if within is None and not any(p.kind == "box" for p in session.prompts.items):
            within, crs = self.view_bounds(), None
        how = {"within": within, "crs": crs, "engine": engine}

        def look(watch: Any) -> None:
            session.add_text(text, negative, limit, threshold, watch=watch, **how)
            self._tell_found()

        self._prompt(look, None, wait=wait)
        return session.candidates if wait else ()

    def use_threshold(self, value: float, *, wait: bool = True) -> None:
        """Show the candidates from another score on; nothing is computed again.

        Raises:
            SessionError: Nothing was looked for yet.
        """

        def change(_: Any) -> None:
            self.session.threshold = value

        self._ask(change, wait=wait)

    def accept_candidates(self, *, wait: bool = True, **how: Any) -> list[int]:
        """Keep all candidates shown under the current class, and return their ids.

        Args:
            wait: Whether to return only when it is done (and nothing otherwise).
            **how: As the session's method takes it.

        Raises:
            SessionError: There is none.
        """
        how.setdefault("label", self._label_now())

        def change(watch: Any) -> list[int]:
            ids = self.session.accept_candidates(watch=watch, **how)
            left = 0 if {"threshold", "within"} & {*how} else len(self.session.candidates)
            stay = f"; {left} on accepted ground stay candidates" if left else ""
            self._say(f"{len(ids)} candidates accepted as {how['label']}{stay}")
            return ids

        return self._ask(change, wait=wait, stoppable=True) or []

    def reject(self, number: int, *, wait: bool = True) -> None:
        """Leave a candidate out."""
        self._ask(lambda _: self.session.reject(number), wait=wait)

    def refine_candidate(self, number: int, *, wait: bool = True) -> None:
        """Take a candidate as the object in progress, to refine with clicks and accept."""
        session = self.session
        self._ask(lambda watch: session.refine_candidate(number, watch=watch), wait=wait,
                  stoppable=True)  # fmt: skip

    def clear_search(self, *, wait: bool = True) -> None:
        """Drop the candidates."""
        self._ask(lambda _: self.session.clear_search(), wait=wait)

    def more_like(self, *, wait: bool = True, **how: Any) -> tuple[Candidate, ...]:
        """Look for more objects like the accepted ones of the current class.

        Args:
            wait: Whether to return only when it is done (and nothing otherwise).
            **how: As the session's method takes it.

        Raises:
            SessionError: There is no accepted feature of the class.
        """
        how.setdefault("label", self._label_now())
        how.setdefault("within", self.view_bounds())
        session = self.session

        def look(watch: Any) -> None:
            session.more_like(watch=watch, **how)
            self._tell_found()

        self._prompt(look, None, wait=wait)
        return session.candidates if wait else ()

    def take_at(self, x: float, y: float, crs: Any, *, negative: bool) -> bool:
        """Pick, or reject, the candidate at a place; say whether there is one.

        Only while there is no object in progress: then a click is about that.
        """
        session = self.session
        if session.search is None or session.steps:
            return False
        found = session.candidate_at(x, y, crs)
        if found is None:
            return False
        (self.reject if negative else self.refine_candidate)(found.number, wait=False)
        return True

    def view_bounds(self) -> Bounds | None:
        """Return the bounds of what the map shows, in the raster's CRS; None shows it all.

        Raises:
            SessionError: The map shows another place.
        """
        view, grid = self.lookout.view, self.session.raster.grid
        if view is None:
            return None
        places = [
            (lat, lon)
            for lat in np.linspace(view.south, view.north, 9).tolist()
            for lon in np.linspace(view.west, view.east, 9).tolist()
        ]
        xy = np.concatenate([np.reshape(self.frame.pixel(place), (1, 2)) for place in places])
        xy = xy[np.isfinite(xy).all(axis=1)]
        size = np.array([grid.width, grid.height], float)
        if not len(xy):
            return None
        low, high = np.clip(xy.min(axis=0), 0, size), np.clip(xy.max(axis=0), 0, size)
        if (high <= low).any():
            raise SessionError("the map shows no part of the raster: press 0 to show it whole")
        if (low <= 0).all() and (high >= size).all():
            return None
        corners = grid.to_crs([low, (high[0], low[1]), high, (low[0], high[1])])
        xmin, ymin = corners.min(axis=0).tolist()
        xmax, ymax = corners.max(axis=0).tolist()
        return float(xmin), float(ymin), float(xmax), float(ymax)

    def words_state(self) -> dict[str, Any] | None:
        """Return what the page shows of the search; None where there is none."""
        search = self.session.search
        if search is None:
            return None
        closed = search.gone | search.rejected
        scores = [one.score for one in search.candidates if one.number not in closed]
        return {
            "text": search.query.text, "note": search.note, "threshold": search.threshold,
            "scores": scores,
        }  # fmt: skip

    def _tell_found(self) -> None:
        search = self.session.search
        if search is not None:
            gone = len(search.gone)
            open_ones = len(search.candidates) - len(search.rejected) - gone
            left = f" ({gone} more on accepted features)" if gone else ""
            self._say(f"{len(search.shown)} of {open_ones} found are shown{left}; {search.note}")

    def _label_now(self) -> str:
        return str(getattr(self, "label", ""))
