"""Features as one page to send to a colleague: picture, outlines, attributes and a filter."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any

import cv2
import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from geoiseg.atomic import written
from geoiseg.errors import ExportError
from geoiseg.raster import Grid, Raster

LONGEST = 1600
"""Pixels of the picture's longer side, at most."""
DIGITS = 2
"""Decimal places of an outline's pixels in the picture."""
PLAIN = "#ffdc28"
"""Colour of what has no class of its own."""
HIDDEN = {"geometry", "prompts", "weights", "source"}
"""Columns that tell a program more than a reader."""
STYLE = """\
:root { color-scheme: light dark; font: 14px/1.4 system-ui, sans-serif; }
body { margin: 1em; } figure { margin: 0; position: relative; max-width: 1600px; }
figure img, figure svg { display: block; width: 100%; height: auto; }
figure svg { position: absolute; inset: 0; }
path { fill-opacity: 0.15; stroke-width: 2; vector-effect: non-scaling-stroke; }
path.is-chosen { fill-opacity: 0.55; stroke-width: 4; } tr.is-chosen { background: #ffdc2866; }
table { border-collapse: collapse; } td, th { padding: 0.2em 0.7em; text-align: left; }
tbody tr { cursor: pointer; border-top: 1px solid #8884; } [hidden] { display: none; }
input { font: inherit; padding: 0.3em; width: 24em; max-width: 90%; }
"""
SCRIPT = """\
const filter = document.querySelector("#filter"), rows = [...document.querySelectorAll("tbody tr")];
const shape = (row) => document.getElementById("shape-" + row.dataset.feature);
filter.addEventListener("input", () => {
  const words = filter.value.toLowerCase().split(/\\s+/).filter(Boolean);
  let shown = 0;
  for (const row of rows) {
    const text = row.textContent.toLowerCase();
    row.hidden = !words.every((word) => text.includes(word));
    shape(row).style.display = row.hidden ? "none" : "";
    shown += !row.hidden;
  }
  document.querySelector("output").textContent = `${shown} of ${rows.length}`;
});
for (const row of rows) {
  const choose = () => {
    for (const one of rows) {
      one.classList.toggle("is-chosen", one === row);
      shape(one).classList.toggle("is-chosen", one === row);
    }
  };
  row.addEventListener("click", choose);
  shape(row).addEventListener("click", () => { choose(); row.scrollIntoView({block: "center"}); });
}
"""


def write_review(
    path: Path, raster: Raster, frame: gpd.GeoDataFrame, colours: Mapping[str, str] | None = None
) -> Path:
    """Write features as one HTML file that needs no other and asks nothing of anybody.

    Args:
        path: Ends in .html or .htm.
        raster: What they were drawn on, shown from its overviews.
        frame: The features, in the CRS of the raster.
        colours: ``#rrggbb`` by label.

    Raises:
        ExportError: The path has another suffix, or can not be written; an older file stays.
        RasterError: The raster can not be read.
    """
    if path.suffix.lower() not in {".html", ".htm"}:
        raise ExportError(f"a page's name ends in .html, got {path.name!r}")
    level = next(k for k in range(64) if max(raster.grid.level(k).shape) <= LONGEST)
    grid = raster.grid.level(level)
    picture = _picture(raster, level)
    colours = colours or {}
    outlines = "".join(_outlines(frame, grid, colours))
    title = f"{Path(raster.name).name}: {len(frame)} object{'s' * (len(frame) != 1)}"
    rows, columns = grid.shape
    text = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{escape(title)}</h1>\n"
        f'<figure><img src="{picture}" alt="The raster" width="{columns}" height="{rows}">'
        f'<svg viewBox="0 0 {columns} {rows}">{outlines}</svg></figure>\n'
        '<p><input id="filter" type="search" placeholder="Filter by any words"'
        f' aria-label="Filter"> <output>{len(frame)} of {len(frame)}</output></p>\n'
        f"{_table(frame)}\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n"
    )
    with written(path) as target:
        target.write_text(text, encoding="utf-8")
    return path


def _picture(raster: Raster, level: int) -> str:
    """Return a level of the raster as the address of a JPEG within the page."""
    image = raster.chip(raster.grid.level(level).whole, level).rgb
    done, code = cv2.imencode(".jpg", image[..., ::-1].copy(), [cv2.IMWRITE_JPEG_QUALITY, 88])
    if not done:
        raise ExportError(f"a picture of {image.shape} pixels can not be encoded")
    return "data:image/jpeg;base64," + base64.b64encode(code.tobytes()).decode("ascii")


def _outlines(frame: gpd.GeoDataFrame, grid: Grid, colours: Mapping[str, str]) -> Iterator[str]:
    """Yield a path of SVG for each feature, large ones first, so that none hides another."""
    areas = np.nan_to_num(shapely.area(frame.geometry.to_numpy()))
    for place in np.argsort(-areas, kind="stable").tolist():
        row = frame.iloc[place]
        colour = escape(colours.get(str(row.get("label", "")), PLAIN), quote=True)
        lines = []
        for ring in shapely.get_rings(shapely.get_parts(row.geometry)):
            xy = grid.to_pixel(shapely.get_coordinates(ring)[:-1])
            lines.append("M" + "L".join(f"{x:.{DIGITS}f} {y:.{DIGITS}f}" for x, y in xy) + "Z")
        yield (
            f'<path id="shape-{place}" fill-rule="evenodd" d="{"".join(lines)}"'
            f' fill="{colour}" stroke="{colour}"><title>{escape(str(row.get("label", "")))}'
            "</title></path>\n"
        )


def _table(frame: gpd.GeoDataFrame) -> str:
    """Return the attributes as a table; columns without any value are left out."""
    columns = [
        name for name in frame.columns if name not in HIDDEN and not frame[name].isna().all()
    ]
    head = "".join(f'<th scope="col">{escape(str(name))}</th>' for name in columns)
    lines = []
    for place in range(len(frame)):
        cells = "".join(f"<td>{escape(_text(frame[name].iloc[place]))}</td>" for name in columns)
        lines.append(f'<tr data-feature="{place}">{cells}</tr>')
    body = "\n".join(lines)
    return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"


def _text(value: Any) -> str:
    """Return a value as a reader wants it."""
    if isinstance(value, float | np.floating):
        number = float(value)
        if np.isnan(number):
            return ""
        return f"{number:,.6g}" if abs(number) < 1e5 else f"{number:,.0f}"
    return "" if value is None or value is pd.NaT or value is pd.NA else str(value)
