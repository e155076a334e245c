"""Layers in NumPy and double precision, from their definitions: what networks are held against.

Maps are ``(y, x, channel)``; ``state`` has the tensors of a network by name.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

Numbers = NDArray[np.float64]
State = Mapping[str, Numbers]


def state_of(network: Any) -> State:
    """Return the tensors of a network that was made double."""
    return {name: tensor.numpy() for name, tensor in network.state_dict().items()}


def gelu(x: Numbers) -> Numbers:
    return x / 2 * (1 + erf(x / math.sqrt(2)))


def relu(x: Numbers) -> Numbers:
    return np.maximum(x, 0)


def sigmoid(x: Numbers) -> Numbers:
    return 1 / (1 + np.exp(-x))


def linear(state: State, name: str, x: Numbers) -> Numbers:
    return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]


def normed(state: State, name: str, x: Numbers, eps: float = 1e-5, axis: Any = -1) -> Numbers:
    """Return ``x`` less its mean over ``axis``, by its spread there: layer and group norm."""
    centred = x - x.mean(axis=axis, keepdims=True)
    spread = np.sqrt((centred**2).mean(axis=axis, keepdims=True) + eps)
    return centred / spread * state[f"{name}.weight"] + state[f"{name}.bias"]


def one_group(state: State, name: str, x: Numbers) -> Numbers:
    """Return the group norm of one group: one mean and spread for all."""
    return normed(state, name, x, axis=(0, 1, 2))


def batch_normed(state: State, name: str, x: Numbers, eps: float = 1e-5) -> Numbers:
    spread = np.sqrt(state[f"{name}.running_var"] + eps)
    centred = x - state[f"{name}.running_mean"]
    return centred / spread * state[f"{name}.weight"] + state[f"{name}.bias"]


def convolved(state: State, name: str, x: Numbers, stride: int = 1, hole: int = 1) -> Numbers:
    """Return a convolution, padded by half its kernel (an even one by nothing).

    A kernel of one channel in is of each channel alone.
    """
    kernel, bias = state[f"{name}.weight"], state.get(f"{name}.bias", np.zeros(1))
    side = kernel.shape[2]
    edge = side // 2 * hole if side % 2 else 0
    x = np.pad(x, ((edge, edge), (edge, edge), (0, 0)))
    reach = (side - 1) * hole
    rows, columns = ((length - reach - 1) // stride + 1 for length in x.shape[:2])
    out = np.zeros((rows, columns, len(kernel)))
    for i, j in np.ndindex(side, side):
        part = x[i * hole :, j * hole :][: rows * stride : stride, : columns * stride : stride]
        each = kernel.shape[1] == 1 and x.shape[2] == len(kernel) > 1
        out += part * kernel[:, 0, i, j] if each else part @ kernel[:, :, i, j].T
    return out + bias


def doubled(state: State, name: str, x: Numbers) -> Numbers:
    """Return the transposed convolution of 2x2: each place becomes four."""
    four = np.einsum("yxc,cdij->yixjd", x, state[f"{name}.weight"])
    return four.reshape(2 * len(x), 2 * x.shape[1], -1) + state[f"{name}.bias"]


def resized(x: Numbers, shape: tuple[int, int], *, corners: bool) -> Numbers:
    """Return a map at another size, bilinear; corners on corners or edges on edges."""
    rows, columns = (_taps(*sizes, corners) for sizes in zip(x.shape[:2], shape, strict=True))
    return np.einsum("ya,xb,abc->yxc", rows, columns, x)


def _taps(have: int, want: int, corners: bool) -> Numbers:
    at = np.arange(want) * (have - 1) / max(want - 1, 1)
    if not corners:
        at = np.clip((np.arange(want) + 0.5) * have / want - 0.5, 0, have - 1)
    return np.maximum(1 - np.abs(at[:, None] - np.arange(have)), 0)
