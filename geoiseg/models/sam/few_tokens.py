"""Attention between a few tokens and a large map, without projecting the map.

A token's query times a projected key is the token's query, projected back, times the map
itself; likewise for the other products. With ``t`` tokens the map is multiplied by
``heads * t`` columns instead of by as many as the attention has channels: for a click's
seven tokens less than half. The results are the same but for rounding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    from geoiseg.models.sam.decoder import CrossAttention


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
