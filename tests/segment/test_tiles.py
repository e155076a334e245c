"""Objects in tiles: what they answer is what one array would."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st

from geoiseg.outline.vectorize import contour_from_mask, geometry_from_mask
from geoiseg.raster import Window
from geoiseg.segment import tiles as module
from geoiseg.segment.tiles import Tiles


@pytest.fixture(autouse=True, scope="module")
def _small_tiles() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("segment.tiles", "outline.vectorize.tiled"):
            patch.setattr(f"geoiseg.{name}.TILE", 8)
        patch.setattr(module, "HALO", 8)
        yield


@st.composite
def blobs(draw: st.DrawFn) -> tuple[Window, np.ndarray]:
    window = Window(*(draw(st.integers(0, 20)) for _ in range(2)),
                    *(draw(st.integers(1, 40)) for _ in range(2)))  # fmt: skip
    seed, size = draw(st.integers(0, 99)), draw(st.integers(1, 9))
    noise = np.random.default_rng(seed).random(
        (window.height // size + 1, window.width // size + 1)
    )
    mask = np.kron(noise, np.ones((size, size))) > draw(st.sampled_from([0.0, 0.3, 0.5, 0.7]))
    return window, mask[: window.height, : window.width]


def in_tiles(window: Window, mask: np.ndarray) -> Tiles:
    tiles = Tiles(window)
    tiles.set(window, mask)
    return tiles


@given(blobs(), st.integers(0, 30), st.integers(0, 30))
def test_windows_come_back(blob: tuple[Window, np.ndarray], row: int, col: int) -> None:
    window, mask = blob
    tiles, whole = in_tiles(*blob), np.zeros((90, 90), bool)
    whole[window.slices] = mask
    asked = Window(row, col, 25, 31)
    np.testing.assert_array_equal(tiles.within(asked), whole[asked.slices])
    known = np.zeros_like(whole)
    known[window.slices] = True
    np.testing.assert_array_equal(tiles.part(asked)[1], known[asked.slices])
    part = whole[asked.slices]
    assert tiles.uniform(asked) == (None if part.any() and not part.all() else bool(part.all()))
    rows, cols = np.arange(0, 80, 3), np.arange(1, 80, 5)
    np.testing.assert_array_equal(tiles.picked(rows, cols), whole[np.ix_(rows, cols)])
    y, x = np.mgrid[: window.height, : window.width]
    np.testing.assert_array_equal(tiles[y.ravel(), x.ravel()], mask.ravel())
    found = tiles.bounds()
    if mask.any():
        assert whole[found.slices].sum() == whole.sum()


@given(blobs())
def test_outlines_are_those_of_one_array(blob: tuple[Window, np.ndarray]) -> None:
    tiles = in_tiles(*blob)
    for trace in (geometry_from_mask, contour_from_mask):
        one = trace(blob[1], Affine.identity())
        other = trace(tiles, Affine.identity())
        assert (one is None and other is None) or one.equals_exact(other, 0)


@given(blobs(), blobs())
def test_what_is_put_holds_where_nothing_was_known(
    one: tuple[Window, np.ndarray], other: tuple[Window, np.ndarray]
) -> None:
    tiles, whole, known = in_tiles(*one), np.zeros((90, 90), bool), np.zeros((90, 90), bool)
    whole[one[0].slices], known[one[0].slices] = one[1], True
    before = tiles.copy()
    tiles.put(*other)
    here = other[0].slices
    whole[here] = np.where(known[here], whole[here], other[1])
    np.testing.assert_array_equal(tiles.within(Window(0, 0, 90, 90)), whole)
    np.testing.assert_array_equal(before.within(one[0]), one[1])


def test_what_is_inside_takes_no_memory() -> None:
    tiles = Tiles(Window(0, 0, 800, 800))
    for cell in tiles.cells():
        tiles.fill(cell)
    assert tiles.nbytes == 0
    tiles.set(Window(10, 10, 1, 1), np.zeros((1, 1), bool))
    assert tiles.nbytes == 8
    assert int(tiles.within(tiles.window).sum()) == 800 * 800 - 1


def test_specks_go_and_the_rest_stays() -> None:
    mask = np.zeros((40, 40), bool)
    mask[5:35, 5:35] = True
    mask[10:12, 10:12] = False
    mask[37:39, 2:4] = True
    tiles, known = in_tiles(Window(0, 0, 40, 40), mask), Tiles(Window(0, 0, 40, 40))
    known.set(Window(5, 5, 30, 30), np.ones((30, 30), bool))
    tiles.without_specks(known, 16)
    whole = np.zeros((40, 40), bool)
    whole[5:35, 5:35] = True
    np.testing.assert_array_equal(tiles.within(tiles.window), whole)
