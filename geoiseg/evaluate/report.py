"""An evaluation as one HTML page: the table, IoU over clicks, the best and the worst cases."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray

from geoiseg.atomic import written
from geoiseg.demo.picture import Shape, draw
from geoiseg.evaluate.dataset import LabelledScene
from geoiseg.evaluate.protocol import ObjectScore
from geoiseg.evaluate.summary import Row, Value
from geoiseg.prompting import Prompts, Region, around
from geoiseg.raster import Grid, Raster

CASES = 4
"""Best and worst cases shown, of each."""
CASE_SIDE = 384
"""Side of a case's picture, in pixels."""
TRUE_COLOUR, DRAWN_COLOUR = (80, 226, 120), (255, 120, 60)
COLUMNS = {
    "noc85": "NoC@85", "noc90": "NoC@90", "failed85": "failed @85", "iou1": "IoU@1",
    "iou3": "IoU@3", "iou5": "IoU@5", "box_iou": "IoU, box", "boundary_iou": "boundary IoU",
    "boundary_m": "edge, m", "boundary_m_p95": "edge p95, m", "click_ms": "ms a click",
    "first_ms": "ms, first click",
}  # fmt: skip
CLICKS = {
    "centre": "in the middle of the largest error",
    "realistic": "near the middle of the largest error, sometimes at its border, twice or wrongly",
}
"""Where each user clicks, in words."""
PREFACE = (
    "A simulated user clicks {where}, through a session in map"
    " coordinates. Means over objects, times as medians, with 95 % confidence intervals from"
    " resampling the objects."
)
STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8882; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; display: block;
  overflow-x: auto }
th, td { padding: .3rem .6rem; text-align: right; border-bottom: 1px solid var(--line);
  white-space: nowrap }
