"""A hostile page: what it sends on the live connection is refused, logged, and does nothing."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.widget.browser.harness import (
    DISCS,
    HERE,
    PATIENCE,
    UTM,
    MapPage,
    Server,
    lonlat,
    write_scene,
)

Open = Callable[..., MapPage]
CRS = "EPSG:32633"
STEM = "geoiseg-evil"
"""In the name of every file that a message asks for and must not get."""
REFUSED = "WARNING refused a message from the page:"
INF, NAN = math.inf, math.nan


@pytest.fixture(params=["voila", "lab"])
def server(request: pytest.FixtureRequest) -> Server:
    return request.getfixturevalue(request.param)


def disc(name: str) -> tuple[float, float]:
    return lonlat(UTM, CRS, *DISCS[name][:2])


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


CLICK = {"kind": "click", "at": [46.9, 15.0], "zoom": 16, "negative": False}
TILE = {"kind": "tile", "id": "a-1", "layer": "f0", "z": 3, "x": 0, "y": 0}
DRAG = {"kind": "drag", "box": False, "at": [[46.9, 15.0]], "zoom": 16, "negative": False}
EXPORT = {"kind": "export", "name": STEM, "format": "gpkg"}

TYPES: list[Any] = [
    None, 7, "click", [], {}, {"kind": None}, {"kind": ["click"]}, {"kind": "eval", "code": "1"},
    {"kind": "__class__"}, {**CLICK, "at": "46,15"}, {**CLICK, "at": {"lat": 1, "lng": 2}},
    {**CLICK, "at": [True, 0]}, {**CLICK, "zoom": "16"}, {**CLICK, "negative": "yes"},
    {**TILE, "z": 3.0}, {**TILE, "id": 7}, {**TILE, "id": {"$ref": "#"}}, {**DRAG, "at": 5},
    {"kind": "do", "name": "close"}, {"kind": "do", "name": "__init__"},
    {"kind": "choose", "what": "session", "name": "x"},
    {"kind": "class", "change": "drop", "name": "field"},
    {"kind": "class", "change": "colour", "name": "field", "to": "red;background:url(//x)"},
    {"kind": "layer", "layer": "../f0", "opacity": 1}, {"kind": "layer", "layer": "f", "bands": "1"},
    {"kind": "set", "what": "folder", "value": 1}, {"kind": "set", "what": "snap"},
    {"kind": "set", "what": "snap", "value": "5"}, {"kind": "set", "what": "snap", "value": True},
    {"kind": "set", "what": ["snap"], "value": 5}, {"kind": "set", "what": "snap", "value": [5]},
    {"kind": "upload", "name": "a.gpkg"},
]  # fmt: skip
RANGES: list[Any] = [
    {**CLICK, "at": [NAN, 15.0]}, {**CLICK, "at": [46.9, INF]}, {**CLICK, "at": [-INF, NAN]},
    {**CLICK, "at": [91, 0]}, {**CLICK, "at": [0, 1e308]}, {**CLICK, "at": [10**400, 0]},
    {**CLICK, "zoom": NAN}, {**CLICK, "zoom": 1e300}, {**CLICK, "zoom": -1e300},
    {**DRAG, "at": [[46.9, 15.0], [NAN, NAN]]}, {**DRAG, "box": True, "at": [[0, 0], [INF, 0]]},
    {"kind": "move", "at": [1e9, 0], "zoom": 3},
    {"kind": "view", "bounds": [[NAN, 0], [1, 1]], "zoom": 3},
    {"kind": "view", "bounds": [[1, 1], [-1, -1]], "zoom": 3},
    {"kind": "set", "what": "snap", "value": NAN}, {"kind": "set", "what": "snap", "value": INF},
    {"kind": "set", "what": "snap", "value": -1}, {"kind": "set", "what": "snap", "value": 1e6},
    {"kind": "set", "what": "snap", "value": 10**400},
    {"kind": "set", "what": "simplify", "value": NAN}, {"kind": "layer", "layer": "f", "opacity": INF},
    {"kind": "layer", "layer": "f", "stretch": [NAN, INF]},
    {"kind": "layer", "layer": "f", "bands": [10**40]},
]  # fmt: skip
IDS: list[Any] = [
    {**TILE, "id": "x" * 1_000_000}, {**TILE, "id": ""}, {**TILE, "id": "../../etc/passwd"},
    {**TILE, "layer": "no-such-layer"}, {**TILE, "x": 10**4000}, {**TILE, "x": -1},
    {**TILE, "z": 2**63}, {**TILE, "y": 2**31}, {"kind": "untile", "id": "a" * 65},
    {"kind": "do", "name": "class-" + "9" * 4000}, {"kind": "do", "name": "class--1"},
]  # fmt: skip
NAMES: list[Any] = [
    f"../../etc/{STEM}", f"../{STEM}", f"/tmp/{STEM}", f"/etc/{STEM}", f"{STEM}/../../{STEM}",
    f"..\\{STEM}", f"C:\\{STEM}", f"{STEM}\x00", f"\x00/tmp/{STEM}", f"{STEM}\n", f"~/{STEM}",
    f".{STEM}", f"file:///tmp/{STEM}", f"/vsizip//tmp/{STEM}", f"{STEM}\u202e", f"$HOME {STEM}",
    f"{STEM}.", STEM + "x" * 5000, [STEM], {"name": STEM}, None, "nul", "..", "",
]  # fmt: skip
FORMATS: list[Any] = ["py", "", None, f"gpkg/../../{STEM}", "GPKG", ["gpkg"], f"gpkg\x00{STEM}"]
LARGE: list[Any] = [
    {"kind": "x" * 4_000_000}, {"kind": "words", "text": "x" * 4_000_000},
    {"kind": "class", "change": "add", "name": "y" * 4_000_000},
    {**DRAG, "at": [[46.9, 15.0]] * 100_000},
]  # fmt: skip
DEEP = [
    f'{{"kind": {nested(depth)}}}' for depth in (50, 400, 600, 700, 800, 850, 880, 900, 920, 940)
] + [f'{{"kind": "click", "zoom": 3, "at": {nested(500)}}}', '{"a":' * 500 + "1" + "}" * 500]
TRAITS: list[Any] = [
    {"_esm": "export default { render: () => alert(1) }"}, {"tool": 7}, {"tool": "laser"},
    {"answered": "many"}, {"answered": 10**300}, {"rasters": [{"id": "x", "version": NAN}]},
    {"mask": {"png": "x", "bounds": [[NAN, INF], 7], "seq": {}}}, {"overlays": None},
    {"hotkeys": {"a": "b"}}, {"map_id": "../x"}, {"state": {"folder": "/etc"}, "status": 5},
    {"layout": "IPY_MODEL_none"}, {"_dom_classes": "x" * 1_000_000}, {"no such trait": 1}, {},
    {"comm": None, "heard": None, "tiles": None, "keys": []}, 7, None, [["tool", "laser"]],
]  # fmt: skip
ODD: list[Any] = [
    None, 7, "update", [], {}, {"method": "eval"}, {"method": None}, {"method": ["custom"]},
    {"method": "custom"}, {"method": "update"}, {"method": "__del__"},
    {"method": "update", "state": {}, "buffer_paths": [["a", 10**9, {}]]},
]  # fmt: skip


def custom(content: str) -> str:
    return f'{{"method": "custom", "content": {content}}}'


def hostile() -> list[str]:
    """Return what is sent to each of the two companions, as the JSON of the comm's data."""
    exports = [{**EXPORT, "name": name} for name in NAMES]
    exports += [{**EXPORT, "format": form} for form in FORMATS]
    contents = [json.dumps(one) for one in (*TYPES, *RANGES, *IDS, *exports, *LARGE)]
    updates = [json.dumps({"method": "update", "state": one}) for one in TRAITS]
    return [custom(one) for one in (*contents, *DEEP)] + updates + [json.dumps(o) for o in ODD]


