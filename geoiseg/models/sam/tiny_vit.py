"""MobileSAM's image encoder, TinyViT-5M, made for speed; names and weights are MobileSAM's.

Architecture: Wu et al. 2022, "TinyViT", with the last stage kept at the third's resolution
and SAM's neck, as published with Zhang et al. 2023, "Faster Segment Anything".
"""

# mypy: disallow-subclassing-any=False

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from geoiseg.models.sam.layers import Neck

PREFIX = "image_encoder."
WINDOWS = (7, 7, 14, 7)
"""Tokens along a side of each stage's windows; the first stage has none."""
SHRINKS = (2, 2, 1)
"""By how much each stage's end shrinks the map."""


@dataclass(frozen=True, slots=True)
class TinyShape:
    """All that distinguishes one TinyViT from another."""

    channels: tuple[int, ...] = (64, 128, 160, 320)
    depths: tuple[int, ...] = (2, 2, 6, 2)
    heads: tuple[int, ...] = (2, 4, 5, 10)
    side: int = 1024
    out: int = 256

    @classmethod
    def of(cls, state: Mapping[str, Tensor]) -> TinyShape:
        """Return the shape of the encoder whose weights are in ``state``.

        Raises:
            KeyError: A tensor is missing.
        """
        stages: dict[int, set[int]] = {}
        for name in state:
            parts = name.removeprefix(f"{PREFIX}layers.").split(".")
            if name.startswith(f"{PREFIX}layers.") and parts[1] == "blocks":
                stages.setdefault(int(parts[0]), set()).add(int(parts[2]))
        first = f"{PREFIX}layers.0.blocks.0.conv1.c.weight"
        norms = [f"{PREFIX}layers.{n}.blocks.0.attn.norm.weight" for n in range(1, len(stages))]
        biases = [
            f"{PREFIX}layers.{n}.blocks.0.attn.attention_biases" for n in range(1, len(stages))
        ]
        return cls(
            channels=(int(state[first].shape[1]), *(int(state[n].shape[0]) for n in norms)),
            depths=tuple(len(stages[n]) for n in sorted(stages)),
            heads=(2, *(int(state[bias].shape[0]) for bias in biases)),
            out=int(state[f"{PREFIX}neck.0.weight"].shape[0]),
        )


