"""What is handed on to be refined is the object, not all that the bands say is like it."""

from __future__ import annotations

import numpy as np
import pytest

from geoiseg.prompting import Frame
from geoiseg.raster import Window
from geoiseg.segment import Mask, Outcome


@pytest.mark.parametrize(
    ("asked", "others", "kept"), [(5, 40, False), (5, 4, True), (4, 40, True), (0, 40, True)]
)
def test_what_was_left_out_is_none_of_the_object_where_it_is_larger(grid, asked, others, kept):
    array = np.zeros((20, 20), bool)
    array[2:6, 2:6] = True
    logits = np.where(array, 3.0, -3.0)
    logits[10, : others % 20], logits[12 : 12 + others // 20] = 2.0, 2.0
    found = Outcome(Mask(array, grid, 1.0), logits.astype(np.float16),
                    Frame(0, Window(0, 0, 20, 20)), asked=asked)  # fmt: skip
    told = found.to_refine
    assert told.dtype == np.float32
    assert np.array_equal(told > 0, logits > 0 if kept else array)
    assert np.array_equal(np.abs(told), np.abs(logits))


@pytest.fixture
def grid():
    import pyproj
    from affine import Affine

    from geoiseg.raster import Grid

    return Grid(pyproj.CRS("EPSG:32631"), Affine(2, 0, 500_000, 0, -2, 4_500_000), (20, 20))
