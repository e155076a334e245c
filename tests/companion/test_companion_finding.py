"""What the companion finds by words and by example, previews, and takes through the pipe."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
import shapely

from geoiseg.companion.fields import Fields
from geoiseg.companion.finding import Finding
from geoiseg.companion.objects import Objects
from geoiseg.companion.pipe import RequestError
from geoiseg.companion.sent import KEPT, Sent
from geoiseg.demo.scene import make_scene
from geoiseg.errors import GeoisegError, PromptError
from geoiseg.segment import Watch
from tests.companion.test_companion import iou, point, shape
from tests.conftest import Disk


def silent(*_: Any) -> None:
    """Tell nobody."""


def found(finding: Finding, **params: Any) -> dict[str, Any]:
    return finding.find(Fields(params), Watch(), silent)


def test_words_give_candidates_with_scores(tmp_path: Path) -> None:
    scene = make_scene(tmp_path / "scene.tif", 512)
    finding = Finding(Objects())
    all_of_it = found(finding, raster=str(scene.path), text="water")
    scores = [one["score"] for one in all_of_it["candidates"]]
    assert scores == sorted(scores, reverse=True)
    assert 0 < all_of_it["threshold"] < 1
    water = shapely.union_all([row.geometry for row in scene.truth if row.name in ("sea", "lake")])
    shapes = [shape(one) for one in all_of_it["candidates"]]
    likely = shapely.union_all(
        [one for one, score in zip(shapes, scores, strict=True) if score >= all_of_it["threshold"]]
    )
    assert likely.intersection(water).area > 0.6 * likely.union(water).area
    xmin, ymin, xmax, ymax = water.bounds
    part = [xmin, (ymin + ymax) / 2, xmax, ymax]
    half = found(finding, raster=str(scene.path), text="water", within=part)
    assert all(shape(one).bounds[1] > part[1] - 100 for one in half["candidates"])
    trees = found(finding, raster=str(scene.path), text="tree")
    woods = [shape(one) for one in trees["candidates"]]
    assert len(woods) >= 2
    assert shapely.union_all(woods).area == pytest.approx(sum(one.area for one in woods))
    example = max(shapes, key=lambda one: one.area)
    like = found(finding, raster=str(scene.path), like=[shapely.to_wkb(example, hex=True)])
    assert like["engine"] == "like"
    assert any(shape(one).intersects(example) for one in like["candidates"])


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({}, "say in words"),
        ({"text": "zzz qqq"}, "'zzz qqq'"),
        ({"text": "water", "within": [1, 2]}, "within is"),
        ({"like": ["zz"]}, "as hexadecimal WKB"),
        ({"like": [shapely.to_wkb(shapely.Point(1, 1), hex=True)]}, "examples are polygons"),
        ({"text": "water", "colour": "blue"}, "'colour'"),
    ],
)
def test_mistakes_are_one_line(params: dict[str, Any], words: str, disk: Disk) -> None:
    with pytest.raises(GeoisegError, match=words) as told:
        found(Finding(Objects()), raster=str(disk.path), **params)
    assert "\n" not in str(told.value)


def test_a_preview_is_the_click_and_is_not_kept(disk: Disk) -> None:
    objects, raster = Objects(), str(disk.path)
    params = {"raster": raster, "steps": [point(disk.centre)]}
    seen = objects.hover(Fields(dict(params)), Watch(), silent)
    assert iou(shape(seen), disk) > 0.95
    assert objects.answer(Fields(dict(params)), Watch(), silent)["wkb"] == seen["wkb"]
    off = [point(disk.outside, positive=False)]
    assert objects.hover(Fields({"raster": raster, "steps": off}), Watch(), silent)["wkb"] is None
    with pytest.raises(PromptError, match="outside"):
        objects.hover(Fields({"raster": raster, "steps": [point((0, 0))]}), Watch(), silent)


def test_what_is_sent_is_kept_by_its_name_and_goes_at_the_end() -> None:
    sent = Sent()

    def put(name: str, data: str) -> Any:
        return sent.put(Fields({"name": name, "data": data}), None, None)

    name, data = f"{7:032x}.png", base64.b64encode(b"picture").decode()
    assert put(name, data) == {"raster": f"sent:{name}"}
    place = Path(sent.place(f"sent:{name}"))
    assert place.read_bytes() == b"picture"
    assert sent.place("/data/a.tif") == "/data/a.tif"
    for wrong, content in (("../a.png", data), ("a.tif", data), (name, "no base64!")):
        with pytest.raises(RequestError):
            put(wrong, content)
    with pytest.raises(RequestError, match="was not sent"):
        sent.place("sent:../../etc/passwd")
    for number in range(KEPT + 5):
        put(f"{number + 100:032x}.png", data)
    assert len(list(place.parent.iterdir())) == KEPT
    sent.clear()
    assert not place.parent.exists()
