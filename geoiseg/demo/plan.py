"""What lies where in the demonstration scene: the raster of labels that is then painted.

Coast, lake and woods are level sets of fractal noise; parcels, roads, hedges and buildings
are drawn on top. Distances are in metres, the ground frame is that of ``parcels``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from geoiseg.demo.drawing import Drawing, Land, divisions, hedge
from geoiseg.demo.noise import Field, fractal
from geoiseg.demo.parcels import EXTENT, XY, Bend, Cut, densify, divide, meander
from geoiseg.demo.settlement import Settlement, farm, village

COARSE = 2048
"""Pixels on a side of the rasters that shape coast, lake and woods: 2 m whatever the scene."""


@dataclass(slots=True)
class Plan:
    """A scene before it is painted."""

    labels: NDArray[np.uint16]
    """``(y, x)`` land cover, see ``Land``."""
    inland: Field
    """``(y, x)`` signed distance from the coast, metres, negative in the sea."""
    ashore: Field
    """``(COARSE, COARSE)`` signed distance from the lake's shore, metres, negative in it."""
    angle: dict[int, float] = field(default_factory=dict)
    """For every field, the direction of its rows in the picture, radians clockwise from x."""
    settlements: list[Settlement] = field(default_factory=list)

    @property
    def scale(self) -> float:
        """Pixels per metre."""
        return float(self.labels.shape[0] / EXTENT)

    def field_boxes(self) -> list[tuple[int, tuple[slice, slice]]]:
        """Return the label and the bounding rows and columns of every field."""
        begins: NDArray[np.bool_] = np.ones(self.labels.shape, dtype=bool)
        begins[:, 1:] = self.labels[:, 1:] != self.labels[:, :-1]
        starts = np.flatnonzero(begins)  # of runs along the rows
        top, left = np.divmod(starts, begins.shape[1])
        ends = np.append(starts[1:], begins.size)
        owner, right = self.labels[begins], ends - top * begins.shape[1]
        order = np.argsort(owner, kind="stable")
        order = order[np.searchsorted(owner[order], Land.FIELD) :]
        labels, first = np.unique(owner[order], return_index=True)
        if not labels.size:
            return []
        rows = np.minimum.reduceat(top[order], first), np.maximum.reduceat(top[order], first) + 1
        cols = np.minimum.reduceat(left[order], first), np.maximum.reduceat(right[order], first)
        bounds = np.column_stack([labels, *rows, *cols]).tolist()
        return [(label, (slice(y0, y1), slice(x0, x1))) for label, y0, y1, x0, x1 in bounds]


def signed_distance(inside: NDArray[np.bool_]) -> Field:
    """Return metres from the edge of a ``(COARSE, COARSE)`` region, negative inside it."""
    region = inside.astype(np.uint8)
    outer = cv2.distanceTransform(1 - region, cv2.DIST_L2, 5)
    inner = cv2.distanceTransform(region, cv2.DIST_L2, 5)
    return np.asarray((outer - inner) * (EXTENT / COARSE), dtype=np.float32)


