"""Where pixels lie: a CRS, an affine transform and a shape as one hashable value.

Pure algebra, no I/O. Frames are named: ``xy_pixel`` is continuous with ``(0, 0)`` at the
outer corner of the first pixel, ``xy_crs`` is in the units of the grid's CRS. Pyramid
level ``k`` is the grid that GDAL gives an overview of factor ``2**k``: its shape is
``ceil(shape / 2**k)`` and it covers exactly the same ground.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import pyproj
import shapely
from affine import Affine
from numpy.typing import ArrayLike, NDArray

from geoiseg.errors import GeoreferenceError

XY = NDArray[np.float64]
"""``(n, 2)`` float64 coordinates, x before y."""

BOX_EDGE_STEPS = 32
"""Segments a box edge is cut into before it is reprojected."""


def as_crs(crs: Any) -> pyproj.CRS | None:
    """Return ``crs`` (anything pyproj or rasterio understands, or None) as a pyproj CRS.

    Raises:
        GeoreferenceError: The value is no CRS.
    """
    if crs is None or isinstance(crs, pyproj.CRS):
        return crs
    try:
        return pyproj.CRS.from_user_input(crs)
    except pyproj.exceptions.CRSError as error:
        raise GeoreferenceError(f"{crs!r} is not a CRS; use e.g. 'EPSG:4326'") from error


@lru_cache(maxsize=64)
def _transformer(source: pyproj.CRS, target: pyproj.CRS, _thread: int) -> pyproj.Transformer:
    """Return a transformer of this thread's own: PROJ contexts are not to be shared.

    Raises:
        GeoreferenceError: There is no way from one to the other.
    """
    try:
        return pyproj.Transformer.from_crs(source, target, always_xy=True)
    except pyproj.exceptions.ProjError as error:
        raise GeoreferenceError(
            f"nothing in {source.name!r:.60} has a place in {target.name!r:.60}: one of them is"
            " of no known place or method; set the right CRS"
        ) from error


def reproject_xy(xy: ArrayLike, source: Any, target: Any) -> XY:
    """Return ``(n, 2)`` coordinates moved from one CRS to another, x (or longitude) first.

    Either CRS may be None: then nothing is moved, and both must be None or the given
    coordinates are taken as they are.

    Raises:
        GeoreferenceError: A coordinate has no image in the target CRS.
    """
    points = np.atleast_2d(np.asarray(xy, dtype=np.float64))
    source, target = as_crs(source), as_crs(target)
    if source is None or target is None or source == target:
        return points.copy()
    x, y = _transformer(source, target, threading.get_ident()).transform(points[:, 0], points[:, 1])
    moved = np.column_stack([x, y])
    if not np.isfinite(moved).all():
        bad = points[~np.isfinite(moved).all(axis=1)][0]
        raise GeoreferenceError(
            f"({bad[0]:g}, {bad[1]:g}) in {source.name} has no place in {target.name};"
            " is the CRS of the coordinates right?"
        )
    return moved


def reproject_geometry(geometry: Any, source: Any, target: Any) -> Any:
    """Return a shapely geometry moved from one CRS to another, vertex by vertex."""
    source, target = as_crs(source), as_crs(target)
    if source is None or target is None or source == target:
        return geometry
    return shapely.transform(geometry, lambda xy: reproject_xy(xy, source, target))


def reproject_frame(frame: Any, target: Any) -> Any:
    """Return a GeoDataFrame in another CRS; as it is where it or the CRS is of no CRS.

    Raises:
        GeoreferenceError: A coordinate has no place there.
    """
    target = as_crs(target)
    if frame.crs is None or target is None:
        return frame
    shapes = np.asarray(frame.geometry.array, dtype=object)
    return frame.set_geometry(reproject_geometry(shapes, frame.crs, target), crs=target)


def box_outline(xmin: float, ymin: float, xmax: float, ymax: float) -> XY:
    """Return the closed, densified outline of a box, so that its edges may bend."""
    t = np.linspace(0.0, 1.0, BOX_EDGE_STEPS + 1)[:-1]
    x = np.concatenate([xmin + t * (xmax - xmin), np.full_like(t, xmax)])
    x = np.concatenate([x, xmax - t * (xmax - xmin), np.full_like(t, xmin), [xmin]])
    y = np.concatenate([np.full_like(t, ymin), ymin + t * (ymax - ymin), np.full_like(t, ymax)])
    y = np.concatenate([y, ymax - t * (ymax - ymin), [ymin]])
    return np.column_stack([x, y])


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
            crs: Their CRS where it is not the grid's own.

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
        return _apply(self._inverse, points)

    def box_to_pixel(
        self, box: tuple[float, float, float, float], crs: Any = None
    ) -> tuple[float, float, float, float]:
        """Return ``x0, y0, x1, y1`` in pixels of the smallest upright box around ``box``.

        The edges are densified first: between two CRSs they are curves.
        """
        xy = self.to_pixel(box_outline(*box), crs)
        x0, y0 = xy.min(axis=0)
        x1, y1 = xy.max(axis=0)
        return float(x0), float(y0), float(x1), float(y1)

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

    def pixel_size_metres(self, xy_pixel: ArrayLike | None = None) -> float | None:
        """Return the geometric mean of a pixel's two edges on the ground, in metres.

        Geodesic, so that it holds for geographic and for Web Mercator grids alike.

        Args:
            xy_pixel: Where to measure; the centre of the grid by default.

        Returns:
            None where the grid has no CRS or its CRS is not of the Earth.
        """
        if self.crs is None:
            return None
        here = (self.width / 2, self.height / 2) if xy_pixel is None else xy_pixel
        x, y = np.asarray(here, dtype=np.float64).reshape(2)
        corners = self.to_crs([(x - 0.5, y), (x + 0.5, y), (x, y - 0.5), (x, y + 0.5)])
        try:
            geod = self.crs.get_geod()
            lonlat = reproject_xy(corners, self.crs, self.crs.geodetic_crs)
        except (GeoreferenceError, pyproj.exceptions.ProjError):
            return None
        if geod is None:
            return None
        along = geod.inv(*lonlat[0], *lonlat[1])[2]
        across = geod.inv(*lonlat[2], *lonlat[3])[2]
        return math.sqrt(along * across) or None

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