class Attack:
    """Sends on the page's own connection, and reads what the kernel logs."""

    def __init__(self, m: MapPage, log: Path) -> None:
        self.m, self._log, self.ids = m, log, m.state["ids"]

    def tell(self, widget: str, data: str, *buffers: str) -> None:
        self.m.page.evaluate("a => tell(...a)", [self.ids[widget], data, list(buffers)])

    def logged(self, text: str) -> list[str]:
        """Return the log's lines once ``text`` is in them."""
        for _ in range(int(PATIENCE * 20)):
            lines = self._log.read_text().splitlines()
            if any(text in line for line in lines):
                return lines
            self.m.page.wait_for_timeout(50)
        raise AssertionError(f"{text} was never logged: {lines[-5:]}")

    def still(self) -> dict[str, Any]:
        """Return what the kernel holds once it has shown everything anew."""
        before = self.m.state["answered"]
        self.tell("bridge", custom('{"kind": "ready"}'))
        state = self.m.until(lambda s: s["answered"] > before and "phase" not in s["status"])
        while True:  # the buttons follow the mask
            time.sleep(0.5)
            state, earlier = self.m.state, state
            if state == earlier:
                break
        return {key: value for key, value in state.items() if key not in ("answered", "status")}


def attack(open_map: Open, server: Server, name: str) -> Attack:
    """Return a live map with a feature and an object in progress."""
    log, raster, project = (server.folder / f"{name}.{end}" for end in ("log", "tif", "gpkg"))
    write_scene(raster, CRS, UTM)
    m = open_map(
        server,
        "import logging\nfrom geoiseg.widget.segment_map import SegmentMap\n"
        f"handler = logging.FileHandler({str(log)!r})\n"
        "handler.setFormatter(logging.Formatter('%(levelname)s %(message)s'))\n"
        "logging.getLogger('geoiseg').addHandler(handler)\n"
        "logging.getLogger('geoiseg').setLevel('INFO')\n"
        f"m = SegmentMap({raster.name!r}, project={project.name!r}, classes=['field', 'water'])\n"
        "m.preview = False",
        script=HERE / "wire.js",
    )
    m.click(*disc("blue"))
    m.until(lambda s: s["centre"])
    m.key("Enter")
    m.until(lambda s: s["features"])
    m.click(*disc("sand"))
    m.until(lambda s: s["centre"] and "phase" not in s["status"])
    return Attack(m, log)


