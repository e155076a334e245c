"""Attention between a few tokens and a large map, where it pays without projecting the map.

A token's query times a projected key is the token's query, projected back, times the map
itself; likewise for the other products. With ``t`` tokens the map is multiplied by
``heads * t`` columns instead of by as many as the attention has channels: for a click's
seven tokens less than half. The results are the same but for rounding.
"""

# mypy: disallow-subclassing-any=False

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class CrossAttention(nn.Module):
    """Attention between tokens and map, in fewer channels."""

    def __init__(self, channels: int, heads: int, shrink: int = 1) -> None:
        super().__init__()
        inner = channels // shrink
        self.q_proj = nn.Linear(channels, inner)
        self.k_proj = nn.Linear(channels, inner)
        self.v_proj = nn.Linear(channels, inner)
        self.out_proj = nn.Linear(inner, channels)
        self.heads = heads

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Return ``(n, token, channel)``; keys and values may be one for all queries."""
        query, key, value = (
            projected.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for projected in (self.q_proj(q), self.k_proj(k), self.v_proj(v))
        )
        n = max(len(query), len(key))
        query, key, value = (part.expand(n, -1, -1, -1) for part in (query, key, value))
        out = functional.scaled_dot_product_attention(query, key, value)
        return self.out_proj(out.transpose(1, 2).flatten(2))

    def of_map(self, tokens: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Return ``(n, token, channel)``: what tokens see in a map, by the shorter way."""
        if self._shorter(tokens, keys):
            return tokens_to_map(self, tokens, keys, values)
        return self(tokens, keys, values)

    def by_map(self, places: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Return ``(n, place, channel)``: what a map sees in tokens, by the shorter way."""
        if self._shorter(keys, places):
            return map_to_tokens(self, places, keys, values)
        return self(places, keys, values)

    def _shorter(self, tokens: Tensor, image: Tensor) -> bool:
        """Return whether the map had better not be projected: one for all prompts had."""
        few = tokens.shape[1] * self.heads < self.k_proj.out_features
        return few and len(image) == len(tokens)


def tokens_to_map(
    attention: CrossAttention, tokens: Tensor, keys: Tensor, values: Tensor
) -> Tensor:
    """Return ``(n, token, channel)``: what the tokens see in the map.

    Args:
        attention: Its weights.
        tokens: ``(n, token, channel)`` that ask.
        keys: ``(n or 1, place, channel)`` the map as it is compared.
        values: ``(n or 1, place, channel)`` the map as it is fetched.
    """
    heads = attention.heads
    query = attention.q_proj(tokens).unflatten(-1, (heads, -1)).transpose(1, 2)
    # The bias of the keys adds the same to all scores of a query: softmax does not see it.
    asked = query @ attention.k_proj.weight.unflatten(0, (heads, -1))
    scores = asked.flatten(1, 2) @ keys.transpose(1, 2) * query.shape[-1] ** -0.5
    seen = (scores.softmax(-1) @ values).unflatten(1, (heads, -1))
    weight = attention.v_proj.weight.unflatten(0, (heads, -1)).transpose(1, 2)
    fetched = (seen @ weight).transpose(1, 2).flatten(2) + attention.v_proj.bias
    out: Tensor = attention.out_proj(fetched)
    return out


def map_to_tokens(
    attention: CrossAttention, places: Tensor, keys: Tensor, values: Tensor
) -> Tensor:
    """Return ``(n, place, channel)``: what the places of the map see in the tokens.

    Args:
        attention: Its weights.
        places: ``(n or 1, place, channel)`` the map as it asks.
        keys: ``(n, token, channel)`` the tokens as they are compared.
        values: ``(n, token, channel)`` the tokens as they are fetched.
    """
    heads = attention.heads
    key = attention.k_proj(keys).unflatten(-1, (heads, -1)).transpose(1, 2)
    value = attention.v_proj(values).unflatten(-1, (heads, -1)).transpose(1, 2)
    asked = (key @ attention.q_proj.weight.unflatten(0, (heads, -1))).flatten(1, 2)
    bias = key @ attention.q_proj.bias.unflatten(0, (heads, -1)).unsqueeze(-1)
    scores = asked @ places.transpose(1, 2) + bias.flatten(1).unsqueeze(-1)
    # Places last: a softmax over a handful of neighbours in memory is slow.
    share = (scores * key.shape[-1] ** -0.5).unflatten(1, (heads, -1)).softmax(2).flatten(1, 2)
    weight = attention.out_proj.weight.unflatten(1, (heads, -1)).permute(1, 2, 0)
    return share.transpose(1, 2) @ (value @ weight).flatten(1, 2) + attention.out_proj.bias
