"""Muon for kernels that mix channels, AdamW for all else (Jordan et al., 2024).

A step goes along the gradient's momentum, made nearly orthogonal: all directions of a kernel learn
alike, not only those in which most of the gradient lies. PyTorch's own, where it has one, takes
matrices alone, not the kernels of convolutions.
"""

# mypy: disallow-subclassing-any=False, disallow-untyped-decorators=False

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

QUINTIC = (3.4445, -4.7750, 2.0315)
"""Coefficients of the Newton-Schulz iteration, which brings singular values near 1."""
ITERATIONS = 5
LIKE_ADAM = 0.2
"""Root mean square of AdamW's steps in units of its rate: with it both take the same rates."""
FEWEST = 5
"""Outputs of a kernel from which on its directions are worth telling apart."""


class Muon(torch.optim.Optimizer):
    """Muon, with AdamW for offsets, norms, depthwise kernels and heads of few outputs.

    Args:
        groups: Parameters, each group with its ``weight_decay``.
        rate: Learning rate of both.
        momentum: Of Muon, in Nesterov's form.
        betas: Of AdamW.
        eps: Of AdamW.
    """

    def __init__(
        self,
        groups: Iterable[dict[str, Any]],
        rate: float,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.98),
        eps: float = 1e-8,
    ) -> None:
        defaults = {"lr": rate, "momentum": momentum, "betas": betas, "eps": eps}
        super().__init__(groups, {**defaults, "weight_decay": 0.0})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Make one step along the gradients that there are; return what a closure did.

        Args:
            closure: Computes the loss and its gradients anew.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                if mixes(parameter):
                    self._orthogonal(parameter, group)
                else:
                    self._adam(parameter, group)
        return loss

    def _orthogonal(self, parameter: Tensor, group: dict[str, Any]) -> None:
        state, gradient = self.state[parameter], parameter.grad
        if "mean" not in state:
            state["mean"] = torch.zeros_like(parameter)
        mean = state["mean"].lerp_(gradient, 1 - group["momentum"])
        flat = torch.lerp(gradient, mean, group["momentum"]).flatten(1)
        size = LIKE_ADAM * max(flat.shape) ** 0.5
        parameter.sub_(orthogonal(flat).view(parameter.shape), alpha=group["lr"] * size)

    def _adam(self, parameter: Tensor, group: dict[str, Any]) -> None:
        state, gradient = self.state[parameter], parameter.grad
        if "mean" not in state:
            state["mean"] = torch.zeros_like(parameter)
            state["square"] = torch.zeros_like(parameter)
            state["step"] = torch.zeros(())
        first, second = group["betas"]
        state["step"] += 1
        count = float(state["step"])
        mean = state["mean"].lerp_(gradient, 1 - first)
        square = state["square"].mul_(second).addcmul_(gradient, gradient, value=1 - second)
        spread = (square / (1 - second**count)).sqrt_().add_(group["eps"])
        parameter.addcdiv_(mean, spread, value=-group["lr"] / (1 - first**count))


def mixes(parameter: Tensor) -> bool:
    """Return whether a parameter is a kernel or matrix that mixes channels into several."""
    return bool(parameter.ndim >= 2 and parameter.shape[1] > 1 and parameter.shape[0] >= FEWEST)


def orthogonal(matrix: Tensor) -> Tensor:
    """Return about the nearest ``(n, m)`` matrix of singular values 1."""
    a, b, c = QUINTIC
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(ITERATIONS):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return x.T if tall else x
