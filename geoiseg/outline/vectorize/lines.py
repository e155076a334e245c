"""Rings cut where they meet others: the lines of a contour, and which way round each is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoiseg.outline.vectorize.corners import Corners, Image
from geoiseg.outline.vectorize.rings import Rings

Index = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    """Rings cut at the corners that stay: an open chain lies between two of them.

    A ring without any is one closed chain. Either way a chain is the corners from its first to its
    last, which of a closed one is the first again.
    """

    x: Index
    """``(m,)`` column of each corner."""
    y: Index
    """``(m,)`` row."""
    start: Index
    """``(c + 1,)`` where each chain begins; the last is m."""
    closed: NDArray[np.bool_]
    """``(c,)`` whether it is a whole ring."""
    framed: NDArray[np.bool_]
    """``(c,)`` whether it lies along the image's frame: straight, with nothing beyond it."""
    ring: Index
    """``(c,)`` number of its ring."""


def lines_of(image: Image, corners: Corners, rings: Rings) -> Lines:
    """Return the chains of rings; a corner that stays ends one and begins the next."""
    height, width = image.shape
    begin, end = rings.start[:-1], rings.start[1:]
    corner: Any = rings.corner.astype(np.intp)
    x, y = corners.x[corner], corners.y[corner]
    after = np.arange(1, len(x) + 1)
    after[end - 1] = begin
    framed = (y == y[after]) & ((y == 0) | (y == height))
    framed |= (x == x[after]) & ((x == 0) | (x == width))
    stays = _meeting(corners.around, image.dtype == np.bool_)[corner] | framed
    stays[after[framed]] = True
    # Rings are turned so that they begin at their first corner that stays, if there is one.
    first = np.where(stays, np.arange(len(x)), len(x))
    first = np.minimum.reduceat(first, begin)
    open_ = first < end
    turn = np.where(open_, first - begin, 0)
    size = end - begin
    head = begin + np.arange(len(begin))
    owner = np.repeat(np.arange(len(begin)), size + 1)
    at = along(begin + turn, size + 1)
    over = np.flatnonzero(at >= np.repeat(end, size + 1))
    at[over] -= size[owner[over]]
    # A corner amid a ring is written twice: the end of one chain, the beginning of the next.
    inner = stays[at]
    inner[head] = inner[head + size] = False
    amid = np.flatnonzero(inner)
    chain = np.sort(np.concatenate([head, amid]))
    start = chain + np.searchsorted(amid, chain, side="right")
    at, owner = np.repeat(at, 1 + inner), owner[chain]
    return Lines(x[at], y[at], np.append(start, len(at)), ~open_[owner], framed[at[start]], owner)


def _meeting(around: NDArray[Any], is_mask: bool) -> NDArray[np.bool_]:
    """Return ``(n,)`` whether three regions meet at a corner, or two of them twice.

    Of two regions that touch crosswise one may be the background, which has no outline.
    """
    if is_mask:
        return np.zeros(len(around), bool)
    a, b, c, d = around.T
    changes = (a != b).astype(np.int8) + (b != c) + (c != d) + (d != a)
    crosswise = (a == c) & (b == d)
    met: NDArray[np.bool_] = (changes > 2) & ~(crosswise & ((a == 0) | (b == 0)))
    return met


def way_round(lines: Lines) -> tuple[NDArray[np.bool_], Index, NDArray[np.float64]]:
    """Return for each chain whether it is turned, at which vertex it begins, and a wall of it.

    The wall is a number that the chain shares with nothing but itself seen from the other side.
    """
    first, last = lines.start[:-1], lines.start[1:] - 1
    key = _key(lines.x, lines.y)
    ends = key[last] < key[first]
    second = key[first] + _half(lines, first)
    second_last = key[last] - _half(lines, last - 1)
    same = key[first] == key[last]  # both ends at one corner
    turned = np.where(same, second_last < second, ends)
    wall = np.where(turned, second_last, second)
    wall[lines.framed] = -1.0 - np.flatnonzero(lines.framed)
    turn = np.zeros(len(first), np.intp)
    if lines.closed.any():
        rings = np.flatnonzero(lines.closed)
        turned[rings], turn[rings], wall[rings] = _way_round_rings(lines, key, rings)
    return turned, turn, wall


def _way_round_rings(
    lines: Lines, key: NDArray[np.float64], rings: Index
) -> tuple[NDArray[np.bool_], Index, NDArray[np.float64]]:
    """Return what ``way_round`` does of closed chains, which begin at their least wall."""
    count = np.diff(lines.start)[rings] - 1
    stop = np.cumsum(count)
    begin = stop - count
    at = np.arange(stop[-1]) + np.repeat(lines.start[rings] - begin, count)
    half = _half(lines, at)
    length = np.abs(lines.x[at + 1] - lines.x[at] + lines.y[at + 1] - lines.y[at])
    head, tail = key[at] + half, key[at + 1] - half  # first and last wall up to the next corner
    low = np.minimum(head, tail)
    least = np.minimum.reduceat(low, begin)
    found = np.where(low == np.repeat(least, count), np.arange(len(low)), len(low))
    edge = np.minimum.reduceat(found, begin)
    after, before = (
        np.where(edge + 1 < stop, edge + 1, begin),
        np.where(edge > begin, edge, stop) - 1,
    )
    ahead = head[edge] <= tail[edge]
    several = length[edge] > 1
    following = np.where(ahead & several, head[edge] + 2 * half[edge], head[after])
    leading = np.where(ahead, tail[before], tail[edge] - 2 * half[edge])
    done = np.cumsum(length)
    place = (done - length)[edge] - (done - length)[begin] + np.where(ahead, 0, length[edge] - 1)
    size = done[stop - 1] - (done - length)[begin]
    turned = leading < following
    # One that is turned begins at its least wall all the same.
    return turned, (place + turned) % size, least


def _key(x: Index, y: Index) -> NDArray[np.float64]:
    """Return places as numbers, in which halves up to 2**29 are exact."""
    return np.asarray(x * float(1 << 30) + y, np.float64)


def _half(lines: Lines, at: Index) -> NDArray[np.float64]:
    """Return half a pixel on the way from corners to the next, as ``_key`` tells places."""
    dx, dy = lines.x[at + 1] - lines.x[at], lines.y[at + 1] - lines.y[at]
    return _key(np.sign(dx), np.sign(dy)) / 2


def along(first: Index, size: Index, back: NDArray[np.bool_] | None = None) -> Index:
    """Return places that follow each other, ``size`` of them from each ``first`` on, or back."""
    at = np.arange(size.sum())
    begin = np.cumsum(size) - size
    if back is None:
        at += np.repeat(first - begin, size)
        return at
    way = np.where(back, -1, 1)
    at *= np.repeat(way, size)
    at += np.repeat(first - way * begin, size)
    return at
