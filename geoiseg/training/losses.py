"""What training minimises."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from geoiseg.training.class_maps import CLASSES
from geoiseg.training.crops import Crops
from geoiseg.training.features import FARTHEST, OBJECTNESS
from geoiseg.training.simulate import depth

EDGE_WEIGHT = 1.5
"""Weight of pixels within :data:`EDGE_REACH` of the outline, where maps are judged."""
EDGE_REACH = 3
"""In pixels."""
NEAR = 5
"""Cells of four pixels from an object within which what carries no label is no object; farther
off there may be others that nobody drew."""
FEWEST = 64
"""Cells of a batch that show a class, or show it missing, from which on they count in full."""
LOSERS = 0.05
"""Weight of the alternatives that are not the best, so that none is forgotten."""


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


def best_loss(loss: Tensor) -> Tensor:
    """Return ``(b,)`` the loss of the best of ``(b, n)`` alternatives, and a little of all."""
    return (1 - LOSERS) * loss.amin(1) + LOSERS * loss.mean(1)


def ranking_loss(scores: Tensor, iou: Tensor) -> Tensor:
    """Return how far predicted IoUs, given as logits, are from the right order.

    Args:
        scores: ``(b, n)``.
        iou: ``(b, n)`` of the masks.
    """
    told = torch.sigmoid(scores)
    gap = iou[:, :, None] - iou[:, None, :]
    said = told[:, :, None] - told[:, None, :]
    return functional.relu(gap.clamp(max=0.2) - said)[gap > 0.02].sum() / max(1, gap.numel())


def dense_loss(dense: Tensor, crops: Crops) -> Tensor:
    """Return how wrong the dense heads are, over what is known of each of them.

    Args:
        dense: ``(b, n, y / 4, x / 4)`` logits of objectness and classes.
        crops: What they are of.
    """
    count, seen = len(OBJECTNESS), crops.valid[:, 0]
    interior, border, far, known = objectness(crops.ids, seen)
    # Layers of parts and of wholes do not show what else is an object.
    known = known * crops.exhaustive[:, None, None]
    parts = [
        _balanced(dense[:, 0], interior, known),
        _balanced(dense[:, 1], border, known),
        (torch.abs(torch.sigmoid(dense[:, 2]) - far) * known).sum() / known.sum().clamp(min=FEWEST),
    ]
    cells = crops.classes[:, 2::4, 2::4] * (seen[:, 2::4, 2::4] > 0)
    bits = torch.arange(len(CLASSES), device=cells.device)[None, :, None, None]
    there = (cells[:, None] >> bits & 1).float()
    told = (cells[:, None] >> (8 + bits) & 1).float()
    each = [_balanced(dense[:, count + k], there[:, k], told[:, k]) for k in range(len(CLASSES))]
    return torch.stack(parts).mean() + torch.stack(each).mean()


def objectness(ids: Tensor, valid: Tensor) -> tuple[Tensor, ...]:
    """Return what the labels say of cells of four pixels, each ``(b, y / 4, x / 4)``.

    Args:
        ids: ``(b, y, x)`` object numbers, below 0 where nothing is known.
        valid: ``(b, y, x)`` 1 where there is data.

    Returns:
        1 on objects, 1 where an outline passes, the depth as a share, and 1 where these are
        known.
    """
    held = ids.clamp(min=0)
    across = functional.pad((held[:, :, 1:] != held[:, :, :-1]).float(), (0, 1))
    down = functional.pad((held[:, 1:] != held[:, :-1]).float(), (0, 0, 0, 1))
    border = functional.max_pool2d(torch.maximum(across, down)[:, None], 4)[:, 0]
    cells = ids[:, 2::4, 2::4]
    interior = (cells > 0).float()
    side = 2 * NEAR + 1
    near = functional.max_pool2d(interior[:, None], side, 1, NEAR)[:, 0]
    known = (cells >= 0).float() * near * valid[:, 2::4, 2::4]
    far = (depth(interior * (1 - border)) / FARTHEST).clamp(max=1)
    return interior, border, far, known


def _balanced(logits: Tensor, there: Tensor, known: Tensor) -> Tensor:
    """Return the mean cross entropy where it is known, both answers counting alike."""
    loss = functional.binary_cross_entropy_with_logits(logits, there, reduction="none")
    yes, no = there * known, (1 - there) * known
    means = [(loss * part).sum() / part.sum().clamp(min=FEWEST) for part in (yes, no)]
    return (means[0] + means[1]) / 2
