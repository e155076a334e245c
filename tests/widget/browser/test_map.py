"""The map in a real browser: what the mouse and the keys do is checked in Python."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas as gpd
import pytest

from geoiseg.session.project import load_project
from tests.widget.browser.harness import DISCS, UTM, MapPage, Server, load, lonlat, write_scene

Open = Callable[..., MapPage]
NEW = "from geoiseg.widget.segment_map import SegmentMap\n"
CRS = "EPSG:32633"


@pytest.fixture(params=["voila", "lab"])
def server(request: pytest.FixtureRequest) -> Server:
    return request.getfixturevalue(request.param)


def scene(server: Server, name: str = "scene.tif") -> Path:
    path = server.folder / name
    return path if path.exists() else write_scene(path, CRS, UTM)


def disc(name: str, dx: float = 0, dy: float = 0) -> tuple[float, float]:
    """Longitude and latitude of a disc's centre, or of pixels beside it."""
    x, y = DISCS[name][:2]
    return lonlat(UTM, CRS, x + dx, y + dy)


def metres(a: tuple[float, float], b: tuple[float, float]) -> float:
    import pyproj

    return float(pyproj.Geod(ellps="WGS84").inv(*a, *b)[2])


def area(name: str) -> float:
    return math.pi * (DISCS[name][2] * 0.5) ** 2


def cells(page: Any) -> list[str]:
    return page.locator(".jp-Notebook .jp-CodeCell .jp-InputArea-editor").all_inner_texts()


def test_click_refine_accept_and_export(  # noqa: PLR0915 - one story
    open_map: Open, server: Server
) -> None:
    raster = scene(server)
    project = server.folder / "main.gpkg"
    m = open_map(
        server,
        NEW + f"m = SegmentMap('{raster.name}', project={str(project)!r},"
        " classes=['field', 'water'])",
    )  # fmt: skip
    before = cells(m.page)

    # a click makes a mask and a polygon where the click was
    m.click(*disc("blue"))
    state = m.until(lambda s: s["centre"])
    assert metres(state["centre"], disc("blue")) < 4
    assert state["area"] == pytest.approx(area("blue"), rel=0.1)
    m.page.wait_for_function("document.querySelector('.leaflet-image-layer[data-seq]')")
    drawn = m.page.locator(".leaflet-image-layer[data-seq]").first.bounding_box()
    x, y = m.at(*disc("blue"))
    assert drawn["x"] < x < drawn["x"] + drawn["width"]
    assert drawn["y"] < y < drawn["y"] + drawn["height"]

    # right click, Alt + click: off the object; no menu of JupyterLab opens
    m.click(*disc("yellow"), button="right")
    m.until(lambda s: s["steps"] == [["point", True], ["point", False]])
    assert m.page.locator(".lm-Menu").count() == 0
    m.page.keyboard.down("Alt")
    m.click(*disc("orange"))
    m.page.keyboard.up("Alt")
    m.until(lambda s: len(s["steps"]) == 3 and s["steps"][-1] == ["point", False])

    # undo and redo, each way to say it
    m.key("Control+z")
    m.until(lambda s: len(s["steps"]) == 2)
    m.press("undo")
    m.until(lambda s: len(s["steps"]) == 1)
    m.key("Control+Shift+Z")
    m.until(lambda s: len(s["steps"]) == 2)
    m.key("Control+y")
    m.until(lambda s: len(s["steps"]) == 3)

    # accept under the second class, saved at once
    m.key("2")
    m.until(lambda s: s["label"] == "water")
    m.key("Enter")
    state = m.until(lambda s: s["features"] and not s["steps"])
    assert state["features"][0]["label"] == "water"
    m.until(lambda s: "saved to main.gpkg" in s["status"]["note"])
    assert gpd.read_file(project, layer="features")["label"].tolist() == ["water"]

    # a box, a stroke within it, a stroke off it
    m.use("box", "b")
    m.drag(disc("grey", -170, -170), disc("grey", 170, 170))
    state = m.until(lambda s: s["centre"])
    assert state["steps"] == [["box", True]]
    assert metres(state["centre"], disc("grey")) < 6
    m.use("scribble", "s")
    m.drag(disc("grey", -60), disc("grey"), disc("grey", 60, 30))
    m.until(lambda s: s["steps"][-1] == ["scribble", True])
    m.use("erase", "x")
    m.drag(disc("grey", -220, 0), disc("grey", -220, 100))
    m.until(lambda s: s["steps"][-1] == ["scribble", False])
    m.press("accept")
    m.until(lambda s: len(s["features"]) == 2)

    # select, change the class, refine, delete
    m.use("pick", "v")
    m.click(*disc("grey"))
    m.until(lambda s: s["selected"] == 2)
    m.key("1")
    m.until(lambda s: s["features"][1]["label"] == "field")
    m.click(*disc("grey"))
    state = m.until(lambda s: s["editing"] == 2 and s["centre"])
    assert [kind for kind, _ in state["steps"]] == ["box", "scribble", "scribble"]
    m.key("Escape")
    m.until(lambda s: s["editing"] is None and not s["steps"])
    m.use("pick", "v")
    m.click(*disc("grey"))
    m.until(lambda s: s["selected"] == 2)
    m.key("Delete")
    m.until(lambda s: [one["id"] for one in s["features"]] == [1])

    # a region from a feature
    m.use("region", "r")
    m.click(*disc("blue"))
    state = m.until(lambda s: s["steps"] == [["region", True]] and s["centre"])
    assert metres(state["centre"], disc("blue")) < 8
    m.key("Escape")
    m.until(lambda s: not s["steps"])

    # export by the panel, into the working folder
    m.press("files")
    m.page.locator(".gs-panel input[type=text]").fill(f"out-{server.kind}")
    m.page.locator(".gs-panel select").select_option("geojson")
    m.page.locator(".gs-panel button.gs-main").click()
    m.until(lambda s: "written" in s["status"].get("note", ""))
    written = gpd.read_file(server.folder / f"out-{server.kind}.geojson")
    assert written["label"].tolist() == ["water"]
    centre = written.to_crs(CRS).centroid.to_crs("EPSG:4326")[0]
    assert metres((centre.x, centre.y), disc("blue")) < 4

    # nothing was typed into the notebook, and nothing asked of the world
    assert cells(m.page) == before
    if server.kind == "lab":
        assert len(before) == 2
        assert not m.outside
    else:
        assert all("font" in url or "fontawesome" in url for url in m.outside), m.outside


