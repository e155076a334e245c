"""What cleaning has changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from geoiseg.outline.coverage.partition import Change


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """What cleaning has changed. Areas are square metres, or square units without a CRS."""

    features: pd.DataFrame
    """A row for each feature given, with its index: ``area_before``, ``area_resolved``
    (overlaps and gaps settled) and ``area_after`` (simplified and smoothed too)."""
    overlaps: Change
    """Pairs of features of which one lost ground to the other, and the ground that more than
    one had."""
    gaps: Change
    """Gaps closed."""
    slivers: Change
    """Narrow detached parts that went to a neighbour."""
    repaired: int
    """Geometries that were not valid."""
    lost: tuple[Any, ...]
    """Index of the features that had ground and have none left."""
    vertices: tuple[int, int]
    """Vertices before and after."""
    ground: tuple[float, float, float]
    """Area covered by any feature before, when resolved, and after."""
    valid: tuple[bool, bool]
    """Whether the features were a valid coverage before, and are after."""
    blank: tuple[Any, ...] = ()
    """Index of the features that had no geometry, or an empty one, to begin with."""

    @property
    def area_change(self) -> float:
        """Share of the area covered that was added (or taken, when negative)."""
        before, _, after = self.ground
        return (after - before) / before if before else 0.0

    @property
    def reshaped(self) -> float:
        """Share of the area covered that simplifying and smoothing added or took."""
        _, resolved, after = self.ground
        return (after - resolved) / resolved if resolved else 0.0

    def changes(self) -> pd.Series:
        """Return each feature's change of area as a share of what it had before."""
        before = self.features["area_before"].replace(0, np.nan)
        return (self.features["area_after"] / before - 1).rename("change")

    def as_dict(self) -> dict[str, Any]:
        """Return the figures, ready for JSON."""
        share = self.changes().abs()
        return {
            "features": len(self.features),
            "overlaps": {"count": self.overlaps.count, "area_m2": self.overlaps.area},
            "gaps_closed": {"count": self.gaps.count, "area_m2": self.gaps.area},
            "slivers_moved": {"count": self.slivers.count, "area_m2": self.slivers.area},
            "repaired": self.repaired,
            "lost": _plain(self.lost),
            "blank": _plain(self.blank),
            "vertices_before": self.vertices[0],
            "vertices_after": self.vertices[1],
            "area_before_m2": self.ground[0],
            "area_after_m2": self.ground[2],
            "area_change": self.area_change,
            "area_change_by_reshaping": self.reshaped,
            "largest_feature_change": float(share.max()) if share.notna().any() else 0.0,
            "valid_before": self.valid[0],
            "valid_after": self.valid[1],
        }

    def __str__(self) -> str:
        lost = f", {len(self.lost)} features lost" if self.lost else ""
        lost += f", {len(self.blank)} without geometry left out" if self.blank else ""
        return (
            f"{self.overlaps.count} overlaps resolved, {self.gaps.count} gaps closed,"
            f" {self.slivers.count} slivers moved{lost};"
            f" vertices {self.vertices[0]} -> {self.vertices[1]};"
            f" area {self.area_change:+.3%}"
        )


def _plain(names: tuple[Any, ...]) -> list[Any]:
    return [getattr(name, "item", lambda name=name: name)() for name in names]
