"""Dense towns: rows of roofs that touch one another, with streets and yards."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geoiseg.training.procedural.canvas import Canvas, fractal
from geoiseg.training.procedural.colours import BUILT, LAND, pick

FloatArray = NDArray[np.float32]
NUMBERS = 20_000
"""Most houses of a town, of which those within the scene count."""


def add_terraces(canvas: Canvas) -> None:
    """Cover all or a part of the scene with rows of houses wall to wall."""
    rng, size = canvas.rng, canvas.size
    where = np.ones((size, size), bool)
    if rng.random() < 0.6:
        relief = fractal(rng, size, 1.5, 3)
        where = np.asarray(relief > np.quantile(relief, rng.uniform(0.1, 0.6)))
    street = pick(rng, np.concatenate([BUILT, LAND[3:8]]))
    canvas.paint(where, street, float(rng.uniform(2, 8)))
    canvas.release(where)
    house, across, roof = _rows_of_houses(canvas)
    house[~where] = 0
    colours = np.stack([pick(rng, BUILT) for _ in range(int(rng.integers(3, 9)))])
    which = rng.integers(len(colours), size=NUMBERS)
    shade = rng.normal(0, float(rng.uniform(3, 14)), (NUMBERS, 3))
    image = (colours[which] + shade)[house] + canvas.texture()[..., None] * float(rng.uniform(1, 8))
    ridged = rng.random(NUMBERS) < rng.uniform(0, 1)
    side = np.where(across > 0, rng.uniform(0.7, 0.95), rng.uniform(1.0, 1.2))
    image *= np.where(ridged[house], side, 1.0)[..., None]
    drawn = roof & (house > 0)
    _shade_streets(canvas, drawn, where)
    canvas.image[drawn] = np.clip(image, 2, 252)[drawn]
    canvas.claim_parts(np.where(drawn, house, 0), 20, "building")


def _rows_of_houses(canvas: Canvas) -> tuple[NDArray[np.intp], FloatArray, NDArray[np.bool_]]:
    """Return each pixel's house, on which side of the ridge it lies, and whether it is roof."""
    rng, size = canvas.rng, canvas.size
    deep = float(np.exp(rng.uniform(np.log(9), np.log(45))))
    lane = deep * rng.uniform(0.15, 0.6)
    turn = rng.uniform(0, np.pi)
    y, x = np.mgrid[:size, :size].astype(np.float32) - size / 2
    warp = float(rng.uniform(0, 0.6) * deep) * fractal(rng, size, 1.8, 2)
    u = x * np.cos(turn) + y * np.sin(turn) + size + warp
    v = -x * np.sin(turn) + y * np.cos(turn) + size + warp
    pair = 2 * deep + lane
    block, within = np.divmod(v, pair)
    row = (2 * block + (within > deep)).astype(np.intp)
    rows = int(row.max()) + 1
    widths = deep * rng.uniform(0.4, 1.6, (rows, 90))
    if rng.random() < 0.5:
        widths[:] = widths[:, :1]
    edges = np.cumsum(widths, axis=1)
    column = np.zeros(row.shape, np.intp)
    for k in range(rows):
        here = row == k
        column[here] = np.searchsorted(edges[k], u[here])
    house = (row * 90 + np.minimum(column, 89)) % (NUMBERS - 1) + 1
    setback = rng.uniform(0, 0.35, NUMBERS) * (rng.random(NUMBERS) < 0.4) * deep
    front = np.where(within > deep, within - deep, deep - within)
    roof = (within < 2 * deep) & (front < deep - setback[house])
    crossing = (u % (deep * float(rng.uniform(6, 14)))) > lane
    roof &= crossing & (rng.random(NUMBERS) > rng.uniform(0, 0.2))[house]
    middle = np.where(within > deep, 1.5 * deep, 0.5 * deep)
    return house, np.asarray(within - middle, np.float32), np.asarray(roof)


def _shade_streets(canvas: Canvas, roofs: NDArray[np.bool_], where: NDArray[np.bool_]) -> None:
    """Cast the roofs' shadows on what lies between them."""
    turn, reach = canvas.rng.uniform(0, 2 * np.pi), canvas.rng.uniform(0, 6)
    dx, dy = (round(float(reach * part)) for part in (np.cos(turn), np.sin(turn)))
    shadow = np.roll(roofs, (dy, dx), (0, 1)) & ~roofs & where
    canvas.image[shadow] *= np.float32(canvas.rng.uniform(0.4, 0.75))
