"""All training scenes as flat tensors on one device, and crops gathered from them.

Pixels are kept as 32-bit words (red, green, blue, validity) at several resolutions, one
scene after another, so that a batch of rotated and scaled crops is four gathers and a
weighted sum, on a CPU or a GPU alike. The same image may carry several layers of labels.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geoiseg.training.scenes import UNKNOWN, Scene

LEVELS = 4
"""Resolutions kept of each image: 1, 1/2, 1/4 and 1/8."""
SHARES = {
    "field": 0.22, "building": 0.24, "road": 0.04, "water": 0.08, "vegetation": 0.03,
    "land": 0.01, "procedural": 0.31, "segment": 0.07,
}  # fmt: skip
"""How often each kind of object is drawn."""


class Crops(NamedTuple):
    """A batch of crops."""

    image: Tensor
    """``(b, 3, y, x)`` float in 0..255."""
    valid: Tensor
    """``(b, 1, y, x)`` 1 where there is data."""
    ids: Tensor
    """``(b, y, x)`` int64 object numbers; ``UNKNOWN`` where nothing is known."""
    target: Tensor
    """``(b,)`` number of the object that the crop was made for."""


@dataclass(frozen=True, slots=True)
class CropOptions:
    """How crops are placed."""

    smallest: float = 0.10
    """Least extent of the target as a share of the crop's side."""
    largest: float = 1.2
    """Greatest extent of it."""
    native: float = 0.35
    """Share of crops at about the image's own resolution, whatever the extent."""
    squeeze: float = 0.15
    """Greatest change of the aspect ratio."""


