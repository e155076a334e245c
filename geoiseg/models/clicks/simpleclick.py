"""SimpleClick: a plain vision transformer, shown the clicks as a second picture.

Source: Liu et al., SimpleClick: Interactive Image Segmentation with Simple Vision Transformers,
ICCV 2023.
"""

# mypy: disallow-subclassing-any=False

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from geoiseg.models.clicks.network import ClickNetwork, Habits

WINDOW = 224
"""Pixels along a side of the windows within which most blocks attend."""


@dataclass(frozen=True, slots=True)
class VitSize:
    """How large a transformer and its neck are."""

    width: int
    depth: int
    heads: int
    patch: int = 16
    side: int = 448
    """Pixels along a side of the picture."""
    neck: tuple[int, int, int, int] = (128, 256, 512, 1024)
    """Channels at 1/4, 1/8, 1/16 and 1/32 of the picture."""
    head: int = 256
    """Channels of the head."""

    @property
    def grid(self) -> int:
        """Patches along a side."""
        return self.side // self.patch

    @property
    def period(self) -> int:
        """Every so many blocks, one attends to the whole picture."""
        return 6 if self.depth == 12 else self.depth // 4


SIZES = {
    "vit-xt": VitSize(160, 8, 4, neck=(96, 192, 288, 384), head=128),
    "vit-b": VitSize(768, 12, 12),
    "vit-l": VitSize(1024, 24, 16, neck=(192, 384, 768, 1536)),
    "vit-h": VitSize(1280, 32, 16, patch=14, neck=(240, 480, 960, 1920)),
}
"""The sizes whose weights were published."""


class Attention(nn.Module):
    """Every token asks every other one.

    Args:
        width: Channels of a token.
        heads: Questions asked side by side.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(n, tokens, width)``."""
        parts = self.qkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        query, key, value = parts.unbind(0)
        answer = functional.scaled_dot_product_attention(query, key, value)
        answered: Tensor = self.proj(answer.transpose(1, 2).flatten(2))
        return answered


class Perceptron(nn.Module):
    """Two layers over each token.

    Args:
        width: Channels of a token.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(n, tokens, width)``."""
        out: Tensor = self.fc2(functional.gelu(self.fc1(x)))
        return out


class Block(nn.Module):
    """Attention and a perceptron, each with a way around it.

    Args:
        width: Channels of a token.
        heads: Of the attention.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = (nn.LayerNorm(width, eps=1e-6) for _ in range(2))
        self.attn = Attention(width, heads)
        self.mlp = Perceptron(width)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(n, tokens, width)``."""
        x = x + self.attn(self.norm1(x))
        out: Tensor = x + self.mlp(self.norm2(x))
        return out


