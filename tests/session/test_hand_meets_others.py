"""Outlines by hand among the other things a session does: nothing drawn is lost, or done twice."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely

import geoiseg
from geoiseg.errors import PromptError, SessionError
from tests.conftest import UTM, Disk, write_raster


@pytest.fixture
def session(disk: Disk) -> geoiseg.Session:
    """An object in progress whose outline was widened, and then corrected by hand."""
    session = geoiseg.Session(disk.path, "grabcut")
    session.add_point(*disk.centre)
    session.reshape(grow=5)
    session.brush([disk.outside], 30)
    return session


def test_what_was_drawn_stays_when_widths_change(session: geoiseg.Session) -> None:
    drawn = session.geometry
    session.accept("a")
    assert session.accepted[0].geometry.equals_exact(drawn)
    session.reshape(True, grow=9)
    assert session.accepted[0].geometry.area > drawn.area
    session.reshape(True, grow=0)
    assert session.accepted[0].geometry.equals_exact(drawn)


def test_following_what_ends_on_its_chip_keeps_its_vertices(session: geoiseg.Session) -> None:
    drawn = session.geometry
    assert session.grow(4)
    assert session.geometry.equals_exact(drawn)
    assert session.segmenter.replay(session.steps).drawn.equals_exact(drawn)


def test_what_follows_asks_the_bands_that_were_asked_before(disk: Disk) -> None:
    session = geoiseg.Session(disk.path, "grabcut")
    session.all_bands = False
    session.add_point(*disk.centre)
    session.brush([disk.outside], 30)
    assert [step.spectral for step in session.steps] == [0, 0]
    number = session.accept()
    session.brush([disk.outside], 40, number)
    assert [step.spectral for step in session.accepted[0].steps] == [0, 0, 0]


def test_where_to_click_next_forgets_what_a_drawing_has_replaced(disk: Disk) -> None:
    session = geoiseg.Session(disk.path, "grabcut")
    session.add_point(*disk.centre)
    session.brush([disk.outside], 30)
    seen = session.uncertainty().probability
    fresh = geoiseg.Session(disk.path, "grabcut")
    fresh.add([session.steps[-1].prompts[0]])
    np.testing.assert_array_equal(fresh.uncertainty().probability, seen)


def test_a_drawing_larger_than_a_chip_has_a_coarser_mask(tmp_path: Path) -> None:
    data = np.random.default_rng(0).integers(1, 255, (3, 1500, 1500), dtype=np.uint8)
    session = geoiseg.Session(write_raster(tmp_path / "large.tif", data), "grabcut")
    size = session.model.info.chip_size
    session.add_box(500_100, 4_497_300, 502_700, 4_499_900)
    session.erase([(501_400, 4_498_600)], 900)
    assert max(session.mask.array.shape) <= size < 2600 / 2
    assert session.is_coarse
    session.accept()
    session.edit(1)
    assert session.geometry.equals_exact(session.accepted[0].geometry)
    session.clear()
    thin = shapely.box(500_100, 4_499_000.3, 502_700, 4_499_003)
    session.add_features(gpd.GeoDataFrame(geometry=[thin], crs=UTM))
    session.move_vertex((502_700, 4_499_003), (502_710, 4_499_003), 2)
    session.edit(2)
    assert session.geometry.equals_exact(session.accepted[1].geometry)


def test_nothing_is_moved_off_the_raster(session: geoiseg.Session, disk: Disk) -> None:
    number = session.accept()
    before = session.accepted
    with pytest.raises(PromptError, match="off the raster"):
        session.move((0, 0), (1e6, 0), number)
    with pytest.raises(SessionError, match="two vertices"):
        session.split([disk.centre], number)
    assert session.accepted == before
