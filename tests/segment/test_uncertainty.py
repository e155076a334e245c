"""Where the model is unsure, and where the next click is proposed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import shapely
from affine import Affine

from geoiseg import Session
from geoiseg.errors import CancelledError, SessionError
from geoiseg.prompting.pixel import PixelPrompts
from geoiseg.raster import open_raster
from geoiseg.raster.grid import Grid
from geoiseg.segment import EmbeddingCache, Watch
from geoiseg.segment.uncertainty import LookOptions, Uncertainty, suggest
from tests.conftest import Disk
from tests.segment.test_spectral import ROLES, halves, written

GRID = Grid("EPSG:32631", Affine(2, 0, 500_000, 0, -2, 5_000_000), (100, 100))


def seen(probability: np.ndarray) -> Uncertainty:
    return Uncertainty(probability.astype(np.float32), GRID)


def disk_at(row: int, column: int, radius: int) -> np.ndarray:
    y, x = np.mgrid[:100, :100]
    return (y - row) ** 2 + (x - column) ** 2 <= radius**2


def test_the_middle_of_the_largest_unsure_region_is_proposed() -> None:
    probability = np.where(disk_at(30, 30, 20), 0.99, 0.01)
    probability[disk_at(70, 60, 12)] = 0.5
    probability[disk_at(10, 90, 5)] = 0.5
    found = suggest(seen(probability), probability > 0.6, PixelPrompts())
    assert found is not None
    assert (found.x, found.y) == pytest.approx((500_000 + 2 * 60.5, 5_000_000 - 2 * 70.5), abs=4)
    assert found.uncertainty == pytest.approx(1, abs=0.01)
    assert found.size == pytest.approx(12, abs=2)
    assert 0.05 < found.gain < 0.3


def test_a_sure_mask_needs_no_click() -> None:
    probability = np.where(disk_at(50, 50, 20), 0.97, 0.02)
    assert suggest(seen(probability), probability > 0.5, PixelPrompts()) is None


def test_the_blurred_outline_alone_needs_no_click() -> None:
    y, x = np.mgrid[:100, :100]
    away = 20 - np.hypot(y - 50, x - 50)
    probability = 1 / (1 + np.exp(-4 * away))
    assert (seen(probability).array > 0.5).any()
    assert suggest(seen(probability), probability > 0.5, PixelPrompts()) is None


def test_a_place_that_was_clicked_is_not_proposed_again() -> None:
    probability = np.where(disk_at(30, 30, 20), 0.99, 0.01)
    probability[disk_at(70, 60, 4)] = 0.5
    probability[disk_at(70, 20, 4)] = 0.45
    asked = suggest(seen(probability), probability > 0.6, PixelPrompts())
    clicked = PixelPrompts(np.array([[60.5, 70.5]]), np.array([True]))
    again = suggest(seen(probability), probability > 0.6, clicked)
    assert asked is not None
    assert again is not None
    assert (asked.x, again.x) == pytest.approx((500_121, 500_041), abs=6)


def test_the_gain_is_that_of_the_expected_iou() -> None:
    """Of 100 sure pixels and 50 that may be the object, putting those right is worth 1/6."""
    probability = np.zeros((100, 100))
    probability[:10, :10], probability[20:25, :10] = 1.0, 0.5
    found = suggest(seen(probability), probability > 0.6, PixelPrompts())
    assert found is not None
    # before: 100 of 125 expected; put right: all 125 of 125
    assert found.gain == pytest.approx(0.2, abs=1e-6)


@pytest.mark.parametrize("model", ["superpixel-walk", "tiny"])
def test_a_session_tells_how_sure_it_is(disk: Disk, model: str) -> None:
    session = Session(disk.path, model)
    with pytest.raises(SessionError, match="no object yet"):
        session.uncertainty()
    session.add_point(*disk.centre)
    first = session.uncertainty()
    assert first.grid == session.mask.grid
    assert first.array.shape == session.mask.array.shape
    assert 0 <= first.array.min() <= first.array.max() <= 1
    assert np.array_equal(first.array, session.uncertainty().array), "the same answer again"
    # the model is surer deep inside the object than around its outline
    col, row = np.floor(first.grid.to_pixel([disk.centre])[0]).astype(int)
    assert first.array[row - 3 : row + 4, col - 3 : col + 4].mean() < first.array.max()


def test_looks_are_answered_in_all_bands_where_the_object_is(tmp_path: Path) -> None:
    """Water that three bands do not show: without the others, most of it would seem unsure."""
    data, water = halves()
    path = written(tmp_path / "four.tif", data)
    seen = {}
    for all_bands in (True, False):
        session = Session(open_raster(path, ROLES), cache=EmbeddingCache())
        session.all_bands = all_bands
        session.add_point(*session.raster.grid.to_crs([[60.5, 100.5]])[0].tolist())
        seen[all_bands] = session.uncertainty().probability
    assert seen[True][water].mean() > 0.95
    assert seen[True][~water].mean() < 0.1
    assert seen[False][~water].mean() > 0.15  # as the network alone has it
    session.all_bands = True  # what is asked next is not how this object was asked
    np.testing.assert_array_equal(session.uncertainty().probability, seen[False])


def test_a_suggested_click_can_be_given(disk: Disk) -> None:
    """One click on the ground beside the disk leaves the model unsure of much."""
    session = Session(disk.path, "superpixel-walk")
    session.add_scribble([disk.outside, disk.centre])
    found = session.suggest_click()
    assert found is not None
    assert session.raster.grid.footprint.contains(shapely.Point(found.x, found.y))
    col, row = np.floor(session.raster.grid.to_pixel([(found.x, found.y)])[0]).astype(int)
    session.add_point(found.x, found.y, positive=bool(disk.truth[row, col]))
    assert session.mask.array[row, col] == disk.truth[row, col]


def test_looking_can_be_stopped(disk: Disk) -> None:
    session = Session(disk.path, "superpixel-walk")
    session.add_point(*disk.centre)
    looks = iter([False, False, True])
    with pytest.raises(CancelledError):
        session.uncertainty(watch=Watch(cancelled=lambda: next(looks)))


def test_an_object_settles_when_clicks_change_nothing(disk: Disk) -> None:
    session = Session(disk.path, "superpixel-walk")
    session.add_point(*disk.centre)
    assert not session.settled
    x, y = disk.centre
    step = abs(disk.transform.a)
    for k in (1, 2):
        session.add_point(x + k * step, y)
    assert session.settled
    assert len(session.outcome.changes) == 2
    session.undo()
    assert not session.settled


def test_options_are_checked() -> None:
    with pytest.raises(ValueError, match="negative"):
        LookOptions(looks=-1)
