"""Encoding a whole raster ahead, so that every click on it finds its chip encoded."""

from __future__ import annotations

from geoiseg.tiled.encode.area import read_area
from geoiseg.tiled.encode.plan import EmbedOptions, chips_to_encode
from geoiseg.tiled.encode.run import EmbedSummary, Estimate, embed_raster

__all__ = [
    "EmbedOptions",
    "EmbedSummary",
    "Estimate",
    "chips_to_encode",
    "embed_raster",
    "read_area",
]
