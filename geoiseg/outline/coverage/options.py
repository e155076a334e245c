"""What cleaning a coverage is asked to do."""

from __future__ import annotations

import math
from dataclasses import dataclass

from geoiseg.errors import GeoreferenceError

RULES = ("order", "score", "area", "class")


@dataclass(frozen=True, slots=True)
class CleanOptions:
    """How features that share borders are cleaned. Lengths are metres on the ground.

    Without a CRS, lengths are in the units of the coordinates.
    """

    rule: str = "order"
    """Who keeps an overlap: ``order`` the earlier row, ``score`` the higher score, ``area``
    the smaller feature, ``class`` the class named first; the earlier row on a tie."""
    classes: tuple[str, ...] = ()
    """Classes, the strongest first, for ``class``; those not named come last."""
    column: str | None = None
    """Column of the score or class. By default ``score`` or ``label``."""
    gap: float = 0.0
    """Gaps between two features that are narrower are closed."""
    sliver: float | None = None
    """Detached parts of a feature that are narrower go to a neighbour. By default ``gap``."""
    simplify: float = 0.0
    """How far a border may move to lose vertices."""
    smooth: int = 0
    """Rounds of corner cutting."""
    square: bool = False
    """Whether corners are made right angles first, for buildings."""
    max_area_change: float = 0.01
    """Share of a feature's area that simplifying and smoothing may each add or take."""
    max_total_change: float = 0.0025
    """Share of the area of all features that they may each add or take."""
    straight: float = 0.0
    """How far borders stray from straight edges at any angle that they are to have; 0 for none."""

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise GeoreferenceError(f"the rule is one of {', '.join(RULES)}; got {self.rule!r}")
        if self.rule == "class" and not self.classes:
            raise GeoreferenceError("the rule 'class' needs classes, the strongest first")
        for name, length in (("gap", self.gap), ("sliver", self.sliver or 0.0),
                             ("simplify", self.simplify), ("straight", self.straight)):  # fmt: skip
            if not (math.isfinite(length) and length >= 0):
                raise GeoreferenceError(f"{name} is a length in metres, got {length}")
        if not 0 <= self.smooth <= 5:
            raise GeoreferenceError(f"smooth is 0 to 5 rounds, got {self.smooth}")
        for share in (self.max_area_change, self.max_total_change):
            if not 0 <= share <= 1:
                raise GeoreferenceError(f"a change of area is a share of 0..1, got {share}")

    @property
    def sliver_width(self) -> float:
        """The width below which parts are slivers, in metres."""
        return self.gap if self.sliver is None else self.sliver
