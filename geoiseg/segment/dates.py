"""Two rasters of one place at two times: how far one lies off the other, and their light."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.features import rasterize

from geoiseg.errors import SessionError
from geoiseg.raster import BoolArray, FloatArray, Grid, Raster, Window

Doubles = NDArray[np.float64]

LARGEST = 1024
"""Pixels of the longer side of a picture."""
MOST_BANDS = 16
"""Bands that are compared, spread over all of them where there are more."""
LEAST_COMMON = 64
"""Pixels that two pictures need in common."""
LEAST_ROOM = 32
"""Pixels around an outline that are looked at, at least."""
CUT = 2.0
"""Robust deviations beyond which a pixel counts as changed."""
LEAST_RESPONSE = 0.1
"""Height of the peak of the phase correlation, 0..1, below which no shift is believed."""

LEAST_GAIN = 0.9
"""Share of the difference between most pixels that may be left for a shift to be believed."""


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """Values of bands on some ground."""

    values: FloatArray
    """``(band, y, x)``."""
    valid: BoolArray
    """``(y, x)`` True where there is data."""
    grid: Grid
    """Georeference of the pixels."""


@dataclass(frozen=True, slots=True)
class Shift:
    """How far a later raster lies off an earlier one."""

    dx: float = 0.0
    """Eastwards, or along the first axis, in units of the earlier one's CRS."""
    dy: float = 0.0
    """Northwards, or along the second axis."""
    metres: float = 0.0
    """Its length on the ground; in units of the CRS where that has no metres."""
    response: float = 0.0
    """Height of the peak of the phase correlation, 0..1."""
    believed: bool = False
    """Whether it is to be gone by; else the shift is 0."""

    @property
    def step(self) -> Doubles:
        """``(2,)`` the shift in units of the earlier raster's CRS."""
        return np.array([self.dx, self.dy])


@dataclass(frozen=True, slots=True, eq=False)
class Light:
    """What brings values of a later raster to the light of an earlier one, band by band."""

    gain: Doubles
    """``(band,)``."""
    offset: Doubles
    """``(band,)``."""

    def on(self, values: FloatArray) -> FloatArray:
        """Return ``(band, y, x)`` values of the later raster in the light of the earlier."""
        moved = values * self.gain[:, None, None] + self.offset[:, None, None]
        return np.asarray(moved, np.float32)


def shared_bands(
    first: Raster, second: Raster
) -> tuple[tuple[int | str, ...], tuple[int | str, ...]]:
    """Return which bands of two rasters are the same, by what each of them calls them.

    By name where names are shared, else the bands that are shown.

    Raises:
        SessionError: They have no bands in common.
    """
    names = [name for name in first.all_bands if name in second.all_bands]
    if names:
        if len(names) > MOST_BANDS:
            chosen = np.unique(np.linspace(0, len(names) - 1, MOST_BANDS).round().astype(int))
            names = [names[k] for k in chosen]
        return tuple(names), tuple(names)
    if len(first.bands) == len(second.bands):
        return tuple(first.bands), tuple(second.bands)
    raise SessionError(
        f"{first.name} and {second.name} have no bands in common; open the second one with"
        " open_raster(path, bands=...) so that as many are shown"
    )


def picture(
    raster: Raster, bands: tuple[int | str, ...], box: tuple[float, float, float, float],
    largest: int = LARGEST,
) -> Picture | None:  # fmt: skip
    """Return the values of bands within a box, from the finest level on which it is small enough.

    Args:
        raster: What is read.
        bands: As ``read_bands`` takes them.
        box: ``x0, y0, x1, y1`` in pixels of the full resolution; clipped to the raster.
        largest: Pixels of the longer side.

    Returns:
        None where the box does not meet the raster.
    """
    found = _window_in(raster, box, largest)
    if found is None:
        return None
    window, level = found
    values, valid = raster.read_bands(window, level, bands)
    return Picture(values, valid, raster.grid.level(level).window(window))


