"""Ground that no object has yet, asked for in passes, as Remote SAMsing does.

A pass asks in the middle of what is left, the largest first. Only where a pass covers hardly
anything more are the thresholds relaxed; where that helps no more, the ground stays open.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import cv2
import numpy as np

from geoiseg.raster import BoolArray, Window
from geoiseg.tiled.candidates import Survivor
from geoiseg.tiled.options import AutomaticOptions

STALLED = 0.01
"""Share of the ground by which a pass must cover more for the next one to be as strict."""
RELAXED = 0.1
"""Least stability of an answer once coverage has stalled."""
MOST = 12
"""Places that a pass asks for."""
DEEP = 6.0
"""Pixels from its border that the middle of open ground lies at least: no slivers are asked for."""

Ask = Callable[[Survivor, AutomaticOptions], list[Survivor]]
"""Says what is found in the middle of a region by which thresholds."""


def passes(
    ask: Ask, ground: BoolArray, covered: BoolArray, options: AutomaticOptions
) -> list[Survivor]:
    """Return what is found on open ground.

    Args:
        ask: The model.
        ground: ``(y, x)`` of the window, True on what objects are made of.
        covered: ``(y, x)`` where objects are known; grows by what is found.
        options: Thresholds of the first passes.
    """
    found: list[Survivor] = []
    tried = np.zeros(ground.shape, bool)
    whole = max(1, int(np.count_nonzero(ground)))
    for how in (options, replace(options, min_stability=RELAXED)):
        stalled = False
        while not stalled:
            places = open_places(ground & ~covered & ~tried)
            before = int(np.count_nonzero(covered & ground))
            for place in places:
                for answer in ask(place, how):
                    found.append(answer)
                    covered[answer.window.slices] |= answer.mask
                tried[place.window.slices] |= place.mask
            grown = int(np.count_nonzero(covered & ground)) - before
            stalled = grown < STALLED * whole
        tried[:] = False
    return found


def open_places(ground: BoolArray) -> Sequence[Survivor]:
    """Return the largest connected parts of open ground, the largest first, with a score of 0."""
    depth = cv2.distanceTransform(np.pad(ground.view(np.uint8), 1), cv2.DIST_L2, 3)[1:-1, 1:-1]
    inner = (depth >= DEEP).view(np.uint8)
    count, parts = cv2.connectedComponents(inner, connectivity=4)
    flat = np.flatnonzero(parts)  # hardly any: so this is sooner than OpenCV's statistics
    of = parts.ravel()[flat]
    areas = np.bincount(of, minlength=count)[1:]
    order = np.argsort(-areas, kind="stable")[:MOST] + 1
    places = []
    for part in order.tolist():
        y, x = np.divmod(flat[of == part], ground.shape[1])
        top, left = int(y.min()), int(x.min())
        window = Window(top, left, int(y.max()) - top + 1, int(x.max()) - left + 1)
        mask = np.zeros(window.shape, bool)
        mask[y - top, x - left] = True
        places.append(Survivor(window, mask, 0.0, int(areas[part - 1])))
    return places
