"""The review with real keys and a real mouse, looked at in the file that Python writes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from geoiseg.session.project import load_project
from geoiseg.session.reviewing import state_of
from tests.widget.browser.harness import UTM, MapPage, Server, lonlat, write_scene

Open = Callable[..., MapPage]
CRS = "EPSG:32633"
CODE = """
import os
os.environ["GEOISEG_REVIEWER"] = "Ann"
import geopandas, shapely
from geoiseg.widget.segment_map import SegmentMap
m = SegmentMap('review.tif', project='review.gpkg', classes=['field', 'water'])
grid = m.session.raster.grid
discs = [(400, 300, 120), (800, 600, 160), (1250, 350, 110), (350, 900, 140), (1200, 900, 180)]
shapes = [shapely.Polygon(grid.to_crs(shapely.Point(x, y).buffer(r).exterior.coords))
          for x, y, r in discs]
columns = {'label': ['field', 'water', 'field', 'field', 'water'],
           'score': [0.95, 0.4, 0.8, 0.6, 0.9], 'flags': ['', '', 'moved', '', '']}
m.add_features(geopandas.GeoDataFrame(columns, geometry=shapes, crs=grid.crs))
"""
COUNTER = ".gs-review h4"


def shot(m: MapPage, name: str) -> None:
    if folder := os.environ.get("GEOISEG_SHOTS"):
        m.page.screenshot(path=Path(folder) / f"{name}.png")


def test_features_are_gone_through_and_filtered(open_map: Open, voila: Server) -> None:
    write_scene(voila.folder / "review.tif", CRS, UTM)
    m = open_map(voila, CODE)
    file = voila.folder / "review.gpkg"

    def states() -> list[str]:
        return [state_of(one) for one in load_project(file).features]

    def says(text: str) -> None:
        m.page.wait_for_function(
            "text => document.querySelector('.gs-review')?.textContent.includes(text)", arg=text
        )

    def drawn() -> int:
        return m.page.locator(".leaflet-overlay-pane path:visible").count()

    m.tiles_loaded()
    whole = m.state["zoom"]
    m.press("review")
    says("Review: 0 of 5")
    assert drawn() == 5
    m.key(".")
    state = m.until(lambda now: now["selected"] == 3 and now["zoom"] > whole)
    assert (state["center"][1], state["center"][0]) == pytest.approx(
        lonlat(UTM, CRS, 1250, 350), abs=2e-5
    )
    says("moved")
    says("score 0.80")
    m.key("y")
    m.until(lambda now: now["selected"] == 2)
    says("Review: 1 of 5")
    m.press("review-rejected")
    m.until(lambda now: now["selected"] == 4)
    says("1 checked, 1 rejected, 3 to check")
    m.until(lambda _: states() == ["to check", "rejected", "checked", "to check", "to check"])
    assert load_project(file).features[1].attributes["review_by"] == "Ann"
    bar = m.page.get_by_role("progressbar", name="Reviewed")
    assert (bar.get_attribute("aria-valuenow"), bar.get_attribute("aria-valuemax")) == ("2", "5")
    m.key("0")
    m.until(lambda now: now["zoom"] == whole)
    assert m.page.locator('.leaflet-overlay-pane path[stroke-dasharray="2 4"]').count() == 1
    shot(m, "review")
    m.key(",")  # before the fourth, the second, is done: the last one it is
    m.until(lambda now: now["selected"] == 1)
    m.key("Control+z")
    m.until(lambda _: states()[1] == "to check")
    says("Review: 1 of 5")

    m.page.get_by_label("Class to show").select_option("water")
    says("Review: 0 of 2")
    m.page.wait_for_function(
        "() => document.querySelectorAll('.leaflet-overlay-pane path').length === 2"
    )
    m.page.get_by_label("Greatest score to show").fill("0.5")
    m.page.get_by_label("Greatest score to show").press("Enter")
    says("Review: 0 of 1")
    m.page.wait_for_function(
        "() => document.querySelectorAll('.leaflet-overlay-pane path').length === 1"
    )
    m.key(".")
    m.until(lambda now: now["selected"] == 2)
    shot(m, "review-filtered")
    m.key("i")
    m.page.wait_for_function(
        "() => document.querySelectorAll('.leaflet-overlay-pane path').length === 5"
    )
