"""The line between water and land below a pixel: where an index passes its threshold.

As CoastSat does it (Vos et al., 2019, https://doi.org/10.1016/j.envsoft.2019.104528): the
threshold parts the pixels near the border into water and land (``segment.parting``), and marching
squares draw the line between pixel centres. Here the raster is read in windows, so that its size
does not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.features import rasterize

from geoiseg.errors import GeoreferenceError
from geoiseg.outline.shoreline.clouds import clouds_of, hides_of
from geoiseg.outline.shoreline.cut import FEWEST, METHODS, Cut, cut_of
from geoiseg.outline.shoreline.mixture import PURE, Sides, half_water, pure
from geoiseg.outline.shoreline.wet import darkness, wet_edge
from geoiseg.raster import BoolArray, Raster, Window
from geoiseg.segment.parting import Parting, near_border, parting_of

FloatArray = NDArray[np.float32]
Read = Callable[[Window], tuple[FloatArray, BoolArray]]
"""Gives ``(y, x)`` the index of a window, and where it is known."""

SIDE = 1024
"""Pixels of a window's side."""
SAMPLE = 1 << 20
"""Values that the threshold is found from."""
STARTS = (0.0, -0.35, -0.175, 0.175, 0.35)
"""Values of a normalised difference whose borders are looked at for the threshold, where no outline
says where the border is: the one counts along which water and land are farthest apart."""
SEEN = 32
"""Windows in which pure water and pure land are looked for, spread over all of them."""


@dataclass(frozen=True, slots=True)
class WaterlineOptions:
    """How a line is drawn."""

    index: str = "mndwi"
    """Name or formula of what is high on water, as ``Raster.read_bands`` takes it."""
    threshold: float | None = None
    """Where water begins; found in the scene by default."""
    method: str = "otsu"
    """``otsu`` parts the values near the border into the most compact halves; ``peaks`` takes the
    middle between the most frequent values of land and of water, each counted alike; ``half`` the
    index of a pixel that is half of each, by their bands. ``wet`` knows pure water and land by
    the index, and draws where clean water ends by the brighter of both infrareds."""
    reach: int = 5
    """Pixels on either side of the border within which the line is looked for."""
    clouds: int = 2
    """Pixels around clouds that are left out besides."""

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise GeoreferenceError(
                f"a threshold is found by {' or '.join(METHODS)}, got {self.method!r}"
            )
        if self.reach < 1 or self.clouds < 0:
            raise GeoreferenceError(
                f"reach is 1 pixel at least and clouds 0, got {self.reach} and {self.clouds}"
            )
        if self.threshold is not None and not np.isfinite(self.threshold):
            raise GeoreferenceError(f"a threshold is a number, got {self.threshold}")


@dataclass(frozen=True, slots=True, eq=False)
class Waterline:
    """A line, and how well it is known."""

    lines: NDArray[Any]
    """``(n,)`` LineStrings in the raster's CRS, longest first; rings are closed."""
    threshold: float
    error_pixels: float
    """Median over the line of how far the noise of the index and what is not known of the threshold
    move it, one standard deviation, in pixels; NaN where there is no line."""
    threshold_error: float = 0.0
    """One standard deviation of the threshold; 0 where it was given."""
    index: str = ""
    """What passes the threshold: the index asked for, or the formula that ``wet`` goes by."""


