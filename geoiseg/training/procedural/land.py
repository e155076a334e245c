"""Ground cover, fields, woods and buildings."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from geoiseg.training.procedural.canvas import BoolArray, Canvas, components, fractal
from geoiseg.training.procedural.colours import BUILT, LAND, pick, pick_apart

FloatArray = NDArray[np.float32]


def lay_ground(canvas: Canvas, *, claim: bool) -> None:
    """Cover the scene with two to five kinds of ground in irregular patches.

    Args:
        canvas: The scene.
        claim: Whether patches become objects.
    """
    rng, size = canvas.rng, canvas.size
    everywhere = np.ones((size, size), bool)
    before = pick(rng, LAND)
    canvas.paint(everywhere, before, float(rng.uniform(2, 12)))
    for _ in range(int(rng.integers(1, 5))):
        relief = fractal(rng, size, rng.uniform(0.6, 1.6), int(rng.integers(2, 10)))
        patch = np.asarray(relief > np.quantile(relief, rng.uniform(0.5, 0.9)))
        before = pick_apart(rng, LAND, before, 25)
        canvas.paint(patch, before, float(rng.uniform(2, 12)))
        canvas.release(patch)
        if claim:
            for part in components(patch, 120)[:20]:
                canvas.claim(part)


def add_fields(canvas: Canvas) -> None:
    """Divide all or a part of the scene into fields of crops, with or without margins."""
    rng, size = canvas.rng, canvas.size
    parcels = _parcels(canvas)
    where = np.ones((size, size), bool)
    if rng.random() < 0.5:
        relief = fractal(rng, size, 1.5, 3)
        where = np.asarray(relief > np.quantile(relief, rng.uniform(0.1, 0.6)))
    margin = int(rng.integers(0, 4))
    palette = np.stack([pick(rng, LAND) for _ in range(int(rng.integers(3, 9)))])
    for number in range(1, int(parcels.max()) + 1):
        mask = parcels == number
        if margin:
            mask = _shrunk(mask, margin)
        if rng.random() < 0.15:
            mask = _pivot(mask)
        if mask.sum() < 80 or (mask & where).sum() < 0.8 * mask.sum():
            continue
        colour = palette[rng.integers(len(palette))] + rng.normal(0, 7, 3).astype(np.float32)
        _paint_locally(canvas, mask, np.clip(colour, 3, 250))
        canvas.claim(mask)


def add_woods(canvas: Canvas) -> None:
    """Scatter trees and groves; each grove is an object."""
    rng, size = canvas.rng, canvas.size
    relief = fractal(rng, size, rng.uniform(0.3, 1.0), int(rng.integers(4, 24)))
    wood = np.asarray(relief > np.quantile(relief, rng.uniform(0.75, 0.97)))
    canvas.release(wood)
    canvas.paint(wood, pick(rng, LAND[[0, 1, 2, 8, 11, 12]]), float(rng.uniform(8, 20)))
    for part in components(wood, 80)[:20]:
        canvas.claim(part)


def add_buildings(canvas: Canvas) -> None:
    """Scatter houses with shadows, most of them along one direction."""
    rng, size = canvas.rng, canvas.size
    side = float(np.exp(rng.uniform(np.log(7), np.log(60))))
    heading = rng.uniform(0, 90)
    sun = rng.uniform(-1, 1, 2)
    taken = np.zeros((size, size), np.uint8)
    count = int(min(60, 0.25 * (size / side) ** 2))
    for _ in range(count):
        angle = heading + (rng.choice([0, 90]) if rng.random() < 0.8 else rng.uniform(0, 90))
        centre = rng.uniform(0.02, 0.98, 2) * size
        lengths = side * rng.uniform(0.6, 1.6, 2)
        outline = _house(rng, centre, lengths, angle)
        mask = np.zeros_like(taken)
        for part in outline:
            cv2.fillPoly(mask, [np.rint(part * 16).astype(np.int32)], 1, shift=4)
        around = cv2.dilate(mask, np.ones((5, 5), np.uint8)) > 0
        if mask.sum() < 20 or taken[around].any():
            continue
        taken |= mask
        _cast_shadow(canvas, mask, sun * lengths.min() * 0.4)
        _paint_roof(canvas, mask.astype(bool), centre, angle)


def _paint_roof(canvas: Canvas, mask: BoolArray, centre: NDArray[np.float64], angle: float) -> None:
    rng = canvas.rng
    colour = pick(rng, BUILT)
    _paint_locally(canvas, mask, colour)
    if rng.random() < 0.5:
        y, x = np.nonzero(mask)
        turn = np.deg2rad(angle)
        across = (x - centre[0]) * -np.sin(turn) + (y - centre[1]) * np.cos(turn)
        gain = np.where(across > 0, rng.uniform(0.7, 0.95), rng.uniform(1.0, 1.2))
        canvas.image[y, x] *= gain[:, None].astype(np.float32)
    canvas.claim(mask)


def _cast_shadow(canvas: Canvas, mask: NDArray[np.uint8], offset: NDArray[np.float64]) -> None:
    if canvas.rng.random() < 0.3:
        return
    move = np.array([[1, 0, offset[0]], [0, 1, offset[1]]], np.float32)
    shadow = cv2.warpAffine(mask, move, mask.shape[::-1]).astype(bool) & ~mask.astype(bool)
    canvas.image[shadow] *= np.float32(canvas.rng.uniform(0.35, 0.7))
    canvas.release(shadow & (canvas.ids == 0))


def _paint_locally(canvas: Canvas, mask: BoolArray, colour: FloatArray) -> None:
    """Fill one object with its own texture, computed in its bounding box only."""
    rng = canvas.rng
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    part = Canvas.empty(rng, max(8, rows[-1] + 1 - rows[0], columns[-1] + 1 - columns[0]))
    texture = part.texture()[: rows[-1] + 1 - rows[0], : columns[-1] + 1 - columns[0]]
    inside = mask[box]
    amplitude = float(rng.uniform(1, 9))
    canvas.image[box][inside] = colour + amplitude * texture[inside, None]


def _house(
    rng: np.random.Generator,
    centre: NDArray[np.float64],
    lengths: NDArray[np.float64],
    angle: float,
) -> list[NDArray[np.float64]]:
    """Return one or two rectangles, ``(4, 2)`` corners each, that make a house."""
    turn = np.deg2rad(angle)
    spin = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) / 2
    parts = [centre + (corners * lengths) @ spin]
    if rng.random() < 0.4:
        wing = lengths * rng.uniform(0.4, 0.7, 2)
        shift = (rng.choice([-1, 1], 2) * lengths / 2) @ spin
        parts.append(centre + shift * 0.8 + (corners * wing) @ spin)
    return parts


def _parcels(canvas: Canvas) -> NDArray[np.int32]:
    """Return ``(y, x)`` parcel numbers: a rotated, warped, recursive division of the plane."""
    rng, size = canvas.rng, canvas.size
    side = float(np.exp(rng.uniform(np.log(30), np.log(size / 3))))
    plan = np.zeros((2 * size, 2 * size), np.int32)
    stack, number = [(0, 0, 2 * size, 2 * size)], 0
    while stack:
        x0, y0, x1, y1 = stack.pop()
        wide, high = x1 - x0, y1 - y0
        if max(wide, high) > side * rng.uniform(0.8, 2.5) and min(wide, high) > 10:
            cut = rng.uniform(0.3, 0.7)
            if wide > high:
                middle = int(x0 + cut * wide)
                stack += [(x0, y0, middle, y1), (middle, y0, x1, y1)]
            else:
                middle = int(y0 + cut * high)
                stack += [(x0, y0, x1, middle), (x0, middle, x1, y1)]
            continue
        number += 1
        plan[y0:y1, x0:x1] = number
    turn = rng.choice([0.0, rng.uniform(0, np.pi)])
    y, x = np.mgrid[:size, :size].astype(np.float32) - size / 2
    warp = rng.uniform(0, 12) * fractal(rng, size, 1.6, 3)
    u = x * np.cos(turn) - y * np.sin(turn) + size + warp
    v = x * np.sin(turn) + y * np.cos(turn) + size + warp
    columns, rows = (np.clip(np.rint(k), 0, 2 * size - 1).astype(np.intp) for k in (u, v))
    return np.asarray(plan[rows, columns])


def _shrunk(mask: BoolArray, radius: int) -> BoolArray:
    kernel = np.ones((2 * radius + 1,) * 2, np.uint8)
    return np.asarray(cv2.erode(mask.astype(np.uint8), kernel) > 0)


def _pivot(mask: BoolArray) -> BoolArray:
    """Return the largest disk in the parcel: a field watered by a pivot."""
    depth = cv2.distanceTransform(np.pad(mask.astype(np.uint8), 1), cv2.DIST_L2, 3)[1:-1, 1:-1]
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    rows, columns = np.ogrid[: mask.shape[0], : mask.shape[1]]
    return np.asarray((rows - y) ** 2 + (columns - x) ** 2 <= depth.max() ** 2)
