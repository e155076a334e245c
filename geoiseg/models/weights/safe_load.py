"""Tensors out of a file that nobody vouches for: nothing in it is ever run."""

from __future__ import annotations

import json
import pickle
import re
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geoiseg.errors import WeightsError, require

if TYPE_CHECKING:
    import torch

STAND_INS = (
    "isegm.model.modeling.transformer_helper.cross_entropy_loss.CrossEntropyLoss",
    "isegm.model.modeling.transformer_helper.cross_entropy_loss.binary_cross_entropy",
    "isegm.model.modeling.transformer_helper.cross_entropy_loss.cross_entropy",
    "isegm.model.modeling.transformer_helper.cross_entropy_loss.mask_cross_entropy",
)
"""What SimpleClick's checkpoints name besides tensors, the loss they were trained with; an empty
class is put in its place, and nothing is imported or run."""
WRAPPERS = ("model", "state_dict", "model_state_dict", "ema_model", "params")
"""Keys under which a checkpoint keeps its tensors when it holds more than those."""


def load_state(path: Path) -> dict[str, torch.Tensor]:
    """Return the tensors of a checkpoint by name, on the CPU.

    ``.safetensors`` hold nothing else; pickles are read with ``weights_only=True``, which
    refuses everything but tensors and plain containers.

    Args:
        path: A ``.safetensors`` or ``.pth``/``.pt``/``.bin`` file, or a folder with
            ``model.safetensors``, in one piece or several.

    Raises:
        WeightsError: It is missing, cut short, no checkpoint, or asks to run code.
        MissingExtraError: PyTorch is not installed.
    """
    if path.is_dir():
        return _load_folder(path)
    _check_readable(path)
    if path.suffix == ".safetensors":
        return _load_safetensors(path)
    return _tensors_of(_unpickle(path), path)


def load_settings(path: Path) -> dict[str, Any]:
    """Return how a click network was built, as RITM and its heirs write it beside the tensors.

    Args:
        path: A checkpoint; anything but a pickle says nothing.

    Raises:
        WeightsError: As :func:`load_state`.
    """
    if path.is_dir() or path.suffix == ".safetensors":
        return {}
    _check_readable(path)
    content = _unpickle(path)
    config = content.get("config") if isinstance(content, dict) else None
    params = config.get("params") if isinstance(config, dict) else None
    if not isinstance(params, dict):
        return {}
    return {
        str(name): param.get("value") for name, param in params.items() if isinstance(param, dict)
    }


def _load_folder(folder: Path) -> dict[str, torch.Tensor]:
    single, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    if single.is_file():
        return load_state(single)
    if not index.is_file():
        raise WeightsError(f"there is no model.safetensors in {folder}")
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(f"cannot read {index}: {error}") from error
    state: dict[str, torch.Tensor] = {}
    for name in names:
        if Path(str(name)).name != name:
            raise WeightsError(f"{index} names a file outside its folder: {name!r}")
        state |= load_state(folder / name)
    return state


def _check_readable(path: Path) -> None:
    try:
        with path.open("rb") as handle:
            head = handle.read(512)
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error.strerror or error}") from error
    if not head:
        raise WeightsError(f"{path} is empty; download it again")
    if head.lstrip()[:9].lower().startswith((b"<!doctype", b"<html")):
        raise WeightsError(f"{path} is a web page, not a checkpoint; download it again")
    if head.startswith(b"version https://git-lfs"):
        raise WeightsError(f"{path} is a Git LFS pointer, not a checkpoint; run: git lfs pull")


def _load_safetensors(path: Path) -> dict[str, torch.Tensor]:
    require("torch", "sam")
    safetensors = require("safetensors", "sam")
    try:
        state: dict[str, torch.Tensor] = require("safetensors.torch", "sam").load_file(path)
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise WeightsError(
            f"{path} is no whole safetensors file ({reason}); download it again"
        ) from error
    return state


def _unpickle(path: Path) -> Any:
    torch = require("torch", "sam")
    # Mapped, a checkpoint is not in memory twice while it is copied into the network.
    mapped = zipfile.is_zipfile(path)
    try:
        with torch.serialization.safe_globals(_stand_ins()):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError as error:
        asked = re.search(r"GLOBAL ([\w.]+)", str(error))
        if asked is None:
            raise WeightsError(f"{path} is no PyTorch checkpoint, or is damaged") from error
        raise WeightsError(
            f"{path} was refused: besides tensors it asks to run {asked[1]}, which weights never"
            " need; get it from its makers, or ask them for a .safetensors file"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, TypeError, IndexError,
            AttributeError, AssertionError) as error:  # fmt: skip
        reason = " ".join(str(error).split()).partition(". ")[0][:120]
        raise WeightsError(
            f"{path} is cut short, damaged or no checkpoint"
            f"{f' ({reason})' if reason else ''}; download it again"
        ) from error


def _stand_ins() -> list[Any]:
    """Return an empty class for each of :data:`STAND_INS`, by its name."""
    places = (name.rpartition(".") for name in STAND_INS)
    return [type(name, (), {"__module__": module}) for module, _, name in places]


def _tensors_of(content: Any, path: Path) -> dict[str, torch.Tensor]:
    torch = require("torch", "sam")
    for _ in range(2):
        if not isinstance(content, dict):
            break
        inner = next((content[key] for key in WRAPPERS if isinstance(content.get(key), dict)), None)
        if inner is None:
            break
        content = inner
    if not isinstance(content, dict):
        raise WeightsError(f"{path} holds a {type(content).__name__}, not tensors by name")
    state = {name: value for name, value in content.items() if isinstance(value, torch.Tensor)}
    if not state or not all(isinstance(name, str) for name in state):
        raise WeightsError(f"{path} holds no tensors by name: it is no checkpoint of a model")
    return state
