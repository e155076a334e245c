"""The label raster while it is drawn: areas, lines, trees and what divides parcels."""

from __future__ import annotations

from enum import IntEnum

import cv2
import numpy as np
from numpy.typing import NDArray

from geoiseg.demo.noise import Field
from geoiseg.demo.parcels import EXTENT, XY, densify


class Land(IntEnum):
    """Labels of the land cover; fields are numbered from ``FIELD`` on."""

    MARGIN = 0
    SEA = 1
    LAKE = 2
    STREAM = 3
    BEACH = 4
    DUNE = 5
    REEDS = 6
    ROAD = 7
    TRACK = 8
    WOOD = 9
    YARD = 10
    LAWN = 11
    GARDEN = 12
    BUILDING = 13
    FIELD = 32


def fixed(xy_ground: XY, scale: float) -> NDArray[np.int32]:
    """Return coordinates for OpenCV's drawing with ``shift=4``: 1/16 px from pixel centres."""
    return np.round((np.asarray(xy_ground) * scale - 0.5) * 16).astype(np.int32)


class Drawing:
    """The label raster while it is drawn."""

    def __init__(self, size: int) -> None:
        self.labels = np.zeros((size, size), dtype=np.uint16)
        self.scale = size / EXTENT

    def fill(self, xy_ground: XY, label: int) -> None:
        """Give a label to the inside of an outline."""
        cv2.fillPoly(self.labels, [fixed(xy_ground, self.scale)], int(label), shift=4)

    def line(self, xy_ground: XY, label: int, width: float) -> None:
        """Draw a line ``width`` metres wide, at least one pixel."""
        thickness = max(1, round(width * self.scale))
        points = [fixed(xy_ground, self.scale)]
        cv2.polylines(
            self.labels,
            points,
            isClosed=False,
            color=int(label),
            thickness=thickness,
            lineType=cv2.LINE_8,
            shift=4,
        )

    def trees(self, xy_ground: XY, radii: NDArray[np.float64]) -> None:
        """Plant ``(n, 2)`` trees with crowns of ``(n,)`` radii, metres."""
        crowns = np.maximum(4, np.round(radii * self.scale * 16)).astype(np.int32)
        places = fixed(xy_ground, self.scale).tolist()
        for xy, radius in zip(places, crowns.tolist(), strict=True):
            cv2.circle(self.labels, xy, radius, int(Land.WOOD), -1, cv2.LINE_8, 4)

    def upsample(self, coarse: Field) -> Field:
        """Return a ``(COARSE, COARSE)`` field at the size of the labels."""
        side = self.labels.shape[0]
        return np.asarray(cv2.resize(coarse, (side, side), interpolation=cv2.INTER_LINEAR))


def hedge(rng: np.random.Generator, drawing: Drawing, line: XY, density: float) -> None:
    """Draw trees along a line, in clumps."""
    trees = densify(line, 4.5, closed=False)
    knots = np.arange(0, len(trees) + 12, 12)
    clump = np.interp(np.arange(len(trees)), knots, rng.random(len(knots)))
    kept = trees[clump < density]
    radii = rng.uniform(1.6, 4.4, len(kept))
    drawing.trees(kept + rng.normal(0, 1.2, kept.shape), radii)


def divisions(rng: np.random.Generator, drawing: Drawing, lines: list[tuple[XY, int]]) -> None:
    """Draw what lies between parcels: hedges and margins first, tracks and roads over them."""
    for line, depth in sorted(lines, key=lambda pair: -pair[1]):
        kind = rng.random()
        if depth < 2:
            drawing.line(line, Land.MARGIN, 17.0)
            hedge(rng, drawing, line + np.array([9.0, 6.0]), 0.3)
            drawing.line(line, Land.ROAD, 7.5)
        elif depth < 5 and kind < 0.75:
            drawing.line(line, Land.MARGIN, 9.0)
            if kind < 0.35:
                hedge(rng, drawing, line + np.array([4.0, 3.0]), 0.7)
            drawing.line(line, Land.TRACK, 3.6)
        elif kind < 0.45:
            drawing.line(line, Land.MARGIN, 6.0)
            hedge(rng, drawing, line, rng.uniform(0.45, 0.95))
        elif kind < 0.85:
            drawing.line(line, Land.MARGIN, rng.uniform(1.6, 4.0))
