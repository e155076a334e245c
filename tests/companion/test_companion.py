"""The companion: a process that is asked through a pipe, and leaves nothing open."""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.features import rasterize

from geoiseg import Session, __version__
from geoiseg.companion import PROTOCOL
from geoiseg.companion.fields import Fields
from geoiseg.companion.pipe import Pipe, RequestError
from geoiseg.companion.plugin_zip import PLUGIN
from geoiseg.companion.service import Service
from tests.conftest import Disk, disk_pixels, needed, write_raster


class Companion:
    """A process on the other end of two pipes."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-m", "geoiseg.companion"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.hello = self.read()
        self.number = 0
        self.progress: list[dict[str, Any]] = []

    def read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise EOFError
        return dict(json.loads(line))

    def write(self, data: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def send(self, do: str, **params: Any) -> int:
        self.number += 1
        message = {"id": self.number, "do": do, "params": params}
        self.write(json.dumps(message).encode() + b"\n")
        return self.number

    def cancel(self, number: int) -> None:
        self.write(json.dumps({"id": number, "do": "cancel"}).encode() + b"\n")

    def answer(self, number: int) -> dict[str, Any]:
        self.progress = []
        while True:
            message = self.read()
            if "progress" in message:
                self.progress.append(message)
            elif message["id"] == number:
                return message

    def ask(self, do: str, **params: Any) -> dict[str, Any]:
        message = self.answer(self.send(do, **params))
        assert "result" in message, message
        return dict(message["result"])

    def error(self, do: str, **params: Any) -> dict[str, Any]:
        message = self.answer(self.send(do, **params))
        assert "error" in message, message
        return dict(message["error"])

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()


@pytest.fixture
def companions() -> Iterator[Callable[[], Companion]]:
    made: list[Companion] = []

    def make() -> Companion:
        made.append(Companion())
        return made[-1]

    yield make
    for one in made:
        one.end()


def point(xy: tuple[float, float], positive: bool = True) -> dict[str, Any]:
    return {"prompts": [{"kind": "point", "xy": list(xy), "positive": positive}]}


def box(*corners: float) -> dict[str, Any]:
    return {"prompts": [{"kind": "box", "box": list(corners)}]}


def shape(result: dict[str, Any]) -> Any:
    return shapely.from_wkb(result["wkb"])


def iou(geometry: Any, disk: Disk) -> float:
    found = rasterize([geometry], disk.truth.shape, transform=disk.transform).astype(bool)
    return float((found & disk.truth).sum() / (found | disk.truth).sum())


def test_says_hello_and_ends_with_its_input(companions: Callable[[], Companion]) -> None:
    one = companions()
    assert one.hello["hello"] == PROTOCOL
    assert one.hello["version"] == __version__
    assert one.hello["pid"] == one.process.pid
    assert one.ask("models")["models"][0] == "tiny"
    assert one.process.stdin is not None
    one.process.stdin.close()
    assert one.process.wait(30) == 0


def test_answers_as_a_session_does(companions: Callable[[], Companion], disk: Disk) -> None:
    one, raster = companions(), str(disk.path)
    facts = one.ask("open", raster=raster)
    assert facts["shape"] == [200, 200]
    assert facts["gsd"] == pytest.approx(2, rel=1e-3)
    steps = [point(disk.centre), point(disk.outside, positive=False)]
    first = one.ask("object", raster=raster, steps=steps[:1])
    assert {"reading", "encoding", "decoding"} <= {message["text"] for message in one.progress}
    both = one.ask("object", raster=raster, steps=steps)
    session = Session(disk.path)
    session.add_point(*disk.centre)
    assert shape(first).equals_exact(session.geometry, 0)
    session.add_point(*disk.outside, positive=False)
    assert shape(both).equals_exact(session.geometry, 0)
    assert both["area_m2"] == session.geometry.area
    around = session.geometry.length
    assert both["compactness"] == pytest.approx(4 * np.pi * both["area_m2"] / around**2)
    assert both["score"] == pytest.approx(session.mask.score)
    assert iou(shape(both), disk) > 0.95
    again = one.ask("object", raster=raster, steps=steps[:1])  # undo is a shorter list
    assert again["wkb"] == first["wkb"]
    assert one.ask("object", raster=raster, steps=steps[1:])["wkb"] is None
    assert one.ask("object", raster=raster, steps=[])["wkb"] is None
    simple = one.ask("object", raster=raster, steps=steps[:1], simplify=1.5)
    assert shapely.get_num_coordinates(shape(simple)) < shapely.get_num_coordinates(shape(first))


def test_a_new_process_gives_the_same(companions: Callable[[], Companion], disk: Disk) -> None:
    steps = [point(disk.centre), point((disk.centre[0] + 30, disk.centre[1]))]
    one, raster = companions(), str(disk.path)
    one.ask("object", raster=raster, steps=steps[:1])
    before = one.ask("object", raster=raster, steps=steps)
    os.kill(one.process.pid, signal.SIGKILL)
    assert one.process.wait(30) == -signal.SIGKILL
    after = companions().ask("object", raster=raster, steps=steps)
    assert after["wkb"] == before["wkb"]


def test_suggests_a_place_on_the_raster(companions: Callable[[], Companion], disk: Disk) -> None:
    one = companions()
    assert one.ask("suggest", raster=str(disk.path), steps=[])["at"] is None
    place = one.ask("suggest", raster=str(disk.path), steps=[point(disk.centre)])["at"]
    if place is not None:
        x, y = ~disk.transform @ tuple(place)
        assert 0 <= x <= 200
        assert 0 <= y <= 200


def test_opens_no_socket(companions: Callable[[], Companion], disk: Disk) -> None:
    psutil = needed("psutil")
    one = companions()
    one.ask("object", raster=str(disk.path), steps=[point(disk.centre)])
    process = psutil.Process(one.process.pid)
    everything = [process, *process.children(recursive=True)]
    assert [link for each in everything for link in each.net_connections("all")] == []


def test_a_request_can_be_called_off(companions: Callable[[], Companion], disk: Disk) -> None:
    one = companions()
    steps = [point(disk.centre)]
    numbers = [one.send("object", raster=str(disk.path), steps=steps) for _ in range(3)]
    one.cancel(numbers[1])
    assert "result" in one.answer(numbers[0])
    assert one.answer(numbers[1])["error"]["kind"] == "CancelledError"
    assert "result" in one.answer(numbers[2])


@pytest.mark.parametrize(
    ("do", "params", "kind", "words"),
    [
        ("fly", {}, "RequestError", "'fly'"),
        ("object", {}, "RequestError", "raster is missing"),
        ("object", {"raster": 3}, "RequestError", "raster is a text, got 3"),
        ("object", {"raster": "nowhere.tif", "steps": []}, "RasterError", "nowhere.tif"),
        ("object", {"raster": "DISK", "model": "no"}, "UnknownModelError", "'no'"),
        ("object", {"raster": "DISK", "steps": [point((0, 0))]}, "PromptError", "outside"),
        ("object", {"raster": "DISK", "steps": [{}]}, "RequestError", "a step has prompts"),
        ("object", {"raster": "DISK", "steps": [{"prompts": [1]}]}, "RequestError", "got 1"),
        ("object", {"raster": "DISK", "stps": []}, "RequestError", "'stps'"),
        ("clean", {"input": "no.gpkg", "out": "OUT"}, "ProjectError", "no.gpkg does not exist"),
        ("clean", {"input": "no.gpkg", "out": "o.tif"}, "ExportError", "o.tif"),
        ("map", {"raster": "DISK", "out": "o.shp"}, "ExportError", "o.shp"),
    ],
)
def test_mistakes_are_told_in_one_line(
    do: str, params: dict[str, Any], kind: str, words: str, disk: Disk, tmp_path: Path
) -> None:
    named = {"DISK": str(disk.path), "OUT": str(tmp_path / "o.gpkg")}
    given = {key: named.get(v, v) if isinstance(v, str) else v for key, v in params.items()}
    error = answers({"id": 1, "do": do, "params": given})[-1]["error"]
    assert error["kind"] == kind
    assert words in error["text"]
    assert "\n" not in error["text"]


def answers(*requests: Any) -> list[dict[str, Any]]:
    """Return what a service in this process says to some requests."""
    lines = b"".join(
        r if isinstance(r, bytes) else json.dumps(r).encode() + b"\n" for r in requests
    )
    out = io.BytesIO()
    service = Service(Pipe(io.BytesIO(lines), out))
    service.run()
    while service.busy:
        pass
    return [json.loads(line) for line in out.getvalue().splitlines()]


@given(st.one_of(st.binary(max_size=60), st.text(max_size=40).map(str.encode)))
@settings(max_examples=60, deadline=None)
def test_nonsense_is_answered_and_what_follows_too(data: bytes) -> None:
    line = data.replace(b"\n", b" ") + b"\n"
    said = answers(line, {"id": 7, "do": "fly"})
    assert said[0]["hello"] == PROTOCOL
    assert said[-1]["id"] == 7
    assert all("error" in message for message in said[1:])


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists, max_leaves=5))
def test_fields_are_what_they_must_be_or_refused(value: Any) -> None:
    with contextlib.suppress(RequestError):
        assert isinstance(Fields({"a": value}).text("a"), str)
    with contextlib.suppress(RequestError):
        assert np.isfinite(Fields({"a": value}).number("a"))
    with contextlib.suppress(RequestError):
        assert isinstance(Fields({"a": value}).whole("a"), int)
    with contextlib.suppress(RequestError):
        assert all(isinstance(n, int) for n in Fields({"a": value}).numbers("a"))


def test_jobs_write_what_the_commands_write(
    companions: Callable[[], Companion], disk: Disk, tmp_path: Path
) -> None:
    one = companions()
    prompts = gpd.GeoDataFrame(
        {"label": ["pond"], "owner": ["ö"]}, geometry=[shapely.Point(disk.centre)], crs="EPSG:32631"
    )
    prompts.to_crs(4326).to_file(tmp_path / "prompts.gpkg")
    out = str(tmp_path / "objects.gpkg")
    done = one.ask(
        "segment", raster=str(disk.path), prompts=str(tmp_path / "prompts.gpkg"), out=out
    )
    assert (done["found"], done["objects"], done["problems"]) == (1, 1, [])
    made = gpd.read_file(out, layer="features")
    assert made.loc[0, ["label", "owner"]].tolist() == ["pond", "ö"]
    assert iou(made.geometry[0], disk) > 0.95
    done = one.ask("map", raster=str(disk.path), out=str(tmp_path / "map.gpkg"), label="thing")
    shares = [message["progress"] for message in one.progress]
    assert shares[-1] == 1
    assert shares == sorted(shares)
    mapped = gpd.read_file(tmp_path / "map.gpkg", layer="features")
    assert len(mapped) == done["objects"] > 0
    assert set(mapped["label"]) == {"thing"}
    done = one.ask("clean", input=str(tmp_path / "map.gpkg"), out=str(tmp_path / "clean.gpkg"))
    cleaned = gpd.read_file(tmp_path / "clean.gpkg", layer="features")
    assert len(cleaned) == done["features"] == len(mapped)
    assert shapely.coverage_is_valid(shapely.get_parts(cleaned.geometry.to_numpy()))
    done = one.ask("shoreline", input=out, out=str(tmp_path / "shore.shp"))
    shore = gpd.read_file(tmp_path / "shore.shp")
    assert done["lines"] == len(shore)
    assert done["length_m"] == pytest.approx(made.geometry[0].length)


def test_a_job_goes_on_where_a_killed_process_left_it(
    companions: Callable[[], Companion], tmp_path: Path
) -> None:
    pixels = np.tile(disk_pixels()[0], (1, 3, 3))
    raster = str(write_raster(tmp_path / "disks.tif", pixels))
    how: dict[str, Any] = {"raster": raster, "window": 256, "tile": 256, "overlap": 64}
    how |= {"spacing": 100, "scales": [2]}
    whole = companions().ask("map", out=str(tmp_path / "whole.gpkg"), **how)
    first, second = companions(), companions()
    out = str(tmp_path / "map.gpkg")
    number = first.send("map", out=out, **how)
    while (first.read().get("progress") or 0) == 0:
        pass
    os.kill(first.process.pid, signal.SIGKILL)
    first.process.wait(30)
    assert not Path(out).exists()
    again = second.ask("map", out=out, again=True, **how)
    shares = [message["progress"] for message in second.progress if message["progress"]]
    assert shares[0] > 0  # what was done was not done again
    assert again["objects"] == whole["objects"] == 9
    assert number == 1
    frames = [
        gpd.read_file(tmp_path / name, layer="features") for name in ("map.gpkg", "whole.gpkg")
    ]
    assert frames[0].geometry.geom_equals(frames[1].geometry).all()


def test_a_map_that_is_called_off_is_gone_on_with(
    companions: Callable[[], Companion], tmp_path: Path
) -> None:
    raster = write_raster(tmp_path / "disks.tif", np.tile(disk_pixels()[0], (1, 3, 3)))
    out = str(tmp_path / "map.gpkg")
    how: dict[str, Any] = {"raster": str(raster), "out": out, "window": 256, "tile": 256}
    how |= {"overlap": 64, "spacing": 100, "scales": [2]}
    one = companions()
    number = one.send("map", **how)
    while not (shown := one.read()).get("progress"):
        pass
    assert 0 < shown["progress"] < 1
    assert re.fullmatch(r"[\d.]+ of [\d.]+ Mpx, \d done, [\d:]+ left", shown["text"])
    one.cancel(number)
    assert one.answer(number)["error"] == {"kind": "CancelledError", "text": "stopped"}
    reached = max([shown["progress"], *(message["progress"] for message in one.progress)])
    assert not Path(out).exists()
    done = one.ask("map", resume=True, **how)
    shares = [message["progress"] for message in one.progress]
    assert shares[0] == 0  # the raster is opened
    assert shares[1] == reached
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert done["objects"] == 9


WITHOUT = """
import io, json, sys, threading
absent = set(json.loads(sys.argv[1])) - set(sys.modules)
class Without:
    def __init__(self, finder):
        self.finder = finder
    def __getattr__(self, name):
        return getattr(self.finder, name)
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in absent:
            return self.finder.find_spec(name, path, target)
sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]
from geoiseg.companion.pipe import Pipe
from geoiseg.companion.service import Service
out = io.BytesIO()
service = Service(Pipe(sys.stdin.buffer, out))
service.run()
while service.busy:
    threading.Event().wait(0.05)
sys.stdout.write(out.getvalue().decode())
"""
"""Serves with some packages as if they were not installed."""

LEFT_OUT = {"scipy", "skimage", "lazy_loader", "pyogrio"}
"""What geoiseg needs elsewhere, and the plugin's environment has to do without."""


def test_needs_what_the_plugin_asks_for_and_nothing_else(disk: Disk, tmp_path: Path) -> None:
    """The environment of ``requirements.txt`` is enough: no notebook, no widgets, no frameworks."""
    near, far = (shapely.Point(disk.centre).buffer(size) for size in (60, 70))
    shores = gpd.GeoDataFrame(
        {"date": ["2015-07-31", "2019-07-31", "2023-07-31"]},
        geometry=[near, far, far.buffer(12)], crs="EPSG:32631",
    )  # fmt: skip
    shores.to_file(tmp_path / "shores.gpkg")
    shores.iloc[:1].to_file(tmp_path / "pond.gpkg")
    requests = [
        ("models", {}),
        ("object", {"raster": str(disk.path), "steps": [point(disk.centre)]}),
        ("suggest", {"raster": str(disk.path), "steps": [point(disk.centre)]}),
        ("map", {"raster": str(disk.path), "out": str(tmp_path / "map.gpkg")}),
        ("map", {"raster": str(disk.path), "out": str(tmp_path / "like.gpkg"),
                 "like": str(tmp_path / "map.gpkg")}),
        ("clean", {"input": str(tmp_path / "map.gpkg"), "out": str(tmp_path / "clean.gpkg")}),
        ("shoreline", {"input": str(tmp_path / "map.gpkg"), "out": str(tmp_path / "line.gpkg")}),
        ("segment", {"raster": str(disk.path), "prompts": str(tmp_path / "clean.gpkg"),
                     "out": str(tmp_path / "again.gpkg")}),
        ("map", {"raster": str(disk.path), "out": str(tmp_path / "words.gpkg"),
                 "text": "field", "threshold": 0.01}),
        ("shoreline", {"input": str(tmp_path / "shores.gpkg"), "spacing": 20, "length": 100,
                       "out": str(tmp_path / "transects.gpkg")}),
        ("shoreline", {"input": str(tmp_path / "pond.gpkg"), "centre": True,
                       "out": str(tmp_path / "centre.gpkg")}),
        ("object", {"raster": str(disk.path), "steps": [box(*near.bounds)]}),
        ("object", {"raster": str(disk.path), "steps": [point(disk.centre)],
                    "model": "superpixel-walk"}),
    ]  # fmt: skip
    wanted = {
        re.split(r"[<>=~ ]", line)[0].lower().replace("_", "-")
        for line in (PLUGIN / "requirements.txt").read_text().splitlines()
        if line and not line.startswith("#")
    }
    owners = importlib.metadata.packages_distributions()
    absent = {
        name
        for name, owned in owners.items()
        if not {owner.lower().replace("_", "-") for owner in owned} & {*wanted, "geoiseg"}
    }
    assert {"ipyleaflet", "ipywidgets", "anywidget", "PIL", *LEFT_OUT} <= absent
    lines = "".join(
        json.dumps({"id": n, "do": do, "params": params}) + "\n"
        for n, (do, params) in enumerate(requests, 1)
    )
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, json.dumps(sorted(absent))],
        input=lines, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = [json.loads(line) for line in done.stdout.splitlines()]
    wrong = [message["error"]["text"] for message in said if "error" in message]
    assert wrong == ["this needs scipy, which is not installed; run: pip install scipy"]
    results = {message["id"]: message["result"] for message in said if "result" in message}
    assert sorted(results) == list(range(1, len(requests)))
    assert results[1]["models"][:2] == ["tiny", "grabcut"]
    assert not {"superpixel-walk", "graphcut", "random-walker"} & {*results[1]["models"]}
    assert results[9]["objects"] > 0
    assert results[10]["measured"] == results[10]["transects"] > 0
    rates = gpd.read_file(tmp_path / "transects.gpkg")
    assert rates["lci95"].notna().all()
    assert results[11]["lines"] == len(gpd.read_file(tmp_path / "centre.gpkg")) > 0
    assert iou(shape(results[12]), disk) > 0.9
