"""Outlines that are there already: in another shape, or fitted in among their neighbours."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import shapely

from geoiseg.companion.fields import Fields
from geoiseg.companion.objects import Objects, Told
from geoiseg.companion.pipe import RequestError
from geoiseg.companion.shapes import shape_of
from geoiseg.errors import PromptError
from geoiseg.features import compactness
from geoiseg.outline import redrawn
from geoiseg.outline.coverage import snap_to_neighbours
from geoiseg.raster import as_crs, measure
from geoiseg.segment import Watch

KINDS = ("Polygon", "MultiPolygon")


def polygons(given: tuple[str, ...], what: str) -> list[Any]:
    """Return polygons of hexadecimal WKB.

    Raises:
        RequestError: It is none.
        PromptError: It is another geometry, or an empty one.
    """
    try:
        shapes = [shapely.from_wkb(one) for one in given]
    except (shapely.errors.GEOSException, TypeError, ValueError) as error:
        raise RequestError(f"{what} are outlines as hexadecimal WKB ({error})") from error
    if any(one is None or one.geom_type not in KINDS or one.is_empty for one in shapes):
        raise PromptError(f"{what} are polygons, and some of these are not")
    valid = (one if one.is_valid else shapely.make_valid(one, method="structure") for one in shapes)
    return [shapely.force_2d(one) for one in valid]


class Fitting:
    """Changes outlines without asking a model; nothing of them is kept here."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def reshape(self, fields: Fields, watch: Watch, tell: Told) -> dict[str, Any]:
        """Return outlines in the raster's CRS with other options; ``wkb`` is hexadecimal.

        It is None where nothing would be left of one.
        """
        view = self._objects.view(fields, with_steps=False)
        shapes = polygons(fields.names("shapes"), "shapes")
        options = shape_of(fields)
        fields.done()
        grid, answers = view.segmenter.raster.grid, []
        for number, shape in enumerate(shapes, 1):
            answers.append(_facts(redrawn(shape, grid, options), grid.crs))
            watch.phase("reshaping")
            tell(number / len(shapes), "reshaping")
        return {"outlines": answers}

    def fit(self, fields: Fields, watch: Watch, tell: Told) -> dict[str, Any]:
        """Return a new outline that shares the borders of those near it, and what becomes of them.

        ``wkb`` is None where the neighbours have all of its ground. ``neighbours`` are the places
        in the list and the outlines of those that have vertices more, of the same shape.
        """
        tell(None, "fitting it in among its neighbours")
        [shape] = polygons((fields.text("shape"),), "shape")
        around = polygons(fields.names("neighbours"), "neighbours")
        width, crs = float(fields.number("width", 0.0)), as_crs(fields.text("crs", None))
        fields.done()
        watch.phase("fitting")
        neighbours = np.array(around, dtype=object)
        fitted = snap_to_neighbours(shape, neighbours, width, crs)
        kept = zip(around, fitted.neighbours, strict=True)
        changed = [
            [number, shapely.to_wkb(new, hex=True)]
            for number, (old, new) in enumerate(kept)
            if not old.equals_exact(new)
        ]
        gone = fitted.geometry.is_empty
        return {
            "wkb": None if gone else shapely.to_wkb(fitted.geometry, hex=True),
            "neighbours": changed, "cut_m2": fitted.cut, "filled_m2": fitted.filled,
        }  # fmt: skip


def _facts(shape: Any, crs: Any) -> dict[str, Any]:
    """Return an outline as it is sent, with what its layer may have fields for."""
    if shape is None:
        return {"wkb": None}
    area, perimeter = measure(shape, crs)
    facts = {"area_m2": area, "perimeter_m": perimeter, "compactness": compactness(area, perimeter)}
    plain = {name: float(value) if math.isfinite(value) else None for name, value in facts.items()}
    return {"wkb": shapely.to_wkb(shape, hex=True), **plain}
