"""Cleaning masks: specks, pinholes, parts nobody asked for."""

from __future__ import annotations

import numpy as np
import pytest
from affine import Affine

from geoiseg.errors import GeoreferenceError
from geoiseg.models.protocol import Masks
from geoiseg.prompting.pixel import PixelPrompts
from geoiseg.raster.grid import Grid
from geoiseg.segment.masks import (
    CleanOptions,
    Mask,
    choose,
    clean,
    prompted_pixels,
    prompted_places,
    touched_border,
)

VALID = np.ones((60, 80), bool)


def points(*xy_sign: tuple[float, float, bool]) -> PixelPrompts:
    return PixelPrompts(
        points=np.array([(x, y) for x, y, _ in xy_sign], float).reshape(-1, 2),
        positive=np.array([sign for *_, sign in xy_sign], bool),
    )


def two_parts() -> np.ndarray:
    mask = np.zeros((60, 80), bool)
    mask[10:30, 10:30] = True
    mask[10:30, 50:70] = True
    return mask


def test_only_the_part_under_the_click_stays() -> None:
    mask = two_parts()
    kept = clean(mask, VALID, points((12.5, 12.5, True)), CleanOptions())
    expected = mask.copy()
    expected[:, 40:] = False
    np.testing.assert_array_equal(kept, expected)
    both = clean(mask, VALID, points((12.5, 12.5, True), (55, 20, True)), CleanOptions())
    np.testing.assert_array_equal(both, mask)
    every = clean(mask, VALID, points((12.5, 12.5, True)), CleanOptions(only_prompted=False))
    np.testing.assert_array_equal(every, mask)


def test_diagonal_neighbours_are_two_parts() -> None:
    mask = np.zeros((60, 80), bool)
    mask[0:10, 0:10] = mask[10:20, 10:20] = True
    kept = clean(mask, VALID, points((5, 5, True)), CleanOptions())
    assert kept.sum() == 100


def test_parts_in_the_box_stay() -> None:
    mask = two_parts()
    kept = clean(mask, VALID, PixelPrompts(box=(45.0, 5.0, 75.0, 35.0)), CleanOptions())
    assert kept[:, 40:].sum() == 400
    assert kept[:, :40].sum() == 0


def test_parts_that_an_outline_covers_stay() -> None:
    outline = np.zeros((60, 80), bool)
    outline[15:20, 15:20] = True
    kept = clean(two_parts(), VALID, PixelPrompts(mask=outline), CleanOptions())
    assert kept[:, :40].sum() == 400
    assert kept[:, 40:].sum() == 0


def test_specks_go_and_pinholes_close_but_not_those_that_were_clicked() -> None:
    mask = two_parts()
    mask[20, 20] = mask[25, 25] = False
    mask[50, 5] = True
    kept = clean(mask, VALID, points((12, 12, True), (25.5, 25.5, False)), CleanOptions())
    assert kept[20, 20], "a pinhole is filled"
    assert not kept[25, 25], "a hole that was clicked is not"
    assert not kept[50, 5]
    clicked = clean(mask, VALID, points((5.5, 50.5, True)), CleanOptions())
    assert clicked[50, 5], "a speck that was clicked stays"


def test_large_holes_and_bays_stay_open() -> None:
    mask = two_parts()
    mask[12:18, 12:18] = False
    mask[10, 20] = False
    kept = clean(mask, VALID, points((28, 28, True)), CleanOptions())
    assert not kept[14, 14]
    assert not kept[10, 20], "open to the outside"


def test_no_pixel_without_data_is_ever_object() -> None:
    valid = VALID.copy()
    valid[15:17, 15:17] = False
    kept = clean(two_parts(), valid, points((12, 12, True)), CleanOptions())
    assert not kept[~valid].any()


def test_a_mask_of_specks_keeps_the_largest() -> None:
    mask = np.zeros((60, 80), bool)
    mask[3, 3:6] = True
    mask[9, 9] = True
    kept = clean(mask, VALID, points((70, 50, True)), CleanOptions())
    assert kept.sum() == 3


def test_nothing_stays_nothing() -> None:
    empty = np.zeros((60, 80), bool)
    assert not clean(empty, VALID, points((1, 1, True)), CleanOptions()).any()


def test_the_best_candidate_is_chosen() -> None:
    logits = np.stack([np.full((4, 5), value, np.float32) for value in (1, 2, 3)])
    best, score = choose(Masks(logits, np.array([0.3, 0.9, 0.5], np.float32)))
    assert best[0, 0] == 2
    assert score == pytest.approx(0.9)


def test_only_open_borders_count() -> None:
    mask = np.zeros((10, 20), bool)
    mask[:, 0] = True
    assert touched_border(mask, (False, False, False, True)) == 1
    assert touched_border(mask, (False, True, False, False)) == 0
    assert touched_border(mask, (False,) * 4) == 0
    assert touched_border(mask, (True,) * 4) == pytest.approx((1 + 0 + 1 + 10) / 60)


def test_a_mask_has_the_shape_of_its_grid() -> None:
    grid = Grid("EPSG:32631", Affine(2, 0, 0, 0, -2, 0), (4, 5))
    assert Mask(np.zeros((4, 5), bool), grid).is_empty
    with pytest.raises(GeoreferenceError, match=r"\(4, 5\)"):
        Mask(np.zeros((5, 4), bool), grid)
    with pytest.raises(GeoreferenceError, match="uint8"):
        Mask(np.zeros((4, 5), np.uint8), grid)


@pytest.mark.parametrize("strokes", [0, 2])
def test_places_are_those_of_the_picture_of_prompts(strokes: int) -> None:
    rng = np.random.default_rng(3)
    xy = rng.uniform((-5, -5), (85, 65), (40, 2))
    lines = tuple((rng.uniform(0, 60, (4, 2)), bool(k)) for k in range(strokes))
    said = PixelPrompts(points=xy, positive=rng.random(40) < 0.5, scribbles=lines)
    for positive in (True, False):
        drawn = np.flatnonzero(prompted_pixels(VALID.shape, said, positive))
        np.testing.assert_array_equal(prompted_places(VALID.shape, said, positive), drawn)
    nothing = PixelPrompts(points=np.zeros((0, 2)), positive=np.zeros(0, bool))
    assert not len(prompted_places(VALID.shape, nothing, positive=True))
