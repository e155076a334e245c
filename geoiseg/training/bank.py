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

from geoiseg.training.families import SHARES
from geoiseg.training.scene import UNKNOWN, Scene

LEVELS = 4
"""Resolutions kept of each image: 1, 1/2, 1/4 and 1/8."""
CLASS_STEP = 2
"""Classes are kept at a half of the resolution: what learns them works at a half, too."""
IMAGE, CLASSES_AT, LABELS = 0, 3 * LEVELS, 3 * LEVELS + 4
"""Columns of a layer's row where its image, classes and object numbers are described: the
start, height and width of each level of the image; start, height, width and step of labels."""


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
    classes: Tensor
    """``(b, y, x)`` int64 ``known << 8 | present``: bits of the classes of which is known
    whether they are there, and of those that are."""


@dataclass(frozen=True, slots=True)
class CropOptions:
    """How crops are placed."""

    smallest: float = 0.10
    """Least extent of the target as a share of the crop's side."""
    largest: float = 1.2
    """Greatest extent of it."""
    native: float = 0.3
    """Share of crops at about the image's own resolution, whatever the extent."""
    free: float = 0.15
    """Share of crops at any resolution, whatever the extent."""
    coarsest: float = 1 / 8
    """Least scale, crop pixels per image pixel."""
    finest: float = 4.0
    """Greatest scale."""
    squeeze: float = 0.15
    """Greatest change of the aspect ratio."""


