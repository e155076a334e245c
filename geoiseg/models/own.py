"""Models that users have trained for themselves: where they are kept, and what they are called."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from geoiseg.home import home

CARD, FAMILY = "card.json", "tiny-own"
"""Name of the card in the folder of a model, and what it says of one that was trained here."""


def place_for(said: str) -> Path:
    """Return the folder of a model that is to be made: a plain word is kept as a name.

    Args:
        said: ``roofs``, or a path with a slash in it such as ``./roofs``.
    """
    if Path(said).name == said and said not in {".", ".."} and "\\" not in said:
        return home() / "own" / said
    return Path(said).expanduser().absolute()


def folder_of_name(name: str) -> Path | None:
    """Return the folder of a model by its name; None where there is none such."""
    folder = place_for(name)
    return folder if folder.parent == home() / "own" and is_own(folder) else None


def is_own(folder: Path) -> bool:
    """Return whether a folder holds a model that was trained here; no weights are read."""
    return card_of(folder).get("family") == FAMILY


def card_of(folder: Path) -> dict[str, Any]:
    """Return the card of a folder; empty where there is none that can be read."""
    try:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return card if isinstance(card, dict) else {}


def folders_here() -> dict[str, Path]:
    """Return the folders of all models that are kept by name."""
    place = home() / "own"
    if not place.is_dir():
        return {}
    folders = sorted(place.glob("[!.]*"))  # hidden ones are in the making
    return {folder.name: folder for folder in folders if is_own(folder)}


def names_here() -> tuple[str, ...]:
    """Return the names of all models that are kept by name."""
    return tuple(folders_here())
