"""What a model that is trained here may be called."""

from __future__ import annotations

import re
from pathlib import Path

from geoiseg.errors import ModelError
from geoiseg.models.own import place_for
from geoiseg.models.registry import MODELS
from geoiseg.models.weights.catalogue import CATALOGUE

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,59}")
"""No ending that asks for something to be done with it, such as ``+flip``."""


def place_for_new(said: str) -> Path:
    """Return the folder of a model that is to be made.

    Args:
        said: A name such as ``roofs``, or a path with a slash in it such as ``./roofs``.

    Raises:
        ModelError: A model ships under that name, or it can not be one.
    """
    folder = place_for(said)
    if not said or folder.name == said:
        if said in MODELS or said in CATALOGUE:
            raise ModelError(f"{said} is a model already; choose another name")
        if not NAME.fullmatch(said):
            raise ModelError(f"{said!r}: a name has letters, digits, _ . and - alone, 60 at most")
    return folder
