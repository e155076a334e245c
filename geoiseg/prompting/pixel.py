"""What a model is told of one object, in the pixels of one chip."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

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


def points_along(stroke: NDArray[Any], step: float, most: int) -> NDArray[np.float64]:
    """Return ``(n, 2)`` points evenly along a stroke, inside its ends.

    Args:
        stroke: ``(k, 2)`` vertices.
        step: Length that one point stands for.
        most: Points at most.
    """
    steps = np.hypot(*np.diff(stroke, axis=0).T) if len(stroke) > 1 else np.zeros(0)
    travelled = np.concatenate([[0.0], np.cumsum(steps)])
    count = int(np.clip(np.ceil(travelled[-1] / step), 1, most))
    at = (np.arange(count) + 0.5) / count * travelled[-1]
    return np.stack([np.interp(at, travelled, stroke[:, axis]) for axis in (0, 1)], axis=1)


def inside_box(box: tuple[float, float, float, float], shape: tuple[int, int]) -> BoolArray:
    """Return ``(y, x)`` the pixels of a chip whose middle lies in a box ``x0, y0, x1, y1``."""
    rows, columns = np.arange(shape[0]) + 0.5, np.arange(shape[1]) + 0.5
    x0, y0, x1, y1 = box
    return ((rows >= y0) & (rows <= y1))[:, None] & ((columns >= x0) & (columns <= x1))[None]
