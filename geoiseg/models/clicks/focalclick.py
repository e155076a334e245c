"""FocalClick: a coarse network on a small picture, and a refiner where the last click was.

Source: Chen et al., FocalClick: Towards Practical Interactive Image Segmentation, CVPR 2022.
"""

# mypy: disallow-subclassing-any=False

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from geoiseg.models.clicks.hrnet import HighResolutionNet, HrnetSize, grown
from geoiseg.models.clicks.maps import disks, normalised
from geoiseg.models.clicks.mix_transformer import MixSize, SegFormer
from geoiseg.models.clicks.network import ClickNetwork, Habits, Scale, entrance

SIDE = 256
"""Pixels along a side of what both networks are shown."""
REFINED_RADIUS = 5
"""Of a click's disk where the refiner looks, in pixels."""
HRNETS = {"hrnet18s": HrnetSize(18, 48, small=True), "hrnet32": HrnetSize(32, 128)}
"""The sizes whose weights were published."""

Window = tuple[float, float, float, float]
"""``y0, y1, x0, x1`` in pixels."""


class Plain(nn.Module):
    """A convolution, batch norm and ReLU.

    Args:
        inner: Channels in.
        outer: Channels out.
        kernel: Pixels along a side.
        stride: Pixels from place to place.
    """

    def __init__(self, inner: int, outer: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inner, outer, kernel, stride, kernel // 2)
        self.norm = nn.BatchNorm2d(outer)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(n, outer, y, x)``."""
        return torch.relu(self.norm(self.conv(x)))


class Separable(nn.Module):
    """A 3x3 convolution of each channel alone, one over channels, batch norm and ReLU.

    Args:
        width: Channels in and out.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv3x3 = nn.Conv2d(width, width, 3, 1, 1, groups=width)
        self.conv1x1 = nn.Conv2d(width, width, 1)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(n, width, y, x)``."""
        return torch.relu(self.norm(self.conv1x1(self.conv3x3(x))))


class Refiner(nn.Module):
    """From a coarse mask and the picture around a click to a finer one.

    Args:
        features: Channels of the coarse network's features.
        gated: Whether the file holds a gate, which is never used.
        width: Of its own layers.
    """

    def __init__(self, features: int, *, gated: bool, width: int = 32) -> None:
        super().__init__()
        self.image_conv1 = Plain(6, width, 3, 2)
        self.image_conv2, self.image_conv3 = Separable(width), Separable(width)
        self.refine_fusion = Plain(features, width, 1, 1)
        self.refine_fusion2, self.refine_fusion3 = Separable(width), Separable(width)
        if gated:
            self.feature_gate = nn.Sequential(nn.Conv2d(width, 1, 1), nn.Sigmoid())
        self.refine_pred = nn.Conv2d(width, 1, 3, 1, 1)
        self.refine_trimap = nn.Conv2d(width, 1, 3, 1, 1)

    def forward(self, image: Tensor, clicks: Tensor, features: Tensor, coarse: Tensor) -> Tensor:
        """Return ``(n, 1, y, x)`` logits: new ones where it sees the border, else the coarse.

        Args:
            image: ``(n, 3, y, x)``, normalised.
            clicks: ``(n, 2, y, x)`` disks.
            features: ``(n, channels, v, u)`` of the coarse network.
            coarse: ``(n, 1, y, x)`` logits.
        """
        seen = torch.cat([image, clicks, torch.sigmoid(coarse)], dim=1)
        fine = self.image_conv3(self.image_conv2(self.image_conv1(seen)))
        merged = grown(self.refine_fusion(features), fine) + fine
        merged = self.refine_fusion3(self.refine_fusion2(merged))
        border = torch.sigmoid(grown(self.refine_trimap(merged), image))
        refined: Tensor = grown(self.refine_pred(merged), image)
        return refined * border + coarse * (1 - border)


def taken_out(maps: Tensor, window: Window, size: tuple[int, int]) -> Tensor:
    """Return ``(1, channels, *size)`` of a window: the mean of bilinear samples in each cell.

    The same as ``torchvision.ops.roi_align`` with ``aligned=True``, for one window.

    Args:
        maps: ``(1, channels, y, x)``.
        window: In pixels of the maps, within them.
        size: Rows and columns of the result.
    """
    positions = []
    for start, end, cells, length in (
        (window[0], window[1], size[0], maps.shape[2]),
        (window[2], window[3], size[1], maps.shape[3]),
    ):
        samples = max(1, math.ceil((end - start) / cells))
        step = (end - start) / cells / samples
        at = start + step * (torch.arange(cells * samples, device=maps.device) + 0.5) - 0.5
        positions.append(at.clamp(0, length - 1) * 2 / max(length - 1, 1) - 1)
    rows, columns = torch.meshgrid(*positions, indexing="ij")
    grid = torch.stack([columns, rows], dim=-1)[None].to(maps.dtype)
    sampled = functional.grid_sample(maps, grid, align_corners=True, padding_mode="border")
    return functional.adaptive_avg_pool2d(sampled, size)


class FocalClick(ClickNetwork):
    """A coarse network and its refiner.

    Args:
        small: Whether the coarse network is shown half of the side (``S1`` in the paper).
        radius: Of a click's disk in the coarse network's picture before it is halved.
    """

    habits = Habits(side=SIDE, smallest=10)
    feature_extractor: nn.Module
    refiner: Refiner

    def __init__(self, radius: float, *, small: bool) -> None:
        super().__init__(radius)
        self.small = small

    def features(self, image: Tensor, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``(n, 1, v, u)`` logits and ``(n, channels, v, u)`` features.

        Args:
            image: ``(n, 3, y, x)``, normalised.
            maps: ``(n, 3, y, x)``: the mask before and the clicks.
        """
        raise NotImplementedError

    def both(self, image: Tensor, clicks: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``(n, 1, y, x)`` logits, and features at the coarse network's resolution.

        Args:
            image: ``(n, 3, y, x)`` in 0..1.
            clicks: ``(n, k, 3)`` row, column and sign.
            before: ``(n, 1, y, x)`` probabilities of the mask before; zeros at first.
        """
        picture, maps = normalised(image), self.click_maps(clicks, before)
        if self.small:
            half = (picture.shape[2] // 2, picture.shape[3] // 2)
            picture, maps = (
                functional.interpolate(x, half, mode="bilinear", align_corners=True)
                for x in (picture, maps)
            )
        logits, features = self.features(picture, maps)
        return grown(logits, image), features

    def coarse(self, image: Tensor, clicks: Tensor, before: Tensor) -> Tensor:
        """Return ``(n, 1, v, u)`` logits of the coarse network."""
        return self.features(image, self.click_maps(clicks, before))[0]

    def refined(self, image: Tensor, clicks: Tensor, coarse: tuple[Tensor, Tensor], window: Window
                ) -> Tensor:  # fmt: skip
        """Return ``(1, 1, y, x)`` finer logits of a window.

        Args:
            image: ``(1, 3, y, x)`` of the window, in 0..1.
            clicks: ``(1, k, 3)`` row, column and sign in that picture.
            coarse: What :meth:`both` returned.
            window: In pixels of the picture that the coarse network was shown.
        """
        logits, features = coarse
        ratio = features.shape[3] / logits.shape[3]
        size = (features.shape[2], features.shape[3])
        low = taken_out(features, (window[0] * ratio, window[1] * ratio, window[2] * ratio,
                                   window[3] * ratio), size)  # fmt: skip
        shape = (image.shape[2], image.shape[3])
        mask = taken_out(logits, window, shape)
        maps = disks(clicks, shape, REFINED_RADIUS)
        finer: Tensor = self.refiner(normalised(image), maps, low, mask)
        return finer


class FocalHrnet(FocalClick):
    """FocalClick with HRNet.

    Args:
        size: Of the coarse network.
        small: Whether it is shown half of the side.
        leaky: Whether the activation of click maps leaks.
    """

    def __init__(self, size: HrnetSize, *, small: bool = False, leaky: bool = True) -> None:
        super().__init__(2 if small else 5, small=small)
        self.maps_transform = entrance(3, leaky=leaky)
        self.feature_extractor = HighResolutionNet(size)
        self.refiner = Refiner(2 * size.ocr, gated=False)

    def features(self, image: Tensor, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits and features at 1/4 of the picture."""
        found: tuple[Tensor, Tensor] = self.feature_extractor(image, self.maps_transform(maps))
        return found


class FocalSegformer(FocalClick):
    """FocalClick with SegFormer.

    Args:
        size: Of the coarse network.
        small: Whether it is shown half of the side.
    """

    def __init__(self, size: MixSize, *, small: bool = False) -> None:
        super().__init__(3 if small else 5, small=small)
        # Never run, but the files hold it.
        self.maps_transform = nn.Sequential(
            nn.Conv2d(3, 16, 3, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(16, 32, 3, 2, 1), Scale()
        )
        self.feature_extractor = SegFormer(size)
        self.refiner = Refiner(size.head, gated=True)

    def features(self, image: Tensor, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits and features at 1/4 of the picture."""
        found: tuple[Tensor, Tensor] = self.feature_extractor(image, maps)
        return found
