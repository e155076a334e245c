"""Outlines without stairs that rasterise to the very mask they were drawn from.

An outline along pixels' edges is a ring of *walls*, one for each pixel's side between two
regions. Here every wall becomes one vertex that lies between the centres of the two pixels,
no nearer to either than :data:`LIMIT` allows: that is marching squares (Lorensen and Cline,
1987), with the same rings. Where on its way a vertex lies is told by logits where there are
any, else by its neighbours along the ring, through a cubic filter that leaves circles and
lines as they are. No centre of a pixel is ever crossed, so the pixels whose centres lie inside
stay the mask.

Where three regions meet and on the image's frame, the corner of the pixels itself is a vertex
and stays where it is: neighbours share their borders vertex by vertex, and frames are straight.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geoiseg.outline.vectorize.corners import Corners, Image
from geoiseg.outline.vectorize.rings import Rings

Places = NDArray[np.complex128]
"""Positions in the pixel frame as ``x + iy``."""
Index = NDArray[np.intp]

LIMIT = 0.35
"""How far from the middle between two centres a vertex may lie, in pixels: then every line of
the outline is more than 0.106 from all centres, and 0.21 from every other line."""
RATE = 0.6
"""Share of the way that a vertex goes to where its neighbours want it."""
REACHES = (2, 1)
"""How far away those neighbours are, in vertices, round by round. With these the borders of
disks, rectangles and parcels are half as far off as along pixels, and areas stay within one
per cent; farther neighbours shrink what is small."""
ROOM = 2 * max(REACHES)
"""Places before and after each chain that repeat its other end."""
SLACK = 0.1
"""How far the line may move, in pixels, as vertices that it does not need are dropped: by less
than what lies between it and the centres."""


BLOCK = 1 << 15
"""Corners of chains that are drawn at a time: few enough for a CPU's cache."""


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


@dataclass(frozen=True, slots=True, eq=False)
class Chains:
    """Chains wall by wall; an open one has the corners that stay at its ends."""

    middle: Places
    """``(m,)`` the middle of each wall, or the corner that stays."""
    right: Places
    """``(m,)`` towards the centre of the wall's inner pixel; 0 for a corner that stays."""
    start: Index
    """``(c + 1,)`` where each chain begins; the last is m."""
    closed: NDArray[np.bool_]
    """``(c,)`` whether it is a whole ring, whose first vertex is not repeated."""

    @property
    def number(self) -> Index:
        """``(m,)`` the chain of each vertex."""
        return np.repeat(np.arange(len(self.closed)), np.diff(self.start))


def contour(
    image: Image, corners: Corners, rings: Rings, logits: NDArray[np.floating[Any]] | None = None
) -> tuple[NDArray[np.float64], Index]:
    """Return ``(k, 2)`` vertices in the pixel frame and ``(k,)`` the number of each one's ring.

    Args:
        image: ``(y, x)`` bool or integers.
        corners: Of the image.
        rings: Through its corners.
        logits: ``(y, x)`` above 0 where the image is True; where they say otherwise of a
            pixel they are not believed. Only for a mask.
    """
    lines = _lines(image, corners, rings)
    if image.dtype != np.bool_:
        return _of_both_sides(lines)

    def drawn(some: Index) -> tuple[NDArray[np.float64], Index]:
        chains = _walls(lines, some)
        told = None if logits is None else _told(chains, logits)
        return _thinned(chains, _smoothed(chains, told))

    xy, count = _in_blocks(lines, np.arange(len(lines.closed)), drawn)
    return _without_ends(xy, np.repeat(np.arange(len(count)), count), lines.ring)


def _in_blocks(
    lines: Lines, chains: Index, drawn: Callable[[Index], tuple[NDArray[np.float64], Index]]
) -> tuple[NDArray[np.float64], Index]:
    """Return ``(k, 2)`` vertices of chains, some of them drawn at a time, and how many each has."""
    corners = np.cumsum(np.diff(lines.start)[chains])
    cuts = np.searchsorted(corners, np.arange(BLOCK, corners[-1], BLOCK))
    found, counts = [], []
    for some in np.split(chains, np.unique(cuts)):
        if len(some):
            xy, chain = drawn(some)
            found.append(xy)
            counts.append(np.bincount(chain, minlength=len(some)))
    return np.concatenate(found), np.concatenate(counts)


