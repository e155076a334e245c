"""What training minimises."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

EDGE_WEIGHT = 1.5
"""Weight of pixels within :data:`EDGE_REACH` of the outline, where maps are judged."""
EDGE_REACH = 3
"""In pixels."""


def edge_weights(target: Tensor, known: Tensor) -> Tensor:
    """Return ``(b, y, x)`` the weight of each pixel: greater near the outline, 0 if unknown."""
    side = 2 * EDGE_REACH + 1
    grown, empty = target[:, None], 1 - target[:, None]
    for kernel in ((side, 1), (1, side)):
        pad = (kernel[0] // 2, kernel[1] // 2)
        grown = functional.max_pool2d(grown, kernel, 1, pad)
        empty = functional.max_pool2d(empty, kernel, 1, pad)
    rim = (grown * empty)[:, 0]
    return known * (1 + (EDGE_WEIGHT - 1) * rim)


def mask_loss(logits: Tensor, target: Tensor, known: Tensor, weight: Tensor) -> Tensor:
    """Return ``(b,)``: normalised focal loss plus soft IoU loss.

    The focal weights are normalised so that a mask nearly right still learns (RITM,
    Sofiiuk et al. 2021; gamma 2).

    Args:
        logits: ``(b, y, x)``.
        target: ``(b, y, x)`` 1 on the object, else 0.
        known: ``(b, y, x)`` 1 where the label counts.
        weight: ``(b, y, x)`` what :func:`edge_weights` returned for them.
    """
    signed = torch.where(target > 0.5, logits, -logits)
    log_right = functional.logsigmoid(signed)
    hard = (1 - log_right.exp()) ** 2
    total = (hard * weight).sum((1, 2)).detach().clamp(min=1)
    focal = -(hard * log_right * weight).sum((1, 2)) / total
    p = torch.sigmoid(logits)
    inter = (p * target * known).sum((1, 2))
    union = (torch.maximum(p, target) * known).sum((1, 2))
    return 0.5 * focal + (1 - (inter + 1) / (union + 1))


def mask_iou(logits: Tensor, target: Tensor, known: Tensor) -> Tensor:
    """Return ``(b,)`` IoU of the thresholded masks."""
    mask = (logits > 0).float() * known
    inter = (mask * target).sum((1, 2))
    union = torch.maximum(mask, target * known).sum((1, 2))
    return inter / union.clamp(min=1)


def score_loss(scores: Tensor, iou: Tensor) -> Tensor:
    """Return ``(b,)`` squared error of the predicted IoU, whose logits are given."""
    return (torch.sigmoid(scores) - iou) ** 2
