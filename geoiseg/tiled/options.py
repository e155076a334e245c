"""What decides how a whole raster is mapped."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from geoiseg.errors import PromptError
from geoiseg.models import ModelOptions
from geoiseg.words import WordsOptions

STRICT = ("sam", "mobilesam", "edgetam")
"""Families of models whose scores and logits are those of segment-anything, whose automatic
masks ask for a score of 0.88; most of what they answer is good."""


@dataclass(frozen=True, slots=True)
class AutomaticOptions:
    """How objects are found without anybody pointing at them."""

    spacing: int = 64
    """Pixels between the points of the grid at which objects are asked for."""
    min_score: float = 0.5
    """Least IoU that the model must predict for its own mask, 0..1."""
    min_stability: float = 0.5
    """Least IoU of the masks at a higher and a lower threshold, 0..1."""
    max_hidden: float = 0.5
    """Share of a mask beyond which it gives way to better ones on the same ground: this is
    both non-maximum suppression and what keeps slivers away."""
    scales: tuple[int, ...] = (4, 2, 1)
    """Reductions at which a window is looked at, coarse ones first: larger objects need
    them."""
    batch: int = 16
    """Points that are answered together; what they find spares the model later ones."""

    def __post_init__(self) -> None:
        if not 4 <= self.spacing <= 4096:
            raise PromptError(f"the spacing is 4 to 4096 pixels, got {self.spacing}")
        for name in ("min_score", "min_stability", "max_hidden"):
            if not 0 <= getattr(self, name) <= 1:
                raise PromptError(f"{name} is 0 to 1, got {getattr(self, name)}")
        if not self.scales or any(s not in (1, 2, 4, 8, 16) for s in self.scales):
            raise PromptError(f"scales are of 1, 2, 4, 8 and 16, got {self.scales}")
        if self.batch < 1:
            raise PromptError(f"a batch holds at least one point, got {self.batch}")

    @classmethod
    def for_family(cls, family: str, **given: Any) -> AutomaticOptions:
        """Return the options that suit a family of models, but for those that are given."""
        if family.startswith(STRICT):
            given = {"min_score": 0.88, "min_stability": 0.92, **given}
        return cls(**given)


@dataclass(frozen=True, slots=True)
class MapOptions:
    """How a raster is cut and what is kept."""

    gsd: float | None = None
    """Metres per pixel to work at; the raster's own by default."""
    window: int | None = None
    """Side in pixels of what the model looks at, which decides the result; the model's own
    chip by default."""
    overlap: int = 128
    """Pixels that neighbouring windows share."""
    tile: int = 1024
    """Side in pixels of what is done at a time, and lost with a worker: as many whole windows
    as fit, one at least. It does not change the result."""
    min_area: int = 64
    """Least area of an object in pixels; smaller ones are left out."""
    aoi: Any = None
    """Area of interest: a vector file's path, or a shapely geometry in the raster's CRS."""
    label: str = ""
    """Label of every object found."""
    attempts: int = 2
    """How often a window is tried before it is given up and reported."""
    automatic: AutomaticOptions | Mapping[str, Any] | None = None
    """How objects are found without prompts; what is not given, by name, suits the model."""
    words: WordsOptions | None = None
    """What is looked for in words or by example, instead of all objects."""
    keep_embeddings: bool = False
    """Whether what the model makes of a window is written to the cache of embeddings, so that
    another run need not encode it. What is there is read in any case."""
    running: ModelOptions = field(default_factory=ModelOptions)
    """How the model runs."""

    def __post_init__(self) -> None:
        if not 64 <= self.tile <= 1 << 20:
            raise PromptError(f"a tile is 64 to 1048576 pixels wide, got {self.tile}")
        if self.min_area < 1:
            raise PromptError(f"min_area is at least 1 pixel, got {self.min_area}")
        if self.attempts < 1:
            raise PromptError(f"a window is tried at least once, got {self.attempts} attempts")
        if self.gsd is not None and not (math.isfinite(self.gsd) and self.gsd > 0):
            raise PromptError(f"gsd is a positive number of metres per pixel, got {self.gsd!r}")

    def window_for(self, chip_size: int) -> int:
        """Return the side of a window for a model with chips of that size."""
        return max(chip_size, 64, 2 * self.overlap) if self.window is None else self.window

    def automatic_for(self, family: str) -> AutomaticOptions:
        """Return how objects are found by a model of a family."""
        if isinstance(self.automatic, AutomaticOptions):
            return self.automatic
        return AutomaticOptions.for_family(family, **(self.automatic or {}))

    def deciding(self) -> dict[str, Any]:
        """Return, ready for JSON, the options on which the result depends."""
        values = asdict(self)
        for name in ("aoi", "attempts", "keep_embeddings", "tile", "window"):
            del values[name]
        return values
