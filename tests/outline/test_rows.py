"""Buildings in rows: their walls in one direction, their areas nearly what they were."""

from __future__ import annotations

import math

import numpy as np
import pytest
import shapely
from affine import Affine
from rasterio.features import rasterize
from shapely import affinity

from geoiseg.outline.vectorize import (
    geometry_from_mask,
    regularize,
    regularize_together,
    row_direction,
)
from geoiseg.outline.vectorize.rows import direction_of, rows_of

ANGLE = 17.0


def traced(shape: shapely.Polygon) -> shapely.Polygon:
    """Return the outline along pixels of what a shape covers."""
    return geometry_from_mask(rasterize([shape], (160, 400)) > 0, Affine.identity())


def row(jitter: float = 0.0) -> list[shapely.Polygon]:
    """Return five houses side by side, each turned a little by itself."""
    rng, houses = np.random.default_rng(3), []
    for number in range(5):
        house = shapely.box(30 + 50 * number, 40, 66 + 50 * number, 64 + 2 * number)
        house = affinity.rotate(house, float(rng.uniform(-jitter, jitter)))
        houses.append(affinity.rotate(house, ANGLE, origin=(140, 50)))
    return houses


def spread(shapes: list[shapely.Polygon]) -> float:
    """Return how many degrees the directions of shapes are apart at most."""
    angles = np.degrees([direction_of(one) for one in shapes])
    return float(np.ptp(angles))


def test_houses_of_a_row_get_one_direction() -> None:
    outlines = [traced(one) for one in row(jitter=2.5)]
    alone = [regularize(one) for one in outlines]
    together = regularize_together(outlines)
    assert spread(alone) > 1
    assert spread(together) < 1e-6
    for one, outline in zip(together, outlines, strict=True):
        assert one.is_valid
        assert abs(one.area / outline.area - 1) < 0.05
        assert one.symmetric_difference(outline).area < 0.15 * outline.area


def test_one_that_stands_another_way_keeps_its_own() -> None:
    houses = row()
    houses.append(affinity.rotate(shapely.box(300, 60, 340, 84), 48))
    found = rows_of([traced(one) for one in houses])
    assert found[-1] is None
    assert all(angle == pytest.approx(math.radians(ANGLE), abs=0.03) for angle in found[:5])


def test_the_direction_of_a_row_is_that_of_its_squared_neighbours() -> None:
    houses = row()
    outline = traced(houses[2])
    assert row_direction(outline, [houses[1]]) == pytest.approx(math.radians(ANGLE), abs=1e-9)
    far = affinity.translate(houses[1], 0, 4000)
    turned = affinity.rotate(houses[1], 40)
    round_one = houses[1].centroid.buffer(15)
    assert row_direction(outline, [far, turned, round_one]) is None
    assert row_direction(None, [houses[1]]) is None


def test_a_direction_that_does_not_fit_is_not_forced() -> None:
    outline = traced(affinity.rotate(shapely.box(40, 40, 140, 70), 20))
    forced = regularize(outline, direction=math.radians(65))
    assert forced.equals_exact(regularize(outline), 1e-9)
