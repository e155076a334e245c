"""All models by name, file or repository. Nothing is loaded before a model is asked for."""

from __future__ import annotations

import difflib
import importlib
import re
import threading
from pathlib import Path
from typing import Any

from geoiseg.errors import ModelError, UnknownModelError, WeightsError, require
from geoiseg.models.classic import ENGINES, NEEDS
from geoiseg.models.listing import Listed, built_in, trained_here, with_weights
from geoiseg.models.options import PRECISIONS, ModelOptions
from geoiseg.models.own import folder_of_name, is_own, names_here
from geoiseg.models.protocol import Model
from geoiseg.models.tiny.earlier import FIRST, hash_of_first
from geoiseg.models.weights.catalogue import (
    CATALOGUE,
    HUB_PREFIX,
    WORD_FAMILIES,
    Checkpoint,
    from_hub,
)
from geoiseg.models.weights.store import find, missing_packages

DEFAULT_MODEL = "tiny"
"""The model that ships with the package: the fewest clicks without a download."""

TINY = {
    "tiny": "geoiseg.models.tiny.model:present",
    FIRST: "geoiseg.models.tiny.model:first_generation",
}
"""The small network that ships, and its first generation for what was made with it."""

MODELS = {**ENGINES, **TINY}
"""``module:Class`` of each model that ships with the package; a class takes no arguments, but for
:data:`TINY`, which take how they run."""

F_BRS = re.compile(r"(?P<name>.+)\+f-brs-(?P<kind>[abc])")
"""How a name ends that asks for f-BRS around a network of RITM, e.g. ``ritm-h18+f-brs-c``."""
YOLO_PREFIX = "yolo:"
"""How the name of a file begins that ultralytics runs, e.g. ``yolo:FastSAM-s.pt``."""
AUGMENTED = re.compile(r"(?P<name>.+?)\+(?P<kind>flip\+scale|flip|scale)")
"""How a name ends that asks for the mean over several views, e.g. ``tiny+flip``."""
CHECKPOINTS = (".pth", ".pt", ".bin", ".safetensors")
EXPORTS = ("*.onnx", "*.xml")

_Files = tuple[tuple[str, int, int], ...]
"""Name, size and time of change of each file of a model."""

_lock = threading.Lock()
_loaded: dict[tuple[str, ModelOptions], tuple[_Files, Model]] = {}


def models() -> tuple[Listed, ...]:
    """Return all models with a name, ready or not, the default first; loads none."""
    everything = (*built_in(), *trained_here(), *with_weights())
    return tuple(sorted(everything, key=lambda model: model.name != DEFAULT_MODEL))


def model_names() -> tuple[str, ...]:
    """Return the names of the models that can be used here and now, the default first."""
    return tuple(
        model.name for model in models() if model.is_ready and model.family not in WORD_FAMILIES
    )


def load_model(
    name: str, *, device: str = "auto", precision: str = "auto", backend: str = "auto"
) -> Model:
    """Return a model that runs as asked; see ``get_model`` for what can be a name.

    Args:
        name: In ``geoiseg models``, or a path, or ``hf:organisation/name``.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
        precision: ``auto``, ``fp32`` (exact), ``bf16``, ``fp16``.
        backend: ``auto``, ``torch``, ``torch-compile``, ``segment-anything``, ``onnxruntime``,
            ``openvino``.

    Raises:
        ModelError: An option is unknown, or not possible with this model.
        GeoisegError: As ``get_model``.
    """
    return get_model(name, ModelOptions(device, precision, backend))


def get_model(model: str | Path | Model, options: ModelOptions | None = None) -> Model:
    """Return a model, loaded once per process and options; a Model object is returned as is.

    It is loaded again where files of the user's own have changed since.

    Args:
        model: A name in ``geoiseg models``; the path of a checkpoint (``.pth``, ``.pt``,
            ``.safetensors``), of a folder in the layout of Hugging Face, or of an exported
            model; or ``hf:organisation/name``. ``+f-brs-a``, ``-b`` or ``-c`` after a network
            of RITM optimises it at each click; ``+flip``, ``+scale`` or ``+flip+scale`` after
            any name answers with the mean over several views; ``yolo:`` before a path is for
            ultralytics. Weights are never downloaded here.
        options: How to run it; by default what is fastest.

    Raises:
        UnknownModelError: No such name.
        WeightsError: The weights are not here, or are not weights; the message says what to run.
        MissingExtraError: The model needs a package that is not installed.
        ModelError: The options are not possible with this model.
    """
    if not isinstance(model, (str, Path)):
        if isinstance(model, Model):
            return model
        raise ModelError(
            f"a model is a name or an object with embed and decode, got {type(model).__name__}"
        )
    options = options or ModelOptions()
    key = (str(model), options)
    with _lock:
        files = _files_of(model)
        before, loaded = _loaded.get(key, (files, None))
        if loaded is None or before != files:
            loaded = _with_endings(model, options)
            _loaded[key] = files, loaded
        return loaded


def name_then(name: str, weights: str) -> str:
    """Return the name of the model that had these weights, for what was made with it.

    A name whose weights have changed since is that of the earlier generation where they were
    its; else it stays. Whether that one is here is not asked.

    Args:
        name: What the model was called.
        weights: Its hash then; empty where nobody wrote it down.
    """
    return FIRST if name == "tiny" and weights == hash_of_first() else name


