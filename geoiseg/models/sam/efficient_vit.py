"""EfficientViT-SAM's image encoder in torch; names are those of its authors' checkpoints.

Architecture: Cai et al. 2023, "EfficientViT: Multi-Scale Linear Attention for High-Resolution
Dense Prediction", the large kind, and Zhang et al. 2024, "EfficientViT-SAM". The decoder is SAM's.
"""

# mypy: disallow-subclassing-any=False

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from geoiseg.models.sam.layers import LayerNorm2d

STAGES = "image_encoder.backbone.stages."
NECK = "image_encoder.neck.middle.op_list."
EPS = 1e-6
"""Of all batch norms and layer norms, those of the decoder included."""
WIDEN = (1, 4, 4, 4, 6)
"""By how much the blocks of each stage are wider inside; its first one four times as much."""
HEAD = 32
"""Channels of a head of attention."""
AROUND = 5
"""Pixels along a side of what the second scale of attention sees at once."""
TINY = 1e-15
SEEN = 3
"""Last stages that the neck sums up."""


@dataclass(frozen=True, slots=True)
class EfficientVitShape:
    """All that distinguishes one such encoder from another."""

    widths: tuple[int, ...] = (32, 64, 128, 256, 512)
    depths: tuple[int, ...] = (1, 1, 1, 4, 4)
    """Blocks of each stage after the one that shrinks the map."""
    neck: int = 4
    """Blocks of the neck."""
    out: int = 256
    side: int = 512
    """Pixels along a side of its image; SAM's decoder works in a frame twice as large."""

    @classmethod
    def of(cls, state: Mapping[str, Tensor]) -> EfficientVitShape:
        """Return the shape of the encoder whose weights are in ``state``.

        Raises:
            KeyError: A tensor is missing.
        """
        blocks: dict[int, set[int]] = {}
        for name in state:
            if name.startswith(STAGES):
                stage, _, block = name.removeprefix(STAGES).split(".")[:3]
                blocks.setdefault(int(stage), set()).add(int(block))
        last = ("conv", *(f"main.{layer}.conv" for layer in ("point_conv",) * 4))
        widths = [state[f"{STAGES}{n}.op_list.0.{last[n]}.weight"] for n in range(len(WIDEN))]
        neck = {int(name.removeprefix(NECK).split(".")[0]) for name in state
                if name.startswith(NECK)}  # fmt: skip
        return cls(
            tuple(int(weight.shape[0]) for weight in widths),
            tuple(len(blocks[n]) - 1 for n in sorted(blocks)),
            len(neck),
            int(state["image_encoder.norm.weight"].shape[0]),
        )


