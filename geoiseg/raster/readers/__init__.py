"""Lazy, windowed, overview-aware access to rasters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from geoiseg.errors import RasterError
from geoiseg.raster.image import Stretch
from geoiseg.raster.readers.protocol import Raster

__all__ = ["Raster", "open_raster"]


def open_raster(
    source: Any, bands: Sequence[int] | None = None, stretch: Stretch | None = None
) -> Raster:
    """Return a lazy raster; nothing but its header is read.

    Args:
        source: A path, a URL, a GDAL VSI path, an open rasterio dataset, an xarray
            DataArray, or a raster that is open already.
        bands: One or three band numbers from 1; by default the raster's own red, green
            and blue, or its first band where it has no colours.
        stretch: Contrast limits; by default found once from a sample of the raster.

    Raises:
        RasterError: The source can not be opened, or has no such bands.
        GeoreferenceError: Its georeference is damaged.
    """
    if isinstance(source, Raster):
        if bands is not None and tuple(bands) != source.bands:
            raise RasterError(f"{source.name} is open with bands {source.bands}; open it anew")
        return source
    if type(source).__module__.partition(".")[0] == "xarray":
        from geoiseg.raster.readers.xarray import DataArrayRaster

        if not hasattr(source, "dims") or hasattr(source, "data_vars"):
            raise RasterError("an xarray Dataset was given; choose one of its variables")
        return DataArrayRaster(source, bands, stretch)
    from geoiseg.raster.readers.geotiff import RasterioRaster

    if isinstance(source, str) or hasattr(source, "__fspath__"):
        from os import fspath

        return RasterioRaster(fspath(source), bands, stretch)
    if hasattr(source, "read_masks"):
        return RasterioRaster(source, bands, stretch)
    raise RasterError(
        "a raster is a path, a URL, a rasterio dataset or an xarray DataArray,"
        f" got {type(source).__name__}"
    )
