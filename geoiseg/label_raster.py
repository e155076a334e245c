"""Accepted features as a raster: a cloud-optimised GeoTIFF on the pixels of the source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
import shapely
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError
from rasterio.features import rasterize
from rasterio.windows import Window as RioWindow

from geoiseg.errors import ExportError
from geoiseg.grid import Grid, Window

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
        ExportError: An option is unknown, an id is too large, or the disk is full.
    """
    if extent not in {"raster", "features"} or values not in {"id", "mask"}:
        raise ExportError(
            f"extent is raster or features, values id or mask: {extent!r}, {values!r}"
        )
    numbers = np.ones(len(frame), np.int64) if values == "mask" else frame["id"].to_numpy()
    top = int(numbers.max(initial=1))
    if top >= 2**32:
        raise ExportError(f"the id {top} does not fit into a mask; use values='mask'")
    dtype = "uint8" if top < 256 else "uint16" if top < 65536 else "uint32"
    if extent == "features" and len(frame):
        grid = grid.window(_cover(frame.geometry, grid))
    plain = path.with_name(f"{path.stem}.plain.tif")
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
            _burn(frame.geometry.to_numpy(), numbers, grid, target)
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
        reason = " ".join(str(error).split())
        raise ExportError(f"can not write the mask: {reason}; is the disk full?") from error
    finally:
        plain.unlink(missing_ok=True)


def _cover(geometries: Any, grid: Grid) -> Window:
    xy = shapely.get_coordinates(geometries.to_numpy())
    pixels = grid.to_pixel(xy)
    low = np.floor(pixels.min(axis=0) + 1e-6).astype(int)
    high = np.ceil(pixels.max(axis=0) - 1e-6).astype(int)
    size = np.maximum(high - low, 1)
    cover = Window(int(low[1]), int(low[0]), int(size[1]), int(size[0]))
    return cover.intersection(grid.whole)


def _burn(geometries: Any, numbers: Any, grid: Grid, target: Any) -> None:
    """Burn the features into every window that one of them meets."""
    tree = shapely.STRtree(geometries)
    for row in range(0, grid.height, STRIPE):
        for col in range(0, grid.width, STRIPE):
            window = Window(row, col, STRIPE, STRIPE).intersection(grid.whole)
            part = grid.window(window)
            hits = np.sort(tree.query(part.footprint, predicate="intersects"))
            if not len(hits):
                continue
            shapes = [(geometries[hit], int(numbers[hit])) for hit in hits]
            burned = rasterize(
                shapes, out_shape=part.shape, transform=part.transform, dtype=target.dtypes[0]
            )
            target.write(burned, 1, window=RioWindow(col, row, window.width, window.height))
