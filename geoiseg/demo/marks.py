"""Outlines and prompts as values, and how a prompt is drawn.

Coordinates are pixels of the picture, continuous, (0, 0) at its outer corner.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import shapely
import shapely.ops
from numpy.typing import NDArray

RGB = NDArray[np.uint8]
Color = tuple[int, int, int]

SHIFT = 4
WHITE: Color = (255, 255, 255)
INK: Color = (22, 26, 29)
POSITIVE: Color = (38, 166, 91)
NEGATIVE: Color = (214, 57, 57)


@dataclass(frozen=True, slots=True)
class Shape:
    """One outlined object."""

    geometry: shapely.Geometry
    """Polygon or MultiPolygon in pixels of the picture, (0, 0) at its outer corner."""
    label: str
    color: Color


@dataclass(frozen=True, slots=True)
class Mark:
    """One prompt."""

    kind: Literal["point", "box", "scribble"]
    xy: tuple[tuple[float, float], ...]
    """One position, two opposite corners, or a line, in pixels of the picture."""
    positive: bool = True


def fixed(xy_pixel: NDArray[np.float64]) -> NDArray[np.int32]:
    """Return coordinates in 1/16 px counted from pixel centres, as OpenCV draws."""
    return np.round((np.asarray(xy_pixel) - 0.5) * (1 << SHIFT)).astype(np.int32)


def rings(geometry: shapely.Geometry) -> list[NDArray[np.int32]]:
    """Return exterior and interior rings of a polygon as OpenCV draws them."""
    found = []
    for part in shapely.get_parts(geometry):
        if isinstance(part, shapely.Polygon) and not part.is_empty:
            found += [fixed(shapely.get_coordinates(r)) for r in (part.exterior, *part.interiors)]
    return found


def draw_rings(canvas: RGB, outlines: list[NDArray[np.int32]], color: Color, width: float) -> None:
    """Draw closed lines in place; ``width`` in pixels, at least one."""
    _strokes(canvas, outlines, color, width, closed=True)


def _strokes(
    canvas: RGB, paths: list[NDArray[np.int32]], color: Color, width: float, *, closed: bool
) -> None:
    cv2.polylines(
        canvas,
        paths,
        isClosed=closed,
        color=color,
        thickness=max(1, round(width)),
        lineType=cv2.LINE_AA,
        shift=SHIFT,
    )


def line(canvas: RGB, xy: NDArray[np.float64], color: Color, width: float) -> None:
    """Draw an open line in place; ``xy`` is ``(n, 2)``, ``width`` in pixels."""
    _strokes(canvas, [fixed(xy)], color, width, closed=False)


def _disc(canvas: RGB, xy: tuple[float, float], radius: float, color: Color) -> None:
    x, y = fixed(np.array(xy))
    reach = round(radius * (1 << SHIFT))
    cv2.circle(canvas, (int(x), int(y)), reach, color, -1, cv2.LINE_AA, SHIFT)


def draw_mark(canvas: RGB, mark: Mark, unit: float) -> None:
    """Draw one prompt in place; ``unit`` is the size of strokes, 1 for a 1600 px picture."""
    color = POSITIVE if mark.positive else NEGATIVE
    xy = np.asarray(mark.xy, dtype=np.float64)
    if mark.kind == "box":
        (x0, y0), (x1, y1) = xy.min(axis=0), xy.max(axis=0)
        corners = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]])
        for dash in _dashes(corners, 15 * unit, 13 * unit):
            line(canvas, dash, INK, 5.0 * unit)
            line(canvas, dash, WHITE, 2.6 * unit)
    elif mark.kind == "scribble":
        line(canvas, xy, WHITE, 9.0 * unit)
        line(canvas, xy, color, 5.0 * unit)
    else:
        at = (float(xy[0, 0]), float(xy[0, 1]))
        for radius, shade in ((11.5, INK), (10.5, WHITE), (7.5, color)):
            _disc(canvas, at, radius * unit, shade)
        arm = 3.6 * unit  # a sign in the disc, for those who can not tell red from green
        line(canvas, np.array([[at[0] - arm, at[1]], [at[0] + arm, at[1]]]), WHITE, 2.2 * unit)
        if mark.positive:
            line(canvas, np.array([[at[0], at[1] - arm], [at[0], at[1] + arm]]), WHITE, 2.2 * unit)


def _dashes(xy: NDArray[np.float64], dash: float, gap: float) -> list[NDArray[np.float64]]:
    """Return the dashes of a line as ``(n, 2)`` arrays; they bend with it."""
    line = shapely.LineString(xy)
    starts = np.arange(0.0, line.length, dash + gap)
    parts = [shapely.ops.substring(line, s, min(s + dash, line.length)) for s in starts]
    return [shapely.get_coordinates(p) for p in parts if p.length > 0]