def waterline(raster: Raster, options: WaterlineOptions, water: Any = None) -> Waterline:
    """Return where an index passes from water to land.

    Args:
        raster: With the bands that the index needs.
        options: Index, threshold, reach.
        water: Polygon or MultiPolygon in the raster's CRS: the line is looked for near its border
            alone. By default near every border that the index draws by itself.

    Raises:
        RasterError: A band is not known, or pixels can not be read.
        GeoreferenceError: No border lies on the raster.
    """
    raster.select([options.index])
    if options.method == "wet" and options.threshold is None:
        raster.select([darkness(raster)])
    border = None if water is None else _Border(shapely.boundary(water), raster)
    windows = list(_windows(raster.grid.shape, border))
    read = _reader(raster, options.index, options.clouds)
    if options.threshold is None:
        cut, index = _level(raster, windows, read, border, options)
    else:
        cut, index = Cut(float(options.threshold)), options.index
    if index != options.index:
        read = _reader(raster, index, options.clouds)
    pieces, moves = [], []
    for window in windows:
        values, known = read(window)
        near = _near(values, known, window, border, cut.value, options.reach)
        lines, off = _drawn(values, near, window, cut)
        pieces += lines
        moves.append(off)
    merged = _merged(pieces)
    off = np.concatenate(moves) if moves else np.zeros(0)
    error = float(np.median(off)) if len(off) else float("nan")
    lines = shapely.transform(merged, raster.grid.to_crs)
    return Waterline(lines, cut.value, error, cut.error, index)


class _Border:
    """The border of a rough outline, in pixels of the raster."""

    def __init__(self, line: Any, raster: Raster) -> None:
        parts = shapely.get_parts(shapely.transform(line, raster.grid.to_pixel))
        self._parts = np.array([piece for part in parts for piece in _short(part)], dtype=object)
        self._tree = shapely.STRtree(self._parts)

    def on(self, window: Window, margin: int) -> NDArray[Any]:
        """Return the pieces that come near a window."""
        bottom, right = window.stop
        box = shapely.box(window.col - margin, window.row - margin, right + margin, bottom + margin)
        found: NDArray[Any] = self._parts[self._tree.query(box, predicate="intersects")]
        return found


def _short(line: Any, points: int = 64) -> Iterator[Any]:
    """Yield a line in pieces of some points, so that a tree of them tells places apart."""
    xy = shapely.get_coordinates(line)
    for start in range(0, max(len(xy) - 1, 1), points):
        yield shapely.linestrings(xy[start : start + points + 1])


def _windows(shape: tuple[int, int], border: _Border | None) -> Iterator[Window]:
    """Yield windows whose squares between pixel centres cover the raster once."""
    for row in range(0, max(shape[0] - 1, 1), SIDE):
        for col in range(0, max(shape[1] - 1, 1), SIDE):
            window = Window(row, col, min(SIDE + 1, shape[0] - row), min(SIDE + 1, shape[1] - col))
            if border is None or len(border.on(window, 0)):
                yield window


def _reader(raster: Raster, index: str, clouds: int) -> Read:
    hides = hides_of(raster)

    def read(window: Window) -> tuple[FloatArray, BoolArray]:
        values, valid = raster.read_bands(window, 0, [index])
        if hides is None:
            return values[0], valid
        return values[0], valid & ~clouds_of(raster, window, hides, clouds)

    return read


def _near(
    values: FloatArray, known: BoolArray, window: Window, border: _Border | None,
    threshold: float, reach: int,
) -> BoolArray:  # fmt: skip
    """Return ``(y, x)`` the known pixels near the border."""
    if border is None:
        on = ((values > threshold) & known).astype(np.uint8)
        off = ((values <= threshold) & known).astype(np.uint8)
        square = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
        both: BoolArray = (cv2.dilate(on, square) > 0) & (cv2.dilate(off, square) > 0)
        return both & known
    pieces = border.on(window, reach + 1)
    if not len(pieces):
        return np.zeros_like(known)
    there = Affine.translation(window.col, window.row)
    ground = shapely.buffer(shapely.multilinestrings(pieces), reach)
    near = rasterize([ground], window.shape, transform=there, dtype="uint8") > 0
    return np.asarray(near & known)


