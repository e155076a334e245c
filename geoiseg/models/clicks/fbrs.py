"""f-BRS: after each click, a network's own features are scaled until the clicks come out right.

Source: Sofiiuk et al., f-BRS: Rethinking Backpropagating Refinement, CVPR 2020; the constants
are those of its authors. A network of RITM is optimised after its trunk (A), before its object
context (B) or after it (C); the authors define A and C for HRNet, B for DeepLab alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from geoiseg.models.clicks.hrnet import HighResolutionNet
from geoiseg.models.clicks.maps import normalised
from geoiseg.models.clicks.ritm import Ritm

KINDS = ("a", "b", "c")
SEEN = 8
"""Clicks that the network itself is shown."""
FROM = 2
"""Clicks from which there is something to optimise."""
SETTINGS = {"m": 20, "factr": 0, "pgtol": 1e-8, "maxfun": 20, "maxiter": 40}
"""Of the optimiser, L-BFGS-B."""
WEIGHT, BIAS_WEIGHT = 1e-3, 10.0
"""Of the penalty on changes, and how much more one of a bias costs."""
STILL = 0.01
"""Change of the mask, as 1 - IoU, under which optimising ends."""
REACH = 1.5
"""Pixels around a click, along rows and columns, that should come out right."""


class Optimised:
    """A network of RITM whose features are optimised after each click.

    Args:
        network: In evaluation mode, its weights without gradients.
        kind: One of :data:`KINDS`.
    """

    def __init__(self, network: Ritm, kind: str) -> None:
        self.network = network
        self.kind = kind

    def __call__(self, image: Tensor, clicks: Tensor, before: Tensor) -> Tensor:
        """Return ``(n, 1, y, x)`` logits; arguments as :class:`ClickNetwork` takes them."""
        with torch.no_grad():
            kept, scores = self._features(image, clicks[:, :SEEN], before)
        if clicks.shape[1] < FROM:
            with torch.no_grad():
                return self._finish(kept, scores, image)
        from scipy.optimize import fmin_l_bfgs_b

        places = _places(clicks, image)
        with torch.inference_mode(mode=False), torch.enable_grad():
            # Clones: what was made in inference mode can not be differentiated through.
            search = _Search(self, kept.clone(), scores.clone(), image, places.clone())
            fmin_l_bfgs_b(search, np.zeros(2 * kept.shape[1]), **SETTINGS)
        assert search.best is not None  # noqa: S101 - the function is always tried once
        return search.best

    def _features(self, image: Tensor, clicks: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
        """Return what is optimised, and the scores that object context needs."""
        net: HighResolutionNet = self.network.feature_extractor
        added = self.network.maps_transform(self.network.click_maps(clicks, before))
        trunk = net.trunk(normalised(image), added)
        if self.kind == "a":
            return trunk, trunk
        scores = net.aux_head(trunk)
        features = net.conv3x3_ocr(trunk)
        return (features if self.kind == "b" else net.contextual(features, scores)), scores

    def _finish(self, features: Tensor, scores: Tensor, image: Tensor) -> Tensor:
        """Return ``(n, 1, y, x)`` logits from what is optimised."""
        net: HighResolutionNet = self.network.feature_extractor
        if self.kind == "a":
            scores, features = net.aux_head(features), net.conv3x3_ocr(features)
        if self.kind != "c":
            features = net.contextual(features, scores)
        low = net.cls_head(features)
        return functional.interpolate(low, image.shape[2:], mode="bilinear", align_corners=True)


@dataclass(slots=True, eq=False)
class _Search:
    """The function that is minimised over scales and biases."""

    network: Optimised
    features: Tensor
    scores: Tensor
    image: Tensor
    places: Tensor
    """``(n, 2, y, x)``: where the object must be, and where it must not."""
    best: Tensor | None = None
    """Logits at the least loss so far."""
    _least: float = field(default=float("inf"))
    _last: NDArray[np.bool_] | None = None

    def __call__(self, values: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """Return the loss and its gradient; a gradient of zeros ends the search."""
        given = torch.tensor(values, dtype=torch.float32, device=self.features.device)
        given.requires_grad_(True)  # noqa: FBT003 - torch's own signature
        scale, bias = given.chunk(2)
        shape = (1, -1, 1, 1)
        changed = self.features * (1 + scale.view(shape)) + bias.view(shape)
        logits = self.network._finish(changed, self.scores, self.image)  # noqa: SLF001
        penalty = WEIGHT * ((scale**2).sum() + BIAS_WEIGHT * (bias**2).sum())
        found = torch.sigmoid(logits)
        missed, wrong = (1 - found) * self.places[:, :1], found * self.places[:, 1:]
        loss = penalty + _mean(missed, self.places[:, :1]) + _mean(wrong, self.places[:, 1:])
        value, nothing = float(loss.detach()), np.zeros_like(values)
        if value < self._least:
            self._least, self.best = value, logits.detach()
        threshold = self.network.network.habits.threshold
        if missed.detach().max() < 1 - threshold and wrong.detach().max() < threshold:
            return value, nothing
        mask = (found.detach() > threshold).cpu().numpy()
        if self._last is not None and _alike(mask, self._last) > 1 - STILL:
            return value, nothing
        self._last = mask
        loss.backward()  # type: ignore[no-untyped-call, unused-ignore]
        gradient: Any = given.grad
        return value, gradient.cpu().numpy().astype(np.float64)


def _mean(errors: Tensor, places: Tensor) -> Tensor:
    """Return the mean square of errors over their places."""
    return (errors**2).sum() / (places.sum() + 1e-5)


def _places(clicks: Tensor, image: Tensor) -> Tensor:
    """Return ``(n, 2, y, x)``: 1 in a square around each click, by sign."""
    rows = torch.arange(image.shape[2], device=image.device).view(1, 1, -1, 1)
    columns = torch.arange(image.shape[3], device=image.device).view(1, 1, 1, -1)
    row, column, sign = (clicks[..., part, None, None] for part in range(3))
    near = ((rows - row.round()).abs() < REACH) & ((columns - column.round()).abs() < REACH)
    return torch.stack(
        [((sign == wanted) & near).any(dim=1) for wanted in (1.0, -1.0)], dim=1
    ).float()


def _alike(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    union = np.count_nonzero(first | second)
    return float(np.count_nonzero(first & second) / union) if union else 1.0
