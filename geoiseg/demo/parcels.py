"""A patchwork of land: a plain cut in two again and again, then gently bent.

The frame is the ground: metres, x to the right, y down, the scene is 0..EXTENT on both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

EXTENT = 4096.0
"""Metres on a side of the scene, whatever its pixels."""

XY = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Cut:
    """A line that divides parcels."""

    xy_ground: XY
    """``(n, 2)`` vertices, metres."""
    depth: int
    """How many cuts were made before: 0 is the first and longest."""


@dataclass(frozen=True, slots=True)
class Bend:
    """A smooth displacement of the ground: a sum of a few sine waves."""

    wave: XY
    """``(n, 2)`` wave vectors, radians per metre."""
    phase: XY
    """``(n, 2)`` phases of the shift in x and in y, radians."""
    amplitude: XY
    """``(n, 1)`` metres."""

    @classmethod
    def random(cls, rng: np.random.Generator) -> Bend:
        """Return a bend of about 100 m over wavelengths of one to three kilometres."""
        wavelength = np.array([3100.0, 2300.0, 1500.0, 1100.0])
        angle = rng.uniform(0, 2 * math.pi, 4)
        wave = np.column_stack([np.cos(angle), np.sin(angle)]) * (2 * math.pi / wavelength)[:, None]
        return cls(wave, rng.uniform(0, 2 * math.pi, (4, 2)), wavelength[:, None] * 0.024)

    def __call__(self, xy_ground: XY) -> XY:
        """Return ``(n, 2)`` moved coordinates, metres."""
        angle = (xy_ground @ self.wave.T)[:, :, None] + self.phase[None]
        return np.asarray(xy_ground + (np.sin(angle) * self.amplitude[None]).sum(axis=1))


def _halves(polygon: XY, origin: XY, normal: XY) -> tuple[XY, XY, XY]:
    """Return a convex polygon's two sides of a line, and the ``(2, 2)`` ends of the cut."""
    side = (polygon - origin) @ normal
    front: list[XY] = []
    back: list[XY] = []
    ends: list[XY] = []
    for i in range(len(polygon)):
        j = (i + 1) % len(polygon)
        (front if side[i] >= 0 else back).append(polygon[i])
        if (side[i] >= 0) != (side[j] >= 0):
            crossing = polygon[i] + (polygon[j] - polygon[i]) * side[i] / (side[i] - side[j])
            for part in (front, back, ends):
                part.append(crossing)
    return np.array(front), np.array(back), np.array(ends)


def _area(polygon: XY) -> float:
    x, y = polygon.T
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)


def _cut_line(rng: np.random.Generator, polygon: XY, depth: int) -> tuple[XY, XY]:
    """Return a point and the unit normal of a line that cuts a polygon across its length."""
    centre = polygon.mean(axis=0)
    edges = np.roll(polygon, -1, axis=0) - polygon
    # a long edge gives the direction: neighbours then run parallel, as land is ploughed
    longest = edges[np.argmax((edges**2).sum(axis=1))]
    along = longest / np.hypot(*longest)
    spread = (
        np.ptp((polygon - centre) @ along),
        np.ptp((polygon - centre) @ np.array([-along[1], along[0]])),
    )
    strips = depth > 3 and spread[0] < 2.4 * spread[1] and rng.random() < 0.28
    if (spread[0] < spread[1]) != strips:
        along = np.array([-along[1], along[0]])
    turn = rng.normal(0, 0.13 if depth > 1 else 0.06)
    cos, sin = math.cos(turn), math.sin(turn)
    normal = np.array([cos * along[0] - sin * along[1], sin * along[0] + cos * along[1]])
    shift = rng.uniform(-0.16, 0.16) * np.ptp((polygon - centre) @ normal)
    return centre + shift * normal, normal


def divide(rng: np.random.Generator) -> tuple[tuple[XY, ...], tuple[Cut, ...]]:
    """Return ``(parcels, cuts)``: outlines of the parcels and the lines between them, unbent.

    Parcels are convex polygons of 3 to 30 hectares that cover the scene and a margin.
    """
    turn, reach = rng.uniform(-0.28, 0.28), 0.78 * EXTENT
    corners = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]]) * reach
    rotation = np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
    todo = [(corners @ rotation + EXTENT / 2, 0)]
    parcels: list[XY] = []
    cuts: list[Cut] = []
    while todo:
        polygon, depth = todo.pop()
        wanted = 1e4 * math.exp(rng.normal(math.log(13.0), 0.55))
        if _area(polygon) < max(wanted, 4e4):
            parcels.append(polygon)
            continue
        front, back, ends = _halves(polygon, *_cut_line(rng, polygon, depth))
        cuts.append(Cut(ends, depth))
        todo += [(front, depth + 1), (back, depth + 1)]
    return tuple(parcels), tuple(cuts)


def densify(xy_ground: XY, step: float, *, closed: bool) -> XY:
    """Return the vertices of a line or ring with none further apart than ``step`` metres."""
    shape = shapely.LinearRing(xy_ground) if closed else shapely.LineString(xy_ground)
    return np.asarray(shapely.get_coordinates(shapely.segmentize(shape, step)))


def meander(rng: np.random.Generator, start: XY, end: XY, swing: float) -> XY:
    """Return ``(n, 2)`` vertices of a stream from ``start`` to ``end`` that wanders sideways.

    Args:
        rng: Source of randomness.
        start: ``(2,)`` metres.
        end: ``(2,)`` metres.
        swing: Typical distance from the straight line, metres.
    """
    length = float(np.hypot(*(end - start)))
    t = np.linspace(0.0, 1.0, max(16, round(length / 12)))
    offset = np.zeros_like(t)
    for wavelength, part in ((1500.0, 0.8), (640.0, 0.55), (270.0, 0.28), (130.0, 0.1)):
        offset += part * np.sin(2 * math.pi * t * length / wavelength + rng.uniform(0, 6.3))
    offset *= swing * np.clip(np.minimum(t, 1 - t) * 8, 0, 1)
    along = (end - start) / length
    return np.asarray(start + t[:, None] * (end - start) + offset[:, None] * [-along[1], along[0]])
