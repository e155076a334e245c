"""Small layers that SAM's encoders and its decoder share, under Meta's names."""

# mypy: disallow-subclassing-any=False

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Mlp(nn.Module):
    """Two linear layers with a nonlinearity between them."""

    def __init__(self, channels: int, hidden: int, *, relu: bool = False) -> None:
        super().__init__()
        self.lin1 = nn.Linear(channels, hidden)
        self.lin2 = nn.Linear(hidden, channels)
        self._relu = relu

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(..., channel)``."""
        hidden = self.lin1(x)
        return self.lin2(functional.relu(hidden) if self._relu else functional.gelu(hidden))


class LayerNorm2d(nn.Module):
    """Layer normalisation over the channels of ``(n, channel, y, x)``."""

    def __init__(self, channels: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Return an array of the same shape."""
        last = x.permute(0, 2, 3, 1)
        return self.channels_last(last).permute(0, 3, 1, 2)

    def channels_last(self, x: Tensor) -> Tensor:
        """Return the same for ``(..., channel)``."""
        return functional.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)


class Neck(nn.Sequential):
    """From an encoder's tokens to the 256 channels that the decoder takes."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__(
            nn.Conv2d(channels, out, 1, bias=False),
            LayerNorm2d(out),
            nn.Conv2d(out, out, 3, padding=1, bias=False),
            LayerNorm2d(out),
        )
