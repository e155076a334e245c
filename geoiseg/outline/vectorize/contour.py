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
from geoiseg.outline.vectorize.lines import Index, Lines, along, lines_of, way_round
from geoiseg.outline.vectorize.rings import Rings

Places = NDArray[np.float64]
"""``(2, m)`` positions or directions in the pixel frame: x, y."""

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
class Chains:
    """Chains wall by wall; an open one has the corners that stay at its ends."""

    middle: Places
    """The middle of each wall, or the corner that stays."""
    right: Places
    """Towards the centre of the wall's inner pixel; 0 for a corner that stays."""
    start: Index
    """``(c + 1,)`` where each chain begins; the last is m."""
    closed: NDArray[np.bool_]
    """``(c,)`` whether it is a whole ring, whose first vertex is not repeated."""


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
    lines = lines_of(image, corners, rings)
    if image.dtype != np.bool_:
        return _of_both_sides(lines)

    def drawn(some: Index) -> tuple[NDArray[np.float64], Index]:
        chains = _walls(lines, some)
        told = None if logits is None else _told(chains, logits)
        return _thinned(chains, _smoothed(chains, told))

    xy, count = _in_blocks(lines, np.arange(len(lines.closed)), drawn)
    return _joined(xy, np.cumsum(count) - count, count, lines.ring)


def _in_blocks(
    lines: Lines, chains: Index, drawn: Callable[[Index], tuple[NDArray[np.float64], Index]]
) -> tuple[NDArray[np.float64], Index]:
    """Return ``(k, 2)`` vertices of chains, some of them drawn at a time, and how many each has."""
    corners = np.cumsum(np.diff(lines.start)[chains])
    cuts = np.searchsorted(corners, np.arange(BLOCK, corners.max(initial=0), BLOCK))
    found, counts = [np.empty((0, 2))], [np.empty(0, np.intp)]
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
    turned, turn, wall = way_round(lines)
    _, first, twin = np.unique(wall, return_index=True, return_inverse=True)
    rings = lines.closed[first]

    def drawn(some: Index) -> tuple[NDArray[np.float64], Index]:
        chains = _walls(lines, some, turned[some])
        return _thinned(chains, _smoothed(chains))

    def drawn_round(some: Index) -> tuple[NDArray[np.float64], Index]:
        there = _walls(lines, some)
        begin, stop, back = there.start[:-1], there.start[1:], turned[some]
        size = stop - begin
        at = along(np.where(back, stop - 1, begin) + turn[some], size, back)
        np.subtract(at, np.repeat(size, size), out=at, where=at >= np.repeat(stop, size))
        middle, right = there.middle.take(at, 1), there.right.take(at, 1)
        chains = Chains(middle, right, there.start, there.closed)
        return _thinned(chains, _smoothed(chains))

    xy, count = _in_blocks(lines, first[~rings], drawn)
    xy_round, count_round = _in_blocks(lines, first[rings], drawn_round)
    xy, count = np.concatenate([xy, xy_round]), np.concatenate([count, count_round])
    order = np.empty(len(first), np.intp)
    order[np.concatenate([np.flatnonzero(~rings), np.flatnonzero(rings)])] = np.arange(len(first))
    begin, many = (np.cumsum(count) - count)[order[twin]], count[order[twin]]
    return _joined(xy, begin, many, lines.ring, turned)


def _joined(
    xy: NDArray[np.float64], first: Index, count: Index, ring: Index,
    back: NDArray[np.bool_] | None = None,
) -> tuple[NDArray[np.float64], Index]:  # fmt: skip
    """Return the vertices of rings and the ring of each: a line's last is the next one's first.

    Args:
        xy: ``(k, 2)`` vertices of lines.
        first: ``(c,)`` where in them each chain's line begins.
        count: ``(c,)`` how many it has.
        ring: ``(c,)`` the chain's ring.
        back: ``(c,)`` whether the chain goes along the line from its end.
    """
    if back is not None:
        first = np.where(back, first + count - 1, first)
    at = along(first, count - 1, back)
    return xy.take(at, 0), np.repeat(ring, count - 1)


def _walls(lines: Lines, some: Index, back: NDArray[np.bool_] | None = None) -> Chains:
    """Return some chains wall by wall, open ones from their ends where ``back`` says so."""
    count = np.diff(lines.start)[some]
    stop = np.cumsum(count)
    begin, last = stop - count, stop - 1
    first = lines.start[some]
    at = along(first if back is None else np.where(back, first + count - 1, first), count, back)
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
    # Each corner comes first, if it stays, then the walls up to the next corner.
    total = length + stays
    end = np.cumsum(total)
    begin_of = end - total
    shift = 0.5 - stays - begin_of
    owner = np.repeat(np.arange(len(total)), total)
    at_wall = np.arange(float(len(owner)))
    middle, right = np.empty((2, 2, len(owner)))
    corner = begin_of[stays]
    for axis, (place, way) in enumerate(((x, np.sign(dx)), (y, np.sign(dy)))):
        steps = way.astype(np.float64)
        runs = steps.take(owner, out=right[1 - axis])
        np.multiply(runs, at_wall, out=middle[axis])
        middle[axis] += (shift * steps + place).take(owner)
        middle[axis][corner] = place[stays]
        right[1 - axis][corner] = 0
    np.negative(right[0], out=right[0])
    return Chains(middle, right, np.append(0, end[last]), closed)


