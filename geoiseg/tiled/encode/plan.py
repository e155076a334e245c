"""Which chips clicks, or a map, can ask for: those that are worth encoding ahead."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import shapely

from geoiseg.errors import PromptError
from geoiseg.models import ModelInfo
from geoiseg.prompting import Frame, coarsest_level, level_for_gsd
from geoiseg.raster import ChipPlan, Grid
from geoiseg.tiled.looks import frames_of_map
from geoiseg.tiled.options import MapOptions


@dataclass(frozen=True, slots=True)
class EmbedOptions:
    """Which chips of a raster are encoded, and how."""

    levels: tuple[int, ...] | None = None
    """Pyramid levels; None takes all that clicks may ask for."""
    gsd: float | None = None
    """Metres per pixel: the one level that a session of that ``gsd`` works at."""
    area: Any = None
    """A shapely geometry in the raster's CRS: chips that clicks in it would use."""
    overlap: bool = True
    """All chips of the lattice. False takes every second one down and across: a quarter of
    the work, and only about a quarter of all clicks find theirs."""
    workers: int = 2
    """Threads that read ahead of the model."""
    for_map: MapOptions | None = None
    """A map: its windows, at all its scales, instead of the chips of clicks. Its ``gsd`` and
    ``aoi`` say where."""

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise PromptError(f"reading takes at least one worker, got {self.workers}")
        if self.levels is not None and self.gsd is not None:
            raise PromptError("give either levels or a gsd, not both")
        elsewhere = (self.levels, self.gsd, self.area) != (None, None, None)
        if self.for_map is not None and (elsewhere or not self.overlap):
            raise PromptError("for a map, give gsd, aoi and overlap as its MapOptions")


def chips_to_encode(grid: Grid, model: ModelInfo, options: EmbedOptions) -> list[Frame]:
    """Return the chips that clicks can ask for, the coarsest level first; or those of a map.

    Args:
        grid: The raster's full-resolution grid.
        model: That encodes them.
        options: Which of them.

    Raises:
        PromptError: There is no such level, or the area is off the raster.
    """
    if options.for_map is not None:
        return frames_of_map(grid, model, options.for_map)
    coarsest = coarsest_level(grid)
    levels: Sequence[int] = range(coarsest + 1)
    if options.gsd is not None:
        levels = (level_for_gsd(grid, options.gsd),)
    elif options.levels is not None:
        levels = options.levels
    for level in levels:
        if not 0 <= level <= coarsest:
            raise PromptError(f"this raster has levels 0 to {coarsest}, got {level}")
    frames = [
        frame
        for level in sorted(set(levels), reverse=True)
        for frame in _chips_of_level(grid, level, model.chip_size, options)
    ]
    if not frames:
        raise PromptError("the area does not meet the raster; is its CRS right?")
    return frames


def _chips_of_level(
    grid: Grid, level: int, chip_size: int, options: EmbedOptions
) -> Iterator[Frame]:
    at_level = grid.level(level)
    plan = ChipPlan(at_level.shape, chip_size)
    area = None
    if options.area is not None:
        area = shapely.transform(options.area, at_level.to_pixel)
        shapely.prepare(area)
    rows, columns = plan.count
    step = 1 if options.overlap else 2
    for row in _every(rows, step):
        for column in _every(columns, step):
            if area is None or area.intersects(_clicks_of(plan, row, column)):
                yield Frame(level, plan.chip(row, column))


def _every(count: int, step: int) -> list[int]:
    """Return each ``step``-th number below ``count``, and the last one."""
    return sorted({*range(0, count, step), count - 1})


def _clicks_of(plan: ChipPlan, row: int, column: int) -> Any:
    """Return the box of the places for which ``ChipPlan.around`` returns a chip."""
    step, half = plan.size // 2, plan.size / 2
    sides = []
    for number, count, length in zip((row, column), plan.count, plan.shape, strict=True):
        low = (number - 0.5) * step + half if number else 0
        high = (number + 0.5) * step + half if number < count - 1 else length
        sides.append((low, high))
    (top, bottom), (left, right) = sides
    return shapely.box(left, top, right, bottom)
