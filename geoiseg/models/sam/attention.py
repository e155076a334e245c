"""Self-attention with SAM's decomposed relative position, in three equal forms.

SAM adds to the score of a query and a key a term for their rows and a term for their
columns, each the product of the query with a learned vector (Li et al. 2021, "MViTv2").
Written out, the scores of 64 x 64 tokens and 12 heads are 800 MB in float32. Which form
is fastest depends on the processor; :func:`fastest` knows what was measured.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

Attention = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]
"""From ``q, k, v`` as ``(n, head, token, channel)`` and the rows' and columns' vectors as
``(rows, rows, channel)`` and ``(columns, columns, channel)`` to ``(n, head, token, channel)``."""

SCORES_AT_ONCE = 24 << 20
"""Scores whose mask is written out at once: a bound on memory."""
BLOCK = 1 << 20
"""Scores that are computed at once: more than that leaves the caches for the memory."""


def masked(q: Tensor, k: Tensor, v: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Return attention with the position as an additive mask, a few heads at a time."""
    by_row, by_column = _terms(q, rows, columns)
    n, heads, tokens, _ = q.shape
    step = max(1, SCORES_AT_ONCE // (n * tokens * tokens))
    parts = [
        functional.scaled_dot_product_attention(
            q[:, head : head + step],
            k[:, head : head + step],
            v[:, head : head + step],
            attn_mask=_spread(
                by_row[:, head : head + step], by_column[:, head : head + step]
            ).flatten(-2),
        )
        for head in range(0, heads, step)
    ]
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)


def chunked(q: Tensor, k: Tensor, v: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Return attention by matrix products, in blocks whose scores stay in the caches.

    In 16 bits, where products are cheap, the position of small windows is folded into them.
    """
    n, heads, tokens, channels = q.shape
    scaled, values = (q * channels**-0.5).flatten(0, 1), v.flatten(0, 1)
    by_row, by_column = (term.flatten(0, 1) for term in _terms(q, rows, columns))
    fold = q.dtype != torch.float32 and rows.shape[0] + columns.shape[0] < channels
    keys = k.flatten(0, 1)
    if fold:
        places = _places(q, rows.shape[0], columns.shape[0])
        scaled = torch.cat([scaled, by_row, by_column], dim=-1)
        keys = torch.cat([keys, places.expand(len(keys), -1, -1)], dim=-1)
    keys = keys.transpose(1, 2)
    some = max(1, min(n * heads, BLOCK // (tokens * tokens)))
    step = max(1, min(tokens, BLOCK // (some * tokens)))
    out = torch.empty_like(values)
    for head in range(0, n * heads, some):
        for first in range(0, tokens, step):
            part = (slice(head, head + some), slice(first, first + step))
            if fold:
                scores = torch.bmm(scaled[part], keys[part[0]])
            else:
                scores = _spread(by_row[part], by_column[part]).flatten(-2)
                scores.baddbmm_(scaled[part], keys[part[0]])
            out[part] = torch.bmm(torch.softmax(scores, dim=-1), values[part[0]])
    return out.view(n, heads, tokens, channels)


def folded(q: Tensor, k: Tensor, v: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Return attention with the position folded into more channels of queries and keys.

    The values get as many channels, else the flash kernels are not used.
    """
    channels, height, width = q.shape[-1], rows.shape[0], columns.shape[0]
    by_row, by_column = _terms(q, rows, columns)
    places = _places(q, height, width).expand(*q.shape[:2], -1, -1)
    spare = -(channels + height + width) % 8
    wide_q = functional.pad(torch.cat([q * channels**-0.5, by_row, by_column], dim=-1), (0, spare))
    wide_k = functional.pad(torch.cat([k, places], dim=-1), (0, spare))
    wide_v = functional.pad(v, (0, height + width + spare))
    out = functional.scaled_dot_product_attention(wide_q, wide_k, wide_v, scale=1.0)
    return out[..., :channels]


def fastest(device: torch.device, dtype: torch.dtype) -> Attention:
    """Return the form that was measured fastest for a device and a number format.

    On CPUs with AMX, and on GPUs, flash attention beats everything that writes scores out.
    Elsewhere it is slower than products of blocks: by 2 in bfloat16, by a tenth in float32.
    """
    if device.type == "cuda":
        return folded
    return folded if dtype == torch.bfloat16 and has_amx() else chunked


def has_amx() -> bool:
    """Whether the CPU multiplies bfloat16 matrices in tiles."""
    ask = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return bool(ask and ask())


def relative(table: Tensor, size: int) -> Tensor:
    """Return ``(size, size, channel)``: a learned vector for each query's and key's place.

    Args:
        table: ``(2 * size - 1, channel)`` one vector for each distance.
        size: Places along the axis.
    """
    if table.shape[0] != 2 * size - 1:
        table = functional.interpolate(table.float().T[None], size=2 * size - 1, mode="linear")[0].T
    at = torch.arange(size, device=table.device)
    return table[at[:, None] - at[None, :] + size - 1]


def _terms(q: Tensor, rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
    """Return ``(n, head, token, rows)`` and ``(n, head, token, columns)`` to be added."""
    height, width = rows.shape[0], columns.shape[0]
    laid_out = q.unflatten(2, (height, width))
    by_row = torch.einsum("nhyxc,ykc->nhyxk", laid_out, rows)
    by_column = torch.einsum("nhyxc,xkc->nhyxk", laid_out, columns)
    return by_row.flatten(2, 3), by_column.flatten(2, 3)


def _places(like: Tensor, height: int, width: int) -> Tensor:
    """Return ``(token, rows + columns)``: one in the row and in the column of each token."""
    row_of = torch.eye(height, dtype=like.dtype, device=like.device)
    column_of = torch.eye(width, dtype=like.dtype, device=like.device)
    return torch.cat([row_of.repeat_interleave(width, 0), column_of.repeat(height, 1)], dim=1)


def _spread(by_row: Tensor, by_column: Tensor) -> Tensor:
    return by_row[..., :, None] + by_column[..., None, :]