def test_shortcuts_do_not_touch_the_cells(open_map: Open, lab: Server) -> None:
    m = open_map(lab, NEW + f"m = SegmentMap('{scene(lab).name}', project=False)")
    before = cells(m.page)
    count = m.page.locator(".jp-Notebook .jp-Cell").count()
    m.page.locator(".jp-Notebook .jp-Cell").first.click(position={"x": 3, "y": 3})
    m.click(*disc("blue"))
    m.until(lambda s: s["centre"])
    for key in [
        "x",
        "d",
        "d",
        "a",
        "b",
        "c",
        "v",
        "z",
        "m",
        "y",
        "Shift+Enter",
        "Escape",
        "0",
        "0",
    ]:
        m.key(key)
    m.page.wait_for_timeout(500)
    assert m.page.locator(".jp-Notebook .jp-Cell").count() == count
    assert cells(m.page) == before
    assert m.page.locator(".jp-Dialog").count() == 0
    m.key("?")
    m.page.wait_for_selector(".gs-help:visible")
    m.key("Escape")
    m.page.wait_for_selector(".gs-help", state="hidden")


def test_tiles_load_while_the_model_works(open_map: Open, server: Server) -> None:
    m = open_map(
        server,
        NEW + f"m = SegmentMap('{scene(server).name}', project=False)\n"
        "m.lookout.look = lambda view: None\nslow = probe.SlowModel()\nslow.seconds = 7.0\n"
        "m.use_model(slow)",  # which a busy machine's zooming does not outlast
    )
    m.click(*disc("blue"))
    m.until(lambda s: s["status"].get("phase") == "encoding")
    m.page.wait_for_selector(".gs-line:visible >> text=encoding")
    m.press("zoom-in")
    m.page.wait_for_function(
        """() => { const zoom = [...document.querySelectorAll('.leaflet-tile-container')];
        const tiles = [...document.querySelectorAll('.leaflet-tile-loaded')];
        return tiles.filter(t => t.naturalWidth > 1).length >= 4 }"""
    )
    state = m.until(lambda s: s["zoom"] >= 17)
    assert state["status"].get("phase") == "encoding", "the model was done too early to tell"
    m.drag(disc("blue"), disc("blue", 300, 200))  # with the point tool a drag pans
    m.tiles_loaded(4)
    state = m.until(lambda s: s["centre"])
    assert metres(state["centre"], disc("blue")) < 5

    # what was asked for can be stopped, and its late answer changes nothing
    m.key("Escape")
    m.until(lambda s: not s["steps"])
    m.press("fit")
    m.page.wait_for_timeout(600)
    m.click(*disc("sand"))
    m.until(lambda s: s["status"].get("phase") == "encoding")
    m.press("stop")
    m.until(lambda s: "phase" not in s["status"])
    m.page.wait_for_timeout(7500)
    assert m.state["steps"] == []
    assert m.state["mask_pixels"] is None


