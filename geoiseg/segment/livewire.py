"""Intelligent scissors: the border followed from one click on it to the next.

Sources: Mortensen and Barrett, Intelligent Scissors, SIGGRAPH 1995; OpenCV's
``IntelligentScissorsMB`` finds the cheapest path. At the level of superpixels it runs along their
borders, of which there are few and which noise does not move.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geoiseg.errors import PromptError
from geoiseg.raster import BoolArray, Raster, Window

WIRE_LEVELS = ("pixel", "superpixel", "hybrid")
"""What a path may follow: edges of the picture, borders of superpixels, or either."""
CANNY = (32, 100)
"""Thresholds of Canny's edges, in grey levels per pixel."""
STEEPEST = 200
"""Gradient from which nothing is steeper, in grey levels per pixel."""
WEIGHTS = (0.43, 0.43, 0.14)
"""Of not being an edge, of the gradient's direction and of its magnitude, as published."""
ALONG = (0.8, 0.1, 0.1)
"""The same where a path keeps to borders of superpixels."""
SUPERPIXEL = 150
"""Pixels of a superpixel, about."""
VIEW = 1024
"""Longest side in pixels of what is looked at."""
ROOM = 0.25
"""Room on each side of the clicks, as a share of the longer side of what they span."""

Path = NDArray[np.float64]


class LiveWire:
    """A picture along whose edges paths are found.

    Args:
        image: ``(y, x, 3)`` uint8, red first.
        level: One of :data:`WIRE_LEVELS`.

    Raises:
        PromptError: There is no such level, or the image is not of that form.
    """

    def __init__(self, image: NDArray[np.uint8], level: str = "pixel") -> None:
        import cv2

        if level not in WIRE_LEVELS:
            raise PromptError(f"a live wire follows {', '.join(WIRE_LEVELS)}, got {level!r}")
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
            raise PromptError(f"an image is (y, x, 3) uint8, got {image.shape} {image.dtype}")
        self.shape = (image.shape[0], image.shape[1])
        self._source: tuple[int, int] | None = None
        scissors: Any = cv2.segmentation.IntelligentScissorsMB()
        self._scissors = scissors
        seen = np.ascontiguousarray(image[..., ::-1])
        if level == "pixel":
            scissors.setWeights(*WEIGHTS)
            scissors.setEdgeFeatureCannyParameters(*CANNY)
            scissors.setGradientMagnitudeMaxLimit(STEEPEST)
            scissors.applyImage(seen)
            return
        edge = _borders(image)
        if level == "hybrid":
            edge |= cv2.Canny(cv2.cvtColor(seen, cv2.COLOR_BGR2GRAY), *CANNY) > 0
        scissors.setWeights(*ALONG)
        direction, magnitude = _gradient(seen)
        scissors.applyImageFeatures((~edge).astype(np.uint8), direction, magnitude)

    def path(self, start: tuple[float, float], end: tuple[float, float]) -> Path:
        """Return ``(k, 2)`` vertices, ``x, y`` of pixel centres, from one click to another.

        Args:
            start: ``x, y`` in the continuous pixel frame.
            end: The same.

        Raises:
            PromptError: One of them lies outside the picture.
        """
        source, target = self._pixel(start), self._pixel(end)
        if source == target:
            return np.array([source], np.float64) + 0.5
        if source != self._source:
            self._scissors.buildMap(source)
            self._source = source
        found = np.asarray(self._scissors.getContour(target), np.float64).reshape(-1, 2)
        return found + 0.5

    def along(self, clicks: Sequence[tuple[float, float]], *, closed: bool = False) -> Path:
        """Return ``(k, 2)`` vertices through all clicks in order.

        Args:
            clicks: ``x, y`` in the continuous pixel frame, two or more.
            closed: Whether the last is joined to the first.

        Raises:
            PromptError: There are too few, or one lies outside the picture.
        """
        if len(clicks) < 2:
            raise PromptError(f"a live wire wants two clicks or more, got {len(clicks)}")
        ends = [*clicks[1:], clicks[0]] if closed else list(clicks[1:])
        parts = [self.path(a, b) for a, b in zip(clicks, ends, strict=False)]
        whole = np.concatenate(parts)
        new = np.r_[True, np.any(np.diff(whole, axis=0) != 0, axis=1)]
        return whole[new]

    def _pixel(self, xy: tuple[float, float]) -> tuple[int, int]:
        """Return column and row of the pixel a place lies in."""
        rows, columns = self.shape
        if not (0 <= xy[0] <= columns and 0 <= xy[1] <= rows):
            raise PromptError(
                f"({xy[0]:g}, {xy[1]:g}) lies outside the picture of {columns} x {rows} pixels"
            )
        return min(int(xy[0]), columns - 1), min(int(xy[1]), rows - 1)


