"""Shared borders simplified and smoothed: both sides at once, each area nearly kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geoiseg.outline.coverage.borders import Borders, sums
from geoiseg.outline.coverage.clashes import Near, clashing, lines_around
from geoiseg.outline.coverage.frame import Originals
from geoiseg.outline.coverage.options import CleanOptions
from geoiseg.outline.coverage.partition import Index, Partition
from geoiseg.outline.vectorize import straight_lines

Lines = NDArray[Any]
Lengths = NDArray[np.float64]
Shaper = Callable[[Lines, Lengths], Lines]

ROUNDS = 80
"""Rounds in which lines that change too much are held tighter."""
HELD = 0.7
"""What is left of a line's limit when it is held tighter."""
HOLDS = 10
"""How often that is done before the line stays as it is."""
ROUNDING = 1e-9
"""Square metres that do not count."""


def reshaped(partition: Partition, options: CleanOptions) -> Partition:
    """Return the partition with straight edges, simplified, smoothed, as the options say."""
    if not len(partition.borders.lines):
        return partition
    if options.straight > 0:
        limit = np.full(len(partition.borders.lines), float(options.straight))
        partition = _bounded(partition, straight_lines, limit, options)
    if options.simplify > 0:
        limit = np.full(len(partition.borders.lines), float(options.simplify))
        partition = _bounded(partition, simplified, limit, options)
    if options.smooth:
        lines = partition.borders.lines
        limit = _longest_edges(lines) / 4

        def cut(some: Lines, limits: Lengths) -> Lines:
            return smoothed(some, limits, options.smooth)

        partition = _bounded(partition, cut, limit, options)
    return partition


def straightened(partition: Partition, originals: Originals, cell: float) -> Partition:
    """Return the partition without the vertices that cutting has put amid straight sides.

    Args:
        partition: After overlaps and gaps were settled.
        originals: The vertices that features had; they stay.
        cell: Side of the rounding grid's cells.
    """
    borders = partition.borders
    xy, line = shapely.get_coordinates(borders.lines, return_index=True)
    if not len(xy):
        return partition
    ends = (np.diff(line, prepend=-1) != 0) | (np.diff(line, append=-1) != 0)
    place = np.arange(len(xy))
    corner = _off_chord(xy, place - 1, np.append(place[1:], 0), cell) > 2 * cell
    fixed = ends | originals.known(xy) | corner
    before = np.maximum.accumulate(np.where(fixed, place, 0))
    after = np.minimum.accumulate(np.where(fixed, place, len(xy))[::-1])[::-1]
    away = _off_chord(xy, before, after, cell)
    bent = np.zeros(len(xy), bool)
    bent[before[away > 2 * cell]] = True  # a run of vertices goes as a whole, or stays
    kept = fixed | bent[before]
    lines = shapely.linestrings(xy[kept], indices=line[kept])
    collapsed = shapely.is_closed(lines) & (shapely.get_num_coordinates(lines) < 4)
    lines = np.where(collapsed, borders.lines, lines)
    for _ in range(2):
        straight = borders.with_lines(lines)
        bad = clashing(straight, partition.owner, np.arange(len(lines)))
        if not len(bad):
            return Partition(straight, partition.owner)
        lines[bad] = borders.lines[bad]
    return partition


def _off_chord(xy: NDArray[np.float64], before: Index, after: Index, cell: float) -> Lengths:
    """Return ``(n,)`` how far vertices are from the line between two others."""
    chord, off = xy[after] - xy[before], xy - xy[before]
    across = chord[:, 0] * off[:, 1] - chord[:, 1] * off[:, 0]
    away: Lengths = np.abs(across) / np.maximum(np.hypot(*chord.T), cell)
    return away


def simplified(lines: Lines, limit: Lengths) -> Lines:
    """Return lines with fewer vertices (Douglas and Peucker); ends and closed lines stay.

    Args:
        lines: ``(a,)`` LineStrings.
        limit: ``(a,)`` how far each may move.
    """
    simple: Lines = shapely.simplify(lines, limit, preserve_topology=False)
    collapsed = shapely.is_closed(lines) & (shapely.get_num_coordinates(simple) < 4)
    return np.where(collapsed, lines, simple)


def smoothed(lines: Lines, limit: Lengths, rounds: int) -> Lines:
    """Return lines with their corners cut, ends of open ones kept (Chaikin, 1974).

    Args:
        lines: ``(a,)`` LineStrings.
        limit: ``(a,)`` how far from a corner a cut may begin; a quarter of an edge at most.
        rounds: How often each corner is cut.
    """
    if not len(lines):
        return lines
    xy, line = shapely.get_coordinates(lines, return_index=True)
    closed = shapely.is_closed(lines)
    for _ in range(rounds):
        xy, line = _corners_cut(xy, line, limit, closed)
    shaped: Lines = shapely.linestrings(xy, indices=line)
    return shaped


