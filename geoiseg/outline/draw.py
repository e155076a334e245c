"""From a mask to the outline a user keeps: exact, or without stairs, filled, widened, squared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import shapely
from affine import Affine

from geoiseg.errors import PromptError
from geoiseg.outline.vectorize import (
    contour_from_mask,
    geometry_from_mask,
    regularize,
    simplify,
    smooth,
)
from geoiseg.raster import BoolArray, Grid
from geoiseg.segment import Mask

Line = Literal["pixels", "contour"]
WIDEST = 1e6
"""Metres that an outline may be moved by at most."""


@dataclass(frozen=True, slots=True)
class OutlineOptions:
    """How an outline is drawn. As it is by default: along the pixels' edges, exactly."""

    simplify: float = 0.0
    """How far, in pixels of the mask, the outline may move to lose vertices."""
    smooth: int = 0
    """Rounds of corner cutting."""
    square: bool = False
    """Whether corners are made right angles, for buildings."""
    max_area_change: float = 0.01
    """Share of the area that simplifying and smoothing may each add or take."""
    line: Line = "pixels"
    """``pixels``: along the edges of pixels; ``contour``: between their centres, without stairs.
    Rasterising by the centres gives the mask back either way."""
    holes: float = 0.0
    """Holes of less ground than this are filled, in square metres; 0 fills none."""
    parts: float = 0.0
    """Parts of less ground than this are dropped, in square metres, but never the largest."""
    grow: float = 0.0
    """By how many metres the outline moves outwards; less than 0: inwards."""

    def __post_init__(self) -> None:
        if not 0 <= self.simplify <= 100:
            raise PromptError(f"simplify is 0 to 100 pixels, got {self.simplify}")
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
        return not (self.simplify or self.smooth or self.square or self.reshapes)

    @property
    def reshapes(self) -> bool:
        """Whether holes, parts or the width change."""
        return bool(self.holes or self.parts or self.grow)


def outline(mask: Mask, options: OutlineOptions | None = None) -> Any:
    """Return the mask's outline as a valid Polygon or MultiPolygon in the CRS of its grid.

    With default options every vertex is a pixel's corner and rasterising the outline on
    the mask's grid gives the mask back. Shapes are changed in a frame in which a pixel
    has its true proportions on the ground, so that right angles are right there too.
    Where the CRS is not of the Earth, metres are units of the transform.

    Returns:
        None where the mask is empty, or nothing is left of what is moved inwards.
    """
    options = options or OutlineOptions()
    if mask.is_empty:
        return None
    # Right angles are sought in what is straight: along the pixels.
    without_stairs = options.line == "contour" and not options.square
    if options.is_exact:
        return _drawn(mask.array, mask.grid.transform, without_stairs)
    ground, to_crs = _ground_frame(mask.grid)
    shape = _drawn(mask.array, ground, without_stairs)
    if options.reshapes:
        shape = _reshaped(shape, options, _unit(mask.grid))
        if shape is None:
            return None
    if options.square:
        shape = regularize(shape, max(options.max_area_change, 0.05))
    elif options.simplify:
        shape = simplify(shape, options.simplify, options.max_area_change)
    if options.smooth:
        shape = smooth(shape, options.smooth, options.max_area_change)
    return _moved(shape, to_crs)


def _drawn(array: BoolArray, transform: Affine, without_stairs: bool) -> Any:
    if without_stairs:
        return contour_from_mask(array, transform)
    return geometry_from_mask(array, transform)


def _reshaped(shape: Any, options: OutlineOptions, unit: float) -> Any:
    """Return a shape moved outwards or inwards, without small holes and parts.

    Args:
        shape: In the ground frame.
        options: What to change.
        unit: Metres of a unit of that frame.
    """
    if options.grow:
        shape = shapely.buffer(shape, options.grow / unit, quad_segs=4)
    polygons = [part for part in shapely.get_parts(shape) if not part.is_empty]
    if not polygons:
        return None
    square = unit * unit
    largest = max(polygons, key=lambda one: float(one.area))
    kept = [one for one in polygons if one is largest or one.area * square >= options.parts]
    if options.holes:
        kept = [_filled(one, options.holes / square) for one in kept]
    whole = shapely.union_all(kept) if len(kept) > 1 else kept[0]
    return whole if whole.is_valid else shapely.make_valid(whole, method="structure")


def _filled(polygon: Any, least: float) -> Any:
    """Return a polygon without its holes of less than an area."""
    rings = [ring for ring in polygon.interiors if shapely.Polygon(ring).area >= least]
    return shapely.Polygon(polygon.exterior, rings)


def _unit(grid: Grid) -> float:
    """Return the metres of a unit of the ground frame."""
    wide, tall = grid.pixel_edges_metres() or grid.pixel_size
    return float((wide * tall) ** 0.5)


def _ground_frame(grid: Grid) -> tuple[Affine, Affine]:
    """Return pixel -> ground frame (units of a pixel, true proportions) and ground -> CRS."""
    ratio = _ground_ratio(grid)
    ground = Affine.scale(ratio**0.5, ratio**-0.5)
    return ground, grid.transform @ ~ground


def _ground_ratio(grid: Grid) -> float:
    """Return the width of the middle pixel divided by its height, on the ground."""
    wide, tall = grid.pixel_edges_metres() or grid.pixel_size
    return float(wide / tall)


def _moved(geometry: Any, transform: Affine) -> Any:
    t = transform
    matrix = (t.a, t.b, t.d, t.e, t.c, t.f)
    moved = shapely.affinity.affine_transform(geometry, matrix)
    return moved if moved.is_valid else shapely.make_valid(moved, method="structure")
