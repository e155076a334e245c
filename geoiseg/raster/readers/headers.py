"""What the header of a dataset says: colours, types, and where validity comes from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.vrt import WarpedVRT

from geoiseg.raster.gdal_facts import is_data


def palette_of(dataset: Any) -> NDArray[np.uint8] | None:
    """Return ``(n, 4)`` RGBA of a one-band raster with a colour table, or None."""
    if dataset.colorinterp[:1] != (ColorInterp.palette,) or dataset.dtypes[0] not in (
        "uint8",
        "uint16",
    ):
        return None
    try:
        table = dataset.colormap(1)
    except ValueError:
        return None
    palette = np.zeros((max(table) + 1, 4), dtype=np.uint8)
    for value, colour in table.items():
        palette[value] = colour
    return palette


def added_alpha(dataset: Any) -> int:
    """Return how many bands warping has added to what the file has."""
    if not isinstance(dataset, WarpedVRT):
        return 0
    return int(dataset.count) - int(dataset.src_dataset.count)


def common_type(types: Sequence[str]) -> str:
    """Return the NumPy type that holds the values of bands of several types."""
    if len(set(types)) == 1:
        return str(types[0])
    names = ("complex64" if name == "complex_int16" else name for name in types)
    return str(np.result_type(*map(np.dtype, names)))


def _alpha_is_data(dataset: Any) -> bool:
    """Return whether the band that is tagged as alpha is called as a band of measurements is."""
    if isinstance(dataset, WarpedVRT):
        return False
    names = zip(dataset.colorinterp, dataset.descriptions, strict=True)
    return any(kind == ColorInterp.alpha and is_data(name or "") for kind, name in names)


def validity_of(dataset: Any, bands: tuple[int, ...], mixed: bool) -> str:
    """Return where GDAL has validity from: ``none``, ``nodata``, ``alpha`` or ``mask``."""
    flags = [set(dataset.mask_flag_enums[band - 1]) for band in bands]
    if all(MaskFlags.all_valid in flag for flag in flags):
        return "none"
    if all(MaskFlags.alpha in flag for flag in flags):
        return "none" if _alpha_is_data(dataset) else "alpha"
    if all(MaskFlags.nodata in flag and MaskFlags.alpha not in flag for flag in flags):
        same = len(np.unique([dataset.nodatavals[band - 1] for band in bands])) == 1  # NaN is NaN
        return "nodata" if same and not mixed else "mask"
    return "mask"
