"""The promptable network: an encoder run once per chip and a light decoder run per click.

The encoder is EfficientNet-Lite0 (see ``trunk``) on raw colours, beside a shallow branch of our
own on colours with contrast evened out, with a small pyramid on top and dense heads that say
what each cell is; what they say is added to the pyramid. The decoder is a small U-Net on the
cached pyramid and on maps made of the prompts (see ``prompt_maps``); it ends at full resolution
through the shallow features of the image. Every size that is a multiple of :data:`STRIDE` works.
"""

# mypy: disallow-subclassing-any=False

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from geoiseg.training.blocks import ConvUnit, Residual, enlarge
from geoiseg.training.class_maps import CLASSES
from geoiseg.training.features import OBJECTNESS, Features
from geoiseg.training.prompt_maps import COARSE_MAPS, FINE_MAPS, Prompt, coarse_maps, fine_maps
from geoiseg.training.trunk import LITE0, Row, Trunk

STRIDE = 32
"""Rows and columns of an image must be multiples of this; the caller pads."""
SMALLEST_SPREAD = 0.03
"""Standard deviation (of values in 0..1) below which contrast is not amplified further."""


@dataclass(frozen=True, slots=True)
class NetOptions:
    """Widths and depths of the network."""

    stem: int = 24
    """Channels at half resolution."""
    trunk: tuple[Row, ...] = LITE0
    """Stages of the trunk: kernel, stride, expansion, width and number of blocks."""
    pyramid: int = 48
    """Channels of each cached level."""
    key: int = 24
    """Length of the vectors that are compared with those under the prompts, at 1/4."""
    fine_key: int = 8
    """The same at 1/2."""
    decoder: tuple[int, int, int, int] = (40, 64, 96, 128)
    """Channels of the decoder at 1/4, 1/8, 1/16 and 1/32."""
    finish: int = 16
    """Channels of the decoder at 1/2."""
    dense: int = 32
    """Channels that the dense heads share at 1/4."""
    alternatives: int = 3
    """Further masks that a vague prompt is answered with."""


