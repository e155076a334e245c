"""The colours of the demonstration scene: a plan in, an aerial photograph out.

Work goes block by block or field by field, so that memory stays near the picture's size.
Colours are RGB, 0..255.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from geoiseg.demo.crops import CROPS, lay_rows, row_tile
from geoiseg.demo.drawing import Land, fixed
from geoiseg.demo.noise import TILE, Field, crowns, fractal, grain
from geoiseg.demo.plan import Plan
from geoiseg.demo.water import paint_lake, paint_sea

RGB = NDArray[np.uint8]

SUN = (0.68, 0.73)
"""Towards the sun in the picture, x right and y down: it stands in the south-east."""

BLOCK = TILE


def _tile(base: tuple[int, int, int], other: tuple[int, int, int], mix: Field, shade: Field) -> RGB:
    """Return a ``(TILE, TILE, 3)`` texture between two colours, times a brightness."""
    t = np.clip(mix, 0.0, 1.0)
    colours = [
        np.float32(a) * (1 - t) + np.float32(b) * t for a, b in zip(base, other, strict=True)
    ]
    lit = [np.clip(colour * shade, 0, 255).astype(np.uint8) for colour in colours]
    return np.asarray(cv2.merge(lit))


def _tiles(rng: np.random.Generator, px: float) -> dict[int, RGB]:
    """Return the repeating textures of all land that is neither field nor open water.

    Args:
        rng: Source of randomness.
        px: Pixels per metre.
    """
    fine, soft = grain(rng, 1.6 * px, 1.6 * px), grain(rng, 14.0 * px, 14.0 * px)
    tuft, wide = grain(rng, 4.0 * px, 4.0 * px), grain(rng, 60.0 * px, 60.0 * px)
    shade, tint = crowns(rng, 8.0 * px, SUN)
    trees = _tile((38, 56, 34), (84, 104, 56), 0.62 * shade + 0.16 * tint + 0.05 * wide,
                  0.66 + 0.42 * shade + 0.05 * fine)  # fmt: skip
    rough = 1 + 0.09 * fine + 0.05 * tuft
    even = 1 + 0.035 * fine
    return {
        Land.MARGIN: _tile((104, 118, 70), (150, 146, 98), 0.35 + 0.3 * tuft + 0.2 * wide, rough),
        Land.STREAM: _tile((62, 82, 78), (84, 98, 82), 0.4 + 0.3 * soft, even),
        Land.DUNE: _tile((198, 184, 146), (112, 120, 76), 0.45 + 0.5 * tuft + 0.45 * wide, rough),
        Land.REEDS: _tile((122, 124, 74), (84, 98, 56), 0.45 + 0.4 * tuft, rough),
        Land.ROAD: _tile((158, 156, 154), (142, 140, 140), 0.5 + 0.3 * soft, even),
        Land.TRACK: _tile((196, 180, 148), (172, 158, 122), 0.4 + 0.4 * tuft, even),
        Land.WOOD: trees,
        Land.YARD: _tile((178, 168, 152), (154, 146, 132), 0.4 + 0.4 * soft, 1 + 0.05 * fine),
        Land.LAWN: _tile((98, 128, 70), (132, 142, 86), 0.35 + 0.3 * soft + 0.2 * tuft, even),
        Land.GARDEN: _tile((92, 112, 62), (150, 128, 98), 0.4 + 0.5 * tuft, rough),
        Land.BUILDING: _tile((140, 120, 108), (140, 120, 108), soft, even),
    }


def _paint_tiles(image: RGB, labels: NDArray[np.uint16], tiles: dict[int, RGB]) -> None:
    for y in range(0, labels.shape[0], BLOCK):
        for x in range(0, labels.shape[1], BLOCK):
            block = np.s_[y : y + BLOCK, x : x + BLOCK]
            part, view = labels[block], image[block]
            present = np.flatnonzero(np.bincount(part.ravel(), minlength=Land.FIELD)[: Land.FIELD])
            h, w = part.shape
            for land in map(int, present):
                if land in tiles:
                    mask = cv2.inRange(part, land, land)
                    cv2.copyTo(tiles[land][:h, :w], mask, view)


def _paint_fields(
    image: RGB, plan: Plan, rng: np.random.Generator, mottle: Field
) -> dict[int, str]:
    """Paint every field; return what grows on it."""
    tiles = [row_tile(crop, rng, 1.0 / plan.scale) for crop in CROPS]
    shares = np.array([crop.share for crop in CROPS]) / sum(crop.share for crop in CROPS)
    grown: dict[int, str] = {}
    for label, box in plan.field_boxes():
        k = int(rng.choice(len(CROPS), p=shares))
        crop, jitter = CROPS[k], rng.normal(0, 2.2, 3) + rng.normal(0, 8.0)
        shift = rng.uniform(0, TILE, 2)
        inside = cv2.inRange(plan.labels[box], label, label)
        edge = cv2.distanceTransform(np.pad(inside, 1), cv2.DIST_L2, 3)[1:-1, 1:-1] / plan.scale
        rows = lay_rows(tiles[k], inside.shape, plan.angle[label], (shift[0], shift[1]))
        # on the headland tractors turn: no rows, and the soil is trodden
        headland = np.clip((edge - 9.0) / 5.0, 0.0, 1.0)
        shade = 1.0 + rows * (0.35 + 0.65 * headland) + 0.035 * (headland - 1.0)
        shade -= 0.05 * np.clip(1.0 - edge / 2.5, 0.0, 1.0)
        mix = np.clip(crop.mottle * (0.45 + rng.normal(0, 0.15) + 0.6 * mottle[box]), 0.0, 1.0)
        shade += float(rng.uniform(0.01, 0.045)) * mottle[box]
        base = np.array(crop.rgb) + jitter
        channels = []
        for c in range(3):
            slope = float(crop.patch[c] - crop.rgb[c])
            channels.append((mix * slope + float(base[c])) * shade)
        painted = cv2.merge(channels)
        cv2.copyTo(cv2.convertScaleAbs(np.maximum(painted, 0)), inside, image[box])
        grown[label] = crop.name
    return grown


def _paint_roofs(image: RGB, plan: Plan) -> None:
    """Paint the two slopes of every roof, the one towards the sun brighter."""
    side = plan.labels.shape[0]
    for settlement in plan.settlements:
        for roof in settlement.roofs:
            column, row = np.floor(roof.xy_ground.mean(axis=0) * plan.scale).astype(int)
            standing = 0 <= row < side and 0 <= column < side
            if not standing or plan.labels[row, column] != Land.BUILDING:
                continue  # the sea, a lake or the edge of the scene took its place
            a, b, c, d = roof.xy_ground
            ridge = ((a + d) / 2, (b + c) / 2)
            for slope in (
                np.array([a, b, ridge[1], ridge[0]]),
                np.array([ridge[0], ridge[1], c, d]),
            ):
                facing = slope.mean(axis=0) - roof.xy_ground.mean(axis=0)
                facing /= np.hypot(*facing) + 1e-9
                light = 1.0 + 0.2 * float(facing @ SUN)
                rgb = [float(np.clip(v * light, 0, 255)) for v in roof.rgb]
                cv2.fillPoly(image, [fixed(slope, plan.scale)], rgb, cv2.LINE_AA, 4)


def _shadows(plan: Plan) -> NDArray[np.uint8]:
    """Return 255 where a tree or a building keeps the sun off lower ground."""
    labels = plan.labels
    tall = cv2.inRange(labels, int(Land.WOOD), int(Land.WOOD))
    tall = cv2.bitwise_or(tall, cv2.inRange(labels, int(Land.BUILDING), int(Land.BUILDING)))
    length = 6.5 * plan.scale
    reach = max(1, math.ceil(length))
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.uint8)
    tip = (round(reach + SUN[0] * length), round(reach + SUN[1] * length))
    cv2.line(kernel, (reach, reach), tip, 1, 1)
    shadow = cv2.dilate(tall, kernel)
    return np.asarray(cv2.subtract(shadow, tall), dtype=np.uint8)


def _clouds(rng: np.random.Generator, side: int) -> Field:
    """Return ``(side, side)`` light left by the shadows of a few small clouds, 0.8..1."""
    cover = fractal(rng, 512, (5, 80), 0.5)
    threshold = float(np.quantile(cover, 0.95))
    light = 1.0 - 0.2 * np.clip((cover - threshold) * 2.2, 0.0, 1.0)
    soft = cv2.GaussianBlur(light.astype(np.float32), (0, 0), 3.0)
    return np.asarray(cv2.resize(soft, (side, side), interpolation=cv2.INTER_LINEAR))


def _expose(image: RGB, plan: Plan, rng: np.random.Generator, mottle: Field) -> None:
    """Apply in place what lies between the ground and the file: light, haze, lens, noise."""
    side = plan.labels.shape[0]
    shadow = cv2.GaussianBlur(_shadows(plan), (3, 3), 0)
    clouds = _clouds(rng, side)
    dim = np.array([0.52, 0.50, 0.42], np.float32)  # the sky still lights shadows, in blue
    haze = np.array([158, 164, 168], np.float32)
    noise = rng.normal(0, 2.4, (BLOCK, BLOCK, 3)).astype(np.float32)
    noise += rng.normal(0, 1.8, (BLOCK, BLOCK, 1)).astype(np.float32)
    for y in range(0, side, BLOCK):
        for x in range(0, side, BLOCK):
            block = np.s_[y : y + BLOCK, x : x + BLOCK]
            h, w = plan.labels[block].shape
            down = np.linspace(y / side, (y + h) / side, h, dtype=np.float32)[:, None]
            veil = 0.045 + 0.05 * (1.0 - down) + 0.02 * mottle[block] * (1 - down)
            light = clouds[block] * (1.0 + 0.03 * mottle[block])
            dark = shadow[block].astype(np.float32) / 255.0
            seen = []
            for c, ground in enumerate(cv2.split(image[block])):
                lit = ground * light * (1.0 - float(dim[c]) * dark)
                seen.append(lit + veil * (float(haze[c]) - lit))
            soft = cv2.GaussianBlur(cv2.merge(seen), (3, 3), 0.55) + noise[:h, :w]
            image[block] = cv2.convertScaleAbs(np.maximum(soft, 0))


def paint(plan: Plan, rng: np.random.Generator) -> tuple[RGB, dict[int, str]]:
    """Return the ``(y, x, 3)`` uint8 RGB picture of a plan, and the crop of every field.

    Args:
        plan: What lies where.
        rng: Source of randomness for textures, crops and noise.
    """
    side = plan.labels.shape[0]
    image: RGB = np.zeros((side, side, 3), dtype=np.uint8)
    mottle = fractal(rng, side, (9, 576), 0.62)
    _paint_tiles(image, plan.labels, _tiles(rng, plan.scale))
    grown = _paint_fields(image, plan, rng, mottle)
    _paint_roofs(image, plan)
    paint_sea(image, plan, rng, mottle)
    paint_lake(image, plan, rng, mottle)
    _expose(image, plan, rng, mottle)
    return image, grown
