"""Islands, deltas and harbours, with ships and glare: where land and water are both objects.

Land is an object with all that was drawn on it before, so these steps come last and put
what they enclose into the canvas's second layer.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from geoiseg.training.procedural.canvas import BoolArray, Canvas, components, fractal
from geoiseg.training.procedural.colours import BUILT, LAND, WATER, pick, pick_apart

FloatArray = NDArray[np.float32]


def add_islands(canvas: Canvas) -> None:
    """Flood all but the hills: islands of many sizes, some with beaches or surf."""
    rng, size = canvas.rng, canvas.size
    relief = fractal(rng, size, rng.uniform(0.9, 1.7), int(rng.integers(2, 7)))
    land = np.asarray(relief > np.quantile(relief, rng.uniform(0.55, 0.93)))
    if rng.random() < 0.5:
        beach = land & (cv2.erode(land.astype(np.uint8), _disk(int(rng.integers(1, 5)))) == 0)
        canvas.paint(beach, pick(rng, LAND[4:6]))
        canvas.release(beach)
    _flood(canvas, ~land)


def add_delta(canvas: Canvas) -> None:
    """Let a river part again and again on its way into a sea."""
    rng, size = canvas.rng, canvas.size
    turn = rng.uniform(0, 2 * np.pi)
    ahead = np.array([np.cos(turn), np.sin(turn)])
    water = np.zeros((size, size), np.uint8)
    start = np.array([size / 2, size / 2]) - ahead * size * 0.55
    branches = [(start, turn, float(rng.uniform(6, 26)), 0)]
    while branches:
        place, heading, width, depth = branches.pop()
        steps = int(rng.uniform(0.12, 0.3) * size / 4)
        swing = rng.uniform(0.2, 0.8)
        for k in range(steps):
            bent = heading + swing * np.sin(0.25 * k + depth)
            after = place + 4 * np.array([np.cos(bent), np.sin(bent)])
            ends = [tuple(int(v) for v in np.rint(p)) for p in (place, after)]
            cv2.line(water, ends[0], ends[1], 1, max(1, round(width)))
            place = after
        if depth < 6 and width > 1.2:
            for side in (-1, 1):
                spread = side * rng.uniform(0.15, 0.6)
                branches.append(
                    (place, heading + spread, width * rng.uniform(0.6, 0.85), depth + 1)
                )
    y, x = np.mgrid[:size, :size] - size / 2
    ridge = fractal(rng, size, 1.3, 4) * rng.uniform(0.02, 0.08) * size
    sea = (x * ahead[0] + y * ahead[1] + ridge) > rng.uniform(0.15, 0.4) * size
    _flood(canvas, sea | (water > 0))


def add_harbour(canvas: Canvas) -> None:
    """Draw a straight quay with basins, piers and a breakwater, and ships along them."""
    rng, size = canvas.rng, canvas.size
    turn = rng.uniform(0, 2 * np.pi)
    along, out = (
        np.array(v) for v in ((np.cos(turn), np.sin(turn)), (-np.sin(turn), np.cos(turn)))
    )
    origin = np.array([size / 2, size / 2]) - out * rng.uniform(-0.15, 0.2) * size
    sea = np.zeros((size, size), np.uint8)
    far = 2 * size
    _fill(sea, origin, along, out, (-far, far, 0, far), 1)
    for _ in range(int(rng.integers(0, 4))):
        left, depth = rng.uniform(-0.5, 0.4) * size, rng.uniform(0.04, 0.25) * size
        _fill(sea, origin, along, out, (left, left + rng.uniform(0.03, 0.2) * size, -depth, 2), 1)
    piers = np.zeros_like(sea)
    for _ in range(int(rng.integers(2, 9))):
        left, reach = rng.uniform(-0.55, 0.5) * size, rng.uniform(0.05, 0.35) * size
        wide = float(np.exp(rng.uniform(np.log(2), np.log(0.07 * size))))
        _fill(piers, origin, along, out, (left, left + wide, -6, reach), 1)
    reach, left = rng.uniform(0.15, 0.4) * size, rng.uniform(-0.4, 0.0) * size
    wall = (left, left + rng.uniform(0.3, 0.7) * size, reach, reach + rng.uniform(2, 8))
    _fill(piers, origin, along, out, wall, 1)
    quay = _strip(sea, int(rng.integers(2, 14))) | (piers > 0)
    water = (sea > 0) & ~(piers > 0)
    canvas.paint(quay & ~water, pick(rng, BUILT), 4)
    canvas.release(quay & ~water)
    _flood(canvas, water)
    add_ships(canvas)


def add_ships(canvas: Canvas) -> None:
    """Put ships on the water, most of them along one direction, some with a wake."""
    rng, size = canvas.rng, canvas.size
    water = np.isin(canvas.ids, [n for n, kind in canvas.classes.items() if kind == "water"])
    rows, columns = np.nonzero(water)
    if len(rows) < 400:
        return
    heading = rng.uniform(0, np.pi)
    longest = float(np.exp(rng.uniform(np.log(7), np.log(50))))
    for _ in range(int(rng.integers(3, 40))):
        pick_one = int(rng.integers(len(rows)))
        centre = np.array([columns[pick_one], rows[pick_one]], float)
        length = longest * rng.uniform(0.4, 1.0)
        wide = max(2.0, length * rng.uniform(0.16, 0.32))
        turn = heading + rng.choice([0.0, np.pi / 2, rng.uniform(0, np.pi)]) + rng.normal(0, 0.05)
        bow = np.array([[-1, -1], [0.6, -1], [1, 0], [0.6, 1], [-1, 1]]) * (length / 2, wide / 2)
        spin = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
        hull = _polygon(size, centre + bow @ spin)
        if (hull & ~water).any() or hull.sum() < 8:
            continue
        if rng.random() < 0.25:
            _draw_wake(canvas, centre, turn, length, water & ~hull)
        below = canvas.image[hull].mean(axis=0)
        canvas.image[hull] = pick_apart(rng, BUILT, np.asarray(below, np.float32), 50)
        deck = _polygon(size, centre + bow * rng.uniform(0.3, 0.7) @ spin)
        canvas.image[deck & hull] = pick(rng, BUILT)
        canvas.classes[canvas.claim(hull)] = "ship"
        water &= ~hull


def add_glare(canvas: Canvas) -> None:
    """Let the sun glitter on a part of the water."""
    rng, size = canvas.rng, canvas.size
    water = np.isin(canvas.ids, [n for n, kind in canvas.classes.items() if kind == "water"])
    relief = fractal(rng, size, 1.6, 2) * rng.uniform(0.5, 1) + rng.uniform(-0.5, 0.5)
    grain = np.clip(fractal(rng, size, 0.2, 32) * 0.15 + 0.8, 0, 1.2)
    share = np.clip(relief, 0, 1)[..., None] * float(rng.uniform(0.15, 0.6)) * grain[..., None]
    shine = np.array([235, 235, 225], np.float32)
    lit = canvas.image * (1 - share) + shine * share
    canvas.image[water] = lit[water]


def _flood(canvas: Canvas, water: BoolArray) -> None:
    """Fill with water, claim it, and put the land that it parts into the second layer."""
    rng = canvas.rng
    colour = pick_apart(
        rng, WATER, canvas.image[~water].mean(axis=0) if (~water).any() else WATER[0], 40
    )
    canvas.release(water)
    canvas.paint(water, np.clip(colour, 2, 250), float(rng.uniform(0.5, 5)))
    if rng.random() < 0.4:
        depth = cv2.distanceTransform(water.astype(np.uint8), cv2.DIST_L2, 3)
        share = np.exp(-depth / float(rng.uniform(4, 50)))[..., None] * rng.uniform(0.2, 0.6)
        tint = pick(rng, WATER[3:])
        canvas.image[water] = (canvas.image * (1 - share) + tint * share)[water]
    for part in components(water, 25):
        canvas.classes[canvas.claim(part)] = "water"
    canvas.enclose(components(~water, 25))


def _draw_wake(
    canvas: Canvas, centre: NDArray[np.float64], turn: float, length: float, on: BoolArray
) -> None:
    back = np.array([np.cos(turn), np.sin(turn)])
    first, last = centre - back * length / 2, centre - back * length * canvas.rng.uniform(2, 6)
    paper = np.zeros((canvas.size,) * 2, np.float32)
    ends = [tuple(int(v) for v in np.rint(p)) for p in (first, last)]
    cv2.line(paper, ends[0], ends[1], 1.0, max(1, round(length / 8)))
    share = (cv2.GaussianBlur(paper, (0, 0), 1.0) * 0.6)[..., None]
    mixed = canvas.image * (1 - share) + 230 * share
    canvas.image[on] = mixed[on]


def _polygon(size: int, corners: NDArray[np.float64]) -> BoolArray:
    paper = np.zeros((size, size), np.uint8)
    cv2.fillPoly(paper, [np.rint(corners * 16).astype(np.int32)], 1, shift=4)
    return paper > 0


def _fill(
    paper: NDArray[np.uint8], origin: NDArray[np.float64], along: NDArray[np.float64],
    out: NDArray[np.float64], box: tuple[float, float, float, float], value: int,
) -> None:  # fmt: skip
    """Fill a box given by distances along the quay and out to the sea."""
    left, right, near, far = box
    corners = [
        origin + along * a + out * b
        for a, b in ((left, near), (right, near), (right, far), (left, far))
    ]
    cv2.fillConvexPoly(paper, np.rint(np.array(corners)).astype(np.int32), value)


def _strip(sea: NDArray[np.uint8], reach: int) -> BoolArray:
    """Return the land within so many pixels of the sea."""
    return np.asarray((cv2.dilate(sea, _disk(reach)) > 0) & (sea == 0))


def _disk(radius: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2), np.uint8)
