"""The map without a browser: its methods, and the page's messages given by hand."""

from __future__ import annotations

import contextlib
import json
import math
import sqlite3
import threading
import time
import zipfile
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely
import shapely.affinity

from geoiseg import SegmentMap, Session
from geoiseg.errors import (
    CancelledError,
    ExportError,
    ModelError,
    PromptError,
    SessionError,
    UnknownModelError,
)  # fmt: skip
from geoiseg.models.classic.grabcut import GrabCut
from geoiseg.models.protocol import ModelInfo
from geoiseg.session.project import load_project
from geoiseg.widget.channel.uploads import read_layer
from geoiseg.widget.drawing.labels import PALETTE, Labels
from geoiseg.widget.worker import Urgency, Worker, worker_for
from tests.conftest import Disk, disk_pixels, write_raster


class Gated(GrabCut):
    """A real engine that waits to be let go."""

    info = ModelInfo("gated", "classic", "Apache-2.0", "waits", chip_size=256)

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.begun = threading.Event()

    def embed(self, image: Any, valid: Any) -> Any:
        self.begun.set()
        assert self.gate.wait(20)
        return super().embed(image, valid)


class Broken(GrabCut):
    info = ModelInfo("broken", "classic", "Apache-2.0", "fails", chip_size=256)

    def decode(self, embedding: Any, prompts: Any, previous: Any = None) -> Any:
        raise RuntimeError("smoke")


