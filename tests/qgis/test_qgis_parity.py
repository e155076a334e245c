"""What the notebook can, in the whole QGIS: strokes, refining, words, examples, preview, classes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely

from geoiseg import Session
from geoiseg.demo.scene import make_scene
from tests.conftest import Disk
from tests.qgis.qgis_app import COMPANION, Qgis
from tests.qgis.test_qgis_tool import empty_layer, iou

pytestmark = [pytest.mark.qgis, pytest.mark.slow]


@pytest.fixture(scope="module")
def qgis(tmp_path_factory: pytest.TempPathFactory) -> Qgis:
    return Qgis.made(tmp_path_factory.mktemp("qgis"))


def picture(folder: Path, name: str) -> str:
    return str(Path(os.environ.get("GEOISEG_TEST_PICTURES", folder)) / name)


def test_strokes_a_preview_classes_and_esc(qgis: Qgis, disk: Disk) -> None:
    x, y = disk.centre
    on = [[x - 40 + step, y - 10] for step in range(0, 90, 10)]
    off = [[x - 60 + step, y - 120] for step in range(0, 120, 10)]
    answer = qgis.drive(
        [
            {"do": "activate"},
            {"do": "new_layer"},
            {"do": "class", "name": "pond"},
            {"do": "class", "name": "yard"},
            {"do": "hover", "xy": [x, y]},
            {"do": "key", "key": "s"},
            {"do": "stroke", "places": on},
            {"do": "key", "key": "x"},
            {"do": "stroke", "places": off},
            {"do": "key", "key": "1"},
            {"do": "follow_and_stop"},
            {"do": "tidy"},
            {"do": "picture", "path": picture(qgis.folder, "strokes.png"), "window": True},
            {"do": "key", "key": "enter"},
            {"do": "key", "key": "p"},
            {"do": "click", "xy": [x, y]},
            {"do": "key", "key": "esc"},
            *seen_from_afar(disk),
        ],
        raster=str(disk.path), canvas_crs="EPSG:3857",
    )  # fmt: skip
    _, _, _, two, hover, _, stroke, _, both, one, followed, _, _, accepted, _, _, gone = answer[
        "seen"
    ][:17]
    assert two["label"] == "yard"
    assert hover["about"]["area"] == pytest.approx(disk.truth.sum() * 4, rel=0.1)
    assert hover["about"]["drawn"] > 0
    assert stroke["marks"] == [["stroke", True]]
    session = Session(disk.path)
    assert iou(shapely.from_wkt(stroke["found"]), disk.truth, disk.transform) > 0.9
    assert both["marks"] == [["stroke", True], ["stroke", False]]
    assert both["pins"] == 2
    assert one["label"] == "pond"
    assert followed["about"] == {"busy": True, "stop": True, "after": False}
    assert followed["found"] == both["found"]
    assert followed["said"][-1] == "stopped: the object is as it was"
    assert "Enter accepts" in followed["state"]
    [feature] = accepted["features"]
    assert feature["label"] == "pond"
    assert accepted["today"] == "Accepted today: 1"
    assert (gone["marks"], gone["found"]) == ([], None)
    assert gone["state"] == "Click on an object, or drag a box around it."
    assert session.raster.name
    check_seen_from_afar(disk, answer["seen"][17:])


def seen_from_afar(disk: Disk) -> list[dict[str, Any]]:
    """Return what a user does who accepts what was seen from afar, and thinks better of it."""
    x, y = disk.centre
    enter, back = ({"do": "key", "key": key} for key in ("enter", "backspace"))
    beside: dict[str, Any] = {"do": "click", "xy": [x + 30, y]}
    lose = {"do": "python", "path": "/nowhere/python"}
    return [
        {"do": "zoom", "extent": [x - 2000, y - 1600, x + 2000, y + 1600]},
        {"do": "read_only"},
        {"do": "click", "xy": [x, y]},
        enter,
        {"do": "new_layer"},
        {"do": "at_once", "steps": [enter, back]},
        {"do": "at_once", "steps": [enter, beside]},
        back,
        back,
        {"do": "at_once", "steps": [beside, enter, {"do": "key", "key": "esc"}]},
        {"do": "at_once", "steps": [enter, lose, {"do": "kill"}]},
        {"do": "python", "path": COMPANION},
        enter,
        {"do": "click", "xy": [x, y]},
        {"do": "at_once", "steps": [enter, {"do": "key", "key": "esc"}]},
        {"do": "click", "xy": [x, y]},
        {"do": "away"},
        enter,
        enter,
        {"do": "away", "here": True},
    ]


def check_seen_from_afar(disk: Disk, seen: list[dict[str, Any]]) -> None:
    _, _, afar, no_layer, _, undone, more, _, _, stopped, failed, _, done, _, as_it_is = seen[:15]
    _, _, unread, anyway, _ = seen[15:]
    once = [["point", True]]
    assert afar["facts"]["coarse"]
    assert "no polygon layer is being edited" in no_layer["said"][-1]  # before it is finished
    assert more["about"]["busy"] == undone["about"]["busy"] == [False, True]
    assert more["marks"] == [*once, ["sharpen", True], *once]
    assert "can not be started" in failed["said"][-1]
    for left in (no_layer, undone, stopped, failed):
        assert (left["marks"], left["found"]) == (once, afar["found"])
    assert [len(one["features"]) for one in (undone, more, stopped, failed)] == [0] * 4
    coarse, finished, taken = (
        shapely.from_wkt(wkt)
        for wkt in (afar["found"], *(one["wkt"] for one in as_it_is["features"]))
    )
    assert len(done["features"]) == 1
    assert done["marks"] == as_it_is["marks"] == []
    fits = [iou(shape, disk.truth, disk.transform) for shape in (coarse, finished)]
    assert fits[1] > max(0.97, fits[0])
    assert taken.equals(coarse)  # Esc takes what there is
    assert len(unread["features"]) == 2  # it is told, and nothing is taken yet
    assert unread["said"][-1] != as_it_is["said"][-1]
    assert (unread["marks"], unread["found"]) == (once, afar["found"])
    assert shapely.from_wkt(anyway["features"][2]["wkt"]).equals(coarse)  # asked again, it is


def test_a_selected_feature_is_refined_in_its_layer(qgis: Qgis, disk: Disk, tmp_path: Path) -> None:
    x, y = disk.centre
    half = shapely.Point(x, y).buffer(60)
    frame = gpd.GeoDataFrame(
        {"class": ["pond"], "note": ["mine"]}, geometry=[half], crs="EPSG:32631"
    )
    frame.to_crs(4326).to_file(tmp_path / "layer.gpkg")
    answer = qgis.drive(
        [
            {"do": "activate"},
            {"do": "key", "key": "e"},
            {"do": "select", "ids": [1]},
            {"do": "key", "key": "e"},
            {"do": "click", "xy": [x + 70, y]},
            {"do": "key", "key": "enter"},
            {"do": "save"},
            {"do": "key", "key": "e"},
            {"do": "drop_layer"},
            {"do": "key", "key": "enter"},
        ],
        raster=str(disk.path), canvas_crs="EPSG:3857", layer=str(tmp_path / "layer.gpkg"),
    )  # fmt: skip
    _, none, _, taken, clicked, accepted, _, again, _, lost = answer["seen"]
    assert none["said"][-1] == "select one feature of a polygon layer to refine it"
    assert taken["marks"] == [["outline", True]]
    start = shapely.from_wkt(taken["found"])
    assert start.area == pytest.approx(half.area, rel=0.05)
    assert clicked["marks"] == [["outline", True], ["point", True]]
    assert iou(shapely.from_wkt(clicked["found"]), disk.truth, disk.transform) > 0.9
    assert len(accepted["features"]) == 1  # changed in its place
    written = gpd.read_file(tmp_path / "layer.gpkg").to_crs(32631)
    assert written.loc[0, ["class", "note"]].tolist() == ["pond", "mine"]
    assert iou(written.geometry[0], disk.truth, disk.transform) > 0.9
    assert again["marks"] == [["outline", True]]
    assert "is gone" in lost["said"][-1]  # one line, and the object is still there
    assert lost["found"] == again["found"]


def test_words_and_examples_become_candidates(qgis: Qgis, tmp_path: Path) -> None:
    scene = make_scene(tmp_path / "scene.tif", 1024)
    water = [row.geometry for row in scene.truth if row.name in ("sea", "lake")]
    layer = empty_layer(tmp_path / "layer.gpkg", "EPSG:4326")
    lake = max((g for g in water), key=lambda g: g.area).representative_point()
    steps: list[dict[str, Any]] = [
        {"do": "activate"},
        {"do": "find", "words": "water"},
        {"do": "tidy"},
        {"do": "picture", "path": picture(qgis.folder, "words.png"), "window": True},
        {"do": "threshold", "value": 100},
        {"do": "threshold", "value": 30},
        {"do": "click", "xy": [lake.x, lake.y], "button": "right"},
        {"do": "key", "key": "backspace"},
        {"do": "click", "xy": [lake.x, lake.y]},
        {"do": "key", "key": "esc"},
        {"do": "key", "key": "backspace"},
        {"do": "key", "key": "backspace"},
        {"do": "key", "key": "backspace"},
        {"do": "press", "button": "accept_all"},
        {"do": "key", "key": "backspace"},
        {"do": "press", "button": "accept_all"},
        {"do": "find", "words": "zzz qqq"},
        {"do": "select", "ids": "new"},
        {"do": "press", "button": "like"},
        {"do": "key", "key": "esc"},
    ]
    answer = qgis.drive(steps, raster=str(scene.path), canvas_crs="EPSG:3857", layer=str(layer))
    (
        _,
        found,
        _,
        _,
        none,
        some,
        less,
        back,
        picked,
        discarded,
        restored,
        without,
        whole,
        _,
        undone,
        accepted,
        unknown,
        _,
        like,
        _,
    ) = answer["seen"]
    assert found["candidates"]
    assert found["drawn"] > 0
    assert none["drawn"] == 0
    assert len(some["candidates"]) >= len(found["candidates"])
    assert len(less["candidates"]) == len(some["candidates"]) - 1
    assert back["candidates"] == some["candidates"]
    assert picked["marks"] == [["outline", True]]
    assert picked["found"] is not None
    assert len(picked["candidates"]) == len(some["candidates"]) - 1
    assert discarded["marks"] == []
    assert restored["marks"] == [["outline", True]]
    assert without["candidates"] == picked["candidates"]
    assert undone["candidates"] == whole["candidates"]
    assert len(undone["features"]) == 1
    assert whole["candidates"] == some["candidates"]
    assert len(accepted["features"]) >= 1 + len(some["candidates"])
    assert accepted["candidates"] == []
    new = [shapely.from_wkt(one["wkt"]) for one in accepted["features"] if one["class"] == "water"]
    sea = gpd.GeoSeries(water, crs=scene.crs).to_crs(4326).union_all()
    assert shapely.union_all(new).intersection(sea).area > 0.6 * sea.area
    assert "zzz" in unknown["said"][-1]
    assert like["candidates"] or "nothing was found" in like["said"][-1]
    assert np.all([score >= 0 for _, score in like["candidates"]])


def test_the_companion_dies_while_it_looks(qgis: Qgis, tmp_path: Path) -> None:
    scene = make_scene(tmp_path / "scene.tif", 512)
    answer = qgis.drive(
        [
            {"do": "activate"},
            {"do": "find", "words": "water"},
            {"do": "kill"},
            {"do": "find", "words": "water"},
        ],
        raster=str(scene.path), canvas_crs="EPSG:3857",
    )  # fmt: skip
    first, _, again = answer["seen"][1:]
    assert again["candidates"] == first["candidates"]
    assert again["pid"] != first["pid"]
