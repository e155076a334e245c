"""Figures of a map by labels, against what can be counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from geoiseg.tiled.judged import quality


def squares(*boxes: tuple[float, float, float, float]) -> np.ndarray:
    return np.array([shapely.box(*box) for box in boxes], object)


LABELS = squares((0, 0, 10, 10), (20, 0, 30, 10), (40, 0, 50, 10), (60, 0, 70, 10))


def test_a_perfect_map_is_right_in_every_figure():
    told = quality(LABELS.copy(), np.full(4, 0.5), LABELS)
    figures = (told.precision, told.recall, told.f1, told.ap50, told.ap, told.covered)
    assert figures == pytest.approx((1,) * 6)
    assert (told.labels, told.judged) == (4, 4)


def test_what_is_half_right_counts_by_how_sure_it_was():
    found = squares(
        (0, 0, 10, 10),  # exact
        (20, 0, 30, 7),  # IoU 0.7
        (40, 0, 50, 3),  # IoU 0.3: wrong
        (40, 3, 50, 7),  # IoU 0.4: wrong
        (100, 0, 110, 10),  # where nothing is labelled: not judged
    )
    told = quality(found, np.array([0.9, 0.8, 0.7, 0.6, 1.0]), LABELS)
    assert (told.labels, told.judged) == (4, 4)
    assert (told.precision, told.recall, told.f1) == (0.5, 0.5, 0.5)
    assert told.covered == pytest.approx(240 / 400)
    assert told.ap50 == pytest.approx(51 / 101)  # all precise up to a recall of 0.5
    assert told.ap == pytest.approx((5 * 51 + 5 * 26) / 10 / 101)  # IoU 0.7 holds to 0.7
    worse = quality(found, np.array([0.1, 0.2, 0.7, 0.6, 1.0]), LABELS)
    assert worse.f1 == told.f1
    assert worse.ap50 == pytest.approx(0.5 * 51 / 101)  # the wrong ones come first


def test_two_objects_are_not_right_for_one_label():
    found = squares((0, 0, 10, 10), (0, 0, 10, 9))
    told = quality(found, np.array([0.5, 0.9]), LABELS[:1])
    assert (told.precision, told.recall) == (0.5, 1.0)


def test_an_empty_map_or_no_labels_give_zeros():
    nothing = np.array([], object)
    for told in (quality(nothing, np.zeros(0), LABELS), quality(LABELS, np.ones(4), nothing)):
        assert (told.precision, told.recall, told.f1, told.ap50, told.ap, told.covered) == (0,) * 6


def test_sizes_tell_which_objects_are_found():
    labels = squares((0, 0, 5, 5), (20, 0, 50, 30), (100, 0, 700, 600))
    found = squares((20, 0, 50, 30), (100, 0, 130, 30), (100, 40, 700, 600))
    told = quality(found, np.ones(3), labels)
    rows = [(one.least, one.labels, one.found, one.objects, one.right) for one in told.sizes]
    assert rows == [(0, 1, 0, 0, 0), (20, 1, 1, 2, 1), (500, 1, 1, 1, 1)]
    assert "20-50 px: 1 of 1 found, 1 of 2 right; 500+ px: 1 of 1 found" in told.text()
    assert quality(found, np.ones(3), np.array([], object)).sizes == ()