def _of_both_sides(lines: Lines) -> tuple[NDArray[np.float64], Index]:
    """Return the vertices of regions that share borders, and their rings.

    What two regions share is two chains, one from each side; it is drawn once, from an end that
    is told by the places of its walls, which are the same from both sides.
    """
    turned, turn, wall = _way_round(lines)
    _, first, twin = np.unique(wall, return_index=True, return_inverse=True)

    def drawn(some: Index) -> tuple[NDArray[np.float64], Index]:
        there = _walls(lines, some)
        begin, stop, back = there.start[:-1], there.start[1:], turned[some]
        size = stop - begin
        origin = np.where(back, stop - 1, begin) + turn[some]
        way = np.where(back, -1, 1)
        at = np.repeat(way, size) * np.arange(len(there.middle))
        at += np.repeat(origin - way * begin, size)
        if there.closed.any():
            np.subtract(at, np.repeat(size, size), out=at, where=at >= np.repeat(stop, size))
        half = Chains(there.middle[at], there.right[at], there.start, there.closed)
        return _thinned(half, _smoothed(half))

    xy, count = _in_blocks(lines, first, drawn)
    begin = np.cumsum(count) - count
    many = count[twin]
    each = np.repeat(np.arange(len(twin)), many)
    place = np.arange(many.sum()) - np.repeat(np.cumsum(many) - many, many)
    place = np.where(turned[each], many[each] - 1 - place, place)
    return _without_ends(xy[begin[twin[each]] + place], each, lines.ring)


def _without_ends(
    xy: NDArray[np.float64], chain: Index, ring: Index
) -> tuple[NDArray[np.float64], Index]:
    """Return the vertices of lines with their rings; the last of each is the next one's first."""
    kept = np.diff(chain, append=len(ring)) == 0
    return xy[kept], ring[chain[kept]]


def _lines(image: Image, corners: Corners, rings: Rings) -> Lines:
    """Return the chains of rings; a corner that stays ends one and begins the next."""
    height, width = image.shape
    begin, end = rings.start[:-1], rings.start[1:]
    x, y = corners.x[rings.corner], corners.y[rings.corner]
    after = np.arange(1, len(x) + 1)
    after[end - 1] = begin
    framed = (y == y[after]) & ((y == 0) | (y == height))
    framed |= (x == x[after]) & ((x == 0) | (x == width))
    stays = _meeting(corners.around, image.dtype == np.bool_)[rings.corner] | framed
    stays[after[framed]] = True
    # Rings are turned so that they begin at their first corner that stays, if there is one.
    first = np.where(stays, np.arange(len(x)), len(x))
    first = np.minimum.reduceat(first, begin)
    open_ = first < end
    turn = np.where(open_, first - begin, 0)
    size = end - begin
    owner = np.repeat(np.arange(len(begin)), size + 1)
    at = np.arange(len(owner)) - owner + turn[owner]
    np.subtract(at, size[owner], out=at, where=at >= end[owner])
    # A corner amid a ring is written twice: the end of one chain, the beginning of the next.
    head = begin + np.arange(len(begin))
    inner = stays[at]
    inner[head] = inner[head + size] = False
    amid = np.flatnonzero(inner)
    starts = np.concatenate([head + np.searchsorted(amid, head), amid + np.arange(len(amid)) + 1])
    starts.sort()
    at, owner = np.repeat(at, 1 + inner), np.repeat(owner, 1 + inner)
    return Lines(x[at], y[at], np.append(starts, len(at)), ~open_[owner[starts]],
                 framed[at[starts]], owner[starts])  # fmt: skip


def _walls(lines: Lines, some: Index) -> Chains:
    """Return some chains wall by wall."""
    count = np.diff(lines.start)[some]
    stop = np.cumsum(count)
    begin, last = stop - count, stop - 1
    at = np.arange(stop[-1]) + np.repeat(lines.start[some] - begin, count)
    x, y = lines.x[at], lines.y[at]
    dx, dy = np.zeros_like(x), np.zeros_like(y)
    np.subtract(x[1:], x[:-1], out=dx[:-1])
    np.subtract(y[1:], y[:-1], out=dy[:-1])
    dx[last] = dy[last] = 0
    length = np.abs(dx + dy)  # one of them is 0
    length[begin[lines.framed[some]]] = 0
    stays = np.zeros(len(x), bool)
    closed = lines.closed[some]
    stays[begin[~closed]] = stays[last[~closed]] = True
    step = (np.sign(dx) + 1j * np.sign(dy)).astype(np.complex128)
    # Each corner comes first, if it stays, then the walls up to the next corner.
    total = length + stays
    end = np.cumsum(total)
    first = (x + 1j * y) + (0.5 - stays - (end - total)) * step
    middle = np.repeat(first, total) + np.arange(end[-1]) * np.repeat(step, total)
    right = np.repeat(1j * step, total)
    corner = (end - total)[stays]
    middle[corner], right[corner] = (x + 1j * y)[stays], 0
    return Chains(middle, right, np.append(0, end[last]), closed)


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


