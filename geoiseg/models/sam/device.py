"""Where a network runs and in which number format, and what happens when memory runs out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch

from geoiseg.errors import ModelError
from geoiseg.models.options import ModelOptions
from geoiseg.models.sam.attention import has_amx

T = TypeVar("T")
R = TypeVar("R")

FORMATS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """A device and a number format."""

    device: torch.device
    precision: str
    """One of the keys of :data:`FORMATS`."""

    @property
    def dtype(self) -> torch.dtype:
        """Format of the image encoder's weights; decoders stay in float32."""
        return FORMATS[self.precision]

    @property
    def suffix(self) -> str:
        """What the weights' hash ends with where masks differ from those in float32."""
        return "" if self.precision == "fp32" else f"+{self.precision}"

    def __str__(self) -> str:
        if self.device.type == "cuda":
            return f"{torch.cuda.get_device_name(self.device)} in {self.precision}"
        return f"{self.device.type} in {self.precision}"


def choose_place(options: ModelOptions) -> Place:
    """Return where and in which format to run.

    Raises:
        ModelError: There is no such device, or it can not do the precision.
    """
    device = _device(options.device)
    able = halves(device)
    if options.precision == "auto":
        return Place(device, "bf16" if "bf16" in able else "fp32")
    if options.precision != "fp32" and options.precision not in able:
        raise ModelError(
            f"precision {options.precision!r} is not to be had on {device}; take 'fp32'"
            + (f" or {able[0]!r}" if able else "")
        )
    return Place(device, options.precision)


def halves(device: torch.device) -> tuple[str, ...]:
    """Return the 16-bit formats that a device computes with faster than with 32 bits."""
    if device.type == "cuda":
        new = torch.cuda.get_device_capability(device) >= (8, 0)
        return ("bf16", "fp16") if new else ("fp16",)
    if device.type == "mps":
        return ("fp16",)
    ask = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return ("bf16",) if has_amx() or (ask and ask()) else ()


def _device(name: str) -> torch.device:
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ModelError(
            f"there is no device {name!r}; write 'auto', 'cpu', 'cuda', 'cuda:1' or 'mps'"
        ) from error
    count = {
        "cpu": 1,
        "cuda": torch.cuda.device_count(),
        "mps": int(torch.backends.mps.is_available()),
    }.get(device.type, 0)
    if (device.index or 0) >= count:
        raise ModelError(
            f"device {name!r} is not there: torch sees {count} of its kind; take 'auto' or 'cpu'"
        )
    return device


def in_batches(run: Callable[[Sequence[T]], Sequence[R]], items: Sequence[T], size: int) -> list[R]:
    """Return what ``run`` gives for all items, handed to it ``size`` at a time.

    Where the device's memory runs out, the batch is halved and work goes on with the
    smaller one.

    Args:
        run: Takes some items, returns as many results.
        items: All of them.
        size: Items at a time.

    Raises:
        ModelError: Not even a batch of half the size fits, or of one.
    """
    results: list[R] = []
    halved = False
    while len(results) < len(items):
        part = items[len(results) : len(results) + size]
        try:
            results.extend(run(part))
            continue
        except torch.OutOfMemoryError as error:
            if halved or len(part) == 1:
                raise ModelError(
                    f"the device's memory does not hold {len(part)} at a time; close what else"
                    " uses it, take a smaller model, or device='cpu'"
                ) from error
        # Past the handler: the traceback there would keep the failed batch's memory in use.
        halved, size = True, max(1, len(part) // 2)
        _log.warning("the device's memory ran out; going on with %d at a time", size)
    return results
