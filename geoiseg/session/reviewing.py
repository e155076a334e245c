"""The review of accepted features: their states, and which of them to look at next."""

from __future__ import annotations

import getpass
import math
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from operator import gt, lt
from typing import Any

import geopandas as gpd
import numpy as np

from geoiseg.errors import SessionError
from geoiseg.features import Feature, QualityOptions, Schema, checked, kinds_of
from geoiseg.features.feature import now
from geoiseg.features.kinds import joined
from geoiseg.features.reviewed import AT, BY, CHECKED, COLUMNS, REJECTED, STATE, STATES, TO_CHECK
from geoiseg.session.tracing import Tracing

VARIABLE = "GEOISEG_REVIEWER"
"""Environment variable with the name that goes with a review; empty for none."""
UNFIT = "unfit"
"""Flag of an outline that ``segment --refine`` left as it was drawn."""
FOREIGN_SCORE = "score_1"
"""Column that the ``score`` of a layer drawn elsewhere has here."""
_FLAG = re.compile(r"goes on|[^\s,]+")


def user_name() -> str:
    """Return who reviews: ``GEOISEG_REVIEWER``, or the user's name on this computer; or nothing."""
    named = os.environ.get(VARIABLE)
    if named is not None:
        return named.strip()
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return ""


def state_of(feature: Feature) -> str:
    """Return the state of a feature in a review."""
    said = str(feature.attributes.get(STATE) or "").strip().lower()
    return said if said in STATES else TO_CHECK


def not_rejected(features: Iterable[Feature]) -> tuple[Feature, ...]:
    """Return the features that a review has not rejected."""
    return tuple(one for one in features if state_of(one) != REJECTED)


def score_of(feature: Feature) -> float | None:
    """Return how sure an outline is, 0..1: by its model, or by the layer that it is from."""
    score: Any = feature.attributes.get(FOREIGN_SCORE) if feature.score is None else feature.score
    known = isinstance(score, (int, float)) and not isinstance(score, bool)
    return float(score) if known and math.isfinite(score) else None


def own_flags(feature: Feature) -> tuple[str, ...]:
    """Return the flags that a feature brings in its columns ``flags`` and ``fits``.

    They are written by ``geoiseg check``, ``geoiseg carry`` and ``geoiseg segment --refine``.
    """
    found = _FLAG.findall(str(feature.attributes.get("flags") or ""))
    fits = feature.attributes.get("fits")
    unfit = isinstance(fits, (bool, int)) and not fits
    return (*found, UNFIT) if unfit else tuple(found)


def without_review(feature: Feature) -> dict[str, Any]:
    """Return a feature's attributes without those of its review."""
    return {name: value for name, value in feature.attributes.items() if name not in COLUMNS}


def agreed(my: Feature, other: Feature, stored: Feature) -> dict[str, Any]:
    """Return my attributes, with the other's who and when where both now give the same state.

    Args:
        my: As this session has it.
        other: As another session has written it.
        stored: As it was before.
    """
    theirs = _review(other)
    if not theirs or theirs == _review(stored) or theirs[STATE] != my.attributes.get(STATE):
        return dict(my.attributes)
    return without_review(my) | theirs