def shown(
    raster: Raster, box: tuple[float, float, float, float], largest: int = LARGEST
) -> Picture | None:
    """Return what a model is shown within a box: red, green and blue, 0..255, as stretched.

    Arguments are those of ``picture``; None where the box does not meet the raster.
    """
    found = _window_in(raster, box, largest)
    if found is None:
        return None
    chip = raster.chip(*found)
    values = np.asarray(chip.rgb.transpose(2, 0, 1), np.float32)
    return Picture(values, chip.valid, raster.grid.level(found[1]).window(found[0]))


def _window_in(
    raster: Raster, box: tuple[float, float, float, float], largest: int
) -> tuple[Window, int] | None:
    """Return the window within a box, and the finest level on which it is small enough."""
    grid = raster.grid
    low = np.clip(box[:2], 0, grid.shape[::-1])
    high = np.clip(box[2:], 0, grid.shape[::-1])
    if not (high > low).all():
        return None
    level = max(0, math.ceil(math.log2(max(float((high - low).max()) / largest, 1e-9))))
    shape = grid.level(level).shape
    scale = np.array([shape[1] / grid.width, shape[0] / grid.height])
    (left, top), (right, bottom) = np.floor(low * scale), np.ceil(high * scale)
    window = Window(int(top), int(left), int(bottom - top), int(right - left))
    return window.intersection(grid.level(level).whole), level


def onto(one: Picture, grid: Grid) -> Picture:
    """Return a picture resampled to another grid, of any CRS, between its pixels' centres."""
    return Picture(*_resampled(one, grid), grid)


def _resampled(one: Picture, grid: Grid) -> tuple[FloatArray, BoolArray]:
    """Return ``(band, y, x)`` values and ``(y, x)`` valid of a picture on another grid."""
    y, x = np.mgrid[: grid.height, : grid.width]
    xy = np.column_stack([x.ravel() + 0.5, y.ravel() + 0.5])
    other = None if grid.crs == one.grid.crs else grid.crs
    places = one.grid.to_pixel(grid.to_crs(xy), other).astype(np.float32) - 0.5
    maps = [np.asarray(places[:, k].reshape(grid.shape), np.float32) for k in (0, 1)]
    values = np.stack([cv2.remap(band, maps[0], maps[1], cv2.INTER_LINEAR) for band in one.values])
    known = cv2.remap(one.valid.astype(np.float32), maps[0], maps[1], cv2.INTER_LINEAR)
    return values.astype(np.float32), known > 0.999


def light_between(first: Picture, second: Picture) -> Light:
    """Return what brings the later picture to the light of the earlier one.

    Band by band, the mean and the spread of the pixels that did not change: those nearest to the
    line through them, found again and again (relative radiometric normalisation).

    Args:
        first: The earlier picture.
        second: The later one, on the same grid.

    Raises:
        SessionError: They have too little ground in common.
    """
    common = first.valid & second.valid
    if np.count_nonzero(common) < LEAST_COMMON:
        raise SessionError("the two rasters have no ground with data in common")
    pairs = [_line(b[common].astype(np.float64), a[common].astype(np.float64))
             for a, b in zip(first.values, second.values, strict=True)]  # fmt: skip
    return Light(*(np.array(side) for side in zip(*pairs, strict=True)))


def _line(x: Doubles, y: Doubles) -> tuple[float, float]:
    """Return gain and offset from ``x`` to ``y`` over the pixels that did not change."""
    keep = np.ones(len(x), bool)
    gain, offset = 1.0, 0.0
    for _ in range(8):
        spread = x[keep].std()
        if spread <= 0:
            return 1.0, 0.0
        gain = float(y[keep].std() / spread)
        offset = float(y[keep].mean() - gain * x[keep].mean())
        away = np.abs(y - gain * x - offset)
        keep = away <= CUT * 1.4826 * float(np.median(away[keep])) + 1e-9
    return gain, offset