def files(*folders: Path) -> dict[Path, bytes]:
    kinds = {".gpkg", ".geojson", ".shp", ".fgb", ".parquet", ".tif", ".py"}
    return {
        path: path.read_bytes()
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file() and (path.suffix in kinds or STEM in path.name)
    }


def escaped(server: Server) -> list[Path]:
    """Return files with the hostile name wherever a message tried to put one."""
    places = [
        Path(one) for one in ("/", "/etc", "/tmp", Path.home(), Path.cwd(), Path.cwd().parent)
    ]
    places += [server.folder, *server.folder.parents]
    return [path for place in places for path in place.glob(f"*{STEM}*")]


def goes_on(m: MapPage) -> None:
    """Click, accept and look: the map is at work."""
    m.click(*disc("grey"), button="right")
    m.until(lambda s: s["steps"] == [["point", True], ["point", False]])
    m.key("2")
    m.key("Enter")
    state = m.until(lambda s: len(s["features"]) == 2)
    assert state["features"][1]["label"] == "water"
    m.page.wait_for_selector(".gs-error", state="hidden")
    m.press("zoom-in")
    m.tiles_loaded()


def test_malformed_messages_do_nothing(open_map: Open, server: Server) -> None:
    a = attack(open_map, server, "malformed")
    before, kept = a.still(), files(server.folder)
    messages = hostile()
    for widget in ("bridge", "toolbar"):
        for number, data in enumerate(messages):
            a.tell(widget, data)
            a.tell(widget, custom(f'{{"kind": "after {widget} {number}"}}'))
    lines = a.logged(f"'after toolbar {len(messages) - 1}'")
    refused = [line for line in lines if line.startswith(REFUSED)]
    assert len(lines) == len(refused), [line for line in lines if line not in refused][:5]
    for widget in ("bridge", "toolbar"):
        for number, data in enumerate(messages):
            place = next(n for n, one in enumerate(refused) if f"'after {widget} {number}'" in one)
            assert place % 2, f"not refused: {widget} {data:.100}"
    assert len(refused) == 4 * len(messages)
    assert max(map(len, refused)) < 300
    assert a.still() == before
    assert files(server.folder) == kept
    assert escaped(server) == []
    goes_on(a.m)
    # the same way in, a message as it should be: what was refused had arrived
    a.tell("toolbar", custom(json.dumps({**EXPORT, "name": "allowed", "format": "geojson"})))
    a.m.until(lambda s: "2 features written to" in s["status"]["note"])
    assert len(json.loads((server.folder / "allowed.geojson").read_text())["features"]) == 2


