"""EfficientSAM in torch; names are those of its authors' checkpoints.

Architecture: Xiong et al. 2023, "EfficientSAM: Leveraged Masked Image Pretraining for Efficient
Segment Anything". A plain vision transformer with attention to the whole image, and a decoder much
like SAM's, which takes up to six points or corners and no mask.
"""

# mypy: disallow-subclassing-any=False

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from geoiseg.models.sam.cross_attention import CrossAttention
from geoiseg.models.sam.decoder import PositionalEncoding
from geoiseg.models.sam.layers import Neck

POINTS = 6
"""Points, a box's corners among them, that a prompt is filled up to or cut down to."""
VOID = -1.0
"""Where points lie that only fill up."""
EPS = 1e-6
PREFIX = "image_encoder."


@dataclass(frozen=True, slots=True)
class EfficientSamShape:
    """All that distinguishes one EfficientSAM from another."""

    channels: int = 192
    depth: int = 12
    head: int = 64
    """Channels of a head of attention."""
    learned: int = 14
    """Places along a side of the grid whose encoding was learned; others lie between."""
    side: int = 1024
    patch: int = 16
    out: int = 256
    heads: int = 8
    """Of the decoder."""
    hidden: int = 2048

    @property
    def grid(self) -> int:
        """Tokens along a side of the image."""
        return self.side // self.patch

    @classmethod
    def of(cls, state: Mapping[str, Tensor]) -> EfficientSamShape:
        """Return the shape of the network whose weights are in ``state``.

        Raises:
            KeyError: A tensor is missing.
        """
        first = state[f"{PREFIX}patch_embed.proj.weight"]
        depth = 1 + max(
            int(name.split(".")[2]) for name in state if name.startswith(f"{PREFIX}blocks.")
        )
        places = int(state[f"{PREFIX}pos_embed"].shape[1]) - 1  # one is of a class token
        return cls(
            channels=int(first.shape[0]),
            depth=depth,
            learned=round(places**0.5),
            patch=int(first.shape[2]),
            out=int(state[f"{PREFIX}neck.0.weight"].shape[0]),
            hidden=int(state["mask_decoder.transformer.layers.0.mlp.fc.weight"].shape[1]),
        )


class SelfAttention(nn.Module):
    """Attention of every token to all."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)
        self._heads = heads

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(n, token, channel)``."""
        parts = self.qkv(x).unflatten(-1, (3, self._heads, -1)).permute(2, 0, 3, 1, 4)
        found = functional.scaled_dot_product_attention(parts[0], parts[1], parts[2])
        return self.proj(found.transpose(1, 2).flatten(2))


class Widened(nn.Module):
    """Two linear layers with a nonlinearity between them."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, hidden)
        self.fc2 = nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(..., channel)``."""
        return self.fc2(functional.gelu(self.fc1(x)))


class EncoderBlock(nn.Module):
    """A block of the vision transformer."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels, eps=EPS)
        self.attn = SelfAttention(channels, heads)
        self.norm2 = nn.LayerNorm(channels, eps=EPS)
        self.mlp = Widened(channels, 4 * channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(n, token, channel)``."""
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class PatchEmbed(nn.Module):
    """From pixels to tokens."""

    def __init__(self, channels: int, patch: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, channels, patch, patch)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(n, channel, y, x)``."""
        return self.proj(x)


class EfficientSamEncoder(nn.Module):
    """From an image to ``out`` channels at a sixteenth of its resolution."""

    def __init__(self, shape: EfficientSamShape) -> None:
        super().__init__()
        self.shape = shape
        channels = shape.channels
        self.patch_embed = PatchEmbed(channels, shape.patch)
        self.pos_embed = nn.Parameter(torch.zeros(1, shape.learned**2 + 1, channels))
        self.blocks = nn.ModuleList(
            EncoderBlock(channels, channels // shape.head) for _ in range(shape.depth)
        )
        self.neck = Neck(channels, shape.out)

    def forward(self, pixels: Tensor) -> Tensor:
        """Return ``(n, out, grid, grid)`` of ``(n, 3, side, side)`` normalised pixels."""
        x = self.patch_embed(pixels.to(self.pos_embed.dtype))
        rows, columns = x.shape[-2:]
        x = x.flatten(2).transpose(1, 2) + self.places(rows, columns)
        for block in self.blocks:
            x = block(x)
        return self.neck(x.transpose(1, 2).unflatten(-1, (rows, columns)))

    def places(self, rows: int, columns: int) -> Tensor:
        """Return ``(1, rows * columns, channel)``: what was learned, bicubic in between."""
        learned = self.pos_embed[:, 1:]
        side = self.shape.learned
        if (rows, columns) == (side, side):
            return learned
        square = learned.transpose(1, 2).unflatten(-1, (side, side)).float()
        laid = functional.interpolate(square, (rows, columns), mode="bicubic")
        return laid.flatten(2).transpose(1, 2).to(learned.dtype)


class Layers(nn.Module):
    """Linear layers with a nonlinearity after each but the last."""

    def __init__(self, channels: int, hidden: int, out: int, depth: int) -> None:
        super().__init__()
        widths = [channels, *[hidden] * depth]
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Linear(have, give), nn.GELU())
            for have, give in itertools.pairwise(widths)
        )
        self.fc = nn.Linear(hidden, out)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(..., out)``."""
        for layer in self.layers:
            x = layer(x)
        return self.fc(x)


