"""SAM's plain vision transformer, made for speed; names and weights are Meta's."""

# mypy: disallow-subclassing-any=False

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from geoiseg.models.sam.attention import Attention, masked, relative
from geoiseg.models.sam.layers import Mlp, Neck

PREFIX = "image_encoder."


@dataclass(frozen=True, slots=True)
class VitShape:
    """All that distinguishes one encoder from another; told from its weights."""

    channels: int = 768
    hidden: int = 3072
    heads: int = 12
    depth: int = 12
    globals_at: tuple[int, ...] = (2, 5, 8, 11)
    """Blocks that attend to the whole image; the others attend within windows."""
    window: int = 14
    """Tokens along a side of a window."""
    grid: int = 64
    """Tokens along a side of the image."""
    patch: int = 16
    """Pixels along a side of a token."""
    out: int = 256

    @classmethod
    def of(cls, state: Mapping[str, Tensor]) -> VitShape:
        """Return the shape of the encoder whose weights are in ``state``, by Meta's names.

        Raises:
            KeyError: A tensor is missing.
        """
        first = state[f"{PREFIX}patch_embed.proj.weight"]
        depth = 1 + max(
            int(name.split(".")[2]) for name in state if name.startswith(f"{PREFIX}blocks.")
        )
        grid = int(state[f"{PREFIX}pos_embed"].shape[1])
        spans = [int(state[f"{PREFIX}blocks.{n}.attn.rel_pos_h"].shape[0]) for n in range(depth)]
        whole = 2 * grid - 1
        windows = [(span + 1) // 2 for span in spans if span != whole]
        channels = int(first.shape[0])
        return cls(
            channels=channels,
            hidden=int(state[f"{PREFIX}blocks.0.mlp.lin1.weight"].shape[0]),
            heads=channels // int(state[f"{PREFIX}blocks.0.attn.rel_pos_h"].shape[1]),
            depth=depth,
            globals_at=tuple(n for n, span in enumerate(spans) if span == whole),
            window=windows[0] if windows else 0,
            grid=grid,
            patch=int(first.shape[-1]),
            out=int(state[f"{PREFIX}neck.0.weight"].shape[0]),
        )

    @property
    def side(self) -> int:
        """Pixels along a side of the image."""
        return self.grid * self.patch


class PatchEmbed(nn.Module):
    """From pixels to tokens."""

    def __init__(self, shape: VitShape) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, shape.channels, shape.patch, stride=shape.patch)

    def forward(self, pixels: Tensor) -> Tensor:
        """Return ``(n, y, x, channel)``; a product of matrices, which a strided convolution is."""
        n, bands, rows, columns = pixels.shape
        size = self.proj.kernel_size[0]
        cut = pixels.view(n, bands, rows // size, size, columns // size, size)
        patches = cut.permute(0, 2, 4, 1, 3, 5).flatten(3)
        return functional.linear(patches, self.proj.weight.flatten(1), self.proj.bias)


class VitAttention(nn.Module):
    """Self-attention over the image or over its windows."""

    def __init__(self, channels: int, heads: int, size: int) -> None:
        super().__init__()
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)
        self.rel_pos_h = nn.Parameter(torch.zeros(2 * size - 1, channels // heads))
        self.rel_pos_w = nn.Parameter(torch.zeros(2 * size - 1, channels // heads))
        self.heads = heads
        self.size = size

    def forward(self, x: Tensor, attend: Attention) -> Tensor:
        """Return ``(n, y, x, channel)`` of tokens in the same layout."""
        q, k, v = self._heads(x)
        rows = relative(self.rel_pos_h, self.size).to(q.dtype)
        columns = relative(self.rel_pos_w, self.size).to(q.dtype)
        return self.proj(self._whole(attend(q, k, v, rows, columns), x))

    def _heads(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, keys and values as ``(n * window, head, token, channel)``.

        Where windows stick out of the image, SAM pads them with zeros, whose queries, keys
        and values are the bias: they are written there, not computed.
        """
        n, rows, columns, channels = x.shape
        qkv = self.qkv(x)
        size = self.size
        if (rows, columns) != (size, size):
            high, wide = -(-rows // size), -(-columns // size)
            padded = qkv
            if (high * size, wide * size) != (rows, columns):
                padded = self.qkv.bias.expand(n, high * size, wide * size, -1).contiguous()
                padded[:, :rows, :columns] = qkv
            cut = padded.view(n, high, size, wide, size, 3 * channels)
            qkv = cut.transpose(2, 3)
        split = qkv.reshape(-1, size * size, 3, self.heads, channels // self.heads)
        q, k, v = split.permute(2, 0, 3, 1, 4).contiguous().unbind(0)
        return q, k, v

    def _whole(self, heads: Tensor, like: Tensor) -> Tensor:
        """Return the heads' outputs as ``(n, y, x, channel)``, without what sticks out."""
        n, rows, columns, channels = like.shape
        size = self.size
        if (rows, columns) == (size, size):
            return heads.transpose(1, 2).reshape(n, rows, columns, channels)
        high, wide = -(-rows // size), -(-columns // size)
        cut = heads.unflatten(2, (size, size)).unflatten(0, (n, high, wide))
        laid = cut.permute(0, 1, 4, 2, 5, 3, 6).reshape(n, high * size, wide * size, channels)
        return laid[:, :rows, :columns]


class VitBlock(nn.Module):
    """Attention and two linear layers, each added to what came in."""

    def __init__(self, shape: VitShape, *, whole: bool) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(shape.channels, eps=1e-6)
        size = shape.grid if whole else shape.window
        self.attn = VitAttention(shape.channels, shape.heads, size)
        self.norm2 = nn.LayerNorm(shape.channels, eps=1e-6)
        self.mlp = Mlp(shape.channels, shape.hidden)

    def forward(self, x: Tensor, attend: Attention) -> Tensor:
        """Return ``(n, y, x, channel)``."""
        x = x + self.attn(_normed(self.norm1, x), attend)
        return x + self.mlp(_normed(self.norm2, x))


class VitEncoder(nn.Module):
    """From an image to ``out`` channels at a sixteenth of its resolution.

    Sums are kept in float32 whatever format the weights are in.

    Args:
        shape: Of the encoder.
        attend: How attention is computed; all forms give the same.
    """

    def __init__(self, shape: VitShape, attend: Attention = masked) -> None:
        super().__init__()
        self.shape = shape
        self.attend = attend
        self.patch_embed = PatchEmbed(shape)
        self.pos_embed = nn.Parameter(torch.zeros(1, shape.grid, shape.grid, shape.channels))
        self.blocks = nn.ModuleList(
            VitBlock(shape, whole=n in shape.globals_at) for n in range(shape.depth)
        )
        self.neck = Neck(shape.channels, shape.out)

    def forward(self, pixels: Tensor) -> Tensor:
        """Return ``(n, out, y, x)`` of ``(n, 3, side, side)`` normalised pixels."""
        x = self.patch_embed(pixels.to(self.pos_embed.dtype)).float() + self.pos_embed.float()
        for block in self.blocks:
            x = block(x, self.attend)
        return self.neck(x.to(self.pos_embed.dtype).permute(0, 3, 1, 2))


def _normed(norm: nn.LayerNorm, x: Tensor) -> Tensor:
    """Return a layer norm of float32 sums in the format of the weights."""
    if norm.weight.dtype == x.dtype:
        return norm(x)
    bare = functional.layer_norm(x, norm.normalized_shape, eps=norm.eps)
    return torch.addcmul(norm.bias, bare.to(norm.weight.dtype), norm.weight)
