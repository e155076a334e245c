"""Interactive and scripted segmentation of georeferenced rasters.

Names are imported at their first use: ``import geoiseg`` itself loads next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoiseg.lazy import lazy
from geoiseg.quiet import hush
from geoiseg.version import __version__

if TYPE_CHECKING:
    from geoiseg.errors import GeoisegError
    from geoiseg.models import get_model, load_model, model_names
    from geoiseg.outline import OutlineOptions
    from geoiseg.raster import Grid, Raster, Stretch, open_raster
    from geoiseg.segment import EmbeddingCache, Mask
    from geoiseg.session import Series, Session
    from geoiseg.tiled import EmbedOptions, MapOptions, embed_raster, segment_raster
    from geoiseg.widget.segment_map import SegmentMap
    from geoiseg.widget.series_map import SeriesMap

__all__ = [
    "EmbedOptions",
    "EmbeddingCache",
    "GeoisegError",
    "Grid",
    "MapOptions",
    "Mask",
    "OutlineOptions",
    "Raster",
    "SegmentMap",
    "Series",
    "SeriesMap",
    "Session",
    "Stretch",
    "__version__",
    "embed_raster",
    "get_model",
    "load_model",
    "model_names",
    "open_raster",
    "segment_raster",
]

hush()

__getattr__, _names = lazy(
    __name__,
    {
        "errors": ["GeoisegError"],
        "models": ["get_model", "load_model", "model_names"],
        "outline": ["OutlineOptions"],
        "raster": ["Grid", "Raster", "Stretch", "open_raster"],
        "segment": ["EmbeddingCache", "Mask"],
        "session": ["Series", "Session"],
        "tiled": ["EmbedOptions", "MapOptions", "embed_raster", "segment_raster"],
        "widget.segment_map": ["SegmentMap"],
        "widget.series_map": ["SeriesMap"],
    },
)


def __dir__() -> list[str]:
    return sorted(__all__)
