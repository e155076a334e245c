"""What a DataArray says of its bands: as rioxarray, odc-stac and stackstac write it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from geoiseg.raster.facts import BandFacts, micrometres

_NAMES = ("common_name", "eo:common_name")
_CENTRES = ("center_wavelength", "central_wavelength", "wavelength", "wavelengths")


def array_facts(array: Any, labels: Sequence[str]) -> tuple[BandFacts, ...]:
    """Return what is said of each band.

    Args:
        array: A ``(band, y, x)`` DataArray.
        labels: A name for each band, or empty texts.
    """
    count = len(labels)
    names, name_key = _along(array, _NAMES, count)
    centres, centre_key = _along(array, _CENTRES, count)
    units = "" if centre_key is None else str(_attributes(array, centre_key).get("units", ""))
    scales = _numbers(array, ("scale_factor", "scales"), count, 1.0)
    offsets = _numbers(array, ("add_offset", "offsets"), count, 0.0)
    return tuple(
        BandFacts(
            n + 1,
            labels[n].strip(),
            wavelength=None if centres is None else _centre(centres[n], units),
            common_name="" if names is None else str(names[n]),
            scale=scales[n],
            offset=offsets[n],
            said_by="" if name_key is None else f"coordinate {name_key}",
        )
        for n in range(count)
    )


def _along(array: Any, keys: Sequence[str], count: int) -> tuple[Any, str | None]:
    """Return the first coordinate or attribute with one value for each band."""
    for key in keys:
        if key in array.coords and array.coords[key].dims == array.dims[:1]:
            return array.coords[key].values, key
        value = array.attrs.get(key)
        if isinstance(value, (list, tuple, np.ndarray)) and len(value) == count:
            return value, key
    return None, None


def _attributes(array: Any, key: str) -> Any:
    return array.coords[key].attrs if key in array.coords else array.attrs


def _centre(value: Any, units: str) -> float | None:
    try:
        return micrometres(float(value), units)
    except (TypeError, ValueError):
        return None


def _numbers(array: Any, keys: Sequence[str], count: int, usual: float) -> list[float]:
    for key in keys:
        value = array.attrs.get(key)
        if value is None:
            continue
        try:
            found = np.broadcast_to(np.asarray(value, dtype=np.float64), (count,))
        except (TypeError, ValueError):
            continue
        return [float(one) for one in found]
    return [usual] * count
