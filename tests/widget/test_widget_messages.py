"""What the page may say: every malformed or hostile message is refused."""

from __future__ import annotations

import logging
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoiseg.widget.channel.actions import ACTIONS, hotkeys
from geoiseg.widget.channel.bridge import Bridge, TileService
from geoiseg.widget.channel.messages import (
    MAX_UPLOAD,
    Choose,
    Click,
    Drag,
    Export,
    LayerChange,
    MessageError,
    SetNumber,
    TileRequest,
    Upload,
    VertexChange,
    View,
    parse,
)  # fmt: skip
from geoiseg.widget.channel.toolbar import Toolbar

CLICK = {"kind": "click", "at": [46.5, 15.0], "zoom": 16, "negative": False}
TILE = {"kind": "tile", "id": "a-1", "layer": "f0", "z": 3, "x": 7, "y": 0}


def test_good_messages_become_values() -> None:
    assert parse(CLICK) == Click((46.5, 15.0), 16.0, negative=False)
    assert parse(TILE) == TileRequest("a-1", "f0", 3, 7, 0)
    drag = {"kind": "drag", "box": True, "at": [[1, 2], [3, 4]], "zoom": 9.5, "negative": False}
    assert parse(drag) == Drag(True, ((1.0, 2.0), (3.0, 4.0)), 9.5, negative=False)
    assert parse({"kind": "view", "bounds": [[-1, -2], [1, 2]], "zoom": 3}) == View(-1, -2, 1, 2, 3)
    assert parse({"kind": "set", "what": "snap", "value": 5}) == SetNumber("snap", 5.0)
    assert parse({"kind": "set", "what": "brush", "value": 2.5}) == SetNumber("brush", 2.5)
    assert parse({"kind": "set", "what": "grow", "value": -3e5}) == SetNumber("grow", -3e5)
    assert parse({"kind": "set", "what": "holes", "value": 4e14, "accepted": True}) == SetNumber(
        "holes", 4e14, accepted=True
    )  # of pixels as large as those of a climate model
    vertex = {"kind": "vertex", "what": "move", "at": [46.5, 15.0], "to": [46.6, 15.1]}
    assert parse(vertex) == VertexChange("move", (46.5, 15.0), (46.6, 15.1))
    assert parse({**vertex, "what": "add", "to": None}) == VertexChange("add", (46.5, 15.0), None)
    assert parse({"kind": "choose", "what": "tool", "name": "eraser"}) == Choose("tool", "eraser")
    assert parse({"kind": "export", "name": "my fields", "format": "gpkg"}) == Export(
        "my fields", "gpkg"
    )
    assert parse({"kind": "layer", "layer": "f0", "bands": [3, 2, 1]}) == LayerChange(
        "f0", bands=(3, 2, 1)
    )
    assert parse({"kind": "upload", "name": "a.gpkg"}, [memoryview(b"abc")]) == Upload(
        "a.gpkg", b"abc"
    )


@pytest.mark.parametrize(
    "change",
    [
        {"at": [91, 0]}, {"at": [0, 1e9]}, {"at": [math.nan, 0]}, {"at": [0, math.inf]},
        {"at": ["46", 15]}, {"at": [46]}, {"at": None}, {"at": {"lat": 1}}, {"at": [True, 0]},
        {"zoom": "16"}, {"zoom": 1e6}, {"zoom": None}, {"negative": "yes"}, {"negative": 1},
        {"at": [10**400, 0]},
    ],
)  # fmt: skip
def test_bad_clicks_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(MessageError):
        parse({**CLICK, **change})


@pytest.mark.parametrize(
    "change",
    [
        {"id": "x" * 65}, {"id": ""}, {"id": 7}, {"id": "../etc"}, {"id": "a b"}, {"layer": None},
        {"z": 31}, {"z": -1}, {"z": 3.0}, {"z": True}, {"x": 8}, {"x": -1}, {"y": 10**30},
        {"y": "0"},
    ],
)  # fmt: skip
def test_bad_tile_requests_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(MessageError):
        parse({**TILE, **change})


@pytest.mark.parametrize(
    "name",
    [
        "../secret", "/etc/passwd", "a/b", "a\\b", "..", ".hidden", "", " ", "x" * 61, "a\x00b",
        "a\nb", "C:evil", "nul", "COM1", "name.", "~/x", "$HOME", 7, None, ["a"], "a\u202eb",
    ],
)  # fmt: skip
def test_no_path_gets_into_the_name_of_an_export(name: Any) -> None:
    with pytest.raises(MessageError):
        parse({"kind": "export", "name": name, "format": "gpkg"})


