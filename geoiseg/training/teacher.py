"""Objects that nobody labelled: what the network's own average takes a click for, in all mirrors.

An answer that is the mean over mirrored views is better than each of them: overhead pictures
have no top. So on places without labels, too, a crop's object is where these views agree, and
the network learns to find it in one look, in other light and from any prompt (as FixMatch has
it, Sohn et al. 2020, and noisy students, Xie et al. 2020).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from geoiseg.training.crops import Crops
from geoiseg.training.features import Features
from geoiseg.training.network import TinyNet
from geoiseg.training.prompt_maps import Prompt
from geoiseg.training.simulate import Objects

MIRRORS: tuple[tuple[int, ...], ...] = ((), (3,), (2,), (2, 3))
"""Axes of ``(b, channels, y, x)`` that are reversed in each view."""
SURE = 0.2
"""How far from a half the mean probability of a pixel is that counts."""
LEAST_SURE = 0.6
"""Share of an object's pixels that are to count; else it does not."""


class Teacher:
    """A network that is asked what lies under random clicks.

    Args:
        net: Answers; its weights may change meanwhile.
        generator: Of all chance.
        looking: Under which convolutions are computed, as in training.
    """

    def __init__(
        self, net: TinyNet, generator: torch.Generator, looking: Callable[[], Any]
    ) -> None:
        self._net, self._generator, self._looking = net, generator, looking

    def objects(self, crops: Crops) -> Objects:
        """Return for each crop the object under a click, best where nothing is labelled.

        Args:
            crops: Their colours as they are.
        """
        places = self._places(crops)
        with torch.no_grad(), self._looking():
            seen = [self._probability(crops, places, axes) for axes in MIRRORS]
        mean = torch.stack(seen).mean(0)
        there = crops.valid[:, 0]
        target = (mean > 0.5).float() * there
        known = ((mean - 0.5).abs() > SURE).float() * there
        held = (target * known).sum((1, 2)) / target.sum((1, 2)).clamp(min=1)
        target = target * (held > LEAST_SURE).float()[:, None, None]
        return Objects(target, known, torch.zeros_like(target))

    def _places(self, crops: Crops) -> Tensor:
        """Return ``(b, 2)`` middles of random pixels, ``x, y``, most of them without a label."""
        there = crops.valid[:, 0]
        free = there * (crops.ids <= 0) + 0.05 * there + 1e-6
        drawn = torch.multinomial(free.flatten(1), 1, generator=self._generator)[:, 0]
        width = there.shape[2]
        return torch.stack([drawn % width, drawn // width], 1) + 0.5

    def _probability(self, crops: Crops, places: Tensor, axes: tuple[int, ...]) -> Tensor:
        """Return ``(b, y, x)`` what a view says of the object at places, as the crop lies."""
        count, _, rows, columns = crops.image.shape
        x, y = places.unbind(1)
        x = columns - x if 3 in axes else x
        y = rows - y if 2 in axes else y
        like = crops.image
        prompt = Prompt(
            torch.stack([x, y], 1)[:, None], like.new_ones(count, 1), like.new_zeros(count, 4),
            like.new_zeros(count, 1, rows // 2, columns // 2), like.new_zeros(count),
        )  # fmt: skip
        image, valid = (mirrored(part, axes) for part in (crops.image, crops.valid))
        features = Features(*self._net.encoder(image, valid))
        logits = self._net.decoder(features, prompt)[0]
        return mirrored(torch.sigmoid(logits.float()), axes)[:, 0]


def mirrored(values: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Return ``(b, channels, y, x)`` with some axes reversed."""
    return values.flip(axes) if axes else values
