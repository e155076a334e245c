"""A report of one run as a single HTML page: no script, no other file, nothing from the net."""

from __future__ import annotations

import base64
import os
import tempfile
from dataclasses import dataclass
from html import escape
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from geoiseg.demo.style import CSS
from geoiseg.errors import ExportError

STEPS = ("reading", "encoding", "decoding", "vectorising")
"""What the time of an object is spent on, in order."""


@dataclass(frozen=True, slots=True)
class ReportRow:
    """One object of the report."""

    name: str
    label: str
    prompts: str
    """What was asked, in words, e.g. ``1 click, 1 box``."""
    area_m2: float
    perimeter_m: float
    score: float | None = None
    """The model's own estimate, 0..1."""
    iou: float | None = None
    """Intersection over union with the truth, where that is known."""
    read_ms: float = 0.0
    encode_ms: float = 0.0
    decode_ms: float = 0.0
    vectorise_ms: float = 0.0
    color: tuple[int, int, int] = (128, 128, 128)
    """The object's colour in the picture, RGB."""

    @property
    def steps_ms(self) -> tuple[float, float, float, float]:
        """Milliseconds for each of ``STEPS``."""
        return self.read_ms, self.encode_ms, self.decode_ms, self.vectorise_ms


@dataclass(frozen=True, slots=True)
class ReportData:
    """All that a report shows."""

    title: str
    source: str
    """The raster, in words, e.g. ``scene.tif, 4096 x 4096 px, 1 m, EPSG:32631``."""
    model: str
    picture: NDArray[np.uint8]
    """``(y, x, 3)`` uint8 RGB."""
    rows: tuple[ReportRow, ...]
    files: tuple[Path, ...] = ()
    """Files that were made; those that exist are linked with their size."""
    how_to: tuple[tuple[str, str], ...] = ()
    """Pairs of a heading and lines of code or steps, e.g. how to open the result in QGIS."""
    seconds_total: float = 0.0
    machine: tuple[tuple[str, str], ...] = ()
    """Names and values: versions, CPUs, GDAL."""
    summary: str = ""
    """A sentence under the title."""


def area_text(square_metres: float) -> str:
    """Return an area in m2, hectares or km2, whichever reads best."""
    if square_metres >= 1e6:
        return f"{square_metres / 1e6:,.2f} km²"
    if square_metres >= 1e4:
        return f"{square_metres / 1e4:,.2f} ha"
    return f"{square_metres:,.0f} m²" if square_metres >= 10 else f"{square_metres:.2f} m²"


def length_text(metres: float) -> str:
    """Return a length in metres or kilometres."""
    if metres >= 1e4:
        return f"{metres / 1e3:,.1f} km"
    return f"{metres:,.0f} m" if metres >= 10 else f"{metres:.2f} m"


def size_text(size: int) -> str:
    """Return a file size in B, kB or MB."""
    if size >= 1e6:
        return f"{size / 1e6:,.1f} MB"
    return f"{size / 1e3:,.0f} kB" if size >= 1e3 else f"{size} B"


def time_text(milliseconds: float) -> str:
    """Return a duration in milliseconds or seconds."""
    if milliseconds >= 1000:
        return f"{milliseconds / 1000:.1f} s"
    return f"{milliseconds:.0f} ms" if milliseconds >= 10 else f"{milliseconds:.1f} ms"


def report_html(data: ReportData, folder: Path) -> str:
    """Return the page as HTML text.

    Args:
        data: What to show.
        folder: Where the page will lie; links to files are relative to it.
    """
    parts = [_head(data), _figure(data), _facts(data), _table(data.rows), _timings(data.rows)]
    parts += [_files(data.files, folder), _how_to(data.how_to), _machine(data.machine)]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(data.title)}</title>\n<style>\n{CSS}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(part for part in parts if part)
        + "\n</main>\n</body>\n</html>\n"
    )


def write_report(path: str | os.PathLike[str], data: ReportData) -> Path:
    """Return the path of the report after writing it under a temporary name and renaming it.

    Raises:
        ExportError: The file can not be written; an older one is untouched.
    """
    target = Path(path)
    text = report_html(data, target.parent)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{target.stem}-", dir=target.parent)
        draft = Path(name)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                stream.write(text)
            draft.chmod(0o644)
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise ExportError(f"can not write {target}: {error.strerror or error}") from error
    return target


def _head(data: ReportData) -> str:
    summary = f'<p class="lead">{escape(data.summary)}</p>' if data.summary else ""
    return (
        f"<header>\n<h1>{escape(data.title)}</h1>\n{summary}\n"
        f'<p class="source">{escape(data.source)}<span>{escape(data.model)}</span></p>\n</header>'
    )


def _figure(data: ReportData) -> str:
    """Return the picture as an inline JPEG, which for a photograph is a fifth of a PNG."""
    bgr = np.ascontiguousarray(data.picture[..., ::-1])
    done, code = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 88])
    if not done:
        raise ExportError(f"the picture of shape {data.picture.shape} can not be encoded")
    source = "data:image/jpeg;base64," + base64.b64encode(code.tobytes()).decode("ascii")
    height, width = data.picture.shape[:2]
    alt = escape(f"Outlines of {len(data.rows)} objects drawn over the image", quote=True)
    return f'<figure><img src="{source}" width="{width}" height="{height}" alt="{alt}"></figure>'


