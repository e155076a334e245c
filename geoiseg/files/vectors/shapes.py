"""Shapes from WKB, those that some writers get wrong among them."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geoiseg.errors import VectorError

LINE = 2
"""OGC's number of a line; with z, m or a CRS it is larger."""
FLAGS, THOUSANDS = 0x1FFFFFFF, 1000
"""What is left of a number without EWKB's flags, and without ISO's z and m."""
EWKB_CRS = 0x20000000
"""EWKB's flag of a CRS, which is four bytes more."""


def from_wkb(bodies: Sequence[bytes | None]) -> NDArray[Any]:
    """Return ``(n,)`` shapely geometries; None where there is none, or none that makes sense.

    A ring that is not closed is closed. A line of one vertex, which GEOS does not have, is a
    point: what a tap with a pen leaves.

    Raises:
        VectorError: A shape is of no kind that GEOS has.
    """
    given = np.empty(len(bodies), dtype=object)
    given[:] = list(bodies)
    try:
        shapes = np.array(shapely.from_wkb(given, on_invalid="fix"), dtype=object)
    except NotImplementedError as error:  # of shapely, where GEOS knows them
        raise VectorError("a shape has arcs: save the layer with straight lines") from error
    except shapely.errors.ShapelyError as error:
        raise VectorError(f"a shape can not be read: {' '.join(str(error).split())}") from error
    for row in np.flatnonzero(shapely.is_missing(shapes)).tolist():
        shapes[row] = _tap(given[row])
    return shapes


def _tap(body: bytes | None) -> Any:
    """Return the only vertex of a line as a point; None of anything else."""
    if body is None or len(body) < 9:
        return None
    order = "<" if body[0] else ">"
    number = struct.unpack_from(f"{order}I", body, 1)[0]
    if (number & FLAGS) % THOUSANDS != LINE:
        return None
    start = 9 if number & EWKB_CRS else 5
    if len(body) < start + 20 or struct.unpack_from(f"{order}I", body, start)[0] != 1:
        return None
    xy = struct.unpack_from(f"{order}2d", body, start + 4)
    return shapely.Point(*xy) if np.isfinite(xy).all() else None
