"""The review on the map: one feature after another is zoomed to, checked or rejected."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import shapely

from geoiseg.errors import SessionError
from geoiseg.features import Feature
from geoiseg.features.reviewed import CHECKED, REJECTED, TO_CHECK
from geoiseg.segment import Watch
from geoiseg.session.reviewing import Wanted, score_of, state_of
from geoiseg.widget.channel.review import Review
from geoiseg.widget.finishing import Finishing
from geoiseg.widget.wording import Wording

MARGIN = 1.0
"""Share of a feature's size that the map shows around it at each side."""
NEAREST = 3
"""Zoom levels beyond that of the raster's own pixels, at most."""


@dataclass(frozen=True, slots=True)
class Only:
    """Which features a map shows, and of which state the review goes through."""

    label: str | None = None
    flag: str | None = None
    min_score: float | None = None
    max_score: float | None = None
    state: str | None = TO_CHECK
    """None for any; all states are shown."""

    @property
    def shown(self) -> dict[str, Any]:
        """What the features that are shown have, as ``Session.queue`` takes it."""
        return {"label": self.label, "flag": self.flag, "min_score": self.min_score,
                "max_score": self.max_score}  # fmt: skip


class Reviewing(Wording, Finishing):
    """A map on which accepted features are reviewed."""

    review_bar: Review
    _open: bool = False
    _only: Only = Only()
    _at: int | None = None
    """The feature that the review came to last."""

    @property
    def reviewing(self) -> bool:
        """Whether the bar of the review is open; all features are shown again without it."""
        return self._open

    @reviewing.setter
    def reviewing(self, on: bool) -> None:
        self._open = bool(on)
        if not on:
            self._only, self._at = Only(), None
        self.refresh()

    def show_only(
        self, label: str | None = None, flag: str | None = None, min_score: float | None = None,
        max_score: float | None = None, state: str | None = TO_CHECK,
    ) -> None:  # fmt: skip
        """Hide all other features, and review no other; without arguments all are shown.

        Args:
            label: A class.
            flag: One that ``session.flags`` gives.
            min_score: Least score; hides what has none.
            max_score: Greatest score; hides what has none.
            state: Of what is reviewed; None for any. Nothing is hidden by it.

        Raises:
            SessionError: There is no such state, or a score is none.
        """
        Wanted(state, label, flag, min_score, max_score)
        self._open, self._only = True, Only(label, flag, min_score, max_score, state)
        if self.selected in self.hidden:
            self._selected = None
        self.refresh()

    @property
    def hidden(self) -> frozenset[int]:
        """Ids of the accepted features that are not shown."""
        if self._only.shown == Only().shown:
            return frozenset()
        shown = self.session.queue(**self._only.shown, state=None)
        return frozenset({one.id for one in self.session.accepted} - set(shown))

    def review(
        self, state: str = CHECKED, feature_id: int | None = None, *, go_on: bool = False,
        wait: bool = True,
    ) -> None:  # fmt: skip
        """Say that a feature is checked, rejected or to check again, by default the selected one.

        Args:
            state: ``checked``, ``rejected`` or ``to check``.
            feature_id: Its id.
            go_on: Whether to go on to the next one.
            wait: Whether to return only when it is done.

        Raises:
            SessionError: There is no such feature, none is selected, or one is being refined.
        """
        self._check_free()
        number = self._chosen(feature_id)

        def change(_: Watch) -> None:
            self.session.review(number, state)
            self._say(f"Feature {number} is {state}")
            if go_on:
                self._show_next(number, self.session.next_to_check)

        self._ask(change, wait=wait)

    def review_next(self, *, wait: bool = True) -> None:
        """Select the next feature to check, the most doubtful first, and zoom to it.

        Raises:
            SessionError: An object is in progress.
        """
        self._go(self.session.next_to_check, wait=wait)

    def review_previous(self, *, wait: bool = True) -> None:
        """Select the feature to check before this one, and zoom to it.

        Raises:
            SessionError: An object is in progress.
        """
        self._go(self.session.previous_to_check, wait=wait)

    def _go(self, find: Callable[..., int | None], *, wait: bool) -> None:
        self._check_free()
        here = self.selected if self.selected is not None else self._at
        self._open = True
        self._ask(lambda _: self._show_next(here, find), wait=wait)

    def _check_free(self) -> None:
        if self.session.outcome is not None:
            raise SessionError("accept or cancel the object in progress first, then go on")

    def _show_next(self, here: int | None, find: Callable[..., int | None]) -> None:
        """Select what comes beside a feature in the review, and show it."""
        number = find(here, **self._only.shown, state=self._only.state)
        self._selected = number
        if number is None:
            self._say("Nothing is left to review here" if self.session.accepted
                      else "There are no features to review yet")  # fmt: skip
            return
        self._at = number
        self.zoom_to(number)

    def zoom_to(self, feature_id: int) -> None:
        """Show an accepted feature with some ground around it.

        Raises:
            SessionError: There is no such feature.
        """
        shape = self.frame.on_map(self.feature(feature_id).geometry)
        if shape.is_empty:
            raise SessionError(f"feature {feature_id} has no place on the map")
        west, south, east, north = shapely.bounds(shape).tolist()
        wide, high = MARGIN * (east - west), MARGIN * (north - south)
        place = ((south + north) / 2, (west + east) / 2)
        grid = self.session.raster.grid
        pixel = grid.pixel_size_metres() or math.sqrt(math.prod(grid.pixel_size))
        most = math.log2(max(1.0, self.frame.gsd(place, 0) / pixel)) + NEAREST
        self.show_bounds(west - wide, south - high, east + wide, north + high, most)

    # -- the bar -----------------------------------------------------------------------

    def act_on_review(self, name: str) -> None:
        """Do what a button or key of the review asks for."""
        if name == "review":
            self.reviewing = not self.reviewing
        elif name == "review-next":
            self.review_next(wait=False)
        elif name == "review-previous":
            self.review_previous(wait=False)
        else:
            wanted = CHECKED if name == "review-checked" else REJECTED
            again = state_of(self.feature(self._chosen(None))) == wanted
            self.review(TO_CHECK if again else wanted, go_on=not again, wait=False)

    def show_review(self) -> None:
        """Show the bar as things are now."""
        session = self.session
        state: dict[str, Any] = {"open": self._open, "count": len(session.accepted)}
        if self._open:
            only, flags = self._only, session.flags
            shown = set(session.queue(**only.shown, state=None))
            states = [state_of(one) for one in session.accepted if one.id in shown]
            counts = {name: states.count(name) for name in (TO_CHECK, CHECKED, REJECTED)}
            here = next((one for one in session.accepted if one.id == self.selected), None)
            state |= {
                "counts": counts,
                "at": None if here is None else _told(here, flags.get(here.id, ())),
                "labels": sorted({one.label for one in session.accepted}),
                "flags": sorted({flag for found in flags.values() for flag in found}),
                "only": {**only.shown, "state": only.state},
            }
        if state != self.review_bar.state:
            self.review_bar.state = state


def _told(feature: Feature, flags: tuple[str, ...]) -> dict[str, Any]:
    attributes = feature.attributes
    note = attributes.get("note")
    return {
        "id": feature.id,
        "label": feature.label,
        "score": score_of(feature),
        "state": state_of(feature),
        "by": str(attributes.get("review_by") or ""),
        "when": str(attributes.get("review_at") or ""),
        "flags": list(flags),
        "note": note if isinstance(note, str) else "",
    }