th:first-child, td:first-child { text-align: left }
td small { opacity: .65; display: block; font-size: .75em }
.cases { display: grid; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); gap: 1rem }
figure { margin: 0 } img { width: 100%; border-radius: 6px } figcaption { font-size: .85em }
svg { background: var(--soft); border-radius: 6px; max-width: 44rem; width: 100% }
"""
HUES = ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#17becf")


def write_evaluation(
    path: Path,
    model: str,
    scores: Sequence[ObjectScore],
    listed: Sequence[LabelledScene],
    rows: Sequence[Row],
    user: str = "centre",
) -> None:
    """Write the page.

    Args:
        path: Where to, ending in .html.
        model: Name of the model.
        scores: Of all objects.
        listed: The scenes they are from.
        rows: Their summary.
        user: Who clicked.

    Raises:
        ExportError: The page can not be written.
    """
    rasters = {scene.name: scene.raster for scene in listed}
    truths = {(one.scene, one.number): one.geometry for scene in listed for one in scene.objects}
    ranked = sorted(scores, key=lambda one: float(np.mean(one.ious[:5])))
    few = min(CASES, len(ranked) // 2)
    preface = PREFACE.format(where=CLICKS[user])
    sections = [
        f"<h1>Clicks to a target: {escape(model)}</h1>",
        f"<p>{len(scores)} objects in {len(listed)} scenes. {preface}</p>",
        _table(rows),
        "<h2>IoU over clicks</h2>",
        _curves(scores),
    ]
    legend = "<p>Green: the true outline. Orange: the last outline drawn.</p>"
    for heading, chosen in (("Best", ranked[::-1][:few]), ("Worst", ranked[:few])):
        cases = [_case(one, rasters[one.scene], truths[one.scene, one.number]) for one in chosen]
        sections.append(f"<h2>{heading} cases</h2>{legend}<div class=cases>{''.join(cases)}</div>")
    page = (
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport"
        f' content="width=device-width, initial-scale=1"><title>{escape(model)}</title>'
        f"<style>{STYLE}</style><body>{''.join(sections)}</body></html>"
    )
    with written(path) as target:
        target.write_text(page, encoding="utf-8")


def _table(rows: Sequence[Row]) -> str:
    heads = "".join(f"<th>{escape(text)}</th>" for text in COLUMNS.values())
    lines = [f"<tr><th>group</th><th>objects</th>{heads}</tr>"]
    for row in rows:
        cells = "".join(_cell(row.measures[name]) for name in COLUMNS)
        lines.append(f"<tr><td>{escape(row.group)}</td><td>{row.objects}</td>{cells}</tr>")
    return f"<table>{''.join(lines)}</table>"


def _cell(value: Value) -> str:
    if np.isnan(value.value):
        return "<td>–</td>"
    return f"<td>{value.value:.2f}<small>{value.low:.2f}–{value.high:.2f}</small></td>"


def _curves(scores: Sequence[ObjectScore]) -> str:
    """Return an SVG of the mean IoU after each click, by family."""
    families = sorted({one.family for one in scores})
    clicks = max(len(one.ious) for one in scores)
    width, height, left, bottom = 640, 300, 44, 34

    def place(click: int, iou: float) -> str:
        x = left + (width - left - 120) * (click - 1) / max(1, clicks - 1)
        return f"{x:.1f},{10 + (height - bottom - 10) * (1 - iou):.1f}"

    parts = []
    for tick in np.linspace(0, 1, 6):
        at = place(1, float(tick)).split(",")[1]
        parts.append(
            f'<line x1="{left}" x2="{width - 120}" y1="{at}" y2="{at}" stroke="currentColor"'
            f' stroke-opacity=".15"/><text x="{left - 8}" y="{at}" text-anchor="end" dy=".35em"'
            f' font-size="11" fill="currentColor">{tick:.1f}</text>'
        )
    for number, family in enumerate(families):
        means = np.mean([one.ious for one in scores if one.family == family], axis=0)
        points = [place(click, float(mean)) for click, mean in enumerate(means, 1)]
        hue = HUES[number % len(HUES)]
        parts.append(
            f'<polyline points="{" ".join(points)}" fill="none" stroke="{hue}" stroke-width="2"/>'
            f'<text x="{width - 112}" y="{22 + 16 * number}" font-size="12" fill="{hue}">'
            f"{escape(family)}</text>"
        )
    ticks = [
        click for click in range(1, clicks + 1) if clicks <= 10 or click % 5 == 0 or click == 1
    ]
    for click in ticks:
        at = place(click, 0).split(",")[0]
        parts.append(
            f'<text x="{at}" y="{height - 14}" text-anchor="middle" font-size="11"'
            f' fill="currentColor">{click}</text>'
        )
    return f'<svg viewBox="0 0 {width} {height}" role="img">{"".join(parts)}</svg>'


def _case(score: ObjectScore, raster: Raster, truth: shapely.Geometry) -> str:
    picture = _picture(score, raster, truth)
    done, encoded = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80])
    data = base64.b64encode(encoded.tobytes()).decode() if done else ""
    five = score.ious[min(4, len(score.ious) - 1)]
    caption = f"{score.scene} {score.number}: IoU {score.ious[0]:.2f} after one click, {five:.2f}"
    return (
        f'<figure><img alt="" src="data:image/jpeg;base64,{data}">'
        f"<figcaption>{escape(caption)} after five</figcaption></figure>"
    )


def _picture(score: ObjectScore, raster: Raster, truth: shapely.Geometry) -> NDArray[np.uint8]:
    grid = raster.grid
    xy = Prompts((Region(truth),)).outline_pixels(grid)
    low, high = xy.min(axis=0), xy.max(axis=0)
    level = 0
    while level < grid.top_level and (high - low).max() / (1 << level) > CASE_SIDE * 0.7:
        level += 1
    frame = around(grid, level, CASE_SIDE, (*low.tolist(), *high.tolist()))
    chip = raster.chip(frame.window, frame.level)
    return draw(chip.rgb, list(_shapes(score, truth, chip.grid)), ())


def _shapes(score: ObjectScore, truth: shapely.Geometry, grid: Grid) -> Iterator[Shape]:
    for geometry, colour in ((truth, TRUE_COLOUR), (score.drawn, DRAWN_COLOUR)):
        if geometry is not None:
            yield Shape(shapely.transform(geometry, grid.to_pixel), "", colour)
