"""What decides how a whole raster is mapped."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from geoiseg.errors import PromptError
from geoiseg.models import ModelInfo, ModelOptions
from geoiseg.outline import OutlineOptions
from geoiseg.words import WordsOptions

STRICT = ("sam", "mobilesam", "edgetam")
"""Families of models whose scores and logits are those of segment-anything, whose automatic
masks ask for a score of 0.88; most of what they answer is good."""
MODES = ("lattice", "fast", "best")
"""Ways to find all objects: a lattice of points is asked; the dense heads of one look at each
window say it; these, and what is doubtful is asked again."""
DENSE_MODES = MODES[1:]
COLUMNS = ("geoiseg", "fiboa")
"""Whose names the columns have: geoiseg's own, or those of fiboa's field boundaries."""
OWN_COLUMNS = COLUMNS[0]
SIDE = 1024
"""Side of the windows in which words are looked for, unless another is asked for."""
SCALES = (4, 2, 1)
"""Reductions at which windows are looked at, coarse ones first."""
LARGE = 2048
"""The same of the dense modes: what is read twice around windows is less then."""


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
    scales: tuple[int, ...] = SCALES
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
        _check_scales(self.scales)
        if self.batch < 1:
            raise PromptError(f"a batch holds at least one point, got {self.batch}")

    @classmethod
    def for_family(cls, family: str, **given: Any) -> AutomaticOptions:
        """Return the options that suit a family of models, but for those that are given."""
        if family.startswith(STRICT):
            given = {"min_score": 0.88, "min_stability": 0.92, **given}
        if family == "yolo":  # its confidence, of which it returns none less
            given = {"min_score": 0.25, **given}
        return cls(**given)


@dataclass(frozen=True, slots=True)
class DenseOptions:
    """How objects are found by what a model says of all pixels at once."""

    min_score: float = 0.35
    """Least IoU with an object that a region must be expected to have, 0..1."""
    best: bool = False
    """Whether objects that are in doubt are asked for one by one."""
    scales: tuple[int, ...] = SCALES
    """Reductions at which a window is looked at, coarse ones first; of a large raster those that
    a few places of it ask for, unless some are given."""
    coverage: bool = False
    """Whether all ground that objects are made of belongs to one."""

    def __post_init__(self) -> None:
        if not 0 <= self.min_score <= 1:
            raise PromptError(f"min_score is 0 to 1, got {self.min_score}")
        _check_scales(self.scales)


def _check_scales(scales: tuple[int, ...]) -> None:
    if not scales or any(s not in (1, 2, 4, 8, 16) for s in scales):
        raise PromptError(f"scales are of 1, 2, 4, 8 and 16, got {scales}")


@dataclass(frozen=True, slots=True)
class RefineOptions:
    """When an outline still fits the raster."""

    min_same: float = 0.5
    """Least IoU of the outline as it was drawn and as it is now, 0..1."""
    min_score: float = 0.4
    """Least IoU that the model predicts for its own mask, 0..1."""
    most: float | None = None
    """Metres, or pixels without a CRS, by which a border may move at most; any by default."""

    def __post_init__(self) -> None:
        for name in ("min_same", "min_score"):
            if not 0 <= getattr(self, name) <= 1:
                raise PromptError(f"{name} is 0 to 1, got {getattr(self, name)}")
        if self.most is not None and not self.most > 0:
            raise PromptError(f"a border may move by more than 0 metres, got {self.most}")


Finding = AutomaticOptions | DenseOptions
"""How all objects are found."""


@dataclass(frozen=True, slots=True)
class MapOptions:
    """How a raster is cut and what is kept."""

    gsd: float | None = None
    """Metres per pixel to work at; the raster's own by default."""
    window: int | None = None
    """Side in pixels of what the model looks at, which decides the result; by default 2048 for
    ``fast`` and ``best``, the model's own chip for ``lattice``."""
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
    mode: str | None = None
    """One of :data:`MODES`; by default ``fast`` for models with dense heads, unless something is
    said of the lattice, and ``lattice`` for others."""
    words: WordsOptions | None = None
    """What is looked for in words or by example, instead of all objects."""
    labels: str | Path | None = None
    """A vector file of drawn objects, by which the report says how good the map is."""
    keep_embeddings: bool = False
    """Whether what the model makes of a window is written to the cache of embeddings, so that
    another run need not encode it. What is there is read in any case."""
    coverage: bool = False
    """Whether the objects are a partition of the ground that they are made of, without gaps or
    overlaps, whose borders are shared vertex by vertex. All of them are in memory at the end."""
    simplify: float = 0.0
    """Pixels by which the borders of a coverage may move to lose vertices, both sides alike."""
    refine: RefineOptions | None = None
    """Set where the prompts are outlines that others drew, whose borders are to move to this
    raster; what still fits."""
    columns: str = OWN_COLUMNS
    """One of :data:`COLUMNS`."""
    outline: OutlineOptions = field(default_factory=lambda: OutlineOptions(line="pixels"))
    """How the outlines of prompted objects are drawn."""
    detail: str | None = None
    """``native``: prompted objects are followed to their end, their borders as fine as the raster
    (or ``gsd``); ``seen``: as they were seen; None: ``native``, but those of a project as its
    steps say."""
    running: ModelOptions = field(default_factory=ModelOptions)
    """How the model runs."""

    def __post_init__(self) -> None:
        if not 64 <= self.tile <= 1 << 20:
            raise PromptError(f"a tile is 64 to 1048576 pixels wide, got {self.tile}")
        if self.min_area < 1:
            raise PromptError(f"min_area is at least 1 pixel, got {self.min_area}")
        if self.attempts < 1:
            raise PromptError(f"a window is tried at least once, got {self.attempts} attempts")
        if not (math.isfinite(self.simplify) and 0 <= self.simplify <= 100):
            raise PromptError(f"simplify is 0 to 100 pixels, got {self.simplify}")
        if self.simplify and not self.coverage:
            raise PromptError("simplify goes with coverage: borders are to stay shared")
        if self.columns not in COLUMNS:
            raise PromptError(f"columns are {' or '.join(COLUMNS)}, got {self.columns!r}")
        if self.mode is not None and self.mode not in MODES:
            raise PromptError(f"the mode is {', '.join(MODES)}, got {self.mode!r}")
        if self.detail not in (None, "native", "seen"):
            raise PromptError(f"detail is native or seen, got {self.detail!r}")
        if self.gsd is not None and not (math.isfinite(self.gsd) and self.gsd > 0):
            raise PromptError(f"gsd is a positive number of metres per pixel, got {self.gsd!r}")

    @property
    def sharpen(self) -> bool | None:
        """What ``detail`` says, as ``segment_objects`` takes it."""
        return None if self.detail is None else self.detail == "native"

    def window_for(self, side: int) -> int:
        """Return the side of a window where ``side`` is what suits the model."""
        return max(side, 64, 2 * self.overlap) if self.window is None else self.window

    def side_for(self, model: ModelInfo) -> int:
        """Return the side of a window in which a model looks for all objects."""
        finding = self.finding(model)
        if not isinstance(finding, DenseOptions):
            return self.window_for(model.chip_size)
        return self.window_for(LARGE)

    def finding(self, model: ModelInfo) -> Finding:
        """Return how a model finds all objects.

        Raises:
            PromptError: It has no dense heads, or what was said of the lattice is of no use.
        """
        lattice = self._of_lattice()
        mode = self.mode or ("fast" if model.dense and not lattice else "lattice")
        if mode == "lattice" and self.coverage and self.words is None:
            raise PromptError("a coverage needs dense heads: take mode 'fast' or 'best', or words")
        if mode == "lattice":
            return self.automatic_for(model.family)
        if not model.dense:
            raise PromptError(
                f"{model.name} has no dense heads, which mode {mode!r} goes by; take mode 'lattice'"
            )
        if lattice:
            raise PromptError(
                f"{', '.join(lattice)}: of the lattice of points, which mode {mode!r} does not ask;"
                " leave it out, or take mode 'lattice'"
            )
        given = self.automatic if isinstance(self.automatic, Mapping) else {}
        return DenseOptions(best=mode == "best", coverage=self.coverage, **given)

    def _of_lattice(self) -> list[str]:
        """Return the names of what was said of the lattice."""
        if isinstance(self.automatic, AutomaticOptions):
            return ["AutomaticOptions"]
        shared = ("min_score", "scales") if self.mode in DENSE_MODES else ("min_score",)
        return [name for name in self.automatic or {} if name not in shared]

    @property
    def scales_given(self) -> bool:
        """Whether somebody has said at which reductions windows are looked at."""
        return not isinstance(self.automatic, Mapping | None) or "scales" in (self.automatic or {})

    def automatic_for(self, family: str) -> AutomaticOptions:
        """Return how objects are found by a model of a family."""
        if isinstance(self.automatic, AutomaticOptions):
            return self.automatic
        return AutomaticOptions.for_family(family, **(self.automatic or {}))

    def deciding(self) -> dict[str, Any]:
        """Return, ready for JSON, the options on which the result depends."""
        values = asdict(self)
        for name in (
            "aoi", "attempts", "columns", "keep_embeddings", "labels", "mode", "tile", "window"
        ):  # fmt: skip
            del values[name]
        return values
