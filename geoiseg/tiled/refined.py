"""Outlines that others drew, moved to where this raster has their borders.

Each outline is given to the model as one to refine. What comes back is kept where it is still
the same object, with how far its border has moved; where it is not, the outline stays as it was
drawn, and says so.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geoiseg.prompting import Region
from geoiseg.raster import Grid
from geoiseg.session import Session
from geoiseg.tiled.batch import ObjectResult, segment_objects
from geoiseg.tiled.options import RefineOptions
from geoiseg.tiled.prompt_file import PromptedObject

STEP = 1.0
"""Pixels between the places of a border at which is measured how far it moved."""
MOST = 95
"""Percentile of these distances that stands for the greatest."""


@dataclass(frozen=True, slots=True, eq=False)
class Refinement:
    """What became of one outline."""

    geometry: Any
    """In the raster's CRS: the new outline if it fits, else the one that was drawn."""
    fits: bool
    same: float
    """IoU of the outline as it was drawn and as the model sees it."""
    score: float | None = None
    """The model's own estimate, 0..1; None where it found nothing."""
    moved: tuple[float, float] | None = None
    """How far the border moved on average, and at most but for the last twentieth of it, in
    metres; in pixels where the CRS has none. None where nothing was found."""
    note: str = ""
    """Why it does not fit."""

    def columns(self) -> dict[str, Any]:
        """Return what is said of it, by ``outline_file.COLUMNS``."""
        mean, most = self.moved or (None, None)
        return {"fits": self.fits, "moved_m": mean, "moved_most_m": most,
                "same": self.same, "note": self.note}  # fmt: skip


def refine(
    session: Session, item: PromptedObject, options: RefineOptions
) -> tuple[ObjectResult, Refinement | None]:
    """Return what became of an outline; the session keeps what the model sees as a feature.

    Args:
        session: Without an object in progress.
        item: One object of ``read_outlines``.
        options: When it still fits.

    Returns:
        No refinement where the row has no outline that can be used.
    """
    drawn = [one.polygon for step in item.steps for one in step.prompts if isinstance(one, Region)]
    result = segment_objects(session, [item], sharpen=True)[0]
    if not drawn:
        return result, None
    found = next((one for one in session.accepted if one.id == result.feature_id), None)
    if found is None:
        why = result.error or "nothing was found"
        return result, Refinement(drawn[0], fits=False, same=0.0, note=why)
    now = compared(drawn[0], found.geometry, session.raster.grid, found.score, options)
    return result, now


def compared(
    drawn: Any, now: Any, grid: Grid, score: float | None, options: RefineOptions
) -> Refinement:
    """Return what is to be said of an outline and of what the model sees in its place.

    Args:
        drawn: Polygon or MultiPolygon in the CRS of the grid.
        now: The same.
        grid: In whose pixels is measured.
        score: The model's own estimate of what it sees.
        options: What still fits.
    """
    old, new = (shapely.make_valid(shapely.transform(one, grid.to_pixel)) for one in (drawn, now))
    both = shapely.intersection(old, new).area
    same = float(both / max(old.area + new.area - both, 1e-12))
    middle = shapely.centroid(old)
    metres = grid.pixel_edges_metres((middle.x, middle.y))
    edges = metres or (1.0, 1.0)
    moved = distances(old, new, edges)
    far = float(moved.mean()), float(np.percentile(moved, MOST))
    whole = Refinement(now, fits=True, same=same, score=score, moved=far)
    note = _why_not(whole, options, "px" if metres is None else "m")
    return replace(whole, geometry=drawn, fits=False, note=note) if note else whole


def distances(old: Any, new: Any, edges: tuple[float, float] = (1.0, 1.0)) -> NDArray[np.float64]:
    """Return ``(n,)`` how far places along a new border lie from the old one.

    Args:
        old: Polygon in pixels.
        new: The same.
        edges: Lengths of a pixel's sides.
    """
    one, other = (
        shapely.transform(shape.boundary, lambda xy: xy * np.asarray(edges)) for shape in (old, new)
    )
    places = shapely.segmentize(other, STEP * min(edges))
    return np.asarray(shapely.distance(shapely.points(shapely.get_coordinates(places)), one))


def _why_not(found: Refinement, options: RefineOptions, unit: str) -> str:
    """Return why an outline does not fit; empty where it does."""
    if found.same < options.min_same:
        return f"what is there now shares {found.same:.0%} with the outline"
    if (found.score or 0.0) < options.min_score:
        return f"the model expects an IoU of {found.score or 0.0:.2f}"
    if options.most is not None and found.moved is not None and found.moved[1] > options.most:
        return f"the border would move by {found.moved[1]:.1f} {unit}"
    return ""
