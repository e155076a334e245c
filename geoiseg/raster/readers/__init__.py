"""Lazy, windowed, overview-aware access to rasters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from geoiseg.errors import RasterError
from geoiseg.raster.asked import Asked, Shown, asked_for
from geoiseg.raster.composites import COMPOSITES, composite_bands, composite_named, composites_of
from geoiseg.raster.facts import ALPHA
from geoiseg.raster.folders.open import as_text, stack_of
from geoiseg.raster.image import Stretch
from geoiseg.raster.readers.bands import colours_said
from geoiseg.raster.readers.computed import with_bands
from geoiseg.raster.readers.protocol import Raster
from geoiseg.raster.sensors.catalogue import sensor_named

__all__ = ["Raster", "chosen_bands", "open_raster", "with_bands"]


def open_raster(
    source: Any,
    bands: str | Iterable[int | str] | Mapping[str, int] | None = None,
    stretch: Stretch | None = None,
    sensor: str | None = None,
) -> Raster:
    """Return a lazy raster; nothing but its header is read.

    Args:
        source: A path, a URL, a GDAL VSI path, an open rasterio dataset, an xarray
            DataArray, or a raster that is open already. The folder of a Sentinel-2, Landsat
            or HLS product, its archive as downloaded, a STAC item in a file, and a list of files
            are one raster of all their bands.
        bands: One or three bands to show and to segment: numbers from 1, roles such as ``nir``,
            indices such as ``ndwi``, formulas such as ``(green-nir)/(green+nir)``, or the name of
            a composite, ``infrared``; a text has them between commas. By default the raster's
            own red, green and blue, or its first band where nothing is known of colours. A
            mapping says what bands are instead: ``{"nir": 4}``, in a text ``nir=4``.
        stretch: Contrast limits; by default found once from a sample of the raster.
        sensor: What took the picture, where the source does not say it: a key of
            ``geoiseg.raster.sensors.catalogue.SENSORS`` such as ``sentinel-2-l2a``.

    Raises:
        RasterError: The source can not be opened, or has no such bands.
        GeoreferenceError: Its georeference is damaged.
    """
    asked = asked_for(bands)
    key = sensor or asked.sensor
    taken = None if key is None else sensor_named(key)
    if isinstance(source, Raster):
        if asked.roles or taken is not None:
            raise RasterError(f"{source.name} is open already; say what its bands are at first")
        if asked.shown is not None and asked.shown != source.bands:
            raise RasterError(f"{source.name} is open with bands {source.bands}; open it anew")
        return source
    plain = asked.shown is not None and all(isinstance(one, int) for one in asked.shown)
    raster = _opened(source, asked.shown if plain else None, stretch if plain else None)  # type: ignore[arg-type]
    if asked.roles or taken is not None:
        raster.tell(asked.roles, taken)
    if plain:
        return raster
    chosen = _chosen(raster, asked)
    return raster if chosen == raster.bands and stretch is None else (
        with_bands(raster, chosen, stretch)
    )  # fmt: skip


def chosen_bands(raster: Raster, bands: str | Iterable[int | str]) -> Shown:
    """Return the bands that are asked for of a raster that is open already.

    Raises:
        RasterError: There are no such bands.
    """
    asked = asked_for(bands)
    if asked.roles or asked.sensor or asked.shown is None:
        raise RasterError(f"{raster.name} is open already; say what its bands are at first")
    return _chosen(raster, asked)


def _chosen(raster: Raster, asked: Asked) -> Shown:
    """Return the bands to show: those asked for, those the source calls colours, or a composite.

    Raises:
        RasterError: A composite or a band that was asked for is not known.
    """
    names = asked.shown
    if names is None:
        return _default(raster)
    if len(names) == 1 and isinstance(names[0], str):
        composite = composite_named(names[0])
        if composite is not None:
            return _composite(raster, composite)
    data = [one.number for one in raster.facts if one.interpretation != ALPHA]
    unknown = not any(name in raster.roles for name in names)
    if asked.could_be_names and unknown and len(names) == len(data):
        raster.tell(zip(map(str, names), data, strict=True))  # all bands in their order
        return _default(raster)
    return names


def _default(raster: Raster) -> Shown:
    facts = raster.facts
    if colours_said([one.interpretation for one in facts], [one.name for one in facts]) is None:
        made = composites_of(raster.roles)
        if made:
            return next(iter(made.values()))
    return raster.bands


def _composite(raster: Raster, name: str) -> Shown:
    made = composite_bands(name, raster.roles)
    if made is None:
        there = ", ".join(composites_of(raster.roles)) or "none"
        roles = " ".join("/".join(one) for one in COMPOSITES[name])
        raise RasterError(
            f"{raster.name} has not the bands of {name} ({roles}) as far as is known;"
            f" composites that it has: {there}; say what its bands are, e.g. nir=4"
        )
    return made


def _opened(source: Any, bands: Sequence[int] | None, stretch: Stretch | None) -> Raster:
    if type(source).__module__.partition(".")[0] == "xarray":
        from geoiseg.raster.readers.xarray import DataArrayRaster

        if not hasattr(source, "dims") or hasattr(source, "data_vars"):
            raise RasterError("an xarray Dataset was given; choose one of its variables")
        return DataArrayRaster(source, bands, stretch)
    from geoiseg.raster.readers.geotiff import RasterioRaster

    if isinstance(source, str) or hasattr(source, "__fspath__"):
        from os import fspath

        path = str(fspath(source))
        return RasterioRaster(stack_of(path) or path, bands, stretch, path)
    if isinstance(source, (list, tuple)):
        return _opened(as_text(source), bands, stretch)
    if hasattr(source, "read_masks"):
        return RasterioRaster(source, bands, stretch)
    raise RasterError(
        "a raster is a path, a URL, a list of paths, a rasterio dataset or an xarray DataArray,"
        f" got {type(source).__name__}"
    )