def _facts(data: ReportData) -> str:
    """Return the headline figures."""
    known = [row.iou for row in data.rows if row.iou is not None]
    spent = [sum(row.steps_ms) for row in data.rows]
    facts = [(str(len(data.rows)), "object" if len(data.rows) == 1 else "objects")]
    facts.append((area_text(sum(row.area_m2 for row in data.rows)), "outlined"))
    if known:
        facts.append((f"{float(np.mean(known)):.3f}", "mean IoU with the truth"))
    if spent:
        facts.append((time_text(float(np.median(spent))), "median time of an object"))
    facts.append((f"{data.seconds_total:.1f} s", "in all"))
    cells = "".join(
        f"<div><dt>{escape(text)}</dt><dd>{escape(value)}</dd></div>" for value, text in facts
    )
    return f'<dl class="facts">{cells}</dl>'


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _swatch(color: tuple[int, int, int]) -> str:
    red, green, blue = (int(v) for v in color)
    return f'<i class="swatch" style="background:rgb({red},{green},{blue})"></i>'


def _table(rows: tuple[ReportRow, ...]) -> str:
    """Return the table of objects."""
    heads = ("Object", "Label", "Prompts", "Area", "Perimeter", "Score", "IoU", *STEPS, "total")
    cells = []
    for index, head in enumerate(heads):
        kind = ' class="n"' if index >= 3 else ""
        cells.append(
            f'<th scope="col"{kind}>{escape(head.capitalize() if index > 6 else head)}</th>'
        )
    lines = []
    for row in rows:
        words = (row.label, row.prompts)
        times = [*row.steps_ms, sum(row.steps_ms)]
        numbers = (
            area_text(row.area_m2),
            length_text(row.perimeter_m),
            _number(row.score),
            _number(row.iou),
            *(time_text(ms) for ms in times),
        )
        lines.append(
            f'<tr><th scope="row">{_swatch(row.color)}{escape(row.name)}</th>'
            + "".join(f"<td>{escape(word)}</td>" for word in words)
            + "".join(f'<td class="n">{escape(number)}</td>' for number in numbers)
            + "</tr>"
        )
    return (
        '<section><h2>Objects</h2>\n<div class="wide"><table>\n<thead><tr>'
        + "".join(cells)
        + "</tr></thead>\n<tbody>\n"
        + "\n".join(lines)
        + "\n</tbody></table></div></section>"
    )


def _timings(rows: tuple[ReportRow, ...]) -> str:
    """Return one stacked bar for every object, all on one scale."""
    longest = max((sum(row.steps_ms) for row in rows), default=0.0)
    if longest <= 0:
        return ""
    lines = []
    for row in rows:
        bars = "".join(
            f'<i class="s{k}" style="width:{100 * ms / longest:.3f}%"'
            f' title="{STEPS[k]} {time_text(ms)}"></i>'
            for k, ms in enumerate(row.steps_ms)
            if ms > 0
        )
        total = time_text(sum(row.steps_ms))
        lines.append(
            f'<div class="bar"><span>{escape(row.name)}</span><div>{bars}</div><b>{total}</b></div>'
        )
    key = "".join(f'<span><i class="s{k}"></i>{step}</span>' for k, step in enumerate(STEPS))
    return (
        f'<section><h2>Where the time went</h2>\n<p class="key">{key}</p>\n'
        + "\n".join(lines)
        + "</section>"
    )


def _files(files: tuple[Path, ...], folder: Path) -> str:
    """Return the list of files, linked by a path relative to the page."""
    lines = []
    for file in files:
        name = Path(os.path.relpath(file, folder)).as_posix()
        size = size_text(file.stat().st_size) if file.is_file() else "not written"
        # as_uri quotes what a link must not hold; a leading ./ keeps "a:b" from being a scheme
        link = "./" + Path("/", name).as_uri().removeprefix("file:///")
        shown = f'<a href="{escape(link, quote=True)}">{escape(name)}</a>'
        lines.append(f"<li>{shown}<span>{size}</span></li>")
    if not lines:
        return ""
    return f'<section><h2>Files</h2>\n<ul class="files">{"".join(lines)}</ul></section>'


def _how_to(how_to: tuple[tuple[str, str], ...]) -> str:
    if not how_to:
        return ""
    blocks = "".join(
        f"<div><h3>{escape(head)}</h3><pre><code>{escape(text)}</code></pre></div>"
        for head, text in how_to
    )
    return f'<section><h2>Next</h2>\n<div class="next">{blocks}</div></section>'


def _machine(machine: tuple[tuple[str, str], ...]) -> str:
    if not machine:
        return ""
    items = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in machine
    )
    return f'<footer><dl class="machine">{items}</dl></footer>'


def machine_facts() -> tuple[tuple[str, str], ...]:
    """Return names and values that describe this run: versions, processors, memory of none."""
    import platform

    import rasterio

    from geoiseg.version import __version__

    return (
        ("geoiseg", __version__),
        ("Python", platform.python_version()),
        ("GDAL", rasterio.__gdal_version__),
        ("CPUs", str(os.cpu_count() or 1)),
        ("System", f"{platform.system()} {platform.machine()}"),
    )
