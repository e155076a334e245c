"""Intelligent scissors on drawn borders and on a georeferenced raster."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

import geoiseg
from geoiseg.errors import PromptError
from geoiseg.segment.livewire import WIRE_LEVELS, LiveWire, WireOptions, live_wire
from tests.conftest import Disk

ROWS, COLUMNS = np.indices((160, 200)) + 0.5
RADIUS = np.hypot(ROWS - 80, COLUMNS - 100)


def drawn() -> np.ndarray:
    colours = np.where((RADIUS < 50)[..., None], (190, 120, 60), (60, 90, 120))
    noise = np.random.default_rng(0).normal(0, 5, (*RADIUS.shape, 3))
    return np.clip(colours + noise, 0, 255).astype(np.uint8)


def around(*degrees: float) -> list[tuple[float, float]]:
    angles = np.radians(degrees)
    return [(100 + 50 * float(np.cos(a)), 80 + 50 * float(np.sin(a))) for a in angles]


@pytest.mark.parametrize("level", WIRE_LEVELS)
def test_the_border_is_followed_between_clicks(level: str) -> None:
    path = LiveWire(drawn(), level).along(around(0, 90, 180, 270), closed=True)
    away = np.abs(np.hypot(path[:, 0] - 100, path[:, 1] - 80) - 50)
    assert away.mean() < (1.0 if level == "pixel" else 2.0)
    straight = 50 * (1 - np.cos(np.pi / 4))  # how far chords between the clicks are off
    assert away.max() < straight / 2
    steps = np.abs(np.diff(path, axis=0)).max(axis=1)
    assert steps.max() == 1
    assert (path % 1 == 0.5).all()


def test_a_path_begins_and_ends_where_it_was_clicked() -> None:
    path = LiveWire(drawn()).path((10.2, 20.7), (150.9, 130.1))
    assert path[0].tolist() == [10.5, 20.5]
    assert path[-1].tolist() == [150.5, 130.5]
    assert LiveWire(drawn()).path((3, 3), (3.5, 3.5)).tolist() == [[3.5, 3.5]]


def test_what_can_not_be_followed_is_one_clear_line() -> None:
    wire = LiveWire(drawn())
    with pytest.raises(PromptError, match="outside the picture of 200 x 160"):
        wire.path((0, 0), (200.5, 10))
    with pytest.raises(PromptError, match="two clicks or more"):
        wire.along([(1, 1)])
    with pytest.raises(PromptError, match="pixel, superpixel, hybrid"):
        LiveWire(drawn(), "region")
    with pytest.raises(PromptError, match="uint8"):
        LiveWire(np.zeros((5, 5), np.uint8))


def test_a_polygon_lies_on_the_raster(disk: Disk) -> None:
    raster = geoiseg.open_raster(disk.path)
    mask = disk.truth
    pixel = [
        (100 + 40 * np.cos(angle), 90 + 40 * np.sin(angle))
        for angle in np.radians([0, 60, 120, 180, 240, 300])
    ]
    clicks = [tuple(place) for place in raster.grid.to_crs(pixel)]
    polygon = live_wire(raster, clicks)
    assert polygon.geom_type == "Polygon"
    assert polygon.is_valid
    inside = shapely.transform(polygon, raster.grid.to_pixel)
    assert inside.area == pytest.approx(mask.sum(), rel=0.08)
    line = live_wire(raster, clicks[:2], options=WireOptions(closed=False))
    assert line.geom_type == "LineString"
    session = geoiseg.Session(raster, "region-growing")
    session.add_region(polygon)
    assert session.geometry.area == pytest.approx(polygon.area, rel=0.15)
    with pytest.raises(PromptError, match="outside the raster"):
        live_wire(raster, [*clicks, (1e9, 1e9)])
    with pytest.raises(PromptError, match="3 clicks or more"):
        live_wire(raster, clicks[:2])
