"""All models by name. Nothing is imported or loaded before a model is asked for."""

from __future__ import annotations

import difflib
import importlib
import threading
from typing import Any

from geoiseg.errors import ModelError, UnknownModelError
from geoiseg.models.classic import ENGINES
from geoiseg.models.protocol import Model

DEFAULT_MODEL = "superpixel-walk"
"""The engine with the fewest clicks to 85 % IoU among those that need no download."""

MODELS = {**ENGINES, "tiny": "geoiseg.models.tiny.model:TinyModel"}
"""``module:Class`` of each model by its name; a class takes no arguments."""

_lock = threading.Lock()
_loaded: dict[str, Model] = {}


def model_names() -> tuple[str, ...]:
    """Return the names of all models, the default first."""
    return (DEFAULT_MODEL, *(name for name in MODELS if name != DEFAULT_MODEL))


def get_model(model: str | Model) -> Model:
    """Return the model of a name, loaded once per process; a Model object is returned as is.

    Raises:
        UnknownModelError: No such name.
        MissingExtraError: The model needs a package that is not installed.
    """
    if not isinstance(model, str):
        if isinstance(model, Model):
            return model
        raise ModelError(
            f"a model is a name or an object with embed and decode, got {type(model).__name__}"
        )
    path = MODELS.get(model)
    if path is None:
        close = difflib.get_close_matches(model, model_names(), n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise UnknownModelError(
            f"there is no model {model!r}; {hint}known are: {', '.join(model_names())}"
        )
    with _lock:
        if model not in _loaded:
            _loaded[model] = _load(path)
        return _loaded[model]


def _load(path: str) -> Model:
    module, _, name = path.partition(":")
    factory: Any = getattr(importlib.import_module(module), name)
    loaded: Model = factory()
    return loaded
