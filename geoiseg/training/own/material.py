"""Features of projects as what a model learns from: which of them, and which are held out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geoiseg.errors import ModelError
from geoiseg.raster import Raster
from geoiseg.session import Session
from geoiseg.session.reviewing import not_rejected

FEWEST = 8
"""Features that anything can be learnt from."""
SMALLEST = 24.0
"""Area in pixels of the raster from which on a feature counts."""
CELLS = 5
"""Blocks of ground across the features of a raster."""
BY_GROUND = 16
"""Features from which on those held out are whole blocks of ground."""


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A raster with the features of a project."""

    raster: Raster
    gsd: float | None
    """Metres per pixel that the session worked at."""
    shapes: tuple[Any, ...]
    """Polygons in the raster's CRS."""
    labels: tuple[str, ...]
    """Of each."""
    left_out: int = 0
    """Features too small, without area, or off the raster."""

    def facts(self) -> dict[str, Any]:
        """Return what a card says of it."""
        counts = dict(sorted(Counter(self.labels).items()))
        name = Path(self.raster.name).name
        return {"raster": name, "features": len(self.shapes), "classes": counts}


def source_of(session: Session) -> Source:
    """Return what can be learnt from the accepted features of a session, but for rejected ones."""
    grid = session.raster.grid
    least = SMALLEST * abs(grid.transform.determinant)
    shapes, labels = [], []
    accepted = not_rejected(session.accepted)
    for feature in accepted:
        inside = shapely.intersection(shapely.make_valid(feature.geometry), grid.footprint)
        polygons = [one for one in shapely.get_parts(inside) if one.geom_type == "Polygon"]
        whole = shapely.union_all(polygons)
        if whole.area >= least:
            shapes.append(whole)
            labels.append(str(feature.label or "object"))
    left_out = len(accepted) - len(shapes)
    return Source(session.raster, session.gsd, tuple(shapes), tuple(labels), left_out)


def check_enough(sources: Sequence[Source]) -> None:
    """Make sure that there is something to learn from.

    Raises:
        ModelError: There is too little; the message says how many features more are needed.
    """
    count = sum(len(source.shapes) for source in sources)
    small = sum(source.left_out for source in sources)
    if count < FEWEST:
        told = f" ({small} more are too small or off the raster)" if small else ""
        raise ModelError(
            f"{count} features are too few to learn from{told}: accept {FEWEST - count} more,"
            " better 20 in all, and train again"
        )


def held_out(sources: Sequence[Source], share: float, seed: int) -> list[NDArray[np.bool_]]:
    """Return for each source which of its features are held out: ``(n,)`` True where so.

    By blocks of ground, since neighbours look alike; few are held out one by one.

    Args:
        sources: With 4 features at least.
        share: About so many of all are held out.
        seed: Of the choice.
    """
    blocks = [block for number, one in enumerate(sources) for block in _blocks(one, number)]
    wanted = max(2, round(share * len(blocks)))
    rng = np.random.default_rng([seed, 5])
    chosen = np.zeros(len(blocks), bool)
    if len(blocks) >= BY_GROUND:
        for block in rng.permutation(sorted(set(blocks))):
            own = np.array([one == tuple(block) for one in blocks])
            if chosen.sum() + own.sum() <= 1.3 * wanted:
                chosen |= own
            if chosen.sum() >= wanted:
                break
    if chosen.sum() < wanted / 2:  # few, or all in one block
        chosen[:] = False
        chosen[rng.permutation(len(blocks))[:wanted]] = True
    ends = np.cumsum([len(source.shapes) for source in sources])[:-1]
    return [np.asarray(part, bool) for part in np.split(chosen, ends)]


def _blocks(source: Source, number: int) -> list[tuple[int, int, int]]:
    """Return the block of ground that each feature is in."""
    if not source.shapes:
        return []
    middles = np.array([shape.centroid.coords[0] for shape in source.shapes])
    low = middles.min(0)
    # A little more, so that the last one lies within the last block.
    side = max(1.0001 * float((middles.max(0) - low).max()) / CELLS, 1e-9)
    return [(number, *cell) for cell in np.floor((middles - low) / side).astype(int).tolist()]
