"""From corners to closed rings, and which ring is a hole of which.

Directions are arms of a corner: 0 up (north), 1 right, 2 down, 3 left. Arm k has pixel k
of :attr:`Corners.around` on its anticlockwise side. A border is walked with its region on
the right-hand side, so it comes in through an arm whose anticlockwise pixel is the
region's; every such arm is one *visit* of a corner by a ring.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoiseg.outline.vectorize.corners import Corners, Image

Index = NDArray[np.int32]

UP, RIGHT, DOWN, LEFT = range(4)
FEW = 1 << 13
"""Visits up to which leaps are soon done, beside the half of a second that scipy's graphs
take to be loaded."""
GRAPHS = "scipy.sparse.csgraph"
SCAN_CELLS = 1 << 22
"""Pixels looked at in one go while holes search for the outline around them."""


def _way_out() -> NDArray[np.int8]:
    """Return ``(16 * 4,)`` the arm by which a visit leaves, for each set of cracked arms.

    Walking anticlockwise from the arm it came by, through its region, the next crack is
    the way out: a region whose pixels touch only at the corner is left on the same side.
    """
    table = np.full((16, 4), -1, np.int8)
    for cracks in range(16):
        for arm in range(4):
            turns = [(arm - step) % 4 for step in (1, 2, 3)]
            outs = [way for way in turns if cracks >> way & 1]
            if cracks >> arm & 1 and outs:
                table[cracks, arm] = outs[0]
    return table.ravel()


WAY_OUT = _way_out()


@dataclass(frozen=True, slots=True, eq=False)
class Rings:
    """Closed rings of corners, in the order of their first corners."""

    corner: Index
    """``(m,)`` the corners of all rings, one ring after the other."""
    start: NDArray[np.intp]
    """``(r + 1,)`` where each ring begins in ``corner``; the last is m."""
    label: NDArray[Any]
    """``(r,)`` value of the region that the ring bounds."""
    shell: NDArray[np.intp]
    """``(r,)`` the exterior ring around each ring: itself, unless it is a hole."""


@dataclass(frozen=True, slots=True, eq=False)
class _Visits:
    corner: Index
    """``(m,)`` corner visited, row by row."""
    arrival: NDArray[np.int8]
    """``(m,)`` arm by which the ring comes."""
    departure: NDArray[np.int8]
    """``(m,)`` arm by which it goes on."""
    by_arrival: Index
    """``(n, 4)`` the visit that comes to a corner by an arm, or -1."""
    by_departure: Index
    """``(n, 4)`` the visit that leaves a corner by an arm, or -1."""
    columns: NDArray[np.intp]
    """``(n,)`` the corners column by column, each from the top."""

    def rising_to(self) -> Index:
        """Return the visits at upper ends of rising edges, column by column."""
        return _present(self.by_arrival[self.columns, DOWN])


def trace_rings(image: Image, corners: Corners) -> Rings:
    """Return the simple rings that bound the 4-connected regions of an image.

    A ring never passes through a corner twice: where a border touches itself, a ring ends
    and another begins. Exteriors go clockwise as seen with y downwards, holes against that.

    Args:
        image: ``(y, x)`` that the corners were found in.
        corners: As :func:`find_corners` gives them, at least one.
    """
    visits = _visits(corners)
    links = _links(visits)
    # The first corner of a ring is the leftmost of its top edge: an exterior arrives there
    # from below, a hole from the right.
    entries = np.flatnonzero((visits.arrival == DOWN) | (visits.arrival == RIGHT))
    order, ring = _walk(links, entries)
    if _separate(links, ring, visits, corners):
        order, ring = _walk(links, entries)
    start = np.flatnonzero(np.diff(ring[order], prepend=-1, append=len(order)))
    first = order[start[:-1]]
    label = corners.around[visits.corner[first], visits.arrival[first]]
    shell = _shells(image, corners, visits, ring, first)
    return Rings(visits.corner[order], start, label, shell)


def _visits(corners: Corners) -> _Visits:
    around = corners.around
    cracked = around != around[:, [1, 2, 3, 0]]
    cracks = cracked @ np.array([1, 2, 4, 8], np.uint8)
    found = np.flatnonzero(cracked & (around != 0)).astype(np.int32)
    corner = found >> 2
    arrival = (found & 3).astype(np.int8)
    departure = WAY_OUT[(cracks[corner] << 2) | arrival.view(np.uint8)]
    number = np.arange(len(found), dtype=np.int32)
    by_arrival = np.full(around.shape, -1, np.int32)
    by_arrival.ravel()[found] = number
    by_departure = np.full(around.shape, -1, np.int32)
    by_departure.ravel()[(corner << 2) | departure] = number
    columns = np.argsort(_narrow(corners.x), kind="stable")
    return _Visits(corner, arrival, departure, by_arrival, by_departure, columns)


def _links(visits: _Visits) -> Index:
    """Return ``(m,)`` the next visit of each.

    Regions on one side of a grid line do not overlap, so along it the k-th edge to begin
    in a direction is the k-th one to end.
    """
    links = np.empty(len(visits.corner), np.int32)
    links[visits.departure == RIGHT] = np.flatnonzero(visits.arrival == LEFT)
    links[visits.departure == LEFT] = np.flatnonzero(visits.arrival == RIGHT)
    begin, end = visits.by_departure, visits.by_arrival
    links[_present(begin[visits.columns, UP])] = visits.rising_to()
    links[_present(begin[visits.columns, DOWN])] = _present(end[visits.columns, UP])
    return links


def _present(numbers: Index) -> Index:
    return numbers[numbers >= 0]


def _narrow(columns: Index) -> NDArray[Any]:
    """Return the columns in the type that numpy sorts fastest (16 bits: by radix)."""
    return columns.astype(np.uint16) if columns.max() < 1 << 16 else columns


def _walk(links: Index, entries: NDArray[np.intp]) -> tuple[Index, Index]:
    """Return all visits ring after ring, and the number of each visit's ring.

    Rings that pass no corner twice follow each other in the order of their first visits,
    and begin there.

    Args:
        links: ``(m,)`` the visit after each.
        entries: Visits in ascending order, among them the first of every ring.
    """
    if len(links) <= FEW and GRAPHS not in sys.modules:
        return _leapt(links)
    try:
        return _searched(links, entries)
    except ModuleNotFoundError:  # the companion of QGIS does without
        return _leapt(links)


def _searched(links: Index, entries: NDArray[np.intp]) -> tuple[Index, Index]:
    """Return what ``_walk`` does, by one depth-first search.

    A spine of nodes is hung before the visits, whose k-th leads to the k-th entry first and
    then to the next of the spine.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import depth_first_order

    n, spine = len(links), len(entries)
    targets = np.empty(n + 2 * spine, np.int32)
    targets[:n] = links
    targets[n::2] = entries
    targets[n + 1 :: 2] = np.arange(n + 1, n + spine + 1)
    targets[-1] = n
    bounds = np.concatenate(
        [np.arange(n, dtype=np.int32), np.arange(n, len(targets) + 1, 2, dtype=np.int32)]
    )
    graph = csr_array((np.ones(len(targets)), targets, bounds), shape=(n + spine, n + spine))
    found, parent = depth_first_order(graph, n)
    order = found[found < n]
    ring = np.empty(n, np.int32)
    ring[order] = np.cumsum(parent[order] >= n, dtype=np.int32) - 1
    return order, ring