def _told(chains: Chains, logits: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Return ``(m,)`` the shifts to the right at which logits are 0 between two centres.

    NaN where they tell nothing: they contradict the mask, or say yes and no as surely as any.
    """
    width = logits.shape[1]
    values = logits.ravel()
    surest = np.abs(values).max(initial=0)

    def at(place: Places) -> NDArray[np.float64]:
        x, y = np.floor(place).astype(np.intp)
        pixel = y * width + x
        found: NDArray[np.float64] = values.take(pixel, mode="clip").astype(np.float64)
        return found

    inside, outside = at(chains.middle + chains.right / 2), at(chains.middle - chains.right / 2)
    told = (inside > 0) & (outside < 0) & chains.right.any(axis=0)
    told &= (inside != -outside) | (inside < surest)
    shift = np.full(len(told), np.nan)
    shift[told] = 0.5 - inside[told] / (inside[told] - outside[told])
    limited: NDArray[np.float64] = np.clip(shift, -LIMIT, LIMIT)
    return limited


def _smoothed(chains: Chains, shift: NDArray[np.float64] | None = None) -> Places:
    """Return the vertices where their neighbours want them: on a cubic through four.

    Near a corner that stays, on the line through the two that are as far away as it is. One
    whose shift is known, not NaN, is not asked.
    """
    size = np.diff(chains.start)
    room = ROOM * chains.closed
    start = chains.start[:-1] + 2 * np.cumsum(room) - room
    count = int(chains.start[-1] + 2 * room.sum())
    slot = along(start, size) if chains.closed.any() else slice(None)
    rim, source = _repeated(chains.closed, start, size)

    def spread(values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return values with closed chains going round in the room before and after them."""
        if not len(rim):
            return values
        wide = np.empty((*values.shape[:-1], count))
        wide[..., slot] = values
        wide[..., rim] = wide[..., source]
        return wide

    moved, pull = np.zeros(count), np.full(count, RATE)
    if shift is not None:
        unknown = np.isnan(shift)
        moved, pull = spread(np.where(unknown, 0.0, shift)), spread(unknown * RATE)
    middle, right = spread(chains.middle), spread(chains.right)
    near, near_reach = _near_ends(chains.closed, start, size)
    near, near_reach = np.concatenate([near, near + count]), np.tile(near_reach, 2)
    # Memory is asked for once: to be given it takes longer than to reckon in it.
    here, ways, ends = np.zeros((3, 2, count))
    flat, wanted = here.ravel(), ways.ravel()
    for step in REACHES:
        moved[rim] = moved[source]
        np.multiply(right, moved, out=here)
        here += middle
        k = 2 * step
        within = max(0, count - 2 * k)
        # Those next to the ends of the array are near an end, or room.
        way, end = ways[:, k : k + within], ends[:, :within]
        before, after = k - step, k + step
        # The same sums from either side of a border, to the last bit.
        np.add(here[:, before : before + within], here[:, after : after + within], out=way)
        way *= 4
        way -= np.add(here[:, :within], here[:, 2 * k :], out=end)
        way *= 1 / 6
        way -= here[:, k : k + within]
        few = near_reach < k
        at, apart = near[few], np.minimum(near_reach[few], step)
        wanted[at] = (flat[at - apart] + flat[at + apart]) / 2 - flat[at]
        ways *= right
        goes = np.add(ways[0], ways[1], out=ends[0])
        goes *= pull
        moved += goes
        np.clip(moved, -LIMIT, LIMIT, out=moved)
    np.multiply(right, moved, out=here)
    here += middle
    return here[:, slot]


def _near_ends(closed: NDArray[np.bool_], start: Index, size: Index) -> tuple[Index, Index]:
    """Return the vertices near the ends of open chains, and how far from the nearer one."""
    start, size = start[~closed], size[~closed]
    near, reach = [], []
    for away in range(1, ROOM):  # of a short chain each belongs to one end
        first, last = size > 2 * away, size > 2 * away + 1
        near += [start[first] + away, (start + size)[last] - 1 - away]
        reach.append(np.full(len(near[-2]) + len(near[-1]), away))
    return np.concatenate(near), np.concatenate(reach)


def _repeated(closed: NDArray[np.bool_], start: Index, size: Index) -> tuple[Index, Index]:
    """Return the places before and after closed chains, and the places that they repeat."""
    begin, many = start[closed, None], size[closed, None]
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
        places = places.take(at, 1)
    lines = shapely.linestrings(*places, indices=chain)
    thin = shapely.simplify(lines, SLACK, preserve_topology=False)
    xy, chain = shapely.get_coordinates(thin, return_index=True)
    return xy, chain
