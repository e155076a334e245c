"""Building blocks of the network."""

# mypy: disallow-subclassing-any=False

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class ConvUnit(nn.Module):
    """Convolution, batch norm (folded into it at export) and ReLU."""

    def __init__(self, before: int, width: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, width, kernel, stride, kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(width, momentum=0.05)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(b, width, y / stride, x / stride)``."""
        return torch.relu(self.norm(self.conv(x)))


class Residual(nn.Module):
    """Two 3x3 convolutions around which the input is added."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = ConvUnit(width, width)
        self.second = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width, momentum=0.05)
        nn.init.zeros_(self.norm.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(b, width, y, x)``."""
        return torch.relu(x + self.norm(self.second(self.first(x))))


def enlarge(x: Tensor, factor: int) -> Tensor:
    """Return the maps at ``factor`` times the resolution, bilinear between cell centres."""
    return functional.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)
