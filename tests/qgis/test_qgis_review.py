"""The review in the whole QGIS: order, states, undo, and layers of every kind."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely

from geoiseg import Session
from geoiseg.session.reviewing import state_of
from tests.cli.test_cli import run
from tests.conftest import write_raster
from tests.qgis.qgis_app import Qgis
from tests.qgis.test_qgis_parity import picture
from tests.qgis.test_qgis_pieces import piece

pytestmark = [pytest.mark.qgis, pytest.mark.slow]

BOXES = [shapely.box(500_000 + x, 4_499_900, 500_040 + x, 4_499_940) for x in (20, 80, 140, 200)]
COLUMNS = {"label": ["roof", "pond", "roof", "field"], "score": [0.9, 0.3, 0.6, None],
           "flags": ["", "", "moved, goes on", ""]}  # fmt: skip
TYPED = ("label", "least", "label popup")
"""Where a letter is for a list or a box."""
WHEN = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00")


@pytest.fixture(scope="module")
def qgis(tmp_path_factory: pytest.TempPathFactory) -> Qgis:
    return Qgis.made(tmp_path_factory.mktemp("qgis"))


@pytest.fixture(scope="module")
def raster(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = np.random.default_rng(0).integers(1, 255, (3, 200, 200), dtype=np.uint8)
    return write_raster(tmp_path_factory.mktemp("raster") / "scene.tif", data)


def abouts(answer: dict[str, Any]) -> list[dict[str, Any]]:
    return [one["about"] for one in answer["seen"]]


def test_a_project_is_reviewed_and_read_back_by_geoiseg(
    qgis: Qgis, raster: Path, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "p.gpkg"
    session = Session(raster, "grabcut", project=project)
    session.add_features(gpd.GeoDataFrame(COLUMNS, geometry=BOXES, crs=32631))
    session.reviewer = "Bob"
    session.review(4, "rejected")
    monkeypatch.setenv("GEOISEG_REVIEWER", "Ann")
    steps = [
        {"do": "activate"},
        {"do": "review", "map_key": "i"},
        {"do": "review", "map_key": "."},
        {"do": "review", "key": "y"},
        {"do": "review", "map_key": "t"},
        {"do": "review", "press": "previous"},
        {"do": "review", "select": [4]},
        {"do": "review", "map_key": "t"},  # is rejected: that is taken back
        {"do": "key", "key": "e"},
        {"do": "review", "map_key": "y"},
        {"do": "key", "key": "esc"},
        {"do": "tidy"},
        {"do": "picture", "path": picture(qgis.folder, "review.png"), "window": True},
        {"do": "save"},
    ]
    answer = qgis.drive(steps, raster=str(raster), canvas_crs="EPSG:4326",
                        layer=f"{project}|layername=features")  # fmt: skip
    _, opened, first, second, third, before, other, back, _, held, *_ = abouts(answer)
    told = "accept or discard the object in progress first, then go on"
    assert answer["seen"][-1]["said"] == [told]
    assert (held["chosen"], held["edits"]) == ([4], 3)
    assert opened["queue"] == session.queue() == [3, 2, 1]
    assert opened["chosen"] == []
    assert not opened["focus"]  # the keys stay with the map
    assert opened["filters"] == ["state", "label", "flag", "scores"]
    assert (first["chosen"], first["seen"]) == ([3], True)
    assert first["about"] == "3 roof, score 0.60\nTo check\nmoved, goes on"
    assert first["count"] == "1 of 4: 0 checked, 1 rejected, 3 to check"
    assert (second["chosen"], second["queue"], second["edits"]) == ([2], [2, 1], 1)
    assert (third["chosen"], third["queue"], third["edits"]) == ([1], [1], 2)
    assert before["chosen"] == [1]  # there is no other one
    assert other["about"].startswith("4 field\nRejected, Bob, 20")
    assert (back["chosen"], back["done"]) == ([4], 2)
    loaded = Session.load(project)
    assert [state_of(one) for one in loaded.accepted] == [
        "to check", "rejected", "checked", "to check",
    ]  # fmt: skip
    code, text, _ = run(capsys, "review", project, "--state", "any", "--json")
    assert code == 0
    rows = {one["id"]: one for one in json.loads(text)["features"]}
    assert (rows[3]["by"], rows[2]["by"], rows[4]["by"]) == ("Ann", "Ann", None)
    assert WHEN.fullmatch(rows[3]["at"])
    assert rows[4]["at"] is None
    loaded.review(1)  # goes on as if nobody else had been there
    assert loaded.review_counts() == {"to check": 1, "checked": 2, "rejected": 1}


def test_undo_deletion_filters_and_a_layer_that_goes(
    qgis: Qgis, raster: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GEOISEG_REVIEWER", "")
    layer = tmp_path / "l.gpkg"
    gpd.GeoDataFrame(COLUMNS, geometry=BOXES, crs=32631).to_file(layer)
    answer = qgis.drive(
        [
            {"do": "activate"},
            {"do": "press", "button": "review"},
            {"do": "review", "press": "next"},
            {"do": "review", "press": "checked"},
            {"do": "undo_edit"},
            {"do": "review"},
            {"do": "undo_edit", "redo": True},
            {"do": "review"},
            {"do": "review", "map_key": "backspace"},
            {"do": "review", "choose": {"label": "roof"}},
            {"do": "review", "choose": {"label": "All classes", "flag": "No flag", "most": 0.95}},
            {"do": "review", "choose": {"flag": "Flagged or not", "most": 1.0}, "select": [2, 4]},
            {"do": "review", "press": "rejected"},
            {"do": "review", "choose": {"state": "Rejected"}, "select": [4]},
            {"do": "review", "press": "to check"},
            {"do": "delete", "ids": [2]},
            {"do": "review", "select": [1]},
            *({"do": "review", "key": "t", "at": at, "select": [1]} for at in TYPED),
            {"do": "review", "select": []},
            {"do": "review", "map_key": "t"},  # nothing is selected
            {"do": "select", "ids": [1]},
            {"do": "edit", "on": False},
            {"do": "review", "choose": {"state": "All states"}, "select": [1], "press": "checked"},
            {"do": "read_only_now"},
            {"do": "review", "press": "checked"},
            {"do": "drop_layer"},
            {"do": "review", "key": "."},
            {"do": "review", "key": "i"},
            {"do": "new_layer"},
            {"do": "review", "map_key": "i"},
            {"do": "unload"},
        ],
        raster=str(raster), canvas_crs="EPSG:3857", layer=str(layer),
    )  # fmt: skip
    seen = abouts(answer)
    _, _, first, checked, _, undone, _, redone, back = seen[:9]
    assert first["chosen"] == [3]
    added = ["review", "review_by", "review_at"]
    assert checked["fields"][-3:] == redone["fields"][-3:] == added
    assert (undone["queue"], undone["fields"][-1]) == ([3, 2, 1, 4], "flags")
    assert (redone["queue"], redone["edits"]) == ([2, 1, 4], 1)
    kept = {one["fid"]: one for one in answer["seen"][7]["features"]}
    assert (kept[3]["review"], kept[3]["review_by"]) == ("checked", None)
    assert WHEN.fullmatch(kept[3]["review_at"])
    assert (back["queue"], back["chosen"], back["seen"]) == ([3, 2, 1, 4], [3], True)
    roofs, plain, both, rejected, one, again = seen[9:15]
    assert (roofs["queue"], roofs["count"][:7]) == ([3, 1], "1 of 2:")
    assert plain["queue"] == [2, 1]
    assert both["about"].startswith("2 features are selected")
    assert rejected["queue"] == [3, 1]
    assert rejected["chosen"] == [3]
    assert rejected["edits"] == 1  # what was undone is gone, and both are one edit
    assert one["queue"] == [2, 4]
    assert (again["queue"], again["chosen"]) == ([2], [4])
    deleted = seen[16]
    assert deleted["queue"] == []
    assert deleted["count"].endswith("of 3: 0 checked, 0 rejected, 3 to check")
    typed = seen[17 : 17 + len(TYPED)]
    assert {one["edits"] for one in typed} == {deleted["edits"]}  # a letter for the list or box
    none = seen[18 + len(TYPED)]
    assert (none["chosen"], none["edits"]) == ([], deleted["edits"])
    told = "select a feature to review, or go to the next"
    assert answer["seen"][18 + len(TYPED)]["said"][-1] == told
    del seen[17 : 20 + len(TYPED)], answer["seen"][17 : 20 + len(TYPED)]
    saved = seen[18]
    assert saved["hint"] == "toggle editing of objects to review it"
    assert answer["seen"][18]["said"][-1] == saved["hint"]
    locked = seen[20]
    assert locked["hint"] == "the layer objects can not be edited: review a copy of it"
    assert answer["seen"][20]["said"][-1] == locked["hint"]
    assert {one["review"] for one in answer["seen"][20]["features"]} == {None}
    gone, closed, _, fresh = seen[22:26]
    assert (gone["layer"], gone["enabled"]) == (None, [])
    assert gone["about"].startswith("Choose a polygon layer")
    assert not closed["open"]
    assert fresh["about"] == "The layer objects has no features to review."
    assert fresh["filters"] == ["state", "label", "scores"]


def test_a_panel_behind_another_takes_no_keys_and_filters_go_with_their_columns(
    qgis: Qgis, raster: Path, tmp_path: Path
) -> None:
    layer = tmp_path / "l.gpkg"
    gpd.GeoDataFrame(COLUMNS, geometry=BOXES, crs=32631).to_file(layer)
    wanted = {"label": "roof", "flag": "moved", "least": 0.2}
    steps = [
        {"do": "activate"},
        {"do": "review", "map_key": "i"},
        {"do": "review", "select": [1, 2]},
        {"do": "review", "press": "previous"},
        {"do": "review", "choose": wanted, "select": [1]},
        {"do": "behind"},
        {"do": "review", "map_key": "t"},
        {"do": "review", "map_key": "i"},
        {"do": "drop_fields", "names": ["label", "score", "flags"]},
        {"do": "review"},
    ]
    answer = qgis.drive(steps, raster=str(raster), canvas_crs="EPSG:32631", layer=str(layer))
    _, _, _, before, some, _, behind, front, _, every = abouts(answer)
    assert before["chosen"] == [3]  # the one before 2, which is before 1
    assert some["queue"] == [3]
    assert (behind["open"], behind["edits"]) == (False, 0)
    assert (front["open"], front["queue"]) == (True, [3])
    assert every["queue"] == [1, 2, 3, 4]


@pytest.mark.parametrize("kind", ["memory", "gpkg", "shp", "geojson"])
def test_layers_of_every_kind_keep_who_and_when(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = "Polygon?crs=EPSG:32631&field=class:string(20)"
    if kind != "memory":
        source = str(tmp_path / f"layer.{kind}")
        gpd.GeoDataFrame({"class": ["a", "b", "c"]}, geometry=BOXES[:3], crs=32631).to_file(source)
    seen = piece(tmp_path, "review", json.dumps([source, kind]), GEOISEG_REVIEWER="Zoë " + "x" * 90)
    assert seen["labels"] == ["a", "b", "c"]
    assert seen["states"] == seen["saved"] == ["checked", "to check", "rejected"]
    assert seen["who"].startswith("Zoë xxx")
    assert seen["undone"] == ["to check"] * 3
    if kind != "memory":
        written = gpd.read_file(source)
        assert list(written["review"].fillna("")) == ["checked", "", "rejected"]
        assert written["review_by"][0].startswith("Zoë xxx")
        told = Path(source).read_text() if kind == "geojson" else written["review_at"][0]
        assert WHEN.search(told)  # GDAL takes that of a GeoJSON for a date
    assert seen["when"].startswith("20")


def test_what_can_not_be_reviewed_is_told_and_left_as_it_is(tmp_path: Path) -> None:
    seen = piece(tmp_path, "review_refused", GEOISEG_REVIEWER="Ann")
    assert seen["cased"] == "the layer cased has a column Review of its own: rename it first"
    assert seen["alias"] == ""
    assert seen["kept"] == [[1, "mine"], [1, "kept", "checked", "Ann", "when"]]
    assert seen["number"] == "the layer numbers refuses the state"
    assert seen["own"].startswith("feature 1 has a column review of its own, 'by Bob': rename")
    assert seen["virtual"] == "the layer virtual can not be edited: review a copy of it"
    assert seen["edits"] == 0


def test_a_step_reads_what_has_changed_alone(tmp_path: Path) -> None:
    seen = piece(tmp_path, "review_large")
    first, with_columns, *steps = seen["steps"]
    assert first[0] == with_columns[0] == 20_000  # the first state adds the columns
    assert [read for read, _ in steps] == [1] * 4
    assert max(sorts for _, sorts in steps) < 5
