"""What the user says: in the CRS, and in the pixels of the chip to look at.

In: points, boxes, strokes, outlines and words in any CRS. Out: :class:`PixelPrompts` in a
:class:`Frame` of the raster.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoiseg.lazy import lazy

if TYPE_CHECKING:
    from geoiseg.prompting.framing import (
        Frame,
        around,
        check_inside,
        coarsest_level,
        holds,
        level_for_gsd,
        oblong,
        place,
    )
    from geoiseg.prompting.pixel import PixelPrompts, inside_box, points_along
    from geoiseg.prompting.prompts import (
        MAX_TEXT,
        Box,
        Point,
        Prompt,
        Prompts,
        Region,
        Scribble,
        Text,
        localise,
        prompt_from_dict,
        prompt_to_dict,
    )

__all__ = [
    "MAX_TEXT",
    "Box",
    "Frame",
    "PixelPrompts",
    "Point",
    "Prompt",
    "Prompts",
    "Region",
    "Scribble",
    "Text",
    "around",
    "check_inside",
    "coarsest_level",
    "holds",
    "inside_box",
    "level_for_gsd",
    "localise",
    "oblong",
    "place",
    "points_along",
    "prompt_from_dict",
    "prompt_to_dict",
]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "framing": [
            "Frame",
            "around",
            "check_inside",
            "coarsest_level",
            "holds",
            "level_for_gsd",
            "oblong",
            "place",
        ],
        "pixel": ["PixelPrompts", "inside_box", "points_along"],
        "prompts": [
            "MAX_TEXT",
            "Box",
            "Point",
            "Prompt",
            "Prompts",
            "Region",
            "Scribble",
            "Text",
            "localise",
            "prompt_from_dict",
            "prompt_to_dict",
        ],
    },
)
