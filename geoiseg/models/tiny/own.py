"""A model that was trained here, from its folder."""

from __future__ import annotations

from pathlib import Path

from geoiseg.errors import ModelError
from geoiseg.models.options import ModelOptions
from geoiseg.models.tiny.model import TinyModel


def load_own(folder: Path, name: str, options: ModelOptions) -> TinyModel:
    """Return a model from its folder, once its graphs are found to be what its card says.

    Raises:
        ModelError: An option is not possible with it.
        WeightsError: A file is missing, or is not what the card says.
    """
    possible = {"device": "cpu", "precision": "fp32", "backend": "onnxruntime"}
    for option, only in possible.items():
        given = getattr(options, option)
        if given not in {"auto", only}:
            raise ModelError(
                f"{name} runs with {option} {only} alone, got {given!r}; leave the option out"
            )
    return TinyModel(folder, name=name)
