"""SAM's networks in the form in which CPU engines run them fastest, for tracing to ONNX.

Same arithmetic as the reference, in another order: a window's padding never passes
through a linear layer, global attention goes head by head (the scores of one head fit a
cache, those of all fill 0.8 GB), what prompts share is computed once, and the upscaling
keeps its channels last, so that nothing is moved but the finished masks.
"""

# mypy: disallow-subclassing-any=False

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own habit
from torch import Tensor, nn

from geoiseg.models.sam.attention import relative
from geoiseg.models.sam.cross_attention import CrossAttention, map_to_tokens, tokens_to_map
from geoiseg.models.sam.decoder import TwoWayBlock
from geoiseg.models.sam.network import Sam
from geoiseg.models.sam.tiny_vit import TinyVitEncoder
from geoiseg.models.sam.vit import VitAttention, VitBlock, VitEncoder


class EncoderGraph(nn.Module):
    """``(1, 3, side, side)`` pixel values to ``(1, c, side / 16, side / 16)`` features.

    Args:
        encoder: Of which kind ever; a plain vision transformer is rearranged.
    """

    def __init__(self, encoder: VitEncoder | TinyVitEncoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.blocks = nn.ModuleList()
        if isinstance(encoder, VitEncoder):
            grid = encoder.shape.grid
            self.blocks.extend(_Block(block, grid) for block in encoder.blocks)

    def forward(self, pixels: Tensor) -> Tensor:
        """Return the features."""
        encoder = self.encoder
        features: Tensor
        if not isinstance(encoder, VitEncoder):
            features = encoder(pixels)
            return features
        x = encoder.patch_embed.proj(pixels).permute(0, 2, 3, 1) + encoder.pos_embed
        for block in self.blocks:
            x = block(x)
        features = encoder.neck(x.permute(0, 3, 1, 2))
        return features


class _Block(nn.Module):
    def __init__(self, block: VitBlock, grid: int) -> None:
        super().__init__()
        self.block = block
        self.attention = _Attention(block.attn, grid)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.block.norm1(x))
        added: Tensor = x + self.block.mlp(self.block.norm2(x))
        return added


