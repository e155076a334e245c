"""Objects whose outlines share borders, vertex by vertex, and are reshaped together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
import shapely

from geoiseg.outline.coverage import CleanOptions, clean_geometries
from geoiseg.tiled.assemble import MappedObject


def sharing(found: Iterable[MappedObject], simplify: float) -> Iterator[MappedObject]:
    """Yield objects as a coverage: with a vertex in all wherever three of them meet.

    All of them are held in memory.

    Args:
        found: Objects that do not overlap, in pixels.
        simplify: Pixels by which a border may move to lose vertices; both of its objects
            keep it in common.
    """
    objects = list(found)
    if not objects:
        return
    shapes = np.array([one.geometry for one in objects], object)
    together, _ = clean_geometries(shapes, CleanOptions(simplify=simplify))
    for one, shape in zip(objects, together, strict=True):
        if not shapely.is_empty(shape):
            yield replace(one, geometry=shape)
