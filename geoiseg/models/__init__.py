"""Engines that turn a chip and prompts into masks, one folder a family.

In: a stretched chip and :class:`PixelPrompts`. Out: an :class:`Embedding`, then :class:`Masks`.
Where weights come from is in ``weights``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoiseg.lazy import lazy

if TYPE_CHECKING:
    from geoiseg.models.augmented import Augmented
    from geoiseg.models.options import ModelOptions
    from geoiseg.models.protocol import (
        BatchModel,
        Candidates,
        CarefulModel,
        DenseMaps,
        DenseModel,
        Embedding,
        FollowingModel,
        ListingModel,
        Masks,
        Model,
        ModelInfo,
        PartingModel,
        QuickModel,
        ReadingModel,
        WideningModel,
        with_care,
    )
    from geoiseg.models.registry import (
        DEFAULT_MODEL,
        get_model,
        load_model,
        model_names,
        name_then,
    )

__all__ = [
    "DEFAULT_MODEL",
    "Augmented",
    "BatchModel",
    "Candidates",
    "CarefulModel",
    "DenseMaps",
    "DenseModel",
    "Embedding",
    "FollowingModel",
    "ListingModel",
    "Masks",
    "Model",
    "ModelInfo",
    "ModelOptions",
    "PartingModel",
    "QuickModel",
    "ReadingModel",
    "WideningModel",
    "get_model",
    "load_model",
    "model_names",
    "name_then",
    "with_care",
]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "augmented": ["Augmented"],
        "options": ["ModelOptions"],
        "protocol": [
            "BatchModel",
            "Candidates",
            "DenseMaps",
            "DenseModel",
            "FollowingModel",
            "ListingModel",
            "Embedding",
            "Masks",
            "Model",
            "ModelInfo",
            "PartingModel",
            "QuickModel",
            "ReadingModel",
            "WideningModel",
            "CarefulModel",
            "with_care",
        ],
        "registry": ["DEFAULT_MODEL", "get_model", "load_model", "model_names", "name_then"],
    },
)
