"""Lazy, windowed, overview-aware access to rasters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from geoiseg.errors import RasterError
from geoiseg.raster.image import Stretch
from geoiseg.raster.readers.protocol import Raster
from geoiseg.raster.sensors.catalogue import sensor_named

__all__ = ["Raster", "open_raster"]


def open_raster(
    source: Any,
    bands: Sequence[int | str] | Mapping[str, int] | None = None,
    stretch: Stretch | None = None,
    sensor: str | None = None,
) -> Raster:
    """Return a lazy raster; nothing but its header is read.

    Args:
        source: A path, a URL, a GDAL VSI path, an open rasterio dataset, an xarray
            DataArray, or a raster that is open already.
        bands: One or three bands to show and to segment: numbers from 1, or roles such as
            ``nir``; by default the raster's own red, green and blue, or its first band where
            it has no colours. A mapping says what bands are instead: ``{"nir": 4}``.
        stretch: Contrast limits; by default found once from a sample of the raster.
        sensor: What took the picture, where the source does not say it: a key of
            ``geoiseg.raster.sensors.catalogue.SENSORS`` such as ``sentinel-2-l2a``.

    Raises:
        RasterError: The source can not be opened, or has no such bands.
        GeoreferenceError: Its georeference is damaged.
    """
    told = dict(bands) if isinstance(bands, Mapping) else {}
    shown = None if bands is None or isinstance(bands, Mapping) else tuple(bands)
    taken = None if sensor is None else sensor_named(sensor)
    if isinstance(source, Raster):
        if told or taken is not None:
            raise RasterError(f"{source.name} is open already; say what its bands are at first")
        if shown is not None and shown != source.bands:
            raise RasterError(f"{source.name} is open with bands {source.bands}; open it anew")
        return source
    if shown is None or not any(isinstance(one, str) for one in shown):
        raster = _opened(source, shown, stretch)  # type: ignore[arg-type]
        if told or taken is not None:
            raster.tell(told, taken)
        return raster
    raster = _opened(source, None, None)
    if taken is not None:
        raster.tell((), taken)
    return raster.restyled(raster.numbers(shown), stretch)


def _opened(source: Any, bands: Sequence[int] | None, stretch: Stretch | None) -> Raster:
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
