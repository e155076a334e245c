"""What is long is looked at on a longer chip, and what goes on beyond that from further away."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from affine import Affine

import geoiseg
from tests.conftest import write_raster
from tests.flood_model import FloodModel


class Band(FloodModel):
    """Sees chips of 512 px, or others with no more pixels."""

    def __init__(self, *, any_shape: bool) -> None:
        super().__init__()
        self.info = replace(self.info, chip_size=512, any_shape=any_shape)


def banded(folder: Path, rows: int, cols: int, river: slice) -> Path:
    """Write a raster of two metres with a river from its west to its east."""
    image = np.full((3, rows, cols), 60, np.uint8)
    image[:, river] = np.array((30, 60, 150), np.uint8)[:, None, None]
    at = {"crs": "EPSG:32633", "transform": Affine(2, 0, 500_000, 0, -2, 5_200_000)}
    return write_raster(folder / "river.tif", image, **at)


@pytest.mark.parametrize("any_shape", [True, False])
def test_a_river_through_a_low_raster_is_seen_as_closely_as_it_is(tmp_path, any_shape):
    path = banded(tmp_path, 300, 800, slice(140, 160))
    session = geoiseg.Session(path, Band(any_shape=any_shape))
    session.follow = False
    session.add_point(500_000 + 2 * 300, 5_200_000 - 2 * 150)
    frame = session.outcome.frame
    assert frame.level == (0 if any_shape else 1)
    assert (session.mask.array.sum() == 20 * 800) == any_shape
    session.add_point(500_000 + 2 * 700, 5_200_000 - 2 * 150)
    assert session.outcome.frame == frame


def test_a_river_that_goes_on_beyond_any_chip_is_seen_from_further_away(tmp_path):
    path = banded(tmp_path, 300, 3000, slice(140, 160))
    session = geoiseg.Session(path, Band(any_shape=True))
    session.follow = False
    session.add_point(500_000 + 2 * 1500, 5_200_000 - 2 * 150)
    outcome = session.outcome
    assert outcome.frame.level == 1  # where a longer chip shows it to both ends, not on level 0
    assert outcome.frame.window.shape == (150, 1500)


def test_clicks_far_apart_on_a_river_that_goes_on_are_seen_with_room_from_further_away(tmp_path):
    path = banded(tmp_path, 700, 3000, slice(290, 310))
    session = geoiseg.Session(path, Band(any_shape=True))
    session.follow = False
    for column in (1000, 1600, 2000):
        session.add_point(500_000 + 2 * column, 5_200_000 - 2 * 300)
    frame = session.outcome.frame
    assert frame.level > 0
    assert min(frame.window.shape) >= 128  # not the clicks' own bounds, which have no height
    held = session.mask.array
    assert held.any(axis=0).all()
    assert held.sum() == pytest.approx(held.shape[1] * 20 / 2**frame.level, rel=0.2)


def test_a_very_low_raster_is_seen_on_no_chip_of_more_pixels_than_its_padding_allows(tmp_path):
    path = banded(tmp_path, 9, 40_000, slice(2, 7))
    session = geoiseg.Session(path, Band(any_shape=True))
    session.follow = False
    session.add_point(500_000 + 2 * 20_000, 5_200_000 - 2 * 4)
    assert max(session.outcome.frame.window.shape) <= 1.25 * 512**2 / 128


def test_what_lies_far_apart_both_ways_is_seen_from_further_away(tmp_path):
    path = banded(tmp_path, 900, 900, slice(200, 700))
    session = geoiseg.Session(path, Band(any_shape=True))
    session.follow = False
    session.add_point(500_000 + 2 * 450, 5_200_000 - 2 * 450)
    assert session.outcome.frame.level == 1
    assert session.mask.array.sum() == 250 * 450
