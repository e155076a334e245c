"""From a checkpoint on disk to a model: which architecture it is, and who builds it."""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from geoiseg.errors import ModelError, WeightsError, require
from geoiseg.models.clicks.detect import click_architecture
from geoiseg.models.options import ModelOptions
from geoiseg.models.protocol import Model
from geoiseg.models.sam.detect import architecture_of

ADAPTERS = {
    "sam-vit": "geoiseg.models.sam.meta:load_meta",
    "mobile-sam": "geoiseg.models.sam.meta:load_meta",
    "slimsam": "geoiseg.models.sam.meta:load_meta",
    "sam-hq": "geoiseg.models.sam.hq:load_hq",
    "sam2": "geoiseg.models.sam.sam2:load_sam2",
    "edgetam": "geoiseg.models.sam.edgetam:load_edgetam",
    "sam3": "geoiseg.models.sam.sam3:load_sam3",
    "sam3-words": "geoiseg.models.sam.sam3_words:load_words",
    "efficient-sam": "geoiseg.models.sam.efficient:load_efficient_sam",
    "efficientvit-sam": "geoiseg.models.sam.light:load_efficientvit",
    "ritm": "geoiseg.models.clicks.load:load_clicks",
    "simpleclick": "geoiseg.models.clicks.load:load_clicks",
    "focalclick": "geoiseg.models.clicks.load:load_clicks",
    "cdnet": "geoiseg.models.clicks.load:load_clicks",
    "dos": "geoiseg.models.clicks.load:load_clicks",
}
"""``module:function`` by the beginning of an architecture's name; the longest one wins.

Such a function takes a :class:`Source` and returns a model.
"""
WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")
"""What a folder of the Hugging Face kind keeps its weights in."""


@dataclass(frozen=True)
class Source:
    """A checkpoint on disk, read once and only when asked."""

    path: Path
    """A ``.pth``, ``.pt`` or ``.safetensors`` file, or a folder with ``config.json``."""
    name: str
    """Name the model goes by."""
    options: ModelOptions
    asked: str | None = None
    """Architecture it should be; None leaves it to the file."""

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """The files that hold weights.

        Raises:
            WeightsError: There is nothing at the path, or no weights in the folder.
        """
        if self.path.is_file():
            return (self.path,)
        if not self.path.is_dir():
            raise WeightsError(f"there is no checkpoint {str(self.path)!r}")
        for name in WEIGHT_FILES:
            if (self.path / name).is_file():
                return (self.path / name,)
        index = self.path / f"{WEIGHT_FILES[0]}.index.json"
        if index.is_file():
            parts = sorted(set(_read_json(index).get("weight_map", {}).values()))
            return tuple(self.path / Path(part).name for part in parts)
        raise WeightsError(
            f"the folder {str(self.path)!r} has no weights; it should hold"
            f" config.json and {WEIGHT_FILES[0]}"
        )

    @cached_property
    def state(self) -> dict[str, Any]:
        """The tensors by name, as the file has them.

        Raises:
            WeightsError: A file is truncated, hostile or no checkpoint.
        """
        from geoiseg.models.weights.safe_load import load_state

        require("torch", "sam")
        tensors: dict[str, Any] = {}
        for file in self.files:
            tensors.update(load_state(file))
        return tensors

    @cached_property
    def config(self) -> Mapping[str, Any]:
        """What ``config.json`` says; empty for a single file."""
        path = self.path / "config.json"
        return _read_json(path) if path.is_file() else {}

    @cached_property
    def architecture(self) -> str:
        """Name of the architecture, as the weights show it.

        Raises:
            WeightsError: It is none that is known, or not the one that was asked for.
        """
        found = architecture_of(self.config, self.state) or click_architecture(self.state)
        if found is None:
            raise WeightsError(
                f"{str(self.path)!r} is no checkpoint of the SAM family or of a click network: its"
                f" {len(self.state)} tensors have other names"
            )
        if self.asked is not None and not _same(self.asked, found):
            raise WeightsError(
                f"{str(self.path)!r} holds the weights of {found}, not of {self.asked}"
            )
        return self.asked or found

    @cached_property
    def settings(self) -> dict[str, Any]:
        """How a click network was built, where its checkpoint says so."""
        from geoiseg.models.weights.safe_load import load_settings

        return load_settings(self.path)

    @cached_property
    def weights_hash(self) -> str:
        """SHA-256 of the weights in hexadecimal; of the files' hashes where there are many."""
        from geoiseg.models.weights.store import file_hash

        hashes = [file_hash(file) for file in self.files]
        if len(hashes) == 1:
            return str(hashes[0])
        return hashlib.sha256("".join(hashes).encode()).hexdigest()


def load_sam(
    path: Path, architecture: str | None, name: str, options: ModelOptions, brs: str = ""
) -> Model:
    """Return the model whose weights are at a path.

    Args:
        path: A checkpoint file, or a folder of the Hugging Face kind.
        architecture: What it should be, e.g. ``sam-vit-b``; None finds out.
        name: Name the model goes by in the registry and in provenance.
        options: Device, precision and backend.
        brs: ``a``, ``b`` or ``c``: kind of f-BRS to run around a network of RITM.

    Raises:
        WeightsError: The file is damaged, unknown or of another architecture.
        MissingExtraError: torch is not installed.
        ModelError: The device, precision or backend can not be had.
    """
    source = Source(Path(path), name, options, architecture)
    kind = architecture if source.path.is_dir() and architecture else source.architecture
    module, _, function = _adapter(kind).partition(":")
    load = getattr(importlib.import_module(module), function)
    if brs and not module.endswith(".clicks.load"):
        raise ModelError(f"f-BRS runs around networks of RITM alone, and {name} is a {kind}")
    model: Model = load(source, brs) if brs else load(source)
    return model


def _adapter(architecture: str) -> str:
    fitting = [prefix for prefix in ADAPTERS if architecture.startswith(prefix)]
    if not fitting:
        raise WeightsError(
            f"there is no adapter for {architecture!r}; known are: {', '.join(ADAPTERS)}"
        )
    return ADAPTERS[max(fitting, key=len)]


def _same(asked: str, found: str) -> bool:
    """Whether a file may be what was asked for.

    SAM 2 and 2.1 have the same tensors, FocalClick's two sizes of picture too.
    """
    asked = asked.replace("sam2.1-", "sam2-")
    if asked.startswith("focalclick"):
        asked = asked.removesuffix("-s1").removesuffix("-s2")
    return asked == found.replace("sam2.1-", "sam2-")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise WeightsError(f"cannot read {str(path)!r}: {error}") from error
    if not isinstance(content, dict):
        raise WeightsError(f"{str(path)!r} should hold a JSON object")
    return content
