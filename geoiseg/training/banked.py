"""A bank of scenes in a file: made once, mapped into memory by every process of a run."""

from __future__ import annotations

from pathlib import Path

import torch

from geoiseg.training.bank import SceneBank


def save_bank(bank: SceneBank, path: Path) -> None:
    """Write a bank, through a temporary sibling."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part")
    state = {name: value for name, value in vars(bank).items() if name != "device"}
    torch.save(state, temporary)
    temporary.replace(path)


def load_bank(path: Path, device: torch.device) -> SceneBank:
    """Return the bank of a file; on a CPU its pixels are read as they are needed."""
    mapped = device.type == "cpu"
    state = torch.load(path, map_location=device, weights_only=True, mmap=mapped)
    bank = SceneBank.__new__(SceneBank)
    vars(bank).update(state, device=device)
    return bank
