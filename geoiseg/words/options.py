"""What a whole raster is searched for."""

from __future__ import annotations

from dataclasses import dataclass

from geoiseg.errors import PromptError


@dataclass(frozen=True, slots=True)
class WordsOptions:
    """What is looked for, in one of three ways."""

    text: str = ""
    """Words; with ``project`` the name of a class that was taught there."""
    negative: str = ""
    """Words for what it should not be."""
    engine: str = ""
    """Name of the engine of words; the one that ships with the package by default."""
    threshold: float | None = None
    """Least score of an object; the engine's own by default."""
    like: str | None = None
    """A vector file of examples on the raster: objects like its polygons are looked for, and
    unlike those with ``positive`` 0."""
    project: str | None = None
    """A project file with a classifier that was taught."""

    def __post_init__(self) -> None:
        if self.like is None and not self.text.strip():
            raise PromptError("give words to look for, or a file of examples")
        if self.like is not None and self.project is not None:
            raise PromptError("give examples or a project with a classifier, not both")
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise PromptError(f"a threshold is 0 to 1, got {self.threshold}")