def _level(
    raster: Raster, windows: list[Window], read: Read, border: _Border | None,
    options: WaterlineOptions,
) -> tuple[Cut, str]:  # fmt: skip
    """Return where water and land part by a method, and of which index that is."""
    best, values = _parted(windows, read, border, options.reach)
    exact = options.method in ("half", "wet")
    some = windows if exact else windows[:: -(-len(windows) // SEEN)]

    def sides() -> Iterator[Sides]:
        return _sides(some, read, border, best.value, options.reach)

    if options.method == "wet":
        formula = darkness(raster)
        edge = wet_edge(raster, formula, sides(), len(some))
        if edge is not None:
            return edge, formula

    def half() -> float | None:
        return half_water(raster, options.index, sides(), len(some))

    return cut_of(values, best, options.method, half), options.index


def _parted(
    windows: list[Window], read: Read, border: _Border | None, reach: int
) -> tuple[Parting, FloatArray]:
    """Return where the pixels near the border part into water and land, and those."""
    room = max(1, SAMPLE // max(len(windows), 1))
    starts = STARTS if border is None else STARTS[:1]
    samples: list[list[FloatArray]] = [[] for _ in starts]
    for window in windows:
        values, known = read(window)
        for start, sample in zip(starts, samples, strict=True):
            if border is None:
                own = near_border(values, known, start)
            else:
                own = values[_near(values, known, window, border, start, reach)]
            sample.append(own[:: max(1, len(own) // room)])
    near = [np.concatenate(sample) for sample in samples if sample]
    found = [(parting, values) for values in near
             if len(values) >= FEWEST and (parting := parting_of(values)) is not None]  # fmt: skip
    if not found:
        most = max(map(len, near), default=0)
        raise GeoreferenceError(
            f"only {most} known pixels lie near a border of water; give a threshold"
        )
    return max(found, key=lambda one: one[0].worth)


def _sides(
    windows: list[Window], read: Read, border: _Border | None, cut: float, reach: int
) -> Iterator[Sides]:
    """Yield where pixels near the border are water, and where land, and nothing else."""
    for window in windows:
        values, known = read(window)
        near = _near(values, known, window, border, cut, max(reach, PURE))
        above = values > cut
        yield window, pure(above & known, near), pure(~above & known, near)


def _drawn(
    values: FloatArray, near: BoolArray, window: Window, cut: Cut
) -> tuple[list[Any], NDArray[np.float64]]:
    """Return lines in pixels of the raster, and how far each of their vertices may be off."""
    if near.shape[0] < 2 or near.shape[1] < 2 or not near.any():
        return [], np.zeros(0)
    from skimage.measure import find_contours  # the environment beside QGIS does without

    plane = np.where(near, values, np.nan).astype(np.float64)
    contours = find_contours(plane, cut.value, mask=near)  # type: ignore[no-untyped-call]
    noise = float(np.hypot(_noise(plane), cut.error))
    down, across = np.gradient(np.where(near, values, cut.value).astype(np.float64))
    steep = np.hypot(down, across)
    lines, moves = [], []
    for contour in contours:
        if len(contour) < 2:
            continue
        at = np.rint(contour).astype(int)
        moves.append(noise / np.maximum(steep[at[:, 0], at[:, 1]], 1e-9))
        xy = contour[:, ::-1] + (window.col + 0.5, window.row + 0.5)
        lines.append(shapely.linestrings(xy))
    return lines, np.concatenate(moves) if moves else np.zeros(0)


def _noise(values: NDArray[np.float64]) -> float:
    """Return the standard deviation of what differs from pixel to pixel without order.

    Immerkaer's mask (1996), which neither slopes nor straight edges answer to, and the median of
    what it gives, which few other edges move.
    """
    one = values[:, :-2] - 2 * values[:, 1:-1] + values[:, 2:]
    both = one[:-2] - 2 * one[1:-1] + one[2:]
    known = both[np.isfinite(both)]
    return float(np.median(np.abs(known)) / 0.6745 / 6) if len(known) else 0.0


def _merged(pieces: list[Any]) -> NDArray[Any]:
    """Return lines of all windows, joined where they go on, longest first."""
    if not pieces:
        return np.zeros(0, object)
    lines = shapely.get_parts(shapely.line_merge(shapely.multilinestrings(pieces)))
    ordered: NDArray[Any] = lines[np.argsort(-shapely.length(lines), kind="stable")]
    return ordered
