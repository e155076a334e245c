"""Where to look next at an object that goes on beyond its chip."""

from __future__ import annotations

import numpy as np

from geoiseg.models import ModelInfo
from geoiseg.prompting import Frame, Prompts, oblong, place
from geoiseg.raster import Grid
from geoiseg.segment.masks import touched_border
from geoiseg.segment.outcome import Outcome

SHARE = 0.75
"""What was seen of an object takes up at most this share of a longer chip's sides, but where the
raster ends."""


def wider(grid: Grid, outcome: Outcome, prompts: Prompts, info: ModelInfo) -> Frame:
    """Return the chip on which an object that goes on beyond its own is looked at next.

    That is one from twice as far; but first a longer one of the same level, where such a one shows
    the end of the raster wherever the object goes on.

    Args:
        grid: The raster's full-resolution grid.
        outcome: What was seen of the object.
        prompts: All that was said about it.
        info: Of the model that is asked.
    """
    frame, mask = outcome.frame, outcome.mask.array
    if info.any_shape and max(frame.window.shape) <= info.chip_size:
        rows, cols = np.nonzero(mask)
        corners = np.array([(cols.min(), rows.min()), (cols.max() + 1, rows.max() + 1)])
        level = grid.level(frame.level)
        scale = np.array([grid.width / level.width, grid.height / level.height])
        corners = (corners + np.array([frame.window.col, frame.window.row])) * scale
        seen = np.clip(np.vstack([prompts.outline_pixels(grid), corners]), 0, grid.shape[::-1])
        box = (*seen.min(axis=0).tolist(), *seen.max(axis=0).tolist())
        longer = oblong(grid, frame.level, info.chip_size, box, SHARE)
        if longer is not None and not touched_border(mask, longer.open_sides(grid)):
            return longer
    return place(grid, prompts, info.chip_size, frame.level + 1, any_shape=info.any_shape)
