"""Which chips go to training, validation and test: whole blocks of ground.

Never at random one by one: neighbouring chips look alike, and the same ground on another date is
no new ground.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import shapely
from numpy.typing import NDArray

from geoiseg.errors import GeoreferenceError
from geoiseg.raster import Grid, Window

SPLITS = ("train", "val", "test")
SAME = 0.1
"""Share of a block from which on it is ground that a block of an earlier raster has, too."""
LONLAT = "EPSG:4326"

Block = tuple[int, int, int]
"""Number of the raster, and row and column of the block on it."""


class Cut(Protocol):
    """How rasters are cut into chips."""

    @property
    def size(self) -> int:
        """Side of a chip in pixels."""
        ...

    @property
    def block(self) -> int:
        """Chips a side of a block."""
        ...

    @property
    def splits(self) -> tuple[float, float, float]:
        """Shares of training, validation and test."""
        ...

    @property
    def empty(self) -> bool:
        """Whether chips without objects are wanted."""
        ...


def planned(
    sources: Sequence[tuple[Grid, NDArray[Any]]], options: Cut
) -> list[tuple[int, Window, str]]:
    """Return the number of the source, the window and the split of each chip.

    Blocks of a raster that lie on ground of an earlier one go where that went.

    Args:
        sources: The grid of each raster, and its objects in the CRS of that.
        options: How it is cut.
    """
    weights: dict[Block, float] = {}
    windows: list[tuple[Window, Block]] = []
    for number, (grid, shapes) in enumerate(sources):
        for window, block, count in _chips(grid, shapes, options):
            key = (number, *block)
            windows.append((window, key))
            weights[key] = weights.get(key, 0.0) + max(1, count)
    roots = _roots(weights, [grid for grid, _ in sources], options)
    ground: dict[Block, float] = {}
    for key, weight in weights.items():
        ground[roots[key]] = ground.get(roots[key], 0.0) + weight
    split = split_blocks(ground, options.splits)
    return [(key[0], window, split[roots[key]]) for window, key in windows]


def _chips(
    grid: Grid, shapes: NDArray[Any], options: Cut
) -> Iterator[tuple[Window, tuple[int, int], int]]:
    """Yield windows of chips, the block of each, and how many objects it may have."""
    tree, size = shapely.STRtree(shapes), options.size
    for row in range(0, grid.height, size):
        for col in range(0, grid.width, size):
            window = Window(row, col, size, size).intersection(grid.whole)
            block = row // size // options.block, col // size // options.block
            found = tree.query(grid.window(window).footprint, predicate="intersects")
            if len(found) or options.empty:
                yield window, block, len(found)


def _roots(keys: Mapping[Block, float], grids: Sequence[Grid], options: Cut) -> dict[Block, Block]:
    """Return for each block the first one that is of the same ground; itself where none is."""
    roots: dict[Block, Block] = {}
    own: list[Block] = []
    for number, grid in enumerate(grids):
        here = [key for key in keys if key[0] == number]
        tree = shapely.STRtree([_ground(key, grids[key[0]], options) for key in own])
        for key in here:
            shape = _ground(key, grid, options)
            near = tree.query(shape, predicate="intersects")
            both = shapely.area(shapely.intersection(tree.geometries[near], shape))
            best = int(near[np.argmax(both)]) if len(near) else -1
            same = best >= 0 and both.max() > SAME * shape.area
            roots[key] = roots[own[best]] if same else key
        own += here
    return roots


def _ground(key: Block, grid: Grid, options: Cut) -> Any:
    """Return the outline of a block in degrees; empty where nobody knows where it lies."""
    side = options.size * options.block
    window = Window(key[1] * side, key[2] * side, side, side).intersection(grid.whole)
    try:
        found = grid.window(window).footprint_in(LONLAT) if grid.crs is not None else None
    except GeoreferenceError:
        found = None
    if found is None or not np.isfinite(found.bounds).all():
        return shapely.Polygon()
    return shapely.make_valid(found)


def split_blocks(
    weights: Mapping[Block, float], shares: tuple[float, float, float]
) -> dict[Block, str]:
    """Return the split of each block, so that the shares of objects come out as asked.

    The heaviest block goes first, each to the split that lacks most of its share; none is left
    empty where there are blocks enough.
    """
    total, held = sum(weights.values()), dict.fromkeys(SPLITS, 0.0)
    wanted = dict(zip(SPLITS, shares, strict=True))
    chosen = {}
    order = sorted(weights, key=lambda one: (-weights[one], one))
    for count, block in enumerate(order):
        open_ones = [name for name in SPLITS if wanted[name] > 0]
        bare = [name for name in open_ones if not held[name]]
        open_ones = bare if bare and len(order) - count <= len(bare) else open_ones
        name = max(open_ones, key=lambda one: wanted[one] * total - held[one])
        chosen[block] = name
        held[name] += weights[block]
    return chosen
