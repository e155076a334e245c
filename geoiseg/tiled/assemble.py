"""From the pieces of all windows to objects: one number each, one geometry each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import shapely

from geoiseg.tiled.ledger import Ledger
from geoiseg.tiled.plan import WindowPlan
from geoiseg.tiled.seams import Groups, matches

LABELS = 1 << 32
"""More labels than a window can have, so that window and label make one whole number."""


@dataclass(frozen=True, slots=True, eq=False)
class MappedObject:
    """An object of the whole raster."""

    id: int
    """From 1, in the order of first windows."""
    geometry: Any
    """Shapely Polygon or MultiPolygon in whole pixels of the level."""
    score: float
    """The mean of its pieces' scores, weighted with their areas."""
    pieces: int
    """In how many windows' cores it lies, or parts of them."""


def number_objects(ledger: Ledger, plan: WindowPlan, min_area: int) -> int:
    """Number all objects in the ledger and return how many there are.

    Pieces that meet across a seam get one number; objects below ``min_area`` pixels none.
    Memory grows with the number of pieces at seams only.
    """
    groups = _united(ledger, plan)
    area: dict[int, int] = {}
    for window, label, pixels in ledger.areas():
        piece = window * LABELS + label
        if piece in groups:
            root = groups.find(piece)
            area[root] = area.get(root, 0) + pixels
    numbers: dict[int, int] = {}
    count = 0

    def rows() -> Iterator[tuple[int | None, int, int]]:
        nonlocal count
        for window, label, pixels in ledger.areas():
            piece = window * LABELS + label
            root = groups.find(piece) if piece in groups else piece
            if area.get(root, pixels) < min_area:
                yield None, window, label
                continue
            number = numbers.get(root)
            if number is None:
                count += 1
                number = count
                if root in area:
                    numbers[root] = number
            yield number, window, label

    ledger.number_objects(rows())
    return count


def _united(ledger: Ledger, plan: WindowPlan) -> Groups:
    groups = Groups()
    for number, state in sorted(ledger.states().items()):
        if state != "done":
            continue
        for seam in plan.seams_after(number):
            bands = ledger.band(seam.first, seam.second)
            if bands is not None:
                one, other = (band.unpacked() for band in bands)
                groups.unite(
                    (seam.first * LABELS + a, seam.second * LABELS + b)
                    for a, b in matches(one, other)
                )
    return groups


def objects(ledger: Ledger) -> Iterator[MappedObject]:
    """Yield all numbered objects, by number.

    The pieces of an object lie side by side along seams, on whole pixels: their union is
    exact, and nothing of the seams is left in it.
    """
    for number, rows in groupby(ledger.pieces(), key=lambda row: row[0]):
        pieces = list(rows)
        shapes = shapely.from_wkb([wkb for *_, wkb in pieces])
        geometry = shapes[0] if len(pieces) == 1 else _union(shapes)
        total = sum(area for _, area, _, _ in pieces)
        score = sum(area * score for _, area, score, _ in pieces) / total
        yield MappedObject(number, geometry, score, len(pieces))


def _union(shapes: Any) -> Any:
    """Return the union without the vertices that the seams left amid straight sides."""
    whole = shapely.union_all(shapes)
    plain = shapely.simplify(whole, 0.0, preserve_topology=True)
    return plain if plain.is_valid else whole