def shift_between(first: Picture, second: Picture) -> Shift:
    """Return how far the later picture lies off the earlier one, by phase correlation.

    Of the edges in all bands, below a pixel (Kuglin and Hines, 1975; Foroosh et al., 2002). It is
    believed where most pixels are more alike with it than without: what moved are then not the
    objects alone.

    Args:
        first: The earlier picture.
        second: The later one, on the same grid.
    """
    common = first.valid & second.valid
    edges = [_edges(one, common) for one in (first, second)]
    window = cv2.createHanningWindow(edges[0].shape[::-1], cv2.CV_32F)
    (x, y), response = cv2.phaseCorrelate(edges[0], edges[1], window)
    grid = first.grid
    middle = np.array([grid.width / 2, grid.height / 2])
    (x0, y0), (x1, y1) = grid.to_crs([middle, middle + np.array([x, y])])
    steps = grid.pixel_edges_metres() or grid.pixel_size
    metres = math.hypot(x * steps[0], y * steps[1])
    soft, other = _softened(first), _softened(second)
    with_it = _unlike(soft, moved_back(other, (x, y)))
    if response < LEAST_RESPONSE or with_it > LEAST_GAIN * _unlike(soft, other):
        return Shift(response=float(response))
    return Shift(float(x1 - x0), float(y1 - y0), metres, float(response), believed=True)


def moved_back(one: Picture, step: tuple[float, float]) -> Picture:
    """Return a picture whose content was moved by ``step`` pixels at its place again."""
    where = Grid(one.grid.crs, one.grid.transform @ Affine.translation(*step), one.grid.shape)
    return Picture(*_resampled(one, where), one.grid)


def _softened(one: Picture) -> Picture:
    """Return a picture without its finest noise, which resampling would take from one of two."""
    soft = np.stack([cv2.GaussianBlur(band, (0, 0), 1.5) for band in one.values])
    return Picture(soft.astype(np.float32), one.valid, one.grid)


def _unlike(first: Picture, second: Picture) -> float:
    """Return how far the middle pixel of two pictures differs in the same light."""
    common = first.valid & second.valid
    if np.count_nonzero(common) < LEAST_COMMON:
        return math.inf
    moved = light_between(first, second).on(second.values)
    spread = np.maximum(first.values[:, common].std(axis=1), 1e-9)
    away = np.abs(moved - first.values)[:, common] / spread[:, None]
    return float(np.median(away))


def _edges(one: Picture, common: BoolArray) -> NDArray[np.float32]:
    """Return ``(y, x)`` how steep a picture is, in deviations of each band, 0 off the common."""
    total = np.zeros(common.shape, np.float32)
    inner = cv2.erode(common.view(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    for band in one.values:
        spread = float(band[common].std()) if common.any() else 0.0
        if spread > 0:
            soft = cv2.GaussianBlur(band / np.float32(spread), (0, 0), 1.0)
            total += np.hypot(cv2.Sobel(soft, cv2.CV_32F, 1, 0), cv2.Sobel(soft, cv2.CV_32F, 0, 1))
    total[~inner] = 0
    return total


def burnt(geometry: Any, grid: Grid) -> BoolArray:
    """Return ``(y, x)`` the pixels whose centres an outline holds."""
    if geometry is None or geometry.is_empty:
        return np.zeros(grid.shape, bool)
    drawn = rasterize([(geometry, 1)], out_shape=grid.shape, transform=grid.transform,
                      dtype="uint8")  # fmt: skip
    return np.asarray(drawn, bool)


def box_around(geometry: Any, grid: Grid, room: float) -> tuple[float, float, float, float]:
    """Return ``x0, y0, x1, y1`` in full-resolution pixels of an outline with room around it."""
    xy = grid.to_pixel(shapely.get_coordinates(geometry))
    low, high = xy.min(axis=0), xy.max(axis=0)
    wide = np.maximum((high - low) * room, LEAST_ROOM)
    return (*(low - wide).tolist(), *(high + wide).tolist())
