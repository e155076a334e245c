"""CDNet: DeepLab v3+ whose features and mask are spread from the clicks.

Source: Chen et al., Conditional Diffusion for Interactive Segmentation, ICCV 2021.
"""

# mypy: disallow-subclassing-any=False

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from geoiseg.models.clicks.hrnet import BasicBlock, convolution, grown
from geoiseg.models.clicks.maps import disks
from geoiseg.models.clicks.network import ClickNetwork, Habits, entrance

WIDTH = 128
"""Channels of DeepLab's head."""
RATES = (12, 24, 36)
"""Dilations of its pyramid."""
SPREAD = 24
"""Radius of the disks from which features are spread, in pixels."""
SURE = 0.8
"""Probability from which a place counts as a click when features are spread."""
DILATIONS = (1, 2, 4, 8)
STEPS = 5
"""Times the mask is spread."""
STRENGTH = 10
"""Weight of a click against the mask's -1..1 when the mask is spread."""


class DilatedResnet(nn.Module):
    """ResNet-34 at 1/8 of the picture."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1 = _layer(64, 64, 3)
        self.layer2 = _layer(64, 128, 4, stride=2)
        self.layer3 = _layer(128, 256, 6, dilation=2)
        self.layer4 = _layer(256, 512, 3, dilation=4)

    def forward(self, image: Tensor, added: Tensor) -> tuple[Tensor, Tensor]:
        """Return features at 1/4 and at 1/8 of the picture.

        Args:
            image: ``(n, 3, y, x)``, normalised.
            added: ``(n, 64, y / 2, x / 2)``, added after the first layer.
        """
        x = torch.relu(self.bn1(self.conv1(image))) + added
        fine = self.layer1(functional.max_pool2d(x, 3, 2, 1))
        return fine, self.layer4(self.layer3(self.layer2(fine)))


def _layer(inner: int, outer: int, blocks: int, stride: int = 1, dilation: int = 1
           ) -> nn.Sequential:  # fmt: skip
    first = BasicBlock(inner, outer, stride, (max(1, dilation // 2), dilation))
    others = (BasicBlock(outer, outer, 1, (dilation, dilation)) for _ in range(blocks - 1))
    return nn.Sequential(first, *others)


class SeparableConvolution(nn.Module):
    """A 3x3 convolution of each channel alone, one over channels, batch norm and ReLU.

    Args:
        inner: Channels in.
        outer: Channels out.
    """

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inner, inner, 3, 1, 1, groups=inner, bias=False),
            *convolution(inner, outer),
            nn.ReLU(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(n, outer, y, x)``."""
        out: Tensor = self.body(x)
        return out