def _files_of(model: str | Path) -> _Files:
    """Return the files of a model that was trained here or is given by its path, as they are now.

    One that was trained again under its name is another model, and so is another file of a path.
    """
    name = str(model)
    for ending in (AUGMENTED, F_BRS):
        found = ending.fullmatch(name)
        name = name if found is None else found["name"]
    name = name.removeprefix(YOLO_PREFIX)
    if name in MODELS or name in CATALOGUE:
        return ()
    own = None if isinstance(model, Path) else folder_of_name(name)
    place = own or Path(name).expanduser()
    try:
        files = sorted(place.iterdir()) if place.is_dir() else [place]
        states = [(file.name, file.stat()) for file in files]
    except OSError:
        return ()
    return tuple((name, state.st_size, state.st_mtime_ns) for name, state in states)


def _with_endings(model: str | Path, options: ModelOptions) -> Model:
    """Return a model whose name may end with what is to be done with it."""
    augmented = AUGMENTED.fullmatch(str(model))
    if augmented is not None:
        inner = _with_endings(augmented["name"], options)
        return _made("geoiseg.models.augmented", "Augmented", inner, augmented["kind"])
    if str(model).startswith(YOLO_PREFIX):
        path = Path(str(model).removeprefix(YOLO_PREFIX)).expanduser().absolute()
        return _made("geoiseg.models.yolo.model", "load_yolo", path, str(model), options)
    optimised = F_BRS.fullmatch(str(model))
    if optimised is not None:
        return _optimised(optimised["name"], optimised["kind"], options)
    return _load(model, options)


def _load(model: str | Path, options: ModelOptions) -> Model:
    name = str(model)
    if name in MODELS:
        _check_built_in(name, options)
        for package in NEEDS.get(name, ()):
            require(package)
        module, _, factory = MODELS[name].partition(":")
        return _made(module, factory, *([options] if name in TINY else []))
    if name in CATALOGUE and CATALOGUE[name].family in WORD_FAMILIES:
        raise ModelError(
            f"{name} finds what words name and takes no clicks; use it as an engine:"
            f" session.add_text('water', engine={name!r})"
        )
    if name in CATALOGUE:
        return _with_weights(CATALOGUE[name], options)
    if name.startswith(HUB_PREFIX):
        return _with_weights(from_hub(name), options)
    own = None if isinstance(model, Path) else folder_of_name(name)
    if own is not None:
        return _own(own, name, options)
    path = Path(model).expanduser()
    if isinstance(model, Path) or "/" in name or "\\" in name or path.suffix in CHECKPOINTS:
        return _from_path(path.absolute(), options)
    if path.is_dir():
        return _from_path(path.absolute(), options)
    known = (*MODELS, *names_here(), *CATALOGUE)
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    raise UnknownModelError(
        f"there is no model {name!r}; {hint}known are: {', '.join(known)};"
        " or give the path of a checkpoint, or hf:organisation/name"
    )


def _check_built_in(name: str, options: ModelOptions) -> None:
    """Refuse options that would be silently ignored."""
    fast = name in TINY and options.backend == "openvino"
    possible = {
        "device": ("auto", "cpu"),
        "precision": PRECISIONS if fast else ("auto", "fp32"),
        "backend": ("auto", *(("onnxruntime", "openvino") if name in TINY else ())),
    }
    for option, values in possible.items():
        given = getattr(options, option)
        if given not in values:
            raise ModelError(
                f"{name} has no choice of {option}, got {given!r}; leave it out, or take a model"
                " with weights"
            )


def _with_weights(checkpoint: Checkpoint, options: ModelOptions) -> Model:
    path = find(checkpoint)
    for package in missing_packages(checkpoint):
        require(package, "sam")
    return _load_sam(path, checkpoint.architecture, checkpoint.name, options)


def _optimised(name: str, kind: str, options: ModelOptions) -> Model:
    """Return a network of RITM, by its name or path, with f-BRS around it."""
    checkpoint = CATALOGUE.get(name)
    path = Path(name).expanduser().absolute() if checkpoint is None else find(checkpoint)
    architecture = None if checkpoint is None else checkpoint.architecture
    if not path.exists():
        raise WeightsError(f"there is no model or file {name!r} to run f-BRS around")
    return _load_sam(path, architecture, name, options, kind)


def _from_path(path: Path, options: ModelOptions) -> Model:
    """Return the model of a file or folder; its path is its name, so that it is found again."""
    if not path.exists():
        raise WeightsError(f"there is no file of weights {str(path)!r}")
    if path.is_dir():
        if (path / "config.json").is_file():
            return _load_sam(path, None, str(path), options)
        if is_own(path):
            return _own(path, str(path), options)
        if any(any(path.glob(pattern)) for pattern in EXPORTS):
            return _made("geoiseg.models.exported", "load_exported", path, str(path), options)
        raise WeightsError(
            f"{str(path)!r} is no folder of a model: it has neither config.json nor .onnx or .xml"
        )
    if path.suffix not in CHECKPOINTS:
        raise WeightsError(
            f"{str(path)!r} is no checkpoint: give a {', '.join(CHECKPOINTS)} file, or the folder"
            " of an exported model"
        )
    return _load_sam(path, None, str(path), options)


def _own(folder: Path, name: str, options: ModelOptions) -> Model:
    return _made("geoiseg.models.tiny.own", "load_own", folder, name, options)


def _load_sam(
    path: Path, architecture: str | None, name: str, options: ModelOptions, brs: str = ""
) -> Model:
    require("torch", "sam")
    return _made("geoiseg.models.sam", "load_sam", path, architecture, name, options, brs)


def _made(module: str, factory: str, *arguments: Any) -> Model:
    loaded: Model = getattr(importlib.import_module(module), factory)(*arguments)
    return loaded
