"""Examples of object and background for the simpler engines, and how alike the rest is."""

from __future__ import annotations

import numpy as np

from geoiseg.models.classic.evidence import (
    POWER,
    NodeArray,
    geodesic,
    nearest,
    sharpest_stop,
)
from geoiseg.models.classic.graph_engine import NodeSeeds
from geoiseg.models.classic.superpixels import SuperpixelGraph
from geoiseg.raster import BoolArray

CORE = 0.4
"""Share of a box's half sides whose superpixels a box alone takes for the object."""


def examples(graph: SuperpixelGraph, nodes: NodeSeeds) -> tuple[BoolArray, BoolArray]:
    """Return ``(n,)`` superpixels taken for the object and for background.

    Positive prompts, else the inside of the outline to refine, else the middle of the box;
    and negative prompts with what lies outside the box, or outside the outline.
    """
    back = nodes.negative.copy()
    outlined = nodes.outlined
    if outlined is not None:
        wrong = nodes.negative & (outlined > 0.5)
        front = nodes.positive | ((outlined > 0.9) & ~_meant(graph, wrong))
        if not front.any():
            front = (outlined >= outlined.max(initial=0)) & ~back
        near = (outlined > 0) | _meant(graph, nodes.positive & (outlined < 0.5))
        away = geodesic(graph, near, 0.0) > 2
        return front, back | (away & ~front)
    if nodes.positive.any() or nodes.box is None:
        return nodes.positive, back
    x0, y0, x1, y1 = nodes.box
    half = np.maximum(((x1 - x0) / 2, (y1 - y0) / 2), 0.5)
    offset = np.abs((graph.centres - ((x0 + x1) / 2, (y0 + y1) / 2)) / half).max(1, initial=0)
    front = (offset <= CORE) & ~back
    if not front.any():
        front = (offset <= offset[~back].min(initial=np.inf)) & ~back
    return front, back


def likeness(
    graph: SuperpixelGraph, front: BoolArray, back: BoolArray, without_back: float
) -> NodeArray:
    """Return ``(n,)`` in 0..1 how much rather each superpixel looks like the object's examples.

    Args:
        graph: The superpixels.
        front: ``(n,)`` examples of the object.
        back: ``(n,)`` examples of background.
        without_back: Difference in appearance, in the chip's median contrasts, that speaks
            neither for nor against; also the farthest that background examples speak.
    """
    to_front = nearest(graph.features, front)
    to_back = np.minimum(nearest(graph.features, back), without_back)
    return np.asarray(to_back / np.maximum(to_front + to_back, 1e-6))


def _meant(graph: SuperpixelGraph, corrected: BoolArray) -> BoolArray:
    """Return the ``(n,)`` region that a click against an outline is about."""
    if not corrected.any():
        return corrected
    distance = geodesic(graph, corrected, POWER)
    return np.asarray(distance <= sharpest_stop(graph, distance))
