"""Objects of one scene laid into another: a roof in a sea, a lake in a town."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from geoiseg.training.crops import Crops

NUMBER = 32_000
"""Object number of what was laid in; no scene has so many objects."""
LEAST, MOST = 0.004, 0.35
"""Share of a crop that an object laid in may cover."""
LEFT = 0.4
"""Share of the crop's own object that must still show for it to be asked for."""


def paste_some(crops: Crops, share: float, generator: torch.Generator) -> Crops:
    """Return the crops, some with the object of another crop of the batch laid in.

    In half of these it is what is asked for, else the object that lay there before, where
    enough of it still shows.

    Args:
        crops: Of some scenes; not changed.
        share: Of crops that receive an object, where another one fits.
        generator: Source of chance.
    """
    count, device = len(crops.target), crops.target.device
    chance = torch.rand(3, count, generator=generator, device=device)
    few = (chance[0] < share).nonzero()[:, 0]
    if count < 2 or not len(few):
        return crops
    donors = (few + 1 + (chance[1, few] * (count - 1)).long()) % count
    laid = _turned(crops, donors, generator)
    own = (laid.ids == laid.target[:, None, None]) & (laid.valid[:, 0] > 0)
    part = own.float().mean((1, 2))
    fits = (part > LEAST) & (part < MOST)
    few, laid, own = few[fits], _some(laid, fits), own[fits]
    below = crops.ids[few] == crops.target[few, None, None]
    shows = (below & ~own).sum((1, 2)) > LEFT * below.sum((1, 2))
    asked = (chance[2, few] < 0.5) | ~shows
    soft = functional.avg_pool2d(functional.pad(own[:, None].float(), (1, 1, 1, 1)), 3, 1)
    share_of_new = torch.maximum(own[:, None].float() * 0.5, soft)
    mixed = crops.image[few] * (1 - share_of_new) + laid.image * share_of_new
    return Crops(
        image=crops.image.index_copy(0, few, mixed * crops.valid[few]),
        valid=crops.valid,
        ids=crops.ids.index_copy(0, few, torch.where(own, NUMBER, crops.ids[few])),
        target=crops.target.index_copy(0, few, torch.where(asked, NUMBER, crops.target[few])),
        classes=crops.classes.index_copy(
            0, few, torch.where(own, laid.classes, crops.classes[few])
        ),
        exhaustive=crops.exhaustive,
    )


def _turned(crops: Crops, which: Tensor, generator: torch.Generator) -> Crops:
    """Return some crops, mirrored and moved over their edges by up to a third."""
    size = crops.ids.shape[1]
    draw = torch.rand(4, generator=generator, device=crops.ids.device).tolist()
    flips = [axis for axis, value in zip((-1, -2), draw[:2], strict=True) if value < 0.5]
    moves = [round((value - 0.5) * 0.66 * size) for value in draw[2:]]

    def moved(values: Tensor) -> Tensor:
        return values[which].flip(flips).roll(moves, (-1, -2))

    image, valid, ids, classes = (
        moved(part) for part in (crops.image, crops.valid, crops.ids, crops.classes)
    )
    return Crops(image, valid, ids, crops.target[which], classes, crops.exhaustive[which])


def _some(crops: Crops, which: Tensor) -> Crops:
    return Crops(*(part[which] for part in crops))
