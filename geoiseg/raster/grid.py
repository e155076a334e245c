"""Where pixels lie: a CRS, an affine transform and a shape as one hashable value.

Pure algebra, no I/O. Frames are named: ``xy_pixel`` is continuous with ``(0, 0)`` at the
outer corner of the first pixel, ``xy_crs`` is in the units of the grid's CRS. Pyramid
level ``k`` is the grid that GDAL gives an overview of factor ``2**k``: its shape is
``ceil(shape / 2**k)`` and it covers exactly the same ground.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyproj
import shapely
from affine import Affine
from numpy.typing import ArrayLike, NDArray

from geoiseg.errors import GeoreferenceError
from geoiseg.raster.crs import XY, as_crs, reproject_xy
from geoiseg.raster.ground import Ground
from geoiseg.raster.places import box_outline, brought, brought_xy
from geoiseg.raster.turns import nearest, turn_of, unrolled, unrolled_x

PIXELS = Affine(1, 0, 0, 0, -1, 0)
"""Where a raster without any georeference lies: a pixel is a unit, rows go down from y = 0.

So do QGIS and other GIS show it, so that outlines lie on the picture there.
"""


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle of whole pixels: first row, first column, rows, columns."""

    row: int
    col: int
    height: int
    width: int

    def __post_init__(self) -> None:
        if self.height < 0 or self.width < 0:
            raise GeoreferenceError(f"a window can not be negative: {self}")

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.height, self.width

    @property
    def stop(self) -> tuple[int, int]:
        """Row and column just past the end."""
        return self.row + self.height, self.col + self.width

    @property
    def slices(self) -> tuple[slice, slice]:
        """The window as an index into ``(y, x)``."""
        return slice(self.row, self.row + self.height), slice(self.col, self.col + self.width)

    def intersection(self, other: Window) -> Window:
        """Return the part both windows share; its size is zero where they do not meet."""
        row, col = max(self.row, other.row), max(self.col, other.col)
        stop_row, stop_col = np.minimum(self.stop, other.stop).tolist()
        return Window(row, col, max(0, stop_row - row), max(0, stop_col - col))

    def contains(self, xy_pixel: ArrayLike) -> NDArray[np.bool_]:
        """Return ``(n,)`` whether each position lies inside; the far edge counts as inside."""
        x, y = np.atleast_2d(np.asarray(xy_pixel, dtype=np.float64)).T
        inside = (x >= self.col) & (x <= self.col + self.width)
        result: NDArray[np.bool_] = inside & (y >= self.row) & (y <= self.row + self.height)
        return result


