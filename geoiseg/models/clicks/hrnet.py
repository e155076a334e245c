"""HRNetV2 with object-contextual representations, as RITM and FocalClick use it.

Sources: Wang et al., Deep High-Resolution Representation Learning, PAMI 2020; Yuan et al.,
Object-Contextual Representations, ECCV 2020. The names of layers are those of the checkpoints.
"""

# mypy: disallow-subclassing-any=False

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class HrnetSize:
    """How large a network is."""

    width: int
    """Channels of the finest branch; each coarser one has twice as many."""
    ocr: int
    """Channels of the keys of object context."""
    small: bool = False
    """Half of the blocks, and fewer modules (HRNet-W18-C-Small-v2)."""

    @property
    def blocks(self) -> int:
        """Blocks of each branch of a module."""
        return 2 if self.small else 4

    @property
    def modules(self) -> tuple[int, int, int]:
        """Modules of the stages with two, three and four branches."""
        return (1, 3, 2) if self.small else (1, 4, 3)


def grown(maps: Tensor, like: Tensor) -> Tensor:
    """Return maps at the size of others, bilinear, corners on corners."""
    return functional.interpolate(maps, like.shape[2:], mode="bilinear", align_corners=True)


def convolution(inner: int, outer: int, kernel: int = 1, stride: int = 1) -> list[nn.Module]:
    """Return a convolution without a bias and its batch norm."""
    padding = kernel // 2
    return [
        nn.Conv2d(inner, outer, kernel, stride, padding, bias=False),
        nn.BatchNorm2d(outer),
    ]


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and the way around them (He et al., 2016).

    Args:
        inner: Channels in.
        outer: Channels out.
        stride: Of the first convolution, and of the way around.
        dilation: Of both convolutions.
    """

    def __init__(
        self, inner: int, outer: int, stride: int = 1, dilation: tuple[int, int] = (1, 1)
    ) -> None:
        super().__init__()
        first, second = dilation
        self.conv1 = nn.Conv2d(inner, outer, 3, stride, first, first, bias=False)
        self.bn1 = nn.BatchNorm2d(outer)
        self.conv2 = nn.Conv2d(outer, outer, 3, 1, second, second, bias=False)
        self.bn2 = nn.BatchNorm2d(outer)
        around = stride != 1 or inner != outer
        self.downsample = nn.Sequential(*convolution(inner, outer, 1, stride)) if around else None

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(n, outer, y, x)``."""
        kept = x if self.downsample is None else self.downsample(x)
        x = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(x)) + kept)


class Bottleneck(nn.Module):
    """A 3x3 convolution between two of 1x1, and the way around them.

    Args:
        inner: Channels in.
        middle: Channels of the 3x3 convolution; four times as many come out.
    """

    expansion = 4

    def __init__(self, inner: int, middle: int) -> None:
        super().__init__()
        outer = middle * self.expansion
        self.conv1, self.bn1 = convolution(inner, middle)
        self.conv2, self.bn2 = convolution(middle, middle, 3)
        self.conv3, self.bn3 = convolution(middle, outer)
        self.downsample = nn.Sequential(*convolution(inner, outer)) if inner != outer else None

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(n, 4 middle, y, x)``."""
        kept = x if self.downsample is None else self.downsample(x)
        x = torch.relu(self.bn1(self.conv1(x)))
        x = torch.relu(self.bn2(self.conv2(x)))
        return torch.relu(self.bn3(self.conv3(x)) + kept)


def _fusing(channels: Sequence[int], source: int, target: int) -> nn.Module | None:
    """Return what brings one branch to the size of another."""
    if source == target:
        return None
    if source > target:
        return nn.Sequential(*convolution(channels[source], channels[target]))
    steps: list[nn.Module] = []
    for step in range(target - source):
        last = step == target - source - 1
        width = channels[target] if last else channels[source]
        layers = convolution(channels[source], width, 3, 2)
        steps.append(nn.Sequential(*layers, *([] if last else [nn.ReLU()])))
    return nn.Sequential(*steps)


class ExchangeModule(nn.Module):
    """Branches of different sizes, each worked on alone, then added to all the others.

    Args:
        channels: Of each branch, finest first.
        blocks: Blocks in each branch.
    """

    def __init__(self, channels: Sequence[int], blocks: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(*(BasicBlock(width, width) for _ in range(blocks))) for width in channels
        )
        numbers = range(len(channels))
        self.fuse_layers = nn.ModuleList(
            nn.ModuleList(_fusing(channels, source, target) for source in numbers)
            for target in numbers
        )

    def forward(self, branches: list[Tensor]) -> list[Tensor]:
        """Return the branches, finest first."""
        branches = [own(x) for own, x in zip(self.branches, branches, strict=True)]
        fused = []
        for target, layers in enumerate(self.fuse_layers):
            total: Tensor | None = None
            for source, (layer, x) in enumerate(zip(layers, branches, strict=True)):
                part = x if layer is None else layer(x)
                if source > target:
                    part = grown(part, branches[target])
                total = part if total is None else total + part
            assert total is not None  # noqa: S101 - there is at least one branch
            fused.append(torch.relu(total))
        return fused


def _transition(before: Sequence[int], after: Sequence[int]) -> nn.ModuleList:
    """Return what makes one more branch, and the others as wide as they have to be."""
    layers: list[nn.Module | None] = []
    for number, width in enumerate(after):
        if number < len(before):
            same = before[number] == width
            layers.append(
                None if same else nn.Sequential(*convolution(before[number], width, 3), nn.ReLU())
            )
            continue
        step = nn.Sequential(*convolution(before[-1], width, 3, 2), nn.ReLU())
        layers.append(nn.Sequential(step))
    return nn.ModuleList(layers)


class ObjectAttention(nn.Module):
    """Each pixel asks the object's mean feature, and is answered in as many channels as it has.

    Args:
        channels: Of pixels and of the object.
        keys: Of the question.
    """

    def __init__(self, channels: int, keys: int) -> None:
        super().__init__()
        self.keys = keys

        def step(inner: int, outer: int) -> list[nn.Module]:
            layer, norm = convolution(inner, outer)
            return [layer, nn.Sequential(norm, nn.ReLU())]

        self.f_pixel = nn.Sequential(*step(channels, keys), *step(keys, keys))
        self.f_object = nn.Sequential(*step(channels, keys), *step(keys, keys))
        self.f_down = nn.Sequential(*step(channels, keys))
        self.f_up = nn.Sequential(*step(keys, channels))

    def forward(self, pixels: Tensor, objects: Tensor) -> Tensor:
        """Return ``(n, channels, y, x)``.

        Args:
            pixels: ``(n, channels, y, x)``.
            objects: ``(n, channels, objects, 1)``.
        """
        query = self.f_pixel(pixels).flatten(2).transpose(1, 2)
        key = self.f_object(objects).flatten(2)
        value = self.f_down(objects).flatten(2).transpose(1, 2)
        share = torch.softmax(query @ key * self.keys**-0.5, dim=-1)
        answer = (share @ value).transpose(1, 2).unflatten(2, pixels.shape[2:])
        answered: Tensor = self.f_up(answer)
        return answered


class ObjectContext(nn.Module):
    """Pixels with what the object as a whole says to each of them.

    Args:
        channels: Of pixels, in and out.
        keys: Of the attention.
    """

    def __init__(self, channels: int, keys: int) -> None:
        super().__init__()
        self.object_context_block = ObjectAttention(channels, keys)
        layer, norm = convolution(2 * channels, channels)
        self.conv_bn_dropout = nn.Sequential(layer, nn.Sequential(norm, nn.ReLU()))

    def forward(self, pixels: Tensor, objects: Tensor) -> Tensor:
        """Return ``(n, channels, y, x)``."""
        context = self.object_context_block(pixels, objects)
        merged: Tensor = self.conv_bn_dropout(torch.cat([context, pixels], dim=1))
        return merged


def gathered(features: Tensor, scores: Tensor) -> Tensor:
    """Return ``(n, channels, k, 1)``: features averaged by the softmax of each score's map."""
    share = torch.softmax(scores.flatten(2), dim=2)
    return (share @ features.flatten(2).transpose(1, 2)).transpose(1, 2).unsqueeze(3)


