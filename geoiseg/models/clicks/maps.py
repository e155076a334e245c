"""Clicks as maps beside the picture, in the form that click networks were trained with."""

from __future__ import annotations

import torch
from torch import Tensor

MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)
"""Of the red, green and blue of ImageNet, in 0..1."""
FAR = 1e6
"""Squared distance in pixels to a click that there is not."""


def normalised(image: Tensor) -> Tensor:
    """Return ``(n, 3, y, x)`` in 0..1 as ImageNet's networks take it."""
    mean = image.new_tensor(MEAN).view(1, 3, 1, 1)
    deviation = image.new_tensor(DEVIATION).view(1, 3, 1, 1)
    return (image - mean) / deviation


def squared_distances(clicks: Tensor, shape: tuple[int, int]) -> Tensor:
    """Return ``(n, 2, y, x)`` squared distance in pixels to the nearest click of either sign.

    Args:
        clicks: ``(n, k, 3)``: row, column and sign of each click; 0 is none. Rows and columns
            count from the centre of the first pixel.
        shape: Rows and columns of the maps; positive clicks come first.
    """
    rows = torch.arange(shape[0], dtype=torch.float32, device=clicks.device).view(1, 1, -1, 1)
    columns = torch.arange(shape[1], dtype=torch.float32, device=clicks.device).view(1, 1, 1, -1)
    row, column, sign = (clicks[..., part, None, None] for part in range(3))
    squared = (rows - row) ** 2 + (columns - column) ** 2
    sides = []
    for wanted in (1.0, -1.0):
        own = torch.where(sign == wanted, squared, torch.full_like(squared, FAR))
        none = squared.new_full((len(clicks), 1, *shape), FAR)
        sides.append(torch.cat([own, none], dim=1).amin(dim=1))
    return torch.stack(sides, dim=1)


def disks(clicks: Tensor, shape: tuple[int, int], radius: float) -> Tensor:
    """Return ``(n, 2, y, x)``: 1 within ``radius`` pixels of a positive and a negative click.

    Args:
        clicks: As :func:`squared_distances` takes them.
        shape: Rows and columns.
        radius: In pixels, inclusive.
    """
    return (squared_distances(clicks, shape) <= radius**2).float()


def distances(clicks: Tensor, shape: tuple[int, int], limit: float = 255.0) -> Tensor:
    """Return ``(n, 2, y, x)`` distance in pixels to the nearest click, truncated.

    Source: Xu et al., Deep Interactive Object Selection, CVPR 2016, section 3.

    Args:
        clicks: As :func:`squared_distances` takes them.
        shape: Rows and columns.
        limit: The largest distance that is told apart.
    """
    return squared_distances(clicks, shape).sqrt().clamp(max=limit)
