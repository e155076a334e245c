"""What a review says of features: states, flags, who and when, as in geoiseg's other faces."""

from __future__ import annotations

import getpass
import math
import os
import re
from datetime import datetime, timezone
from typing import Any, Dict, NamedTuple, Optional, Tuple, Union

TO_CHECK, CHECKED, REJECTED = "to check", "checked", "rejected"
STATES = (TO_CHECK, CHECKED, REJECTED)
"""What a feature may be; one that says nothing is to check."""
STATE, BY, AT = "review", "review_by", "review_at"
COLUMNS = (STATE, BY, AT)
"""Columns of the state, of who gave it, and of when (ISO 8601, UTC)."""
FLAGS, FITS = "flags", "fits"
"""Columns with flags: their words, and whether an outline that was refined still fits."""
SCORES = ("score", "score_1")
"""Columns with a score; the first that says something."""
UNFIT = "unfit"
"""Flag of what does not fit."""
VARIABLE = "GEOISEG_REVIEWER"
"""Environment variable with the name that goes with a review; empty for none."""
_FLAG = re.compile(r"goes on|[^\s,]+")


class Item(NamedTuple):
    """What a review knows of a feature."""

    fid: int
    """QGIS's id; negative for a feature that is not saved yet."""
    number: int
    """What the layer's own column ``id`` says, or else QGIS's id."""
    state: str = TO_CHECK
    label: str = ""
    flags: Tuple[str, ...] = ()
    score: Optional[float] = None
    own: str = ""
    """What a column ``review`` says that is no state of a review."""


class Wanted(NamedTuple):
    """Which features a review goes through."""

    state: Optional[str] = TO_CHECK
    """None for any."""
    label: Optional[str] = None
    """A class; None for any."""
    flag: Union[str, bool, None] = None
    """A flag; True for any flag, False for none, None for all features."""
    least: Optional[float] = None
    """Least score; leaves out what has none."""
    most: Optional[float] = None
    """Greatest score; leaves out what has none."""

    def shows(self, item: Item) -> bool:
        """Return whether a feature is wanted, in whatever state it is."""
        if self.label is not None and item.label != self.label:
            return False
        if isinstance(self.flag, bool) and bool(item.flags) != self.flag:
            return False
        if isinstance(self.flag, str) and self.flag not in item.flags:
            return False
        if self.least is None and self.most is None:
            return True
        least = 0.0 if self.least is None else self.least
        most = math.inf if self.most is None else self.most
        return item.score is not None and least <= item.score <= most


def state_and_own(value: Any) -> Tuple[str, str]:
    """Return the state that a column ``review`` gives, and what it says where that is none."""
    said = str(value).strip().lower() if isinstance(value, str) else ""
    if said in STATES:
        return said, ""
    return TO_CHECK, "" if value is None else str(value)


def flags_of(words: Any, fits: Any) -> Tuple[str, ...]:
    """Return the flags that the columns ``flags`` and ``fits`` give, each once."""
    found = _FLAG.findall(words) if isinstance(words, str) else []
    unfit = isinstance(fits, (bool, int)) and not fits
    return tuple(dict.fromkeys([*found, UNFIT] if unfit else found))


def score_of(*values: Any) -> Optional[float]:
    """Return the first of the values that is there, where it is a score."""
    score: Any = next((one for one in values if one is not None), None)
    known = isinstance(score, (int, float)) and not isinstance(score, bool)
    return float(score) if known and math.isfinite(score) else None


def reviewer() -> str:
    """Return who reviews: ``GEOISEG_REVIEWER``, or the user's name on this computer; or nothing."""
    named = os.environ.get(VARIABLE)
    if named is not None:
        return named.strip()
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return ""


def now() -> str:
    """Return the time as ISO 8601 in UTC, to the second."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def columns_for(state: str, who: str, when: str) -> Dict[str, Optional[str]]:
    """Return what the columns of a review say of a state; what is to check says nothing."""
    if state == TO_CHECK:
        return dict.fromkeys(COLUMNS)
    return {STATE: state, BY: who or None, AT: when}