class HighResolutionNet(nn.Module):
    """From a picture, and what is added to it after its first layer, to the object's logits.

    Args:
        size: How large.
    """

    def __init__(self, size: HrnetSize) -> None:
        super().__init__()
        self.size = size
        widths = [size.width * 2**power for power in range(4)]
        self.conv1, self.bn1 = convolution(3, 64, 3, 2)
        self.conv2, self.bn2 = convolution(64, 64, 3, 2)
        first = [Bottleneck(64 if number == 0 else 256, 64) for number in range(size.blocks)]
        self.layer1 = nn.Sequential(*first)
        self.transition1 = _transition([256], widths[:2])
        self.transition2 = _transition(widths[:2], widths[:3])
        self.transition3 = _transition(widths[:3], widths)
        self.stage2, self.stage3, self.stage4 = (
            nn.Sequential(*(ExchangeModule(widths[:branches], size.blocks) for _ in range(count)))
            for branches, count in zip((2, 3, 4), size.modules, strict=True)
        )
        total, middle = sum(widths), 2 * size.ocr
        self.conv3x3_ocr = nn.Sequential(
            nn.Conv2d(total, middle, 3, padding=1), nn.BatchNorm2d(middle), nn.ReLU()
        )
        self.ocr_distri_head = ObjectContext(middle, size.ocr)
        self.cls_head = nn.Conv2d(middle, 1, 1)
        self.aux_head = nn.Sequential(
            nn.Conv2d(total, total, 1), nn.BatchNorm2d(total), nn.ReLU(), nn.Conv2d(total, 1, 1)
        )

    def trunk(self, image: Tensor, added: Tensor) -> Tensor:
        """Return ``(n, 15 width, y / 4, x / 4)``: all branches at the size of the finest.

        Args:
            image: ``(n, 3, y, x)``, normalised.
            added: ``(n, 64, y / 2, x / 2)``, added after the first layer.
        """
        x = torch.relu(self.bn1(self.conv1(image))) + added
        x = self.layer1(torch.relu(self.bn2(self.conv2(x))))
        branches = [x]
        for transition, stage in (
            (self.transition1, self.stage2),
            (self.transition2, self.stage3),
            (self.transition3, self.stage4),
        ):
            held = [*branches, branches[-1]] if len(branches) > 1 else [x, x]
            parts = zip(transition, held, strict=True)
            branches = stage([x if layer is None else layer(x) for layer, x in parts])
        return torch.cat([grown(x, branches[0]) for x in branches], dim=1)

    def contextual(self, features: Tensor, scores: Tensor) -> Tensor:
        """Return ``(n, 2 ocr, y, x)`` pixels in the context of the object.

        Args:
            features: ``(n, 2 ocr, y, x)`` of ``conv3x3_ocr``.
            scores: ``(n, 1, y, x)`` logits of ``aux_head``.
        """
        context: Tensor = self.ocr_distri_head(features, gathered(features, scores))
        return context

    def forward(self, image: Tensor, added: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``(n, 1, y / 4, x / 4)`` logits and ``(n, 2 ocr, y / 4, x / 4)`` features."""
        features = self.trunk(image, added)
        scores = self.aux_head(features)
        context = self.contextual(self.conv3x3_ocr(features), scores)
        return self.cls_head(context), context