class ConvNorm(nn.Sequential):
    """A convolution without bias and a batch norm."""

    def __init__(self, have: int, give: int, size: int = 1, stride: int = 1, groups: int = 1):
        super().__init__()
        self.add_module(
            "c", nn.Conv2d(have, give, size, stride, size // 2, groups=groups, bias=False)
        )
        self.add_module("bn", nn.BatchNorm2d(give))

    def fused(self) -> nn.Conv2d:
        """Return one convolution that does what both do at inference."""
        conv, norm = self.c, self.bn
        gain = norm.weight / (norm.running_var + norm.eps).sqrt()
        one = nn.Conv2d(
            conv.in_channels,
            conv.out_channels,
            conv.kernel_size,
            conv.stride,
            conv.padding,
            groups=conv.groups,
        )
        one.weight = nn.Parameter((conv.weight * gain[:, None, None, None]).detach())
        one.bias = nn.Parameter((norm.bias - norm.running_mean * gain).detach())
        return one


class ConvBlock(nn.Module):
    """A residual block that widens, looks around each pixel and narrows again."""

    def __init__(self, channels: int, widen: int = 4) -> None:
        super().__init__()
        self.conv1 = ConvNorm(channels, widen * channels)
        self.conv2 = ConvNorm(widen * channels, widen * channels, 3, groups=widen * channels)
        self.conv3 = ConvNorm(widen * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(n, channel, y, x)``."""
        wide = functional.gelu(self.conv2(functional.gelu(self.conv1(x))))
        return functional.gelu(x + self.conv3(wide))


class Merge(nn.Module):
    """From one stage's map to the next's: fewer pixels, more channels."""

    def __init__(self, have: int, give: int, shrink: int) -> None:
        super().__init__()
        self.conv1 = ConvNorm(have, give)
        self.conv2 = ConvNorm(give, give, 3, shrink, groups=give)
        self.conv3 = ConvNorm(give, give)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(n, channel, y, x)``."""
        return self.conv3(functional.gelu(self.conv2(functional.gelu(self.conv1(x)))))


class WindowAttention(nn.Module):
    """Self-attention within windows, with a learned bias for each distance."""

    def __init__(self, channels: int, heads: int, window: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)
        self.attention_biases = nn.Parameter(torch.zeros(heads, window * window))
        self.heads, self.window = heads, window

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(n, y, x, channel)``; what a window lacks is padded with zeros."""
        n, rows, columns, channels = x.shape
        size = self.window
        high, wide = -(-rows // size), -(-columns // size)
        padded = functional.pad(x, (0, 0, 0, wide * size - columns, 0, high * size - rows))
        cut = padded.view(n, high, size, wide, size, channels).transpose(2, 3)
        qkv = self.qkv(self.norm(cut.reshape(-1, size * size, channels)))
        # The three of one head lie together here, unlike SAM's.
        q, k, v = qkv.unflatten(-1, (self.heads, 3, -1)).permute(3, 0, 2, 1, 4).unbind(0)
        bias = self._bias().expand(len(q), -1, -1, -1)
        out = functional.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        out = self.proj(out.transpose(1, 2).flatten(2))
        laid = out.view(n, high, wide, size, size, channels).transpose(2, 3)
        return laid.reshape(n, high * size, wide * size, channels)[:, :rows, :columns]

    def _bias(self) -> Tensor:
        """Return ``(head, token, token)``; a distance is that of rows and that of columns."""
        at = torch.arange(self.window, device=self.attention_biases.device)
        apart = (at[:, None] - at[None, :]).abs()
        distance = self.window * apart[:, None, :, None] + apart[None, :, None, :]
        return self.attention_biases[:, distance.reshape(self.window**2, -1)]


class TinyMlp(nn.Module):
    """Two linear layers with a nonlinearity between them, after a layer norm."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.fc1 = nn.Linear(channels, hidden)
        self.fc2 = nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(..., channel)``."""
        return self.fc2(functional.gelu(self.fc1(self.norm(x))))


class TinyBlock(nn.Module):
    """Attention within windows, a look around each pixel, and two linear layers."""

    def __init__(self, channels: int, heads: int, window: int) -> None:
        super().__init__()
        self.attn = WindowAttention(channels, heads, window)
        self.local_conv = ConvNorm(channels, channels, 3, groups=channels)
        self.mlp = TinyMlp(channels, 4 * channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(n, channel, y, x)``."""
        last = x.permute(0, 2, 3, 1)
        last = last + self.attn(last)
        last = self.local_conv(last.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return (last + self.mlp(last)).permute(0, 3, 1, 2)


class Stem(nn.Module):
    """From pixels to a quarter of their resolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.seq = nn.Sequential(
            ConvNorm(3, channels // 2, 3, 2), nn.GELU(), ConvNorm(channels // 2, channels, 3, 2)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(n, channel, y / 4, x / 4)``."""
        return self.seq(x)


class Stage(nn.Module):
    """Blocks of one resolution, and the way to the next."""

    def __init__(self, shape: TinyShape, n: int) -> None:
        super().__init__()
        channels = shape.channels[n]
        self.blocks = nn.ModuleList(
            TinyBlock(channels, shape.heads[n], WINDOWS[n]) if n else ConvBlock(channels)
            for _ in range(shape.depths[n])
        )
        self.downsample = (
            Merge(channels, shape.channels[n + 1], SHRINKS[n])
            if n + 1 < len(shape.channels)
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(n, channel, y, x)``."""
        for block in self.blocks:
            x = block(x)
        return x if self.downsample is None else self.downsample(x)


class TinyVitEncoder(nn.Module):
    """From an image to ``out`` channels at a sixteenth of its resolution."""

    def __init__(self, shape: TinyShape | None = None) -> None:
        super().__init__()
        self.shape = shape or TinyShape()
        self.patch_embed = Stem(self.shape.channels[0])
        self.layers = nn.ModuleList(Stage(self.shape, n) for n in range(len(self.shape.channels)))
        self.neck = Neck(self.shape.channels[-1], self.shape.out)

    def forward(self, pixels: Tensor) -> Tensor:
        """Return ``(n, out, y, x)`` of ``(n, 3, side, side)`` normalised pixels."""
        x = pixels.to(self.neck[0].weight.dtype).contiguous(memory_format=torch.channels_last)
        x = self.patch_embed(x)
        for layer in self.layers:
            x = layer(x)
        return self.neck(x)

    def fuse(self) -> TinyVitEncoder:
        """Merge each batch norm into its convolution; only for inference."""
        for module in list(self.modules()):
            for name, child in list(module.named_children()):
                if isinstance(child, ConvNorm):
                    setattr(module, name, child.fused())
        self.to(memory_format=torch.channels_last)
        return self
