"""What is known of a layer before it is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LayerInfo:
    """A layer of a vector file."""

    crs: str | None
    """What pyproj makes the CRS of."""
    geometry_type: str | None
    """As GDAL calls it: ``MultiPolygon``, ``Unknown`` for any; None of a plain table."""
    fields: Mapping[str, str]
    """NumPy's name of the type by column, ``datetime64[D]`` for dates; without the geometry."""
    features: int
    """Number of rows."""
    bounds: tuple[float, float, float, float] | None
    """Left, bottom, right, top in the CRS; None where there is nothing."""
