"""The engines of words by name. None is loaded before it is asked for; none is downloaded."""

from __future__ import annotations

import importlib
import threading
from pathlib import Path
from typing import Any

from geoiseg.errors import ModelError, PromptError, require
from geoiseg.models import Model
from geoiseg.models.weights.catalogue import CATALOGUE, CHECKPOINTS, OPEN_CLIP, WORD_FAMILIES
from geoiseg.models.weights.store import find, missing_packages
from geoiseg.words.embedded import EmbeddedWords
from geoiseg.words.engine import WordEngine

DEFAULT = "words"
"""The engine that ships with the package."""
CLASSES = {
    "clip": ("geoiseg.words.ranking", "ClipRanking"),
    "owlv2": ("geoiseg.words.pretrained", "Owlv2"),
    "grounding-dino": ("geoiseg.words.pretrained", "GroundingDino"),
    "clipseg": ("geoiseg.words.pretrained", "ClipSeg"),
}
"""Module and class by the model's type in ``config.json``."""

_lock = threading.RLock()
_loaded: dict[tuple[str, str], WordEngine] = {}


def engine_names() -> tuple[str, ...]:
    """Return the engines with a name, whether ready or not, the default first."""
    others = (row.name for row in CATALOGUE.values() if row.family in {*WORD_FAMILIES, "sam3"})
    return (DEFAULT, *others)


def get_engine(name: str, model: Model) -> WordEngine:
    """Return an engine, loaded once per process and model.

    Args:
        name: In ``engine_names``, or the path of a folder with config.json; empty for the
            session's model where that takes words, else the one that ships with the package.
        model: The session's model: turns boxes into masks.

    Raises:
        PromptError: There is no such engine.
        ModelError: It is not ready; the message says what is missing and how to get it.
    """
    own = any(hasattr(model, name) for name in ("concepts", "classes"))
    takes_text = model.info.takes_text and own
    if name == "" and takes_text:
        name = model.info.name
    key = (name or DEFAULT, "" if name in ("", DEFAULT) else _identity(model))
    with _lock:
        if key not in _loaded:
            _loaded[key] = _load(key[0], model, takes_text=takes_text)
        return _loaded[key]


def get_like_engine(name: str, model: Model, examples: Any, words: str) -> WordEngine:
    """Return an engine that looks for more like examples by itself.

    Args:
        name: As for ``get_engine``.
        model: The session's model.
        examples: ``geoiseg.words.concept.Examples``.
        words: What they are called; empty for nothing.

    Raises:
        PromptError: There is no such engine, or it takes no examples.
        ModelError: It is not ready; the message says what is missing and how to get it.
    """
    engine: Any = get_engine(name, model)
    if not hasattr(engine, "like"):
        raise PromptError(
            f"the engine {name!r} takes words but no examples; sam3 takes both, and without an"
            " engine the network that ships with the package looks for more like them"
        )
    made: WordEngine = engine.like(examples, words)
    return made


def _identity(model: Model) -> str:
    return f"{model.info.name}@{model.info.weights_hash}"


def _load(name: str, model: Model, *, takes_text: bool) -> WordEngine:
    if name == DEFAULT:
        return EmbeddedWords()
    if takes_text and name == model.info.name:
        return _concepts(model) if hasattr(model, "concepts") else _class_names(model)
    checkpoint = CATALOGUE.get(name)
    if checkpoint is None:
        return _from_path(name, model)
    folder = find(checkpoint)
    for package in missing_packages(checkpoint):
        require(package, "text")
    if checkpoint.family == "sam3":
        return _concepts(importlib.import_module("geoiseg.models.registry").get_model(name))
    if checkpoint.architecture == OPEN_CLIP:
        return _open_clip(name, folder, model)
    return _from_folder(name, folder, model)


def _from_path(name: str, model: Model) -> WordEngine:
    path = Path(name).expanduser()
    if path.is_file() and path.suffix in CHECKPOINTS:
        return _open_clip(name, path, model)
    if not path.is_dir():
        raise PromptError(
            f"there is no engine {name!r} for words; known are: {', '.join(engine_names())};"
            " or give the folder of one"
        )
    return _from_folder(name, path, model)


def _from_folder(name: str, folder: Path, model: Model) -> WordEngine:
    if not (folder / "config.json").is_file() and any(
        path.suffix in CHECKPOINTS for path in folder.iterdir()
    ):
        return _open_clip(name, folder, model)
    kind = importlib.import_module("geoiseg.words.pretrained").folder_kind(folder)
    if kind.startswith("sam3"):
        return _concepts(importlib.import_module("geoiseg.models.registry").get_model(str(folder)))
    if kind not in CLASSES:
        raise ModelError(
            f"{str(folder)!r} is a {kind or 'model of no known type'!r}, which is no engine for"
            f" words; known types are: {', '.join(CLASSES)}"
        )
    module, made = CLASSES[kind]
    engine: WordEngine = getattr(importlib.import_module(module), made)(name, folder, model)
    return engine


def _open_clip(name: str, path: Path, model: Model) -> WordEngine:
    module = importlib.import_module("geoiseg.words.open_clip")
    engine: WordEngine = module.OpenClipRanking(name, path, model)
    return engine


def _class_names(model: Any) -> WordEngine:
    engine: WordEngine = importlib.import_module("geoiseg.words.naming").ClassNames(model)
    return engine


def _concepts(model: Any) -> WordEngine:
    engine: WordEngine = importlib.import_module("geoiseg.words.concept").Concepts(model)
    return engine
