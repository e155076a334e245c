"""A border in progress on a raster: stretch by stretch, at the size it is seen."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

import geoiseg
from geoiseg.errors import PromptError
from geoiseg.segment import LiveWire, Scissors
from tests.conftest import Disk


def around(disk: Disk, *degrees: float) -> list[np.ndarray]:
    """Return pixels on the disk's border."""
    raster = geoiseg.open_raster(disk.path)
    centre = raster.grid.to_pixel([disk.centre])[0]
    radius = np.sqrt(disk.truth.sum() / np.pi)
    angles = np.radians(degrees)
    return [centre + radius * np.array([np.cos(a), np.sin(a)]) for a in angles]


@pytest.mark.parametrize("follows", ["pixel", "hybrid"])
def test_a_border_is_followed_click_by_click(disk: Disk, follows: str) -> None:
    raster = geoiseg.open_raster(disk.path)
    scissors = Scissors(raster, follows)
    for place in around(disk, 0, 90, 180, 270):
        assert len(scissors.to(place)) == 0 or np.allclose(scissors.to(place)[-1], place)
        scissors.add(place)
    polygon = scissors.polygon()
    assert polygon.is_valid
    area = disk.truth.sum() * abs(raster.grid.transform.determinant)
    assert polygon.area == pytest.approx(area, rel=0.05)
    chords = shapely.Polygon(raster.grid.to_crs(np.array(scissors.clicks)))
    assert chords.area < 0.7 * polygon.area  # what straight lines would have enclosed
    steps = len(shapely.get_coordinates(polygon))
    assert steps < polygon.length / abs(raster.grid.transform.a) / 2  # without the stairs


def test_one_look_serves_all_stretches_from_near_by(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    init = LiveWire.__init__

    def counted(self: LiveWire, *given: object) -> None:
        made.append(1)
        init(self, *given)

    monkeypatch.setattr(LiveWire, "__init__", counted)
    scissors = Scissors(geoiseg.open_raster(disk.path))
    start, *others = around(disk, 0, 20, 30, 40)
    scissors.add(start)
    for place in others:
        scissors.to(place)
    assert len(made) == 1
    scissors.follow("superpixel")
    scissors.to(others[-1])
    assert len(made) == 2


def test_a_stretch_seen_from_afar_is_found_on_a_coarser_level(disk: Disk) -> None:
    raster = geoiseg.open_raster(disk.path)
    scissors = Scissors(raster)
    start, end = around(disk, 0, 90)
    scissors.add(start)
    fine = scissors.to(end)
    metres = raster.grid.pixel_size_metres()
    assert metres is not None
    coarse = scissors.to(end, gsd=2 * metres)
    assert np.allclose(coarse[-1], end)
    lines = [shapely.LineString([start, *path]) for path in (fine, coarse)]
    assert 0 < shapely.hausdorff_distance(*lines) < 6


def test_clicks_are_taken_back_one_by_one(disk: Disk) -> None:
    scissors = Scissors(geoiseg.open_raster(disk.path))
    a, b, c = around(disk, 0, 90, 180)
    scissors.add(a)
    scissors.add(b)
    before = scissors.path
    scissors.add(c)
    assert scissors.back()
    assert np.array_equal(scissors.path, before)
    with pytest.raises(PromptError, match="3 clicks or more, got 2"):
        scissors.polygon()
    assert scissors.back()
    assert scissors.back()
    assert not scissors.back()
    assert scissors.path.shape == scissors.to(a).shape == (0, 2)


def test_what_is_no_place_or_level_is_one_clear_line(disk: Disk) -> None:
    raster = geoiseg.open_raster(disk.path)
    with pytest.raises(PromptError, match="outside the raster"):
        Scissors(raster).add((-1, 5))
    with pytest.raises(PromptError, match="pixel, superpixel, hybrid"):
        Scissors(raster, "region")


def test_a_traced_object_is_kept_as_it_is_and_comes_back(disk: Disk) -> None:
    session = geoiseg.Session(disk.path, "region-growing", project=disk.path.with_suffix(".gpkg"))
    grid = session.raster.grid
    clicks = [tuple(grid.to_crs([place])[0]) for place in around(disk, 0, 120, 240)]
    session.add_point(*disk.outside)
    session.trace(clicks, follows="hybrid")
    traced = session.geometry
    area = disk.truth.sum() * abs(grid.transform.determinant)
    assert traced.area == pytest.approx(area, rel=0.08)
    assert session.undo()
    assert not session.geometry.equals(traced)
    assert session.redo()
    session.accept("pond")
    again = geoiseg.Session.load(session.project)
    assert again.accepted[0].geometry.equals_exact(traced, 1e-6)
    assert again.accepted[0].steps[-1].prompts[0].by == "wire"
    with pytest.raises(PromptError, match="Polygon or MultiPolygon, got"):
        session.draw(shapely.Point(0, 0))
    with pytest.raises(PromptError, match="outside of the raster"):
        session.draw(shapely.affinity.translate(traced, 1e6))