def _review(feature: Feature) -> dict[str, Any]:
    if feature.attributes.get(STATE) is None:
        return {}
    return {name: feature.attributes[name] for name in COLUMNS if name in feature.attributes}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which features a queue has."""

    state: str | None = TO_CHECK
    """None for any."""
    label: str | tuple[str, ...] | None = None
    """A class, or several; None for any."""
    flag: str | bool | None = None
    """A flag; True for any flag, False for none, None for all features."""
    min_score: float | None = None
    """Least score; leaves out what has none."""
    max_score: float | None = None
    """Greatest score; leaves out what has none."""

    def __post_init__(self) -> None:
        if self.state is not None:
            check_state(self.state)
        for name in ("min_score", "max_score"):
            value = getattr(self, name)
            known = isinstance(value, (int, float)) and not isinstance(value, bool)
            if value is not None and not (known and 0 <= value <= 1):
                raise SessionError(f"{name} is a score of 0 to 1, got {value!r}")

    def takes(self, feature: Feature, flags: tuple[str, ...]) -> bool:
        """Return whether a feature with these flags is wanted."""
        labels = (self.label,) if isinstance(self.label, str) else self.label
        if labels is not None and feature.label not in labels:
            return False
        if self.state is not None and state_of(feature) != self.state:
            return False
        if isinstance(self.flag, bool) and bool(flags) != self.flag:
            return False
        if isinstance(self.flag, str) and self.flag not in flags:
            return False
        return self._scored(score_of(feature))

    def _scored(self, score: float | None) -> bool:
        if self.min_score is None and self.max_score is None:
            return True
        least = 0.0 if self.min_score is None else self.min_score
        most = math.inf if self.max_score is None else self.max_score
        return score is not None and least <= score <= most


def check_state(state: Any) -> None:
    """Make sure that a state is one.

    Raises:
        SessionError: It is none.
    """
    if state not in STATES:
        raise SessionError(f"a review says one of {', '.join(STATES)}; got {state!r}")


class Reviewing(Tracing):
    """Accepted features are looked at one by one, the doubtful ones first."""

    reviewer: str | None = None
    """Name that goes with a review; None for that of ``GEOISEG_REVIEWER`` or else of the user on
    this computer, empty for none."""
    limits: QualityOptions = QualityOptions()
    """What ``flags`` takes for doubtful."""
    _flagged: tuple[Any, dict[int, tuple[Feature, tuple[str, ...]]]] = (None, {})

    def review(self, features: int | Iterable[int], state: str = CHECKED) -> None:
        """Say that features are checked, rejected, or to check again: one step to undo.

        The state, who gave it and when are columns of theirs: ``review``, ``review_by`` and
        ``review_at``. A rejected feature stays.

        Args:
            features: An id, or several.
            state: ``to check``, ``checked`` or ``rejected``.

        Raises:
            SessionError: There is no such feature or state, or a column ``review`` that says
                something else.
        """
        check_state(state)
        with self._lock:
            ids = dict.fromkeys([features] if isinstance(features, int) else features)
            chosen = {number: self._find(number) for number in ids}
            for one in chosen.values():
                _check_ours(one)
            who = user_name() if self.reviewer is None else self.reviewer
            said = {} if state == TO_CHECK else {STATE: state, BY: who, AT: now()}
            said = {name: value for name, value in said.items() if value}
            new = {
                number: one.changed(attributes={**without_review(one), **said})
                for number, one in chosen.items()
            }
            if new:
                kinds = joined(self._state.kinds, kinds_of(said))
                self._replace_features(tuple(new.get(one.id, one) for one in self.accepted), kinds)

    def queue(
        self, *, flag: str | bool | None = None, label: str | Iterable[str] | None = None,
        min_score: float | None = None, max_score: float | None = None,
        state: str | None = TO_CHECK,
    ) -> list[int]:  # fmt: skip
        """Return ids of features to look at, the most doubtful first.

        Those with the most flags come first, then those with the least score; what has no score
        comes last.

        Args:
            flag: One that ``flags`` gives; True for any, False for none.
            label: A class, or several.
            min_score: Least score; leaves out what has none.
            max_score: Greatest score; leaves out what has none.
            state: ``to check``, ``checked`` or ``rejected``; None for any.

        Raises:
            SessionError: There is no such state, or a score is none.
        """
        labels = label if label is None or isinstance(label, str) else tuple(label)
        wanted = Wanted(state, labels, flag, min_score, max_score)
        flags = self.flags
        found = [one for one in self.accepted if wanted.takes(one, flags.get(one.id, ()))]
        return [one.id for one in sorted(found, key=lambda one: _doubt(one, flags))]

    def next_to_check(self, after: int | None = None, **wanted: Any) -> int | None:
        """Return the feature to look at after another one; None if there is none left.

        After the last it begins again with the first: what was skipped comes back.

        Args:
            after: Id of any feature; None for the first.
            **wanted: As ``queue`` takes it.
        """
        return self._beside(after, 1, wanted)

    def previous_to_check(self, before: int | None = None, **wanted: Any) -> int | None:
        """Return the feature to look at before another one; None if there is none left.

        Args:
            before: Id of any feature; None for the last.
            **wanted: As ``queue`` takes it.
        """
        return self._beside(before, -1, wanted)

    def _beside(self, number: int | None, step: int, wanted: Mapping[str, Any]) -> int | None:
        left = self.queue(**wanted)
        here = next((one for one in self.accepted if one.id == number), None)
        if here is not None:
            flags = self.flags
            place = _doubt(here, flags)
            known = {one.id: _doubt(one, flags) for one in self.accepted}
            beyond = gt if step > 0 else lt
            left = [one for one in left if beyond(known[one], place)] or left
        return left[0 if step > 0 else -1] if left else None

    @property
    def features(self) -> gpd.GeoDataFrame:
        """The accepted objects as a GeoDataFrame in the raster's CRS, typed as the schema says.

        Once one was reviewed, the column ``review`` says of each which state it is in.
        """
        frame = super().features
        if STATE not in frame or not frame[STATE].dropna().isin(STATES).all():
            return frame
        filled: gpd.GeoDataFrame = frame.assign(**{STATE: frame[STATE].fillna(TO_CHECK)})
        return filled

    def review_counts(self, label: str | None = None) -> dict[str, int]:
        """Return how many features there are in each state.

        Args:
            label: Of one class alone.
        """
        states = [state_of(one) for one in self.accepted if label in (None, one.label)]
        return {state: states.count(state) for state in STATES}

    @property
    def flags(self) -> dict[int, tuple[str, ...]]:
        """Why features should be looked at, by id: what ``geoiseg check`` flags by ``limits``.

        With these the flags that a feature was carried or came from elsewhere with, and ``unfit``
        for what ``segment --refine`` left as it was drawn.
        """
        settings = (self.limits, self._schema)
        before = self._flagged[1] if self._flagged[0] == settings else {}
        kept: dict[int, tuple[Feature, tuple[str, ...]]] = {}
        new: list[Feature] = []
        for one in self.accepted:
            known = before.get(one.id)
            if known is not None and _alike(known[0], one):
                kept[one.id] = (one, known[1])
            else:
                new.append(one)
        crs = self.raster.grid.crs
        for one, found in zip(new, _doubts(new, crs, self.limits, self._schema), strict=True):
            kept[one.id] = (one, found)
        self._flagged = (settings, kept)
        return {one.id: kept[one.id][1] for one in self.accepted}


def _doubts(
    features: list[Feature], crs: Any, limits: QualityOptions, schema: Schema
) -> list[tuple[str, ...]]:
    """Return the flags of features, those they bring and those of a check, each once."""
    if not features:
        return []
    shapes = np.array([one.geometry for one in features], dtype=object)
    words = checked(gpd.GeoDataFrame(geometry=shapes, crs=crs), limits)["flags"]
    found = []
    for one, text in zip(features, words, strict=True):
        faults = schema.faults(one.label, one.attributes) if schema else ()
        found.append(tuple(dict.fromkeys((*str(text).split(), *faults, *own_flags(one)))))
    return found


def _alike(one: Feature, other: Feature) -> bool:
    """Return whether two features have the same flags for sure."""
    return one is other or (
        one.geometry is other.geometry
        and one.label == other.label
        and without_review(one) == without_review(other)
    )


def _doubt(feature: Feature, flags: Mapping[int, tuple[str, ...]]) -> tuple[int, float, int]:
    """Return by what a queue is sorted: the less, the more doubtful."""
    score = score_of(feature)
    return -len(flags.get(feature.id, ())), 2.0 if score is None else score, feature.id


def _check_ours(feature: Feature) -> None:
    said = feature.attributes.get(STATE)
    if said is not None and str(said).strip().lower() not in STATES:
        raise SessionError(
            f"feature {feature.id} has a column {STATE!r} of its own, {said!r:.60}: rename it"
            f" first, e.g. session.relabel({feature.id}, remark={said!r:.60}, {STATE}=None)"
        )
