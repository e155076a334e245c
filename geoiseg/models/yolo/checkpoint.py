"""A checkpoint of ultralytics read without running anything in it.

Such a file is a pickle of the whole network, objects and all. Each class it names is replaced
by an empty one, and only the plan of the network, the names of its classes and its tensors
are taken out.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geoiseg.errors import WeightsError, require


@dataclass(frozen=True, slots=True)
class Plan:
    """What a network is built from."""

    layers: Mapping[str, Any]
    """The network's plan, as ultralytics' configuration files write it."""
    state: Mapping[str, Any]
    """Tensors by name."""
    names: Mapping[int, str]
    """Classes by number."""


class _Empty:
    """Stands in for any class; keeps what it is given and does nothing."""

    def __init__(self, *_: object, **__: object) -> None:
        self.held: dict[str, Any] = {}

    def __setstate__(self, state: object) -> None:
        self.held = dict(state) if isinstance(state, dict) else {}


def read_plan(path: Path) -> Plan:
    """Return the plan, tensors and classes of a checkpoint.

    Args:
        path: A ``.pt`` that ultralytics has written.

    Raises:
        WeightsError: It is damaged, or no network of ultralytics that segments.
    """
    torch = require("torch", "sam")
    try:
        asked = torch.serialization.get_unsafe_globals_in_checkpoint(str(path))
        stand_ins = [_stand_in(name) for name in asked]
        with torch.serialization.safe_globals(stand_ins):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, OSError, EOFError, ValueError, KeyError,
            TypeError, IndexError, AttributeError) as error:  # fmt: skip
        reason = " ".join(str(error).split())[:120]
        raise WeightsError(f"{path} is no checkpoint of ultralytics ({reason})") from error
    kept = content if isinstance(content, dict) else {}
    network = kept.get("ema") or kept.get("model")
    held = getattr(network, "held", {})
    layers, names = held.get("yaml"), held.get("names")
    if not isinstance(layers, dict) or not isinstance(names, (dict, list)):
        raise WeightsError(f"{path} holds no network of ultralytics with its plan")
    numbered = names if isinstance(names, dict) else dict(enumerate(names))
    classes = {int(number): str(name) for number, name in numbered.items()}
    return Plan(layers, dict(_tensors(network)), classes)


def _stand_in(name: str) -> type:
    module, _, short = name.rpartition(".")
    return type(short, (_Empty,), {"__module__": module, "__qualname__": short})


def _tensors(module: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the tensors of a module that was put aside, and of all within it."""
    held = getattr(module, "held", {})
    silent = held.get("_non_persistent_buffers_set") or ()
    for part in ("_parameters", "_buffers"):
        for name, tensor in (held.get(part) or {}).items():
            if tensor is not None and name not in silent:
                yield f"{prefix}{name}", tensor
    for name, child in (held.get("_modules") or {}).items():
        yield from _tensors(child, f"{prefix}{name}.")
