"""What a model is told of one object, in the pixels of one chip."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from geoiseg.errors import PromptError
from geoiseg.raster import BoolArray


@dataclass(frozen=True, slots=True, eq=False)
class PixelPrompts:
    """All that was said about one object, in the continuous pixel frame of a chip."""

    points: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 2)))
    """``(n, 2)`` positions as ``x, y``."""
    positive: BoolArray = field(default_factory=lambda: np.zeros(0, bool))
    """``(n,)`` True where the point lies on the object."""
    box: tuple[float, float, float, float] | None = None
    """``x0, y0, x1, y1`` around the object."""
    scribbles: tuple[tuple[NDArray[np.float64], bool], ...] = ()
    """Strokes: ``(k, 2)`` vertices as ``x, y``, and whether they lie on the object."""
    mask: BoolArray | None = None
    """``(y, x)`` an existing outline, rasterised, that is to be refined."""

    def __post_init__(self) -> None:
        if self.points.ndim != 2 or self.points.shape[1] != 2:
            raise PromptError(f"points must be (n, 2), got {self.points.shape}")
        if self.positive.shape != (len(self.points),):
            raise PromptError(
                f"{len(self.points)} points need as many signs, got {self.positive.shape}"
            )
        if self.box is not None and not (self.box[0] < self.box[2] and self.box[1] < self.box[3]):
            raise PromptError(f"a box needs x0 < x1 and y0 < y1, got {self.box}")

    def __bool__(self) -> bool:
        """Whether anything at all was said."""
        return bool(
            len(self.points) or self.box is not None or self.scribbles or self.mask is not None
        )
