"""Blocks spread over a raster, from which its contrast is found."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from geoiseg.raster.grid import Window

SAMPLE_BLOCKS = 64
"""Most blocks read for the stretch of a raster without overviews."""
SAMPLE_COST = 1 << 22
"""Most pixels decoded for the stretch."""


def sample_blocks(shape: tuple[int, int], block: tuple[int, int], shift: float) -> Iterator[Window]:
    """Yield windows of whole blocks spread evenly over a raster.

    Args:
        shape: Rows and columns of the raster.
        block: Rows and columns of a block.
        shift: Where in each stride to look, 0..1.
    """
    rows, cols = min(block[0], shape[0]), min(block[1], shape[1])
    allowed = int(np.clip(SAMPLE_COST // (rows * cols), 1, SAMPLE_BLOCKS))
    down, across = -(-shape[0] // rows), -(-shape[1] // cols)
    n_across = min(across, max(1, round(np.sqrt(allowed * across / down))), allowed)
    n_down = min(down, max(1, allowed // n_across))
    height, width = min(rows, 2048), min(cols, 1 << 17)
    for i in range(n_down):
        for j in range(n_across):
            row = int((i + shift) * down / n_down) * rows
            col = int((j + shift) * across / n_across) * cols
            yield Window(row, col, min(height, shape[0] - row), min(width, shape[1] - col))
