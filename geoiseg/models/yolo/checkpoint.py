"""A checkpoint of ultralytics read without running anything in it.

Such a file is a pickle of the whole network, objects and all. Each class it names is replaced
by an empty one, and only the plan of the network, the names of its classes and its tensors
are taken out.
"""

from __future__ import annotations

import ast
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


def check_plan(layers: Mapping[str, Any], modules: Any, where: Path) -> None:
    """Let no plan pass that names more than layers: ultralytics runs what some of its words say.

    Args:
        layers: The network's plan.
        modules: What has ultralytics' own layers as attributes, ``ultralytics.nn.modules``.
        where: The checkpoint, for messages.

    Raises:
        WeightsError: The plan asks for something else than a layer or an activation.
    """
    activation = layers.get("activation")
    if activation is not None and not _is_activation(activation):
        raise WeightsError(f"{where} was refused: {str(activation)[:80]!r} is no activation")
    for part in ("backbone", "head"):
        rows = layers.get(part)
        if not isinstance(rows, list) or not all(
            isinstance(row, (list, tuple)) and len(row) == 4 for row in rows
        ):
            raise WeightsError(f"{where} holds no network of ultralytics with its plan")
        for _, _, name, _ in rows:
            if not _is_layer(name, modules):
                raise WeightsError(
                    f"{where} was refused: {str(name)[:80]!r} is no layer of the ultralytics that"
                    " is installed"
                )


def _is_activation(said: Any) -> bool:
    """Return whether a text is a call of one of torch's layers with plain values, and no more."""
    try:
        call = ast.parse(said, mode="eval").body
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
            return False
        for value in (*call.args, *(word.value for word in call.keywords)):
            ast.literal_eval(value)
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        return False
    inside = ast.unparse(call.func.value)
    return inside in {"nn", "torch.nn"} and _is_module(require("torch.nn", "sam"), call.func.attr)


def _is_layer(name: Any, modules: Any) -> bool:
    """Return whether a name is that of a layer; ``TorchVision`` fetches whole networks."""
    if not isinstance(name, str) or name == "TorchVision":
        return False
    if name.startswith("nn."):
        return _is_module(require("torch.nn", "sam"), name.removeprefix("nn."))
    return _is_module(modules, name)


def _is_module(place: Any, name: str) -> bool:
    found = getattr(place, name, None)
    return isinstance(found, type) and issubclass(found, require("torch.nn", "sam").Module)


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
