"""What a model says of a whole view, part by part: large windows in the memory of small ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np

from geoiseg.models import DenseMaps
from geoiseg.raster import BoolArray, Window

PART = 1152
"""Greatest side in pixels of what is read at once, without its context."""
CONTEXT = 32
"""Pixels around a part that the model sees besides."""
STRIDE = 32
"""Parts meet at multiples of it, the cells of the coarsest features of most networks."""

Reader = Callable[[Window], DenseMaps]
"""Says what a part of a view shows."""


def parts(shape: tuple[int, ...]) -> Iterator[tuple[Window, Window]]:
    """Yield the parts of a view, and each with its context; in pixels of the view.

    Args:
        shape: Rows and columns of the view.
    """
    edges = []
    for side in shape[:2]:
        count = max(1, -(-side // PART))
        inner = [round(side * k / count / STRIDE) * STRIDE for k in range(1, count)]
        edges.append([0, *inner, side])
    rows, columns = edges
    whole = Window(0, 0, shape[0], shape[1])
    for top, bottom in pairwise(rows):
        for left, right in pairwise(columns):
            part = Window(top, left, bottom - top, right - left)
            seen = Window(top - CONTEXT, left - CONTEXT, part.height + 2 * CONTEXT,
                          part.width + 2 * CONTEXT)  # fmt: skip
            yield part, seen.intersection(whole)


def read_parts(
    read: Reader,
    valid: BoolArray,
    wanted: Callable[[Window], bool],
    known: DenseMaps | None = None,
) -> DenseMaps:
    """Return what a model says of a view.

    Args:
        read: Says what a part shows.
        valid: ``(y, x)`` of the view, True = data.
        wanted: Whether a part is to be read, where something is known of it.
        known: What is known of the view from further away; it stays where nothing is read, and
            where there is no data.
    """
    whole = known
    for part, seen in parts(valid.shape):
        if known is not None and not (valid[part.slices].any() and wanted(part)):
            continue
        said = read(seen)
        if whole is None:
            whole = _empty(said, valid.shape)
        _put(said, whole, part, seen)
    if whole is None:
        raise ValueError("a view has a pixel at least")
    return whole


def _empty(like: DenseMaps, shape: tuple[int, ...]) -> DenseMaps:
    rows, columns = (-(-side // like.scale) for side in shape[:2])
    planes = [np.zeros((rows, columns), np.float32) for _ in range(2 + len(like.classes))]
    classes = dict(zip(like.classes, planes[2:], strict=True))
    return DenseMaps(planes[0], planes[1], classes, like.scale)


def _put(said: DenseMaps, whole: DenseMaps, part: Window, seen: Window) -> None:
    """Copy what is said of a part, without its context, to its place."""
    scale = said.scale
    top, left = part.row // scale, part.col // scale
    bottom, right = (-(-stop // scale) for stop in part.stop)
    up, back = seen.row // scale, seen.col // scale
    here, there = (
        np.s_[top:bottom, left:right],
        np.s_[top - up : bottom - up, left - back : right - back],
    )
    whole.interior[here] = said.interior[there]
    whole.border[here] = said.border[there]
    for name, plane in whole.classes.items():
        plane[here] = said.classes[name][there]