class SceneBank:
    """Scenes and their objects, ready to be cropped."""

    def __init__(self, scenes: Iterable[Scene], device: torch.device) -> None:
        pixels, ids, rows, objects = [], [], [], []
        position = label_position = 0
        stored: dict[int, list[int]] = {}
        for layer, scene in enumerate(scenes):
            height, width = scene.ids.shape
            key = id(scene.image)
            if key not in stored:
                stored[key] = []
                for words in _pyramid(scene):
                    stored[key] += [position, *words.shape]
                    pixels.append(words.ravel())
                    position += words.size
            rows.append([*stored[key], label_position, height, width])
            ids.append(scene.ids.ravel())
            label_position += scene.ids.size
            objects += [(layer, *row) for row in _objects(scene)]
        self.pixels = torch.from_numpy(np.concatenate(pixels)).to(device)
        self.ids = torch.from_numpy(np.concatenate(ids)).to(device)
        self.layers = torch.tensor(rows, device=device)
        table = np.array([row[:6] for row in objects], np.int64)
        self.objects = torch.from_numpy(table).to(device)
        weights = _weights([row[6] for row in objects], [row[7] for row in objects])
        self.cumulative = torch.from_numpy(np.cumsum(weights)).to(device)
        self.kinds = [row[6] for row in objects]
        self.device = device

    def sample(
        self, count: int, size: int, options: CropOptions, generator: torch.Generator
    ) -> Crops:
        """Return ``count`` crops of ``size`` by ``size`` pixels around random objects."""
        draw = torch.rand(count, generator=generator, device=self.device, dtype=torch.float64)
        index = torch.searchsorted(self.cumulative, draw * self.cumulative[-1])
        picked = self.objects[index.clamp(max=len(self.objects) - 1)]
        layer, target, box = picked[:, 0], picked[:, 1], picked[:, 2:6].float()
        extent = self.layers[layer, -2:].float()
        zoom = self._zoom(box, size, options, generator)
        zoom = torch.maximum(zoom, 0.75 * size / extent.amin(1)).clamp(max=2.5)
        centre = self._centre(layer, target, box, size / zoom, generator)
        # A crop hangs over the image's edge by a third at most, mostly less.
        rim = torch.minimum(0.3 * (size / zoom)[:, None], 0.5 * extent.flip(1))
        centre = torch.minimum(torch.maximum(centre, rim), extent.flip(1) - rim)
        grid = self._grid(centre, zoom, size, options, generator)
        image, valid = self._colours(layer, grid, zoom)
        return Crops(image, valid, self._labels(layer, grid), target)

    def _rand(self, generator: torch.Generator, *shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator, device=self.device)

    def _zoom(
        self, box: Tensor, size: int, options: CropOptions, generator: torch.Generator
    ) -> Tensor:
        """Return ``(b,)`` crop pixels per image pixel."""
        count = len(box)
        extent = ((box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1])).sqrt()
        low, high = np.log(options.smallest), np.log(options.largest)
        share = torch.exp(low + (high - low) * self._rand(generator, count))
        fitted = (share * size / extent).clamp(1 / 12, 2.0)
        native = 0.8 + 0.45 * self._rand(generator, count)
        fits = (extent * native < 2 * size) & (extent * native > 0.04 * size)
        return torch.where((self._rand(generator, count) < options.native) & fits, native, fitted)

    def _centre(
        self, layer: Tensor, target: Tensor, box: Tensor, span: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Return ``(b, 2)`` the crop's middle in image pixels, near the object's own pixels."""
        tries = 48
        inside = self._rand(generator, len(box), tries, 2)
        low, high = box[:, None, :2], box[:, None, 2:]
        spots = low + inside * (high - low)
        hit = self._labels(layer, spots[:, :, None]) == target[:, None, None]
        first = hit[:, :, 0].float().argmax(1)
        anchor = spots[torch.arange(len(box), device=self.device), first]
        middle = (box[:, :2] + box[:, 2:]) / 2
        small = (box[:, 2:] - box[:, :2]).amax(1) < 0.9 * span
        use_middle = (self._rand(generator, len(box)) < 0.6) & small
        offset = (self._rand(generator, len(box), 2) - 0.5) * span[:, None]
        near = middle + 0.4 * offset
        return torch.where(use_middle[:, None], near, anchor + 0.85 * offset)

    def _grid(
        self,
        centre: Tensor,
        zoom: Tensor,
        size: int,
        options: CropOptions,
        generator: torch.Generator,
    ) -> Tensor:
        """Return ``(b, y, x, 2)`` the image position of each crop pixel's centre."""
        count = len(centre)
        turn = 2 * np.pi * self._rand(generator, count)
        straight = self._rand(generator, count) < 0.6
        turn = torch.where(straight, (turn / (np.pi / 2)).floor() * (np.pi / 2), turn)
        flip = torch.where(self._rand(generator, count) < 0.5, -1.0, 1.0)
        squeeze = torch.exp((2 * self._rand(generator, count) - 1) * options.squeeze)
        steps = torch.arange(size, device=self.device) + 0.5 - size / 2
        u = steps[None, None, :] * (squeeze * flip / zoom)[:, None, None]
        v = steps[None, :, None] / (squeeze * zoom)[:, None, None]
        cos, sin = torch.cos(turn)[:, None, None], torch.sin(turn)[:, None, None]
        x = centre[:, 0, None, None] + u * cos - v * sin
        y = centre[:, 1, None, None] + u * sin + v * cos
        return torch.stack([x, y], -1)

    def _labels(self, layer: Tensor, grid: Tensor) -> Tensor:
        """Return ``(b, y, x)`` object numbers at positions of an image."""
        start, height, width = (self.layers[layer, -3 + k][:, None, None] for k in range(3))
        x, y = grid[..., 0].floor().long(), grid[..., 1].floor().long()
        inside = (x >= 0) & (y >= 0) & (x < width) & (y < height)
        found = self.ids[torch.where(inside, start + y * width + x, 0)].long()
        return torch.where(inside, found, UNKNOWN)

    def _colours(self, layer: Tensor, grid: Tensor, zoom: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``(b, 3, y, x)`` bilinear colours and ``(b, 1, y, x)`` validity."""
        level = torch.log2(1 / zoom + 1e-6).add(0.3).floor().clamp(0, LEVELS - 1).long()
        rows = self.layers[layer]
        start, height, width = (
            rows.gather(1, (3 * level + k)[:, None])[:, :, None] for k in range(3)
        )
        scaled = grid / (2.0**level)[:, None, None, None] - 0.5
        corner = scaled.floor()
        part = scaled - corner
        x0, y0 = corner[..., 0].long(), corner[..., 1].long()
        total = torch.zeros((*grid.shape[:3], 4), device=self.device)
        for dy in (0, 1):
            for dx in (0, 1):
                x, y = x0 + dx, y0 + dy
                inside = (x >= 0) & (y >= 0) & (x < width) & (y < height)
                word = self.pixels[torch.where(inside, start + y * width + x, 0)]
                share = (part[..., 0] if dx else 1 - part[..., 0]) * (
                    part[..., 1] if dy else 1 - part[..., 1]
                )
                colour = word.view(torch.uint8).unflatten(-1, (-1, 4))
                total += colour * (share * inside)[..., None]
        valid = (total[..., 3:] > 254).float()
        image = total[..., :3] * valid
        return image.permute(0, 3, 1, 2).contiguous(), valid.permute(0, 3, 1, 2)


def _pyramid(scene: Scene) -> list[NDArray[np.int32]]:
    import cv2

    rgba = np.dstack([scene.image, scene.valid.astype(np.uint8) * 255])
    levels = []
    for level in range(LEVELS):
        share = 1 / 2**level
        small = cv2.resize(rgba, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
        levels.append(np.ascontiguousarray(small).view(np.int32)[..., 0])
    return levels


def _objects(scene: Scene) -> list[tuple[int, int, int, int, int, str, int]]:
    """Return number, box, kind and area of each target of a scene."""
    from scipy.ndimage import find_objects

    areas = np.bincount(scene.ids[scene.ids > 0].ravel())
    found = find_objects(np.maximum(scene.ids, 0))
    rows = []
    for number, kind in scene.kinds.items():
        place = found[number - 1] if number <= len(found) else None
        if place is not None and areas[number] >= 25:
            y, x = place
            rows.append((number, x.start, y.start, x.stop, y.stop, kind, int(areas[number])))
    return rows


def _weights(kinds: list[str], areas: list[int]) -> NDArray[np.float64]:
    """Return each object's chance: its kind's share, and within it the fourth root of the area."""
    size = np.clip(np.array(areas, np.float64), 50, 1e5) ** 0.25
    names = np.array(kinds)
    weights = np.zeros(len(names))
    for kind in set(kinds):
        own = names == kind
        weights[own] = SHARES[kind] * size[own] / size[own].sum()
    return weights
