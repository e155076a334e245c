"""Where clean water ends: the wet edge of what lies between water and land.

Water is dark in the near and in the short-wave infrared, and land is bright in one of them at
least. So the brighter of both says how much land a pixel has in it, whatever the land is: plants,
sand, built-up ground. From pure water to pure land it rises to four to twenty times as much, and
its logarithm tells the first part of that best: the edge is drawn at a share of the way in it,
where an eighth to a fifth of a pixel is land.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from geoiseg.outline.shoreline.cut import FEWEST, STRETCHES, Cut
from geoiseg.outline.shoreline.mixture import FloatArray, Sides, pure_values
from geoiseg.raster import Raster

SHARE = 0.4
"""Of the way from water to land, in the logarithm (see ``benchmarks/waterline_rules.py``)."""
DARKEST = 0.01
"""Of land's brightness: correction for the air leaves nothing, or less, over dark water."""


def darkness(raster: Raster) -> str:
    """Return the formula of what is high on water: both infrareds, or the one that is known."""
    near = {"nir", "nir08"} & set(raster.roles)
    if "swir16" not in raster.roles:
        return "-nir"
    return "-max(nir,swir16)" if near else "-swir16"


def wet_edge(
    raster: Raster, formula: str, sides: Iterable[Sides], windows: int, share: float = SHARE
) -> Cut | None:
    """Return the darkness at which clean water ends; None where too little of one kind is pure.

    Its error has the distance from half water in it, as that of other thresholds.

    Args:
        raster: With the bands of the formula.
        formula: Of :func:`darkness`.
        sides: Of windows near the border.
        windows: How many they are.
        share: Of the way from water to land.

    Raises:
        RasterError: The pixels can not be read.
    """
    kinds = pure_values(raster, [formula], sides, windows)
    if kinds is None:
        return None
    water, land = (-values[0] for values in kinds)
    found = _edge(water, land, share)
    if found is None:
        return None
    parts = min(STRETCHES, min(len(water), len(land)) // FEWEST)
    pairs = zip(np.array_split(water, parts), np.array_split(land, parts), strict=True)
    others = [edge for pair in pairs if (edge := _edge(*pair, share)) is not None]
    spread = float(np.std(others, ddof=1) / np.sqrt(len(others))) if len(others) > 2 else 0.0
    half = (float(np.median(water)) + float(np.median(land))) / 2
    return Cut(-found, float(np.hypot(spread, half - found)))


def _edge(water: FloatArray, land: FloatArray, share: float) -> float | None:
    dark, bright = float(np.median(water)), float(np.median(land))
    if not dark < bright or bright <= 0:
        return None
    return float(max(dark, DARKEST * bright) ** (1 - share) * bright**share)