def whole_largest(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the largest connected part of a mask, with its holes filled.

    Only a window around the mask is looked at; what goes on beyond it is no hole.
    """
    x, y, w, h = cv2.boundingRect(mask.astype(np.uint8))
    window = np.s_[max(y - 1, 0) : y + h + 1, max(x - 1, 0) : x + w + 1]
    inner = mask[window]
    _, parts, stats, _ = cv2.connectedComponentsWithStats(inner.astype(np.uint8), connectivity=4)
    part = parts == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    _, rest, stats, _ = cv2.connectedComponentsWithStats((~part).astype(np.uint8), connectivity=4)
    small = stats[:, cv2.CC_STAT_AREA] < 0.02 * mask.size
    edges = (rest[0], rest[-1], rest[:, 0], rest[:, -1])
    goes_on = (y > 0, y + h < mask.shape[0], x > 0, x + w < mask.shape[1])
    for edge, open_ in zip(edges, goes_on, strict=True):
        small[edge] &= not open_
    found = np.zeros(mask.shape, dtype=bool)
    found[window] = part | (small[rest] & ~part)
    return found


def _mesh() -> tuple[Field, Field]:
    axis = (np.arange(COARSE, dtype=np.float32) + 0.5) * np.float32(EXTENT / COARSE)
    return axis[None, :], axis[:, None]


def _coast(rng: np.random.Generator) -> Field:
    """Return the signed distance from a fractal coast on the left of the scene."""
    x, y = _mesh()
    slope = rng.uniform(-0.16, 0.16)
    line = 930.0 + slope * (y - EXTENT / 2) + 60.0 * np.sin(y / 900.0 + rng.uniform(0, 6.3))
    relief = 230.0 * fractal(rng, COARSE, (3, 384), 0.46)
    return signed_distance(whole_largest(x - line + relief < 0))


def _blob(
    rng: np.random.Generator, xy: XY, radii: tuple[float, float], roughness: float
) -> NDArray[np.bool_]:
    """Return a ragged ellipse as a ``(COARSE, COARSE)`` mask."""
    turn = rng.uniform(0, math.pi)
    ragged = fractal(rng, COARSE, (10, 640), roughness)
    # beyond it the noise is too weak to make anything a part of it
    farthest = max(radii) * (1.0 + 0.3 * float(ragged.max() - ragged.min()))
    near, far = (np.clip((xy + d) * COARSE / EXTENT, 0, COARSE) for d in (-farthest, farthest))
    (left, top), (right, bottom) = near.astype(int), np.ceil(far).astype(int)
    window = np.s_[top:bottom, left:right]
    x, y = _mesh()
    x, y = x[:, left:right] - float(xy[0]), y[top:bottom] - float(xy[1])
    u = x * math.cos(turn) + y * math.sin(turn)
    v = y * math.cos(turn) - x * math.sin(turn)
    reach, noise = np.hypot(u / radii[0], v / radii[1]), ragged[window]
    # about its mean in the ellipse: noise is wide enough to swallow a small one whole
    inner = reach < 1.0
    noise = noise - (noise[inner].mean() if inner.any() else 0.0)
    found = np.zeros((COARSE, COARSE), dtype=bool)
    found[window] = reach + 0.3 * noise < 1.0
    return whole_largest(found)


def _woods(rng: np.random.Generator, drawing: Drawing, inland: Field) -> None:
    """Grow two or three woods with ragged edges, and give a few parcels to trees."""
    mask = np.zeros((COARSE, COARSE), dtype=bool)
    for _ in range(3):
        xy = rng.uniform([1500.0, 150.0], [EXTENT - 100, EXTENT - 150])
        mask |= _blob(rng, xy, (rng.uniform(150, 330), rng.uniform(70, 160)), 0.62)
    mask &= inland > 90
    drawing.labels[drawing.upsample(mask.astype(np.float32)) > 0.5] = Land.WOOD


def _clearing(drawing: Drawing, window: tuple[float, float, float, float]) -> tuple[XY, float]:
    """Return the point of a window (xmin, ymin, xmax, ymax; metres) farthest from roads."""
    keep = ~np.isin(drawing.labels, (Land.ROAD, Land.YARD, Land.BUILDING, Land.LAWN))
    small = cv2.resize(keep.astype(np.uint8), (512, 512), interpolation=cv2.INTER_NEAREST)
    clear = cv2.distanceTransform(small, cv2.DIST_L2, 5)
    metres = EXTENT / 512
    x0, y0, x1, y1 = (round(v / metres) for v in window)
    part = clear[y0:y1, x0:x1]
    y, x = np.unravel_index(int(np.argmax(part)), part.shape)
    return np.array([x0 + x + 0.5, y0 + y + 0.5]) * metres, float(part.max()) * metres


def _water(rng: np.random.Generator, drawing: Drawing, coast: Field) -> Field:
    """Draw lake, reeds and stream; return the signed distance from the lake's shore."""
    labels = drawing.labels
    centre, room = _clearing(drawing, (1900.0, 1100.0, 3500.0, 3200.0))
    radius = min(max(room, 190.0), 330.0)
    lake = signed_distance(_blob(rng, centre, (radius, 0.58 * radius), 0.47))
    mouth_row = float(np.clip(centre[1] + rng.uniform(-700, 700), 300, EXTENT - 300))
    row = coast[int(mouth_row / EXTENT * COARSE)]
    mouth = np.array([float(np.argmax(row > 0)) * EXTENT / COARSE - 60.0, mouth_row])
    spring = np.array([EXTENT + 60.0, centre[1] + rng.uniform(-900, 900)])
    roads = np.isin(labels, (Land.ROAD, Land.TRACK))
    covers = labels.copy()
    for start, end, width in ((spring, centre, 7.0), (centre, mouth, 10.0)):
        course = meander(rng, start, end, 105.0)
        drawing.line(course, Land.MARGIN, width + 16.0)
        for side in (-1.0, 1.0):
            hedge(rng, drawing, course + np.array([0.0, side * (width / 2 + 6)]), 0.62)
        drawing.line(course, Land.STREAM, width)
    labels[roads] = covers[roads]  # bridges
    shore = drawing.upsample(lake)
    reeds = drawing.upsample(fractal(rng, COARSE, (16, 512), 0.6)) * 9.0 + 5.0
    labels[shore < 22.0 + reeds] = Land.MARGIN
    labels[shore < reeds] = Land.REEDS
    labels[shore < 0] = Land.LAKE
    return lake


def _shore(rng: np.random.Generator, drawing: Drawing, inland: Field) -> None:
    """Draw dunes, beach and sea."""
    width = drawing.upsample(fractal(rng, COARSE, (8, 512), 0.5))
    near = inland < 260.0
    drawing.labels[near & (inland < 105.0 + 42.0 * width)] = Land.DUNE
    drawing.labels[near & (inland < 34.0 + 11.0 * width)] = Land.BEACH
    drawing.labels[inland < 0] = Land.SEA


def _settle(plan: Plan, smallest: float) -> None:
    """Make every field one connected region of at least ``smallest`` square metres."""
    labels, following = plan.labels, int(plan.labels.max()) + 1
    least = max(12.0, smallest * plan.scale**2)
    for label, box in plan.field_boxes():
        part = labels[box]
        mask = cv2.inRange(part, label, label)
        count, parts, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=4)
        order = 1 + np.argsort(-stats[1:, cv2.CC_STAT_AREA], kind="stable")
        for rank, component in enumerate(order[: count - 1]):
            if stats[component, cv2.CC_STAT_AREA] < least:
                part[parts == component] = Land.MARGIN
            elif rank:
                part[parts == component] = following
                plan.angle[following] = plan.angle[label]
                following += 1


