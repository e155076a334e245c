"""SAM's prompt encoder and mask decoder, made for speed; names and weights are Meta's.

What does not depend on the prompts is computed once for all of them, and the masks are
made by products of matrices with the channels last.
"""

# mypy: disallow-subclassing-any=False

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from geoiseg.models.sam.cross_attention import CrossAttention
from geoiseg.models.sam.layers import LayerNorm2d, Mlp

PADDING, NEGATIVE, POSITIVE, CORNER, OTHER_CORNER = -1, 0, 1, 2, 3
"""Labels of points: none, a click off or on the object, a box's first and second corner."""


class PositionalEncoding(nn.Module):
    """Random Fourier features of positions in 0..1."""

    positional_encoding_gaussian_matrix: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("positional_encoding_gaussian_matrix", torch.randn(2, features))

    def forward(self, xy: Tensor) -> Tensor:
        """Return ``(..., 2 * features)`` of ``(..., 2)`` positions."""
        angle = 2 * math.pi * ((2 * xy - 1) @ self.positional_encoding_gaussian_matrix)
        return torch.cat([angle.sin(), angle.cos()], dim=-1)


class PromptEncoder(nn.Module):
    """From points, boxes and masks to tokens and a map.

    Args:
        channels: Of tokens and map.
        grid: Pixels along a side of the map.
        side: Pixels along a side of the network's image.
        hidden: Channels within the mask's encoder.
    """

    def __init__(self, channels: int = 256, grid: int = 64, side: int = 1024, hidden: int = 16):
        super().__init__()
        self.grid, self.side = grid, side
        self.pe_layer = PositionalEncoding(channels // 2)
        self.point_embeddings = nn.ModuleList(nn.Embedding(1, channels) for _ in range(4))
        self.not_a_point_embed = nn.Embedding(1, channels)
        self.mask_downscaling = nn.Sequential(
            nn.Conv2d(1, hidden // 4, 2, stride=2),
            LayerNorm2d(hidden // 4),
            nn.GELU(),
            nn.Conv2d(hidden // 4, hidden, 2, stride=2),
            LayerNorm2d(hidden),
            nn.GELU(),
            nn.Conv2d(hidden, channels, 1),
        )
        self.no_mask_embed = nn.Embedding(1, channels)

    def positions(self) -> Tensor:
        """Return ``(1, grid * grid, channel)``: where each place of the map is."""
        at = (torch.arange(self.grid, device=self.no_mask_embed.weight.device) + 0.5) / self.grid
        y, x = torch.meshgrid(at, at, indexing="ij")
        return self.pe_layer(torch.stack([x, y], dim=-1)).flatten(0, 1)[None]

    def points(self, xy: Tensor, labels: Tensor) -> Tensor:
        """Return ``(n, k, channel)`` tokens.

        Args:
            xy: ``(n, k, 2)`` in pixels of the network's image; its pixels' centres are whole.
            labels: ``(n, k)`` of :data:`PADDING` to :data:`OTHER_CORNER`.
        """
        place = self.pe_layer((xy + 0.5) / self.side)
        kinds = torch.cat(
            [self.not_a_point_embed.weight, *(kind.weight for kind in self.point_embeddings)]
        )
        known = (labels != PADDING)[..., None]
        return torch.where(known, place, 0.0) + kinds[labels.long() + 1]

    def masks(self, low: Tensor | None) -> Tensor:
        """Return ``(n or 1, grid * grid or 1, channel)`` to be added to the image's features.

        Args:
            low: ``(n, 1, 4 * grid, 4 * grid)`` logits; None says that there is no mask.
        """
        if low is None:
            return self.no_mask_embed.weight[None]
        return self.mask_downscaling(low).flatten(2).transpose(1, 2)


class TwoWayBlock(nn.Module):
    """Tokens look at each other and at the map; then the map looks at the tokens."""

    def __init__(self, channels: int, heads: int, hidden: int, *, first: bool) -> None:
        super().__init__()
        self.self_attn = CrossAttention(channels, heads)
        self.norm1 = nn.LayerNorm(channels)
        self.cross_attn_token_to_image = CrossAttention(channels, heads, 2)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = Mlp(channels, hidden, relu=True)
        self.norm3 = nn.LayerNorm(channels)
        self.norm4 = nn.LayerNorm(channels)
        self.cross_attn_image_to_token = CrossAttention(channels, heads, 2)
        self._first = first

    def forward(
        self, tokens: Tensor, image: Tensor, token_places: Tensor, places: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return tokens and map; a map of one becomes one for each prompt."""
        if self._first:
            tokens = self.self_attn(tokens, tokens, tokens)
        else:
            placed = tokens + token_places
            tokens = tokens + self.self_attn(placed, placed, tokens)
        tokens = self.norm1(tokens)
        placed_image = image + places
        tokens = tokens + self.cross_attn_token_to_image.of_map(
            tokens + token_places, placed_image, image
        )
        tokens = self.norm2(tokens)
        tokens = self.norm3(tokens + self.mlp(tokens))
        image = image + self.cross_attn_image_to_token.by_map(
            placed_image, tokens + token_places, tokens
        )
        return tokens, self.norm4(image)


class TwoWayTransformer(nn.Module):
    """Two such blocks and a last look of the tokens at the map."""

    def __init__(self, channels: int, heads: int, hidden: int, depth: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            TwoWayBlock(channels, heads, hidden, first=n == 0) for n in range(depth)
        )
        self.final_attn_token_to_image = CrossAttention(channels, heads, 2)
        self.norm_final_attn = nn.LayerNorm(channels)

    def forward(self, tokens: Tensor, image: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``(n, token, channel)`` tokens and ``(n, place, channel)`` map."""
        token_places = tokens
        for layer in self.layers:
            tokens, image = layer(tokens, image, token_places, places)
        last = self.final_attn_token_to_image.of_map(tokens + token_places, image + places, image)
        return self.norm_final_attn(tokens + last), image


class Head(nn.Module):
    """A few linear layers with ReLU between them."""

    def __init__(self, channels: int, hidden: int, out: int, depth: int) -> None:
        super().__init__()
        widths = [channels, *[hidden] * (depth - 1), out]
        self.layers = nn.ModuleList(
            nn.Linear(have, give) for have, give in itertools.pairwise(widths)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(n, out)``."""
        for layer in self.layers[:-1]:
            x = functional.relu(layer(x))
        return self.layers[-1](x)


class MaskDecoder(nn.Module):
    """From the image's features and the prompts' tokens to masks and their quality."""

    def __init__(self, channels: int = 256, heads: int = 8, hidden: int = 2048, depth: int = 2):
        super().__init__()
        self.transformer = TwoWayTransformer(channels, heads, hidden, depth)
        self.iou_token = nn.Embedding(1, channels)
        self.mask_tokens = nn.Embedding(4, channels)
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose2d(channels, channels // 4, 2, stride=2),
            LayerNorm2d(channels // 4),
            nn.GELU(),
            nn.ConvTranspose2d(channels // 4, channels // 8, 2, stride=2),
            nn.GELU(),
        )
        self.output_hypernetworks_mlps = nn.ModuleList(
            Head(channels, channels, channels // 8, 3) for _ in range(4)
        )
        self.iou_prediction_head = Head(channels, 256, 4, 3)

    def forward(
        self, image: Tensor, places: Tensor, tokens: Tensor, which: tuple[int, ...]
    ) -> tuple[Tensor, Tensor]:
        """Return ``(n, mask, 4 * grid, 4 * grid)`` logits and ``(n, mask)`` expected IoU.

        Args:
            image: ``(n or 1, place, channel)`` features with the mask prompts added.
            places: ``(1, place, channel)``.
            tokens: ``(n, k, channel)`` of the prompts.
            which: Masks to make: 0 is the one for clear prompts, 1 to 3 those for vague ones.
        """
        own = torch.cat([self.iou_token.weight, self.mask_tokens.weight])
        tokens = torch.cat([own.expand(len(tokens), -1, -1), tokens], dim=1)
        tokens, image = self.transformer(tokens, image, places)
        weights = torch.stack(
            [self.output_hypernetworks_mlps[n](tokens[:, 1 + n]) for n in which], dim=1
        )
        quality = self.iou_prediction_head(tokens[:, 0])[:, list(which)]
        return self._masks(image, weights), quality

    def _masks(self, image: Tensor, weights: Tensor) -> Tensor:
        """Return ``(n, mask, 4 * grid, 4 * grid)``: the map, enlarged, times each mask's weights.

        A transposed convolution of stride 2 gives each place its own 2 x 2 pixels: a linear
        layer with the pixels among its channels. Only the few masks are put in order.
        """
        first, norm, _, second, _ = self.output_upscaling
        grid = math.isqrt(image.shape[1])
        x = functional.gelu(norm.channels_last(_doubled(first, image)))
        x = functional.gelu(_doubled(second, x))
        flat = x.flatten(1, -2) @ weights.transpose(1, 2)
        laid = flat.view(len(image), grid, grid, 2, 2, 2, 2, -1)
        side = 4 * grid
        return laid.permute(0, 7, 1, 3, 5, 2, 4, 6).reshape(len(image), -1, side, side)


def _doubled(layer: nn.ConvTranspose2d, x: Tensor) -> Tensor:
    """Return ``(..., 2, 2, out)`` of ``(..., channel)``."""
    weight = layer.weight.permute(2, 3, 1, 0).flatten(0, 2)
    bias = None if layer.bias is None else layer.bias.repeat(4)
    return functional.linear(x, weight, bias).unflatten(-1, (2, 2, -1))