class SeparableHead(nn.Module):
    """Separable convolutions, then one over channels.

    Args:
        outputs: Channels out.
        inner: Channels in.
        middle: Channels between.
        count: Separable convolutions.
    """

    def __init__(self, outputs: int, inner: int, middle: int, count: int) -> None:
        super().__init__()
        widths = (inner, *[middle] * count)
        self.layers = nn.Sequential(
            *(SeparableConvolution(*pair) for pair in itertools.pairwise(widths)),
            nn.Conv2d(middle, outputs, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(n, outputs, y, x)``."""
        out: Tensor = self.layers(x)
        return out


class Pooling(nn.Module):
    """The mean over the picture, everywhere.

    Args:
        inner: Channels in.
        outer: Channels out.
    """

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__()
        self.gap = nn.Sequential(nn.AdaptiveAvgPool2d(1), *convolution(inner, outer), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(n, outer, y, x)``."""
        return grown(self.gap(x), x)


class Pyramid(nn.Module):
    """Atrous spatial pyramid pooling (Chen et al., DeepLab v3).

    Args:
        inner: Channels in.
        outer: Channels out.
    """

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__()
        dilated = (
            nn.Sequential(
                nn.Conv2d(inner, outer, 3, padding=rate, dilation=rate, bias=False),
                nn.BatchNorm2d(outer),
                nn.ReLU(),
            )
            for rate in RATES
        )
        narrow = nn.Sequential(*convolution(inner, outer), nn.ReLU())
        self.concurent = nn.ModuleList([narrow, *dilated, Pooling(inner, outer)])
        self.project = nn.Sequential(*convolution(5 * outer, outer), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(n, outer, y, x)``."""
        parts = torch.cat([branch(x) for branch in self.concurent], dim=1)
        out: Tensor = self.project(parts)
        return out


class FeatureDiffusion(nn.Module):
    """Features spread from the clicks to places that look alike, each sign by itself.

    Args:
        width: Channels in and out.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gate_head_pos = SeparableHead(1, width, width, 1)
        for name in ("t", "p", "g", "z", "z2"):
            setattr(self, name, nn.Conv2d(width, width, 1, bias=False))
        self.bn, self.bn2 = nn.BatchNorm2d(width), nn.BatchNorm2d(width)

    def forward(self, x: Tensor, clicks: Tensor) -> Tensor:
        """Return ``(n, width, y, x)``.

        Args:
            x: ``(n, width, y, x)``.
            clicks: ``(n, 2, y, x)`` in 0..1: near positive and near negative clicks.
        """
        inside = torch.sigmoid(self.gate_head_pos(x))
        asked, told = (getattr(self, name)(x).flatten(2) for name in ("t", "p"))
        given = self.g(x).flatten(2).transpose(1, 2)
        alike = asked.transpose(1, 2) @ told
        out = x
        sides = ((inside, self.z, self.bn), (1 - inside, self.z2, self.bn2))
        for number, (gate, back, norm) in enumerate(sides):
            weight = clicks[:, number : number + 1] + (gate > SURE)
            share = torch.softmax(alike * weight.flatten(2), dim=2)
            spread = (share * gate.flatten(2).transpose(1, 2)) @ given
            out = out + norm(back(spread.transpose(1, 2).unflatten(2, x.shape[2:])))
        return out


class Skip(nn.Module):
    """The fine features, narrowed.

    Args:
        inner: Channels in.
        outer: Channels out.
    """

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__()
        self.skip_project = nn.Sequential(*convolution(inner, outer), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(n, outer, y, x)``."""
        out: Tensor = self.skip_project(x)
        return out


class Joint(nn.Module):
    """Fine and coarse features put together."""

    def __init__(self) -> None:
        super().__init__()
        self.block = nn.Sequential(
            SeparableConvolution(WIDTH + 32, WIDTH),
            SeparableConvolution(WIDTH, WIDTH),
            nn.Conv2d(WIDTH, WIDTH, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(n, WIDTH, y, x)``."""
        out: Tensor = self.block(x)
        return out


class DiffusedDeepLab(nn.Module):
    """DeepLab v3+ with feature diffusion between its pyramid and its head."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = DilatedResnet()
        self.head = Joint()
        self.skip_project = Skip(64, 32)
        self.aspp = Pyramid(512, WIDTH)
        self.FDM = FeatureDiffusion(WIDTH)

    def forward(self, image: Tensor, added: Tensor, clicks: Tensor) -> Tensor:
        """Return ``(n, WIDTH, y / 4, x / 4)``.

        Args:
            image: ``(n, 3, y, x)``, normalised.
            added: ``(n, 64, y / 2, x / 2)``, added after the first layer.
            clicks: ``(n, 2, y, x)`` disks from which features are spread.
        """
        fine, coarse = self.backbone(image, added)
        coarse = self.aspp(coarse)
        coarse = self.FDM(coarse, grown(clicks, coarse))
        fine = self.skip_project(fine)
        out: Tensor = self.head(torch.cat([grown(coarse, fine), fine], dim=1))
        return out


class Neighbours(nn.Module):
    """Values of each pixel's neighbours at several distances.

    Args:
        places: Neighbours in a 3x3 window, as numbers from its first to its last pixel.
        difference: Whether the pixel's own value less theirs is returned.
    """

    kernel: Tensor

    def __init__(self, places: Sequence[int], *, difference: bool = False) -> None:
        super().__init__()
        kernel = torch.zeros(len(places), 9)
        kernel[range(len(places)), places] = -1.0 if difference else 1.0
        if difference:
            kernel[:, 4] = 1.0
        self.register_buffer("kernel", kernel.view(-1, 1, 3, 3))

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(n, channels, distances x places, y, x)``."""
        count, channels, *shape = x.shape
        flat = x.reshape(count * channels, 1, *shape)
        found = [
            functional.conv2d(
                functional.pad(flat, [reach] * 4, mode="replicate"), self.kernel, dilation=reach
            )
            for reach in DILATIONS
        ]
        return torch.cat(found, dim=1).view(count, channels, -1, *shape)


AROUND = (0, 1, 2, 3, 5, 6, 7, 8)
"""A pixel's neighbours in a 3x3 window."""


class PixelDiffusion(nn.Module):
    """The mask spread from the clicks along what has the same colour."""

    def __init__(self) -> None:
        super().__init__()
        self.aff_x = Neighbours(AROUND, difference=True)
        self.aff_m = Neighbours(AROUND)
        self.aff_std = Neighbours(range(9))

    def forward(self, image: Tensor, logits: Tensor, clicks: Tensor) -> Tensor:
        """Return ``(n, 1, y, x)``: above 0 is the object.

        Args:
            image: ``(n, 3, y, x)`` in 0..1.
            logits: ``(n, 1, y, x)`` of the mask.
            clicks: ``(n, 2, y, x)`` disks.
        """
        start = 2 * torch.sigmoid(logits) - 1
        contrast = self.aff_x(image).abs()
        usual = self.aff_std(image).std(2, keepdim=True)
        ease = (-contrast / (1e-8 + 0.1 * usual)).mean(1, keepdim=True).softmax(2)
        mask = start * (start.abs() > 0.25) + STRENGTH * (clicks[:, :1] - clicks[:, 1:])
        for _ in range(STEPS):
            mask = (self.aff_m(mask) * ease).sum(2)
        spread: Tensor = mask + start
        return spread


class CDNet(ClickNetwork):
    """CDNet with ResNet-34."""

    habits = Habits(side=384, threshold=0.5)

    def __init__(self, *, leaky: bool = True) -> None:
        super().__init__(5, remembers=False)
        self.maps_transform = entrance(2, leaky=leaky)
        self.feature_extractor = DiffusedDeepLab()
        self.head = SeparableHead(1, WIDTH, WIDTH // 2, 2)
        # Other readings of a click, which only training compares; the files hold them.
        self.latent_head = SeparableHead(4, WIDTH, WIDTH // 2, 2)
        self.PDM = PixelDiffusion()

    def coarse(self, image: Tensor, clicks: Tensor, before: Tensor) -> Tensor:
        """Return ``(n, 1, y / 4, x / 4)`` logits."""
        shape = (image.shape[2], image.shape[3])
        added = self.maps_transform(self.click_maps(clicks, before))
        features = self.feature_extractor(image, added, disks(clicks, shape, SPREAD))
        logits: Tensor = self.head(features)
        return logits

    def spread(self, image: Tensor, clicks: Tensor, logits: Tensor) -> Tensor:
        """Return ``(n, 1, y, x)``: above 0 is the object.

        Args:
            image: ``(n, 3, y, x)`` in 0..1.
            clicks: ``(n, k, 3)`` row, column and sign.
            logits: ``(n, 1, y, x)`` that the network returned.
        """
        shape = (image.shape[2], image.shape[3])
        spread: Tensor = self.PDM(image, logits, disks(clicks, shape, self.radius))
        return spread