@pytest.mark.parametrize(
    "message",
    [
        None, 7, "click", [], {}, {"kind": None}, {"kind": "eval"}, {"kind": ["click"]},
        {"kind": {}}, {"kind": "do", "name": "close"}, {"kind": "do", "name": "__init__"},
        {"kind": "do", "name": "class--1"}, {"kind": "do", "name": "class-100"},
        {"kind": "do", "name": ["undo"]},
        {"kind": "choose", "what": "session", "name": "x"},
        {"kind": "choose", "what": "tool", "name": "laser"},
        {"kind": "choose", "what": "model", "name": "x" * 500},
        {"kind": "class", "change": "add", "name": "\x1b[31m"},
        {"kind": "class", "change": "colour", "name": "a", "to": "red;background:url(x)"},
        {"kind": "class", "change": "drop", "name": "a"},
        {"kind": "set", "what": "simplify", "value": 1e9},
        {"kind": "set", "what": "folder", "value": 1},
        {"kind": "set", "what": "snap", "value": -1}, {"kind": "set", "what": "snap", "value": "5"},
        {"kind": "set", "what": "snap", "value": 100_001}, {"kind": "set", "what": "snap"},
        {"kind": "set", "what": "snap", "value": math.nan}, {"kind": "set", "what": "__class__"},
        {"kind": "set", "what": "grow", "value": -2e6}, {"kind": "set", "what": "holes", "value": -1},
        {"kind": "set", "what": "brush", "value": math.inf},
        {"kind": "set", "what": "parts", "value": 1, "accepted": "all"},
        {"kind": "vertex", "what": "move", "at": [0, 0]},
        {"kind": "vertex", "what": "split", "at": [0, 0]},
        {"kind": "vertex", "what": "add", "at": [0, 0], "to": [0, math.nan]},
        {"kind": "vertex", "what": "delete", "at": [[0, 0]]}, {"kind": "vertex", "what": ["move"]},
        {"kind": "layer", "layer": "f", "bands": [1, 2]},
        {"kind": "layer", "layer": "f", "bands": [0]},
        {"kind": "layer", "layer": "f", "bands": "123"},
        {"kind": "layer", "layer": "f", "stretch": [5, 5]},
        {"kind": "layer", "layer": "f", "stretch": [0, math.nan]},
        {"kind": "layer", "layer": "f", "opacity": 2},
        {"kind": "words", "text": "x" * 501}, {"kind": "words", "text": 5},
        {"kind": "drag", "box": True, "at": [[0, 0]], "zoom": 3},
        {"kind": "drag", "box": False, "at": [[0, 0]] * 5000, "zoom": 3},
        {"kind": "drag", "box": False, "at": [], "zoom": 3},
        {"kind": "view", "bounds": [[1, 1], [0, 0]], "zoom": 3},
        {"kind": "upload", "name": "a"},
        {"kind": "x" * 5_000_000}, {"kind": "words", "text": "x" * 5_000_000},
        {"kind": "export", "name": ["../x"] * 5_000_000, "format": "gpkg"},
    ],
)  # fmt: skip
def test_other_malformed_messages_are_refused(message: Any) -> None:
    with pytest.raises(MessageError):
        parse(message)


def test_what_is_refused_is_quoted_in_short() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    for value in (deep, {"a": deep}, "x" * 5_000_000, "a\n\x1b[31m\u202e", list(range(10**6))):
        for message in ({"kind": value}, {**CLICK, "at": value}, {**CLICK, "zoom": value},
                        {"kind": "export", "name": value, "format": "gpkg"}):  # fmt: skip
            with pytest.raises(MessageError) as caught:
                parse(message)
            assert len(str(caught.value)) < 200
            assert str(caught.value).isprintable()


@pytest.mark.parametrize("widget", [Bridge, Toolbar])
@pytest.mark.parametrize(
    "data",
    [
        None, 7, "update", [], {}, {"method": None}, {"method": "eval"}, {"method": ["update"]},
        {"method": "custom"}, {"method": "update"}, {"method": "update", "state": 7},
        {"method": "update", "state": {"_esm": "export default {}", "status": {"error": "owned"}}},
        {"method": "update", "state": {"tool": 7, "answered": "many", "_dom_classes": 3}},
        {"method": "update", "state": {"layout": "IPY_MODEL_x"}, "buffer_paths": [["a", "b"]]},
        {"method": "custom", "content": None}, {"method": "custom", "content": {"kind": "?"}},
    ],
)  # fmt: skip
def test_the_page_can_not_change_the_widgets_themselves(
    widget: type[Any], data: Any, caplog: pytest.LogCaptureFixture
) -> None:
    made = widget()
    heard: list[Any] = []
    made.heard = heard.append
    before = made.get_state()
    with caplog.at_level(logging.WARNING, "geoiseg"):
        made.comm.handle_msg({"content": {"comm_id": made.model_id, "data": data}, "buffers": []})
    assert made.get_state() == before
    assert heard == []
    assert [record.message.split(":")[0] for record in caplog.records] == [
        "refused a message from the page"
    ]
    made.close()


