"""Candidates on ground that accepted features have already."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely

from geoiseg.features import Feature
from geoiseg.words import Candidate

SHARE = 0.5
"""Of a candidate on accepted ground, from which it is the same object once more; and of an
accepted feature under a candidate."""


def on_accepted(candidates: Sequence[Candidate], features: Sequence[Feature]) -> frozenset[int]:
    """Return the numbers of candidates of which more than half is accepted already."""
    return _numbers(candidates, features, swallowing=False)


def over_accepted(candidates: Sequence[Candidate], features: Sequence[Feature]) -> frozenset[int]:
    """Return those, and the numbers of candidates that cover more than half of a feature."""
    return _numbers(candidates, features, swallowing=True)


def _numbers(
    candidates: Sequence[Candidate], features: Sequence[Feature], *, swallowing: bool
) -> frozenset[int]:
    if not candidates or not features:
        return frozenset()
    found = np.array([one.geometry for one in candidates], dtype=object)
    there = np.array([one.geometry for one in features], dtype=object)
    mine, theirs = shapely.STRtree(there).query(found, predicate="intersects")
    shared = shapely.area(shapely.intersection(found[mine], there[theirs]))
    covered = np.bincount(mine, shared, len(found)) > SHARE * shapely.area(found)
    if swallowing:
        covered[mine[shared > SHARE * shapely.area(there[theirs])]] = True
    return frozenset(candidates[at].number for at in np.flatnonzero(covered).tolist())
