"""What goes wrong is one line, and nothing is lost: odd layers, and a companion that dies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import shapely

from tests.conftest import Disk
from tests.qgis.qgis_app import Qgis
from tests.qgis.test_qgis_shaping import RING, eye
from tests.qgis.test_qgis_tool import empty_layer, iou

pytestmark = [pytest.mark.qgis, pytest.mark.slow]


@pytest.fixture(scope="module")
def qgis(tmp_path_factory: pytest.TempPathFactory) -> Qgis:
    return Qgis.made(tmp_path_factory.mktemp("qgis"))


def test_the_companion_dies_in_the_middle_of_each_tool(qgis: Qgis, tmp_path: Path) -> None:
    raster = eye(tmp_path)
    x, y = RING
    stroke = [[x - 10, y - 40 + step] for step in range(0, 90, 10)]
    tools: list[dict[str, Any]] = [
        {"do": "hover", "xy": RING},
        {"do": "click", "xy": RING},
        {"do": "key", "key": "tab"},
        {"do": "key", "key": "w"},
        {"do": "key", "key": "f"},
        {"do": "slide", "name": "grow", "value": 6.0},
        {"do": "key", "key": "enter"},
        {"do": "slide", "name": "grow", "value": -6.0},
        {"do": "key", "key": "e"},
        {"do": "stroke", "places": stroke},
        {"do": "find", "words": "water"},
        {"do": "press", "button": "like"},
    ]
    before: dict[int, list[dict[str, Any]]] = {
        6: [{"do": "slide", "name": "snap", "value": 5.0}],
        7: [{"do": "select", "ids": "new"}],
        8: [{"do": "set_back"}],
        9: [{"do": "key", "key": "esc"}, {"do": "key", "key": "s"}],
        10: [{"do": "key", "key": "esc"}],
    }
    steps: list[dict[str, Any]] = [{"do": "activate"}, {"do": "new_layer"}]
    at = []
    for number, tool in enumerate(tools):
        steps += [*before.get(number, []), {"do": "kill_in", "step": tool}]
        at.append(len(steps) - 1)
    steps += [{"do": "slide", "name": "snap", "value": 0.0}, {"do": "set_back"}]
    seen = qgis.drive(steps, raster=str(raster), canvas_crs="EPSG:32631")["seen"]
    (hover, click, tab, where, follow, wide, accepted, narrow, refined, stroked, found,
     like) = (seen[n] for n in at)  # fmt: skip
    assert [seen[n]["about"]["again"] for n in at] == [1] * len(at)
    assert hover["about"]["area"] > 0
    assert click["found"] is not None
    assert tab["marks"] == [["point", True], ["choose", True]]
    assert where["marks"] == tab["marks"]
    assert follow["marks"][-1] == ["follow", True]
    sizes = [shapely.from_wkt(one["found"]).area for one in (follow, wide)]
    assert sizes[1] > sizes[0]
    assert len(accepted["features"]) == 1
    thin = shapely.from_wkt(narrow["features"][0]["wkt"]).area
    assert thin < shapely.from_wkt(accepted["features"][0]["wkt"]).area
    assert refined["marks"] == [["outline", True]]
    assert refined["found"] is not None
    assert stroked["marks"] == [["stroke", True]]
    assert stroked["found"] is not None
    assert found["candidates"] or "nothing was found" in found["said"][-1]
    assert like["candidates"] or "nothing was found" in like["said"][-1]
    told = [line for line in like["said"] if "started again and nothing is lost" in line]
    assert len(told) == len(tools)


def test_odd_layers_and_maps(qgis: Qgis, disk: Disk, tmp_path: Path) -> None:
    layer = empty_layer(tmp_path / "layer.gpkg", "EPSG:4326")
    x, y = disk.centre
    answer = qgis.drive(
        [
            {"do": "activate"},
            {"do": "rotate", "degrees": 40},
            {"do": "click", "xy": disk.centre},
            {"do": "key", "key": "esc"},
            {"do": "rotate", "degrees": 0},
            {"do": "canvas_crs", "crs": "EPSG:2154"},
            {"do": "click", "xy": disk.centre},
            {"do": "read_only"},
            {"do": "key", "key": "enter"},
            {"do": "key", "key": "esc"},
            {"do": "lose_crs"},
            {"do": "canvas_crs", "crs": "EPSG:32631"},
            {"do": "click", "xy": disk.centre},
            {"do": "rush", "places": [[x + 20, y]]},
            {"do": "drop_raster"},
            {"do": "click", "xy": disk.centre},
            {"do": "key", "key": "esc"},
        ],
        raster=str(disk.path), canvas_crs="EPSG:3857", layer=str(layer),
    )  # fmt: skip
    seen = answer["seen"]
    for place in (2, 6):  # turned, and in a project of another CRS
        shape = shapely.from_wkt(seen[place]["found"])
        assert iou(shape, disk.truth, disk.transform) > 0.95
    refused = seen[8]
    assert "no polygon layer is being edited" in refused["said"][-1]
    assert refused["found"] == seen[6]["found"]  # nothing is lost
    bare = shapely.from_wkt(seen[12]["found"])
    assert iou(bare, disk.truth, disk.transform) > 0.95
    gone = seen[15]
    assert gone["found"] is None
    assert "choose a raster layer" in gone["said"][-1]
    assert all("\n" not in line for line in gone["said"])
