"""What became of an object between two dates, in numbers and in words."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import shapely

from geoiseg.errors import SessionError
from geoiseg.raster import measure

KEPT, DRIFTED, VANISHED, OUTSIDE = "kept", "drifted", "vanished", "outside"
"""What an object's ``change`` may be; of the date that was carried from it is ``FIRST``."""
FIRST = "first"
GONE = 0.05
"""Share of an object's area up to which what is left of it counts as nothing."""
_DAY = re.compile(r"(?<!\d)((?:19|20)\d\d)([-_]?)(0[1-9]|1[0-2])\2(0[1-9]|[12]\d|3[01])(?!\d)")
_YEAR = re.compile(r"(?<!\d)((?:19|20)\d\d)(?!\d)")


@dataclass(frozen=True, slots=True)
class DriftOptions:
    """From where on a change is flagged."""

    moved: float = 0.5
    """IoU with the outline of the date before, below which the object has moved."""
    resized: float = 0.3
    """Share of its area by which it has grown or shrunk."""
    colour: float = 3.0
    """Deviations within the object by which its colour has changed, the mean of all bands."""
    unsure: float = 0.2
    """By how much the score is less than on the first date."""

    def __post_init__(self) -> None:
        for name in ("moved", "resized", "colour", "unsure"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise SessionError(f"{name} is a number from 0 on, got {value!r}")


@dataclass(frozen=True, slots=True)
class Drift:
    """What became of one object."""

    object: int
    """Its id, the same on all dates."""
    label: str
    change: str
    """``kept``, ``drifted``, ``vanished``, or ``outside`` of the raster."""
    how: str = ""
    """What drew the outline: ``colours`` or ``model``."""
    iou_before: float = 0.0
    """IoU with the outline of the date before, where that lies on this raster."""
    area_change: float = math.nan
    """Share of the area before that was gained, or lost where it is less than 0."""
    score: float = math.nan
    """How sure the outline is, 0..1."""
    score_change: float = math.nan
    """Less than 0 where it is less sure than on the first date."""
    colour_change: float = math.nan
    """In deviations within the object on the first date, the mean of all bands."""
    flags: tuple[str, ...] = ()
    """Why it should be looked at: ``moved``, ``grown``, ``shrunk``, ``colour``, ``unsure``,
    ``goes on`` beyond what was looked at, ``merged`` with another object."""

    @property
    def columns(self) -> dict[str, Any]:
        """What a layer says of it, by column."""
        return {
            "object": self.object,
            "change": self.change,
            "flags": ", ".join(self.flags),
            "how": self.how,
            "iou_before": round(self.iou_before, 4),
            "area_change": round(self.area_change, 4),
            "score_change": round(self.score_change, 4),
            "colour_change": round(self.colour_change, 3),
        }


def flags_of(drift: Drift, options: DriftOptions) -> tuple[str, ...]:
    """Return why an object should be looked at, by its numbers."""
    said = {
        "moved": drift.iou_before < options.moved,
        "grown": drift.area_change > options.resized,
        "shrunk": drift.area_change < -options.resized,
        "colour": drift.colour_change > options.colour,
        "unsure": drift.score_change < -options.unsure,
    }
    return tuple(name for name, so in said.items() if so)


def overlap(one: Any, other: Any) -> float:
    """Return the IoU of two geometries in one CRS."""
    union = shapely.union(one, other).area
    return float(shapely.intersection(one, other).area / union) if union > 0 else 0.0


def area_change(before: Any, now: Any, crs: Any) -> float:
    """Return the share of the area before that was gained; -1 where nothing is left."""
    old = measure(before, crs)[0]
    return measure(now, crs)[0] / old - 1 if old > 0 else math.nan


def date_in(name: str) -> str | None:
    """Return the date in the name of a raster, or of its folder: a day, or else a year.

    ISO 8601, as ``shoreline`` takes it; None where there is none.
    """
    path = PurePath(name.replace("\\", "/"))
    for text in (path.stem, path.parent.name):
        if found := _DAY.search(text):
            return f"{found[1]}-{found[3]}-{found[4]}"
        if found := _YEAR.search(text):
            return found[1]
    return None
