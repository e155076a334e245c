"""SegFormer's encoder and head, with an entrance for clicks, as FocalClick uses them.

Source: Xie et al., SegFormer, NeurIPS 2021. Written anew; the names of layers are those of the
checkpoints.
"""

# mypy: disallow-subclassing-any=False

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from geoiseg.models.clicks.simpleclick import Convolved

REDUCTIONS = (8, 4, 2, 1)
"""By how much keys and values of each stage are made smaller."""
HEADS = (1, 2, 5, 8)


@dataclass(frozen=True, slots=True)
class MixSize:
    """How large an encoder and its head are."""

    widths: tuple[int, int, int, int]
    depths: tuple[int, int, int, int]
    head: int
    """Channels of the head, and of the features that are refined."""


SIZES = {
    "segformer-b0": MixSize((32, 64, 160, 256), (2, 2, 2, 2), 256),
    "segformer-b3": MixSize((64, 128, 320, 512), (3, 4, 18, 3), 512),
}
"""The sizes whose weights were published."""


class ReducedAttention(nn.Module):
    """Every token asks tokens of a smaller map.

    Args:
        width: Channels of a token.
        heads: Questions asked side by side.
        reduction: By how much the map is smaller that is asked.
    """

    def __init__(self, width: int, heads: int, reduction: int) -> None:
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(width, width)
        self.kv = nn.Linear(width, 2 * width)
        self.proj = nn.Linear(width, width)
        self.reduction = reduction
        if reduction > 1:
            self.sr = nn.Conv2d(width, width, reduction, reduction)
            self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, shape: tuple[int, int]) -> Tensor:
        """Return ``(n, tokens, width)``.

        Args:
            x: ``(n, tokens, width)``, row by row.
            shape: Rows and columns of the map they are of.
        """
        query = self.q(x).unflatten(2, (self.heads, -1)).transpose(1, 2)
        asked = x
        if self.reduction > 1:
            small = self.sr(x.transpose(1, 2).unflatten(2, shape))
            asked = self.norm(small.flatten(2).transpose(1, 2))
        pair = self.kv(asked).unflatten(2, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        answer = functional.scaled_dot_product_attention(query, pair[0], pair[1])
        answered: Tensor = self.proj(answer.transpose(1, 2).flatten(2))
        return answered


class Depthwise(nn.Module):
    """A 3x3 convolution of each channel alone.

    Args:
        width: Channels of a token.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(width, width, 3, 1, 1, groups=width)

    def forward(self, x: Tensor, shape: tuple[int, int]) -> Tensor:
        """Return ``(n, tokens, width)``."""
        mixed: Tensor = self.dwconv(x.transpose(1, 2).unflatten(2, shape))
        return mixed.flatten(2).transpose(1, 2)


class MixPerceptron(nn.Module):
    """Two layers over each token, its neighbours mixed in between.

    Args:
        width: Channels of a token.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.dwconv = Depthwise(4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x: Tensor, shape: tuple[int, int]) -> Tensor:
        """Return ``(n, tokens, width)``."""
        out: Tensor = self.fc2(functional.gelu(self.dwconv(self.fc1(x), shape)))
        return out


class MixBlock(nn.Module):
    """Attention and a perceptron, each with a way around it.

    Args:
        width: Channels of a token.
        heads: Of the attention.
        reduction: Of what is asked.
    """

    def __init__(self, width: int, heads: int, reduction: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = (nn.LayerNorm(width, eps=1e-6) for _ in range(2))
        self.attn = ReducedAttention(width, heads, reduction)
        self.mlp = MixPerceptron(width)

    def forward(self, x: Tensor, shape: tuple[int, int]) -> Tensor:
        """Return ``(n, tokens, width)``."""
        x = x + self.attn(self.norm1(x), shape)
        out: Tensor = x + self.mlp(self.norm2(x), shape)
        return out


class OverlappingPatches(nn.Module):
    """A map as tokens of overlapping patches.

    Args:
        inner: Channels in.
        width: Channels of a token.
        patch: Pixels along a side of a patch.
        stride: Pixels from patch to patch.
    """

    def __init__(self, inner: int, width: int, patch: int, stride: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(inner, width, patch, stride, patch // 2)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """Return ``(n, tokens, width)``, row by row, and the rows and columns."""
        x = self.proj(x)
        return self.norm(x.flatten(2).transpose(1, 2)), (x.shape[2], x.shape[3])


class MixTransformer(nn.Module):
    """The encoder: four stages, each half as large as the one before.

    Args:
        size: How large.
    """

    def __init__(self, size: MixSize) -> None:
        super().__init__()
        inner = (3, *size.widths[:3])
        for number in range(4):
            width, patch = size.widths[number], (7, 4) if number == 0 else (3, 2)
            blocks = (
                MixBlock(width, HEADS[number], REDUCTIONS[number])
                for _ in range(size.depths[number])
            )
            stage = number + 1
            setattr(self, f"patch_embed{stage}", OverlappingPatches(inner[number], width, *patch))
            setattr(self, f"block{stage}", nn.ModuleList(blocks))
            setattr(self, f"norm{stage}", nn.LayerNorm(width, eps=1e-6))
        self.patch_embed_side1 = OverlappingPatches(3, size.widths[0], 7, 4)

    def forward(self, image: Tensor, maps: Tensor) -> list[Tensor]:
        """Return features at 1/4, 1/8, 1/16 and 1/32; clicks are seen by all but the first.

        Args:
            image: ``(n, 3, y, x)``, normalised.
            maps: ``(n, 3, y, x)`` of the clicks.
        """
        found, x = [], image
        for stage in range(1, 5):
            tokens, shape = getattr(self, f"patch_embed{stage}")(x)
            for block in getattr(self, f"block{stage}"):
                tokens = block(tokens, shape)
            tokens = getattr(self, f"norm{stage}")(tokens)
            x = _as_map(tokens, shape)
            found.append(x)
            if stage == 1:
                x = x + _as_map(*self.patch_embed_side1(maps))
        return found


def _as_map(tokens: Tensor, shape: tuple[int, int]) -> Tensor:
    return tokens.transpose(1, 2).unflatten(2, shape)


class Linear(nn.Module):
    """One layer over each pixel.

    Args:
        inner: Channels in.
        outer: Channels out.
    """

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__()
        self.proj = nn.Linear(inner, outer)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(n, outer, y, x)``."""
        out: Tensor = self.proj(x.permute(0, 2, 3, 1))
        return out.permute(0, 3, 1, 2)


class MixHead(nn.Module):
    """All stages at the size of the finest, put together.

    Args:
        size: How large.
    """

    def __init__(self, size: MixSize) -> None:
        super().__init__()
        self.linear_c1, self.linear_c2, self.linear_c3, self.linear_c4 = (
            Linear(width, size.head) for width in size.widths
        )
        self.linear_fuse = Convolved(4 * size.head, size.head, norm=True)
        self.linear_pred = nn.Conv2d(size.head, 1, 1)

    def forward(self, stages: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Return ``(n, 1, y, x)`` logits and ``(n, head, y, x)`` features."""
        layers = (self.linear_c1, self.linear_c2, self.linear_c3, self.linear_c4)
        size = stages[0].shape[2:]
        same = [
            functional.interpolate(layer(x), size, mode="bilinear", align_corners=False)
            for layer, x in zip(layers, stages, strict=True)
        ]
        features = self.linear_fuse(torch.cat(same[::-1], dim=1))
        return self.linear_pred(features), features


class SegFormer(nn.Module):
    """Encoder and head.

    Args:
        size: How large.
    """

    def __init__(self, size: MixSize) -> None:
        super().__init__()
        self.backbone = MixTransformer(size)
        self.decode_head = MixHead(size)

    def forward(self, image: Tensor, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``(n, 1, y / 4, x / 4)`` logits and ``(n, head, y / 4, x / 4)`` features."""
        found: tuple[Tensor, Tensor] = self.decode_head(self.backbone(image, maps))
        return found