class Patches(nn.Module):
    """A picture as tokens.

    Args:
        width: Channels of a token.
        patch: Pixels along a side of what becomes one.
    """

    def __init__(self, width: int, patch: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, patch, patch)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(n, tokens, width)``, row by row."""
        tokens: Tensor = self.proj(x)
        return tokens.flatten(2).transpose(1, 2)


class PlainVit(nn.Module):
    """The transformer, with the classifier's layers that the checkpoints still hold.

    Args:
        size: How large.
    """

    def __init__(self, size: VitSize) -> None:
        super().__init__()
        self.size = size
        self.patch_embed = Patches(size.width, size.patch)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, size.width))
        self.pos_embed = nn.Parameter(torch.zeros(1, size.grid**2 + 1, size.width))
        self.blocks = nn.Sequential(*(Block(size.width, size.heads) for _ in range(size.depth)))
        self.fc_norm = nn.LayerNorm(size.width, eps=1e-6)
        self.head = nn.Linear(size.width, 1000)

    def forward(self, image: Tensor, added: Tensor) -> Tensor:
        """Return ``(n, width, side / patch, side / patch)``.

        Args:
            image: ``(n, 3, side, side)``, normalised.
            added: ``(n, tokens, width)``, added to the picture's own tokens.
        """
        x = self.patch_embed(image) + added + self.pos_embed[:, 1:]
        parts = self.size.side // WINDOW
        for number, block in enumerate(self.blocks, 1):
            whole = number % self.size.period == 0
            x = block(x) if whole else joined(block(cut(x, parts)), parts)
        return x.transpose(1, 2).unflatten(2, (self.size.grid, self.size.grid))


def cut(x: Tensor, parts: int) -> Tensor:
    """Return ``(n parts^2, tokens / parts^2, width)``: the tokens of each window.

    Args:
        x: ``(n, tokens, width)`` of a square picture, row by row.
        parts: Windows along a side.
    """
    count, tokens, width = x.shape
    side = round(tokens**0.5) // parts
    windows = x.view(count, parts, side, parts, side, width).transpose(2, 3)
    return windows.reshape(count * parts**2, side**2, width)


def joined(x: Tensor, parts: int) -> Tensor:
    """Return ``(n, tokens, width)``: what :func:`cut` took apart.

    Args:
        x: ``(n parts^2, tokens / parts^2, width)``.
        parts: Windows along a side.
    """
    windows, tokens, width = x.shape
    count, side = windows // parts**2, round(tokens**0.5)
    picture = x.view(count, parts, parts, side, side, width).transpose(2, 3)
    return picture.reshape(count, (parts * side) ** 2, width)


def _normed(layer: nn.Module, channels: int) -> list[nn.Module]:
    return [layer, nn.GroupNorm(1, channels)]


class SimpleFeaturePyramid(nn.Module):
    """Maps at four sizes of the one that the transformer gives (Li et al., ECCV 2022).

    Args:
        width: Channels of the transformer.
        channels: Of the maps at 1/4, 1/8, 1/16 and 1/32.
    """

    def __init__(self, width: int, channels: tuple[int, int, int, int]) -> None:
        super().__init__()
        fine = max(2 * channels[0], width // 2)
        middle = max(channels[1], width // 2)
        coarse = max(channels[3], 2 * width)
        self.down_4 = nn.Sequential(
            *_normed(nn.ConvTranspose2d(width, fine, 2, 2), fine),
            nn.GELU(),
            *_normed(nn.ConvTranspose2d(fine, fine // 2, 2, 2), fine // 2),
            *_normed(nn.Conv2d(fine // 2, channels[0], 1), channels[0]),
            nn.GELU(),
        )
        self.down_8 = nn.Sequential(
            *_normed(nn.ConvTranspose2d(width, middle, 2, 2), middle),
            *_normed(nn.Conv2d(middle, channels[1], 1), channels[1]),
            nn.GELU(),
        )
        self.down_16 = nn.Sequential(
            *_normed(nn.Conv2d(width, channels[2], 1), channels[2]), nn.GELU()
        )
        self.down_32 = nn.Sequential(
            *_normed(nn.Conv2d(width, coarse, 2, 2), coarse),
            *_normed(nn.Conv2d(coarse, channels[3], 1), channels[3]),
            nn.GELU(),
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the four maps, finest first."""
        return [self.down_4(x), self.down_8(x), self.down_16(x), self.down_32(x)]


class Convolved(nn.Module):
    """A 1x1 convolution and what follows it, named as in the checkpoints.

    Args:
        inner: Channels in.
        outer: Channels out.
        norm: Whether a batch norm takes the place of the bias.
    """

    def __init__(self, inner: int, outer: int, *, norm: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inner, outer, 1, bias=not norm)
        self.bn = nn.BatchNorm2d(outer) if norm else None

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(n, outer, y, x)``."""
        x = self.conv(x)
        return torch.relu(x if self.bn is None else self.bn(x))


class Head(nn.Module):
    """All maps at the size of the finest, put together.

    Args:
        channels: Of the maps.
        width: Of the head.
    """

    def __init__(self, channels: tuple[int, int, int, int], width: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(Convolved(inner, width) for inner in channels)
        self.fusion_conv = Convolved(4 * width, width)
        # Of heads that answer at a finer size, which nobody published; the files hold them.
        self.up_conv1 = _rise(width)
        self.up_conv2 = _rise(width // 2)
        self.conv_seg = nn.Conv2d(width, 1, 1)

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Return ``(n, 1, side / 4, side / 4)`` logits."""
        size = maps[0].shape[2:]
        same = [
            functional.interpolate(layer(x), size, mode="bilinear", align_corners=False)
            for layer, x in zip(self.convs, maps, strict=True)
        ]
        logits: Tensor = self.conv_seg(self.fusion_conv(torch.cat(same, dim=1)))
        return logits


def _rise(width: int) -> nn.Sequential:
    half = width // 2
    return nn.Sequential(
        *_normed(nn.ConvTranspose2d(width, half, 2, 2), half),
        *_normed(nn.Conv2d(half, half, 1), half),
        nn.GELU(),
    )


class SimpleClick(ClickNetwork):
    """SimpleClick's network.

    Args:
        size: How large.
        radius: Of a click's disk in pixels.
    """

    def __init__(self, size: VitSize, radius: float = 5) -> None:
        super().__init__(radius)
        self.habits = Habits(side=size.side, zoom_first=True)
        self.patch_embed_coords = Patches(size.width, size.patch)
        self.backbone = PlainVit(size)
        self.neck = SimpleFeaturePyramid(size.width, size.neck)
        self.head = Head(size.neck, size.head)

    def coarse(self, image: Tensor, clicks: Tensor, before: Tensor) -> Tensor:
        """Return ``(n, 1, side / 4, side / 4)`` logits."""
        added = self.patch_embed_coords(self.click_maps(clicks, before))
        logits: Tensor = self.head(self.neck(self.backbone(image, added)))
        return logits
