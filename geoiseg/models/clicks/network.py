"""What all click networks have in common."""

# mypy: disallow-subclassing-any=False

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from geoiseg.models.clicks.maps import disks, normalised


@dataclass(frozen=True, slots=True)
class Habits:
    """What a network was trained and published with."""

    side: int | None
    """Pixels along a side of the square that it is always shown; None: as large as the window,
    enlarged or shrunk so that its longer side is ``target``."""
    target: int = 400
    """Longer side of a window that is looked at closer, where there is no fixed ``side``."""
    zoom_first: bool = False
    """Whether the very first click is looked at again, closer, where the object is small."""
    smallest: int = 200
    """Pixels along a side of the smallest window."""
    flip: bool = True
    """Whether the mirror image is looked at as well, and both averaged."""
    zoom: bool = True
    """Whether an object is looked at closer once something is known of it."""
    threshold: float = 0.49
    """Probability from which a pixel is the object's."""


class ClickNetwork(nn.Module):
    """A network that is shown a picture, clicks, and mostly the mask before.

    Args:
        radius: Of a click's disk in pixels.
        remembers: Whether the mask before is shown.
    """

    habits: Habits

    def __init__(self, radius: float = 5, *, remembers: bool = True) -> None:
        super().__init__()
        self.radius = radius
        self.remembers = remembers

    def click_maps(self, clicks: Tensor, before: Tensor) -> Tensor:
        """Return ``(n, 3 or 2, y, x)``: the mask before, positive and negative disks.

        Args:
            clicks: ``(n, k, 3)`` row, column and sign.
            before: ``(n, 1, y, x)`` probabilities of the mask before.
        """
        shape = (before.shape[2], before.shape[3])
        maps = disks(clicks, shape, self.radius)
        return torch.cat([before, maps], dim=1) if self.remembers else maps

    @abstractmethod
    def coarse(self, image: Tensor, clicks: Tensor, before: Tensor) -> Tensor:
        """Return ``(n, 1, v, u)`` logits at the network's own resolution.

        Args:
            image: ``(n, 3, y, x)``, normalised.
            clicks: ``(n, k, 3)`` row, column and sign.
            before: ``(n, 1, y, x)`` probabilities of the mask before; zeros at first.
        """

    def forward(self, image: Tensor, clicks: Tensor, before: Tensor) -> Tensor:
        """Return ``(n, 1, y, x)`` logits.

        Args:
            image: ``(n, 3, y, x)`` in 0..1.
            clicks: ``(n, k, 3)`` row, column and sign.
            before: ``(n, 1, y, x)`` probabilities of the mask before; zeros at first.
        """
        low = self.coarse(normalised(image), clicks, before)
        return functional.interpolate(low, image.shape[2:], mode="bilinear", align_corners=True)


class Scale(nn.Module):
    """One learned factor."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((1,), 0.05))

    def forward(self, x: Tensor) -> Tensor:
        """Return it times the factor's magnitude."""
        return x * self.scale.abs()


def entrance(channels: int, *, leaky: bool = True) -> nn.Sequential:
    """Return what makes click maps into 64 channels at half of the size.

    Args:
        channels: Of the maps.
        leaky: Whether the activation leaks, as in all that RITM's authors published.
    """
    return nn.Sequential(
        nn.Conv2d(channels, 16, 1),
        nn.LeakyReLU(0.2) if leaky else nn.ReLU(),
        nn.Conv2d(16, 64, 3, 2, 1),
        Scale(),
    )
