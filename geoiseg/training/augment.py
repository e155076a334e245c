"""Batched changes of colour, haze, noise and sharpness, on whatever device the crops are.

They stand for other sensors, other bands, other air and coarser pixels: a network that
has seen them does not mind which three bands it is shown.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

PERMUTED, MIXED, GRAY = 0.22, 0.38, 0.47
"""Shares, one on top of the other, of crops whose bands are exchanged, mixed, or made one. The
others keep their colours, which tell water from roofs."""
INVERTED = 0.025
"""Share of bands that are shown as negatives."""


class Augment:
    """Random appearance of a batch of crops."""

    def __init__(self, generator: torch.Generator) -> None:
        self.generator = generator

    def __call__(self, image: Tensor, valid: Tensor) -> Tensor:
        """Return ``(b, 3, y, x)`` in 0..255, 0 where invalid.

        Args:
            image: ``(b, 3, y, x)`` in 0..255.
            valid: ``(b, 1, y, x)`` 1 where there is data.
        """
        x = self._mixed(self._coarser(image) / 255)
        x = self._for_some(x, 0.1, self._alike)
        x = self._for_some(x, 0.5, self._toned)
        x = self._for_some(x, 0.3, self._dulled)
        x = torch.where(self._rand(x, len(x), 3, 1, 1) < INVERTED, 1 - x, x)
        x = self._for_some(x, 0.2, self._hazy)
        x = self._for_some(x, 0.15, self._shaded)
        x = self._for_some(x, 0.06, self._seamed)
        x = self._for_some(x, 0.08, self._stretched)
        x = self._for_some(x, 0.45, self._noisy)
        x = self._for_some(x, 0.08, self._speckled).clamp(0, 1)
        x = self._for_some(x, 0.2, self._compressed)
        return (x * 255).round().clamp(0, 255) * valid

    def _for_some(self, x: Tensor, chance: float, change: Callable[[Tensor], Tensor]) -> Tensor:
        """Return the batch with about this share of it changed."""
        few = (self._rand(x, len(x)) < chance).nonzero()[:, 0]
        return x.index_copy(0, few, change(x[few])) if len(few) else x

    def _rand(self, like: Tensor, *shape: int) -> Tensor:
        return torch.rand(*shape, generator=self.generator, device=like.device)

    def _normal(self, like: Tensor, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self.generator, device=like.device)

    def _coarser(self, x: Tensor) -> Tensor:
        """Blur some, and shrink and enlarge others as if their pixels were larger."""

        def soft(x: Tensor) -> Tensor:
            return functional.avg_pool2d(functional.pad(x, (1, 1, 1, 1), "replicate"), 3, 1)

        def smooth(x: Tensor) -> Tensor:
            small = functional.avg_pool2d(x, 2)
            return functional.interpolate(small, size=x.shape[2:], mode="bilinear")

        def blocky(x: Tensor) -> Tensor:
            small = functional.avg_pool2d(x, 2)
            return functional.interpolate(small, size=x.shape[2:], mode="nearest")

        for chance, change in ((0.12, soft), (0.08, smooth), (0.05, blocky)):
            x = self._for_some(x, chance, change)
        return x

    def _mixed(self, x: Tensor) -> Tensor:
        """Permute, mix or drop bands."""
        count = len(x)
        order = self._rand(x, count, 3).argsort(1)
        permuted = functional.one_hot(order, 3).float()
        mixing = self._normal(x, count, 3, 3) * 0.6
        mixing = mixing + permuted
        mixing = mixing / mixing.abs().sum(2, keepdim=True)
        gray = self._rand(x, count, 1, 3).expand(-1, 3, -1)
        gray = gray / gray.sum(2, keepdim=True)
        kind = self._rand(x, count, 1, 1)
        matrix = torch.eye(3, device=x.device).expand(count, 3, 3)
        matrix = torch.where(kind < PERMUTED, permuted, matrix)
        matrix = torch.where((kind > PERMUTED) & (kind < MIXED), mixing, matrix)
        matrix = torch.where((kind > MIXED) & (kind < GRAY), gray, matrix)
        lift = (-matrix).clamp(min=0).sum(2)[:, :, None, None]
        return torch.einsum("bij,bjyx->biyx", matrix, x) + lift

    def _alike(self, x: Tensor) -> Tensor:
        """Give crops the mean and the spread of each other's bands: another source's look."""
        order = self._rand(x, len(x)).argsort()
        mean, spread = x.mean((2, 3), keepdim=True), x.std((2, 3), keepdim=True)
        gain = (spread[order] / (spread + 0.02)).clamp(0.4, 2.5)
        return (x - mean) * gain + mean[order]

    def _toned(self, x: Tensor) -> Tensor:
        """Change gain, offset and gamma per band."""
        count = len(x)
        common = self._normal(x, count, 1, 1, 1) * 0.3
        gamma = torch.exp(common + self._normal(x, count, 3, 1, 1) * 0.15)
        toned = x.clamp(1e-4, 1) ** gamma
        gain = torch.exp(
            self._normal(x, count, 3, 1, 1) * 0.2 + self._normal(x, count, 1, 1, 1) * 0.3
        )
        offset = self._normal(x, count, 3, 1, 1) * 0.06
        mean = toned.mean((2, 3), keepdim=True)
        return (toned - mean) * gain + mean + offset

    def _dulled(self, x: Tensor) -> Tensor:
        """Change the saturation."""
        grey = x.mean(1, keepdim=True)
        return grey + (x - grey) * (0.2 + 1.2 * self._rand(x, len(x), 1, 1, 1))

    def _field(self, x: Tensor, cells: int) -> Tensor:
        """Return ``(b, 1, y, x)`` smooth noise in 0..1."""
        seeds = self._rand(x, len(x), 1, cells, cells)
        return functional.interpolate(seeds, size=x.shape[2:], mode="bilinear", align_corners=True)

    def _hazy(self, x: Tensor) -> Tensor:
        """Lay thin haze over the crops."""
        air = 0.6 + 0.4 * self._rand(x, len(x), 3, 1, 1)
        thickness = self._field(x, 4) * 0.75 * self._rand(x, len(x), 1, 1, 1)
        return x * (1 - thickness) + air * thickness

    def _shaded(self, x: Tensor) -> Tensor:
        """Light the crops unevenly."""
        return x * (0.75 + 0.5 * self._field(x, 3))

    def _seamed(self, x: Tensor) -> Tensor:
        """Make a straight seam, beyond which the light was another, as mosaics have them."""
        count, (height, width) = len(x), x.shape[2:]
        turn = 6.2832 * self._rand(x, count, 1, 1, 1)
        u = torch.linspace(-1, 1, width, device=x.device)[None, None, None]
        v = torch.linspace(-1, 1, height, device=x.device)[None, None, :, None]
        shift = 1.2 * (self._rand(x, count, 1, 1, 1) - 0.5)
        beyond = u * torch.cos(turn) + v * torch.sin(turn) > shift
        gain = torch.exp(0.15 * self._normal(x, count, 3, 1, 1))
        return torch.where(beyond, x * gain + 0.03 * self._normal(x, count, 3, 1, 1), x)

    def _stretched(self, x: Tensor) -> Tensor:
        """Show the crops as a stretch of few levels does: a narrow range of 16 bits in haze.

        The darkest value lies far above 0 and the steps between grey values are coarse, or
        the ends of the range are cut off.
        """
        count = len(x)
        low = 0.4 * self._rand(x, count, 1, 1, 1)
        levels = 24 + 100 * self._rand(x, count, 1, 1, 1)
        coarse = low + (1 - low) * 0.6 * (x.clamp(0, 1) * levels).round() / levels
        cut = 0.15 * self._rand(x, count, 1, 1, 1)
        wide = ((x - cut) / (1 - 2 * cut)).clamp(0, 1)
        return torch.where(self._rand(x, count, 1, 1, 1) < 0.5, coarse, wide)

    def _noisy(self, x: Tensor) -> Tensor:
        sigma = 0.06 * self._rand(x, len(x), 1, 1, 1) ** 2
        return x + self._normal(x, *x.shape) * sigma

    def _speckled(self, x: Tensor) -> Tensor:
        sigma = 0.15 * self._rand(x, len(x), 1, 1, 1) ** 2
        return x * (1 + self._normal(x, *x.shape) * sigma)

    def _compressed(self, x: Tensor) -> Tensor:
        """Quantise the cosine transform of 8x8 blocks, as JPEG does.

        The step grows with the frequency like the luminance table of the standard, whose
        entries are near ``10 + 8 * (u + v)``.
        """
        if x.shape[2] % 8 or x.shape[3] % 8:
            return x
        k = torch.arange(8, device=x.device, dtype=x.dtype)
        basis = torch.cos(math.pi / 8 * (k[None] + 0.5) * k[:, None]) * 0.5
        basis[0] *= math.sqrt(0.5)
        blocks = x.unflatten(2, (-1, 8)).unflatten(4, (-1, 8)).transpose(3, 4)
        waves = basis @ blocks @ basis.T
        quality = 0.3 + 1.7 * self._rand(x, len(x), 1, 1, 1, 1, 1)
        step = (10 + 8 * (k[:, None] + k[None])) * quality / 255
        back = basis.T @ ((waves / step).round() * step) @ basis
        return back.transpose(3, 4).flatten(4, 5).flatten(2, 3)
