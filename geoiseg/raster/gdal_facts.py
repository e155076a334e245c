"""What GDAL says of the bands of an open dataset."""

from __future__ import annotations

from typing import Any

from rasterio.errors import RasterioError
from rasterio.vrt import WarpedVRT

from geoiseg.raster.facts import ALPHA, BandFacts, wavelength_in
from geoiseg.raster.sensors.catalogue import is_code
from geoiseg.raster.spectrum import role_named

IMAGERY = "IMAGERY"
"""GDAL's domain of tags on wavelengths, since 3.10."""
COMMON_NAME = ("GEOISEG_ROLE", "common_name", "eo:common_name")
"""Tags of a band that say its role outright."""


def band_facts(dataset: Any, count: int) -> tuple[BandFacts, ...]:
    """Return what is said of each of the first ``count`` bands of a rasterio dataset."""
    source = getattr(dataset, "src_dataset", None) if isinstance(dataset, WarpedVRT) else None
    read = dataset if source is None else source
    kinds = [kind.name.lower() for kind in read.colorinterp]
    return tuple(
        BandFacts(number, interpretation=ALPHA)  # warping has added it
        if number > read.count
        else _facts(read, number, kinds[number - 1])
        for number in range(1, count + 1)
    )


def is_data(name: str) -> bool:
    """Return whether a description is that of a band of measurements, and of no mask."""
    return role_named(name) is not None or is_code(name)


def _facts(dataset: Any, number: int, kind: str) -> BandFacts:
    tags = _tags(dataset, number)
    name = (dataset.descriptions[number - 1] or "").strip()
    if kind == ALPHA and is_data(name):  # every writer calls a fourth band of bytes alpha
        kind = "undefined"
    said = [(tags[key], f"tag {key}") for key in COMMON_NAME if key in tags]
    role, said_by = said[0] if said else ("", "")
    return BandFacts(
        number,
        name,
        kind,
        wavelength_in(tags),
        role,
        *_scaling(dataset.scales[number - 1], dataset.offsets[number - 1]),
        tags.get("GEOISEG_SAID_BY", said_by),
    )


def _scaling(scale: float | None, offset: float | None) -> tuple[float, float]:
    return float(scale or 1.0), float(offset or 0.0)


def _tags(dataset: Any, number: int) -> dict[str, str]:
    try:
        return {**dataset.tags(number), **dataset.tags(number, ns=IMAGERY)}
    except RasterioError:
        return {}