def _leapt(links: Index) -> tuple[Index, Index]:
    """Return what ``_walk`` does, with numpy alone, in leaps that double (Wyllie, 1979).

    Each visit learns the least one within its leap, and how far ahead that is. Takes a few
    times as long as the search.
    """
    number = np.arange(len(links), dtype=np.int32)
    least, ahead, leap, reach = number, np.zeros_like(number), links, 1
    while (less := least[leap] < least).any():
        ahead = np.where(less, ahead[leap] + np.int32(reach), ahead)
        least, leap, reach = np.minimum(least, least[leap]), leap[leap], 2 * reach
    ring = (np.cumsum(least == number, dtype=np.int32) - 1)[least]
    size = np.bincount(ring).astype(np.int32)
    end = np.cumsum(size, dtype=np.int32)
    place = np.where(ahead == 0, (end - size)[ring], end[ring] - ahead)
    order = np.empty_like(number)
    order[place] = number
    return order, ring


def _separate(links: Index, ring: Index, visits: _Visits, corners: Corners) -> bool:
    """Relink, in place, rings that pass a corner twice; return whether there are any.

    A border touches itself only from outside its region, so the chords between the two
    visits of such corners do not cross, and each one splits its ring in two.
    """
    changed = False
    for side in (0, 1):
        same = corners.around[:, side] == corners.around[:, side + 2]
        one, other = visits.by_arrival[:, side], visits.by_arrival[:, side + 2]
        twice = same & (one >= 0) & (other >= 0)
        one, other = one[twice], other[twice]
        inner = ring[one] == ring[other]
        one, other = one[inner], other[inner]
        links[one], links[other] = links[other], links[one]
        changed |= bool(len(one))
    return changed


def _shells(
    image: Image, corners: Corners, visits: _Visits, ring: Index, first: Index
) -> NDArray[np.intp]:
    """Return ``(r,)`` the exterior ring that each ring belongs to, itself for an exterior.

    Args:
        image: ``(y, x)``.
        corners: Of the image.
        visits: Of the corners.
        ring: ``(m,)`` the ring of each visit.
        first: ``(r,)`` the first visit of each ring.
    """
    shell = np.arange(len(first))
    hole = visits.arrival[first] == RIGHT
    holes, outer = np.flatnonzero(hole), np.flatnonzero(~hole)
    if not len(holes):
        return shell
    if len(outer) == 1:
        shell[holes] = outer[0]
        return shell
    # Left of a hole's first corner lies its region. Where that run of pixels begins, a
    # rising edge of the same region passes, on a ring with an earlier first corner.
    corner = visits.corner[first[holes]]
    y = corners.y[corner].astype(np.int64)
    x = _run_starts(image, y, corners.x[corner].astype(np.int64) - 1)
    height = image.shape[0] + 1
    upper = visits.rising_to()
    tops = visits.corner[upper]
    edges = corners.x[tops].astype(np.int64) * height + corners.y[tops]
    shell[holes] = ring[upper[np.searchsorted(edges, x * height + y, side="right") - 1]]
    while (shell[shell] != shell).any():
        shell = shell[shell]
    return shell


def _run_starts(image: Image, y: NDArray[np.int64], x: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return ``(k,)`` the column at which the run of equal values in a row begins.

    Args:
        image: ``(y, x)``.
        y: ``(k,)`` rows.
        x: ``(k,)`` columns of pixels in the runs.
    """
    start = x.copy()
    value = image[y, x]
    left = np.arange(len(x))
    reach = 16
    while len(left):
        rest = []
        for k in range(0, len(left), SCAN_CELLS // reach):
            some = left[k : k + SCAN_CELLS // reach]
            columns = start[some, None] - np.arange(1, reach + 1)
            seen = image[y[some, None], np.maximum(columns, 0)]
            other = (seen != value[some, None]) | (columns < 0)
            ended = other.any(axis=1)
            start[some] -= np.where(ended, other.argmax(axis=1), reach)
            rest.append(some[~ended])
        left = np.concatenate(rest)
        reach = min(reach * 4, 4096)
    return start
