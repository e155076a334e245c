"""A simulated user for training: clicks, boxes, scribbles and earlier masks, in batches.

Unlike the exact clicker of ``geoiseg.evaluate`` it works at half resolution and clicks near
the middle of an error, not at it, sometimes at a border, and rarely with the wrong sign: as
users do. On a GPU the middle is found by repeated erosion.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from geoiseg.training.prompt_maps import Prompt

RADII = (1, 1, 1, 2, 3, 5, 8, 13, 21)
"""Erosions in turn, in pixels at half resolution."""
CLICKS, STROKE, CORRECTIONS = 4, 12, 12
"""Slots for first clicks of either sign, for points of a scribble, and for corrections."""
CENTRED, AT_RIM = 0.6, 0.08
"""Shares of first clicks that lie near the middle and at the border; others lie anywhere."""
SLIPS = 0.01
"""Share of corrections with the wrong sign."""
SLOTS = 2 * CLICKS + STROKE + CORRECTIONS
"""Points that a prompt has room for."""


@dataclass(frozen=True, slots=True)
class Objects:
    """What is to be segmented in each crop of a batch."""

    target: Tensor
    """``(b, y, x)`` 1 on the object, else 0."""
    known: Tensor
    """``(b, y, x)`` 1 where the label is known and there is data, else 0."""
    other: Tensor
    """``(b, y, x)`` 1 on other objects, else 0."""


class Simulator:
    """Draws prompts; all chance comes from one generator."""

    def __init__(self, generator: torch.Generator) -> None:
        self.generator = generator

    def first(self, objects: Objects) -> Prompt:
        """Return the first prompts: clicks, a box, a scribble or an earlier mask."""
        count, device = len(objects.target), objects.target.device
        points = torch.zeros(count, SLOTS, 2, device=device)
        signs = torch.zeros(count, SLOTS, device=device)
        kind = self._rand(objects.target, count)
        clicks, scribble = kind < 0.6, (kind > 0.8) & (kind < 0.9)
        boxed = ((kind > 0.6) & (kind < 0.8)) | (kind < 0.1)
        self._first_clicks(points, signs, objects, clicks | (kind > 0.95))
        self._stroke(points, signs, objects, scribble)
        box = self._box(objects.target) * boxed[:, None]
        earlier = (kind > 0.9).float()
        previous = self._distorted(objects.target) * earlier[:, None, None, None]
        return Prompt(points, signs, box, previous, earlier)

    def correct(self, prompt: Prompt, objects: Objects, logits: Tensor, turn: int) -> Prompt:
        """Return the prompt with one more click, on the largest error, and with this mask.

        Args:
            prompt: So far.
            objects: What is wanted.
            logits: ``(b, 1, y, x)`` the network's answer to ``prompt``.
            turn: Number of this correction, from 0.
        """
        mask = (logits[:, 0] > 0).float()
        missed = halved(objects.target * (1 - mask) * objects.known)
        wrong = halved((1 - objects.target) * mask * objects.known)
        deep = depth(torch.cat([missed, wrong])).unflatten(0, (2, -1))
        reach = deep.amax((2, 3))
        positive = reach[0] > reach[1]
        error = torch.where(positive[:, None, None], deep[0], deep[1])
        anywhere = self._rand(mask, len(mask)) < 0.2
        near = torch.where(anywhere, 0.0, 0.5 + 0.5 * self._rand(mask, len(mask)))
        slot = 2 * CLICKS + STROKE + turn % CORRECTIONS
        points, signs = prompt.points.clone(), prompt.signs.clone()
        points[:, slot] = self._spots(_near_middle(error, near), 1)[:, 0]
        meant = torch.where(positive, 1.0, -1.0)
        slipped = self._rand(mask, len(mask)) < SLIPS
        signs[:, slot] = torch.where(slipped, -meant, meant) * (reach.amax(0) > 0)
        keep = (self._rand(mask, len(mask)) < 0.75).float()
        previous = functional.avg_pool2d(torch.sigmoid(logits.float()), 2)
        return Prompt(points, signs, prompt.box, previous * keep[:, None, None, None], keep)

    def _rand(self, like: Tensor, *shape: int) -> Tensor:
        return torch.rand(*shape, generator=self.generator, device=like.device)

    def _spots(self, mask: Tensor, count: int) -> Tensor:
        """Return ``(b, count, 2)`` random points in each ``(y / 2, x / 2)`` mask of a batch."""
        width = mask.shape[2]
        reached = mask.flatten(1).cumsum(1, dtype=torch.int32)
        rank = self._rand(mask, len(mask), count) * reached[:, -1:]
        index = torch.searchsorted(reached, rank.to(torch.int32) + 1)
        index = index.clamp(max=reached.shape[1] - 1)
        cell = torch.stack([index % width, index // width], 2)
        return (cell + self._rand(mask, len(mask), count, 2)) * 2

    def _first_clicks(self, points: Tensor, signs: Tensor, objects: Objects, which: Tensor) -> None:
        """Put the first click near the middle, anywhere or near the border, others anywhere."""
        small = halved(objects.target)
        deep = depth(small)
        several = 1 + (4 * self._rand(small, len(small)) ** 3).floor()
        kind = self._rand(small, len(small))
        near = torch.where(kind < CENTRED, 0.3 + 0.65 * self._rand(small, len(small)), 0.0)
        first = _near_middle(deep, near)
        rim = (deep > 0) & (deep <= 2)
        at_rim = (kind > 1 - AT_RIM)[:, None, None] & rim.any(2).any(1)[:, None, None]
        points[:, :1] = self._spots(torch.where(at_rim, rim, first), 1)
        points[:, 1:CLICKS] = self._spots(deep > 0, CLICKS - 1)
        order = torch.arange(CLICKS, device=small.device)
        signs[:, :CLICKS] = (which[:, None] & (several[:, None] > order)).float()
        outside = self._outside(objects, small)
        none = self._rand(small, len(small)) < 0.65
        few = (CLICKS * self._rand(small, len(small)) ** 2).floor() + 1
        points[:, CLICKS : 2 * CLICKS] = self._spots(outside, CLICKS)
        some = which & ~none & outside.any(2).any(1)
        signs[:, CLICKS : 2 * CLICKS] = -(some[:, None] & (few[:, None] > order)).float()

    def _outside(self, objects: Objects, small: Tensor) -> Tensor:
        """Return where a first negative click may lie: the rim, another object or anywhere."""
        free = (1 - small) * halved(objects.known)
        near = functional.max_pool2d(small[:, None], 3, 1, 1)
        wide = functional.max_pool2d(near, (11, 1), 1, (5, 0))
        rim = functional.max_pool2d(wide, (1, 11), 1, (0, 5))[:, 0]
        where = self._rand(small, len(small), 1, 1)
        elsewhere = torch.where(where < 0.9, halved(objects.other), free)
        chosen = torch.where(where < 0.5, rim, elsewhere)
        return chosen * free * (1 - near[:, 0]) > 0

    def _stroke(self, points: Tensor, signs: Tensor, objects: Objects, which: Tensor) -> None:
        """Draw one straight or bent stroke, or two, where they lie on the object."""
        small = halved(objects.target)
        ends = self._spots(small > 0, 4)
        kind = self._rand(small, len(small))[:, None, None]
        a, b, c, d = (ends[:, k, None] for k in range(4))
        half = torch.linspace(0, 1, STROKE // 2, device=small.device)[None, :, None]
        middle = torch.where(kind < 0.5, (a + d) / 2, b)
        start = torch.where(kind < 0.8, middle, c)
        path = torch.cat([a + (middle - a) * half, start + (d - start) * half], 1)
        slots = slice(2 * CLICKS, 2 * CLICKS + STROKE)
        points[:, slots] = path
        height, width = objects.target.shape[1:]
        x = path[..., 0].long().clamp(0, width - 1)
        y = path[..., 1].long().clamp(0, height - 1)
        on = objects.target.flatten(1).gather(1, y * width + x)
        signs[:, slots] = on * which[:, None]

    def _box(self, target: Tensor) -> Tensor:
        """Return ``(b, 4)`` boxes around the objects as users draw them."""
        count, height, width = target.shape
        sides = []
        for axis, length in ((1, width), (2, height)):
            hit = target.amax(axis) > 0
            place = torch.arange(length, device=target.device, dtype=torch.float32)
            sides.append(torch.where(hit, place, length).amin(1))
            sides.append(torch.where(hit, place + 1, 0).amax(1))
        x0, x1, y0, y1 = sides
        noise = torch.randn(count, 4, generator=self.generator, device=target.device)
        loose = 0.12 * self._rand(target, count, 1) * (self._rand(target, count, 1) < 0.3)
        shift = 0.03 * noise + loose * torch.tensor([-1, -1, 1, 1], device=target.device)
        span = torch.stack([x1 - x0, y1 - y0, x1 - x0, y1 - y0], 1)
        box = torch.stack([x0, y0, x1, y1], 1) + shift * span + 0.5 * noise
        limits = torch.tensor([width, height, width, height], device=target.device)
        box = torch.minimum(box.clamp(min=0), limits)
        return torch.cat([box[:, :2], torch.maximum(box[:, 2:], box[:, :2] + 1)], 1)

    def _distorted(self, target: Tensor) -> Tensor:
        """Return ``(b, 1, y / 2, x / 2)`` the object as an outline drawn in a hurry."""
        small = halved(target)[:, None]
        soft = functional.avg_pool2d(functional.pad(small, (4, 4, 4, 4), "replicate"), 9, 1)
        seeds = self._rand(target, len(target), 1, 7, 7) - 0.5
        noise = functional.interpolate(seeds, size=small.shape[2:], mode="bicubic")
        wrong = 1.6 * self._rand(target, len(target), 1, 1, 1)
        return torch.sigmoid(12 * (soft - 0.5 + wrong * noise))


def _near_middle(deep: Tensor, share: Tensor) -> Tensor:
    """Return ``(b, y, x)`` True where ``deep`` is at least a ``(b,)`` share of its greatest.

    The larger the object, the farther from its middle that may be: as users click.
    """
    return (deep > 0) & (deep >= share[:, None, None] * deep.amax((1, 2), keepdim=True))


def halved(mask: Tensor) -> Tensor:
    """Return ``(b, y / 2, x / 2)`` 1 where at least half of the four pixels are set."""
    return (functional.avg_pool2d(mask[:, None], 2)[:, 0] >= 0.5).float()


def depth(mask: Tensor) -> Tensor:
    """Return ``(b, y, x)`` about how far each pixel lies inside; the image's edge is an edge.

    On a CPU the distance transform is far quicker than the erosions that suit a GPU.
    """
    if mask.device.type != "cpu":
        return eroded_depth(mask)
    padded = functional.pad(mask, (1, 1, 1, 1)).to(torch.uint8).numpy()
    found = [cv2.distanceTransform(one, cv2.DIST_L2, 3) for one in padded]
    return torch.from_numpy(np.stack(found)[:, 1:-1, 1:-1])


def eroded_depth(mask: Tensor) -> Tensor:
    """Return what :func:`depth` does, in steps of :data:`RADII`, by erosion."""
    empty = functional.pad(1 - mask, (1, 1, 1, 1), value=1.0)[:, None]
    total = 1 - empty
    for radius in RADII:
        side = 2 * radius + 1
        empty = functional.max_pool2d(empty, (side, 1), 1, (radius, 0))
        empty = functional.max_pool2d(empty, (1, side), 1, (0, radius))
        total = total + radius * (1 - empty)
    return total[:, 0, 1:-1, 1:-1]


def objects_of(ids: Tensor, valid: Tensor, target: Tensor, merge: Tensor) -> Objects:
    """Return the objects that the crops are about.

    Args:
        ids: ``(b, y, x)`` object numbers, negative where nothing is known.
        valid: ``(b, 1, y, x)`` 1 where there is data.
        target: ``(b,)`` the wanted numbers.
        merge: ``(b,)`` a second number that belongs to the wanted object, or 0.
    """
    own = ids == target[:, None, None]
    own |= (ids == merge[:, None, None]) & (ids > 0)
    seen = valid[:, 0]
    known = (ids >= 0).float() * seen
    return Objects(own.float() * seen, known, ((ids > 0) & ~own).float() * seen)


def another(ids: Tensor, target: Tensor, generator: torch.Generator) -> Tensor:
    """Return ``(b,)`` the number of a random other object in each crop, 0 when there is none."""
    noise = torch.rand(ids.shape, generator=generator, device=ids.device)
    noise = noise * ((ids > 0) & (ids != target[:, None, None]))
    best, place = noise.flatten(1).max(1)
    found = ids.flatten(1).gather(1, place[:, None])[:, 0]
    return torch.where(best > 0, found, 0)