class Encoder(nn.Module):
    """Image and validity to :class:`Features`."""

    def __init__(self, options: NetOptions) -> None:
        super().__init__()
        stem, wide = options.stem, options.pyramid
        self.stem = nn.Sequential(ConvUnit(7, stem, stride=2), ConvUnit(stem, stem))
        self.trunk = Trunk(options.trunk)
        widths = self.trunk.widths
        self.laterals = nn.ModuleList([ConvUnit(width, wide, kernel=1) for width in widths])
        self.shallow_lateral = nn.Conv2d(stem, wide, 1)
        nn.init.zeros_(self.shallow_lateral.weight)
        self.smooth = nn.ModuleList([ConvUnit(wide, wide) for _ in range(2)])
        count = len(OBJECTNESS) + len(CLASSES)
        self.dense = nn.Sequential(
            ConvUnit(wide, options.dense), nn.Conv2d(options.dense, count, 1)
        )
        self.prior = nn.Conv2d(count, wide, 1)
        nn.init.zeros_(self.prior.weight)
        nn.init.zeros_(self.prior.bias)
        self.key = _key(wide, options.key)
        self.fine_key = _key(stem, options.fine_key)

    def forward(self, image: Tensor, valid: Tensor) -> Features:
        """Return the features.

        Args:
            image: ``(b, 3, y, x)`` in 0..255.
            valid: ``(b, 1, y, x)`` 1 where there is data, else 0.
        """
        colour, shallow = self.branch(image, valid)
        return self.pyramid(colour, shallow, self.trunk(image, valid))

    def branch(self, image: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """Return colours and shallow features at 1/2; arguments as of a call."""
        even = _standardised(image, valid)
        return functional.avg_pool2d(even[:, 3:6], 2), self.stem(even)

    def pyramid(self, colour: Tensor, shallow: Tensor, levels: Sequence[Tensor]) -> Features:
        """Return the features of what ``branch`` and the trunk say."""
        p4, p8, p16, p32 = (
            lateral(level) for lateral, level in zip(self.laterals, levels, strict=True)
        )
        p4 = p4 + self.shallow_lateral(functional.avg_pool2d(shallow, 2))
        p16 = p16 + enlarge(p32, 2)
        p8 = self.smooth[1](p8 + enlarge(p16, 2))
        p4 = self.smooth[0](p4 + enlarge(p8, 2))
        key = functional.normalize(self.key(p4), dim=1).contiguous()
        fine_key = functional.normalize(self.fine_key(shallow), dim=1).contiguous()
        dense = self.dense(p4)
        p4 = p4 + self.prior(torch.sigmoid(dense))
        return Features(shallow, fine_key, colour, key, dense, p4, p8, p16, p32)


class Decoder(nn.Module):
    """Features and prompts to logits at full resolution and predicted IoUs."""

    def __init__(self, options: NetOptions) -> None:
        super().__init__()
        w4, w8, w16, w32 = options.decoder
        wide = options.pyramid
        self.entry = ConvUnit(wide + COARSE_MAPS, w4, kernel=1)
        self.d4 = ConvUnit(w4, w4)
        self.downs = nn.ModuleList([Down(w4, w8, wide), Down(w8, w16, wide), Down(w16, w32, wide)])
        self.ups = nn.ModuleList([Up(w32, w16), Up(w16, w8), Up(w8, w4)])
        self.to_fine = nn.Conv2d(w4, options.finish, 1)
        self.from_fine = nn.Conv2d(options.stem + FINE_MAPS, options.finish, 1)
        self.finish = ConvUnit(options.finish, options.finish)
        self.head = nn.Conv2d(options.finish, 4, 3, padding=1)
        self.other_heads = nn.Conv2d(options.finish, 4 * options.alternatives, 3, padding=1)
        self.score = nn.Sequential(nn.Linear(2 * w8, 48), nn.ReLU(), nn.Linear(48, 1))
        self.other_scores = nn.Sequential(nn.Linear(2 * w8, 48), nn.ReLU(), nn.Linear(48, 1))

    def forward(self, features: Features, prompt: Prompt) -> tuple[Tensor, Tensor]:
        """Return ``(b, 1, y, x)`` logits and ``(b, 1)`` logits of the mask's IoU."""
        fine, u8 = self.look(features, prompt)
        logits = functional.pixel_shuffle(self.head(fine), 2)
        return logits, _scored(self.score, u8, logits)

    def alternatives(self, features: Features, prompt: Prompt) -> tuple[Tensor, ...]:
        """Return what a call does, and as much of each alternative.

        Returns:
            Logits and score of the single answer, ``(b, 3, y, x)`` logits of the
            alternatives and ``(b, 3)`` logits of their IoU.
        """
        fine, u8 = self.look(features, prompt)
        logits = functional.pixel_shuffle(self.head(fine), 2)
        others = functional.pixel_shuffle(self.other_heads(fine), 2)
        score, scores = _scored(self.score, u8, logits), _scored(self.other_scores, u8, others)
        return logits, score, others, scores

    def look(self, features: Features, prompt: Prompt) -> tuple[Tensor, Tensor]:
        """Return what the masks are made of at 1/2, and what their scores are at 1/8."""
        fine = fine_maps(features, prompt)
        coarse = coarse_maps(features, prompt, fine)
        d4 = self.d4(self.entry(_joined(features.p4, coarse)))
        d8 = self.downs[0](d4, features.p8)
        d16 = self.downs[1](d8, features.p16)
        d32 = self.downs[2](d16, features.p32)
        u8 = self.ups[1](self.ups[0](d32, d16), d8)
        u4 = self.ups[2](u8, d4)
        shallow = self.from_fine(_joined(features.shallow, fine))
        mixed = enlarge(self.to_fine(u4), 2) + shallow
        return self.finish(torch.relu(mixed)), u8


def _scored(score: nn.Module, u8: Tensor, logits: Tensor) -> Tensor:
    """Return ``(b, n)`` logits of the IoU of ``(b, n, y, x)`` masks, from features at 1/8."""
    inside = functional.avg_pool2d(torch.sigmoid(logits.detach()), 8)
    flat, weight = u8.flatten(2), inside.flatten(2).transpose(1, 2).to(u8.dtype)
    held = torch.matmul(flat, weight / (weight.sum(1, keepdim=True) + 1))
    mean = flat.mean(2, keepdim=True).expand(-1, -1, held.shape[2])
    scores: Tensor = score(torch.cat([mean, held], 1).transpose(1, 2))
    return scores[:, :, 0]


class Down(nn.Module):
    """Half the resolution, joined with the encoder's features there."""

    def __init__(self, before: int, width: int, lateral: int) -> None:
        super().__init__()
        self.shrink = ConvUnit(before, width, stride=2)
        self.lateral = nn.Conv2d(lateral, width, 1)
        self.block = Residual(width)

    def forward(self, x: Tensor, lateral: Tensor) -> Tensor:
        """Return ``(b, width, y / 2, x / 2)``."""
        y: Tensor = self.block(self.shrink(x) + self.lateral(lateral))
        return y


class Up(nn.Module):
    """Twice the resolution, joined with the decoder's way down."""

    def __init__(self, before: int, width: int) -> None:
        super().__init__()
        self.project = nn.Conv2d(before, width, 1)
        self.unit = ConvUnit(width, width)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """Return ``(b, width, 2 y, 2 x)``."""
        y: Tensor = self.unit(enlarge(self.project(x), 2) + skip)
        return y


class TinyNet(nn.Module):
    """Encoder and decoder, trained together and exported apart."""

    def __init__(self, options: NetOptions | None = None) -> None:
        super().__init__()
        self.options = options or NetOptions()
        self.encoder = Encoder(self.options)
        self.decoder = Decoder(self.options)

    def begin(self, trunk: dict[str, Tensor], earlier: dict[str, Tensor]) -> None:
        """Take what a pre-trained trunk and a network of the first generation know.

        Args:
            trunk: Of a trunk of the same stages; or empty.
            earlier: State of the earlier network: what has the same shape here is taken,
                but for what read its own trunk.
        """
        if trunk:
            self.encoder.trunk.load_state_dict(trunk)
        own = self.state_dict()
        for name, value in earlier.items():
            apart = name.startswith(("encoder.laterals", "encoder.trunk"))
            if name in own and own[name].shape == value.shape and not apart:
                own[name].copy_(value)
        head, score = self.decoder.head, self.decoder.score.state_dict()
        times = self.options.alternatives
        with torch.no_grad():
            spread = 0.3 * head.weight.std()
            copies = head.weight.repeat(times, 1, 1, 1)
            self.decoder.other_heads.weight.copy_(copies + spread * torch.randn_like(copies))
            self.decoder.other_heads.bias.copy_(head.bias.repeat(times))
        self.decoder.other_scores.load_state_dict(score)

    def parameter_count(self) -> int:
        """Return the number of learned parameters."""
        return sum(parameter.numel() for parameter in self.parameters())


def _key(before: int, width: int) -> nn.Sequential:
    """Return a projection to vectors to be compared: centred, or all would look alike."""
    return nn.Sequential(
        nn.Conv2d(before, width, 1, bias=False), nn.BatchNorm2d(width, momentum=0.05)
    )


def _joined(features: Tensor, maps: Tensor) -> Tensor:
    """Return both stacked; the few maps are brought to the layout of the many features."""
    alike = maps.to(features.dtype)
    if features.requires_grad:
        alike = alike.contiguous(memory_format=torch.channels_last)
    return torch.cat([features, alike], 1)


def _standardised(image: Tensor, valid: Tensor) -> Tensor:
    """Return ``(b, 7, y, x)``: the colours, the colours with contrast evened out, validity.

    Mean and spread are those of the chip's valid pixels, so that haze and gain cancel.
    """
    x = image / 255
    count = valid.sum((2, 3), keepdim=True) + 1
    mean = (x * valid).sum((2, 3), keepdim=True) / count
    centred = (x - mean) * valid
    variance = (centred * centred).sum((2, 3), keepdim=True) / count
    even = centred / torch.sqrt(variance + SMALLEST_SPREAD**2)
    return torch.cat([(2 * x - 1) * valid, even.clamp(-4, 4), valid], 1)
