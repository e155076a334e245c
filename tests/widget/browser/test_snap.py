"""The width of snapping, set in the panel: accepted objects take over their neighbours' borders."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import geopandas as gpd
import pytest
import shapely

from geoiseg.session.project import load_project
from tests.widget.browser.harness import DISCS, UTM, MapPage, Server, lonlat, write_scene

Open = Callable[..., MapPage]
CRS = "EPSG:32633"
CODE = """
import geopandas, shapely
from geoiseg.widget.segment_map import SegmentMap
m = SegmentMap('snap.tif', project='snap.gpkg', classes=['field', 'water'])
grid = m.session.raster.grid
def plot(left, top, right, bottom):
    return shapely.Polygon(grid.to_crs([(left, top), (right, top), (right, bottom), (left, bottom)]))
m.add_features(geopandas.GeoDataFrame({'label': ['field']}, geometry=[plot(430, 480, 680, 720)],
                                      crs=grid.crs))
"""
"""A map with a field that lies over the west of the blue disc."""


def disc(name: str) -> tuple[float, float]:
    return lonlat(UTM, CRS, *DISCS[name][:2])


def shot(m: MapPage, name: str) -> None:
    if folder := os.environ.get("GEOISEG_SHOTS"):
        m.page.screenshot(path=Path(folder) / f"{name}.png")


def test_snap_is_set_in_the_panel(open_map: Open, voila: Server) -> None:
    write_scene(voila.folder / "snap.tif", CRS, UTM)
    project = voila.folder / "snap.gpkg"
    m = open_map(voila, CODE)
    plot = m.state["features"][0]["area"]
    m.press("settings")
    field = m.page.get_by_label("Snap", exact=True)
    assert field.input_value() == "0"
    for wrong in ("-3", "1e9"):
        field.fill(wrong)
        field.press("Enter")
        m.page.wait_for_selector(".gs-error:visible >> text=Snap is 0 to 100000 m; 0 is off")
        assert field.input_value() == "0"
    assert m.state["snap"] == 0
    field.fill("4.5")
    field.press("Enter")
    m.until(lambda s: s["snap"] == 4.5)
    m.until(lambda _: load_project(project).snap == 4.5)
    m.page.wait_for_selector(".gs-error", state="hidden")
    shot(m, "snap-panel")

    m.key("2")
    m.click(*disc("blue"))
    free = m.until(lambda s: s["centre"] and s["label"] == "water")["area"]
    m.key("Enter")
    state = m.until(lambda s: len(s["features"]) == 2)
    assert state["features"][0]["area"] == pytest.approx(plot, rel=1e-9)
    assert state["features"][1]["area"] < free - 100
    note = m.until(lambda s: s["status"]["note"])["status"]["note"]
    assert note.startswith("Feature 2 accepted as water, saved to snap.gpkg: ")
    assert " m² left to neighbours; " in note
    assert note.endswith("; vertices added to feature 1")
    m.page.wait_for_selector(f".gs-line:visible >> text={note}")
    shot(m, "snap-note")
    written = gpd.read_file(project, layer="features").geometry.to_numpy()
    assert shapely.coverage_is_valid(written)
    assert shapely.area(shapely.intersection(*written)) < 1e-6

    # one step back; without snapping the object is kept as it was drawn
    m.key("Control+z")
    state = m.until(lambda s: len(s["features"]) == 1 and s["area"])
    assert state["area"] == pytest.approx(free)
    field.fill("")
    field.press("Enter")
    m.until(lambda s: s["snap"] == 0)
    m.key("Enter")
    state = m.until(lambda s: len(s["features"]) == 2)
    assert state["features"][1]["area"] == pytest.approx(free)
    m.until(lambda s: s["status"]["note"] == "Feature 2 accepted as water, saved to snap.gpkg")
