"""What a model is shown of a window at each reduction.

It is fixed to the raster, so that it can be encoded ahead.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from geoiseg.models import ModelInfo
from geoiseg.prompting import Frame, level_for_gsd
from geoiseg.raster import Grid, Window
from geoiseg.tiled.aoi import read_aoi, windows_in
from geoiseg.tiled.candidates import Placement
from geoiseg.tiled.options import DenseOptions, Finding, MapOptions
from geoiseg.tiled.plan import WindowPlan
from geoiseg.tiled.reading import parts

MARGIN = 64
"""Pixels around a window that the model sees besides, so that it answers the same whatever the
tiling."""
DENSE_MARGIN = 32
"""The same where dense heads say it, and windows overlap besides."""
STRIDE = 32
"""Cells of the coarsest features of most networks."""


@dataclass(frozen=True, slots=True)
class Look:
    """Where a model looks for a window."""

    frame: Frame
    place: Placement
    """How the pixels of the frame lie over those of the window."""


def look_at(grid: Grid, level: int, window: Window, factor: int, margin: int = MARGIN) -> Look:
    """Return where a model looks for a window at a reduction.

    Args:
        grid: The raster's full-resolution grid.
        level: Of the window.
        window: In pixels of the level.
        factor: Reduction, a power of two.
        margin: Pixels of the reduction that are seen around the window.
    """
    near, reduced = grid.level(level), level + factor.bit_length() - 1
    far = grid.level(reduced)
    zoom = (near.width / far.width, near.height / far.height)
    bottom, right = window.stop
    top, left = int(window.row / zoom[1]) - margin, int(window.col / zoom[0]) - margin
    if margin:  # starts on the cells of coarse features, the same ones whatever the window
        top, left = max(0, top // STRIDE * STRIDE), max(0, left // STRIDE * STRIDE)
    height = math.ceil(bottom / zoom[1]) + margin - top
    width = math.ceil(right / zoom[0]) + margin - left
    around = Window(top, left, height, width).intersection(far.whole)
    corner = (around.col * zoom[0] - window.col, around.row * zoom[1] - window.row)
    return Look(Frame(reduced, around), Placement(zoom, corner))


def margin_for(finding: Finding) -> int:
    """Return how many pixels a model sees around a window, by how it finds objects."""
    return DENSE_MARGIN if isinstance(finding, DenseOptions) else MARGIN


def frames_of_map(grid: Grid, model: ModelInfo, options: MapOptions) -> list[Frame]:
    """Return all that a map without prompts or words may show the model, each once.

    Args:
        grid: The raster's full-resolution grid.
        model: Of the map.
        options: Of the map.

    Raises:
        PromptError: The windows or the area of interest make no sense.
    """
    level = level_for_gsd(grid, options.gsd)
    at_level = grid.level(level)
    plan = WindowPlan(at_level.shape, options.side_for(model), options.overlap)
    finding = options.finding(model)
    scales = finding.scales
    looks = (
        look_at(grid, level, plan.window(number), factor, margin_for(finding)).frame
        for number in windows_in(plan, read_aoi(options.aoi, at_level))
        for factor in scales
    )
    if isinstance(finding, DenseOptions):
        looks = (part for frame in looks for part in _parts(frame))
    return list(dict.fromkeys(looks))


def _parts(frame: Frame) -> Iterator[Frame]:
    """Yield the parts in which a frame is read."""
    for _, seen in parts(frame.window.shape):
        row, col = frame.window.row + seen.row, frame.window.col + seen.col
        yield Frame(frame.level, Window(row, col, *seen.shape))
