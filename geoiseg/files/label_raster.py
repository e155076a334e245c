"""Accepted features as a raster: a cloud-optimised GeoTIFF on the pixels of the source."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
import shapely
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError
from rasterio.features import rasterize
from rasterio.windows import Window as RioWindow

from geoiseg.atomic import why_failed
from geoiseg.errors import ExportError
from geoiseg.raster import Grid, Window

BLOCK = 512
"""Side of a block, in pixels."""
STRIPE = 2048
"""Side of the windows in which features are burned, in pixels."""


def write_labels(
    frame: Any, grid: Grid, path: Path, extent: str = "raster", values: str = "id"
) -> None:
    """Write a label raster window by window, so that memory does not grow with it.

    Args:
        frame: Features with an ``id`` column, in the CRS of the grid.
        grid: The raster's grid; its pixels are kept.
        path: Where to write, ending in .tif.
        extent: ``raster`` for the whole grid, ``features`` for what they cover.
        values: ``id`` burns each feature's id (background 0), ``mask`` burns 1.

    Raises:
        ExportError: An option is unknown, an id is too large, or it can not be written.
    """
    if extent not in {"raster", "features"} or values not in {"id", "mask"}:
        raise ExportError(
            f"extent is raster or features, values id or mask: {extent!r}, {values!r}"
        )
    numbers = np.ones(len(frame), np.int64) if values == "mask" else frame["id"].to_numpy()
    top = int(numbers.max(initial=1))
    if top >= 2**32:
        raise ExportError(f"the id {top} does not fit into a mask; use values='mask'")
    if extent == "features" and len(frame):
        grid = grid.window(_cover(frame.geometry, grid))
    dtype = label_dtype(top)
    burned = _burned(frame.geometry.to_numpy(), numbers, grid, dtype)
    write_windows(grid, path, dtype, burned)


def label_dtype(top: int) -> str:
    """Return the smallest type of pixels that holds labels up to ``top``."""
    return "uint8" if top < 256 else "uint16" if top < 65536 else "uint32"


def write_windows(
    grid: Grid, path: Path, dtype: str, windows: Iterable[tuple[Window, NDArray[Any]]]
) -> None:
    """Write a cloud-optimised GeoTIFF of one band, window by window; what is left out is 0.

    Args:
        grid: Of the raster to write.
        path: Where to write, ending in .tif.
        dtype: Of the pixels.
        windows: Pixels and where they go; aligned with ``STRIPE``, or blocks are written
            more than once.

    Raises:
        ExportError: It can not be written.
    """
    plain = path.with_name(".plain.tif")
    profile = {
        "driver": "GTiff",
        "height": grid.height,
        "width": grid.width,
        "count": 1,
        "dtype": dtype,
        "crs": None if grid.crs is None else grid.crs.to_wkt(),
        "transform": grid.transform,
        "tiled": True,
        "blockxsize": BLOCK,
        "blockysize": BLOCK,
        "compress": "deflate",
        "sparse_ok": True,
        "bigtiff": "if_safer",
    }
    try:
        with rasterio.open(plain, "w", **profile) as target:
            for window, pixels in windows:
                where = RioWindow(window.col, window.row, window.width, window.height)
                target.write(pixels, 1, window=where)
        rasterio.shutil.copy(
            plain,
            path,
            driver="COG",
            compress="deflate",
            overview_resampling="nearest",
            bigtiff="if_safer",
            sparse_ok="YES",
            blocksize=BLOCK,
        )
    except (RasterioError, CPLE_BaseError, OSError) as error:
        raise ExportError(f"can not write the mask: {why_failed(error, path)}") from error
    finally:
        plain.unlink(missing_ok=True)


def stripes(grid: Grid) -> Iterator[Window]:
    """Yield windows of ``STRIPE`` pixels a side that cover a grid, row by row."""
    for row in range(0, grid.height, STRIPE):
        for col in range(0, grid.width, STRIPE):
            yield Window(row, col, STRIPE, STRIPE).intersection(grid.whole)


def _cover(geometries: Any, grid: Grid) -> Window:
    xy = shapely.get_coordinates(geometries.to_numpy())
    pixels = grid.to_pixel(xy)
    low = np.floor(pixels.min(axis=0) + 1e-6).astype(int)
    high = np.ceil(pixels.max(axis=0) - 1e-6).astype(int)
    size = np.maximum(high - low, 1)
    cover = Window(int(low[1]), int(low[0]), int(size[1]), int(size[0]))
    return cover.intersection(grid.whole)


def _burned(
    geometries: Any, numbers: Any, grid: Grid, dtype: str
) -> Iterator[tuple[Window, NDArray[Any]]]:
    """Yield the features burned into every window that one of them meets."""
    tree = shapely.STRtree(geometries)
    for window in stripes(grid):
        part = grid.window(window)
        hits = np.sort(tree.query(part.footprint, predicate="intersects"))
        if len(hits):
            shapes = [(geometries[hit], int(numbers[hit])) for hit in hits]
            yield (
                window,
                rasterize(shapes, out_shape=part.shape, transform=part.transform, dtype=dtype),
            )
