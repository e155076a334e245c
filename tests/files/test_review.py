"""``session.to_html``: one page with all that a colleague needs, and nothing of anybody else's."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import geopandas as gpd
import numpy as np
import pytest
import shapely
from affine import Affine

import geoiseg
from geoiseg.errors import ExportError
from tests.conftest import write_raster

TURNED = Affine.translation(500_000, 5_200_000) @ Affine.rotation(30) @ Affine.scale(0.5, -0.5)
HOSTILE = "</script><img src=x onerror=alert(1)>"


class Page(HTMLParser):
    """Collects the outlines and the table."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.paths: dict[str, dict[str, str | None]] = {}
        self.rows: list[list[str]] = []
        self.tags: list[str] = []
        self._cell = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        told = dict(attrs)
        if tag == "path":
            self.paths[str(told["id"])] = told
        if tag == "tr":
            self.rows.append([])
        self._cell = tag in ("td", "th")
        if self._cell:
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        self._cell = self._cell and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self._cell:
            self.rows[-1][-1] += data


@pytest.fixture
def session(tmp_path: Path) -> geoiseg.Session:
    image = np.random.default_rng(0).integers(1, 250, (3, 900, 2000), np.uint8)
    path = write_raster(tmp_path / "scene.tif", image, crs="EPSG:32633", transform=TURNED)
    session = geoiseg.Session(path, model="grabcut")
    squares = [(100, 200, 300, 260), (1000, 500, 1400, 800)]
    shapes = [
        shapely.Polygon(session.raster.grid.to_crs([(x0, y0), (x1, y0), (x1, y1), (x0, y1)]))
        for x0, y0, x1, y1 in squares
    ]
    frame = gpd.GeoDataFrame(
        {"label": ["pond", HOSTILE], "depth": [2.5, None]}, geometry=shapes, crs="EPSG:32633"
    )
    session.add_features(frame)
    session.classes = (("pond", "#2979ff"),)
    return session


def test_the_page_shows_what_was_accepted(session: geoiseg.Session, tmp_path: Path) -> None:
    path = session.to_html(tmp_path / "review.html")
    text = path.read_text()
    page = Page(text)
    rows, columns = 450, 1000  # every other pixel of 900 x 2000
    code = re.search(r'src="data:image/jpeg;base64,([^"]+)"', text)
    picture = cv2.imdecode(np.frombuffer(base64.b64decode(code[1]), np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (rows, columns, 3)
    assert f'viewBox="0 0 {columns} {rows}"' in text
    xy = np.array(re.findall(r"[\d.]+", str(page.paths["shape-0"]["d"])), float).reshape(-1, 2)
    assert sorted(map(tuple, xy)) == [(50, 100), (50, 130), (150, 100), (150, 130)]
    assert page.paths["shape-0"]["fill"] == "#2979ff"
    assert page.paths["shape-1"]["fill"] != "#2979ff"
    assert list(page.paths) == ["shape-1", "shape-0"]  # the larger one lies below
    head, pond, other = page.rows
    assert pond[head.index("label")] == "pond"
    assert pond[head.index("depth")] == "2.5"
    assert other[head.index("depth")] == ""
    assert other[head.index("label")] == HOSTILE
    assert page.tags.count("script") == 1
    assert page.tags.count("img") == 1
    assert "://" not in text  # nothing is asked of anybody


def test_an_older_page_stays_where_a_new_one_can_not_be(
    session: geoiseg.Session, tmp_path: Path
) -> None:
    with pytest.raises(ExportError, match=r"ends in \.html"):
        session.to_html(tmp_path / "review.txt")
    with pytest.raises(ExportError, match="does not exist"):
        session.to_html(tmp_path / "nowhere" / "review.html")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["scene.tif"]


@pytest.mark.browser
def test_the_filter_hides_rows_and_their_outlines(
    chromium: Any, session: geoiseg.Session, tmp_path: Path
) -> None:
    path = session.to_html(tmp_path / "review.html")
    page = chromium.new_page()
    page.on("dialog", lambda _: pytest.fail("a label was run as a script"))
    page.goto(path.as_uri())
    page.fill("#filter", "POND 2.5")
    assert page.locator("output").text_content() == "1 of 2"
    assert page.locator("tbody tr:visible").count() == 1
    assert page.locator("#shape-0").is_visible()
    assert not page.locator("#shape-1").is_visible()
    page.fill("#filter", "")
    page.locator("#shape-1").click(position={"x": 5, "y": 5})
    assert page.locator("tr.is-chosen").get_attribute("data-feature") == "1"
    page.close()