@dataclass(frozen=True)
class Grid:
    """A raster's georeference. Equal grids are interchangeable, and usable as keys."""

    crs: pyproj.CRS | None
    """None where the raster has no CRS."""
    transform: Affine
    """From ``xy_pixel`` to ``xy_crs``; may be rotated, sheared, south-up."""
    shape: tuple[int, int]
    """Rows and columns."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "crs", as_crs(self.crs))
        object.__setattr__(self, "transform", Affine(*tuple(self.transform)[:6]))
        object.__setattr__(self, "shape", (int(self.shape[0]), int(self.shape[1])))
        if min(self.shape) < 0:
            raise GeoreferenceError(f"a grid can not have the shape {self.shape}")
        if not self._is_invertible:
            raise GeoreferenceError(
                f"the transform {tuple(self.transform)[:6]} can not be inverted;"
                " the file's georeference is damaged"
            )

    @property
    def _is_invertible(self) -> bool:
        """Whether positions go to the CRS and back: no number on the way is too large or small."""
        there, area = tuple(self.transform)[:6], self.transform.determinant
        if not np.isfinite(there).all() or not math.isfinite(area) or area == 0:
            return False
        back = tuple(~self.transform)[:6]
        return bool(np.isfinite(back).all() and np.isfinite(self.corners).all())

    @property
    def height(self) -> int:
        """Number of rows."""
        return self.shape[0]

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.shape[1]

    @property
    def is_geographic(self) -> bool:
        """Whether coordinates are longitude and latitude."""
        return self.crs is not None and bool(self.crs.is_geographic)

    @property
    def is_axis_aligned(self) -> bool:
        """Whether rows and columns run along the axes of the CRS."""
        return bool(self.transform.b == 0 and self.transform.d == 0)

    @property
    def is_north_up(self) -> bool:
        """Whether x grows with columns and y shrinks with rows, without rotation."""
        return self.is_axis_aligned and self.transform.a > 0 and self.transform.e < 0

    @property
    def pixel_size(self) -> tuple[float, float]:
        """Lengths of a pixel's two edges, in units of the CRS."""
        t = self.transform
        return math.hypot(t.a, t.d), math.hypot(t.b, t.e)

    @cached_property
    def _inverse(self) -> Affine:
        inverse: Affine = ~self.transform
        return inverse

    def to_crs(self, xy_pixel: ArrayLike) -> XY:
        """Return ``(n, 2)`` ``xy_crs`` of ``(n, 2)`` ``xy_pixel``."""
        return _apply(self.transform, xy_pixel)

    def to_pixel(self, xy_crs: ArrayLike, crs: Any = None) -> XY:
        """Return ``(n, 2)`` ``xy_pixel`` of ``(n, 2)`` ``xy_crs``.

        Args:
            xy_crs: Coordinates, x or longitude first.
            crs: Their CRS where it is not the grid's own; then each is the place itself,
                whichever way round the world it is written.

        Raises:
            GeoreferenceError: ``crs`` is given but the grid has none, or the
                coordinates have no image in the grid's CRS.
        """
        if crs is not None and self.crs is None:
            raise GeoreferenceError(
                f"coordinates in {as_crs(crs).name} can not be placed:"  # type: ignore[union-attr]
                " the raster has no CRS; give pixel coordinates (crs=None)"
            )
        points = np.atleast_2d(np.asarray(xy_crs, dtype=np.float64))
        if crs is not None:
            points = reproject_xy(points, crs, self.crs)
            turn = turn_of(self.crs)
            if turn is not None:
                points[:, 0] = nearest(points[:, 0], self._middle, turn)
        return _apply(self._inverse, points)

    @property
    def _middle(self) -> float:
        """X of the centre, in the CRS."""
        return float(self.to_crs([(self.width / 2, self.height / 2)])[0, 0])

    @cached_property
    def _outline(self) -> XY:
        return self.to_crs(box_outline(0, 0, self.width, self.height))

    def bring(self, geometry: Any, crs: Any = None) -> Any:
        """Return a shapely geometry in the grid's CRS, written as the grid's coordinates are.

        A place is a place whichever way round the world it is written; what was cut at the
        antimeridian is one again.

        Args:
            geometry: In ``crs``.
            crs: Its CRS where it is not the grid's own.

        Raises:
            GeoreferenceError: A vertex has no place in the grid's CRS.
        """
        if self.crs is None:
            return (
                shapely.transform(geometry, self._upright) if self._in_rows(geometry) else geometry
            )
        return brought(geometry, crs, self.crs, self._outline)

    def _in_rows(self, geometry: Any) -> bool:
        """Return whether a geometry counts rows from the top of a raster without georeference.

        Then y is positive, where the raster has none.
        """
        if self.crs is not None or self.transform != PIXELS or geometry is None:
            return False
        bottom, top = shapely.bounds(geometry)[[1, 3]].tolist()
        return bool(bottom >= 0 and top > 0)

    @staticmethod
    def _upright(xy: XY) -> XY:
        return np.asarray(xy * (1.0, -1.0))

    def bring_xy(self, xy: ArrayLike, crs: Any = None) -> XY:
        """Return ``(n, 2)`` the vertices of one stroke, or one place, as ``bring`` does."""
        points = np.atleast_2d(np.asarray(xy, dtype=np.float64))
        if self.crs is None:
            counted = self._in_rows(shapely.multipoints(points))
            return self._upright(points) if counted else points
        return brought_xy(points, crs, self.crs, self._outline)

    def box_to_pixel(
        self, box: tuple[float, float, float, float], crs: Any = None
    ) -> tuple[float, float, float, float]:
        """Return ``x0, y0, x1, y1`` in pixels of the smallest upright box around ``box``.

        The edges are densified first: between two CRSs they are curves. A pole inside the
        box lies inside what is returned, and so does all that lies around it.
        """
        xy = self.to_pixel(self.box_in(box, crs))
        x0, y0 = xy.min(axis=0)
        x1, y1 = xy.max(axis=0)
        return float(x0), float(y0), float(x1), float(y1)

    def box_in(self, box: tuple[float, float, float, float], crs: Any = None) -> XY:
        """Return the closed, fine outline of a box in the grid's CRS, written as the grid is.

        Args:
            box: ``xmin, ymin, xmax, ymax``, upright in ``crs``.
            crs: Its CRS where it is not the grid's own.

        Raises:
            GeoreferenceError: ``crs`` is given but the grid has none, or the box has no place
                in the grid's CRS.
        """
        outline = box_outline(*box)
        if crs is not None and self.crs is None:
            self.to_pixel(outline, crs)  # says why it can not be
        if self.crs is None:
            return self.bring_xy(outline)
        moved = reproject_xy(outline, crs, self.crs)
        turn = turn_of(self.crs)
        if turn is None:
            return moved
        if crs is not None and as_crs(crs) != self.crs:
            moved[:, 0] = unrolled_x(moved[:, 0], turn, seam=turn_of(crs) is None)
            if abs(moved[-1, 0] - moved[0, 0]) > turn / 2:  # around a pole
                closed = shapely.bounds(unrolled(shapely.Polygon(moved), self.crs, seam=True))
                return box_outline(self.bounds[0], closed[1], self.bounds[2], closed[3])
        middle = float(moved[:, 0].min() + moved[:, 0].max()) / 2
        moved[:, 0] += float(nearest(middle, self._middle, turn)) - middle
        return moved

    @property
    def corners(self) -> XY:
        """``(4, 2)`` ``xy_crs`` of the outer corners, clockwise from the first pixel."""
        return self.to_crs([(0, 0), (self.width, 0), (self.width, self.height), (0, self.height)])

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """``xmin, ymin, xmax, ymax`` in the CRS."""
        low, high = self.corners.min(axis=0), self.corners.max(axis=0)
        return float(low[0]), float(low[1]), float(high[0]), float(high[1])

    @property
    def footprint(self) -> Any:
        """The grid's outline as a shapely Polygon in its CRS."""
        return shapely.Polygon(self.corners)

    def footprint_in(self, crs: Any) -> Any:
        """Return the outline as a shapely Polygon in another CRS, edges densified."""
        outline = self.to_crs(box_outline(0, 0, self.width, self.height))
        return shapely.Polygon(reproject_xy(outline, self.crs, crs))

    def pixel_edges_metres(self, xy_pixel: ArrayLike | None = None) -> tuple[float, float] | None:
        """Return the lengths of a pixel's two edges on the ground, in metres.

        Geodesic, so that they hold for geographic and for Web Mercator grids alike.

        Args:
            xy_pixel: Where to measure; the centre of the grid by default.

        Returns:
            None where the grid has no CRS, or one without metres.
        """
        ground = Ground.of(self.crs)
        if ground is None:
            return None
        here = (self.width / 2, self.height / 2) if xy_pixel is None else xy_pixel
        x, y = np.asarray(here, dtype=np.float64).reshape(2)
        start = self.to_crs([(x - 0.5, y), (x, y - 0.5)])
        along, across = ground.distances(start, self.to_crs([(x + 0.5, y), (x, y + 0.5)])).tolist()
        known = math.isfinite(along * across) and along * across > 0
        return (along, across) if known else None

    def pixel_size_metres(self, xy_pixel: ArrayLike | None = None) -> float | None:
        """Return the geometric mean of a pixel's two edges: see ``pixel_edges_metres``."""
        edges = self.pixel_edges_metres(xy_pixel)
        return None if edges is None else math.sqrt(edges[0] * edges[1])

    def window(self, window: Window) -> Grid:
        """Return the grid of a window, which may reach over the edges."""
        moved = self.transform @ Affine.translation(window.col, window.row)
        return Grid(self.crs, moved, window.shape)

    @property
    def whole(self) -> Window:
        """The window that covers the grid."""
        return Window(0, 0, self.height, self.width)

    def resized(self, shape: tuple[int, int]) -> Grid:
        """Return the grid that covers the same ground with another number of pixels."""
        scale = Affine.scale(self.width / shape[1], self.height / shape[0])
        return Grid(self.crs, self.transform @ scale, shape)

    def level(self, level: int) -> Grid:
        """Return the grid of pyramid level ``level``; 0 is the grid itself.

        Raises:
            GeoreferenceError: The level is negative.
        """
        if level < 0:
            raise GeoreferenceError(f"pyramid levels count from 0, got {level}")
        if level == 0:
            return self
        factor = 1 << level
        return self.resized((-(-self.height // factor), -(-self.width // factor)))

    def level_for_size(self, pixel_size: float) -> int:
        """Return the coarsest level whose pixels are no larger than ``pixel_size`` x 1.42.

        Args:
            pixel_size: Wanted edge of a pixel, in units of the CRS.
        """
        ratio = pixel_size / math.sqrt(math.prod(self.pixel_size))
        return max(0, min(self.top_level, round(math.log2(ratio)))) if ratio > 0 else 0

    @property
    def top_level(self) -> int:
        """The coarsest level that is of use: the whole grid within 256 pixels."""
        longest = max(self.shape)
        return max(0, math.ceil(math.log2(longest / 256))) if longest > 0 else 0


def _apply(transform: Affine, xy: ArrayLike) -> XY:
    points = np.atleast_2d(np.asarray(xy, dtype=np.float64))
    x, y = points[:, 0], points[:, 1]
    t = transform
    return np.column_stack([t.a * x + t.b * y + t.c, t.d * x + t.e * y + t.f])


@dataclass(frozen=True, slots=True)
class ChipPlan:
    """Square chips on a fixed lattice, each overlapping its neighbours by one half.

    Fixed, so that neighbouring clicks reuse the same embedding. Every box of up to half
    a chip's side lies inside at least one chip, and the chip of a point has it at least
    a quarter of a side away from every border but the raster's own.
    """

    shape: tuple[int, int]
    """Rows and columns of the pyramid level."""
    size: int
    """Side of a chip in pixels; chips at the raster's far edges may be smaller."""

    def __post_init__(self) -> None:
        if self.size < 2 or self.size % 2:
            raise GeoreferenceError(f"a chip's side must be even and positive, got {self.size}")

    def _starts(self, length: int) -> int:
        step = self.size // 2
        return max(1, -(-(length - self.size) // step) + 1) if length > self.size else 1

    @property
    def count(self) -> tuple[int, int]:
        """Chips down and across."""
        return self._starts(self.shape[0]), self._starts(self.shape[1])

    def chip(self, row: int, col: int) -> Window:
        """Return the window of the chip at a place in the lattice, cut at the raster's edge."""
        step = self.size // 2
        top, left = self._slide(row * step, 0), self._slide(col * step, 1)
        height = min(self.size, self.shape[0] - top)
        return Window(top, left, height, min(self.size, self.shape[1] - left))

    def _slide(self, start: int, axis: int) -> int:
        """Move a chip that would stick out back inside, keeping its full size."""
        return max(0, min(start, self.shape[axis] - self.size))

    def __iter__(self) -> Iterator[Window]:
        rows, cols = self.count
        return (self.chip(row, col) for row in range(rows) for col in range(cols))

    def around(self, x0: float, y0: float, x1: float, y1: float) -> Window:
        """Return the chip whose centre is nearest to the centre of a box, in pixels."""
        step = self.size // 2
        indices = []
        for axis, centre in ((0, (y0 + y1) / 2), (1, (x0 + x1) / 2)):
            nearest = math.floor((centre - self.size / 2) / step + 0.5)
            indices.append(max(0, min(self._starts(self.shape[axis]) - 1, nearest)))
        return self.chip(*indices)
