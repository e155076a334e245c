"""Rivers, braided channels, oxbows, coasts and lakes.

A meandering centre line follows the sine-generated curve of Langbein and Leopold (1966):
its direction swings as a sine of the distance along it, about an axis that drifts.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from geoiseg.training.procedural.canvas import BoolArray, Canvas, components, fractal
from geoiseg.training.procedural.colours import BUILT, LAND, WATER, pick, pick_apart

FloatArray = NDArray[np.float32]


def add_river(canvas: Canvas) -> None:
    """Draw one river with tributaries, sand bars and cut-off meanders."""
    rng = canvas.rng
    width = float(np.exp(rng.uniform(np.log(2.0), np.log(26.0))))
    line = _meander(rng, canvas.size, width)
    water = _stroke(canvas, line, width)
    for _ in range(int(rng.integers(0, 4))):
        start = line[int(rng.integers(len(line)))]
        share = float(rng.uniform(0.25, 0.7))
        side = _meander(rng, canvas.size, max(width * share, 1.5), start)
        water |= _stroke(canvas, side, max(width * share, 1.2))
    bars = _bars(canvas, water, width)
    cut_offs = _oxbows(canvas, line, width)
    ground = canvas.image[~water].mean(axis=0)
    colour = pick_apart(rng, WATER, ground, 45)
    canvas.paint(bars, pick_apart(rng, LAND, colour, 60))
    canvas.release(bars | water)
    _fill_water(canvas, water & ~bars, colour, split=True)
    for mask in cut_offs:
        own = mask & ~water
        if own.sum() > 25:
            varied = colour + rng.normal(0, 12, 3).astype(np.float32)
            _fill_water(canvas, own, varied, split=False)


def add_braid(canvas: Canvas) -> None:
    """Draw many channels that part and meet again on a bright bed."""
    rng, size = canvas.rng, canvas.size
    belt = rng.uniform(0.06, 0.2) * size
    axis = _meander(rng, size, belt / 3)
    bed = _stroke(canvas, axis, 2 * belt)
    canvas.paint(bed, pick(rng, LAND[3:8]), 8)
    water = np.zeros_like(bed)
    for _ in range(int(rng.integers(3, 8))):
        shift = fractal(rng, 64, 1.0, 3)[0]
        offset = np.interp(np.linspace(0, 63, len(axis)), np.arange(64), shift) * belt * 0.45
        normal = np.gradient(axis, axis=0)[:, ::-1] * (1, -1)
        normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-6
        water |= _stroke(canvas, axis + normal * offset[:, None], rng.uniform(1.5, belt / 5 + 2))
    ground = canvas.image[bed & ~water].mean(axis=0) if (bed & ~water).any() else np.zeros(3)
    canvas.release(bed)
    _fill_water(
        canvas, water, pick_apart(rng, WATER, np.asarray(ground, np.float32), 40), split=True
    )


def add_coast(canvas: Canvas) -> None:
    """Flood the low part of a random relief: a sea with islands, bays and inland lakes."""
    rng, size = canvas.rng, canvas.size
    y, x = np.mgrid[:size, :size].astype(np.float32) / size - 0.5
    angle = rng.uniform(0, 2 * np.pi)
    tilt = float(rng.uniform(0.5, 5)) * (x * np.cos(angle) + y * np.sin(angle))
    height = fractal(rng, size, rng.uniform(0.9, 1.6), int(rng.integers(2, 5))) + tilt
    sea = np.asarray(height < np.quantile(height, rng.uniform(0.2, 0.7)))
    ground = canvas.image.mean(axis=(0, 1))
    colour = pick_apart(rng, WATER, ground, 40)
    if rng.random() < 0.4:
        beach = _grown(sea, int(rng.integers(1, 7))) & ~sea
        canvas.paint(beach, pick(rng, LAND[4:6]))
        canvas.release(beach)
    canvas.release(sea)
    _fill_water(canvas, sea, colour, split=True)
    if rng.random() < 0.5:
        _shoal(canvas, sea, float(rng.uniform(8, 60)))


def add_lakes(canvas: Canvas) -> None:
    """Draw ponds, lakes or a reservoir with arms."""
    rng, size = canvas.rng, canvas.size
    relief = fractal(rng, size, rng.uniform(0.7, 1.5), int(rng.integers(3, 12)))
    if rng.random() < 0.4:
        relief = np.abs(relief)
    level = np.quantile(relief, rng.uniform(0.03, 0.2))
    water = np.asarray(relief < level)
    colour = pick_apart(rng, WATER, canvas.image.mean(axis=(0, 1)), 40)
    for mask in components(water, 30)[:25]:
        canvas.release(mask)
        varied = colour + rng.normal(0, 8, 3).astype(np.float32)
        _fill_water(canvas, mask, varied, split=False)


def add_roads(canvas: Canvas) -> None:
    """Draw a connected network of straight or winding roads as one object."""
    rng, size = canvas.rng, canvas.size
    width = float(np.exp(rng.uniform(np.log(1.8), np.log(14))))
    roads = np.zeros((size, size), bool)
    winding = rng.random() < 0.4
    for _ in range(int(rng.integers(1, 5))):
        if winding:
            roads |= _stroke(canvas, _meander(rng, size, width * 3, sway=0.6), width)
        else:
            ends = rng.uniform(-0.1, 1.1, (2, 2)) * size
            ends[0, rng.integers(2)] = -5
            steps = np.linspace(0, 1, 50)[:, None]
            roads |= _stroke(canvas, ends[0] * (1 - steps) + ends[1] * steps, width)
    ground = canvas.image.mean(axis=(0, 1))
    canvas.release(roads)
    canvas.paint(roads, pick_apart(rng, BUILT, ground, 35), 4)
    for part in components(roads, 60):
        canvas.claim(part)


def _fill_water(canvas: Canvas, mask: BoolArray, colour: FloatArray, *, split: bool) -> None:
    canvas.paint(mask, np.clip(colour, 2, 250), float(canvas.rng.uniform(0.5, 5)))
    for part in components(mask, 25) if split else [mask]:
        canvas.claim(part)


def _shoal(canvas: Canvas, sea: BoolArray, reach: float) -> None:
    """Lighten the water towards the shore, as sediment and a shallow ground do."""
    depth = cv2.distanceTransform(sea.astype(np.uint8), cv2.DIST_L2, 3)
    share = np.exp(-depth / reach)[..., None] * float(canvas.rng.uniform(0.2, 0.6))
    tint = pick(canvas.rng, WATER[3:])
    mixed = canvas.image * (1 - share) + tint * share
    canvas.image[sea] = mixed[sea]


def _meander(
    rng: np.random.Generator,
    size: int,
    width: float,
    start: NDArray[Any] | None = None,
    sway: float | None = None,
) -> NDArray[np.float64]:
    """Return ``(n, 2)`` points of a winding line across the scene, as ``x, y``."""
    swing = float(rng.uniform(0.3, 1.75)) if sway is None else sway
    wavelength = float(rng.uniform(9, 22)) * max(width, 3)
    step = 2.0
    count = int(3 * size / step)
    s = np.arange(count) * step
    wander = np.interp(s, np.linspace(0, s[-1], 12), np.cumsum(rng.normal(0, 0.25, 12)))
    strength = np.interp(s, np.linspace(0, s[-1], 20), rng.uniform(0.3, 1.3, 20))
    stretch = np.interp(s, np.linspace(0, s[-1], 20), rng.uniform(0.7, 1.4, 20))
    phase = np.cumsum(2 * np.pi * step / (wavelength * stretch)) + rng.uniform(0, 6.3)
    heading = rng.uniform(0, 2 * np.pi) + wander + swing * strength * np.sin(phase)
    path = np.cumsum(np.stack([np.cos(heading), np.sin(heading)], 1) * step, axis=0)
    if start is None:
        middle = rng.uniform(0.25, 0.75, 2) * size
        return np.asarray(path - path[count // 2] + middle)
    return np.asarray(path + start)


def _stroke(canvas: Canvas, line: NDArray[Any], width: float) -> BoolArray:
    """Return the pixels within about half the width, which varies along the line."""
    rng, scale = canvas.rng, 2
    paper = np.zeros((canvas.size * scale,) * 2, np.uint8)
    knots = rng.uniform(0.65, 1.4, 14)
    widths = np.interp(np.linspace(0, 13, len(line)), np.arange(14), knots) * width * scale
    points = np.rint(line * scale * 16).astype(np.int32)
    for k in range(0, len(points) - 1, 4):
        piece = points[k : k + 5].reshape(-1, 1, 2)
        thickness = max(1, round(float(widths[k])))
        cv2.polylines(paper, [piece], isClosed=False, color=1, thickness=thickness, shift=4)
    small = cv2.resize(paper * 255, (canvas.size,) * 2, interpolation=cv2.INTER_AREA)
    return np.asarray(small > 110)


def _bars(canvas: Canvas, water: BoolArray, width: float) -> BoolArray:
    if canvas.rng.random() < 0.5 or width < 6:
        return np.zeros_like(water)
    noise = fractal(canvas.rng, canvas.size, 0.9, max(4, int(canvas.size / (width * 3))))
    return np.asarray(water & (noise > canvas.rng.uniform(0.9, 1.8)))


def _oxbows(canvas: Canvas, line: NDArray[Any], width: float) -> list[BoolArray]:
    """Return arcs beside the line: lakes that the river has left behind."""
    rng, masks = canvas.rng, []
    for _ in range(int(rng.integers(0, 6))):
        near = line[int(rng.integers(len(line)))] + rng.normal(0, 6 * width, 2)
        radius = float(rng.uniform(1.5, 5)) * max(width, 3)
        first, sweep = rng.uniform(0, 360), rng.uniform(120, 300)
        angles = np.deg2rad(np.linspace(first, first + sweep, 40))
        shape = np.stack([np.cos(angles), rng.uniform(0.5, 1) * np.sin(angles)], 1)
        masks.append(_stroke(canvas, near + radius * shape, max(width * rng.uniform(0.5, 1), 1.5)))
    return masks


def _grown(mask: BoolArray, radius: int) -> BoolArray:
    kernel = np.ones((2 * radius + 1,) * 2, np.uint8)
    return np.asarray(cv2.dilate(mask.astype(np.uint8), kernel) > 0)
