"""The Model Context Protocol server, with the official client over real pipes."""

from __future__ import annotations

import base64
import json
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import cv2
import geopandas as gpd
import numpy as np
import pytest
import shapely

from geoiseg.companion.spoken.desk import Desk
from geoiseg.companion.spoken.picture import view_of
from geoiseg.errors import PromptError, SessionError
from geoiseg.raster import open_raster
from tests.conftest import needed, write_raster

CENTRE = (500_000 + 2 * 80.0, 4_500_000 - 2 * 100.0)
"""Of the disc, in the raster's CRS."""


def scene(path: Path) -> Path:
    """Write a bright disc with a radius of 40 pixels of 2 m on dark ground."""
    y, x = np.mgrid[:200, :240] + 0.5
    noise = np.random.default_rng(0).normal(0, 4, (3, 200, 240))
    disc = np.hypot(x - 80, y - 100) < 40
    write_raster(path, np.clip(np.where(disc, 200, 60) + noise, 1, 255).astype(np.uint8))
    return path


def speaking(talk: Callable[[Any], Awaitable[None]]) -> None:
    """Have a talk with a server that was started as the program of a user would start it."""
    needed("mcp")
    import anyio
    from mcp import Client, StdioServerParameters

    server = StdioServerParameters(
        command=sys.executable, args=["-m", "geoiseg", "serve", "--stdio"], env=dict(os.environ)
    )

    async def run() -> None:
        async with Client(server) as client:
            await talk(client)

    anyio.run(run)


async def ask(client: Any, tool: str, **how: Any) -> Any:
    answer = await client.call_tool(tool, how)
    text = answer.content[-1].text
    assert not answer.is_error, text
    return json.loads(text)


def test_a_program_segments_by_tools(tmp_path: Path) -> None:
    raster, out = scene(tmp_path / "disc.tif"), tmp_path / "discs.gpkg"
    disc = shapely.Point(*CENTRE).buffer(80)

    async def talk(client: Any) -> None:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert {"open_raster", "picture", "add_point", "accept", "export"} <= set(tools)
        assert all(tool.description for tool in tools.values())
        early = await client.call_tool("add_point", {"x": 1.0, "y": 2.0})
        assert early.is_error
        assert "call open_raster first" in early.content[0].text
        project = str(tmp_path / "work.gpkg")
        facts = await ask(client, "open_raster", path=str(raster), project=project)
        assert (facts["width"], facts["height"], facts["crs"]) == (240, 200, "EPSG:32631")
        picture = await client.call_tool("picture", {"width": 480})
        image, told = picture.content
        assert image.mime_type == "image/png"
        pixels = cv2.imdecode(np.frombuffer(base64.b64decode(image.data), np.uint8), 1)
        assert pixels.shape == (400, 480, 3)
        assert json.loads(told.text)["upper_left"] == [500_000, 4_500_000]
        state = await ask(client, "add_point", x=160.0, y=200.0, crs="picture")
        assert state["object"]["area_m2"] == pytest.approx(disc.area, rel=0.1)
        far = await client.call_tool("add_point", {"x": 0.0, "y": 0.0})
        assert far.is_error
        assert "\n" not in far.content[0].text
        said = await ask(client, "accept", label="disc", attributes={"seen": "yes"})
        assert said["attributes"] == {"seen": "yes"}
        assert shapely.geometry.shape(said["geometry"]).intersection(disc).area > 0.9 * disc.area
        listed = await ask(client, "list_objects")
        assert [one["label"] for one in listed["objects"]] == ["disc"]
        written = await ask(client, "export", path=str(out))
        assert written["bytes"] == out.stat().st_size

    speaking(talk)
    assert list(gpd.read_file(out)["label"]) == ["disc"]
    assert list(gpd.read_file(tmp_path / "work.gpkg", layer="features")["seen"]) == ["yes"]


def test_the_picture_shows_where_things_are(tmp_path: Path) -> None:
    desk = Desk()
    with pytest.raises(SessionError, match="call open_raster first"):
        desk.state()
    desk.open_raster(str(scene(tmp_path / "disc.tif")))
    bare = cv2.imdecode(np.frombuffer(desk.picture(width=240)[0], np.uint8), 1).astype(int)
    assert bare[100, 80].mean() > bare[10, 10].mean() + 60
    desk.add_point(*CENTRE)
    shown = cv2.imdecode(np.frombuffer(desk.picture(width=240)[0], np.uint8), 1).astype(int)
    rows, cols = np.nonzero(np.abs(shown - bare).max(2) > 40)
    away = np.hypot(cols - 80, rows - 100)
    assert ((away < 8) | (np.abs(away - 40) < 6)).mean() > 0.95
    desk.accept("disc")
    desk.edit(1)
    assert desk.accept()["label"] == "disc"  # taken up again, it keeps its class
    part, told = desk.picture([CENTRE[0], CENTRE[1], CENTRE[0] + 60, CENTRE[1] + 60], 120)
    assert told["size"] == [120, 120]
    assert told["upper_left"] == pytest.approx([CENTRE[0], CENTRE[1] + 60])
    assert cv2.imdecode(np.frombuffer(part, np.uint8), 1).shape == (120, 120, 3)
    for bounds, width in (([0, 0, 1, 1], 100), (None, 10)):
        with pytest.raises(PromptError):
            desk.picture(bounds, width)


def test_a_place_in_a_picture_is_a_place_on_the_ground(tmp_path: Path) -> None:
    raster = open_raster(scene(tmp_path / "disc.tif"))
    view = view_of(raster, [500_100, 4_499_700, 500_300, 4_499_900], 400)
    xy = np.array([(500_150.0, 4_499_850.0), (500_290.0, 4_499_710.0)])
    np.testing.assert_allclose(view.to_crs(view.to_picture(xy)), xy)
    np.testing.assert_allclose(view.to_picture([(500_100, 4_499_900)]), [[0, 0]], atol=1e-6)


def test_objects_are_reviewed_and_rejected_ones_stay_behind(tmp_path: Path) -> None:
    desk = Desk()
    desk.open_raster(str(scene(tmp_path / "disc.tif")))
    shapes = [
        shapely.Point(*CENTRE).buffer(80),
        shapely.box(500_300, 4_499_700, 500_400, 4_499_800),
    ]
    desk.session.add_features(gpd.GeoDataFrame({"label": ["a", "b"]}, geometry=shapes, crs=32631))
    assert desk.review([2], "rejected")["rejected"] == 1
    assert [one["id"] for one in desk.list_objects(state="to check")["objects"]] == [1]
    desk.export(str(tmp_path / "kept.geojson"))
    assert list(gpd.read_file(tmp_path / "kept.geojson")["label"]) == ["a"]
    desk.export(str(tmp_path / "kept.geojson"), rejected=True)  # its own file
    assert list(gpd.read_file(tmp_path / "kept.geojson")["label"]) == ["a", "b"]
    desk.relabel(1, "c")
    assert desk.undo()["undone"]
    assert desk.get_object(1, lonlat=True)["label"] == "a"
    assert desk.delete(2)["objects"] == 1
