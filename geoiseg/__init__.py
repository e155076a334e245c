"""Interactive and scripted segmentation of georeferenced rasters.

Names are imported at their first use: ``import geoiseg`` itself loads next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_EXPORTS = {
    "open_raster": "geoiseg.readers",
    "Raster": "geoiseg.readers",
    "SegmentMap": "geoiseg.widget.segment_map",
    "Session": "geoiseg.session",
    "EmbedOptions": "geoiseg.encode",
    "EmbeddingCache": "geoiseg.embeddings",
    "embed_raster": "geoiseg.encode",
    "Grid": "geoiseg.grid",
    "Mask": "geoiseg.masks",
    "OutlineOptions": "geoiseg.outline",
    "Stretch": "geoiseg.image",
    "GeoisegError": "geoiseg.errors",
    "get_model": "geoiseg.models.registry",
    "load_model": "geoiseg.models.registry",
    "model_names": "geoiseg.models.registry",
    "segment_raster": "geoiseg.tiled",
    "MapOptions": "geoiseg.tiled",
}

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

if TYPE_CHECKING:
    from geoiseg.embeddings import EmbeddingCache
    from geoiseg.encode import EmbedOptions, embed_raster
    from geoiseg.errors import GeoisegError
    from geoiseg.grid import Grid
    from geoiseg.image import Stretch
    from geoiseg.masks import Mask
    from geoiseg.models.registry import get_model, load_model, model_names
    from geoiseg.outline import OutlineOptions
    from geoiseg.readers import Raster, open_raster
    from geoiseg.session import Session
    from geoiseg.tiled import MapOptions, segment_raster
    from geoiseg.widget.segment_map import SegmentMap


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'geoiseg' has no attribute {name!r}")
    value = getattr(importlib.import_module(_EXPORTS[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
