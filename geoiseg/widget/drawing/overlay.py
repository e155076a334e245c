"""A mask as a picture that the map can lay down: one colour, one bit per pixel."""

from __future__ import annotations

import math
import struct
import zlib
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from geoiseg.errors import GeoreferenceError
from geoiseg.raster import XY, Grid, box_outline
from geoiseg.segment import Mask
from geoiseg.widget.tiling.projection import Projection, to_lonlat, to_mercator
from geoiseg.widget.tiling.warp import Piece, find_places

Bounds = tuple[tuple[float, float], tuple[float, float]]
"""``(south, west), (north, east)`` in degrees."""

SHARP = 512
"""A mask of fewer pixels is drawn with several to each, so that its edges stay sharp."""
LARGEST = 2048
"""Longest side of a picture; a larger mask is thinned out."""


def draw_mask(mask: Mask, color: str, projection: Projection) -> tuple[bytes, Bounds]:
    """Return a PNG of a mask warped to EPSG:3857, and where it lies.

    Args:
        mask: Whichever part of a raster; its empty margins are left out.
        color: ``#rrggbb`` of the object; all else is transparent.
        projection: That of the raster the mask belongs to.

    Raises:
        GeoreferenceError: The mask has no place on the map, or the colour is none.
    """
    rgb = parse_color(color)
    array, grid = _cropped(mask)
    piece = _piece(grid, projection)
    places = find_places(piece, grid, projection)
    if places is None:
        raise GeoreferenceError("the mask has no place on the map")
    x = places.x + np.float32(places.origin[0] - 0.5)
    y = places.y + np.float32(places.origin[1] - 0.5)
    warped: NDArray[Any] = cv2.remap(array, x, y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT)
    right = piece.left + piece.pixel[0] * piece.shape[1]
    bottom = piece.top - piece.pixel[1] * piece.shape[0]
    (west, south), (east, north) = to_lonlat([(piece.left, bottom), (right, piece.top)]).tolist()
    return one_bit_png(warped, rgb), ((south, west), (north, east))


def _cropped(mask: Mask) -> tuple[NDArray[np.uint8], Grid]:
    """Return the part of a mask that holds the object as 0 and 1, and its grid."""
    array = mask.array.view(np.uint8)
    col, row, width, height = cv2.boundingRect(array)
    if not width:
        return np.zeros((1, 1), dtype=np.uint8), mask.grid.resized((1, 1))
    part = np.ascontiguousarray(array[row : row + height, col : col + width])
    transform = mask.grid.transform @ type(mask.grid.transform).translation(col, row)
    return part, Grid(mask.grid.crs, transform, part.shape)


def _piece(grid: Grid, projection: Projection) -> Piece:
    """Return the smallest upright piece of the map around a grid."""
    outline = projection.from_crs(grid.to_crs(box_outline(0, 0, grid.width, grid.height)))
    if not np.isfinite(outline).all():
        outline = _inside(grid, projection)
    outline[:, 0] = np.unwrap(outline[:, 0], period=360)
    xy = to_mercator(outline)
    low, high = xy.min(axis=0), xy.max(axis=0)
    longest = max(grid.shape)
    more = math.ceil(SHARP / longest) if longest < SHARP else min(1.0, LARGEST / longest)
    width, height = np.maximum(high - low, 1e-6)
    pixels = math.sqrt(grid.height * grid.width * more**2 / (width * height))
    shape = [int(np.clip(round(side * pixels), 1, LARGEST)) for side in (height, width)]
    pixel = (float(width) / shape[1], float(height) / shape[0])
    return Piece(float(low[0]), float(high[1]), pixel, (shape[0], shape[1]))


def _inside(grid: Grid, projection: Projection) -> XY:
    """Return ``lonlat`` of the places of a grid that have one, as at the rim of the Earth."""
    across, down = np.meshgrid(np.linspace(0, grid.width, 33), np.linspace(0, grid.height, 33))
    lonlat = projection.from_crs(grid.to_crs(np.column_stack([across.ravel(), down.ravel()])))
    known = lonlat[np.isfinite(lonlat).all(axis=1)]
    if not len(known):
        raise GeoreferenceError("the mask has no place on the map")
    return known


def parse_color(color: str) -> tuple[int, int, int]:
    """Return red, green and blue of ``#rrggbb``.

    Raises:
        GeoreferenceError: The text is no such colour.
    """
    try:
        red, green, blue = bytes.fromhex(color.removeprefix("#"))
    except ValueError as error:
        raise GeoreferenceError(f"a colour is written as #rrggbb, got {color!r}") from error
    return red, green, blue


def one_bit_png(pixels: NDArray[Any], color: tuple[int, int, int]) -> bytes:
    """Return a PNG: transparent where ``(y, x)`` pixels are 0, the colour elsewhere.

    Written here because neither OpenCV nor Pillow does it in the time of a mouse move.
    """
    height, width = pixels.shape
    packed = np.packbits(pixels != 0, axis=1)
    lines = np.zeros((height, packed.shape[1] + 1), dtype=np.uint8)  # each begins with filter 0
    lines[:, 1:] = packed
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 3, 0, 0, 0)),
        (b"PLTE", bytes((0, 0, 0, *color))),
        (b"tRNS", b"\x00\xff"),
        (b"IDAT", zlib.compress(lines.tobytes(), 1)),
        (b"IEND", b""),
    )
    chunks = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