ASKED = {
    "outside": json.dumps({**CLICK, "at": [-90, 720]}),
    "there is no class 'x'": '{"kind": "choose", "what": "label", "name": "x"}',
    "there is no model": '{"kind": "choose", "what": "model", "name": "../../model.pt"}',
    "a class can not be renamed": '{"kind":"class","change":"rename","name":"field","to":"water"}',
    "there is no class 'y'": '{"kind":"class","change":"colour","name":"y","to":"#000000"}',
    "no layer": '{"kind": "layer", "layer": "nowhere", "opacity": 0.5}',
    "choose another name": '{"kind": "export", "name": "precious", "format": "gpkg"}',
    "not in the vocabulary": '{"kind": "words", "text": "\'; drop table features; --"}',
}
"""Well-formed, and impossible: what is logged and shown, and what asks for it."""
UPLOADS = {
    "is no GeoPackage": "<OGRVRTDataSource><OGRVRTLayer name='x'/></OGRVRTDataSource>",
    "can not be read as a vector layer": '{"type": "FeatureCollection", "features": 7}',
    "a Point, not a polygon": '{"type":"Feature","geometry":{"type":"Point","coordinates":[0,0]}}',
    "can not be read as a vector layer: maximum": '{"type": "Polygon", "coordinates": '
    + nested(100_000)
    + "}",
}
"""What is logged and shown of a file, and its content."""


def test_impossible_wishes_and_unreadable_floods_do_nothing(open_map: Open, server: Server) -> None:
    a = attack(open_map, server, "impossible")
    precious = server.folder / "precious.gpkg"
    precious.write_text("mine")
    before, kept = a.still(), files(server.folder)
    for expected, content in ASKED.items():
        a.tell("toolbar", custom(content))
        a.logged(f"INFO {expected}" if expected.startswith("there") else expected)
    for expected, content in UPLOADS.items():
        a.tell("toolbar", custom('{"kind": "upload", "name": "layer.gpkg"}'), content)
        a.logged(expected)
    for widget in ("bridge", "toolbar", "map", "box"):  # what the kernel can not even read
        for data in ("", "{", nested(200_000), f'{{"method": {nested(100_000)}}}', "1" * 100_000):
            a.tell(widget, data)
    for widget in ("map", "box"):  # ipyleaflet's and ipywidgets' own, which check types
        for state in (7, None,
                      {"tool": "laser"}, {"label": "x"}, {"model": "x"}, {"folder": "/etc"},
                      {"session": None}, {"_error": "x"}):  # fmt: skip
            a.tell(widget, json.dumps({"method": "update", "state": state}))
        a.tell(widget, custom('{"event": "interaction", "type": 7, "coordinates": "x"}'))
        a.tell(widget, custom("7"))
    a.tell("toolbar", custom('{"kind": "the last"}'))
    a.logged("'the last'")
    assert a.still() == before
    assert files(server.folder) == kept
    assert escaped(server) == []
    goes_on(a.m)