class ConvNorm(nn.Module):
    """A convolution, of ``each`` channel or all, then a batch norm and a nonlinearity if asked."""

    def __init__(  # noqa: PLR0913 - a layer of many kinds
        self, have: int, give: int, size: int = 1, stride: int = 1, *,
        norm: bool = True, act: bool = False, bias: bool = False, each: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        groups = have if each else 1
        self.conv = nn.Conv2d(have, give, size, stride, size // 2, groups=groups, bias=bias)
        self.norm = nn.BatchNorm2d(give, eps=EPS) if norm else None
        self._act = act

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(n, give, y / stride, x / stride)``."""
        x = self.conv(x)
        if self.norm is not None:
            x = self.norm(x)
        return functional.gelu(x, approximate="tanh") if self._act else x


class Plain(nn.Module):
    """Two convolutions of 3 x 3."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = ConvNorm(channels, channels, 3, act=True)
        self.conv2 = ConvNorm(channels, channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Return an array of the same shape."""
        return self.conv2(self.conv1(x))


class Fused(nn.Module):
    """A convolution of 3 x 3 that widens, and one that narrows again."""

    def __init__(self, have: int, give: int, widen: int, stride: int = 1) -> None:
        super().__init__()
        self.spatial_conv = ConvNorm(have, have * widen, 3, stride, act=True)
        self.point_conv = ConvNorm(have * widen, give)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(n, give, y / stride, x / stride)``."""
        return self.point_conv(self.spatial_conv(x))


class Inverted(nn.Module):
    """A layer that widens, one that looks around in each channel, one that narrows again."""

    def __init__(self, have: int, give: int, widen: int, stride: int = 1) -> None:
        super().__init__()
        wide = have * widen
        self.inverted_conv = ConvNorm(have, wide, norm=False, act=True, bias=True)
        self.depth_conv = ConvNorm(
            wide, wide, 3, stride, norm=False, act=True, bias=True, each=True
        )  # fmt: skip
        self.point_conv = ConvNorm(wide, give)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(n, give, y / stride, x / stride)``."""
        return self.point_conv(self.depth_conv(self.inverted_conv(x)))


class LinearAttention(nn.Module):
    """Attention whose cost grows with the pixels, not with their square, on two scales."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        wide, heads = 3 * channels, channels // HEAD
        self.qkv = ConvNorm(channels, wide, norm=False)
        around = nn.Conv2d(wide, wide, AROUND, padding=AROUND // 2, groups=wide, bias=False)
        mixed = nn.Conv2d(wide, wide, 1, groups=3 * heads, bias=False)
        self.aggreg = nn.ModuleList([nn.Sequential(around, mixed)])
        self.proj = ConvNorm(2 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return an array of the same shape."""
        own = self.qkv(x)
        both = torch.cat([own, *(look(own) for look in self.aggreg)], dim=1)
        rows, columns = x.shape[-2:]
        # Queries, keys and values of one head lie together; sums over pixels want 32 bits.
        parts = both.float().reshape(len(x), -1, 3 * HEAD, rows * columns)
        q, k, v = parts.split(HEAD, dim=2)
        q, k = functional.relu(q), functional.relu(k)
        found = (v @ k.transpose(-1, -2)) @ q
        weight = k.sum(-1, keepdim=True).transpose(-1, -2) @ q
        seen = (found / (weight + TINY)).reshape(len(x), -1, rows, columns)
        return self.proj(seen.to(x.dtype))


class Residual(nn.Module):
    """What a block changes of its input."""

    def __init__(self, main: nn.Module) -> None:
        super().__init__()
        self.main = main

    def forward(self, x: Tensor) -> Tensor:
        """Return an array of the same shape."""
        return x + self.main(x)


class Shrinking(nn.Module):
    """A block that makes another map of its input."""

    def __init__(self, main: nn.Module) -> None:
        super().__init__()
        self.main = main

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(n, give, y / 2, x / 2)``."""
        return self.main(x)


class Attending(nn.Module):
    """A look at the whole map, then one around each pixel."""

    def __init__(self, channels: int, widen: int) -> None:
        super().__init__()
        self.context_module = Residual(LinearAttention(channels))
        self.local_module = Residual(Inverted(channels, channels, widen))

    def forward(self, x: Tensor) -> Tensor:
        """Return an array of the same shape."""
        return self.local_module(self.context_module(x))


class Ops(nn.Module):
    """One layer after another, by the name that the checkpoints have for it."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.op_list = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> Tensor:
        """Return what the last one makes of it."""
        for layer in self.op_list:
            x = layer(x)
        return x


class Backbone(nn.Module):
    """Five stages, each of half the resolution of the one before."""

    def __init__(self, shape: EfficientVitShape) -> None:
        super().__init__()
        widths, depths = shape.widths, shape.depths
        first = [ConvNorm(3, widths[0], 3, 2, act=True)]
        stages = [Ops(*first, *(Residual(Plain(widths[0])) for _ in range(depths[0])))]
        for n in range(1, len(widths)):
            have, give, widen = widths[n - 1], widths[n], WIDEN[n]
            kind = Fused if n < 3 else Inverted
            blocks: list[nn.Module] = [Shrinking(kind(have, give, 4 * widen, 2))]
            last = n == len(widths) - 1
            blocks.extend(
                Attending(give, widen) if last else Residual(kind(give, give, widen))
                for _ in range(depths[n])
            )
            stages.append(Ops(*blocks))
        self.stages = nn.ModuleList(stages)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the map of each stage."""
        found = []
        for stage in self.stages:
            x = stage(x)
            found.append(x)
        return found


class EfficientVitNeck(nn.Module):
    """The last stages, at one resolution and summed up, and what some blocks make of them."""

    def __init__(self, shape: EfficientVitShape) -> None:
        super().__init__()
        self._grid = shape.side // 8
        seen = shape.widths[: -SEEN - 1 : -1]
        self.input_ops = nn.ModuleList(Ops(ConvNorm(width, shape.out)) for width in seen)
        self.middle = Ops(*(Residual(Fused(shape.out, shape.out, 1)) for _ in range(shape.neck)))
        last = ConvNorm(shape.out, shape.out, norm=False, bias=True)
        self.output_ops = nn.ModuleList([Ops(last)])

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Return ``(n, out, side / 8, side / 8)``."""
        size = (self._grid, self._grid)
        laid = []
        for look, level in zip(self.input_ops, reversed(maps), strict=False):
            x = look(level)
            if x.shape[-2:] != size:
                x = functional.interpolate(x.float(), size, mode="bicubic").to(x.dtype)
            laid.append(x)
        return self.output_ops[0](self.middle(torch.stack(laid).sum(0)))


class EfficientVitEncoder(nn.Module):
    """From an image to ``out`` channels at an eighth of its resolution."""

    def __init__(self, shape: EfficientVitShape | None = None) -> None:
        super().__init__()
        self.shape = shape or EfficientVitShape()
        self.backbone = Backbone(self.shape)
        self.neck = EfficientVitNeck(self.shape)
        self.norm = LayerNorm2d(self.shape.out, EPS)

    def forward(self, pixels: Tensor) -> Tensor:
        """Return ``(n, out, y, x)`` of ``(n, 3, side, side)`` normalised pixels."""
        x = pixels.to(self.norm.weight.dtype)
        return self.norm(self.neck(self.backbone(x)))