@dataclass(frozen=True, slots=True)
class WireOptions:
    """How a border is followed."""

    level: str = "pixel"
    """One of :data:`WIRE_LEVELS`."""
    closed: bool = True
    """Whether the last click is joined to the first, so that a polygon comes of it."""


def live_wire(
    raster: Raster,
    clicks: Sequence[tuple[float, float]],
    crs: Any = None,
    options: WireOptions | None = None,
) -> Any:
    """Return the border through clicks on it, in the raster's CRS: a Polygon or a LineString.

    The chip around the clicks is looked at, at the finest level at which it has no more than
    :data:`VIEW` pixels a side. ``session.add_region`` takes a polygon as an outline to refine.

    Args:
        raster: The raster.
        clicks: ``x, y`` on the border, in order, two or more; three for a polygon.
        crs: Of the clicks; None is the raster's.
        options: What is followed, and whether it is closed.

    Raises:
        PromptError: There are too few clicks, or one lies outside the raster.
    """
    options = options or WireOptions()
    least = 3 if options.closed else 2
    if len(clicks) < least:
        raise PromptError(f"a live wire wants {least} clicks or more here, got {len(clicks)}")
    xy = np.asarray(raster.grid.to_pixel(list(clicks), crs), np.float64)
    inside = (xy >= 0).all(axis=1) & (xy <= raster.grid.shape[::-1]).all(axis=1)
    if not inside.all():
        x, y = clicks[int(np.flatnonzero(~inside)[0])]
        raise PromptError(f"({x:g}, {y:g}) lies outside the raster")
    chip = raster.chip(*window_around(raster, xy))
    placed = chip.grid.to_pixel(raster.grid.to_crs(xy))
    wire = LiveWire(chip.rgb, options.level)
    limit = np.array(wire.shape[::-1], np.float64)
    held = [(float(x), float(y)) for x, y in np.clip(placed, 0, limit)]
    path = wire.along(held, closed=options.closed)
    coordinates = chip.grid.to_crs(path)
    if not options.closed:
        return shapely.LineString(coordinates if len(coordinates) > 1 else [*coordinates] * 2)
    return enclosed(coordinates)


def enclosed(coordinates: Any) -> Any:
    """Return the largest part of what a closed path of ``(k, 2)`` vertices encloses.

    Raises:
        PromptError: It encloses nothing.
    """
    if len(coordinates) < 4:
        raise PromptError("the border encloses nothing; click farther apart")
    whole = shapely.make_valid(shapely.Polygon(coordinates), method="structure")
    parts = [part for part in shapely.get_parts(whole) if part.geom_type == "Polygon"]
    if not parts:
        raise PromptError("the border encloses nothing; click farther apart")
    return max(parts, key=lambda part: part.area)


def window_around(raster: Raster, xy: Path) -> tuple[Window, int]:
    """Return the window around clicks, and the level to read it at."""
    low, high = xy.min(axis=0), xy.max(axis=0)
    room = max(32.0, ROOM * float((high - low).max()))
    level = 0
    while float((high - low + 2 * room).max()) / 2**level > VIEW and level < raster.grid.top_level:
        level += 1
    grid = raster.grid.level(level)
    scale = np.array([grid.width / raster.grid.width, grid.height / raster.grid.height])
    first = np.floor((low - room) * scale).astype(int)
    size = np.ceil((high + room) * scale).astype(int) - first
    window = Window(int(first[1]), int(first[0]), int(size[1]), int(size[0]))
    return window.intersection(grid.whole), level


def _borders(image: NDArray[np.uint8]) -> BoolArray:
    """Return ``(y, x)`` the pixels on borders of superpixels."""
    from skimage.segmentation import slic

    count = max(2, image.shape[0] * image.shape[1] // SUPERPIXEL)
    labels = np.asarray(slic(image, n_segments=count, compactness=10, sigma=0.7, start_label=0))
    edge = np.zeros(labels.shape, bool)
    edge[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    edge[1:] |= labels[1:] != labels[:-1]
    return edge


def _gradient(image: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return ``(y, x, 2)`` unit directions and ``(y, x)`` 1 less the magnitude, in 0..1."""
    import cv2

    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    along = [cv2.Sobel(grey, cv2.CV_32F, *axis) / 4 for axis in ((1, 0), (0, 1))]
    steep = np.hypot(*along)
    unit = np.stack(along, axis=2) / np.maximum(steep, 1e-6)[..., None]
    flat = 1 - np.clip(steep / STEEPEST, 0, 1)
    return unit.astype(np.float32), flat.astype(np.float32)
