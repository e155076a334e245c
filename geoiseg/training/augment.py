"""Batched changes of colour, haze, noise and sharpness, on whatever device the crops are.

They stand for other sensors, other bands, other air and coarser pixels: a network that
has seen them does not mind which three bands it is shown.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional


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
        x = self._coarser(image)
        x = self._mixed(x / 255)
        x = self._toned(x)
        x = self._hazy(x)
        x = self._noisy(x).clamp(0, 1)
        x = self._compressed(x)
        return (x * 255).round().clamp(0, 255) * valid

    def _rand(self, like: Tensor, *shape: int) -> Tensor:
        return torch.rand(*shape, generator=self.generator, device=like.device)

    def _normal(self, like: Tensor, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self.generator, device=like.device)

    def _some(self, like: Tensor, chance: float) -> Tensor:
        """Return ``(b, 1, 1, 1)`` True for about this share of the batch."""
        return self._rand(like, len(like), 1, 1, 1) < chance

    def _coarser(self, x: Tensor) -> Tensor:
        """Blur some, and shrink and enlarge others as if their pixels were larger."""
        small = functional.avg_pool2d(x, 2)
        smooth = functional.interpolate(small, size=x.shape[2:], mode="bilinear")
        blocky = functional.interpolate(small, size=x.shape[2:], mode="nearest")
        soft = functional.avg_pool2d(functional.pad(x, (1, 1, 1, 1), "replicate"), 3, 1)
        kind = self._rand(x, len(x), 1, 1, 1)
        x = torch.where(kind < 0.12, soft, x)
        x = torch.where((kind > 0.12) & (kind < 0.2), smooth, x)
        return torch.where((kind > 0.2) & (kind < 0.25), blocky, x)

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
        matrix = torch.where(kind < 0.33, permuted, matrix)
        matrix = torch.where((kind > 0.33) & (kind < 0.58), mixing, matrix)
        matrix = torch.where((kind > 0.58) & (kind < 0.68), gray, matrix)
        lift = (-matrix).clamp(min=0).sum(2)[:, :, None, None]
        return torch.einsum("bij,bjyx->biyx", matrix, x) + lift

    def _toned(self, x: Tensor) -> Tensor:
        """Change gain, offset and gamma per band, saturation, and invert a few bands."""
        count = len(x)
        strong = self._some(x, 0.5)
        common = self._normal(x, count, 1, 1, 1) * 0.3
        gamma = torch.exp(common + self._normal(x, count, 3, 1, 1) * 0.15)
        toned = x.clamp(1e-4, 1) ** gamma
        gain = torch.exp(
            self._normal(x, count, 3, 1, 1) * 0.2 + self._normal(x, count, 1, 1, 1) * 0.3
        )
        offset = self._normal(x, count, 3, 1, 1) * 0.06
        mean = toned.mean((2, 3), keepdim=True)
        toned = (toned - mean) * gain + mean + offset
        x = torch.where(strong, toned, x)
        grey = x.mean(1, keepdim=True)
        dull = grey + (x - grey) * (0.2 + 1.2 * self._rand(x, count, 1, 1, 1))
        x = torch.where(self._some(x, 0.3), dull, x)
        inverted = self._rand(x, count, 3, 1, 1) < 0.05
        return torch.where(inverted, 1 - x, x)

    def _field(self, x: Tensor, cells: int) -> Tensor:
        """Return ``(b, 1, y, x)`` smooth noise in 0..1."""
        seeds = self._rand(x, len(x), 1, cells, cells)
        return functional.interpolate(seeds, size=x.shape[2:], mode="bilinear", align_corners=True)

    def _hazy(self, x: Tensor) -> Tensor:
        """Lay thin haze over some, and uneven light over others."""
        air = 0.6 + 0.4 * self._rand(x, len(x), 3, 1, 1)
        thickness = self._field(x, 4) * 0.75 * self._rand(x, len(x), 1, 1, 1)
        x = torch.where(self._some(x, 0.2), x * (1 - thickness) + air * thickness, x)
        light = 0.75 + 0.5 * self._field(x, 3)
        return torch.where(self._some(x, 0.15), x * light, x)

    def _noisy(self, x: Tensor) -> Tensor:
        sigma = 0.06 * self._rand(x, len(x), 1, 1, 1) ** 2
        noise = self._normal(x, *x.shape) * sigma
        speckled = x * (1 + 2.5 * noise)
        x = torch.where(self._some(x, 0.45), x + noise, x)
        return torch.where(self._some(x, 0.08), speckled, x)

    def _compressed(self, x: Tensor) -> Tensor:
        """Quantise the cosine transform of 8x8 blocks of some, as JPEG does.

        The step grows with the frequency like the luminance table of the standard, whose
        entries are near ``10 + 8 * (u + v)``.
        """
        if x.shape[2] % 8 or x.shape[3] % 8:
            return x
        few = self._rand(x, len(x)) < 0.2
        if not bool(few.any()):
            return x
        chosen = x[few]
        k = torch.arange(8, device=x.device, dtype=x.dtype)
        basis = torch.cos(math.pi / 8 * (k[None] + 0.5) * k[:, None]) * 0.5
        basis[0] *= math.sqrt(0.5)
        blocks = chosen.unflatten(2, (-1, 8)).unflatten(4, (-1, 8)).transpose(3, 4)
        waves = basis @ blocks @ basis.T
        quality = 0.3 + 1.7 * self._rand(x, len(chosen), 1, 1, 1, 1, 1)
        step = (10 + 8 * (k[:, None] + k[None])) * quality / 255
        back = basis.T @ ((waves / step).round() * step) @ basis
        result = x.clone()
        result[few] = back.transpose(3, 4).flatten(4, 5).flatten(2, 3)
        return result
