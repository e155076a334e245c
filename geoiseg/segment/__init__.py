"""Prompts become one mask.

In: a raster, a model and the steps so far. Out: an :class:`Outcome` with its :class:`Mask`,
sharpened, grown from chip to chip, with its uncertainty; embeddings are kept on the way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoiseg.lazy import lazy

if TYPE_CHECKING:
    from geoiseg.segment.drawn import drawn
    from geoiseg.segment.embeddings import (
        DiskStore,
        EmbeddingCache,
        RemoteStore,
        default_cache,
        default_store,
    )
    from geoiseg.segment.flood import IntArray, flooded
    from geoiseg.segment.hierarchy import (
        SHARE,
        WEIGHTS,
        Cut,
        CutOptions,
        FloatArray,
        Regions,
        cut_objects,
        cut_of,
        expected_iou,
        looks,
        regions,
        summed,
    )
    from geoiseg.segment.livewire import WIRE_LEVELS, LiveWire, WireOptions, live_wire
    from geoiseg.segment.masks import CleanOptions, Mask, choose, clean, touched_border
    from geoiseg.segment.outcome import Outcome, Step, since_drawn
    from geoiseg.segment.scissors import Scissors
    from geoiseg.segment.segmenter import Segmenter
    from geoiseg.segment.tiles import FineMask
    from geoiseg.segment.uncertainty import LookOptions, Suggestion, Uncertainty, look, suggest
    from geoiseg.segment.watch import Watch

__all__ = [
    "SHARE",
    "WEIGHTS",
    "WIRE_LEVELS",
    "CleanOptions",
    "Cut",
    "CutOptions",
    "DiskStore",
    "EmbeddingCache",
    "FineMask",
    "FloatArray",
    "IntArray",
    "LiveWire",
    "LookOptions",
    "Mask",
    "Outcome",
    "Regions",
    "RemoteStore",
    "Scissors",
    "Segmenter",
    "Step",
    "Suggestion",
    "Uncertainty",
    "Watch",
    "WireOptions",
    "choose",
    "clean",
    "cut_objects",
    "cut_of",
    "default_cache",
    "default_store",
    "drawn",
    "expected_iou",
    "flooded",
    "live_wire",
    "look",
    "looks",
    "regions",
    "since_drawn",
    "suggest",
    "summed",
    "touched_border",
]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "drawn": ["drawn"],
        "embeddings": [
            "DiskStore",
            "EmbeddingCache",
            "RemoteStore",
            "default_cache",
            "default_store",
        ],
        "flood": ["IntArray", "flooded"],
        "hierarchy": [
            "Cut",
            "CutOptions",
            "FloatArray",
            "Regions",
            "SHARE",
            "WEIGHTS",
            "cut_objects",
            "cut_of",
            "expected_iou",
            "looks",
            "regions",
            "summed",
        ],
        "livewire": ["LiveWire", "WIRE_LEVELS", "WireOptions", "live_wire"],
        "masks": ["CleanOptions", "Mask", "choose", "clean", "touched_border"],
        "outcome": ["Outcome", "Step", "since_drawn"],
        "scissors": ["Scissors"],
        "segmenter": ["Segmenter"],
        "tiles": ["FineMask"],
        "uncertainty": ["LookOptions", "Suggestion", "Uncertainty", "look", "suggest"],
        "watch": ["Watch"],
    },
)
