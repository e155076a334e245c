"""How the sea, its beach and the lake look."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from geoiseg.demo.crops import lay_rows
from geoiseg.demo.drawing import Land
from geoiseg.demo.noise import TILE, Field, grain
from geoiseg.demo.parcels import EXTENT
from geoiseg.demo.plan import Plan

RGB = NDArray[np.uint8]
Stops = tuple[tuple[float, tuple[int, int, int]], ...]

DEPTHS: Stops = (
    (-700.0, (32, 62, 84)),
    (-330.0, (40, 76, 94)),
    (-130.0, (62, 106, 112)),
    (-45.0, (104, 142, 132)),
    (-10.0, (150, 168, 146)),
    (0.0, (186, 184, 156)),
)
"""Colour of the sea by distance from the coast, metres."""

SANDS: Stops = (
    (0.0, (168, 150, 118)),
    (7.0, (188, 170, 134)),
    (16.0, (212, 196, 160)),
    (60.0, (222, 208, 176)),
)
"""Colour of the beach, wet to dry, by distance from the water, metres."""

LAKE: Stops = (
    (-90.0, (40, 60, 62)),
    (-35.0, (46, 68, 66)),
    (-8.0, (62, 82, 68)),
    (0.0, (82, 96, 70)),
)
"""Colour of the lake by distance from its shore, metres."""

FOAM = np.array([236, 238, 232], np.float32)


def _blend(stops: Stops, at: Field) -> NDArray[np.float32]:
    """Return ``(3, y, x)`` colours interpolated between stops."""
    where = [stop for stop, _ in stops]
    index = np.clip((at - where[0]) / (where[-1] - where[0]) * 1023, 0, 1023).astype(np.uint16)
    axis = np.linspace(where[0], where[-1], 1024)
    channels = [np.interp(axis, where, [rgb[c] for _, rgb in stops]) for c in range(3)]
    return np.stack([channel.astype(np.float32)[index] for channel in channels])


def _put(image: RGB, colour: Field, labels: NDArray[np.uint16], land: Land) -> None:
    """Copy ``(3, y, x)`` colours in place to the pixels of one kind of land."""
    mask = cv2.inRange(labels, int(land), int(land))
    channels = [cv2.convertScaleAbs(np.maximum(channel, 0)) for channel in colour]
    cv2.copyTo(cv2.merge(channels), mask, image)


def _blocks(plan: Plan) -> list[tuple[int, int]]:
    """Return the first row and column of every block that the coast or the sea is in."""
    starts = range(0, plan.labels.shape[0], TILE)
    return [
        (y, x)
        for y in starts
        for x in starts
        if plan.inland[y : y + TILE, x : x + TILE].min() < 80.0
    ]


def _surf(inland: Field, foam: Field, bottom: Field) -> Field:
    """Return how white the water is, 0..1: lines of breakers, and the swash at the beach."""
    phase = -inland * np.float32(2 * math.pi / 21.0) + 2.6 * bottom + 0.6 * foam
    breakers = np.clip(1.5 * np.sin(phase) - 0.35 - 0.5 * foam, 0.0, 1.0)
    breakers *= np.clip((46.0 + inland) / 34.0, 0.0, 1.0)
    swash = np.clip(1.0 + inland / 4.0 + 0.25 * foam, 0.0, 0.9)
    return np.asarray(np.maximum(breakers, swash), dtype=np.float32)


def paint_sea(image: RGB, plan: Plan, rng: np.random.Generator, mottle: Field) -> None:
    """Paint in place beach and sea: depth, swell, chop, surf and a glint of the sun.

    Args:
        image: ``(y, x, 3)`` RGB.
        plan: What lies where.
        rng: Source of randomness.
        mottle: ``(y, x)`` broad noise, the unevenness of the sea bed.
    """
    px = plan.scale
    swell, chop = grain(rng, 70.0 * px, 9.0 * px), grain(rng, 6.0 * px, 2.2 * px)
    foam, fine = grain(rng, 16.0 * px, 16.0 * px), grain(rng, 1.5 * px, 1.5 * px)
    for row, column in _blocks(plan):
        block = np.s_[row : row + TILE, column : column + TILE]
        labels, inland, bottom = plan.labels[block], plan.inland[block], mottle[block]
        h, w = labels.shape
        at = (float(column), float(row))
        ripple = 0.018 * lay_rows(swell, (h, w), 1.9, at)
        ripple += 0.022 * lay_rows(chop, (h, w), 2.15, at)
        y = (np.arange(row, row + h, dtype=np.float32)[:, None]) / px
        x = (np.arange(column, column + w, dtype=np.float32)[None, :]) / px
        glint = np.exp(-((x + 500.0) ** 2 + (y - EXTENT - 200.0) ** 2) / 1900.0**2)
        sea = _blend(DEPTHS, inland * (1.0 + 0.22 * bottom))
        sea *= 1.0 + ripple * (1.0 + 0.6 * glint)
        sea += glint * (24.0 + 160.0 * ripple)
        white = _surf(inland, foam[:h, :w], bottom)
        sea += 0.72 * white * (FOAM[:, None, None] - sea)
        _put(image[block], sea, labels, Land.SEA)
        sand = _blend(SANDS, inland + 3.0 * foam[:h, :w])
        sand *= 1.0 + 0.022 * fine[:h, :w]
        _put(image[block], sand, labels, Land.BEACH)


def paint_lake(image: RGB, plan: Plan, rng: np.random.Generator, mottle: Field) -> None:
    """Paint the lake in place: dark in the middle, greener at the shore, ruffled by the wind.

    Args:
        image: ``(y, x, 3)`` RGB.
        plan: What lies where.
        rng: Source of randomness.
        mottle: ``(y, x)`` broad noise, here the gusts.
    """
    x, y, w, h = cv2.boundingRect(cv2.inRange(plan.labels, int(Land.LAKE), int(Land.LAKE)))
    if not w:
        return
    box, px = np.s_[y : y + h, x : x + w], plan.scale
    factor = plan.ashore.shape[0] / plan.labels.shape[0]
    grid = np.array([[factor, 0, (x + 0.5) * factor - 0.5], [0, factor, (y + 0.5) * factor - 0.5]])
    sample = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    depth = np.asarray(cv2.warpAffine(plan.ashore, grid, (w, h), flags=sample), np.float32)
    ruffle = lay_rows(grain(rng, 40.0 * px, 4.0 * px), (h, w), 2.2, (0.0, 0.0))
    gusts = np.clip(0.5 + 0.5 * mottle[box], 0.0, 1.0)
    light = 1.0 + 0.05 * ruffle * gusts + 0.10 * gusts
    _put(image[box], _blend(LAKE, depth) * light, plan.labels[box], Land.LAKE)
