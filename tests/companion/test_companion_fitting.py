"""Outlines that are there: reshaped by the companion, and fitted in among their neighbours."""

from __future__ import annotations

from typing import Any

import pytest
import shapely

from geoiseg.companion.fields import Fields
from geoiseg.companion.fitting import Fitting
from geoiseg.companion.objects import Objects
from geoiseg.errors import GeoisegError
from geoiseg.outline import OutlineOptions, redrawn
from geoiseg.raster import open_raster
from geoiseg.segment import Watch
from tests.conftest import Disk

X, Y = 500_100.0, 4_499_700.0
RING = shapely.Point(X, Y).buffer(60).difference(shapely.Point(X, Y).buffer(10))
BIT = shapely.box(X + 100, Y, X + 108, Y + 8)


def silent(*_: Any) -> None:
    """Tell nobody."""


def ask(what: str, params: dict[str, Any]) -> dict[str, Any]:
    answer = getattr(Fitting(Objects()), what)(Fields(params), Watch(), silent)
    return dict(answer)


def in_hex(*shapes: Any) -> list[str]:
    return [shapely.to_wkb(one, hex=True) for one in shapes]


def test_holes_parts_and_width_change_an_outline_that_is_there(disk: Disk) -> None:
    both = shapely.union_all([RING, BIT])
    source = {"raster": str(disk.path), "shapes": in_hex(both)}
    [same] = ask("reshape", source)["outlines"]
    assert shapely.from_wkb(same["wkb"]).equals(both)
    assert same["area_m2"] == pytest.approx(both.area, rel=1e-3)
    [filled] = ask("reshape", {**source, "holes": 400.0, "parts": 100.0})["outlines"]
    filled = shapely.from_wkb(filled["wkb"])
    assert filled.area == pytest.approx(shapely.Polygon(RING.exterior).area)
    [wider] = ask("reshape", {**source, "holes": 400.0, "parts": 400.0, "grow": 5.0})["outlines"]
    assert shapely.hausdorff_distance(shapely.from_wkb(wider["wkb"]), filled) == pytest.approx(
        5, abs=0.2
    )
    assert ask("reshape", {**source, "grow": -80.0})["outlines"] == [{"wkb": None}]


def test_vertices_go_as_they_would_from_a_mask(disk: Disk) -> None:
    source = {"raster": str(disk.path), "shapes": in_hex(RING, BIT)}
    told = ask("reshape", {**source, "simplify": 2.0})["outlines"]
    ring, bit = (shapely.from_wkb(one["wkb"]) for one in told)
    assert len(ring.exterior.coords) < len(RING.exterior.coords)
    assert ring.area == pytest.approx(RING.area, rel=0.011)
    assert bit.symmetric_difference(BIT).area < 1e-3
    with open_raster(disk.path) as raster:
        alone = redrawn(RING, raster.grid, OutlineOptions(simplify=2.0))
    assert ring.equals(alone)


def test_a_new_outline_shares_the_borders_of_its_neighbours() -> None:
    left, far = shapely.box(X, Y, X + 100, Y + 100), shapely.box(X + 900, Y, X + 990, Y + 90)
    new = shapely.box(X + 97, Y + 20, X + 200, Y + 80)
    told = ask("fit", {"shape": in_hex(new)[0], "neighbours": in_hex(left, far), "width": 5.0,
                       "crs": "EPSG:32631"})  # fmt: skip
    fitted = shapely.from_wkb(told["wkb"])
    [[number, neighbour]] = told["neighbours"]
    assert number == 0
    assert shapely.from_wkb(neighbour).equals(left)
    assert shapely.coverage_is_valid([fitted, shapely.from_wkb(neighbour)])
    assert fitted.area == pytest.approx(new.area - 3 * 60, abs=0.1)
    assert told["cut_m2"] == pytest.approx(3 * 60, rel=0.01)
    inside = shapely.box(X + 20, Y + 20, X + 40, Y + 40)
    assert ask("fit", {"shape": in_hex(inside)[0], "neighbours": in_hex(left)})["wkb"] is None


@pytest.mark.parametrize(
    ("what", "params", "words"),
    [
        ("reshape", {"shapes": ["no"]}, "hexadecimal"),
        ("reshape", {"shapes": in_hex(shapely.Point(0, 0))}, "are polygons"),
        ("reshape", {"shapes": in_hex(BIT), "holes": -1.0}, "square metres"),
        ("fit", {"shape": in_hex(BIT)[0], "width": -1.0}, "a length in metres"),
        ("fit", {"shape": in_hex(BIT)[0], "crs": "nowhere"}, "not a CRS"),
    ],
)
def test_what_makes_no_sense_is_one_line(
    disk: Disk, what: str, params: dict[str, Any], words: str
) -> None:
    more = {"raster": str(disk.path)} if what == "reshape" else {}
    with pytest.raises(GeoisegError, match=words) as caught:
        ask(what, {**more, **params})
    assert "\n" not in str(caught.value)
