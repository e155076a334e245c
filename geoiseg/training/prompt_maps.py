"""Prompts as maps that a convolution can read.

Points become Gaussians of several widths, made of two matrix products (they are
separable), so that hundreds of points of a scribble cost no more than one. The features
under each point are compared with those of all pixels: the greatest cosine similarity to
any positive and to any negative point tells "of the same kind" from little training data.
A box and a previous mask give a mean feature inside and outside of them.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from geoiseg.training.features import Features

WIDTHS = (3.0, 12.0, 48.0)
"""Standard deviations in pixels of the Gaussians around points at 1/4."""
FINE_WIDTH = 2.0
"""The same at 1/2."""
COLOUR_WIDTHS = (0.2, 0.6)
"""How different colours may be to count as close, in standard deviations of the chip."""
FINE_MAPS = 6 + 2 * len(COLOUR_WIDTHS)
"""Number of maps at 1/2: near, alike and of close colour (positive, negative), box, mask."""
COARSE_MAPS = 2 * len(WIDTHS) + 9 + 2 * len(COLOUR_WIDTHS)
"""Number of maps at 1/4."""


class Prompt(NamedTuple):
    """Prompts of a batch of objects in the pixel frame of the padded chips."""

    points: Tensor
    """``(b, n, 2)`` as ``x, y``; at least one row, unused ones with sign 0."""
    signs: Tensor
    """``(b, n)`` 1 on the object, -1 off it, 0 unused."""
    box: Tensor
    """``(b, 4)`` as ``x0, y0, x1, y1``; all 0 without a box."""
    previous: Tensor
    """``(b, 1, y / 2, x / 2)`` probability of the last mask, 0 without one."""
    has_previous: Tensor
    """``(b,)`` 1 where there is a last mask, else 0."""


def compact(prompt: Prompt) -> Prompt:
    """Return the same prompts in as few slots as the fullest row needs, at least one."""
    used = prompt.signs != 0
    most = max(1, int(used.sum(1).max()))
    order = used.to(torch.uint8).argsort(dim=1, descending=True, stable=True)[:, :most]
    points = prompt.points.gather(1, order[:, :, None].expand(-1, -1, 2))
    return prompt._replace(points=points, signs=prompt.signs.gather(1, order))


def fine_maps(features: Features, prompt: Prompt) -> Tensor:
    """Return ``(b, FINE_MAPS, y / 2, x / 2)``."""
    shape = features.shallow.shape[2:]
    near = [_gaussians(prompt, sign, FINE_WIDTH, 2, shape) for sign in (1, -1)]
    alike = [*_alike(features.fine_key, prompt, 2), *_close(features.colour, prompt, 2)]
    inside = _in_box(prompt.box, 2, shape, slope=0.5)
    mask = (2 * prompt.previous - 1) * prompt.has_previous[:, None, None, None]
    return torch.cat([*near, *alike, inside, mask], 1)


def coarse_maps(features: Features, prompt: Prompt, fine: Tensor) -> Tensor:
    """Return ``(b, COARSE_MAPS, y / 4, x / 4)``, given the maps at 1/2."""
    shape = features.p4.shape[2:]
    near = [_gaussians(prompt, sign, width, 4, shape) for width in WIDTHS for sign in (1, -1)]
    alike = _alike(features.key, prompt, 4)
    has_box = (prompt.box[:, 2] > prompt.box[:, 0]).to(fine.dtype)[:, None, None, None]
    core = (_box_core(prompt.box, 4, shape) * has_box).clamp(-1, 1)
    shrunk = functional.avg_pool2d(fine[:, 2:], 2)
    means = _region_alike(features.key, shrunk[:, -2:-1], shrunk[:, -1:])
    return torch.cat([*near, *alike, core, shrunk, *means], 1)


def _centres(count: int, stride: int, like: Tensor) -> Tensor:
    return (torch.arange(count, device=like.device, dtype=like.dtype) + 0.5) * stride


def _gaussians(prompt: Prompt, sign: int, width: float, stride: int, shape: torch.Size) -> Tensor:
    """Return ``(b, 1, y, x)``: 1 at points of this sign, falling off with the distance."""
    points = prompt.points
    used = (prompt.signs * sign).clamp(min=0)
    y = _centres(shape[0], stride, points)[None, :, None] - points[:, None, :, 1]
    x = _centres(shape[1], stride, points)[None, None, :] - points[:, :, 0, None]
    rows = torch.exp(-0.5 * (y / width) ** 2) * used[:, None, :]
    columns = torch.exp(-0.5 * (x / width) ** 2)
    return (1 - torch.exp(-2 * torch.matmul(rows, columns)))[:, None]


def _alike(key: Tensor, prompt: Prompt, stride: int) -> list[Tensor]:
    """Return two ``(b, 1, y, x)``: greatest cosine to a positive and to a negative point."""
    flat, under = key.flatten(2), _under(key, prompt, stride).transpose(1, 2)
    maps = []
    for sign in (1, -1):
        unused = 3 * (prompt.signs * sign).clamp(min=0) - 3
        cosine = torch.matmul(under, flat) + unused[:, :, None].to(flat.dtype)
        # The gradient of amax is spread over ties at a great cost; that of max is not.
        best = cosine.max(1).values if cosine.requires_grad else cosine.amax(1)
        maps.append(best.clamp(min=-1).unflatten(1, key.shape[2:])[:, None])
    return maps


def _close(colour: Tensor, prompt: Prompt, stride: int) -> list[Tensor]:
    """Return ``(b, 1, y, x)`` maps: 1 where the colour is that under a point of either sign."""
    # Differences of squares need single precision, whatever the rest is computed in.
    with torch.autocast(colour.device.type, enabled=False):
        flat, under = colour.flatten(2), _under(colour, prompt, stride).transpose(1, 2)
        own, theirs = (flat * flat).sum(1), (under * under).sum(2)
        maps = []
        for sign in (1, -1):
            unused = 1e3 * (1 - (prompt.signs * sign).clamp(min=0))
            bias = (theirs + unused)[:, :, None]
            nearest = torch.baddbmm(bias, under, flat, alpha=-2).amin(1)
            least = (nearest + own).clamp(min=0).unflatten(1, colour.shape[2:])[:, None]
            maps += [torch.exp(-0.5 * least / width**2) for width in COLOUR_WIDTHS]
    return maps


def _under(values: Tensor, prompt: Prompt, stride: int) -> Tensor:
    """Return ``(b, channels, n)`` the values in the cells that hold the points."""
    height, width = values.shape[2:]
    cell = (prompt.points / stride).long()
    x = torch.minimum(cell[..., 0].clamp(min=0), torch.full_like(cell[..., 0], width - 1))
    y = torch.minimum(cell[..., 1].clamp(min=0), torch.full_like(cell[..., 1], height - 1))
    flat = values.flatten(2)
    index = (y * width + x)[:, None, :].expand(-1, flat.shape[1], -1)
    return torch.gather(flat, 2, index)


def _in_box(box: Tensor, stride: int, shape: torch.Size, slope: float) -> Tensor:
    """Return ``(b, 1, y, x)``: 1 in the box, -1 off it, 0 everywhere without a box."""
    has = (box[:, 2] > box[:, 0]).to(box.dtype)[:, None, None]
    x = _centres(shape[1], stride, box)[None]
    y = _centres(shape[0], stride, box)[None]
    across = torch.minimum(x - box[:, 0:1], box[:, 2:3] - x) * slope
    along = torch.minimum(y - box[:, 1:2], box[:, 3:4] - y) * slope
    depth = torch.minimum(along[:, :, None], across[:, None, :])
    return (depth.clamp(-1, 1) * has)[:, None]


def _box_core(box: Tensor, stride: int, shape: torch.Size) -> Tensor:
    """Return ``(b, 1, y, x)``: 1 in the middle of the box, 0 on its sides, below 0 off it."""
    x = _centres(shape[1], stride, box)[None]
    y = _centres(shape[0], stride, box)[None]
    half_x = (box[:, 2:3] - box[:, 0:1]) / 2 + 1
    half_y = (box[:, 3:4] - box[:, 1:2]) / 2 + 1
    across = 1 - (x - (box[:, 0:1] + box[:, 2:3]) / 2).abs() / half_x
    along = 1 - (y - (box[:, 1:2] + box[:, 3:4]) / 2).abs() / half_y
    return torch.minimum(along[:, :, None], across[:, None, :])[:, None]


def _region_alike(key: Tensor, in_box: Tensor, mask: Tensor) -> list[Tensor]:
    """Return two ``(b, 1, y, x)``: cosine to the mean key in and off the box and last mask."""
    flat, maps = key.flatten(2), []
    for sign in (1, -1):
        weight = ((sign * in_box).clamp(min=0) + 2 * (sign * mask).clamp(min=0)).flatten(2)
        mean = torch.matmul(weight.to(flat.dtype), flat.transpose(1, 2))
        alike = torch.matmul(functional.normalize(mean, dim=2).to(flat.dtype), flat)
        maps.append(alike.unflatten(2, key.shape[2:]))
    return maps
