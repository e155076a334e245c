"""Everything that decides what training makes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch

from geoiseg.training.bank import CropOptions
from geoiseg.training.network import NetOptions


def has_half(device: str) -> bool:
    """Return whether a device itself computes in bfloat16; a CPU that does not is slowed by it.

    Args:
        device: ``cpu`` or ``cuda``.
    """
    if device != "cpu":
        return True
    ask: Callable[[], Mapping[str, object]] = getattr(torch.cpu, "get_capabilities", dict)
    told = ask()  # older versions do not say: single precision is right everywhere
    return any(told.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16"))


@dataclass(frozen=True, slots=True)
class TrainingOptions:
    """Options of one training run."""

    seed: int = 7
    """Of weights, scenes, crops and the simulated user."""
    steps: int | None = None
    """Steps to make; None goes by ``minutes``."""
    minutes: float = 90.0
    """Time to train for when ``steps`` is None; the learning rate falls to its end then."""
    batch: int = 16
    """Crops of 224 pixels per step; larger crops come fewer at a time, smaller ones more."""
    sizes: tuple[tuple[int, float], ...] = ((128, 0.4), (192, 0.33), (256, 0.2), (384, 0.07))
    """Sides of crops and how often they come."""
    rounds: int = 3
    """Answers of the decoder per crop: the first prompts and the corrections after them."""
    corrections: tuple[tuple[int, float], ...] = ((0, 0.6), (3, 0.25), (8, 0.15))
    """Corrections made before those answers, of which nothing is learned, and how often: what many
    clicks have drawn must stay, too."""
    rate: float = 8e-4
    """Peak learning rate."""
    decay: float = 0.02
    """Weight decay."""
    warm_up: float = 0.02
    """Share of the run in which the rate rises."""
    thaw: tuple[float, float] = (0.15, 0.5)
    """Shares of the run after which the trunk's later blocks learn, too, and then all."""
    trunk_rates: tuple[float, float] = (0.1, 0.01)
    """Of the learning rate, what the trunk's later and earlier blocks learn at."""
    hold: float = 0.0
    """Share of the run up to which the rate stays at its peak before it falls."""
    average: float = 0.999
    """Decay of the running average of the weights, which is what ships."""
    procedural: int = 200
    """Scenes made on the spot."""
    segments: bool = True
    """Whether regions found by colour alone serve as objects too."""
    workers: int = 2
    """Processes that make scenes at the start."""
    device: str = "cpu"
    """``cpu`` or ``cuda``."""
    half: bool = True
    """Whether convolutions run in bfloat16; see :func:`has_half`."""
    compile: bool = False
    """Whether to compile the network (worth it on a GPU and runs of ten minutes and more)."""
    save_every: float = 4.0
    """Minutes between checkpoints."""
    net: NetOptions = field(default_factory=NetOptions)
    crops: CropOptions = field(default_factory=CropOptions)

    def __post_init__(self) -> None:
        if self.batch < 1 or self.rounds < 1 or self.procedural < 0:
            raise ValueError(
                f"batch and rounds must be positive, got {self.batch} and {self.rounds}"
            )
        if not 0 <= self.hold < 1:
            raise ValueError(f"hold is a share of the run below 1, got {self.hold}")
        if any(size % 32 for size, _ in self.sizes):
            raise ValueError(f"sizes of crops must be multiples of 32, got {self.sizes}")
