"""Whole rasters, tile by tile: automatic or prompted, resumable, on one machine or many.

In: a raster of any size, and prompts, words or nothing. Out: one layer without seams and a
:class:`MapReport`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoiseg.lazy import lazy

if TYPE_CHECKING:
    from geoiseg.tiled.batch import ObjectResult, segment_objects
    from geoiseg.tiled.encode import EmbedOptions, EmbedSummary, Estimate, embed_raster, read_area
    from geoiseg.tiled.ledger import ledger_path
    from geoiseg.tiled.options import MODES, AutomaticOptions, MapOptions, RefineOptions
    from geoiseg.tiled.prompt_file import PromptedObject, read_prompts
    from geoiseg.tiled.report import MapReport
    from geoiseg.tiled.run import segment_raster
    from geoiseg.tiled.worker import hold_memory
    from geoiseg.words import WordsOptions

__all__ = [
    "MODES",
    "AutomaticOptions",
    "EmbedOptions",
    "EmbedSummary",
    "Estimate",
    "MapOptions",
    "MapReport",
    "ObjectResult",
    "PromptedObject",
    "RefineOptions",
    "WordsOptions",
    "embed_raster",
    "hold_memory",
    "ledger_path",
    "read_area",
    "read_prompts",
    "segment_objects",
    "segment_raster",
]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "batch": ["ObjectResult", "segment_objects"],
        "encode": ["EmbedOptions", "EmbedSummary", "Estimate", "embed_raster", "read_area"],
        "ledger": ["ledger_path"],
        "options": ["MODES", "AutomaticOptions", "MapOptions", "RefineOptions", "WordsOptions"],
        "prompt_file": ["PromptedObject", "read_prompts"],
        "report": ["MapReport"],
        "run": ["segment_raster"],
        "worker": ["hold_memory"],
    },
)
