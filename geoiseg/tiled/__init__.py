"""Whole rasters, tile by tile: automatic or prompted, resumable, on one machine or many."""

from __future__ import annotations

from geoiseg.tiled.options import AutomaticOptions, MapOptions
from geoiseg.tiled.report import MapReport
from geoiseg.tiled.run import segment_raster
from geoiseg.words.options import WordsOptions

__all__ = ["AutomaticOptions", "MapOptions", "MapReport", "WordsOptions", "segment_raster"]
