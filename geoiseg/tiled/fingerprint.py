"""What decides a map besides its options: constants of the code, which a later version may change.

A run that is gone on with by other ones would be of two minds.
"""

from __future__ import annotations

from types import ModuleType

from geoiseg.models import ModelInfo
from geoiseg.models.tiny import afar, between, careful, outputs
from geoiseg.segment import hierarchy, spectral
from geoiseg.tiled import (
    automatic,
    candidates,
    dense,
    doubt,
    looks,
    reading,
    scales,
    sighted,
    uncovered,
)
from geoiseg.tiled.options import AutomaticOptions, Finding
from geoiseg.words import embedded, objects

KINDS = (int, float, tuple, dict, AutomaticOptions)
"""What a constant can be that decides something; names and types do not."""
LATTICE = (automatic, candidates, looks)
FAST = (hierarchy, dense, scales, reading, looks)
BEST = (*FAST, candidates, sighted, doubt, uncovered)
WORDS = (hierarchy, objects, embedded, looks)


def constants(finding: Finding, *, words: bool) -> dict[str, str]:
    """Return the constants on which a map depends, as text by ``module.NAME``.

    Args:
        finding: How all objects are found.
        words: Whether objects are found by words or examples instead.
    """
    modules: tuple[ModuleType, ...] = WORDS if words else LATTICE
    if not (words or isinstance(finding, AutomaticOptions)):
        modules = BEST if finding.best else FAST
    return {name: text for module in modules for name, text in _of(module)}


def prompted(info: ModelInfo) -> dict[str, str]:
    """Return the constants on which prompted objects depend, as text by ``module.NAME``.

    Args:
        info: Of the model that is asked.
    """
    known = {"spectral.VERSION": repr(spectral.VERSION)}
    if info.family != "tiny":
        return known
    deciding = (afar, between, careful, outputs)
    return known | {name: text for module in deciding for name, text in _of(module)}


def _of(module: ModuleType) -> list[tuple[str, str]]:
    """Return the constants of one module and their values as text."""
    short = module.__name__.rpartition(".")[2]
    return [
        (f"{short}.{name}", repr(value))
        for name, value in sorted(vars(module).items())
        if name.isupper() and not name.startswith("_") and isinstance(value, KINDS)
    ]