def test_uploads_are_bounded() -> None:
    with pytest.raises(MessageError, match="no folder"):
        parse({"kind": "upload", "name": "../../etc/x.geojson"}, [b"{}"])
    with pytest.raises(MessageError, match="MiB"):
        parse({"kind": "upload", "name": "a"}, [bytearray(MAX_UPLOAD + 1)])
    with pytest.raises(MessageError):
        parse({"kind": "upload", "name": "a"}, [b""])
    with pytest.raises(MessageError):
        parse({"kind": "upload", "name": "a"}, [b"a", b"b"])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=12,
)
KINDS = [
    "tile", "untile", "view", "click", "move", "drag", "vertex", "do", "choose", "class", "set", "layer",
    "look", "words", "export", "upload", "ready",
]  # fmt: skip
FIELDS = ["id", "layer", "z", "x", "y", "at", "zoom", "negative", "box", "name", "what", "change",
          "to", "value", "bands", "stretch", "opacity", "visible", "text", "format", "bounds",
          "composite", "auto", "percent", "gamma", "ramp", "linked", "accepted", "action"]  # fmt: skip


@given(st.sampled_from(KINDS), st.dictionaries(st.sampled_from(FIELDS), JSON))
@settings(max_examples=400, deadline=None)
def test_any_message_is_taken_or_refused_and_nothing_else(
    kind: str, fields: dict[str, Any]
) -> None:
    refused = ""
    try:
        parse({**fields, "kind": kind})
    except MessageError as error:
        refused = str(error)
    assert len(refused) < 400


def test_refused_messages_are_logged_and_go_no_further(caplog: pytest.LogCaptureFixture) -> None:
    bridge = Bridge()
    heard: list[Any] = []
    bridge.heard = heard.append
    with caplog.at_level(logging.WARNING, "geoiseg"):
        bridge.receive(None, {"kind": "export", "name": "../../x", "format": "gpkg"}, [])
        bridge.receive(None, {**TILE, "layer": "unknown"}, [])
        bridge.receive(None, "rubbish", None)
    assert heard == []
    assert [record.message.split(":")[0] for record in caplog.records] == [
        "refused a message from the page"
    ] * 3
    bridge.receive(None, CLICK, [])
    assert len(heard) == 1
    bridge.close()


def test_tiles_are_answered_cancelled_and_bounded() -> None:
    import threading

    gate, sent = threading.Event(), []
    answered = threading.Semaphore(0)

    def send(content: dict[str, Any], buffers: list[bytes]) -> None:
        sent.append((content, buffers))
        answered.release()

    service = TileService(send)

    def render(z: int, x: int, y: int) -> tuple[bytes | None, str]:
        gate.wait(10)
        if y == 1:
            raise OSError("the disk is gone")
        return (f"{z}/{x}/{y}".encode(), "image/png") if y == 0 else (None, "")

    service.serve("f0", render)
    failures: list[Exception] = []
    service.failed = failures.append
    busy = [TileRequest(f"busy-{n}", "f0", 9, n, 0) for n in range(3)]
    for tile in busy:
        service.request(tile)  # these take the threads
    while service._waiting:
        pass
    for tile in (TileRequest("a", "f0", 5, 1, 0), TileRequest("b", "f0", 5, 1, 1),
                 TileRequest("c", "f0", 5, 1, 2), TileRequest("d", "f0", 5, 2, 0)):  # fmt: skip
        service.request(tile)
    service.cancel("d")
    service.cancel("never asked for")
    gate.set()
    for _ in range(6):
        assert answered.acquire(timeout=10)
    by_id = {content["id"]: (content, buffers) for content, buffers in sent}
    assert by_id["a"][1] == [b"5/1/0"]
    assert by_id["a"][0]["mime"] == "image/png"
    assert by_id["b"][0]["failed"] is True
    assert by_id["c"][1] == []
    assert "d" not in by_id
    assert [str(error) for error in failures] == ["the disk is gone"]

    gate.clear()
    with pytest.raises(MessageError, match="wait already"):
        for n in range(5000):
            service.request(TileRequest(f"flood-{n}", "f0", 20, n, 0))
    gate.set()
    service.close()


def test_every_tool_and_command_has_a_title_and_no_key_has_two_meanings() -> None:
    combos = [combo for action in ACTIONS.values() for combo in action.combos]
    assert len(combos) == len(set(combos))
    assert not set(combos) & {str(n) for n in range(1, 10)}
    assert all(action.title for action in ACTIONS.values())
    assert hotkeys()["ctrl+shift+z"] == "redo"
    assert hotkeys()["9"] == "class-8"
    assert ACTIONS["undo"].keys_text == "Ctrl+Z"