def _told(chains: Chains, logits: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Return ``(m,)`` the shifts to the right at which logits are 0 between two centres.

    NaN where they tell nothing: they contradict the mask, or say yes and no as surely as any.
    """
    width = logits.shape[1]
    values = logits.ravel()
    surest = np.abs(values).max(initial=0)

    def at(place: Places) -> NDArray[np.float64]:
        pixel = np.floor(place.imag).astype(np.intp) * width + np.floor(place.real).astype(np.intp)
        found: NDArray[np.float64] = values.take(pixel, mode="clip").astype(np.float64)
        return found

    inside, outside = at(chains.middle + chains.right / 2), at(chains.middle - chains.right / 2)
    told = (inside > 0) & (outside < 0) & (chains.right != 0)
    told &= (inside != -outside) | (inside < surest)
    shift = np.full(len(told), np.nan)
    shift[told] = 0.5 - inside[told] / (inside[told] - outside[told])
    limited: NDArray[np.float64] = np.clip(shift, -LIMIT, LIMIT)
    return limited


def _smoothed(chains: Chains, shift: NDArray[np.float64] | None = None) -> Places:
    """Return ``(m,)`` the vertices where their neighbours want them: on a cubic through four.

    Near a corner that stays, on the line through the two that are as far away as it is. One
    whose shift is known, not NaN, is not asked.
    """
    number, size = chains.number, np.diff(chains.start)
    slot = np.arange(len(number)) + ROOM * (2 * number + 1)
    count = len(number) + 2 * ROOM * len(size)
    rim, source = _repeated(chains, size)
    near, near_reach = _near_ends(chains, size)
    near_slot = slot[near]

    def spread(values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return values with room between the chains, closed ones going round in it."""
        wide = np.zeros(count)
        wide[slot] = values
        wide[rim] = wide[source]
        return wide

    moved, pull = np.zeros(count), np.full(count, RATE)
    if shift is not None:
        unknown = np.isnan(shift)
        moved, pull = spread(np.where(unknown, 0.0, shift)), spread(unknown * RATE)
    axes = [
        (spread(chains.middle.real), spread(chains.right.real)),
        (spread(chains.middle.imag), spread(chains.right.imag)),
    ]
    for step in REACHES:
        moved[rim] = moved[source]
        k, core = 2 * step, slice(2 * step, count - 2 * step)
        few = near_reach < k
        at, apart = near_slot[few], np.minimum(near_reach[few], step)
        goes = np.zeros(count - 2 * k)
        for middle, right in axes:
            here = right * moved
            here += middle
            # The same sums from either side of a border, to the last bit.
            way = here[k - step : count - k - step] + here[k + step : count - k + step]
            way *= 4
            way -= here[: count - 2 * k] + here[2 * k :]
            way *= 1 / 6
            way -= here[core]
            way[at - k] = (here[at - apart] + here[at + apart]) / 2 - here[at]
            way *= right[core]
            goes += way
        goes *= pull[core]
        moved[core] += goes
        np.clip(moved, -LIMIT, LIMIT, out=moved)
    kept = moved[slot]
    places: Places = chains.right * kept
    places += chains.middle
    return places


def _near_ends(chains: Chains, size: Index) -> tuple[Index, Index]:
    """Return the vertices near the ends of open chains, and how far from the nearer one."""
    start, many = chains.start[:-1][~chains.closed, None], size[~chains.closed, None]
    inside = np.arange(1, ROOM)
    first = inside <= (many - 1) // 2  # of a short chain each belongs to one end
    last = inside <= (many - 2) // 2
    near = np.concatenate([(start + inside)[first], (start + many - 1 - inside)[last]])
    reach = np.broadcast_to(inside, first.shape)
    return near, np.concatenate([reach[first], reach[last]])


def _repeated(chains: Chains, size: Index) -> tuple[Index, Index]:
    """Return the places before and after closed chains, and the places that they repeat."""
    closed = np.flatnonzero(chains.closed)
    begin = (chains.start[closed] + ROOM * (2 * closed + 1))[:, None]
    many = size[closed][:, None]
    back = np.arange(-ROOM, 0)[None]
    on = np.arange(ROOM)[None]
    rim = np.concatenate([begin + back, begin + many + on], axis=1)
    source = np.concatenate([begin + back % many, begin + on % many], axis=1)
    return rim.ravel(), source.ravel()


def _thinned(chains: Chains, places: Places) -> tuple[NDArray[np.float64], Index]:
    """Return the vertices that the lines need, their ends included, and their chains.

    Source: Douglas and Peucker (1973), from GEOS, chain by chain.
    """
    size = np.diff(chains.start)
    full = size + chains.closed
    chain = np.repeat(np.arange(len(size)), full)
    if chains.closed.any():
        at = np.arange(len(chain)) - np.repeat(np.cumsum(chains.closed) - chains.closed, full)
        again = np.cumsum(full)[chains.closed] - 1
        at[again] = chains.start[:-1][chains.closed]  # closed ones end where they begin
        places = places[at]
    line = places.view(np.float64).reshape(-1, 2)
    thin = shapely.simplify(
        shapely.linestrings(line, indices=chain), SLACK, preserve_topology=False
    )
    xy, chain = shapely.get_coordinates(thin, return_index=True)
    return xy, chain


def _way_round(lines: Lines) -> tuple[NDArray[np.bool_], Index, NDArray[np.float64]]:
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
    """Return what ``_way_round`` does of closed chains, which begin at their least wall."""
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