def test_error_of_the_model_shows_and_is_survived(open_map: Open, voila: Server) -> None:
    m = open_map(
        voila,
        NEW + f"m = SegmentMap('{scene(voila).name}', project=False)\n"
        "m.use_model(probe.BrokenModel())",
    )
    m.click(*disc("blue"))
    m.until(lambda s: s["centre"])
    m.click(*disc("yellow"), button="right")
    m.page.wait_for_selector(".gs-error:visible >> text=the network went up in smoke")
    state = m.until(lambda s: s["status"]["error"])
    assert state["steps"] == [["point", True]]
    m.key("Enter")
    m.until(lambda s: s["features"])
    m.page.wait_for_selector(".gs-error", state="hidden")


def test_restarted_kernel_resumes(open_map: Open, lab: Server) -> None:
    raster = scene(lab, "resumed.tif")
    m = open_map(lab, NEW + f"m = SegmentMap({raster.name!r}, classes=['field', 'water'])")
    m.key("2")
    m.click(*disc("sand"))
    m.until(lambda s: s["centre"] and s["label"] == "water")
    m.key("Enter")
    old = m.until(lambda s: s["features"])
    m.until(lambda s: "saved to resumed.geoiseg.gpkg" in s["status"]["note"])
    m.page.locator(".gs-add:visible").click()  # a class that no feature has
    field = m.page.locator(".gs-classes input:visible").first
    field.fill("road")
    field.press("Enter")
    m.until(lambda s: s["label"] == "road")
    m.page.locator(".gs-chip.gs-on:visible", has_text="road").click()
    m.page.locator(".gs-colour:visible").evaluate(
        "e => { e.value = '#123456'; e.dispatchEvent(new Event('change')) }"
    )
    classes = m.until(lambda s: ["road", "#123456"] in s["labels"])["labels"]
    project = lab.folder / "resumed.geoiseg.gpkg"
    m.until(lambda _: [list(one) for one in load_project(project).classes] == classes)

    kernel = next(one["kernel"]["id"] for one in lab.api("sessions") if one["path"] == m.book.name)
    lab.api(f"kernels/{kernel}/restart", "POST")
    m.state_path.unlink()
    load(m)
    new = m.until(lambda s: s["features"])
    assert new["pid"] != old["pid"]
    assert new["features"][0]["label"] == "water"
    assert new["labels"] == classes
    assert new["features"][0]["area"] == pytest.approx(old["features"][0]["area"])
    m.tiles_loaded()
    m.page.wait_for_selector(".leaflet-overlay-pane path.leaflet-interactive")
    m.use("pick", "v")
    m.click(*disc("sand"))
    m.until(lambda s: s["selected"] == 1)
    m.key("e")
    state = m.until(lambda s: s["editing"] == 1 and s["centre"])
    assert state["steps"] == [["point", True]]


@pytest.fixture(scope="module")
def page(open_shared: Open, voila: Server) -> MapPage:
    """One page in Voila for tests that leave no trace."""
    return open_shared(
        voila,
        NEW + f"m = SegmentMap('{scene(voila).name}', project=False)",
    )


@pytest.fixture
def m(page: MapPage) -> MapPage:
    """The page with nothing in progress."""
    page.key("Escape")
    page.key("Escape")
    page.until(lambda s: not s["steps"])
    page.use("point", "p")
    return page


