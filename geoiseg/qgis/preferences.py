"""What the user chose for the map tool, kept in QGIS's settings."""

from __future__ import annotations

from typing import Any, Dict

from qgis.core import QgsSettings

DEFAULTS: Dict[str, Any] = {
    "model": "tiny",
    "at_screen_scale": True,
    "hover": True,
    "terms_allow": False,
    "paths": "",
    "simplify": 0.0,
    "smooth": 0,
    "square": False,
    "holes": 0.0,
    "parts": 0.0,
    "grow": 0.0,
    "snap": 0.0,
    "form": False,
}
OUTLINE = ("simplify", "smooth", "square", "holes", "parts", "grow")
"""Those that say how outlines are drawn."""


def preference(name: str) -> Any:
    """Return what was chosen, or the default, in the default's type."""
    default = DEFAULTS[name]
    return QgsSettings().value(f"geoiseg/{name}", default, type=type(default))


def outline_options() -> Dict[str, Any]:
    """Return how outlines are drawn, as the companion is told."""
    return {name: preference(name) for name in OUTLINE}


def prefer(name: str, value: Any) -> None:
    """Keep a choice."""
    QgsSettings().setValue(f"geoiseg/{name}", value)
