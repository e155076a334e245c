"""A small network per place, fitted with NumPy alone to labels that may leave a choice."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoiseg.models.tiny.words import FAR, FloatArray, Layers, softmax

WARM_UP = 100
"""Steps in which the rate rises."""
FIRST, SECOND = 0.9, 0.999
"""Decay of Adam's moments (Kingma and Ba, 2015)."""


@dataclass(frozen=True, slots=True)
class FitOptions:
    """How the network is fitted."""

    hidden: tuple[int, ...] = (160, 48)
    epochs: int = 7
    batch: int = 1024
    rate: float = 2e-3
    decay: float = 1e-4
    dropout: float = 0.2
    seed: int = 0


class Adam:
    """Adam over a list of arrays, changed in place."""

    def __init__(self, arrays: list[FloatArray]) -> None:
        self._arrays = arrays
        self._first = [np.zeros_like(array) for array in arrays]
        self._second = [np.zeros_like(array) for array in arrays]
        self._steps = 0

    def step(self, gradients: list[FloatArray], rate: float) -> None:
        """Go down the gradients."""
        self._steps += 1
        one, two = 1 - FIRST**self._steps, 1 - SECOND**self._steps
        for number, gradient in enumerate(gradients):
            first, second = self._first[number], self._second[number]
            first += (1 - FIRST) * (gradient - first)
            second += (1 - SECOND) * (gradient**2 - second)
            self._arrays[number] -= rate * (first / one) / (np.sqrt(second / two) + 1e-8)


def fit(
    features: NDArray[Any], allowed: FloatArray, weights: FloatArray, options: FitOptions
) -> Layers:
    """Return the network fitted to places of which sets of classes are known.

    The loss of a place is the negative logarithm of the probability that its class is one
    of those allowed.

    Args:
        features: ``(n, f)``, any real dtype.
        allowed: ``(n, classes)`` 1 where the class is possible.
        weights: ``(n,)`` how much each place counts.
        options: How.
    """
    rng = np.random.default_rng(options.seed)
    mean = features.mean(axis=0, dtype=np.float64).astype(np.float32)
    scale = (features.std(axis=0, dtype=np.float64) + 1e-3).astype(np.float32)
    sizes = [features.shape[1], *options.hidden, allowed.shape[1]]
    arrays: list[FloatArray] = []
    for inputs, outputs in pairwise(sizes):
        spread = np.sqrt(2 / inputs)
        arrays += [rng.normal(0, spread, (inputs, outputs)).astype(np.float32),
                   np.zeros(outputs, np.float32)]  # fmt: skip
    adam, per_epoch = Adam(arrays), max(1, len(features) // options.batch)
    total = options.epochs * per_epoch
    for epoch in range(options.epochs):
        order = rng.permutation(len(features))
        for number in range(per_epoch):
            chosen = order[number * options.batch : (number + 1) * options.batch]
            x = (features[chosen].astype(np.float32) - mean) / scale
            np.clip(x, -FAR, FAR, out=x)
            gradients = _gradients(arrays, (x, allowed[chosen], weights[chosen]), rng, options)
            step = epoch * per_epoch + number + 1
            cosine = 0.5 * (1 + np.cos(np.pi * step / total))
            adam.step(gradients, options.rate * min(1, step / WARM_UP) * cosine)
    return Layers(mean, scale, tuple(arrays[0::2]), tuple(arrays[1::2]))


def _gradients(
    arrays: list[FloatArray],
    batch: tuple[FloatArray, FloatArray, FloatArray],
    rng: np.random.Generator,
    options: FitOptions,
) -> list[FloatArray]:
    """Return the loss's gradient of each array on one batch."""
    x, allowed, weights = batch
    layers = len(arrays) // 2
    inputs, kept = [x], []
    for layer in range(layers - 1):
        hidden = np.maximum(inputs[-1] @ arrays[2 * layer] + arrays[2 * layer + 1], 0)
        chance = rng.random(hidden.shape, dtype=np.float32) >= options.dropout
        kept.append((chance / np.float32(1 - options.dropout)).astype(np.float32))
        inputs.append(hidden * kept[-1])
    said = softmax(inputs[-1] @ arrays[-2] + arrays[-1])
    wanted = said * allowed
    wanted /= wanted.sum(axis=1, keepdims=True) + 1e-9
    error = (said - wanted) * weights[:, None] / np.float32(len(x))
    gradients: list[FloatArray] = [np.zeros(0, np.float32)] * len(arrays)
    for layer in range(layers - 1, -1, -1):
        gradients[2 * layer] = inputs[layer].T @ error + options.decay * arrays[2 * layer]
        gradients[2 * layer + 1] = error.sum(axis=0)
        if layer:
            error = (error @ arrays[2 * layer].T) * (inputs[layer] > 0) * kept[layer - 1]
    return gradients
