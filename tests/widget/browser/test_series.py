"""A series of rasters in a page: the list, previous and next."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from geoiseg.session.project import load_project
from tests.widget.browser.harness import UTM, MapPage, Server, write_scene

Open = Callable[..., MapPage]
CODE = """
import geopandas, shapely
from geoiseg import SeriesMap
s = SeriesMap('years', classes=['field'])
m = s.map
grid = m.session.raster.grid
shape = shapely.Polygon(grid.to_crs(shapely.Point(800, 600).buffer(160).exterior.coords))
m.add_features(geopandas.GeoDataFrame({'label': ['field']}, geometry=[shape], crs=grid.crs))
watch = probe.watch
probe.watch = lambda m, path: (watch(m, path), s)[1]  # what the cell shows is the whole
"""


def test_rasters_are_gone_through_with_one_project(open_map: Open, voila: Server) -> None:
    folder = voila.folder / "years"
    folder.mkdir()
    for year in (2001, 2002):
        write_scene(folder / f"scene_{year}.tif", "EPSG:32633", UTM)
    shown = open_map(voila, CODE)
    page = shown.page
    names = page.locator("select").filter(has_text="scene_2001.tif")
    listed = [one.replace("\xa0", " ") for one in names.locator("option").all_inner_texts()]
    assert listed == ["1. scene_2001.tif", "2. scene_2002.tif"]
    paths = ".leaflet-overlay-pane path"
    page.wait_for_function(f"() => document.querySelectorAll('{paths}').length === 1")
    page.get_by_title("Next raster", exact=True).click()
    page.wait_for_function(f"() => document.querySelectorAll('{paths}').length === 0")
    page.wait_for_function("() => document.querySelector('button[title=\"Next raster\"]').disabled")
    shown.tiles_loaded()
    if shots := os.environ.get("GEOISEG_SHOTS"):
        page.screenshot(path=Path(shots) / "series.png")
    names.select_option(index=0)
    page.wait_for_function(f"() => document.querySelectorAll('{paths}').length === 1")
    project = load_project(voila.folder / "years.series" / "scene_2001.tif.gpkg")
    assert [one.label for one in project.features] == ["field"]
