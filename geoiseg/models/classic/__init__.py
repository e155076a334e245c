"""Engines without weights. Light: each engine's module is imported when it is asked for."""

from __future__ import annotations

ENGINES: dict[str, str] = {
    "superpixel-walk": "geoiseg.models.classic.walk:SuperpixelWalk",
    "grabcut": "geoiseg.models.classic.grabcut:GrabCut",
    "graphcut": "geoiseg.models.classic.graphcut:GraphCut",
    "random-walker": "geoiseg.models.classic.random_walker:RandomWalker",
    "region-growing": "geoiseg.models.classic.region_growing:RegionGrowing",
    "seeded-growing": "geoiseg.models.classic.regions:SeededGrowing",
    "region-merging": "geoiseg.models.classic.regions:RegionMerging",
    "watershed": "geoiseg.models.classic.regions:Watershed",
    "geodesic-contour": "geoiseg.models.classic.contours:GeodesicContour",
    "chan-vese": "geoiseg.models.classic.contours:ChanVese",
}
"""``module:Class`` of each engine by its name; a class takes no arguments."""

NEEDS: dict[str, tuple[str, ...]] = {
    name: () if name == "grabcut" else ("scipy", "skimage") for name in ENGINES
}
"""Modules that an engine needs beyond those that everything needs."""
