"""From a mask to the outline a user keeps: exact, or simplified, smoothed, squared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import shapely
from affine import Affine

from geoiseg.errors import PromptError
from geoiseg.outline.vectorize import geometry_from_mask, regularize, simplify, smooth
from geoiseg.raster import Grid
from geoiseg.segment import Mask


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

    def __post_init__(self) -> None:
        if not 0 <= self.simplify <= 100:
            raise PromptError(f"simplify is 0 to 100 pixels, got {self.simplify}")
        if not 0 <= self.smooth <= 5:
            raise PromptError(f"smooth is 0 to 5 rounds, got {self.smooth}")
        if not 0 < self.max_area_change <= 1:
            raise PromptError(f"max_area_change is a share of 0..1, got {self.max_area_change}")


def outline(mask: Mask, options: OutlineOptions | None = None) -> Any:
    """Return the mask's outline as a valid Polygon or MultiPolygon in the CRS of its grid.

    With default options every vertex is a pixel's corner and rasterising the outline on
    the mask's grid gives the mask back. Shapes are changed in a frame in which a pixel
    has its true proportions on the ground, so that right angles are right there too.

    Returns:
        None where the mask is empty.
    """
    options = options or OutlineOptions()
    if mask.is_empty:
        return None
    if not (options.simplify or options.smooth or options.square):
        return geometry_from_mask(mask.array, mask.grid.transform)
    ground, to_crs = _ground_frame(mask.grid)
    shape = geometry_from_mask(mask.array, ground)
    if options.square:
        shape = regularize(shape, max(options.max_area_change, 0.05))
    elif options.simplify:
        shape = simplify(shape, options.simplify, options.max_area_change)
    if options.smooth:
        shape = smooth(shape, options.smooth, options.max_area_change)
    return _moved(shape, to_crs)


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
