"""A picture of a result: the image, outlines with their labels, prompts, a scale bar.

Everything is in the picture's own pixels; drawing is done with anti-aliasing by OpenCV, text
by Pillow with the font it ships.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image

from geoiseg.demo.legend import draw_legend, draw_scale_bar
from geoiseg.demo.marks import INK, RGB, SHIFT, Color, Mark, Shape, draw_mark, draw_rings, rings

__all__ = ["PALETTE", "Mark", "Shape", "draw", "label_colors"]

PALETTE: tuple[Color, ...] = (
    (70, 160, 255),
    (80, 226, 240),
    (255, 190, 40),
    (236, 92, 148),
    (163, 116, 255),
    (255, 122, 69),
    (150, 230, 80),
    (255, 240, 120),
)
"""Colours for labels, chosen to stand out on fields, sand and water."""


def label_colors(labels: Sequence[str]) -> dict[str, Color]:
    """Return a colour for every distinct label, in order of first appearance."""
    names = dict.fromkeys(labels)
    return {name: PALETTE[k % len(PALETTE)] for k, name in enumerate(names)}


def draw(
    image: RGB,
    shapes: Sequence[Shape],
    marks: Sequence[Mark],
    metres_per_pixel: float | None = None,
    title: str = "",
) -> RGB:
    """Return a new ``(y, x, 3)`` uint8 picture with shapes, prompts, legend and scale bar.

    Args:
        image: ``(y, x, 3)`` uint8 RGB; it is not changed.
        shapes: Drawn in order, the fill translucent.
        marks: Drawn over all shapes.
        metres_per_pixel: Ground size of a pixel of the picture; None leaves the bar out.
        title: A line for the legend; empty for none.
    """
    unit = max(0.6, min(image.shape[:2]) / 1600.0)
    canvas = np.ascontiguousarray(image).copy()
    canvas = _fill(canvas, shapes)
    for shape in shapes:
        _outline(canvas, shape, unit)
    for mark in sorted(marks, key=lambda mark: mark.kind == "point"):
        draw_mark(canvas, mark, unit)
    page = Image.fromarray(canvas)
    draw_legend(page, shapes, marks, unit, title)
    if metres_per_pixel is not None and metres_per_pixel > 0:
        draw_scale_bar(page, metres_per_pixel, unit)
    return np.asarray(page, dtype=np.uint8)


def _fill(canvas: RGB, shapes: Sequence[Shape]) -> RGB:
    """Return the canvas with every shape tinted in its colour, holes left clear."""
    tint, cover = canvas.copy(), np.zeros(canvas.shape[:2], np.uint8)
    for shape in shapes:
        outlines = rings(shape.geometry)
        if outlines:
            cv2.fillPoly(tint, outlines, shape.color, cv2.LINE_AA, SHIFT)
            cv2.fillPoly(cover, outlines, 255, cv2.LINE_AA, SHIFT)
    mixed = cv2.addWeighted(canvas, 0.74, tint, 0.26, 0.0)
    return np.asarray(np.where(cover[..., None] > 0, mixed, canvas), dtype=np.uint8)


def _outline(canvas: RGB, shape: Shape, unit: float) -> None:
    """Draw the edge of a shape: a dark halo, then the colour, so that it shows on anything."""
    outlines = rings(shape.geometry)
    for color, width in ((INK, 5.0), (shape.color, 2.6)):
        draw_rings(canvas, outlines, color, width * unit)