class DecoderBlock(nn.Module):
    """Tokens look at each other and at the map; then the map looks at the tokens."""

    def __init__(self, shape: EfficientSamShape, *, first: bool) -> None:
        super().__init__()
        channels, heads = shape.out, shape.heads
        self.self_attn = CrossAttention(channels, heads)
        self.norm1 = nn.LayerNorm(channels)
        self.cross_attn_token_to_image = CrossAttention(channels, heads, 2)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = Layers(channels, shape.hidden, channels, 1)
        self.norm3 = nn.LayerNorm(channels)
        self.norm4 = nn.LayerNorm(channels)
        self.cross_attn_image_to_token = CrossAttention(channels, heads, 2)
        self._first = first

    def forward(
        self, tokens: Tensor, image: Tensor, token_places: Tensor, places: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return tokens and map. Unlike SAM's, places stay in what the tokens become."""
        if not self._first:
            tokens = tokens + token_places
        tokens = self.norm1(tokens + self.self_attn(tokens, tokens, tokens))
        seen = self.cross_attn_token_to_image(tokens + token_places, image + places, image)
        tokens = self.norm2(tokens + seen)
        tokens = self.norm3(tokens + self.mlp(tokens))
        told = self.cross_attn_image_to_token(image + places, tokens + token_places, tokens)
        return tokens, self.norm4(image + told)


class Transformer(nn.Module):
    """Two such blocks and a last look of the tokens at the map."""

    def __init__(self, shape: EfficientSamShape) -> None:
        super().__init__()
        self.layers = nn.ModuleList(DecoderBlock(shape, first=n == 0) for n in range(2))
        self.final_attn_token_to_image = CrossAttention(shape.out, shape.heads, 2)
        self.norm_final_attn = nn.LayerNorm(shape.out)

    def forward(self, tokens: Tensor, image: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``(n, token, channel)`` tokens and ``(n, place, channel)`` map."""
        start = tokens
        for layer in self.layers:
            tokens, image = layer(tokens, image, start, places)
        last = self.final_attn_token_to_image(tokens + start, image + places, image)
        return self.norm_final_attn(tokens + last), image


class PointEncoder(nn.Module):
    """From points and corners to tokens. A click off the object is known by its place alone."""

    def __init__(self, shape: EfficientSamShape) -> None:
        super().__init__()
        self._side, self._grid = shape.side, shape.grid
        self.pe_layer = PositionalEncoding(shape.out // 2)
        self.invalid_points = nn.Embedding(1, shape.out)
        self.point_embeddings = nn.Embedding(1, shape.out)
        self.bbox_top_left_embeddings = nn.Embedding(1, shape.out)
        self.bbox_bottom_right_embeddings = nn.Embedding(1, shape.out)

    def positions(self) -> Tensor:
        """Return ``(1, grid * grid, channel)``: where each place of the map is."""
        like = self.invalid_points.weight
        at = (torch.arange(self._grid, device=like.device, dtype=like.dtype) + 0.5) / self._grid
        y, x = torch.meshgrid(at, at, indexing="ij")
        return self.pe_layer(torch.stack([x, y], dim=-1)).flatten(0, 1)[None]

    def forward(self, xy: Tensor, labels: Tensor) -> Tensor:
        """Return ``(n, k, channel)``.

        Args:
            xy: ``(n, k, 2)`` in pixels of the network's image; its pixels' centres are whole.
            labels: ``(n, k)``: 1 on the object, 0 off it, 2 and 3 corners, -1 nothing.
        """
        kinds = torch.cat([
            self.invalid_points.weight,
            torch.zeros_like(self.invalid_points.weight),
            self.point_embeddings.weight,
            self.bbox_top_left_embeddings.weight,
            self.bbox_bottom_right_embeddings.weight,
        ])  # fmt: skip
        return self.pe_layer((xy + 0.5) / self._side) + kinds[labels.long() + 1]


class EfficientSamDecoder(nn.Module):
    """From the image's features and the prompts' tokens to masks and their quality."""

    def __init__(self, shape: EfficientSamShape) -> None:
        super().__init__()
        channels = shape.out
        self.transformer = Transformer(shape)
        self.iou_token = nn.Embedding(1, channels)
        self.mask_tokens = nn.Embedding(4, channels)
        half, fourth = channels // 4, channels // 8
        first, second = (
            nn.ConvTranspose2d(have, give, 2, 2)
            for have, give in ((channels, half), (half, fourth))
        )
        self.final_output_upscaling_layers = nn.ModuleList([
            nn.Sequential(first, nn.GroupNorm(1, half), nn.GELU()),
            nn.Sequential(second, nn.Identity(), nn.GELU()),
        ])  # fmt: skip
        self.output_hypernetworks_mlps = nn.ModuleList(
            Layers(channels, channels, fourth, 2) for _ in range(4)
        )
        self.iou_prediction_head = Layers(channels, channels, 4, 2)

    def forward(self, image: Tensor, places: Tensor, prompts: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``(n, 4, 4 * grid, 4 * grid)`` logits and ``(n, 4)`` expected IoU.

        Args:
            image: ``(1, channel, grid, grid)``.
            places: ``(1, grid * grid, channel)``.
            prompts: ``(n, k, channel)``.
        """
        n, grid = len(prompts), image.shape[-2:]
        own = torch.cat([self.iou_token.weight, self.mask_tokens.weight])
        tokens = torch.cat([own.expand(n, -1, -1), prompts], dim=1)
        flat = image.flatten(2).transpose(1, 2).expand(n, -1, -1)
        tokens, flat = self.transformer(tokens, flat, places)
        large = flat.transpose(1, 2).unflatten(-1, grid)
        for layer in self.final_output_upscaling_layers:
            large = layer(large)
        heads = self.output_hypernetworks_mlps
        weights = torch.stack([head(tokens[:, 1 + m]) for m, head in enumerate(heads)], dim=1)
        masks = (weights @ large.flatten(2)).unflatten(-1, large.shape[-2:])
        return masks, self.iou_prediction_head(tokens[:, 0])


class EfficientSam(nn.Module):
    """The whole network."""

    def __init__(self, shape: EfficientSamShape) -> None:
        super().__init__()
        self.shape = shape
        self.image_encoder = EfficientSamEncoder(shape)
        self.prompt_encoder = PointEncoder(shape)
        self.mask_decoder = EfficientSamDecoder(shape)

    def decode(self, features: Tensor, xy: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``(n, 4, 4 * grid, 4 * grid)`` logits and ``(n, 4)`` expected IoU.

        Args:
            features: ``(1, out, grid, grid)`` of one image.
            xy: ``(n, k, 2)``; filled up to :data:`POINTS`, or the corners and the last ones.
            labels: ``(n, k)``, the same kinds in all rows; -1 for nothing.
        """
        xy, labels = filled_up(xy, labels)
        prompts = self.prompt_encoder(xy, labels)
        masks, quality = self.mask_decoder(features, self.prompt_encoder.positions(), prompts)
        return masks, quality


def filled_up(xy: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return ``(n, POINTS, 2)`` points and their labels: what the network was trained with.

    Of more points the corners of a box, the first and the last ones stay.

    Args:
        xy: ``(n, k, 2)``.
        labels: ``(n, k)``; what is -1 in the first row says nothing.
    """
    said = torch.nonzero(labels[0] >= 0).flatten().tolist()
    corners = [n for n in said if int(labels[0, n]) > 1]
    clicks = [n for n in said if n not in corners]
    room = POINTS - len(corners)
    if len(clicks) > room:
        clicks = [clicks[0], *clicks[1 - room :]]
    kept = [*clicks, *corners]
    missing = POINTS - len(kept)
    xy = functional.pad(xy[:, kept], (0, 0, 0, missing), value=VOID)
    return xy, functional.pad(labels[:, kept], (0, missing), value=-1)