def _rows(xy_ground: XY) -> float:
    """Return the direction of the longest edge of an outline, radians."""
    edges = np.roll(xy_ground, -1, axis=0) - xy_ground
    longest = edges[np.argmax((edges**2).sum(axis=1))]
    return math.atan2(longest[1], longest[0])


def _crossing(lines: list[tuple[XY, int]], coast: Field, target: XY) -> tuple[XY, float]:
    """Return a place on a road, well inland and near a point, and the direction of the road.

    The ends of roads are preferred: there two of them meet.
    """
    best: tuple[float, XY, float] = (math.inf, target, 0.0)
    for road, depth in lines:
        for k in range(1, len(road) - 1):
            column, row = np.floor(road[k] * (COARSE / EXTENT)).astype(int)
            if depth > 1 or not (0 <= row < COARSE and 0 <= column < COARSE):
                continue
            cost = float(np.hypot(*(road[k] - target))) + (0 if k in (1, len(road) - 2) else 500)
            cost += 0.0 if coast[row, column] > 420 else 5000.0
            if cost < best[0]:
                way = road[k + 1] - road[k - 1]
                best = (cost, road[k], math.atan2(way[1], way[0]))
    return best[1], best[2]


def _settlements(
    rng: np.random.Generator, lines: list[tuple[XY, int]], coast: Field
) -> list[Settlement]:
    """Return a village on a road and a few farms on tracks."""
    xy, angle = _crossing(lines, coast, np.array([2500.0, 1700.0]))
    made = [village(rng, xy, angle, [line for line, depth in lines if depth < 2])]
    tracks = [line for line, depth in lines if 1 < depth < 5]
    for k in rng.permutation(len(tracks))[:9]:
        line = tracks[int(k)]
        at = int(rng.integers(1, max(2, len(line) - 1)))
        way = line[at] - line[at - 1]
        made.append(farm(rng, line[at], math.atan2(way[1], way[0])))
    return made


def make_plan(rng: np.random.Generator, size: int) -> Plan:
    """Return the plan of a scene of ``size`` pixels on a side; the ground is the same for all.

    Args:
        rng: Source of randomness.
        size: Pixels on a side.
    """
    drawing = Drawing(size)
    coast, bend = _coast(rng), Bend.random(rng)
    parcels, cuts = divide(rng)
    plan = Plan(drawing.labels, drawing.upsample(coast), np.zeros((1, 1), np.float32))
    for k, parcel in enumerate(parcels):
        outline = bend(densify(parcel, 24.0, closed=True))
        wooded = rng.random() < 0.05
        drawing.fill(outline, Land.WOOD if wooded else Land.FIELD + k)
        plan.angle[Land.FIELD + k] = _rows(bend(parcel))
    lines = [(_bent(cut, bend), cut.depth) for cut in cuts]
    _woods(rng, drawing, coast)
    divisions(rng, drawing, lines)
    plan.settlements = _settlements(rng, lines, coast)
    for settlement in plan.settlements:
        for xy_ground, label in settlement.ground:
            drawing.fill(xy_ground, Land[label])
        drawing.trees(*settlement.trees)
        for roof in settlement.roofs:
            drawing.fill(roof.xy_ground, Land.BUILDING)
    plan.ashore = _water(rng, drawing, coast)
    _shore(rng, drawing, plan.inland)
    _settle(plan, smallest=6000.0)
    return plan


def _bent(cut: Cut, bend: Bend) -> XY:
    return bend(densify(cut.xy_ground, 24.0, closed=False))
