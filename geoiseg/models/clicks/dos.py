"""DOS: a fully convolutional VGG, shown the distances to the clicks as two more channels.

Source: Xu et al., Deep Interactive Object Selection, CVPR 2016, in the form of FCN-8s (Long et
al., CVPR 2015). Its authors published no weights; layers are named as in the port of FCN to
PyTorch that is used most (wkentaro/pytorch-fcn).
"""

# mypy: disallow-subclassing-any=False

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from geoiseg.models.clicks.maps import distances
from geoiseg.models.clicks.network import ClickNetwork, Habits

MEAN_BGR = (104.00698793, 116.66876762, 122.67891434)
"""Of blue, green and red in 0..255, as VGG was trained."""
STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
"""Channels and convolutions of VGG-16's stages."""
PADDING = 100
"""Of the first convolution, so that even a small picture survives the last one."""


class Dos(ClickNetwork):
    """DOS's network.

    Args:
        classes: Channels of the scores; with two, background comes first.
    """

    habits = Habits(side=None, flip=False, threshold=0.5, zoom=False)

    def __init__(self, classes: int = 2) -> None:
        super().__init__(remembers=False)
        inner = 5
        for stage, (width, count) in enumerate(STAGES, 1):
            for number in range(1, count + 1):
                padding = PADDING if stage == number == 1 else 1
                layer = nn.Conv2d(inner, width, 3, padding=padding)
                setattr(self, f"conv{stage}_{number}", layer)
                inner = width
        self.fc6 = nn.Conv2d(512, 4096, 7)
        self.fc7 = nn.Conv2d(4096, 4096, 1)
        self.score_fr = nn.Conv2d(4096, classes, 1)
        self.score_pool3 = nn.Conv2d(256, classes, 1)
        self.score_pool4 = nn.Conv2d(512, classes, 1)
        self.upscore2 = nn.ConvTranspose2d(classes, classes, 4, 2, bias=False)
        self.upscore8 = nn.ConvTranspose2d(classes, classes, 16, 8, bias=False)
        self.upscore_pool4 = nn.ConvTranspose2d(classes, classes, 4, 2, bias=False)

    def scores(self, x: Tensor) -> Tensor:
        """Return ``(n, classes, y, x)``.

        Args:
            x: ``(n, 5, y, x)``: blue, green, red less their means, and two distances.
        """
        size, pools = x.shape[2:], []
        for stage, (_, count) in enumerate(STAGES, 1):
            for number in range(1, count + 1):
                x = torch.relu(getattr(self, f"conv{stage}_{number}")(x))
            x = functional.max_pool2d(x, 2, 2, ceil_mode=True)
            pools.append(x)
        x = self.score_fr(torch.relu(self.fc7(torch.relu(self.fc6(x)))))
        x = self.upscore2(x)
        x = x + _middle(self.score_pool4(pools[3] * 0.01), 5, x.shape)
        x = self.upscore_pool4(x)
        x = x + _middle(self.score_pool3(pools[2] * 0.0001), 9, x.shape)
        return _middle(self.upscore8(x), 31, size)

    def forward(self, image: Tensor, clicks: Tensor, before: Tensor) -> Tensor:
        """Return ``(n, 1, y, x)`` logits.

        Args:
            image: ``(n, 3, y, x)`` in 0..1.
            clicks: ``(n, k, 3)`` row, column and sign.
            before: Not looked at: DOS knows of no mask before.
        """
        return self.coarse(image, clicks, before)

    def coarse(self, image: Tensor, clicks: Tensor, before: Tensor) -> Tensor:  # noqa: ARG002
        """Return ``(n, 1, y, x)`` logits of ``(n, 3, y, x)`` in 0..1."""
        mean = image.new_tensor(MEAN_BGR).view(1, 3, 1, 1)
        picture = image.flip(1) * 255 - mean
        maps = distances(clicks, (image.shape[2], image.shape[3]))
        scores = self.scores(torch.cat([picture, maps], dim=1))
        return scores if scores.shape[1] == 1 else scores[:, 1:2] - scores[:, :1]


def _middle(x: Tensor, offset: int, shape: torch.Size) -> Tensor:
    """Return the part of a map that lies on another, past what padding added."""
    rows, columns = shape[-2:]
    return x[..., offset : offset + rows, offset : offset + columns]