class _Attention(nn.Module):
    """Attention within windows, or over the whole grid where the window is that large."""

    rows: Tensor
    columns: Tensor

    def __init__(self, attention: VitAttention, grid: int) -> None:
        super().__init__()
        self.qkv, self.proj = attention.qkv, attention.proj
        self.heads, self.window, self.grid = attention.heads, attention.size, grid
        self.count = -(-grid // self.window)
        for name, table in (("rows", attention.rel_pos_h), ("columns", attention.rel_pos_w)):
            vectors = relative(table.detach(), self.window)
            self.register_buffer(name, vectors.transpose(1, 2).contiguous())

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self._windows(x)
        laid = q.reshape(-1, self.heads, self.window, self.window, q.shape[-1])
        rows = laid @ self.rows
        columns = (laid.transpose(2, 3) @ self.columns).transpose(2, 3)
        if self.count > 1:
            return self._whole(self._attend(q, k, v, rows, columns))
        parts = (q, k, v, rows, columns)
        each = [self._attend(*(part[:, h : h + 1] for part in parts)) for h in range(self.heads)]
        return self._whole(torch.cat(each, 1))

    def _windows(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, keys and values as ``(windows, heads, tokens, channels)``."""
        m, w = self.count, self.window
        missing = m * w - self.grid
        if missing:
            # What is padded with zeros before a linear layer is its bias after it.
            x = F.linear(x, self.qkv.weight)
            x = F.pad(x, (0, 0, 0, missing, 0, missing)) + self.qkv.bias
        else:
            x = self.qkv(x)
        x = x.reshape(m, w, m, w, 3, self.heads, -1).permute(4, 0, 2, 5, 1, 3, 6)
        x = x.reshape(3, m * m, self.heads, w * w, -1)
        return x[0], x[1], x[2]

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        w = self.window
        scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
        biased = scores.reshape(-1, q.shape[1], w, w, w, w) + rows.unsqueeze(-1)
        biased = biased + columns.unsqueeze(-2)
        return biased.reshape(-1, q.shape[1], w * w, w * w).softmax(-1) @ v

    def _whole(self, x: Tensor) -> Tensor:
        m, w = self.count, self.window
        x = x.reshape(m, m, self.heads, w, w, -1).permute(0, 3, 1, 4, 2, 5)
        x = x.reshape(1, m * w, m * w, self.proj.in_features)
        projected: Tensor = self.proj(x[:, : self.grid, : self.grid])
        return projected


class DecoderGraph(nn.Module):
    """Prompts on features to masks; any number of prompts, any number of points in each.

    Args:
        sam: The whole network.
    """

    kinds: Tensor
    own: Tensor
    places: Tensor

    def __init__(self, sam: Sam) -> None:
        super().__init__()
        self.prompts, decoder = sam.prompt_encoder, sam.mask_decoder
        self.decoder = decoder
        kinds = [self.prompts.not_a_point_embed, *self.prompts.point_embeddings]
        own = [decoder.iou_token, decoder.mask_tokens]
        for name, tables in (("kinds", kinds), ("own", own)):
            self.register_buffer(name, torch.cat([table.weight.detach() for table in tables]))
        places = self.prompts.positions()
        transformer = decoder.transformer
        self.register_buffer("places", places.detach())
        self.layers = nn.ModuleList(
            _TwoWay(layer, first=number == 0) for number, layer in enumerate(transformer.layers)
        )
        self.last = transformer.final_attn_token_to_image
        self.upscale = _Upscale(decoder.output_upscaling, self.prompts.grid)

    def forward(
        self,
        features: Tensor,
        points: Tensor,
        labels: Tensor,
        mask_input: Tensor,
        has_mask: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Return ``(n, t, v, u)`` logits and ``(n, t)`` scores, the single mask's first.

        Args:
            features: ``(1, c, y, x)``.
            points: ``(n, k, 2)`` as ``x, y``, counted from pixel centres.
            labels: ``(n, k)`` int32: -1 nothing, 0 off, 1 on the object, 2 and 3 the corners
                of a box.
            mask_input: ``(m, 1, v, u)`` logits; m is n, or 1 for all.
            has_mask: ``(1,)`` 1 where the masks count, else 0.
        """
        place = self.prompts.pe_layer((points + 0.5) / self.prompts.side)
        known = (labels >= 0).to(place.dtype).unsqueeze(-1)
        said = place * known + self.kinds[(labels + 1).long()]
        own = self.own.unsqueeze(0).expand(points.shape[0], -1, -1)
        start = torch.cat([own, said], 1)
        dense = self.prompts.mask_downscaling(mask_input) * has_mask
        dense = dense + self.prompts.no_mask_embed.weight.reshape(1, -1, 1, 1) * (1 - has_mask)
        image = (features + dense).flatten(2).transpose(1, 2)
        tokens = start
        for layer in self.layers:
            tokens, image = layer(tokens, image, start, self.places)
        tokens = tokens + tokens_to_map(self.last, tokens + start, image + self.places, image)
        tokens = self.decoder.transformer.norm_final_attn(tokens)
        heads = self.decoder.output_hypernetworks_mlps
        weights = torch.stack([head(tokens[:, 1 + n]) for n, head in enumerate(heads)], 1)
        return self.upscale(image, weights), self.decoder.iou_prediction_head(tokens[:, 0])


class _TwoWay(nn.Module):
    def __init__(self, layer: TwoWayBlock, *, first: bool) -> None:
        super().__init__()
        self.layer, self.first = layer, first

    def forward(
        self, tokens: Tensor, image: Tensor, start: Tensor, places: Tensor
    ) -> tuple[Tensor, Tensor]:
        layer = self.layer
        asked = tokens if self.first else tokens + start
        seen = _attend(layer.self_attn, asked, asked, tokens)
        tokens = layer.norm1(seen if self.first else tokens + seen)
        placed = image + places
        looked = tokens_to_map(layer.cross_attn_token_to_image, tokens + start, placed, image)
        tokens = layer.norm2(tokens + looked)
        tokens = layer.norm3(tokens + layer.mlp(tokens))
        told = map_to_tokens(layer.cross_attn_image_to_token, placed, tokens + start, tokens)
        return tokens, layer.norm4(image + told)


def _attend(attention: CrossAttention, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Return ``(n, query, channel)``: plain attention in operations that every engine has."""
    query, key, value = (
        x.reshape(x.shape[0], -1, attention.heads, x.shape[2] // attention.heads).transpose(1, 2)
        for x in (attention.q_proj(q), attention.k_proj(k), attention.v_proj(v))
    )
    scores = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5
    out = (scores.softmax(-1) @ value).transpose(1, 2).flatten(2)
    projected: Tensor = attention.out_proj(out)
    return projected


class _Upscale(nn.Module):
    """Two transposed convolutions of stride 2 as linear layers on each pixel."""

    def __init__(self, layers: nn.Sequential, grid: int) -> None:
        super().__init__()
        self.first, self.norm, _, self.second, _ = layers
        self.grid = grid

    def forward(self, image: Tensor, hyper: Tensor) -> Tensor:
        """Return ``(n, t, 4 * y, 4 * x)`` from ``(n, y * x, c)`` and ``(n, t, c / 8)``."""
        x = self._doubled(self.first, image)
        x = x.reshape(-1, self.grid**2 * 4, self.first.out_channels)
        x = self._doubled(self.second, F.gelu(self.norm.channels_last(x)))
        x = F.gelu(x).reshape(-1, self.grid**2 * 16, self.second.out_channels)
        masks = hyper @ x.transpose(1, 2)
        masks = masks.reshape(-1, hyper.shape[1], self.grid, self.grid, 2, 2, 2, 2)
        masks = masks.permute(0, 1, 2, 4, 6, 3, 5, 7)
        return masks.reshape(-1, hyper.shape[1], self.grid * 4, self.grid * 4)

    def _doubled(self, layer: nn.ConvTranspose2d, x: Tensor) -> Tensor:
        weight = layer.weight.permute(2, 3, 1, 0).flatten(0, 2)
        bias = None if layer.bias is None else layer.bias.repeat(4)
        return F.linear(x, weight, bias)
