"""How GDAL opens the source of a raster: its options, what is shared, and where it lies."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import rasterio
from affine import Affine
from rasterio._err import CPLE_BaseError
from rasterio.enums import ColorInterp, Resampling
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.vrt import WarpedVRT

from geoiseg.errors import GeoreferenceError, RasterError
from geoiseg.raster.grid import PIXELS, Grid
from geoiseg.raster.readers.headers import palette_of
from geoiseg.raster.readers.naming import part_name

log = logging.getLogger(__name__)

GDAL_OPTIONS: dict[str, Any] = {
    "GDAL_CACHEMAX": 128 << 20,  # by default 5 % of the machine's memory
    "GDAL_NUM_THREADS": "ALL_CPUS",
    "GDAL_HTTP_CONNECTTIMEOUT": 15,  # seconds; by default a dead server is waited for forever
    "GDAL_HTTP_TIMEOUT": 120,
    "GDAL_HTTP_MAX_RETRY": 2,
}
"""How GDAL is set while a raster is opened or read."""


def limit_gdal_threads(threads: int) -> None:
    """Have GDAL decompress with so many threads in this process from now on."""
    GDAL_OPTIONS["GDAL_NUM_THREADS"] = str(threads)


def own_or_shared(source: Any) -> tuple[Any, str]:
    """Return the dataset that has to be shared (None if it can be reopened) and its name."""
    if isinstance(source, (str, Path)):
        return None, str(source)
    if getattr(source, "closed", False):
        raise RasterError(f"{source.name} is a closed dataset; open it again or give its path")
    name = str(source.name)
    if isinstance(source, WarpedVRT) or name.startswith("/vsimem/") or source.mode != "r":
        return source, name
    return None, name


def _exists(path: str) -> bool:
    """Return whether the file of a raster's name is there."""
    return bool(part_name(path).before) or Path(path).exists()


def opened(path: str) -> Any:
    """Return a dataset.

    Raises:
        RasterError: There is none, or it can not be opened.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            return rasterio.open(path)
    except (RasterioError, OSError, ValueError, TypeError, UnicodeError) as error:
        if "://" not in path and not path.startswith("/vsi") and not _exists(path):
            raise RasterError(f"{path} does not exist") from error
        raise RasterError(f"can not open {path} as a raster: {cause(error)}") from error


def cause(error: BaseException) -> str:
    """Return the innermost message of a chain of errors, on one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    return " ".join(str(error).split()) or type(error).__name__


def georeferenced(dataset: Any, name: str) -> Any:
    """Return the dataset, warped where its georeference is GCPs or RPCs.

    Raises:
        GeoreferenceError: No transformation fits them.
    """
    if dataset.transform != Affine.identity():
        return dataset
    points, crs = dataset.gcps
    by = f"{len(points)} ground control points" if points and crs else "RPCs"
    try:
        return _warped(dataset, points, crs)
    except (RasterioError, CPLE_BaseError, ValueError) as error:
        dataset.close()
        raise GeoreferenceError(
            f"{name} is placed by {by} that no transformation fits: {cause(error)};"
            " give it more points, not all on one line, or warp it first"
        ) from error


def _warped(dataset: Any, points: Any, crs: Any) -> Any:
    options: dict[str, Any] = {"resampling": Resampling.bilinear}
    if dataset.nodata is None and ColorInterp.alpha not in dataset.colorinterp:
        options["add_alpha"] = True
    if palette_of(dataset) is not None:
        options["resampling"] = Resampling.nearest
    if points and crs:
        return WarpedVRT(dataset, src_crs=crs, **options)
    if dataset.rpcs is not None:
        return WarpedVRT(dataset, src_crs="EPSG:4326", crs="EPSG:4326", **options)
    return dataset


def grid_of(dataset: Any, name: str) -> Grid:
    """Return where a dataset lies; in pixels where it does not say.

    Raises:
        GeoreferenceError: Its transform is damaged.
    """
    crs, transform = dataset.crs, dataset.transform
    if transform == Affine.identity():
        transform = PIXELS
        if crs:
            log.warning("%s has a CRS but no transform: working in pixel coordinates", name)
            crs = None
        else:
            log.warning("%s is not georeferenced: working in pixel coordinates", name)
    elif not crs:
        log.warning("%s has no CRS: working in the units of its transform", name)
    try:
        return Grid(crs or None, transform, dataset.shape)
    except GeoreferenceError as error:
        raise GeoreferenceError(f"{name}: {error}") from error