def test_preview_follows_the_cursor(m: MapPage) -> None:
    if not m.state["preview"]:
        m.key("h")
    m.until(lambda s: s["preview"])
    m.page.wait_for_timeout(1000)
    m.page.mouse.move(*m.at(*disc("orange")))
    m.page.mouse.move(*m.at(*disc("orange", 5)))
    m.until(lambda s: s["previewed"])
    assert m.state["steps"] == []
    m.key("h")
    m.until(lambda s: not s["preview"] and not s["previewed"])


def test_space_pans_while_drawing_and_escape_abandons_a_drag(m: MapPage) -> None:
    m.use("box", "b")
    before = m.state["center"]
    m.page.keyboard.down(" ")
    m.drag(disc("blue"), disc("blue", 200, 100))
    m.page.keyboard.up(" ")
    m.until(lambda s: abs(s["center"][1] - before[1]) > 1e-4)
    m.page.mouse.move(*m.at(*disc("blue", -180, -180)))
    m.page.mouse.down()
    m.page.mouse.move(*m.at(*disc("blue", 180, 180)), steps=4)
    m.page.wait_for_selector(".geoiseg-ink polyline", state="attached")
    m.page.keyboard.press("Escape")
    m.page.mouse.up()
    m.page.wait_for_timeout(400)
    assert m.page.locator(".geoiseg-ink polyline").count() == 0
    assert m.state["steps"] == []
    m.press("fit")
    m.until(lambda s: abs(s["center"][1] - before[1]) < 1e-4)


def test_a_suggested_click_pulses_and_is_clicked_through(m: MapPage) -> None:
    m.key("Escape")
    m.use("scribble", "s")
    m.drag(disc("blue"), disc("blue", -300, 60))
    m.until(lambda s: len(s["steps"]) == 1 and s["area"])
    m.key("w")
    dot = m.page.locator(".gs-pulse")
    dot.wait_for(state="visible")
    box = dot.bounding_box()
    if folder := os.environ.get("GEOISEG_SHOTS"):
        m.page.screenshot(path=Path(folder) / "suggestion.png")
    assert (
        m.page.locator(".leaflet-div-icon").evaluate("e => getComputedStyle(e).border")[:3] == "0px"
    )
    m.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, button="right")
    m.until(lambda s: len(s["steps"]) == 2)
    dot.wait_for(state="detached")
    m.key("Escape")
    m.until(lambda s: not s["steps"])


def test_upload_and_refine_a_layer(m: MapPage, tmp_path: Path) -> None:
    west, south = disc("grey", -150, 150)
    east, north = disc("grey", 150, -150)
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    feature = {
        "type": "Feature", "properties": {"label": "plot"},
        "geometry": {"type": "Polygon", "coordinates": [ring]},
    }  # fmt: skip
    path = tmp_path / "plots.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    m.press("files")
    m.page.locator(".gs-panel input[type=file]").set_input_files(path)
    state = m.until(lambda s: s["features"])
    assert state["features"][0]["label"] == "plot"
    assert [name for name, _ in state["labels"]] == ["object", "plot"]
    m.press("files")
    m.use("region", "r")
    m.click(*disc("grey"))
    state = m.until(lambda s: s["steps"] == [["region", True]] and s["centre"])
    assert metres(state["centre"], disc("grey")) < 10


def test_panels_change_model_outline_and_look(m: MapPage) -> None:
    m.click(*disc("blue"))
    fine = m.until(lambda s: s["centre"])
    m.press("settings")
    slider = m.page.get_by_label("Simplify")
    slider.evaluate("e => { e.value = 2; e.dispatchEvent(new Event('change')) }")
    coarse = m.until(lambda s: s["vertices"] and s["vertices"] < fine["vertices"] / 2)
    assert coarse["area"] == pytest.approx(fine["area"], rel=0.03)
    m.page.locator(".gs-panel select").select_option("grabcut")
    state = m.until(lambda s: s["model"] == "grabcut" and "phase" not in s["status"])
    assert state["area"] == pytest.approx(area("blue"), rel=0.2)
    assert metres(state["centre"], disc("blue")) < 8
    m.press("settings")
    m.press("layers")
    x, y = m.at(*disc("orange"))
    before = m.colour(x, y)
    m.page.get_by_label("Colour or grey").select_option("one")
    m.page.wait_for_timeout(1500)
    grey = m.colour(x, y)
    assert max(grey) - min(grey) < 12 < max(before) - min(before)
    m.page.get_by_label("Colour or grey").select_option("rgb")
    m.press("layers")