@pytest.fixture
def m(disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    made = SegmentMap(disk.path, project=tmp_path / "p.gpkg", classes=["field", "water"])
    yield made
    made.close()


def on_map(m: SegmentMap, xy: tuple[float, float]) -> list[float]:
    point = m.frame.on_map(shapely.Point(xy))
    return [point.y, point.x]


def say(m: SegmentMap, **message: Any) -> None:
    """Give the map a message as the page would, and wait until all is done."""
    m.bridge.receive(None, message, message.pop("buffers", []))
    settle(m)


def settle(m: SegmentMap) -> None:
    end = time.monotonic() + 20
    while m.busy and time.monotonic() < end:
        time.sleep(0.005)
    worker_for().submit(lambda _: None).future.result(20)


def test_click_accept_undo_and_autosave(m: SegmentMap, disk: Disk) -> None:
    say(m, kind="click", at=on_map(m, disk.centre), zoom=16, negative=False)
    assert m.geometry.centroid.distance(shapely.Point(disk.centre)) < 6
    truth = disk.truth.sum() * 4
    assert abs(m.geometry.area - truth) < 0.1 * truth
    assert m.bridge.mask["png"][:4] == b"\x89PNG"
    (south, west), (north, east) = m.bridge.mask["bounds"]
    lat, lon = on_map(m, disk.centre)
    assert south < lat < north
    assert west < lon < east
    assert m.toolbar.state["has_object"]
    say(m, kind="click", at=on_map(m, disk.outside), zoom=16, negative=True)
    assert [p.positive for p in m.session.prompts.items] == [True, False]
    assert len(m.scene.prompts.layers) == 2
    say(m, kind="do", name="undo")
    assert len(m.scene.prompts.layers) == 1
    say(m, kind="do", name="redo")
    say(m, kind="do", name="class-1")
    assert m.label == "water"
    say(m, kind="do", name="accept")
    assert m.features["label"].tolist() == ["water"]
    assert m.bridge.mask == {}
    assert gpd.read_file("p.gpkg", layer="features")["label"].tolist() == ["water"]
    assert "saved to p.gpkg" in m.toolbar.status["note"]


def test_everything_the_mouse_does_is_a_method(m: SegmentMap, disk: Disk) -> None:
    x, y = disk.centre
    m.add_box(x - 90, y - 90, x + 90, y + 90)
    m.add_scribble([(x - 20, y), (x + 20, y)])
    m.add_point(*disk.outside, positive=False)
    assert m.accept(height=3) == 1
    m.relabel(1, "water")
    m.edit(1)
    assert m.session.editing == 1
    assert m.label == "water"
    m.cancel()
    assert m.session.editing is None
    m.add_region(1)
    assert m.mask is not None
    m.cancel()
    m.select(1)
    assert m.selected == 1
    m.delete()
    assert len(m.features) == 0
    m.undo()
    assert m.features["height"].tolist() == [3]
    m.export("out.fgb")
    assert gpd.read_file("out.fgb").crs == m.features.crs
    m.tool = "box"
    assert m.bridge.tool == "box"
    m.label = "new class"
    assert "new class" in m.labels
    m.model = "grabcut"
    assert m.session.model.info.name == "grabcut"
    with pytest.raises(UnknownModelError):
        m.model = "no such model"
    assert m.model == "grabcut"
    m.simplify = 2
    settle(m)
    assert m.session.options.simplify == 2


def plot_by(m: SegmentMap, disk: Disk, *sides: float) -> gpd.GeoDataFrame:
    """Return a rectangle: metres left, below, right and above the disk's centre."""
    box = shapely.affinity.translate(shapely.box(*sides), *disk.centre)
    return gpd.GeoDataFrame({"label": ["plot"]}, geometry=[box], crs=m.features.crs)


def test_snap_is_set_kept_told_of_and_undone(m: SegmentMap, disk: Disk) -> None:
    m.add_features(plot_by(m, disk, -150, -150, -60, 150))
    plot = m.feature(1).geometry
    say(m, kind="click", at=on_map(m, disk.centre), zoom=16, negative=False)
    free = m.geometry
    assert free.intersection(plot).area > 100
    say(m, kind="set", what="snap", value=5)
    assert m.snap == m.session.snap == m.toolbar.state["snap"] == 5
    assert m.toolbar.state["snap_unit"] == "m"
    assert load_project(Path("p.gpkg")).snap == 5, "it is not in the file before an accept"
    say(m, kind="do", name="accept")
    mine, theirs = m.feature(2).geometry, m.feature(1).geometry
    assert mine.intersection(theirs).area < 1e-6
    assert shapely.coverage_is_valid([mine, theirs])
    left = free.difference(mine).area
    note = m.toolbar.status["note"]
    assert f"saved to p.gpkg: {left:,.0f} m² left to neighbours" in note
    assert note.endswith("vertices added to feature 1")
    assert len(theirs.exterior.coords) > len(plot.exterior.coords)
    m.undo()  # one step, the neighbour's vertices included
    assert m.feature(1).geometry.equals_exact(plot)
    assert m.geometry.equals_exact(free)
    m.snap = 0
    settle(m)
    m.accept()
    assert m.feature(2).geometry.equals_exact(free)
    assert m.toolbar.status["note"] == "Feature 2 accepted as field, saved to p.gpkg"
    for wrong in (-1, math.nan, math.inf, "5", None, True):
        with pytest.raises(SessionError, match="snap is a length in metres, 0 for none; got"):
            m.snap = wrong
    assert m.snap == 0


def test_a_gap_that_is_filled_is_told_and_a_far_neighbour_is_not(m: SegmentMap, disk: Disk) -> None:
    say(m, kind="click", at=on_map(m, disk.centre), zoom=16, negative=False)
    _, low, right, high = m.geometry.bounds
    say(m, kind="do", name="accept")
    x, y = disk.centre
    m.delete(1)
    m.add_features(plot_by(m, disk, right - x + 3, low - y, right - x + 60, high - y))
    m.snap = 10
    m.add_point(*disk.centre)
    m.accept()
    assert " m² of gap filled; vertices added to feature 1" in m.toolbar.status["note"]
    assert "left to neighbours" not in m.toolbar.status["note"]
    m.undo()
    m.snap = 1
    settle(m)
    m.accept()
    assert m.toolbar.status["note"] == "Feature 2 accepted as field, saved to p.gpkg"


def test_scale_is_that_of_the_screen(m: SegmentMap, disk: Disk) -> None:
    at = on_map(m, disk.centre)
    say(m, kind="click", at=at, zoom=16, negative=False)
    expected = 156543.03392 / 2**16 * np.cos(np.radians(at[0]))
    assert m.session.steps[-1].gsd == pytest.approx(expected, rel=1e-6)


def test_pick_region_and_double_click_to_refine(m: SegmentMap, disk: Disk) -> None:
    m.add_point(*disk.centre)
    m.accept("field")
    say(m, kind="choose", what="tool", name="pick")
    say(m, kind="click", at=on_map(m, disk.centre), zoom=16, negative=False)
    assert m.selected == 1
    style = m.scene._groups[0].data["features"][0]["properties"]["style"]
    assert style["color"] == "#ffffff"
    say(m, kind="do", name="class-1")
    assert m.feature(1).label == "water"
    say(m, kind="click", at=on_map(m, disk.centre), zoom=16, negative=False)
    assert m.session.editing == 1
    assert m.scene._groups[0].data["features"] == []
    say(m, kind="do", name="cancel")
    say(m, kind="choose", what="tool", name="region")
    say(m, kind="click", at=on_map(m, disk.outside), zoom=16, negative=False)
    assert "no accepted feature here" in m.toolbar.status["error"]
    say(m, kind="click", at=on_map(m, disk.centre), zoom=16, negative=False)
    assert [prompt.kind for prompt in m.session.prompts.items] == ["region"]
    assert m.toolbar.status["error"] == ""


def test_classes_are_added_renamed_and_coloured(m: SegmentMap, disk: Disk) -> None:
    m.add_point(*disk.centre)
    m.accept("field")
    say(m, kind="class", change="add", name="road")
    assert m.label == "road"
    say(m, kind="class", change="rename", name="field", to="meadow")
    assert m.features["label"].tolist() == ["meadow"]
    say(m, kind="class", change="colour", name="meadow", to="#123456")
    style = m.scene._groups[0].data["features"][0]["properties"]["style"]
    assert style["fillColor"] == "#123456"
    say(m, kind="class", change="rename", name="meadow", to="road")
    assert "can not be renamed" in m.toolbar.status["error"]
    assert list(m.labels) == ["meadow", "water", "road"]


@pytest.mark.parametrize(
    ("center", "zoom"),
    [([46, 15], 1e300), ([46, 15], -1e300), ([46, 15], math.nan), ([46, 15], math.inf),
     ([math.nan, math.nan], 16), ([1e308, -1e308], 16), (["a", {}], 16), ([], 16)],
)  # fmt: skip
def test_a_page_that_lies_about_where_the_map_is(
    m: SegmentMap, disk: Disk, center: list[Any], zoom: float
) -> None:
    m.add_point(*disk.centre)
    m.accept("field")
    state = {"center": center, "zoom": zoom}
    m.map.comm.handle_msg(
        {"content": {"data": {"method": "update", "state": state}}, "buffers": []}
    )
    before = (m.session.steps, m.session.accepted, m.session.gsd)
    m.tool = "region"
    say(m, kind="click", at=on_map(m, disk.centre), zoom=16, negative=False)
    if m.toolbar.status["error"]:
        assert (m.session.steps, m.session.accepted, m.session.gsd) == before
    else:
        assert 0 < m.session.gsd < math.inf
    say(m, kind="do", name="fit")
    m.cancel()
    say(m, kind="click", at=on_map(m, disk.centre), zoom=16, negative=False)
    assert m.toolbar.status["error"] == ""
    assert m.mask is not None


def saved_classes(path: str = "p.gpkg") -> list[tuple[str, str]]:
    return list(load_project(Path(path)).classes)


def test_classes_are_saved_at_once_where_there_is_a_project(m: SegmentMap, disk: Disk) -> None:
    say(m, kind="class", change="add", name="road")
    assert not Path("p.gpkg").exists()  # nothing was accepted yet: no file is made for that
    m.add_point(*disk.centre)
    m.accept("field")
    assert [name for name, _ in saved_classes()] == ["field", "water", "road"]
    say(m, kind="class", change="colour", name="water", to="#0000FF")
    assert dict(saved_classes())["water"] == "#0000ff"
    say(m, kind="class", change="rename", name="road", to="track")  # no feature has it
    say(m, kind="class", change="rename", name="field", to="meadow")
    say(m, kind="class", change="add", name="pond")
    assert [name for name, _ in saved_classes()] == ["meadow", "water", "track", "pond"]
    m.add_point(*disk.centre)
    number = m.accept("new by accept")
    assert saved_classes() == list(m.labels.items)
    assert "accepted as new by accept, saved to p.gpkg" in m.toolbar.status["note"]
    m.relabel(number, "new by relabel")
    assert [name for name, _ in saved_classes()][-2:] == ["new by accept", "new by relabel"]
    m.label = "new by label"
    settle(m)
    assert saved_classes()[-1][0] == "new by label"


def test_classes_come_back_after_a_restart(m: SegmentMap, disk: Disk) -> None:
    m.add_point(*disk.centre)
    m.accept("field")
    say(m, kind="class", change="add", name="road")
    say(m, kind="class", change="colour", name="road", to="#abcdef")
    say(m, kind="class", change="colour", name="water", to="#000001")
    before = m.labels.items
    for again in (
        SegmentMap(disk.path, project="p.gpkg"),
        SegmentMap(session=Session.load("p.gpkg")),
        SegmentMap(disk.path, project="p.gpkg", classes=["field", "water"]),
    ):
        assert again.labels.items == before
        assert again.label == "field"
        again.close()
    told = SegmentMap(disk.path, project="p.gpkg", classes={"pond": "#00ffff", "water": "#ff0000"})
    assert list(told.labels) == ["pond", "water", "field", "road"]
    assert [told.labels.colour(one) for one in told.labels] == [
        "#00ffff", "#ff0000", m.labels.colour("field"), "#abcdef",
    ]  # fmt: skip
    told.close()
    assert saved_classes() == list(before)  # looking changes no file


def test_a_project_of_before_classes_were_saved(m: SegmentMap, disk: Disk) -> None:
    m.add_point(*disk.centre)
    m.accept("water")
    with contextlib.closing(sqlite3.connect("p.gpkg")) as base, base:
        base.execute("delete from geoiseg where key = 'classes'")
    again = SegmentMap(disk.path, project="p.gpkg")
    assert list(again.labels) == ["object", "water"]
    again.close()


def test_the_class_nobody_named_is_not_saved(disk: Disk, tmp_path: Path) -> None:
    path = tmp_path / "q.gpkg"
    plain = SegmentMap(disk.path, project=path)
    plain.save()
    plain.close()
    assert saved_classes(str(path)) == []
    again = SegmentMap(disk.path, project=path, classes=["field"])
    assert list(again.labels) == ["field"]
    again.close()


def test_classes_in_a_file_are_not_trusted(disk: Disk, tmp_path: Path) -> None:
    session = Session(disk.path)
    many = [(f"c{n}", "#111111") for n in range(200)]
    session.classes = (("a", "red;background:url(x)"), (" ", "#222222"), ("b", "#222222"), *many)
    session.save(tmp_path / "p.gpkg")
    shown = SegmentMap(disk.path, project=tmp_path / "p.gpkg")
    assert shown.labels.items[:2] == (("a", PALETTE[0]), ("b", "#222222"))
    assert len(shown.labels) == 99
    shown.close()


def test_more_labels_than_classes_leave_the_map_at_work(m: SegmentMap, disk: Disk) -> None:
    x, y = disk.centre
    boxes = [shapely.box(x, y, x + n, y + n) for n in range(1, 151)]
    names = [f"class {n}" if n else "  " for n in range(150)]
    m.add_features(
        gpd.GeoDataFrame({"label": names}, geometry=boxes, crs=m.session.raster.grid.crs)
    )
    assert len(m.labels) == 99
    m.add_point(*disk.centre)
    assert m.mask is not None
    assert m.toolbar.status["error"] == ""


def test_errors_are_shown_in_one_line_and_change_nothing(m: SegmentMap, disk: Disk) -> None:
    m.add_point(*disk.centre)
    say(m, kind="click", at=[0.0, 0.0], zoom=16, negative=False)
    assert "outside" in m.toolbar.status["error"]
    assert "\n" not in m.toolbar.status["error"]
    assert len(m.session.steps) == 1
    with pytest.raises(PromptError):
        m.add_point(0, 0)
    with pytest.raises(SessionError, match="select a feature"):
        m.delete()


def test_the_page_chooses_among_the_models_it_was_given(m: SegmentMap, tmp_path: Path) -> None:
    (tmp_path / "evil.pt").write_bytes(b"\x80\x04cos\nabort\n(tR.")
    for name in ("evil.pt", str(tmp_path / "evil.pt"), "hf:some/body", "no such", "../evil.pt"):
        say(m, kind="choose", what="model", name=name)
        assert "there is no model" in m.toolbar.status["error"]
        assert m.session.model.info.name == m.model == "tiny"
    say(m, kind="choose", what="model", name="grabcut")
    assert m.session.model.info.name == "grabcut"


def test_an_error_inside_the_model_is_shown(
    m: SegmentMap, disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    m.use_model(Broken())
    with pytest.raises(ModelError, match="RuntimeError: smoke"):
        m.add_point(*disk.centre)
    assert "the model broken failed: RuntimeError: smoke" in m.toolbar.status["error"]
    assert any(record.exc_info for record in caplog.records)
    assert m.session.steps == ()
    m.use_model("grabcut")
    m.add_point(*disk.centre)
    assert m.mask is not None


def test_late_answers_are_dropped_and_others_wait_their_turn(m: SegmentMap, disk: Disk) -> None:
    model = Gated()
    m.use_model(model)
    m.add_point(*disk.centre, wait=False)
    assert model.begun.wait(10)
    time.sleep(0.25)
    assert m.toolbar.status["phase"] == "encoding"
    m.add_point(*disk.outside, positive=False, wait=False)
    job = m._current_job
    m.cancel()
    assert not m.busy
    assert "phase" not in m.toolbar.status
    model.gate.set()
    with pytest.raises(CancelledError):
        job.future.result(20)
    settle(m)
    assert m.session.steps == ()
    assert m.bridge.mask == {}
    m.add_point(*disk.centre)
    assert len(m.session.steps) == 1


def test_escape_twice_while_something_else_runs_still_clears(m: SegmentMap, disk: Disk) -> None:
    m.add_point(*disk.centre)
    gate = threading.Event()
    m._ask(lambda _: gate.wait(10), wait=False)
    for _ in range(2):
        m.bridge.receive(None, {"kind": "do", "name": "cancel"}, [])
    gate.set()
    settle(m)
    assert m.session.steps == ()


def test_handlers_never_wait_for_the_model(m: SegmentMap, disk: Disk) -> None:
    model = Gated()
    m.use_model(model)
    at = on_map(m, disk.centre)
    for name in ("undo", "accept", "redo", "save"):
        m.bridge.receive(None, {"kind": "click", "at": at, "zoom": 16, "negative": False}, [])
        m.bridge.receive(None, {"kind": "do", "name": name}, [])
    m.bridge.receive(None, {"kind": "do", "name": "stop"}, [])
    assert not model.gate.is_set()  # all of this has returned while the model was at work
    model.gate.set()
    settle(m)


def test_export_of_the_page_stays_in_its_folder(m: SegmentMap, disk: Disk, tmp_path: Path) -> None:
    m.add_point(*disk.centre)
    m.accept()
    say(m, kind="export", name="out", format="geojson")
    assert len(gpd.read_file(tmp_path / "out.geojson")) == 1
    say(m, kind="export", name="out", format="geojson")  # its own file may be replaced
    assert m.toolbar.status["error"] == ""
    (tmp_path / "precious.gpkg").write_text("mine")
    say(m, kind="export", name="precious", format="gpkg")
    assert "choose another name" in m.toolbar.status["error"]
    assert (tmp_path / "precious.gpkg").read_text() == "mine"
    with pytest.raises(ExportError):
        m.export_as("../out", "gpkg")


def test_a_new_map_resumes_from_the_project(m: SegmentMap, disk: Disk) -> None:
    m.add_point(*disk.centre)
    m.accept("water")
    again = SegmentMap(disk.path, project="p.gpkg")
    assert again.features["label"].tolist() == ["water"]
    assert "water" in again.labels
    assert "Resumed p.gpkg: 1 feature" in again.toolbar.status["note"]
    again.edit(1)
    assert len(again.session.steps) == 1
    again.close()


def test_project_is_named_after_the_raster_and_never_taken_from_another(
    disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first = SegmentMap(disk.path)
    first.add_point(*disk.centre)
    first.accept()
    assert (tmp_path / "disk.geoiseg.gpkg").exists()
    pixels, _ = disk_pixels()
    (tmp_path / "other").mkdir()
    far = write_raster(tmp_path / "other" / "disk.tif", pixels, crs="EPSG:32633")
    second = SegmentMap(far)
    assert second.session.project == tmp_path / "disk-2.geoiseg.gpkg"
    assert len(second.features) == 0
    for one in (first, second):
        one.close()


def test_bands_stretch_and_several_rasters(m: SegmentMap, disk: Disk, tmp_path: Path) -> None:
    m.add_point(*disk.centre)
    version = m.rasters.first.version
    m.show_as(0, bands=(3, 2, 1), stretch=(10, 200))
    assert m.session.raster.bands == (3, 2, 1)
    assert m.session.raster.stretch.high == (200.0,) * 3
    assert m.bridge.rasters[0]["version"] == version + 1
    m.add_point(disk.centre[0] + 4, disk.centre[1])
    assert len(m.session.steps) == 2
    pixels, _ = disk_pixels(seed=5)
    other = m.add_raster(write_raster(tmp_path / "later.tif", pixels), "later")
    assert [layer.name for layer in m.rasters] == ["disk.tif", "later"]
    assert m.session.raster is m.rasters.first.raster
    say(m, kind="layer", layer=other.id, opacity=0.25)
    assert other.layer.opacity == 0.25
    say(m, kind="layer", layer=other.id, bands=[9])
    assert "bands 1 to 3" in m.toolbar.status["error"]
    say(m, kind="layer", layer="nowhere", opacity=1)
    assert "no layer" in m.toolbar.status["error"]
    names = [layer.name for layer in m.map.layers]
    assert names.index("later") == names.index("disk.tif") + 1 < names.index("mask")


def test_it_is_an_ordinary_map_too(m: SegmentMap) -> None:
    import ipyleaflet

    mark = ipyleaflet.Marker(location=(45, 3))
    m.map.add(mark)
    assert mark in m.map.layers
    assert not any(getattr(one, "url", "").startswith("http") for one in m.map.layers)


def test_a_session_can_be_given_and_keeps_its_scale(disk: Disk) -> None:
    session = Session(disk.path, gsd=4.0)
    m = SegmentMap(session=session)
    m.add_point(*disk.centre)
    assert m.session is session
    assert session.steps[-1].gsd == 4.0
    m.close()


def test_first_view_fits_the_raster_unless_the_user_has_moved(m: SegmentMap, disk: Disk) -> None:
    from geoiseg.widget.channel.messages import View

    lat, lon = on_map(m, disk.centre)
    small = View(lat - 1e-4, lon - 1e-4, lat + 1e-4, lon + 1e-4, m.map.zoom)
    m.map.center = (lat, lon)
    m.map.zoom = 19
    m.lookout.look(small)
    assert m.map.zoom == 19
    m.lookout.view = None
    m.fit()
    zoom = m.map.zoom
    m.lookout.look(small)  # a view of few pixels
    assert m.map.zoom < zoom


def test_a_click_is_suggested_until_the_object_changes(m: SegmentMap, disk: Disk) -> None:
    with pytest.raises(SessionError, match="no object yet"):
        m.suggest_click()
    m.use_model("superpixel-walk")
    m.add_scribble([disk.outside, disk.centre])
    found = m.suggest_click()
    assert found is not None
    assert m.suggestion is found
    assert "pulsing dot" in m.toolbar.status["note"]
    (dot,) = m.scene.hints.layers
    assert "gs-pulse" in dot.icon.html
    lat, lon = on_map(m, (found.x, found.y))
    assert dot.location == pytest.approx([lat, lon], abs=1e-7)
    m.add_point(found.x, found.y, positive=False)
    assert m.suggestion is None
    assert not m.scene.hints.layers
    m.undo()
    assert m.suggestion is found, "it is the object of before again"
    assert len(m.scene.hints.layers) == 1
    m.redo()
    say(m, kind="do", name="suggest")
    assert m.toolbar.status["note"]


def test_the_map_says_when_clicks_change_nothing_any_more(m: SegmentMap, disk: Disk) -> None:
    m.add_point(*disk.centre)
    assert "hardly" not in m.toolbar.status["note"]
    for k in (1, 2):
        m.add_point(disk.centre[0] + 2 * k, disk.centre[1])
    assert "hardly anything" in m.toolbar.status["note"]


def test_preview_and_chips_ahead(m: SegmentMap, disk: Disk) -> None:
    from geoiseg.widget.channel.messages import Move, View

    lat, lon = on_map(m, disk.centre)
    view = View(lat - 0.002, lon - 0.003, lat + 0.002, lon + 0.003, 16)
    m.lookout.look(view)
    m.lookout._plan()
    settle(m)
    end = time.monotonic() + 20
    while not m.lookout._decode_ms and time.monotonic() < end:
        time.sleep(0.02)
    assert m.lookout._decode_ms, "the speed of decoding is known before the first click"
    hits = m.session.segmenter.cache.hits
    m.preview = True
    assert m.bridge.hover_ms > 0
    m.lookout.hover(Move((lat, lon), 16))
    m.lookout._preview_job.future.result(20)
    assert m.bridge.preview["png"]
    assert m.session.segmenter.cache.hits > hits
    assert m.session.steps == ()
    m.lookout.hover(Move(None, 16))
    assert m.bridge.preview == {}
    m.preview = False
    assert m.bridge.hover_ms == 0


def test_urgent_work_comes_first_and_one_at_a_time() -> None:
    worker, order = Worker("test"), []
    gate, at_once, most = threading.Event(), [0], [0]

    def work(name: str) -> Any:
        def run(_: Any) -> None:
            at_once[0] += 1
            most[0] = max(most[0], at_once[0])
            order.append(name)
            at_once[0] -= 1

        return run

    worker.submit(lambda _: gate.wait(10))
    jobs = [
        worker.submit(work("idle"), Urgency.IDLE),
        worker.submit(work("preview"), Urgency.PREVIEW),
        worker.submit(work("asked 1")),
        worker.submit(work("asked 2")),
    ]
    jobs[3].stop()
    gate.set()
    jobs[0].future.result(10)
    assert order == ["asked 1", "preview", "idle"]
    assert most[0] == 1
    with pytest.raises(CancelledError):
        jobs[3].future.result(10)
    inner = worker.submit(lambda _: worker.submit(lambda _: 7).future.result(5))
    assert inner.future.result(10) == 7
    assert worker_for("cpu") is worker_for("cpu")


def test_uploads_of_every_kind(tmp_path: Path) -> None:
    frame = gpd.GeoDataFrame({"label": ["a"]}, geometry=[shapely.box(0, 0, 1, 1)], crs="EPSG:4326")
    for name in ("a.gpkg", "a.fgb", "a.geojson"):
        frame.to_file(tmp_path / name)
        back = read_layer(name, (tmp_path / name).read_bytes())
        assert back.geometry.iloc[0].equals(shapely.box(0, 0, 1, 1))
        assert back.crs == frame.crs
    frame.to_file(tmp_path / "a.shp")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for part in tmp_path.glob("a.*"):
            if part.suffix in {".shp", ".shx", ".dbf", ".prj"}:
                archive.write(part, f"folder/{part.name}")
        archive.writestr("../../evil.txt", "x")
    assert len(read_layer("a.zip", (tmp_path / "a.zip").read_bytes())) == 1
    assert not (tmp_path.parent.parent / "evil.txt").exists()


@pytest.mark.parametrize(
    "data",
    [
        b"", b"hello", b"{", b"{}", b"fgb", b"PK\x03\x04junk", b"SQLite format 3\x00" + b"\x00" * 90,
        b"<OGRVRTDataSource><OGRVRTLayer name='x'/></OGRVRTDataSource>",
        json.dumps({"type": "FeatureCollection", "features": 7}).encode(),
        json.dumps({"type": "Polygon", "coordinates": "x"}).encode(),
    ],
)  # fmt: skip
def test_hostile_uploads_are_refused(data: bytes) -> None:
    with pytest.raises(PromptError):
        read_layer("x.gpkg", data)


@pytest.mark.parametrize("name", ["a.gpkg", "a.fgb"])
def test_a_damaged_upload_is_told_by_its_name(tmp_path: Path, name: str) -> None:
    grid = [shapely.box(n, 0, n + 1, 1) for n in range(3000)]
    gpd.GeoDataFrame({"n": range(3000)}, geometry=grid, crs="EPSG:4326").to_file(tmp_path / name)
    data = (tmp_path / name).read_bytes()
    with pytest.raises(PromptError, match=f"^'{name}' can not be read as a vector layer: "):
        read_layer(name, data[: len(data) // 2])


def test_labels_are_a_value() -> None:
    labels = Labels.of({"a": "#ABCDEF", "b": "#000000"})
    assert labels.colour("a") == "#abcdef"
    more = labels.plus("c")
    assert list(labels) == ["a", "b"]
    assert list(more.renamed("a", "z")) == ["z", "b", "c"]
    for wrong in (lambda: labels.renamed("a", "b"), lambda: labels.renamed("x", "y"),
                  lambda: labels.plus(" "), lambda: labels.recoloured("a", "red")):  # fmt: skip
        with pytest.raises(SessionError):
            wrong()
    assert len({labels.plus(str(n)).colour(str(n)) for n in range(3)}) == 1


def test_a_raster_without_overviews_is_said_on_the_map(tmp_path: Path) -> None:
    import rasterio

    path = tmp_path / "huge.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=40_000, height=40_000, count=1, dtype="uint8",
        crs="EPSG:32631", transform=rasterio.Affine(1, 0, 4e5, 0, -1, 5e6), tiled=True,
        sparse_ok=True, compress="deflate",
    ):  # fmt: skip
        pass
    shown = SegmentMap(path, project=False)
    assert "no overviews" in shown.toolbar.status["note"]
    assert "gdaladdo" in shown.toolbar.status["note"]
