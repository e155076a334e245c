"""From a mask to the outline a user keeps: exact, or without stairs, filled, widened, squared."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray

from geoiseg.errors import PromptError
from geoiseg.outline.reshaping import ground_frame, moved, reshaped
from geoiseg.outline.vectorize import (
    contour_from_mask,
    geometry_from_mask,
    regularize,
    row_direction,
    simplify,
    smooth,
    straighten,
)
from geoiseg.raster import BoolArray, Grid
from geoiseg.segment import FineMask, Mask
from geoiseg.segment.tiles import Tiles

Line = Literal["pixels", "contour"]
WIDEST = 1e6
"""Metres that an outline may be moved by at most."""


@dataclass(frozen=True, slots=True)
class OutlineOptions:
    """How an outline is drawn. As it is by default: without stairs, and exact all the same."""

    simplify: float = 0.0
    """How far, in pixels of the mask, the outline may move to lose vertices."""
    smooth: int = 0
    """Rounds of corner cutting."""
    square: bool = False
    """Whether corners are made right angles, for buildings."""
    max_area_change: float = 0.01
    """Share of the area that simplifying and smoothing may each add or take."""
    line: Line = "contour"
    """``pixels``: along the edges of pixels; ``contour``: between their centres, without stairs.
    Rasterising by the centres gives the mask back either way."""
    holes: float = 0.0
    """Holes of less ground than this are filled, in square metres; 0 fills none."""
    parts: float = 0.0
    """Parts of less ground than this are dropped, in square metres, but never the largest."""
    grow: float = 0.0
    """By how many metres the outline moves outwards; less than 0: inwards."""
    straight: float = 0.0
    """How far, in pixels of the mask, the outline strays from straight edges at any angle that it
    is to have, for parcels; 0 for none. ``square`` comes before it, it before ``simplify``."""

    def __post_init__(self) -> None:
        if not 0 <= self.simplify <= 100:
            raise PromptError(f"simplify is 0 to 100 pixels, got {self.simplify}")
        if not 0 <= self.straight <= 100:
            raise PromptError(f"straight is 0 to 100 pixels, got {self.straight}")
        if not 0 <= self.smooth <= 5:
            raise PromptError(f"smooth is 0 to 5 rounds, got {self.smooth}")
        if not 0 < self.max_area_change <= 1:
            raise PromptError(f"max_area_change is a share of 0..1, got {self.max_area_change}")
        if self.line not in get_args(Line):
            raise PromptError(
                f"an outline's line is {' or '.join(get_args(Line))}, got {self.line!r}"
            )
        for name in ("holes", "parts"):
            if not (np.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise PromptError(f"{name} is 0 or more square metres, got {getattr(self, name)}")
        if not abs(self.grow) <= WIDEST:
            raise PromptError(f"grow is at most {WIDEST:.0f} metres either way, got {self.grow}")

    @property
    def is_exact(self) -> bool:
        """Whether rasterising the outline gives the mask back."""
        return not (self.simplify or self.smooth or self.square or self.straight or self.reshapes)

    @property
    def reshapes(self) -> bool:
        """Whether holes, parts or the width change."""
        return bool(self.holes or self.parts or self.grow)

    @property
    def unshaped(self) -> OutlineOptions:
        """The same without changes of holes, parts and width."""
        return replace(self, holes=0.0, parts=0.0, grow=0.0)


def outline(
    mask: Mask | FineMask,
    options: OutlineOptions | None = None,
    logits: NDArray[np.floating[Any]] | None = None,
    neighbours: Iterable[Any] = (),
) -> Any:
    """Return the mask's outline as a valid Polygon or MultiPolygon in the CRS of its grid.

    With default options every vertex lies between the centres of pixels, with ``line="pixels"``
    on a pixel's corner, and rasterising the outline by the centres of the mask's pixels gives
    the mask back. Shapes are changed in a frame in which a pixel has its true proportions on
    the ground, so that right angles are right there too. Where the CRS is not of the Earth,
    metres are units of the transform.

    Args:
        mask: The object.
        options: How it is drawn.
        logits: ``(y, x)`` of the mask's pixels, above 0 on the object: where an outline without
            stairs lies between two pixels. Not believed where they contradict the mask.
        neighbours: Outlines in the CRS, in whose direction the walls of a building are laid where
            that is nearly its own.

    Returns:
        None where the mask is empty, or nothing is left of what is moved inwards.
    """
    options = options or OutlineOptions()
    if mask.is_empty:
        return None
    # Right angles are sought in what is straight: along the pixels.
    without_stairs = options.line == "contour" and not options.square
    if options.is_exact:
        return _drawn(mask.array, mask.grid.transform, without_stairs, logits)
    edges = mask.grid.pixel_edges_metres() or mask.grid.pixel_size
    ground, to_crs = ground_frame(mask.grid, edges)
    shape = _drawn(mask.array, ground, without_stairs, logits)
    unit = float((edges[0] * edges[1]) ** 0.5)
    changed = _changed(shape, options, unit, [moved(other, ~to_crs) for other in neighbours])
    return None if changed is None else moved(changed, to_crs)


def redrawn(geometry: Any, grid: Grid, options: OutlineOptions) -> Any:
    """Return an outline that is there already, changed as one that is drawn of a mask would be.

    Args:
        geometry: Polygon or MultiPolygon in the CRS of the grid.
        grid: Of the raster that it lies on; the pixels of ``options`` are its own.
        options: How it is drawn; ``line`` says nothing of an outline that is there.

    Returns:
        None where nothing is left.
    """
    if options.is_exact:
        return geometry
    middle = shapely.get_coordinates(shapely.centroid(geometry))
    edges = grid.pixel_edges_metres(grid.to_pixel(middle)[0]) or grid.pixel_size
    _, to_crs = ground_frame(grid, edges)
    unit = float((edges[0] * edges[1]) ** 0.5)
    changed = _changed(moved(geometry, ~to_crs), options, unit)
    return None if changed is None else moved(changed, to_crs)


def _changed(
    shape: Any, options: OutlineOptions, unit: float, neighbours: Iterable[Any] = ()
) -> Any:
    """Return an outline in the ground frame, of ``unit`` metres a pixel, as options want it."""
    if options.reshapes:
        shape = reshaped(shape, options.holes, options.parts, options.grow, unit)
        if shape is None:
            return None
    if options.square:
        row = row_direction(shape, neighbours)
        shape = regularize(shape, max(options.max_area_change, 0.05), direction=row)
    elif options.straight:
        shape = straighten(shape, options.straight, max(options.max_area_change, 0.02))
    elif options.simplify:
        shape = simplify(shape, options.simplify, options.max_area_change)
    return smooth(shape, options.smooth, options.max_area_change) if options.smooth else shape


def _drawn(
    array: BoolArray | Tiles,
    transform: Affine,
    without_stairs: bool,
    logits: NDArray[np.floating[Any]] | None,
) -> Any:
    if without_stairs:
        return contour_from_mask(array, transform, logits)
    return geometry_from_mask(array, transform)