class SceneBank:
    """Scenes and their objects, ready to be cropped."""

    def __init__(self, scenes: Iterable[Scene], device: torch.device) -> None:
        store = _Store()
        for scene in scenes:
            store.add(scene)
        self.pixels, self.ids, self.classes = (
            torch.from_numpy(np.concatenate(parts)).to(device)
            for parts in (store.pixels, store.ids, store.classes)
        )
        self.layers = torch.tensor(store.rows, device=device)
        table = np.array([row[:6] for row in store.objects], np.int64)
        self.objects = torch.from_numpy(table).to(device)
        self.families = [row.family for row in store.objects]
        self.kinds = [row.kind for row in store.objects]
        self.cumulative = torch.from_numpy(np.cumsum(_weights(store.objects))).to(device)
        self.device = device

    def sample(
        self, count: int, size: int, options: CropOptions, generator: torch.Generator
    ) -> Crops:
        """Return ``count`` crops of ``size`` by ``size`` pixels around random objects."""
        draw = torch.rand(count, generator=generator, device=self.device, dtype=torch.float64)
        index = torch.searchsorted(self.cumulative, draw * self.cumulative[-1])
        picked = self.objects[index.clamp(max=len(self.objects) - 1)]
        layer, target, box = picked[:, 0], picked[:, 1], picked[:, 2:6].float()
        extent = self.layers[layer, IMAGE + 1 : IMAGE + 3].float()
        zoom = self._zoom(box, size, options, generator)
        zoom = torch.maximum(zoom, 0.75 * size / extent.amin(1)).clamp(max=options.finest)
        centre = self._centre(layer, target, box, size / zoom, generator)
        # A crop hangs over the image's edge by a third at most, mostly less.
        rim = torch.minimum(0.3 * (size / zoom)[:, None], 0.5 * extent.flip(1))
        centre = torch.minimum(torch.maximum(centre, rim), extent.flip(1) - rim)
        grid = self._grid(centre, zoom, size, options, generator)
        image, valid = self._colours(layer, grid, zoom)
        ids = self._looked_up(self.ids, layer, LABELS, grid, UNKNOWN)
        classes = self._looked_up(self.classes, layer, CLASSES_AT, grid, 0)
        return Crops(image, valid, ids, target, classes & 0xFFFF)

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
        fitted = (share * size / extent).clamp(options.coarsest, options.finest)
        native = 0.8 + 0.45 * self._rand(generator, count)
        low, high = np.log(options.coarsest), np.log(options.finest)
        free = torch.exp(low + (high - low) * self._rand(generator, count))
        kind = self._rand(generator, count)
        wanted = torch.where(kind < options.native, native, free)
        fits = (extent * wanted < 2 * size) & (extent * wanted > 0.04 * size)
        return torch.where((kind < options.native + options.free) & fits, wanted, fitted)

    def _centre(
        self, layer: Tensor, target: Tensor, box: Tensor, span: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Return ``(b, 2)`` the crop's middle in image pixels, near the object's own pixels."""
        tries = 48
        inside = self._rand(generator, len(box), tries, 2)
        low, high = box[:, None, :2], box[:, None, 2:]
        spots = low + inside * (high - low)
        found = self._looked_up(self.ids, layer, LABELS, spots[:, :, None], UNKNOWN)
        hit = found == target[:, None, None]
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

    def _looked_up(
        self, values: Tensor, layer: Tensor, place: int, grid: Tensor, beyond: int
    ) -> Tensor:
        """Return ``(b, y, x)`` int64 labels at positions of an image."""
        start, height, width, step = (
            self.layers[layer, place + k][:, None, None] for k in range(4)
        )
        x = (grid[..., 0] / step).floor().long()
        y = (grid[..., 1] / step).floor().long()
        inside = (x >= 0) & (y >= 0) & (x < width) & (y < height)
        found = values[torch.where(inside, start + y * width + x, 0)].long()
        return torch.where(inside, found, beyond)

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


class _Object(NamedTuple):
    """One target, with its box in image pixels."""

    layer: int
    number: int
    x0: int
    y0: int
    x1: int
    y1: int
    area: int
    kind: str
    scene: str
    place: str
    family: str


class _Store:
    """Gathers scenes into flat parts."""

    def __init__(self) -> None:
        self.pixels: list[NDArray[np.int32]] = []
        self.classes: list[NDArray[np.int16]] = []
        self.ids: list[NDArray[np.int16]] = []
        self.rows: list[list[int]] = []
        self.objects: list[_Object] = []
        self._ends = {"pixels": 0, "classes": 0, "ids": 0}
        # The image is kept with its row, or the next one made might get its id.
        self._images: dict[int, tuple[NDArray[np.uint8], list[int]]] = {}

    def add(self, scene: Scene) -> None:
        """Take in one layer of a scene; its image and classes only if they are new."""
        _, row = self._images.get(id(scene.image)) or self._add_image(scene)
        step = round(scene.image.shape[0] / scene.ids.shape[0])
        start = self._place("ids", scene.ids.size)
        self.ids.append(scene.ids.ravel())
        self.objects += _objects(scene, len(self.rows), step)
        self.rows.append([*row, start, *scene.ids.shape, step])

    def _add_image(self, scene: Scene) -> tuple[NDArray[np.uint8], list[int]]:
        row: list[int] = []
        for words in _pyramid(scene):
            row += [self._place("pixels", words.size), *words.shape]
            self.pixels.append(words.ravel())
        classes = _classes(scene)
        row += [self._place("classes", classes.size), *classes.shape, CLASS_STEP]
        self.classes.append(classes.ravel())
        self._images[id(scene.image)] = scene.image, row
        return self._images[id(scene.image)]

    def _place(self, what: str, size: int) -> int:
        start = self._ends[what]
        self._ends[what] += size
        return start


def _classes(scene: Scene) -> NDArray[np.int16]:
    """Return ``(y / 2, x / 2)`` what is known and what is present as one number."""
    thin = np.s_[::CLASS_STEP, ::CLASS_STEP]
    if scene.known is None or scene.present is None:
        return np.zeros_like(scene.valid[thin], np.int16)
    known = (scene.known & (scene.valid * np.uint8(255)))[thin].astype(np.uint16)
    return (known << 8 | scene.present[thin] & known).astype(np.int16)


def _pyramid(scene: Scene) -> list[NDArray[np.int32]]:
    import cv2

    rgba = np.dstack([scene.image, scene.valid.astype(np.uint8) * 255])
    levels = []
    for level in range(LEVELS):
        share = 1 / 2**level
        small = cv2.resize(rgba, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
        levels.append(np.ascontiguousarray(small).view(np.int32)[..., 0])
    return levels


def _objects(scene: Scene, layer: int, step: int) -> list[_Object]:
    """Return the targets of a layer, of which ``step`` image pixels make a label's."""
    from scipy.ndimage import find_objects

    areas = np.bincount(scene.ids[scene.ids > 0].ravel())
    found = find_objects(np.maximum(scene.ids, 0))
    about = scene.name, scene.place or scene.name, scene.family or "procedural"
    rows = []
    for number, kind in scene.kinds.items():
        place = found[number - 1] if number <= len(found) else None
        if place is not None and areas[number] * step**2 >= 25:
            y, x = place
            x0, y0, x1, y1 = (step * edge for edge in (x.start, y.start, x.stop, y.stop))
            area = int(areas[number]) * step**2
            rows.append(_Object(layer, number, x0, y0, x1, y1, area, kind, *about))
    return rows


def _weights(objects: list[_Object]) -> NDArray[np.float64]:
    """Return each object's chance.

    It is the family's share; within it a place counts as the root of its number of scenes,
    and all scenes of a place alike; in a scene a kind counts as the root of its number of
    objects; and within the kind an object as the fourth root of its area.
    """
    weights = np.clip([row.area for row in objects], 50, 1e5) ** 0.25
    keys = [(row.family, row.place, row.scene, row.kind) for row in objects]
    for depth in (4, 3, 2, 1):
        groups: dict[tuple[str, ...], list[int]] = {}
        for index, key in enumerate(keys):
            groups.setdefault(key[:depth], []).append(index)
        for group, members in groups.items():
            parts = {4: len(members), 3: 1, 2: len({keys[i][2] for i in members})}
            share = SHARES[group[0]] if depth == 1 else parts[depth] ** 0.5
            weights[members] *= share / weights[members].sum()
    return np.asarray(weights, np.float64)
