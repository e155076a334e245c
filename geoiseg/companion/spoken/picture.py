"""The state of a session as a picture: the raster, what is accepted, and the object in progress."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray

from geoiseg.errors import PromptError
from geoiseg.prompting import Point
from geoiseg.raster import XY, Raster, Window
from geoiseg.session import Session

SMALLEST, LARGEST = 64, 2048
"""Pixels of the longer side of a picture."""
PLAIN, PROGRESS = "#ffdc28", "#ff00c8"
"""Colours of what has no class of its own, and of the object in progress."""
INSIDE, OUTSIDE = (40, 200, 40), (230, 40, 40)
"""Of points on the object and off it, red, green, blue."""


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A part of a raster at some scale."""

    raster: Raster
    window: Window
    """Of the raster's pixels."""
    scale: float
    """Picture pixels per pixel of the raster."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the picture."""
        rows, cols = self.window.shape
        return max(1, round(cols * self.scale)), max(1, round(rows * self.scale))

    def to_crs(self, xy_picture: Any) -> XY:
        """Return ``(n, 2)`` ``xy_crs`` of places in the picture."""
        pixel = np.asarray(xy_picture, float) / self.scale + self._corner
        return self.raster.grid.to_crs(pixel)

    def to_picture(self, xy_crs: Any) -> NDArray[np.float64]:
        """Return ``(n, 2)`` places in the picture of ``xy_crs``."""
        pixel = np.asarray(self.raster.grid.to_pixel(xy_crs), float)
        return np.asarray((pixel - self._corner) * self.scale)

    @property
    def _corner(self) -> NDArray[np.float64]:
        return np.array([self.window.col, self.window.row], float)


def view_of(raster: Raster, bounds: Any = None, width: int = 1024) -> View:
    """Return the view of a part of a raster, or of the whole.

    Args:
        raster: The raster.
        bounds: ``xmin, ymin, xmax, ymax`` in its CRS; None for all of it.
        width: Pixels of the longer side.

    Raises:
        PromptError: The bounds are not on the raster, or the width is none.
    """
    if not SMALLEST <= width <= LARGEST:
        raise PromptError(f"a picture is {SMALLEST} to {LARGEST} pixels wide, got {width}")
    window = raster.grid.whole
    if bounds is not None:
        xmin, ymin, xmax, ymax = map(float, bounds)
        corners = raster.grid.to_pixel([(xmin, ymin), (xmin, ymax), (xmax, ymin), (xmax, ymax)])
        low, high = np.floor(corners.min(0)).astype(int), np.ceil(corners.max(0)).astype(int)
        (left, top), (wide, high_) = low.tolist(), (high - low).tolist()
        window = Window(top, left, max(1, high_), max(1, wide)).intersection(window)
        if min(window.shape) < 1:
            raise PromptError(f"the bounds {list(bounds)} are not on the raster {raster.name}")
    return View(raster, window, width / max(window.shape))


def picture(session: Session, view: View) -> bytes:
    """Return a PNG: accepted outlines in the colours of their classes, and what is in progress.

    Raises:
        RasterError: The raster can not be read.
    """
    image = _pixels(view)
    colours = dict(session.classes)
    shown = shapely.box(*shapely.MultiPoint(view.to_crs([(0, 0), view.size])).bounds)
    for one in session.accepted:
        if one.geometry is not None and one.geometry.intersects(shown):
            _outline(image, view, one.geometry, colours.get(one.label, PLAIN))
            place = view.to_picture([one.geometry.representative_point().coords[0]])[0]
            _write(image, str(one.id), place)
    if session.geometry is not None:
        _outline(image, view, session.geometry, PROGRESS, width=3)
    for prompt in session.prompts.items:
        if isinstance(prompt, Point):
            x, y = view.to_picture([(prompt.x, prompt.y)])[0].round().astype(int).tolist()
            colour = INSIDE if prompt.positive else OUTSIDE
            cv2.circle(image, (x, y), 6, (255, 255, 255), -1, cv2.LINE_AA)
            cv2.circle(image, (x, y), 4, colour, -1, cv2.LINE_AA)
    _, code = cv2.imencode(".png", np.ascontiguousarray(image[..., ::-1]))
    return code.tobytes()


def _pixels(view: View) -> NDArray[np.uint8]:
    """Return ``(y, x, 3)`` the raster as it is shown, from its overviews."""
    level = max(0, int(np.floor(np.log2(1 / view.scale)))) if view.scale < 1 else 0
    level = min(level, view.raster.grid.top_level)
    size, grid = 2**level, view.raster.grid.level(level)
    top, left = view.window.row // size, view.window.col // size
    rows, cols = (-(-side // size) for side in view.window.shape)
    part = Window(top, left, max(1, rows), max(1, cols)).intersection(grid.whole)
    image = view.raster.chip(part, level).rgb
    how = cv2.INTER_AREA if view.scale * size <= 1 else cv2.INTER_NEAREST
    return np.asarray(cv2.resize(image, view.size, interpolation=how), np.uint8).copy()


def _outline(
    image: NDArray[np.uint8], view: View, geometry: Any, colour: str, width: int = 2
) -> None:
    red, green, blue = (int(colour[n : n + 2], 16) for n in (1, 3, 5))
    rings = [
        view.to_picture(shapely.get_coordinates(ring)).round().astype(np.int32)
        for ring in shapely.get_rings(shapely.get_parts(geometry))
    ]
    cv2.polylines(image, rings, isClosed=True, color=(0, 0, 0), thickness=width + 2,
                  lineType=cv2.LINE_AA)  # fmt: skip
    cv2.polylines(image, rings, isClosed=True, color=(red, green, blue), thickness=width,
                  lineType=cv2.LINE_AA)  # fmt: skip


def _write(image: NDArray[np.uint8], text: str, place: NDArray[np.float64]) -> None:
    x, y = place.round().astype(int).tolist()
    for colour, width in (((0, 0, 0), 4), ((255, 255, 255), 1)):
        cv2.putText(image, text, (x - 5 * len(text), y + 5), cv2.FONT_HERSHEY_SIMPLEX, 0.5,
                    colour, width, cv2.LINE_AA)  # fmt: skip
