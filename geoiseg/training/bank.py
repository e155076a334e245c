"""All training scenes as flat tensors on one device, and crops gathered from them.

Pixels are kept as 32-bit words (red, green, blue, validity) at several resolutions, one
scene after another, so that a batch of rotated and scaled crops is four gathers and a
weighted sum, on a CPU or a GPU alike. The same image may carry several layers of labels.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from geoiseg.errors import ModelError
from geoiseg.training.crops import Crops
from geoiseg.training.paste import paste_some
from geoiseg.training.scene import UNKNOWN, Scene
from geoiseg.training.stored import CLASSES_AT, IMAGE, LABELS, LEVELS, Store, weights_of

WIDEST = 6.0
"""Greatest extent of an object in crops not fitted to it, in sides of the crop: of a sea most crops
show nothing but water, and all of that is the object."""
NO_MAP: Any = None
"""Second map of OpenCV where the first holds both coordinates."""


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
    pasted: float = 0.07
    """Share of crops into which an object of another one is laid."""
    squeeze: float = 0.15
    """Greatest change of the aspect ratio."""


class SceneBank:
    """Scenes and their objects, ready to be cropped."""

    def __init__(self, scenes: Iterable[Scene], device: torch.device) -> None:
        store = Store()
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
        self.cumulative = torch.from_numpy(np.cumsum(weights_of(store.objects))).to(device)
        self.device = device

    def reweigh(self, factors: Mapping[str, float]) -> None:
        """Draw objects of some families so many times as often as before.

        Args:
            factors: By family.

        Raises:
            ModelError: There is no such family here, or a factor is negative.
        """
        unknown = sorted(set(factors) - set(self.families))
        if unknown or min(factors.values(), default=0) < 0:
            raise ModelError(
                f"shares are of {', '.join(sorted(set(self.families)))}, each 0 or more;"
                f" got {', '.join(f'{name} {factor}' for name, factor in factors.items())}"
            )
        chances = torch.diff(self.cumulative, prepend=self.cumulative.new_zeros(1))
        each = [factors.get(family, 1.0) for family in self.families]
        self.cumulative = (chances * chances.new_tensor(each)).cumsum(0)

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
        crops = Crops(image, valid, ids, target, classes & 0xFFFF, self.first_layers[layer])
        return paste_some(crops, options.pasted, generator)

    @cached_property
    def first_layers(self) -> Tensor:
        """Return ``(layers,)`` 1 for the first layer of each image, else 0."""
        images = self.layers[:, IMAGE]
        earlier = (images[:, None] == images[None]).tril(-1).any(1)
        return (~earlier).float()

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
        fits = (extent * wanted < WIDEST * size) & (extent * wanted > 0.04 * size)
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
        row = self.layers[layer, place : place + 4]
        if self.device.type == "cpu":
            labels = values.numpy()
            spots = (grid / row[:, 3, None, None, None] - 0.5).numpy()
            found = [
                cv2.remap(
                    labels[start : start + height * width].reshape(height, width),
                    spot, NO_MAP, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT,
                    borderValue=beyond,
                )
                for (start, height, width, _), spot in zip(row.tolist(), spots, strict=True)
            ]  # fmt: skip
            return torch.from_numpy(np.stack(found)).long()
        start, height, width, step = (row[:, k, None, None] for k in range(4))
        x = (grid[..., 0] / step).floor().long()
        y = (grid[..., 1] / step).floor().long()
        inside = (x >= 0) & (y >= 0) & (x < width) & (y < height)
        own = values[torch.where(inside, start + y * width + x, 0)].long()
        return torch.where(inside, own, beyond)

    def _colours(self, layer: Tensor, grid: Tensor, zoom: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``(b, 3, y, x)`` bilinear colours and ``(b, 1, y, x)`` validity."""
        level = torch.log2(1 / zoom + 1e-6).add(0.3).floor().clamp(0, LEVELS - 1).long()
        rows = self.layers[layer]
        place = rows.gather(1, 3 * level[:, None] + torch.arange(3, device=self.device))
        scaled = grid / (2.0**level)[:, None, None, None] - 0.5
        gather = self._remapped if self.device.type == "cpu" else self._gathered
        total = gather(place, scaled)
        valid = (total[..., 3:] > 254).float()
        image = total[..., :3] * valid
        return image.permute(0, 3, 1, 2).contiguous(), valid.permute(0, 3, 1, 2)

    def _remapped(self, place: Tensor, scaled: Tensor) -> Tensor:
        """Return what :meth:`_gathered` does, several times quicker but on a CPU only."""
        words, found = self.pixels.numpy(), []
        for (start, height, width), grid in zip(place.tolist(), scaled.numpy(), strict=True):
            image = words[start : start + height * width].view(np.uint8)
            picture = image.reshape(height, width, 4)
            found.append(cv2.remap(picture, grid, NO_MAP, cv2.INTER_LINEAR))
        return torch.from_numpy(np.stack(found)).float()

    def _gathered(self, place: Tensor, scaled: Tensor) -> Tensor:
        """Return ``(b, y, x, 4)`` words between pixels, as bytes; 0 beyond the image.

        Args:
            place: ``(b, 3)`` start, height and width of each image.
            scaled: ``(b, y, x, 2)`` positions, 0 at the middle of the first pixel.
        """
        start, height, width = (place[:, k, None, None] for k in range(3))
        corner = scaled.floor()
        part = scaled - corner
        x0, y0 = corner[..., 0].long(), corner[..., 1].long()
        total = torch.zeros((*scaled.shape[:3], 4), device=self.device)
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
        return total
