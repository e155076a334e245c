"""Shapes as a GeoPackage stores them: a header, and the shape as ISO WKB.

The header is ``GP``, a version, flags, the number of the CRS and an envelope: clause 2.1.3 of
OGC 12-128r18, https://www.geopackage.org/spec131/#gpb_format.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geoiseg.errors import VectorError
from geoiseg.files.vectors.shapes import from_wkb

LITTLE_ENDIAN, ENVELOPE, EMPTY, EXTENDED = 0x01, 0x02, 0x10, 0x20
"""Flags; the envelope is left, right, bottom, top."""
ENVELOPE_SIZES = (0, 32, 48, 48, 64)
"""Bytes by the number in the flags."""
HEADER_SIZE = 8
POINT = 0
"""Shapely's number of the type: a point is its own envelope."""


def to_blobs(shapes: NDArray[Any], crs: int) -> list[bytes | None]:
    """Return shapes as a GeoPackage stores them, None where there is none.

    Args:
        shapes: ``(n,)`` shapely geometries and None.
        crs: Number of the CRS in the file.
    """
    boxes = shapely.bounds(shapes)[:, [0, 2, 1, 3]]
    empty = shapely.is_empty(shapes)
    bare = empty | (shapely.get_type_id(shapes) == POINT)
    flags = LITTLE_ENDIAN | np.where(empty, EMPTY, 0) | np.where(bare, 0, ENVELOPE)
    wkb = shapely.to_wkb(shapes, byte_order=1, flavor="iso")
    return [
        None if body is None
        else struct.pack("<2sBBi", b"GP", 0, flag, crs) + (b"" if no else box.tobytes()) + body
        for body, flag, no, box in zip(wkb, flags.tolist(), bare.tolist(), boxes, strict=True)
    ]  # fmt: skip


def from_blobs(blobs: Sequence[bytes | None]) -> NDArray[Any]:
    """Return ``(n,)`` shapely geometries, None where there is none.

    Raises:
        VectorError: A blob is none of a GeoPackage, or its shape is of no kind that GEOS has.
    """
    return from_wkb([None if blob is None else _body(blob) for blob in blobs])


def _body(blob: bytes) -> bytes:
    if not isinstance(blob, bytes) or len(blob) < HEADER_SIZE or blob[:2] != b"GP":
        raise VectorError("a shape is not stored as a GeoPackage has it")
    flags = blob[3]
    kind = flags >> 1 & 0b111
    if flags & EXTENDED or kind >= len(ENVELOPE_SIZES):
        raise VectorError("a shape is stored in a way of somebody's own")
    return blob[HEADER_SIZE + ENVELOPE_SIZES[kind] :]
