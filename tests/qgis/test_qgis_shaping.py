"""What an object is among several answers, how its outline is drawn, and undoing all of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely

from geoiseg.companion.fields import Fields
from geoiseg.companion.objects import Objects
from geoiseg.segment import Watch
from tests.conftest import Disk, write_raster
from tests.qgis.qgis_app import Qgis
from tests.qgis.test_qgis_parity import picture
from tests.qgis.test_qgis_tool import iou

pytestmark = [pytest.mark.qgis, pytest.mark.slow]


@pytest.fixture(scope="module")
def qgis(tmp_path_factory: pytest.TempPathFactory) -> Qgis:
    return Qgis.made(tmp_path_factory.mktemp("qgis"))


RING = (500_530.0, 4_499_600.0)
"""A place in the ring of the eye."""


def eye(folder: Path) -> Path:
    """Write a pond with an island: a click on it may mean the water alone, or all of it."""
    y, x = np.mgrid[:400, :400]
    radius = np.hypot(x - 200, y - 200)[None]
    ground, water, island = (
        np.array(colour).reshape(3, 1, 1) for colour in ((70, 90, 60), (170, 150, 90), (60, 110, 190))
    )  # fmt: skip
    pixels = np.where(radius < 40, island, np.where(radius < 100, water, ground))
    noise = np.random.default_rng(0).normal(0, 6, pixels.shape)
    return write_raster(folder / "eye.tif", np.clip(pixels + noise, 0, 255).astype(np.uint8))


def answers(raster: Path) -> list[dict[str, Any]]:
    """Return what the companion takes a click on the ring for."""
    click = {"prompts": [{"kind": "point", "xy": list(RING), "positive": True}]}
    params = Fields({"raster": str(raster), "steps": [click]})
    return list(Objects().alternatives(params, Watch(), lambda *_: None)["answers"])


def area(seen: dict[str, Any]) -> float:
    return float(shapely.from_wkt(seen["found"]).area)


def test_answers_sliders_and_undo_over_everything(qgis: Qgis, tmp_path: Path) -> None:
    raster = eye(tmp_path)
    steps: list[dict[str, Any]] = [
        {"do": "activate"},
        {"do": "new_layer"},
        {"do": "click", "xy": RING},
        {"do": "key", "key": "tab"},
        {"do": "key", "key": "tab"},
        {"do": "key", "key": "backtab"},
        {"do": "key", "key": "backspace"},
        {"do": "unfold"},
        {"do": "slide", "name": "simplify", "value": 3.0},
        {"do": "slide", "name": "grow", "value": 8.0},
        {"do": "tidy"},
        {"do": "picture", "path": picture(qgis.folder, "sliders.png"), "window": True},
        {"do": "set_back"},
        {"do": "key", "key": "enter"},
        {"do": "select", "ids": "new"},
        {"do": "slide", "name": "grow", "value": 8.0},
        {"do": "slide", "name": "grow", "value": -8.0},
        {"do": "slide", "name": "grow", "value": 0.0},
        {"do": "slide", "name": "grow", "value": 5.0},
        {"do": "key", "key": "backspace"},
        {"do": "key", "key": "backspace"},
        {"do": "key", "key": "esc"},
        {"do": "key", "key": "z", "control": True},
        {"do": "set_back"},
        {"do": "class", "name": "pond"},
        {"do": "key", "key": "esc"},
        {"do": "key", "key": "backspace"},
        {"do": "key", "key": "backspace"},
        {"do": "key", "key": "backspace"},
    ]
    seen = qgis.drive(steps, raster=str(raster), canvas_crs="EPSG:32631")["seen"]
    one, second, third, back, undone = seen[2:7]
    known = answers(raster)
    assert second["answers"][1] == len(known) > 1
    assert second["marks"] == third["marks"] == [["point", True], ["choose", True]]
    sizes = sorted(one["area_m2"] for one in known)[:2]
    assert sorted([area(second), area(third)]) == pytest.approx(sizes, rel=0.02)
    assert back["found"] == second["found"]
    assert f"answer {back['answers'][0] + 1} of {len(known)}" in back["state"]
    assert undone["marks"] == [["point", True]]
    assert undone["found"] == one["found"]
    simple, wide = seen[8], seen[9]
    vertices = [len(shapely.get_coordinates(shapely.from_wkt(x["found"]))) for x in (one, simple)]
    assert vertices[1] < vertices[0] / 2
    assert area(wide) > 1.05 * area(one)
    assert seen[12]["found"] == one["found"]
    accepted, wider, narrower, same, again = seen[13], *seen[15:19]
    assert [len(x["features"]) for x in (accepted, wider, narrower, same, again)] == [1] * 5
    sizes = [
        shapely.from_wkt(x["features"][0]["wkt"]).area for x in (accepted, wider, narrower, again)
    ]
    assert sizes[2] < sizes[0] < sizes[3] < sizes[1]
    assert same["features"][0]["wkt"] == accepted["features"][0]["wkt"]
    assert wider["features"][0]["area_m2"] == pytest.approx(sizes[1], rel=1e-3)
    assert accepted["today"] == "Accepted today: 1"
    shape_undone, accept_undone, discarded, restored = seen[19:23]
    assert shape_undone["features"][0]["wkt"] == accepted["features"][0]["wkt"]
    assert accept_undone["features"] == []
    assert accept_undone["marks"] == [["point", True]]
    assert accept_undone["today"] == "Accepted today: 0"
    assert discarded["marks"] == []
    assert restored["marks"] == [["point", True]]
    assert seen[25]["marks"] == []
    assert seen[26]["marks"] == [["point", True]]  # what was discarded last comes first
    assert seen[27]["marks"] == []
    assert seen[24]["classes"] == ["pond"]
    assert seen[28]["classes"] == []


def test_neighbours_share_borders_and_the_form_is_filled_in(
    qgis: Qgis, disk: Disk, tmp_path: Path
) -> None:
    x, y = disk.centre
    radius = float(np.sqrt(disk.truth.sum() * 4 / np.pi))
    yard = shapely.box(x + radius + 4, y - 40, x + radius + 90, y + 40)
    frame = gpd.GeoDataFrame(
        {"class": ["yard"], "note": ["old"]}, geometry=[yard], crs="EPSG:32631"
    )
    frame.to_file(tmp_path / "layer.gpkg")
    answer = qgis.drive(
        [
            {"do": "activate"},
            {"do": "ask_for_attributes", "on": True},
            {"do": "slide", "name": "snap", "value": 12.0},
            {"do": "label", "text": "pond"},
            {"do": "click", "xy": disk.centre},
            {"do": "key", "key": "enter"},
            {"do": "fill_in", "note": "never", "confirm": False},
            {"do": "key", "key": "enter"},
            {"do": "fill_in", "note": "deep", "picture": picture(qgis.folder, "form.png")},
            {"do": "save"},
            {"do": "slide", "name": "snap", "value": 0.0},
            {"do": "ask_for_attributes", "on": False},
        ],
        raster=str(disk.path), canvas_crs="EPSG:3857", layer=str(tmp_path / "layer.gpkg"),
    )  # fmt: skip
    waiting, cancelled, _, filled = answer["seen"][5:9]
    assert len(waiting["features"]) == len(cancelled["features"]) == 1
    assert cancelled["about"]["modal"] is False  # the window of QGIS goes on working
    assert cancelled["marks"] == [["point", True]]  # nothing is lost
    assert filled["marks"] == []
    written = gpd.read_file(tmp_path / "layer.gpkg").set_index("class")
    assert written["note"].to_dict() == {"yard": "old", "pond": "deep"}
    pond, kept = written.geometry["pond"], written.geometry["yard"]
    assert shapely.coverage_is_valid([pond, kept])
    assert pond.intersection(kept).length > 40
    assert kept.symmetric_difference(yard).area < 0.1
    assert iou(pond, disk.truth, disk.transform) > 0.93
