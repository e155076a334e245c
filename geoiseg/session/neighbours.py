"""Features that share a border with one that is changed by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geoiseg.features import Feature
from geoiseg.outline import by_hand

XY = NDArray[np.float64]


def with_shape(feature: Feature, shape: Any) -> Feature:
    """Return a feature with another outline; as it is where that is its own."""
    return feature if shape is feature.geometry else feature.changed(geometry=shape)


def by_id(features: Iterable[Feature]) -> tuple[Feature, ...]:
    """Return features in the order of their ids."""
    return tuple(sorted(features, key=lambda one: one.id))


def tiny(outline: Any) -> float:
    """Return a length below which places count as the same, in units of the CRS."""
    return 1e-9 * max(1.0, float(np.abs(shapely.bounds(outline)).max()))


def each_with(
    others: tuple[Feature, ...], at: XY, change: Callable[[Any], Any], reach: float = 0.0
) -> tuple[Feature, ...]:
    """Return features, those changed whose border has a place."""
    near = shapely.dwithin([one.geometry for one in others], shapely.Point(at), reach)
    return tuple(
        with_shape(one, change(one.geometry))
        if so and (reach or by_hand.has_vertex(one.geometry, at))
        else one
        for one, so in zip(others, near.tolist(), strict=True)
    )


def with_corners(
    others: tuple[Feature, ...], old: Any, parts: tuple[Any, ...]
) -> tuple[Feature, ...]:
    """Return features with the vertices that cutting an outline has put on their borders."""
    known = {tuple(one) for one in shapely.get_coordinates(old).tolist()}
    made = {tuple(one) for part in parts for one in shapely.get_coordinates(part).tolist()} - known
    reach = tiny(old)
    for place in map(np.array, sorted(made)):

        def change(shape: Any, place: XY = place) -> Any:
            return by_hand.vertex_added(shape, place, place, reach)

        others = each_with(others, place, change, reach)
    return others
