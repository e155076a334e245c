"""The button that trains a model, in a page: begun, followed and stopped."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from tests.conftest import needed
from tests.widget.browser.harness import UTM, MapPage, Server, write_scene

needed("torch")
needed("onnx")

Open = Callable[..., MapPage]
CODE = """
import geopandas, shapely
from geoiseg.widget.segment_map import SegmentMap
m = SegmentMap('train.tif', project='train.gpkg', classes=['field'])
grid = m.session.raster.grid
shapes = [shapely.Polygon(grid.to_crs(shapely.Point(200 + 300 * (n % 4), 300 + 400 * (n // 4))
          .buffer(100).exterior.coords)) for n in range(8)]
m.add_features(geopandas.GeoDataFrame({'label': ['field'] * 8}, geometry=shapes, crs=grid.crs))
"""


def test_a_training_is_followed_and_stopped(open_map: Open, voila: Server) -> None:
    write_scene(voila.folder / "train.tif", "EPSG:32633", UTM)
    m = open_map(voila, CODE)
    page = m.page
    page.get_by_title("Model and outline").click()
    page.get_by_label("Name of your model").fill("discs")
    page.get_by_role("button", name="Train", exact=True).click()
    page.wait_for_function(
        "() => document.querySelector('progress[aria-label=Training]')?.value > 0"
    )
    if folder := os.environ.get("GEOISEG_SHOTS"):
        page.screenshot(path=Path(folder) / "training.png")
    page.get_by_role("button", name="Stop", exact=True).click()
    page.get_by_text("it goes on from there").wait_for()
    assert page.get_by_label("Name of your model").input_value() == "discs"
