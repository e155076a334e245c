from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest
import shapely

from geoiseg.demo.marks import NEGATIVE, POSITIVE, Mark, Shape
from geoiseg.demo.picture import draw, label_colors
from geoiseg.demo.report import (
    ReportData,
    ReportRow,
    area_text,
    length_text,
    machine_facts,
    report_html,
    size_text,
    time_text,
    write_report,
)
from geoiseg.errors import ExportError

HOSTILE = "<script>alert('x')</script>&\"quoted\""
VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """Tags, attributes and text of a page; fails when tags are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.fixture
def picture() -> np.ndarray:
    rng = np.random.default_rng(1)
    coarse = rng.integers(0, 255, (6, 8, 3), dtype=np.uint8)
    return cv2.resize(coarse, (320, 240), interpolation=cv2.INTER_CUBIC)


def data_of(picture: np.ndarray, name: str = "field-1", **more: object) -> ReportData:
    rows = (
        ReportRow("sea", "sea", "1 scribble", 3.1e6, 12_400.0, 0.9, 0.98, 30.0, 200.0, 15.0, 5.0),
        ReportRow(name, name, name, 53_000.0, 960.0, None, None, 10.0, 0.0, 10.0, 5.0),
    )
    return ReportData(name, name, name, picture, rows, **more)  # type: ignore[arg-type]


def test_the_page_embeds_the_picture(picture: np.ndarray, tmp_path: Path) -> None:
    path = write_report(tmp_path / "report.html", data_of(picture))
    page = Page(path.read_text(encoding="utf-8"))
    (source,) = [attrs["src"] for tag, attrs in page.tags if tag == "img"]
    assert source is not None
    kind, code = source.split(",", 1)
    assert kind == "data:image/jpeg;base64"
    shown = cv2.imdecode(np.frombuffer(base64.b64decode(code), np.uint8), cv2.IMREAD_COLOR)
    assert np.abs(shown[..., ::-1].astype(int) - picture).mean() < 4
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_the_page_needs_nothing_else(picture: np.ndarray, tmp_path: Path) -> None:
    text = report_html(data_of(picture), tmp_path)
    page = Page(text)
    assert not {tag for tag, _ in page.tags} & {"script", "link", "iframe", "object"}
    assert "http" not in re.sub(r"base64,[^\"]*", "", text)
    assert "@import" not in text
    assert "url(" not in text


def test_all_text_is_escaped(picture: np.ndarray, tmp_path: Path) -> None:
    file = tmp_path / HOSTILE.replace("/", "_")
    data = data_of(
        picture,
        HOSTILE,
        summary=HOSTILE,
        files=(file,),
        how_to=((HOSTILE, HOSTILE),),
        machine=((HOSTILE, HOSTILE),),
    )
    page = Page(report_html(data, tmp_path))
    assert not [tag for tag, _ in page.tags if tag == "script"]
    # title twice, summary, source, model; object three times and its bar; how-to, machine
    assert page.text.count(HOSTILE) == 5 + 4 + 2 + 2
    for _, attrs in page.tags:
        assert not [name for name in attrs if name.startswith("on")]


def test_files_are_linked_relative_with_their_size(picture: np.ndarray, tmp_path: Path) -> None:
    made = tmp_path / "out" / "a b#1.gpkg"
    made.parent.mkdir()
    made.write_bytes(b"x" * 2048)
    folder = tmp_path / "reports"
    data = data_of(picture, files=(made, tmp_path / "reports" / "javascript:x"))
    page = Page(report_html(data, folder))
    links = [attrs["href"] for tag, attrs in page.tags if tag == "a"]
    assert links == ["./../out/a%20b%231.gpkg", "./javascript%3Ax"]
    assert "2 kB" in page.text
    assert "not written" in page.text


def test_the_table_has_units_and_leaves_unknowns_open(picture: np.ndarray, tmp_path: Path) -> None:
    text = " ".join(Page(report_html(data_of(picture), tmp_path)).text)
    for shown in ("3.10 km²", "12.4 km", "5.30 ha", "960 m", "0.980", "–", "250 ms", "25 ms"):
        assert shown in text


def test_bars_share_one_scale(picture: np.ndarray, tmp_path: Path) -> None:
    page = Page(report_html(data_of(picture), tmp_path))
    styles = [attrs.get("style") or "" for tag, attrs in page.tags if tag == "i"]
    widths = [float(s[6:-1]) for s in styles if s.startswith("width:")]
    assert widths == pytest.approx([12.0, 80.0, 6.0, 2.0, 4.0, 4.0, 2.0])


def test_a_report_of_nothing_is_still_a_page(picture: np.ndarray, tmp_path: Path) -> None:
    text = report_html(ReportData("none", "scene", "tiny", picture, ()), tmp_path)
    assert Page(text).text.count("0") == 1
    assert "Where the time went" not in text


def test_a_report_that_can_not_be_written_says_so(picture: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="nowhere"):
        write_report(tmp_path / "nowhere" / "report.html", data_of(picture))


@pytest.mark.parametrize(
    ("shown", "wanted"),
    [
        (area_text(3.456), "3.46 m²"),
        (area_text(9_999.4), "9,999 m²"),
        (area_text(10_000), "1.00 ha"),
        (area_text(2_345_678), "2.35 km²"),
        (length_text(1.234), "1.23 m"),
        (length_text(1234.4), "1,234 m"),
        (length_text(12_340), "12.3 km"),
        (size_text(999), "999 B"),
        (size_text(45_600), "46 kB"),
        (size_text(5_200_000), "5.2 MB"),
        (time_text(1.26), "1.3 ms"),
        (time_text(999), "999 ms"),
        (time_text(1500), "1.5 s"),
    ],
)
def test_units(shown: str, wanted: str) -> None:
    assert shown == wanted


def test_the_machine_is_described() -> None:
    facts = dict(machine_facts())
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", facts["GDAL"])
    assert int(facts["CPUs"]) >= 1


def changed(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    return np.any(before != after, axis=-1)


@pytest.fixture
def gray() -> np.ndarray:
    return np.full((800, 1200, 3), 120, dtype=np.uint8)


def test_a_shape_is_tinted_inside_and_not_in_its_hole(gray: np.ndarray) -> None:
    ring = shapely.box(700, 200, 1000, 500).difference(shapely.box(800, 300, 900, 400))
    before = gray.copy()
    out = draw(gray, [Shape(ring, "field", (255, 0, 0))], [])
    np.testing.assert_array_equal(gray, before)
    assert out.shape == gray.shape
    assert out.dtype == np.uint8
    assert out[250, 750, 0] > 140
    assert out[250, 750, 1] < 110
    np.testing.assert_array_equal(out[350, 850], [120, 120, 120])
    np.testing.assert_array_equal(out[600, 850], [120, 120, 120])
    assert np.abs(out[350, 700].astype(int) - [255, 0, 0]).max() < 40


def test_prompts_are_where_they_were_made(gray: np.ndarray) -> None:
    marks = [
        Mark("point", ((900.5, 300.5),)),
        Mark("point", ((700.5, 600.5),), positive=False),
        Mark("box", ((1000.0, 500.0), (1100.0, 600.0))),
        Mark("scribble", ((500.0, 700.0), (600.0, 700.0))),
    ]
    out = draw(gray, [], marks)
    np.testing.assert_array_equal(out[297, 897], POSITIVE)
    np.testing.assert_array_equal(out[597, 697], NEGATIVE)
    assert out[300, 900].min() > 240
    np.testing.assert_array_equal(out[700, 550], POSITIVE)
    touched = changed(gray, out)
    white = (out[498:503, 1000:1100].min(axis=-1) > 200).any(axis=0)
    assert 0.3 < white.mean() < 0.8  # dashed
    assert not touched[520:580, 1020:1080].any()


def test_the_legend_keeps_away_from_prompts(gray: np.ndarray) -> None:
    square = [Shape(shapely.box(580, 380, 620, 420), "field", (255, 0, 0))]
    left = changed(gray, draw(gray, square, [Mark("point", ((1100.0, 60.0),))], title="demo"))
    right = changed(gray, draw(gray, square, [Mark("point", ((60.0, 60.0),))], title="demo"))
    assert left[15:60, 15:60].mean() > 0.9
    assert right[15:60, -60:-15].mean() > 0.9
    assert not right[100:300, 15:60].any()


@pytest.mark.parametrize(("pixel", "metres"), [(1.0, 200.0), (0.3, 50.0), (30.0, 5000.0)])
def test_the_scale_bar_has_a_round_length(gray: np.ndarray, pixel: float, metres: float) -> None:
    out = draw(gray, [], [], metres_per_pixel=pixel)
    white = np.all(out == 255, axis=-1)
    longest = max(len(run) for row in white for run in re.findall("1+", "".join(map(str, row * 1))))
    assert longest == pytest.approx(metres / pixel, abs=2)
    assert not changed(gray, out)[:600].any()


def test_nothing_to_draw_changes_nothing(gray: np.ndarray) -> None:
    np.testing.assert_array_equal(draw(gray, [], []), gray)


def test_empty_and_multipart_geometries_are_drawn(gray: np.ndarray) -> None:
    both = shapely.MultiPolygon([shapely.box(500, 500, 550, 550), shapely.box(600, 600, 650, 650)])
    out = draw(
        gray, [Shape(shapely.Polygon(), "none", (0, 0, 255)), Shape(both, "a", (255, 0, 0))], []
    )
    touched = changed(gray, out)
    assert touched[510:540, 510:540].all()
    assert touched[610:640, 610:640].all()
    assert not touched[560:590, 560:590].any()


def test_labels_get_colours_in_order() -> None:
    colors = label_colors(["sea", "field", "sea", "lake"])
    assert list(colors) == ["sea", "field", "lake"]
    assert len(set(colors.values())) == 3
