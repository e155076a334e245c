"""The legend and the scale bar of a picture."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import cv2
import numpy as np
import shapely
from PIL import Image, ImageDraw, ImageFont

from geoiseg.demo.marks import (
    INK,
    NEGATIVE,
    POSITIVE,
    RGB,
    SHIFT,
    WHITE,
    Color,
    Mark,
    Shape,
    draw_mark,
    draw_rings,
    rings,
)


def _font(size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(max(10, round(size)))


def _panel(page: Image.Image, box: tuple[float, float, float, float], unit: float) -> None:
    """Darken a rounded rectangle of the page, so that white text reads on anything."""
    x0, y0, x1, y1 = (round(v) for v in box)
    x1, y1 = min(x1, page.width), min(y1, page.height)
    mask = Image.new("L", (4 * max(1, x1 - x0), 4 * max(1, y1 - y0)), 0)
    area = (0, 0, mask.width - 1, mask.height - 1)
    ImageDraw.Draw(mask).rounded_rectangle(area, radius=round(40 * unit), fill=205)
    mask = mask.resize((max(1, x1 - x0), max(1, y1 - y0)), Image.Resampling.BOX)
    page.paste(Image.new("RGB", mask.size, INK), (x0, y0), mask)


TEXTS = {
    ("point", True): "click in the object",
    ("point", False): "click outside it",
    ("scribble", True): "scribble in the object",
    ("scribble", False): "scribble outside it",
    ("box", True): "box",
}


def _rows(shapes: Sequence[Shape], marks: Sequence[Mark]) -> list[tuple[str, str, Color]]:
    """Return kind, text and colour of every line of the legend."""
    counts = Counter((shape.label, shape.color) for shape in shapes)
    rows = [
        ("area", f"{label} ({count})" if count > 1 else label, color)
        for (label, color), count in counts.items()
    ]
    kinds = {(mark.kind, mark.positive or mark.kind == "box") for mark in marks}
    for key, text in TEXTS.items():
        if key in kinds:
            rows.append((key[0], text, POSITIVE if key[1] else NEGATIVE))
    return rows


def _corner(
    page: Image.Image,
    shapes: Sequence[Shape],
    marks: Sequence[Mark],
    size: tuple[float, float],
    margin: float,
) -> tuple[float, float]:
    """Return the upper left of the legend: the corner that hides the fewest prompts and edges.

    The lower left belongs to the scale bar.
    """
    right, low = page.width - margin - size[0], page.height - margin - size[1]
    traces = [shapely.points(mark.xy[0]) for mark in marks if len(mark.xy) == 1]
    traces += [shapely.LineString(mark.xy) for mark in marks if len(mark.xy) > 1]

    edges = [shape.geometry.boundary for shape in shapes]

    def hidden(at: tuple[float, float]) -> tuple[int, int]:
        panel = shapely.box(at[0], at[1], at[0] + size[0], at[1] + size[1])
        under = [sum(bool(panel.intersects(line)) for line in lines) for lines in (traces, edges)]
        return under[0], under[1]

    corners = ((margin, margin), (right, margin), (right, low))
    return min(corners, key=hidden)


def draw_legend(
    page: Image.Image, shapes: Sequence[Shape], marks: Sequence[Mark], unit: float, title: str
) -> None:
    """Draw title, labels with their colours and kinds of prompts in a corner of the page."""
    rows = _rows(shapes, marks)
    if not rows and not title:
        return
    head, body, pen = _font(25 * unit), _font(21 * unit), ImageDraw.Draw(page)
    step, edge, margin = 33 * unit, 18 * unit, 20 * unit
    widths = [pen.textlength(text, body) + 48 * unit for _, text, _ in rows]
    width = max([pen.textlength(title, head), *widths]) + 2 * edge
    above = edge + (40 * unit if title else 0)
    height = above + step * len(rows) + edge * 0.7
    left, top = _corner(page, shapes, marks, (width, height), margin)
    _panel(page, (left, top, left + width, top + height), unit)
    pen.text((left + edge, top + edge + 8 * unit), title, WHITE, head, anchor="lm")
    canvas = np.array(page)
    for k, (kind, _, color) in enumerate(rows):
        at = (left + edge + 16 * unit, top + above + (k + 0.4) * step)
        _sample(canvas, kind, at, color, unit)
    page.paste(Image.fromarray(canvas))
    for k, (_, text, _) in enumerate(rows):
        at = (left + edge + 48 * unit, top + above + (k + 0.4) * step)
        pen.text(at, text, WHITE, body, anchor="lm")


def _sample(canvas: RGB, kind: str, xy: tuple[float, float], color: Color, unit: float) -> None:
    """Draw what a row of the legend stands for."""
    x, y = xy
    if kind == "area":
        half = np.array([14.0, 9.0]) * unit
        square = shapely.box(x - half[0], y - half[1], x + half[0], y + half[1])
        cv2.fillPoly(canvas, rings(square), [0.55 * v for v in color], cv2.LINE_AA, SHIFT)
        draw_rings(canvas, rings(square), color, 2.6 * unit)
        return
    positive = color == POSITIVE
    if kind == "point":
        draw_mark(canvas, Mark("point", (xy,), positive), unit)
    elif kind == "box":
        draw_mark(
            canvas,
            Mark("box", ((x - 15 * unit, y - 9 * unit), (x + 15 * unit, y + 9 * unit))),
            unit,
        )
    else:
        t = np.linspace(-1, 1, 9)
        wave = np.column_stack([x + 14 * unit * t, y + 4 * unit * np.sin(t * math.pi)])
        line = tuple((float(a), float(b)) for a, b in wave)
        draw_mark(canvas, Mark("scribble", line, positive), unit)


def draw_scale_bar(page: Image.Image, metres_per_pixel: float, unit: float) -> None:
    """Draw a bar of a round length, at most a fifth of the width, lower left."""
    limit = 0.2 * page.width * metres_per_pixel
    power = 10.0 ** math.floor(math.log10(limit))
    metres = max(step * power for step in (1, 2, 5) if step * power <= limit)
    length, font, pen = metres / metres_per_pixel, _font(20 * unit), ImageDraw.Draw(page)
    if metres >= 1000:
        text = f"{metres / 1000:g} km"
    elif metres >= 1:
        text = f"{metres:g} m"
    else:
        text = f"{metres * 100:g} cm"
    edge, margin, high = 16 * unit, 20 * unit, 7 * unit
    width = max(length, pen.textlength(text, font)) + 2 * edge
    top = page.height - margin - 62 * unit
    _panel(page, (margin, top, margin + width, page.height - margin), unit)
    x, y = margin + edge, page.height - margin - 20 * unit
    pen.rectangle((x, y, x + length, y + high), fill=WHITE)
    pen.rectangle(
        (x + length / 2, y + 1.5 * unit, x + length - 1.5 * unit, y + high - 1.5 * unit), fill=INK
    )
    pen.text((x, top + 22 * unit), text, WHITE, font, anchor="lm")
