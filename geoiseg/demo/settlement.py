"""A village and farms: plots, streets, houses and trees as outlines on the ground."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from geoiseg.demo.parcels import XY

ROOFS = ((168, 92, 70), (150, 84, 66), (128, 118, 112), (104, 102, 106), (190, 178, 162))
"""Tile, old tile, slate, dark slate, light sheet; RGB."""
BARNS = ((176, 174, 170), (140, 88, 72), (202, 204, 204))


@dataclass(frozen=True, slots=True)
class Roof:
    """A building with a ridge along its length."""

    xy_ground: XY
    """``(4, 2)`` corners in order; the first edge is the long one."""
    rgb: tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Settlement:
    """What is drawn for a village or a farm, in order."""

    ground: tuple[tuple[XY, str], ...]
    """Outlines with the name of their land cover."""
    trees: tuple[XY, NDArray[np.float64]]
    """``(n, 2)`` centres and ``(n,)`` radii, metres."""
    roofs: tuple[Roof, ...]


class _Frame:
    """Local axes of a settlement: u along the street, v across it."""

    def __init__(self, xy: XY, angle: float) -> None:
        self.origin = xy
        cos, sin = math.cos(angle), math.sin(angle)
        self.axes = np.array([[cos, sin], [-sin, cos]])

    def ground(self, uv: XY) -> XY:
        uv = np.asarray(uv, dtype=np.float64)
        swayed = uv + 13.0 * np.sin(uv[..., ::-1] / 118.0 + [0.4, 1.1])  # no street is straight
        return np.asarray(swayed @ self.axes + self.origin)

    def rectangle(self, uv: XY, width: float, depth: float, turn: float = 0.0) -> XY:
        """Return ``(4, 2)`` ground corners of a rectangle around ``uv``, long edge first."""
        corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * [width / 2, depth / 2]
        if depth > width:
            corners = np.roll(corners, -1, axis=0)
        cos, sin = math.cos(turn), math.sin(turn)
        return self.ground(corners @ np.array([[cos, sin], [-sin, cos]]) + uv)

    def strip(self, u: tuple[float, float], v: float, width: float) -> XY:
        """Return the outline of a street from ``u[0]`` to ``u[1]`` that follows the sway."""
        along = np.linspace(u[0], u[1], 24)
        near, far = np.full(24, v - width / 2), np.full(24, v + width / 2)
        there, back = np.column_stack([along, near]), np.column_stack([along, far])[::-1]
        return self.ground(np.concatenate([there, back]))


def _houses(
    rng: np.random.Generator, frame: _Frame, uv: XY, street: float
) -> tuple[list[Roof], list[tuple[XY, float]]]:
    """Return the roofs and trees of one plot; ``street`` is -1 or 1, the side it opens to."""
    house = uv + np.array([rng.uniform(-2, 2), street * 8.0])
    rgb = ROOFS[int(rng.choice(len(ROOFS), p=(0.34, 0.24, 0.2, 0.14, 0.08)))]
    size = rng.uniform([9.5, 8.0], [14.0, 10.5])
    roofs = [Roof(frame.rectangle(house, size[0], size[1], rng.normal(0, 0.05)), rgb)]
    if rng.random() < 0.4:
        shed = uv + np.array([rng.uniform(-6, 6), -street * rng.uniform(2, 10)])
        roofs.append(Roof(frame.rectangle(shed, 5.0, 4.0), BARNS[int(rng.integers(3))]))
    trees = [
        (frame.ground(uv + rng.uniform((-9, -15), (9, 0)) * (1, street)), rng.uniform(1.6, 4))
        for _ in range(rng.integers(1, 6))
    ]
    return roofs, trees


def _plots(
    rng: np.random.Generator, frame: _Frame, roads: shapely.Geometry
) -> dict[int, list[tuple[XY, float]]]:
    """Return for every street the plots on it: centre (u, v) and the side it opens to."""
    phase = rng.uniform(0, 2 * math.pi, 2)
    plots: dict[int, list[tuple[XY, float]]] = {}
    for row in range(-4, 5):
        for side, column in itertools.product((-1.0, 1.0), range(-15, 16)):
            uv = np.array([column * 22.0 + rng.uniform(-1, 1), row * 76.0 + side * 20.5])
            around = math.atan2(uv[1], uv[0])
            limit = (
                225 + 50 * math.sin(2 * around + phase[0]) + 45 * math.sin(3 * around + phase[1])
            )
            clear = roads.distance(shapely.Point(frame.ground(uv))) > 23.0
            if clear and abs(uv[0]) > 14 and np.hypot(*uv) < limit and rng.random() > 0.05:
                plots.setdefault(row, []).append((uv, -side))
    return plots


def village(rng: np.random.Generator, xy: XY, angle: float, roads: list[XY]) -> Settlement:
    """Return a village of about a hundred and fifty houses around a crossing.

    Args:
        rng: Source of randomness.
        xy: ``(2,)`` the crossing, metres.
        angle: Direction of the main street, radians.
        roads: Lines that plots keep away from, metres.
    """
    frame = _Frame(xy, angle)
    lines = shapely.MultiLineString([np.asarray(road) for road in roads])
    streets: list[tuple[XY, str]] = []
    gardens: list[tuple[XY, str]] = []
    trees: list[tuple[XY, float]] = []
    roofs: list[Roof] = []
    reach = [0.0, 0.0]
    for row, plots in _plots(rng, frame, lines).items():
        for uv, street in plots:
            kind = "LAWN" if rng.random() < 0.66 else "GARDEN"
            gardens.append((frame.rectangle(uv, 22.5, 34.0), kind))
            if rng.random() < 0.93:
                more, green = _houses(rng, frame, uv, street)
                roofs += more
                trees += green
        across = [float(uv[0]) for uv, _ in plots] + [0.0]
        streets.append((frame.strip((min(across) - 9, max(across) + 9), row * 76.0, 6.0), "ROAD"))
        reach = [min(reach[0], row * 76.0), max(reach[1], row * 76.0)]
    streets.append(
        (frame.rectangle(np.array([0.0, sum(reach) / 2]), 6.5, reach[1] - reach[0]), "ROAD")
    )
    church = np.array([36.0, 38.0])
    streets.append((frame.rectangle(church, 46.0, 30.0), "YARD"))
    roofs = [
        roof for roof in roofs if np.hypot(*(roof.xy_ground.mean(0) - frame.ground(church))) > 34
    ]
    roofs.append(Roof(frame.rectangle(church, 30.0, 12.0, 0.3), ROOFS[3]))
    roofs.append(Roof(frame.rectangle(church - [15.0, 4.6], 8.0, 8.0, 0.3), ROOFS[2]))
    return Settlement((*gardens, *streets), _planted(trees), tuple(roofs))


def farm(rng: np.random.Generator, xy: XY, angle: float) -> Settlement:
    """Return a yard with two to four buildings and a screen of trees beside a track.

    Args:
        rng: Source of randomness.
        xy: ``(2,)`` a point on the track, metres.
        angle: Direction of the track, radians.
    """
    frame = _Frame(xy, angle)
    side = float(rng.choice((-1.0, 1.0)))
    centre = np.array([0.0, side * 38.0])
    around = np.linspace(0, 2 * math.pi, 18, endpoint=False)
    reach = rng.uniform(0.8, 1.2, 18)[:, None] * np.column_stack([np.cos(around), np.sin(around)])
    ground = [
        (frame.ground(centre + reach * [58.0, 40.0]), "LAWN"),
        (frame.ground(centre + reach * [30.0, 21.0]), "YARD"),
        (frame.rectangle(centre * 0.5, 5.0, 38.0), "TRACK"),
    ]
    roofs = []
    places = np.array([[-24.0, 4.0], [20.0, 14.0], [24.0, -12.0], [-4.0, 24.0]])
    for place in places[: int(rng.integers(2, 5))]:
        size = rng.uniform([18.0, 10.0], [34.0, 16.0])
        rgb = BARNS[int(rng.integers(3))]
        turned = size[::-1] if rng.random() < 0.4 else size
        roofs.append(Roof(frame.rectangle(centre + place * [1, side], *turned), rgb))
    trees = [
        (
            frame.ground(centre + np.array([56 * math.cos(a), 38 * math.sin(a)])),
            rng.uniform(2.5, 5.5),
        )
        for a in np.concatenate([rng.uniform(0, 2.4, 10) * side, rng.uniform(0, 6.3, 5)])
    ]
    return Settlement(tuple(ground), _planted(trees), tuple(roofs))


def _planted(trees: list[tuple[XY, float]]) -> tuple[XY, NDArray[np.float64]]:
    xy = np.array([centre for centre, _ in trees]).reshape(-1, 2)
    return xy, np.array([radius for _, radius in trees])