def _corners_cut(
    xy: NDArray[np.float64], line: Index, limit: Lengths, closed: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], Index]:
    """Return vertices with two for each corner; closed lines end where they now begin."""
    first = np.diff(line, prepend=-1) != 0
    last = np.diff(line, append=-1) != 0
    ahead = np.roll(xy, -1, axis=0) - xy
    length = np.where(last, np.inf, np.hypot(*ahead.T))
    share = np.minimum(0.25, limit[line] / np.maximum(length, 1e-300))
    step = np.where(last[:, None], 0.0, share[:, None] * ahead)
    before, after = xy - np.roll(step, 1, axis=0), xy + step
    both = np.stack([before, after], axis=1).reshape(-1, 2)
    # An open line keeps its ends; a closed one begins with the cut after its first corner
    # and comes back to it by way of the cut before.
    drop = np.stack([first, last], axis=1)
    ends = first | last
    both = np.where(np.repeat(ends & ~closed[line], 2)[:, None], np.repeat(xy, 2, axis=0), both)
    starts = np.flatnonzero(first)
    seam = np.flatnonzero(last)[closed[line[starts]]]
    again = starts[closed[line[starts]]]
    both[2 * seam + 1] = both[2 * again + 1]
    drop[seam, 1] = False
    kept = ~drop.ravel()
    return both[kept], np.repeat(line, 2)[kept]


def _longest_edges(lines: Lines) -> Lengths:
    xy, line = shapely.get_coordinates(lines, return_index=True)
    same = line[1:] == line[:-1]
    longest = np.zeros(len(lines))
    np.maximum.at(longest, line[1:][same], np.hypot(*np.diff(xy, axis=0).T)[same])
    return longest


def _bounded(
    partition: Partition, shape: Shaper, limit: Lengths, options: CleanOptions
) -> Partition:
    """Return the partition with its lines shaped as far as the bounds allow.

    Lines that change an area too much or would cross another are held to a smaller limit,
    again and again, at last to none.
    """
    borders, owner = partition.borders, partition.owner
    beside = borders.owners_beside(owner)
    lines, middle = borders.lines, borders.middle()
    before = borders.swept(middle)
    limit, least, candidate = limit.copy(), limit * HELD**HOLDS, lines.copy()
    stale = limit > 0
    unseen = np.ones(len(lines), bool)
    after, near = before.copy(), Near.of(borders, 4 * float(limit.max(initial=0.0)))
    for number in range(ROUNDS):
        candidate[stale] = lines[stale]
        moving = stale & (limit > 0)
        candidate[moving] = shape(lines[moving], limit[moving])
        after[stale] = replace(borders, lines=candidate[stale]).swept(middle)
        shaped = borders.with_lines(candidate.copy())
        unseen |= stale
        bad = _too_different(beside, before, after, options)
        if not len(bad):
            seen = np.flatnonzero(unseen)
            bad = clashing(shaped, owner, seen, near, after)
            if not len(bad) and not unseen.all():
                bad = clashing(shaped, owner, np.arange(len(lines)))
            unseen[:] = False
            if not len(bad):
                return Partition(shaped, owner)
        stale = _held(borders, bad, limit)
        if not stale.any():
            return Partition(shaped, owner)  # they were at fault before
        limit[stale] *= HELD if number < ROUNDS // 2 else 0.0
        limit[limit < least] = 0
    return partition


def _held(borders: Borders, bad: Index, limit: Lengths) -> NDArray[np.bool_]:
    """Return ``(a,)`` the bad lines that can be held tighter, else those around them."""
    stale = np.zeros(len(limit), bool)
    stale[bad] = True
    if not (stale & (limit > 0)).any():
        parts = borders.sides[bad].ravel()
        stale[lines_around(borders, parts[parts >= 0])] = True
    return stale & (limit > 0)


def _too_different(beside: Index, before: Lengths, after: Lengths, options: CleanOptions) -> Index:
    """Return the lines that have most of the blame where an area changes too much.

    Args:
        beside: ``(a, 2)`` owners on the left and right of the lines.
        before: ``(a,)`` area that each line sweeps: added on its left, taken on its right.
        after: The same of the lines as they are shaped.
        options: The bounds, of each feature's area and of the sum.
    """
    line, side = np.nonzero(beside >= 0)
    sign = np.where(side == 0, 1.0, -1.0)
    number = beside[line, side]
    change = after - before
    each = _to_blame(number, sign * before[line], sign * change[line], options.max_area_change)
    outward = (beside[:, 0] >= 0).astype(float) - (beside[:, 1] >= 0)
    one = np.zeros(len(before), np.intp)
    both = _to_blame(one, outward * before, outward * change, options.max_total_change)
    return np.unique(np.concatenate([line[each], both]))


def _to_blame(number: Index, before: Lengths, change: Lengths, bound: float) -> Index:
    """Return which changes make sums too large: those of half the largest or more.

    Args:
        number: ``(k,)`` the sum that each belongs to.
        before: ``(k,)`` what was summed before.
        change: ``(k,)`` what is added to it.
        bound: Of the sums' changes, as a share of the sums before.
    """
    count = int(number.max(initial=-1)) + 1
    total = sums(number, change, count)
    over = np.abs(total) > bound * np.abs(sums(number, before, count)) + ROUNDING
    pull = change * np.where(over, np.sign(total), 0.0)[number]
    most = np.zeros(count)
    np.maximum.at(most, number, pull)
    return np.flatnonzero((pull > 0) & (pull >= most[number] / 2))
