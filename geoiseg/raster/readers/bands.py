"""Which bands to show when the user did not say: sensible RGB for any raster."""

from __future__ import annotations

import re
from collections.abc import Sequence

from geoiseg.errors import RasterError

_NAMES = {
    "red": re.compile(r"^(red|r|b0?4|band[ _]?0?4|sr_b4)$", re.IGNORECASE),
    "green": re.compile(r"^(green|g|b0?3|band[ _]?0?3|sr_b3)$", re.IGNORECASE),
    "blue": re.compile(r"^(blue|b|b0?2|band[ _]?0?2|sr_b2)$", re.IGNORECASE),
}
"""Band names of common products; numbers as Sentinel-2 and Landsat 8/9 count them."""


def choose_bands(
    interpretations: Sequence[str], descriptions: Sequence[str | None]
) -> tuple[int, ...]:
    """Return the band numbers, from 1, to show: three for colour, one for grey.

    Colour interpretation is believed first, then band names, then the first three bands
    of a raster with at least three that are not alpha; otherwise the first band alone.

    Args:
        interpretations: GDAL's colour interpretation of each band, in lower case.
        descriptions: Each band's description, or None.

    Raises:
        RasterError: There is no band, or nothing but an alpha band.
    """
    if said := colours_said(interpretations, descriptions):
        return said
    data = [n for n, kind in enumerate(interpretations, 1) if kind != "alpha"]
    if not data:
        raise RasterError("the raster has no band with data")
    return tuple(data[:3]) if len(data) >= 3 else (data[0],)


def colours_said(
    interpretations: Sequence[str], descriptions: Sequence[str | None]
) -> tuple[int, ...] | None:
    """Return the bands that the source calls red, green and blue; None where it does not."""
    colours = [
        interpretations.index(name) + 1
        for name in ("red", "green", "blue")
        if name in interpretations
    ]
    return tuple(colours) if len(colours) == 3 else _by_name(descriptions)


def _by_name(descriptions: Sequence[str | None]) -> tuple[int, ...] | None:
    found = []
    for pattern in _NAMES.values():
        hits = [n for n, text in enumerate(descriptions, 1) if text and pattern.match(text.strip())]
        if len(hits) != 1:
            return None
        found.extend(hits)
    return tuple(found)


def check_bands(bands: Sequence[int | str], count: int) -> tuple[int, ...]:
    """Return a user's choice of bands as a tuple.

    Raises:
        RasterError: Not one or three numbers, or a number the raster does not have.
    """
    try:
        chosen = tuple(int(band) for band in bands)
    except (TypeError, ValueError) as error:
        raise RasterError(f"bands takes one or three numbers, got {bands!r}") from error
    if len(chosen) not in (1, 3):
        raise RasterError(f"bands takes one or three numbers, got {chosen}")
    if not all(1 <= band <= count for band in chosen):
        raise RasterError(f"bands {chosen} asked for, but the raster has bands 1 to {count}")
    return chosen
