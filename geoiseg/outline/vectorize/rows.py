"""Buildings in rows: walls of neighbours whose directions are nearly the same made parallel."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geoiseg.outline.vectorize.generalize import Outline, is_blank

TOGETHER = math.radians(8)
"""Directions that differ by less than this are those of one row."""
EXACT = math.radians(0.5)
"""How far edges may be off two directions at right angles in what is squared already."""
QUARTER = math.pi / 2
REACH = 1.0
"""How far neighbours lie apart at most, in their own widths (square root of the area)."""


def direction_of(geometry: Any) -> float | None:
    """Return the direction of the walls of a squared geometry in radians, 0 to a quarter turn.

    None where its edges do not lie in two directions at right angles.
    """
    if is_blank(geometry):
        return None
    length, angle = _edges(geometry)
    mean = _mean(angle, length)
    off = _apart(angle, mean)
    return mean if float(np.max(np.where(length > 1e-9, off, 0.0))) < EXACT else None


def row_direction(geometry: Any, others: Iterable[Any]) -> float | None:
    """Return the direction of the row that an outline stands in; None where it stands alone.

    That is the direction of the squared neighbours nearest to it that is nearly its own.

    Args:
        geometry: In a frame in which a right angle is one.
        others: Its neighbours in the same frame, squared or not.
    """
    if is_blank(geometry):
        return None
    own, reach = main_direction(geometry), REACH * math.sqrt(geometry.area)
    found = []
    for other in others:
        apart = float(shapely.distance(geometry, other))
        angle = direction_of(other) if apart <= reach else None
        if angle is not None and float(_apart(np.array([angle]), own)[0]) < TOGETHER:
            found.append((apart, angle))
    return min(found)[1] if found else None


def rows_of(geometries: Sequence[Any]) -> list[float | None]:
    """Return the direction of the row of each outline; None of one that stands alone.

    Neighbours nearer than their own width whose directions are nearly the same are in one row;
    its direction is the mean of theirs, the larger count more.
    """
    angles = [None if is_blank(one) else main_direction(one) for one in geometries]
    found: list[float | None] = [None] * len(geometries)
    for group in _groups(geometries, angles):
        known = [(angle, geometries[n].area) for n in group if (angle := angles[n]) is not None]
        if len(known) > 1:
            mean = _mean(*(np.array(each) for each in zip(*known, strict=True)))
            for number in group:
                found[number] = mean
    return found


def _groups(geometries: Sequence[Any], angles: Sequence[float | None]) -> list[list[int]]:
    """Return the numbers of outlines that are in one row, row by row."""
    row = list(range(len(geometries)))

    def first(number: int) -> int:
        while row[number] != number:
            row[number] = row[row[number]]
            number = row[number]
        return number

    tree = shapely.STRtree([shapely.Point() if is_blank(one) else one for one in geometries])
    for number, (one, angle) in enumerate(zip(geometries, angles, strict=True)):
        if angle is None:
            continue
        near = tree.query(one, "dwithin", distance=REACH * math.sqrt(one.area)).tolist()
        for other in near:
            theirs = angles[other]
            if theirs is not None and float(_apart(np.array([theirs]), angle)[0]) < TOGETHER:
                row[first(other)] = first(number)
    members: dict[int, list[int]] = {}
    for number in range(len(geometries)):
        members.setdefault(first(number), []).append(number)
    return list(members.values())


def main_direction(geometry: Any) -> float:
    """Return the direction of a shape's smallest box in radians, 0 to a quarter turn."""
    corners = shapely.get_coordinates(shapely.minimum_rotated_rectangle(geometry))
    edge = corners[1] - corners[0]
    return float(np.arctan2(edge[1], edge[0])) % QUARTER


def _edges(geometry: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    outline = Outline.of(geometry)
    edge = outline.xy[outline.following] - outline.xy
    return np.hypot(*edge.T), np.arctan2(edge[:, 1], edge[:, 0])


def _mean(angle: NDArray[np.float64], weight: NDArray[np.float64]) -> float:
    """Return the mean of directions, 0 to a quarter turn; right angles make full turns."""
    turns = 4 * angle
    return float(np.arctan2(weight @ np.sin(turns), weight @ np.cos(turns)) / 4) % QUARTER


def _apart(angle: NDArray[np.float64], other: float) -> NDArray[np.float64]:
    """Return the least angles between directions, right angles being none."""
    off = np.mod(angle - other, QUARTER)
    return np.minimum(off, QUARTER - off)
