"""Engines without weights. Light: each engine's module is imported when it is asked for."""

from __future__ import annotations

ENGINES: dict[str, str] = {
    "superpixel-walk": "geoiseg.models.classic.walk:SuperpixelWalk",
    "grabcut": "geoiseg.models.classic.grabcut:GrabCut",
}
"""``module:Class`` of each engine by its name; a class takes no arguments."""
